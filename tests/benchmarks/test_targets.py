"""Every speed that is promised has a row of its own, from one command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks._results import load

from benchmarks import _target_rows, targets


def rows(*arguments: str) -> list[str]:
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "benchmarks", "targets", *arguments, "--rounds", "1"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return done.stdout.splitlines()


@pytest.mark.slow
def test_each_group_prints_rows_with_target_and_figure():
    """Groups that need no server and no engine: none fails, and each row says whether it is met."""
    groups = ("small", "memory", "frames", "containers", "objects", "start", "peak")
    assert set(groups) < set(_target_rows.GROUPS)
    head, *told, last = rows(*groups, "--scale", "0.01")
    assert ["target", "measured", "met"] == head.split()
    assert len(told) >= 40
    assert [] == [row for row in told if row.split()[-1] not in ("yes", "NO")]
    assert "missed" in last


def test_rows_are_published_of_all_groups_alone(monkeypatch, tmp_path, capsys):
    """The file holds machine and rows; a group that failed leaves the earlier file as it is."""
    monkeypatch.setattr(targets, "RESULTS", tmp_path)
    monkeypatch.setattr(targets, "GROUPS", {"one": None})
    monkeypatch.setattr(
        targets, "_asked", lambda *_: ([_target_rows.Row("a", "2 ×", "1 ×", True)], "")
    )
    assert 0 == targets.main(["--publish"])
    file = load(tmp_path / "targets.json")
    assert [{"group": "one", "what": "a", "target": "2 ×", "measured": "1 ×", "met": True}] == (
        file["targets"]
    )
    assert {"date", "commit", "machine", "versions"} < set(file)
    monkeypatch.setattr(targets, "_asked", lambda *_: ([], "KeyError: 'x'"))
    assert 1 == targets.main(["--publish"])
    assert "not published" in capsys.readouterr().err
    assert file == load(tmp_path / "targets.json")
    with pytest.raises(SystemExit):
        targets.main(["one", "--publish"])


def test_a_group_that_dies_is_a_row(monkeypatch, capsys):
    """A benchmark that fails is told with its reason, and the others go on."""
    monkeypatch.setattr(targets, "_asked", lambda *_: ([], "ModuleNotFoundError: no ray"))
    assert 0 == targets.main(["items"])
    assert "items" in (out := capsys.readouterr().out)
    assert "NO: ModuleNotFoundError: no ray" in out

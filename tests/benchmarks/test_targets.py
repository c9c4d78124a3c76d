"""Every speed that is promised has a row of its own, from one command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_a_group_that_dies_is_a_row(monkeypatch, capsys):
    """A benchmark that fails is told with its reason, and the others go on."""
    monkeypatch.setattr(targets, "_asked", lambda *_: ([], "ModuleNotFoundError: no ray"))
    assert 0 == targets.main(["items"])
    assert "items" in (out := capsys.readouterr().out)
    assert "NO: ModuleNotFoundError: no ray" in out

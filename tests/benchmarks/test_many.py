"""The commands for very many objects and items: each line is there, with few of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def _lines(*arguments: str) -> list[str]:
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "benchmarks", *arguments, "--rounds", "1"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return done.stdout.splitlines()


@pytest.mark.slow
def test_objects_has_a_line_for_each_call():
    """Six calls among few and many objects, and two bulk verbs at two places."""
    lines = _lines("objects", "--objects", "200")
    assert 1 + 6 + 2 + 4 == len(lines)
    assert [float(line.split()[-1]) > 0 for line in lines[1:7]] == [True] * 6


@pytest.mark.slow
def test_items_has_a_line_for_each_engine():
    """A run on processes beside a bare pool, and one with a shared argument."""
    lines = _lines("items", "--items", "30", "--only", "processes", "--only", "shared")
    assert ["30", "processes", "shared"] == [line.split()[0] for line in lines]

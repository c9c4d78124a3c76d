"""Containers beside pickle: each case runs, and the table has a row for each."""

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.containers import VALUES


def test_every_case_has_a_row():
    """The command puts and gets a tiny value of each kind, here some, and prints one table."""
    command = [sys.executable, "-m", "benchmarks", "containers", "--scale", "0.001"]
    command += ["--rounds", "1", "--only", "datetimes in"]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    head, *rows = done.stdout.splitlines()
    assert ["put", "get", "CPU", "CPU", "file"] == head.split()[-5:]
    assert ["datetimes in UTC"] == [row[:28].strip() for row in rows]
    for make, _ in VALUES.values():
        assert len(make(3))

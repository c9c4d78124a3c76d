"""Small objects beside bare calls: each case runs, and has its rows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.small import _SIZE, _STARTS


@pytest.mark.slow
def test_the_cases_have_their_rows(tmp_path):
    """The command measures what is near, once, and prints a row for each budget."""
    command = [sys.executable, "-m", "benchmarks", "small", "local", "memory", "start"]
    command += ["--rounds", "1", "--folder", tmp_path]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    rows = [line[:44].strip() for line in done.stdout.splitlines()]
    assert "1 KiB put + get, disk" in rows
    assert "1 KiB put + get, memory" in rows
    assert set(_STARTS) - set(rows) == {"empty interpreter", "pyarrow's core and pydantic"}
    assert _SIZE == 1024

"""The benchmark of contexts that are found runs, with few rounds."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.extended
def test_it_says_what_a_call_costs() -> None:
    """One line for each call, in the run of an orchestrator and in a context that was entered."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "benchmarks", "resolved", "--quick"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    heads = [line.split()[0] for line in done.stdout.splitlines()[1:]]
    assert ["get_run_context()", "exists", "put"] == heads

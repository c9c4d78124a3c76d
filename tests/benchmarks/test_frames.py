"""Frames, columns and large objects: each command runs, and its table has a row for each value."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import columns, frames


def run(*arguments):
    command = [sys.executable, "-m", "benchmarks", *arguments, "--rounds", "1"]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return done.stdout.splitlines()


@pytest.mark.slow
def test_every_frame_and_table_has_a_row():
    """The command puts and gets each, and prints one table."""
    head, *rows = run("frames", "--only", "frame")
    assert "peer" == head.split()[-1]
    assert [name for name in frames.VALUES if "frame" in name] == [row[:26].strip() for row in rows]
    for make, peer, _ in frames.VALUES.values():
        assert len(make())
        assert peer in ("pickle", "feather")


@pytest.mark.slow
def test_every_table_far_away_has_a_row():
    """Tables of batches, row groups and chunks are put on S3, and a column of each is got."""
    _, *rows = run("columns", "--rows", "20000")
    assert list(columns.VALUES) == [row[:22].strip() for row in rows]


@pytest.mark.slow
def test_every_client_moves_large_objects():
    """runstore, obstore, boto3 and s3fs put and get the same bytes."""
    told = "\n".join(run("large", "--scale", "0.01"))
    for client in ("runstore", "obstore", "boto3", "s3fs"):
        assert 4 == told.count(f"  {client} ")

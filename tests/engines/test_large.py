"""Values that stay in the cluster: they do not come by the process that runs the workflow."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.engines.stages import workflow

from runstore import get_run_context

MB = 1_000_000


def frame() -> pd.DataFrame:
    """Give a frame of as many megabytes as the input says."""
    rows = get_run_context().input["megabytes"] * MB // 8 // 10
    return pd.DataFrame(np.random.default_rng(0).random((rows, 10)))


def look(found: pd.DataFrame) -> int:
    """Use it."""
    return int(found.memory_usage(index=False).sum())


def blocks() -> list[Any]:
    """Give as much in ten arrays."""
    size = get_run_context().input["megabytes"] * MB // 8 // 10
    return [np.full(size, number, dtype="float64") for number in range(10)]


def mean(block: Any) -> float:
    """Use one."""
    return float(block.mean())


def as_frame(value: float) -> pd.DataFrame:
    """Make a large result of each item."""
    return pd.DataFrame({"a": np.full(MB, value)})


def count(frames: list[pd.DataFrame]) -> int:
    """Use them together."""
    return sum(len(one) for one in frames)


FLOW = workflow(
    "large",
    [
        {"name": "frame", "target": frame},
        {"name": "look", "target": look, "depends_on": "frame"},
        {"name": "blocks", "target": blocks},
        {"name": "mean", "target": mean, "type": "parameterized"},
        {"name": "frames", "target": as_frame, "type": "parameterized"},
        {"name": "count", "target": count, "depends_on": "frames"},
        {"name": "all", "target": "builtins.max", "depends_on": ["look", "count"]},
    ],
)


def peak() -> int:
    """Give the most memory that was resident since the last `forget_peak`, in bytes."""
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


@pytest.mark.extended
@pytest.mark.parametrize("megabytes", [150, pytest.param(500, marks=pytest.mark.slow)])
def test_results_do_not_come_by_the_caller(megabytes: int, engine: Any) -> None:
    """Handing on frames, and mapping over large items, costs the caller less than 64 MiB."""
    engine(FLOW, {"megabytes": 1})  # what is imported once does not count
    forget_peak()
    before = peak()
    record = engine(FLOW, {"megabytes": megabytes})
    grown = peak() - before
    print(
        f"\n{engine.keywords['executor']}: {megabytes} MB, caller grew by {grown / 2**20:.1f} MiB"
    )
    assert max(10 * MB, megabytes * MB // 80 * 80) == record.result
    assert grown < 64 * 2**20

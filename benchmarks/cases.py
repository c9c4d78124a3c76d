"""The cases: what is stored where, how often, and which peers can do it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks import values

__all__ = ["CASES", "FLAT", "Case", "named"]


@dataclass(frozen=True)
class Case:
    """One deterministic piece of work.

    Attributes:
        name: Stands in tables and result files; a changed case gets a new one.
        make: Makes the value from a number of rows or bytes.
        length: That number.
        tiny: That number for a quick run.
        peers: Who does it, the one that the others are divided by first.
        place: Where; `benchmarks._rounds` knows how to make one.
        count: How many objects are put, and then got, one by one, in a sample.
        touch: Whether get is timed a second time with every value read.
        large: Only on request.
    """

    name: str
    make: Callable[[int], Any]
    length: int
    tiny: int
    peers: tuple[str, ...]
    place: Literal["local", "memory"] = "local"
    count: int = 1
    touch: bool = True
    large: bool = False


_FRAME_PEERS = (
    "raw",
    "runstore",
    "memcpy",
    "pandas-parquet",
    "pickle",
    "joblib",
    "joblib-mmap",
    "feather",
)

CASES = (
    Case("frame-floats-256MB", values.floats, 2_000_000, 500, _FRAME_PEERS),
    Case("frame-mixed-256MB", values.mixed, 1_850_000, 500, _FRAME_PEERS),
    Case("frame-floats-1MB", values.floats, 7_812, 40, ("raw", "runstore")),
    Case("frame-floats-64MB", values.floats, 500_000, 400, ("raw", "runstore")),
    Case("frame-floats-1GB", values.floats, 7_812_500, 600, ("raw", "runstore"), large=True),
    Case(
        "bytes-1KiB-memory",
        values.blob,
        1024,
        1024,
        ("memcpy", "runstore"),
        place="memory",
        count=300,
        touch=False,
    ),
    Case(
        "bytes-1KiB-local",
        values.blob,
        1024,
        1024,
        ("raw", "runstore", "pickle", "joblib"),
        count=300,
        touch=False,
    ),
)

FLAT = (
    "frame-floats-1MB",
    "frame-floats-64MB",
    "frame-floats-256MB",
    "frame-floats-1GB",
)
"""The cases that differ in size alone, for `get flatness`."""


def named(name: str) -> Case:
    """Return the case of that name."""
    return next(case for case in CASES if case.name == name)

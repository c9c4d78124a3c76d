"""The cases: what is stored where, how often, and which peers can do it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks import values

__all__ = ["CASES", "SUITES", "Case", "named"]

SUITES = ("headline", "values", "many", "s3", "peers", "growth")
"""What is run, and kept in a result file, together."""


@dataclass(frozen=True)
class Case:
    """One deterministic piece of work.

    Attributes:
        name: Stands in tables and result files; a changed case gets a new one.
        suite: One of `SUITES`.
        make: Makes the value from a number of rows, columns, trees or bytes.
        length: That number.
        tiny: That number for a quick run.
        peers: Who does it; the first is what the others are compared with.
        place: Where; one of `benchmarks._places.PLACES`.
        count: How many objects a sample puts and gets.
        filled: How many objects are put beforehand, untimed, and stay.
        runs: How many runs are filled beforehand with one object each.
        steps: What is timed, in this order; functions of `benchmarks._steps`.
        rounds: How often at most.
        shared: All peers look at one place, which the first fills: only for reading.
    """

    name: str
    suite: str
    make: Callable[[int], Any]
    length: int
    tiny: int
    peers: tuple[str, ...]
    place: str = "local"
    count: int = 1
    filled: int = 0
    runs: int = 0
    steps: tuple[str, ...] = ("put", "get", "get_touch")
    rounds: int = 5
    shared: bool = False


_LIMIT = ("raw", "runstore")
_FILES = (*_LIMIT, "memcpy", "pandas-parquet", "pickle", "joblib", "joblib-mmap", "feather")
_EXACT = ("raw", "runstore", "pickle", "joblib", "joblib-mmap")
_S3 = ("runstore", "runstore-s3fs", "boto3", "s3fs", "obstore")
_ENGINES = (
    *("arcticdb", "flowdapt", "flowdapt-memory", "prefect", "dagster", "mlflow", "kedro-pickle"),
    *("kedro-parquet", "airflow"),
)
_ENGINES_S3 = ("arcticdb", "flowdapt", "metaflow", "prefect", "dagster", "mlflow", "airflow")
_ONE_BY_ONE = ("put", "get")
_AT_ONCE = ("put_many", "get_many")

_HEADLINE = (
    Case("frame-floats-256MB", "headline", values.floats, 2_000_000, 500, _FILES),
    Case("frame-mixed-256MB", "headline", values.mixed, 1_850_000, 500, _FILES, rounds=3),
    Case(
        *("bytes-1KiB-memory", "headline", values.blob, 1024, 1024, ("memcpy", "runstore")),
        place="memory",
        count=300,
        steps=_ONE_BY_ONE,
    ),
    Case(
        *("bytes-1KiB-local", "headline", values.blob, 1024, 1024, _EXACT[:4]),
        count=300,
        steps=_ONE_BY_ONE,
    ),
    Case(
        *("s3-array-256MB", "headline", values.array, 62_500, 300, _S3),
        place="s3",
        steps=_ONE_BY_ONE,
        rounds=3,
    ),
    Case(
        *("s3-bytes-1KiB", "headline", values.blob, 1024, 1024, _S3),
        place="s3",
        count=300,
        steps=_ONE_BY_ONE,
        rounds=3,
    ),
    Case(
        *("s3-bytes-1KiB-300-at-once", "headline", values.blob, 1024, 1024, _S3),
        place="s3",
        count=300,
        steps=_AT_ONCE,
    ),
)

_VALUES = (
    Case("frame-floats-1MB", "values", values.floats, 7_812, 40, _FILES),
    Case("frame-floats-64MB", "values", values.floats, 500_000, 400, _FILES),
    Case("frame-floats-1GB", "values", values.floats, 7_812_500, 600, _LIMIT, rounds=3),
    Case(
        *("frame-floats-2GB", "values", values.floats, 15_625_000, 700),
        ("raw", "runstore", "joblib-mmap", "feather"),
        rounds=3,
    ),
    Case("frame-mixed-64MB", "values", values.mixed, 462_500, 500, _FILES, rounds=3),
    Case("frame-wide-5000", "values", values.wide, 5_000, 50, _FILES, rounds=3),
    Case("array-256MB", "values", values.array, 62_500, 300, _EXACT),
    Case("model-forest", "values", values.forest, 50, 2, _EXACT),
    Case("tmpfs-frame-256MB", "values", values.floats, 2_000_000, 500, _FILES, place="tmpfs"),
)

_MANY = (
    Case(
        *("bytes-1KiB-300-at-once", "many", values.blob, 1024, 1024, _EXACT[:4]),
        count=300,
        steps=_AT_ONCE,
    ),
    Case(
        *("bytes-1KiB-10000", "many", values.blob, 1024, 1024, _EXACT[:4]),
        count=10_000,
        steps=_ONE_BY_ONE,
        rounds=3,
    ),
    Case(
        *("tmpfs-bytes-1KiB", "many", values.blob, 1024, 1024, _EXACT[:4]),
        place="tmpfs",
        count=300,
        steps=_ONE_BY_ONE,
    ),
    *(
        Case(
            *(f"list-{filled}-local", "many", values.blob, 64, 64, ("runstore", "raw")),
            filled=filled,
            steps=("names",),
            rounds=3,
            shared=True,
        )
        for filled in (1_000, 100_000)
    ),
    Case(
        *("8-processes-frame-1MB", "many", values.floats, 7_812, 40, _EXACT),
        count=20,
        steps=("eight_put", "eight_get"),
        rounds=3,
    ),
    Case(
        *("8-processes-bytes-1KiB", "many", values.blob, 1024, 1024, _EXACT[:4]),
        count=100,
        steps=("eight_put", "eight_get"),
        rounds=3,
    ),
    *(
        Case(
            *(f"hand-over-64MB-{place}", "many", values.floats, 500_000, 500),
            ("raw", "runstore", "pickle", "joblib-mmap", "feather"),
            place=place,
            steps=("hand_over", "hand_over_touch"),
        )
        for place in ("local", "tmpfs")
    ),
)

_ON_S3 = (
    Case(
        *("s3-verbs-1KiB", "s3", values.blob, 1024, 1024, ("runstore", "runstore-s3fs")),
        place="s3",
        count=20,
        steps=("put", "get", "exists", "stat", "names", "delete"),
        rounds=3,
    ),
    Case(
        *("s3-one-column-of-16", "s3", values.floats, 500_000, 80_000, ("runstore",)),
        place="s3",
        steps=("put", "get", "get_column"),
        rounds=3,
    ),
    Case(
        *("s3-frame-mixed-64MB", "s3", values.mixed, 462_500, 500),
        ("boto3", "runstore", "runstore-s3fs", "s3fs", "obstore"),
        place="s3",
        rounds=3,
    ),
    Case(
        *("s3-frame-floats-1GB", "s3", values.floats, 7_812_500, 600, ("obstore", "runstore")),
        place="s3",
        steps=_ONE_BY_ONE,
        rounds=2,
    ),
    *(
        Case(
            *(f"s3-bytes-1KiB-{latency}ms", "s3", values.blob, 1024, 1024, _S3),
            place=f"s3+{latency}ms",
            count=20,
            steps=(*_ONE_BY_ONE, *_AT_ONCE),
            rounds=3,
        )
        for latency in (10, 50)
    ),
    *(
        Case(
            *(f"s3-array-64MB-{latency}ms", "s3", values.array, 15_625, 300, _S3),
            place=f"s3+{latency}ms",
            steps=_ONE_BY_ONE,
            rounds=3,
        )
        for latency in (10, 50)
    ),
    *(
        Case(
            *(f"list-{filled}-s3", "s3", values.blob, 64, 64, ("runstore", *_S3[2:])),
            place="s3",
            filled=filled,
            steps=("names",),
            rounds=3 if filled == 1_000 else 2,
            shared=True,
        )
        for filled in (1_000, 100_000)
    ),
)

_PEERS = (
    *(
        Case(
            *(f"peers-{name}", "peers", make, length, 300, ("raw", "runstore", *_ENGINES)),
            rounds=2,  # some take a hundred times as long as others
        )
        for name, make, length in (
            ("frame-floats-64MB", values.floats, 500_000),
            ("frame-mixed-64MB", values.mixed, 462_500),
        )
    ),
    Case(
        *("peers-frame-1000x10", "peers", values.floats, 625, 40, ("raw", "runstore", *_ENGINES)),
        count=20,
        steps=_ONE_BY_ONE,
        rounds=3,
    ),
    Case(
        *("peers-s3-frame-floats-64MB", "peers", values.floats, 500_000, 300),
        ("obstore", "runstore", *_ENGINES_S3),
        place="s3",
        rounds=3,
    ),
    *(
        Case(
            *(f"peers-{place}-frame-1000x10", "peers", values.floats, 625, 40),
            ("obstore", "runstore", *_ENGINES_S3),
            place=place,
            count=10,
            steps=_ONE_BY_ONE,
            rounds=3,
        )
        for place in ("s3", "s3+10ms")
    ),
)

_SIZES = {"1KB": 8, "10KB": 78, "100KB": 781, "1MB": 7_812, "10MB": 78_125, "100MB": 781_250}
_LARGE = {"1GB": 7_812_500, "4GB": 31_250_000}

_GROWTH = (
    *(
        Case(
            *(f"growth-size-{label}-local", "growth", values.floats, rows, 8, _LIMIT),
            rounds=5 if label in _SIZES else 2,
        )
        for label, rows in (_SIZES | _LARGE).items()
    ),
    *(
        Case(
            *(f"growth-size-{label}-s3", "growth", values.floats, rows, 8, ("obstore", "runstore")),
            place="s3",
            steps=_ONE_BY_ONE,
            rounds=3,
        )
        for label, rows in _SIZES.items()
    ),
    *(
        Case(
            *(f"growth-count-{count}-local", "growth", values.blob, 64, 64, _LIMIT),
            count=count,
            steps=("put", "get", "names"),
            rounds=3 if count <= 1_000 else 1,
        )
        for count in (1, 10, 100, 1_000, 10_000, 100_000)
    ),
    *(
        Case(
            *(f"growth-runs-{runs}-local", "growth", values.blob, 64, 64, ("runstore",)),
            count=10,
            runs=runs,
            steps=("put", "get", "names"),
            rounds=3,
        )
        for runs in (1, 10, 100, 1_000, 10_000)
    ),
)

CASES = (*_HEADLINE, *_VALUES, *_MANY, *_ON_S3, *_PEERS, *_GROWTH)


def named(name: str) -> Case:
    """Return the case of that name."""
    return next(case for case in CASES if case.name == name)

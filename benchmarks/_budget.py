"""The performance budget: what was promised, what was measured, and whether that is enough."""

from collections.abc import Callable

from benchmarks._results import only, per_object, size, time_of
from benchmarks._rounds import Result

__all__ = ["budget"]

_CLIENTS = ("boto3", "s3fs", "obstore")
_MIB = 2**20
_SIZES = ("1MB", "10MB", "100MB", "1GB", "4GB")


class _MissingError(Exception):
    """Something that a row needs was not measured."""


def budget(results: list[Result]) -> list[list[str]]:
    """Give head and rows, one for each promise; one that was not measured says so."""
    table = [["what", "budget", "measured", "met"]]
    for what, promise, measured in _ROWS:
        try:
            found, met = measured(results)
        except _MissingError as exc:
            found, met = f"not measured: {exc}", None
        table.append([what, promise, found, "" if met is None else "yes" if met else "**no**"])
    return table


def _of(
    results: list[Result], case: str, step: str, peer: str = "runstore", measure: str = "seconds"
) -> float:
    for result in only(results, case):
        if result["peer"] == peer and result["status"] == "ok":
            found = per_object(result, step, measure)
            if found is not None:
                return found
    raise _MissingError(f"{measure} of {step}, {peer}, {case}")


def _requests(results: list[Result]) -> tuple[str, bool]:
    case, found, met = "s3-verbs-1KiB", [], True
    most = {"put": 1, "get": 1, "exists": 1, "stat": 1, "delete": 2, "names": 1}
    for step, limit in most.items():
        count = _of(results, case, step, measure="requests")
        found.append(f"{'list' if step == 'names' else step} {count:.3g}")
        met &= count <= limit
    for filled, limit in ((1_000, 1), (100_000, 100)):
        count = _of(results, f"list-{filled}-s3", "names", measure="requests")
        found.append(f"list of {filled:,}: {count:.0f}")
        # One more tells that a full last page was the last.
        met &= count <= limit + 1
    return ", ".join(found), met


def _put(results: list[Result]) -> tuple[str, bool]:
    ours, raw = (_of(results, "frame-floats-256MB", "put", peer) for peer in ("runstore", "raw"))
    return f"{ours / raw:.2f} × ({time_of(ours)}, {time_of(raw)})", ours <= 1.2 * raw


def _get(results: list[Result]) -> tuple[str, bool]:
    ours = _of(results, "frame-floats-256MB", "get")
    by_size = [_of(results, f"growth-size-{label}-local", "get") for label in _SIZES]
    text = ", ".join(f"{s} {time_of(t)}" for s, t in zip(_SIZES, by_size, strict=True))
    return f"{time_of(ours)}; {text}", ours <= 5e-3 and max(by_size) <= 5e-3


def _memory(results: list[Result]) -> tuple[str, bool]:
    local = _of(results, "frame-floats-1GB", "put", measure="peak_bytes")
    get = _of(results, "frame-floats-1GB", "get", measure="peak_bytes")
    s3 = _of(results, "s3-frame-floats-1GB", "put", measure="peak_bytes")
    text = f"local {size(local)}, S3 {size(s3)}; get local {size(get)}"
    return text, local <= 64 * _MIB and s3 <= 192 * _MIB and get <= 16 * _MIB


def _small_memory(results: list[Result]) -> tuple[str, bool]:
    total = sum(_of(results, "bytes-1KiB-memory", step) for step in ("put", "get"))
    return time_of(total), total <= 30e-6


def _small_local(results: list[Result]) -> tuple[str, bool]:
    ours, raw = (
        sum(_of(results, "bytes-1KiB-local", step, peer) for step in ("put", "get"))
        for peer in ("runstore", "raw")
    )
    return f"{ours / raw:.2f} × ({time_of(ours)}, {time_of(raw)})", ours <= 2.5 * raw


def _s3(results: list[Result]) -> tuple[str, bool]:
    found, met = [], True
    for case, steps in (
        ("s3-array-256MB", ("put", "get")),
        ("s3-bytes-1KiB", ("put", "get")),
        ("s3-bytes-1KiB-300-at-once", ("put_many", "get_many")),
    ):
        for step in steps:
            best = min(_of(results, case, step, peer) for peer in _CLIENTS)
            ratio = best / _of(results, case, step)
            found.append(f"{case.removeprefix('s3-')} {step.partition('_')[0]} {ratio:.2f} ×")
            met &= ratio >= 1.0
    return ", ".join(found), met


def _column(results: list[Result]) -> tuple[str, bool]:
    case = "s3-one-column-of-16"
    whole = _of(results, case, "get", measure="sent_bytes")
    part = _of(results, case, "get_column", measure="sent_bytes")
    return f"{part / whole:.3f} ({size(part)} of {size(whole)})", part <= whole / 8


def _import(results: list[Result]) -> tuple[str, bool]:
    empty, ours = (
        _of(results, "import", "all", name) for name in ("empty interpreter", "import runstore")
    )
    return time_of(ours - empty), ours - empty <= 0.12


def _lookup(results: list[Result]) -> tuple[str, bool]:
    slowest = max(
        _of(results, "context lookup + key", "all", name) for name in ("same name", "new names")
    )
    return time_of(slowest), slowest <= 10e-6


_ROWS: tuple[tuple[str, str, Callable[[list[Result]], tuple[str, bool]]], ...] = (
    ("S3 requests, 1 KiB", "put, get, exists, stat 1; delete 2; list ⌈n/1000⌉", _requests),
    ("put 256 MB frame, local", "≤ 1.2 × raw write()", _put),
    ("get 256 MB frame, local, writable", "≤ 5 ms, flat from 1 MB to 4 GB", _get),
    ("extra memory, 1 GB frame", "put ≤ 67.1 MB local, ≤ 201 MB S3; get local ≤ 16.8 MB", _memory),
    ("1 KiB put + get, memory", "≤ 30 µs", _small_memory),
    ("1 KiB put + get, local", "≤ 2.5 × bare write, replace, read", _small_local),
    ("S3 beside the best raw client", "≥ 1.0 × its speed", _s3),
    ("one column of 16 from S3", "≤ 1/8 of the bytes", _column),
    ("import runstore", "≤ 120 ms more than an empty interpreter", _import),
    ("context lookup + key", "≤ 10 µs", _lookup),
)

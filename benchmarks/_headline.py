"""The table that README shows: runstore beside the limit and beside its strongest peer."""

from dataclasses import dataclass

from benchmarks._report import STEP_NAMES
from benchmarks._results import only, per_object, size, time_of
from benchmarks._rounds import Result

__all__ = ["rows"]


@dataclass(frozen=True)
class _Line:
    what: str
    case: str
    steps: tuple[str, ...]
    limits: tuple[str, ...]  # peers that only move bytes


_RAW = ("raw",)
_CLIENTS = ("boto3", "s3fs", "obstore")
_FRAME = ("put", "get", "get_touch")

_LINES = (
    _Line("frame of floats, local disk", "frame-floats-256MB", _FRAME, _RAW),
    _Line("mixed frame, local disk", "frame-mixed-256MB", _FRAME, _RAW),
    _Line("one object of many, memory", "bytes-1KiB-memory", ("put", "get"), ("memcpy",)),
    _Line("one object of many, local disk", "bytes-1KiB-local", ("put", "get"), _RAW),
    _Line("array, S3", "s3-array-256MB", ("put", "get"), _CLIENTS),
    _Line("one object of many, S3", "s3-bytes-1KiB", ("put", "get"), _CLIENTS),
    _Line("300 at once, S3", "s3-bytes-1KiB-300-at-once", ("put_many", "get_many"), _CLIENTS),
)


def rows(results: list[Result]) -> list[list[str]]:
    """Give head and rows; a case that was not measured is left out."""
    table = [["", "size", "", "runstore", "limit: bytes alone", "strongest peer", "it gives less"]]
    for line in _LINES:
        of_case = only(results, line.case)
        ours = next((result for result in of_case if result["peer"] == "runstore"), None)
        for step in line.steps:
            if ours is None or (seconds := per_object(ours, step)) is None:
                continue
            limit = _best(of_case, step, line.limits)
            others = [r["peer"] for r in of_case if not r["peer"].startswith("runstore")]
            peer = _best(of_case, step, [p for p in others if p not in (*line.limits, "memcpy")])
            table.append(
                [
                    line.what,
                    size(ours["bytes"]),
                    STEP_NAMES[step],
                    f"**{time_of(seconds)}**",
                    _beside(limit, step, seconds),
                    _beside(peer, step, seconds),
                    peer["lacks"] if peer else "",
                ]
            )
    return table


def _best(results: list[Result], step: str, peers: list[str] | tuple[str, ...]) -> Result | None:
    """The fastest of these peers that gave back the right value."""
    fitting = [
        (seconds, result)
        for result in results
        if result["peer"] in peers and result["status"] == "ok"
        if (seconds := per_object(result, step)) is not None
    ]
    return min(fitting, key=lambda pair: pair[0])[1] if fitting else None


def _beside(result: Result | None, step: str, ours: float) -> str:
    if result is None:
        return ""
    seconds = per_object(result, step) or 0.0
    return f"{result['label']}: {time_of(seconds)}, {seconds / ours:.2f} ×"

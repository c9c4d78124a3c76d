"""Result files, and the few figures that are taken from them."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks._rounds import Result

__all__ = [
    "RESULTS",
    "load",
    "load_all",
    "middle",
    "only",
    "per_object",
    "save",
    "size",
    "spread",
    "time_of",
]

RESULTS = Path(__file__).resolve().parent / "results"


def save(
    path: Path,
    about: dict[str, Any],
    results: list[Result],
    targets: Sequence[dict[str, Any]] = (),
) -> None:
    """Write a result file, whole or not at all; a result a line, so that changes can be read.

    Args:
        path: The file.
        about: Machine, versions, commit, options.
        results: Samples of cases.
        targets: Rows of `python -m benchmarks targets`, which has no samples.
    """
    head = json.dumps(about, indent=1)[:-2]
    lists = [f',\n "results": {_lines(results)}']
    if targets:
        lists.append(f',\n "targets": {_lines(targets)}')
    temporary = path.with_suffix(".tmp")
    temporary.write_text(f"{head}{''.join(lists)}\n}}\n")
    os.replace(temporary, path)  # noqa: PTH105


def _lines(items: Sequence[Any]) -> str:
    return "[\n" + ",\n".join(f"  {json.dumps(item)}" for item in items) + "\n ]"


def load(path: Path) -> dict[str, Any]:
    """Read a result file."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def load_all(folder: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """Read all result files of a folder, by suite."""
    return {path.stem: load(path) for path in sorted(folder.glob("*.json"))}


def middle(result: Result, step: str, measure: str = "seconds") -> float | None:
    """The median of a result's samples; the most for memory. None if it has none."""
    samples = result["samples"].get(step, {}).get(measure)
    if not samples:
        return None
    return float(max(samples) if measure == "peak_bytes" else median(samples))


def per_object(result: Result, step: str, measure: str = "seconds") -> float | None:
    """The median for one object; listings and hand-overs are one thing."""
    found = middle(result, step, measure)
    if found is None or step == "names" or measure == "peak_bytes":
        return found
    return found / (result["count"] * result.get("processes", 1))


def spread(result: Result, step: str) -> tuple[float, float]:
    """The least and the most seconds for one object."""
    seconds = result["samples"][step]["seconds"]
    scale = (per_object(result, step) or 0) / (middle(result, step) or 1)
    return min(seconds) * scale, max(seconds) * scale


def time_of(seconds: float | None) -> str:
    """Write a time with three digits."""
    if seconds is None:
        return "-"
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if abs(seconds) >= scale:
            return f"{_three(seconds / scale)} {unit}"
    return f"{_three(seconds * 1e6)} µs"


def size(count: float | None) -> str:
    """Write a number of bytes with three digits."""
    if count is None:
        return "-"
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{_three(count / scale)} {unit}"
    return f"{count:.0f} B"


def _three(number: float) -> str:
    digits = 2 if abs(number) < 9.995 else 1 if abs(number) < 99.95 else 0
    return f"{number:.{digits}f}"


def only(results: Iterable[Result], case: str) -> list[Result]:
    """The results of one case, in its peers' order."""
    return [result for result in results if result["case"] == case]

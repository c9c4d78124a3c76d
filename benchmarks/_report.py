"""Results to tables: coloured on a terminal, aligned plain text anywhere else."""

import sys
from statistics import median
from typing import Any

from benchmarks._rounds import Result
from benchmarks._short import SHORT
from benchmarks.cases import CASES, FLAT

__all__ = ["report"]

Rows = list[list[str]]

_WHAT = {"put": "put", "get": "get", "get_touch": "get + touch"}


def report(results: list[Result], about: dict[str, Any]) -> None:
    """Print every table, what the peers guarantee, and what failed."""
    where = about["machine"]
    _line(f"runstore benchmarks, commit {about['commit']}, {about['date']}")
    _line(
        f"{where['processor']}, {where['cores']} cores, {where['memory_bytes'] / 2**30:.0f} GiB, "
        f"{where['file_system']}, {where['system']}; load before: {where['load_before']:.1f}"
    )
    _line(", ".join(f"{name} {version}" for name, version in about["versions"].items()))
    _line("median (min to max) of interleaved rounds; page cache warm, nobody waits for the disk;")
    _line("+mem: the most the process grew meanwhile, mapped pages that were read included")
    for case in CASES:
        of_case = [result for result in results if result["case"] == case.name]
        if of_case:
            _case_table(of_case)
    _flatness(results)
    for name in SHORT:
        _short_table(name, [result for result in results if result["case"] == name])
    _guarantees(results)
    for result in results:
        if result["status"] != "ok":
            name = f"{result['case']}, {result['label']}"
            _line(f"{result['status'].upper()}: {name}: {result['error']}")


def _seconds_of(result: Result, what: str) -> float | None:
    """Give the median of a result's samples; None if it has none."""
    samples = result["samples"].get(what)
    return median(samples["seconds"]) if samples else None


def _case_table(results: list[Result]) -> None:
    base = results[0]
    timed = [what for what in _WHAT if any(what in result["samples"] for result in results)]
    head = [""]
    for what in timed:
        head += [_WHAT[what], "min to max", f"x {base['peer']}", "+mem"]
    rows = []
    for result in results:
        row = [result["label"]]
        for what in timed:
            row += _cells(result, base, what)
        rows.append([*row, _size(result.get("stored_bytes")), _remark(result)])
    title = f"{base['case']} on {base['place']}"
    if base.get("bytes"):
        title += f", {_size(base['bytes'])}"
    if base["count"] > 1:
        title += f", each of {base['count']}, one by one"
    if base.get("touch_seconds") and "get_touch" in timed:
        alone = next((r for r in results if r["peer"] == "runstore"), base)
        touch = _time(alone.get("touch_seconds"))
        title += f"; touching the value in memory alone takes {touch}"
    _table(title, [*head, "stored", ""], rows)


def _cells(result: Result, base: Result, what: str) -> list[str]:
    middle, basis = _seconds_of(result, what), _seconds_of(base, what)
    if middle is None:
        return ["-", "", "", ""]
    samples = result["samples"][what]
    seconds = samples["seconds"]
    spread = f"{_time(min(seconds))} to {_time(max(seconds))}"
    ratio = f"{middle / basis:.2f}" if basis else ""
    return [_time(middle), spread, ratio, _size(max(samples["peak_bytes"]))]


def _flatness(results: list[Result]) -> None:
    rows = []
    for name in FLAT:
        for result in results:
            if (result["case"], result["peer"]) == (name, "runstore"):
                times = [_time(_seconds_of(result, what)) for what in _WHAT]
                rows.append([name, _size(result.get("bytes")), *times])
    if rows:
        _table("get flatness: runstore alone, by size", ["", "size", *_WHAT.values()], rows)


def _short_table(name: str, results: list[Result]) -> None:
    if not results:
        return
    base = _seconds_of(results[0], "all") or 0.0
    rows = []
    for result in results:
        middle = _seconds_of(result, "all")
        if middle is None:
            rows.append([result["label"], "-", "", "", _remark(result)])
            continue
        seconds = result["samples"]["all"]["seconds"]
        spread = f"{_time(min(seconds))} to {_time(max(seconds))}"
        rows.append([result["label"], _time(middle), spread, _time(middle - base), ""])
    _table(name, ["", "time", "min to max", "more than the first", ""], rows)


def _guarantees(results: list[Result]) -> None:
    lines = {result["label"]: result["guarantees"] for result in results if "guarantees" in result}
    if lines:
        _table("what each promises", ["", ""], [[*line] for line in lines.items()])


def _table(title: str, head: list[str], rows: Rows) -> None:
    _line("")
    if sys.stdout.isatty():
        _rich_table(title, head, rows)
        return
    _line(title)
    lines = [head, *rows] if any(head) else rows
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        first, *others = line
        cells = [first.ljust(widths[0])]
        if len(others) == 1:  # prose
            cells += others
        else:
            cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        _line(("  " + "  ".join(cells)).rstrip())


def _rich_table(title: str, head: list[str], rows: Rows) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=any(head))
    for i, name in enumerate(head):
        table.add_column(name, justify="right" if i and name else "left")
    for row in rows:
        table.add_row(*row, style="bold" if row[0] == "runstore" else None)
    Console().print(table)


def _remark(result: Result) -> str:
    return "" if result["status"] == "ok" else str(result["status"]).upper()


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if abs(seconds) < 1e-3:
        return f"{seconds * 1e6:.1f} us"
    return f"{seconds * 1e3:.1f} ms" if abs(seconds) < 0.1 else f"{seconds * 1e3:.0f} ms"


def _size(count: int | None) -> str:
    if not count:
        return "0" if count == 0 else ""
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def _line(text: str) -> None:
    print(text)

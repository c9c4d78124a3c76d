"""Results to tables: coloured on a terminal, aligned plain text anywhere else."""

import sys
from typing import Any

from benchmarks._results import middle, only, per_object, size, spread, time_of
from benchmarks._rounds import Result

__all__ = ["STEP_NAMES", "case_rows", "report", "steps_of", "title"]

STEP_NAMES = {
    "put": "put",
    "get": "get",
    "get_touch": "get + touch",
    "get_column": "get 1 column",
    "put_many": "put at once",
    "get_many": "get at once",
    "names": "list",
    "exists": "exists",
    "stat": "stat",
    "delete": "delete",
    "eight_put": "put, 8 processes",
    "eight_get": "get, 8 processes",
    "hand_over": "put, get elsewhere",
    "hand_over_touch": "… and touch",
    "all": "time",
}


def report(results: list[Result], about: dict[str, Any]) -> None:
    """Print every table, what the peers guarantee, and what failed."""
    where = about["machine"]
    print(f"runstore benchmarks, commit {about['commit']}, {about['date']}")
    print(
        f"{where['processor']}, {where['cores']} cores, {where['memory_bytes'] / 2**30:.0f} GiB, "
        f"{where['file_system']}, {where['system']}; load before: {where['load_before']:.1f}"
    )
    print(", ".join(f"{name} {version}" for name, version in about["versions"].items()))
    print("median (least to most) of interleaved rounds, for one object; page cache warm, nobody")
    print("waits for the disk; +mem: the most the process grew meanwhile")
    for case in dict.fromkeys(result["case"] for result in results):
        of_case = only(results, case)
        head, *rows = case_rows(of_case)
        _table(title(of_case), head, rows)
    lines = {result["label"]: result["guarantees"] for result in results if "guarantees" in result}
    if lines:
        _table("what each promises", ["", ""], [[*line] for line in lines.items()])
    for result in results:
        if result["status"] != "ok":
            name = f"{result['case']}, {result['label']}"
            print(f"{result['status'].upper()}: {name}: {result['error']}")


def title(results: list[Result]) -> str:
    """Say what a table is about."""
    base = next((result for result in results if result.get("bytes")), results[0])
    text = f"{base['case']} on {base['place']}"
    if base.get("bytes"):
        text += f", {size(base['bytes'])}"
    if base["count"] > 1:
        text += f", each of {base['count']:,}"
    touch = next((r for r in results if r["peer"] == "runstore" and "touch_seconds" in r), None)
    if touch and "get_touch" in steps_of(results):
        text += f"; touching alone takes {time_of(touch['touch_seconds'])}"
    return text


def steps_of(results: list[Result]) -> list[str]:
    """The steps that were measured for any peer, in their order."""
    return [step for step in STEP_NAMES if any(step in result["samples"] for result in results)]


def case_rows(results: list[Result]) -> list[list[str]]:
    """Give the head and the rows of a case's table, empty columns left out."""
    steps = steps_of(results)
    counted = any("requests" in s for result in results for s in result["samples"].values())
    head = [""]
    for step in steps:
        head += [STEP_NAMES[step], "least to most", "+mem", "CPU"]
        head += ["requests", "moved"] * counted
    rows = [[*head, "stored", ""]]
    for result in results:
        row = [result["label"]]
        for step in steps:
            row += _cells(result, step, counted)
        stored = result.get("stored_bytes")
        remark = "" if result["status"] == "ok" else str(result["status"]).upper()
        rows.append([*row, size(stored) if stored else "", remark])
    used = [i for i in range(len(rows[0])) if i == 0 or any(row[i] for row in rows[1:])]
    return [[row[i] for i in used] for row in rows]


def _cells(result: Result, step: str, counted: bool) -> list[str]:
    seconds = per_object(result, step)
    if seconds is None:
        return ["-", "", "", ""] + ["", ""] * counted
    least, most = spread(result, step)
    peak = middle(result, step, "peak_bytes")
    cpu = per_object(result, step, "cpu_seconds")
    cells = [time_of(seconds), f"{time_of(least)} to {time_of(most)}"]
    cells += [size(peak) if peak is not None else "", time_of(cpu) if cpu is not None else ""]
    if counted:
        requests = per_object(result, step, "requests")
        moved = [per_object(result, step, way) or 0 for way in ("received_bytes", "sent_bytes")]
        cells += [f"{requests:.3g}" if requests is not None else "", size(sum(moved))]
    return cells


def _table(title: str, head: list[str], rows: list[list[str]]) -> None:
    print()
    if sys.stdout.isatty():
        _rich_table(title, head, rows)
        return
    print(title)
    lines = [head, *rows] if any(head) else rows
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        first, *others = line
        cells = [first.ljust(widths[0])]
        if len(others) == 1:  # prose
            cells += others
        else:
            cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        print(("  " + "  ".join(cells)).rstrip())


def _rich_table(title: str, head: list[str], rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=any(head))
    for i, name in enumerate(head):
        table.add_column(name, justify="right" if i and name else "left")
    for row in rows:
        table.add_row(*row, style="bold" if row[0] == "runstore" else None)
    Console().print(table)

"""`python -m benchmarks tables`: write tables and plots of the published results.

A table stands in a page between `<!-- table: NAME -->` and `<!-- end of table -->`; what is
between them is replaced, and nothing else.
"""

import argparse
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import _headline
from benchmarks._budget import budget
from benchmarks._figures import FIGURES
from benchmarks._report import STEP_NAMES, steps_of
from benchmarks._results import RESULTS, load_all, only, per_object, size, spread, time_of
from benchmarks._rounds import Result

__all__ = ["PAGES", "main", "rendered"]

_ROOT = Path(__file__).resolve().parents[1]
_FIGURES = _ROOT / "docs" / "figures"
PAGES = (_ROOT / "README.md", _ROOT / "docs" / "performance.md")
_TABLE = re.compile(r"(<!-- table: ([\w ,+.-]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)

Files = dict[str, dict[str, Any]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite the tables of all pages and draw the plots."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks tables", description=__doc__)
    parser.add_argument("--no-plots", action="store_true", help="tables alone; no matplotlib")
    options = parser.parse_args(arguments)
    files = load_all(RESULTS)
    for page in PAGES:
        page.write_text(rendered(page.read_text(), files, page.parent))
        print(f"tables: {page.relative_to(_ROOT)}")
    if not options.no_plots:
        from benchmarks.plots import draw

        for path in draw(files, _FIGURES):
            print(f"plot: {path.relative_to(_ROOT)}")
    return 0


def rendered(text: str, files: Files, folder: Path = _ROOT) -> str:
    """Give a page with its tables as the results have them.

    Args:
        text: The page.
        files: Result files by suite.
        folder: Where the page stands: its figures are linked from there.
    """

    def table(match: re.Match[str]) -> str:
        kind, _, name = match[2].partition(" ")
        made = _figure(name, files, folder) if kind == "figure" else _table(match[2], files)
        return f"{match[1]}{made}\n{match[3]}"

    return _TABLE.sub(table, text)


def _figure(name: str, files: Files, folder: Path) -> str:
    """Link a figure, if there is something to be drawn on it."""
    results = [result for file in files.values() for result in file["results"]]
    if not any(result["case"].startswith(FIGURES[name].cases) for result in results):
        return "*Not measured yet.*"
    path = os.path.relpath(_FIGURES / f"{name}.svg", folder)
    return f"![{FIGURES[name].caption}]({path})"


def _table(name: str, files: Files) -> str:
    """Make a table: one of the named ones, or that of a case."""
    results = [result for file in files.values() for result in file["results"]]
    named: dict[str, Callable[[], str]] = {
        "headline": lambda: _markdown(_headline.rows(results)),
        "budget": lambda: _markdown(budget(results)),
        "machine": lambda: _machine(files),
        "targets": lambda: _targets(files),
        "failures": lambda: _failures(results),
    }
    if name in named:
        return named[name]()
    return _case(only(results, name))


def _case(results: list[Result]) -> str:
    if not results:
        return "*Not measured yet.*"
    steps = steps_of(results)
    counted = any("requests" in s for result in results for s in result["samples"].values())
    base = next((r for r in results if r["peer"] == "runstore"), results[0])
    head = ["", *(STEP_NAMES[step] for step in steps), "most memory", "CPU"]
    rows = [[*head, *(["requests", "moved"] if counted else []), "stored", "gives less"]]
    for result in results:
        row = [f"**{result['label']}**" if result is base else result["label"]]
        row += [_cell(result, base, step) for step in steps]
        row += [
            _all(result, steps, "peak_bytes", size),
            _all(result, steps, "cpu_seconds", time_of),
        ]
        if counted:
            row.append(_all(result, steps, "requests", lambda n: f"{n:.3g}"))
            row.append(_moved(result, steps))
        stored = result.get("stored_bytes")
        less = result.get("lacks") or ""
        if result["status"] != "ok":
            less = f"**{result['status']}**" + (f"; {less}" if less else "")
        rows.append([*row, size(stored) if stored else "", less])
    used = [i for i in range(len(head)) if i < 1 + len(steps) or any(r[i] for r in rows[1:])]
    used += list(range(len(head), len(rows[0])))
    return f"{_caption(results)}\n\n{_markdown([[row[i] for i in used] for row in rows])}"


def _caption(results: list[Result]) -> str:
    base = next((r for r in results if r.get("bytes")), results[0])
    text = f"`{base['case']}`: {size(base.get('bytes'))}"
    if base["count"] > 1:
        text += f" each of {base['count']:,} objects; time, CPU and requests for one"
    if base["filled"]:
        text += f" each of {base['filled']:,} objects"
    rounds = max((len(s["seconds"]) for r in results for s in r["samples"].values()), default=0)
    return f"{text}; {base['place']}; {rounds} round{'s' * (rounds != 1)}."


def _cell(result: Result, base: Result, step: str) -> str:
    seconds, ours = per_object(result, step), per_object(base, step)
    if seconds is None:
        return "-"
    least, most = spread(result, step)
    text = f"{time_of(seconds)} ({time_of(least)} to {time_of(most)})"
    if result is not base and ours:
        text += f", {seconds / ours:.2f} ×"
    return text


def _all(result: Result, steps: list[str], measure: str, write: Callable[[float], str]) -> str:
    """Write a measure of each step, in the steps' order."""
    found = [per_object(result, step, measure) for step in steps]
    return ", ".join("-" if value is None else write(value) for value in found)


def _moved(result: Result, steps: list[str]) -> str:
    cells = []
    for step in steps:
        ways = [per_object(result, step, f"{way}_bytes") for way in ("received", "sent")]
        cells.append("-" if None in ways else size(sum(way or 0 for way in ways)))
    return ", ".join(cells)


def _failures(results: list[Result]) -> str:
    lines = dict.fromkeys(
        f"- {result['label']}, `{result['case']}`: {result['status']}. `{_short(result['error'])}`"
        for result in results
        if result["status"] != "ok"
    )
    return "\n".join(lines) or "None."


def _short(error: str) -> str:
    return " ".join(error.split()).replace("`", "'")[:200]


def _targets(files: Files) -> str:
    """A line for each promised speed; what is missed is in bold letters."""
    rows = [["what", "target", "measured", "met", "group"]]
    for row in files.get("targets", {}).get("targets", []):
        met = "yes" if row["met"] else "**no**"
        rows.append([row["what"], row["target"], row["measured"], met, f"`{row['group']}`"])
    return _markdown(rows)


def _machine(files: Files) -> str:
    lines = []
    for suite, file in files.items():
        where = file["machine"]
        lines.append(
            f"- `{suite}`: {file['date'][:10]}, commit {file['commit']}, {where['processor']}, "
            f"{where['cores']} cores, {where['memory_bytes'] / 2**30:.0f} GiB, {where['system']}, "
            f"{where['file_system']}; "
            + ", ".join(f"{name} {version}" for name, version in file["versions"].items())
        )
    return "\n".join(lines) or "*Not measured yet.*"


def _markdown(rows: list[list[str]]) -> str:
    if len(rows) < 2:
        return "*Not measured yet.*"
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], f"|{' --- |' * len(rows[0])}", *lines[1:]])

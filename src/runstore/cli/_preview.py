"""The beginning of a value: some rows of a table, items of an array, or lines of text."""

import json
import shutil
import sys
from dataclasses import dataclass
from typing import Any

from runstore.arguments import printable
from runstore.cli._output import Column, counted, emit, table

__all__ = ["Preview", "preview", "print_preview"]

_LINES = 40  # of text, unless more rows are asked for
_WIDEST = 40  # characters of one cell


@dataclass(frozen=True)
class Preview:
    """The beginning of a value.

    Attributes:
        document: The same as JSON: records of a table, items of an array, the text,
            the value itself, or the `repr` of any other.
        columns: Name and type of each column, of a table.
        rows: The first rows, of a table.
        total: How many rows the table has.
        text: The beginning of a value that is no table, as text.
        index: How many columns, the last ones, are the index of a frame.
    """

    document: Any
    columns: list[tuple[str, str]] | None = None
    rows: list[list[Any]] | None = None
    total: int = 0
    text: str = ""
    index: int = 0


def preview(value: Any, count: int) -> Preview:
    """Return the beginning of *value*: *count* rows or items."""
    from runstore.cli._tables import first_rows, index_count, is_array, is_tabular, row_count
    from runstore.codecs import is_json

    if is_tabular(value):
        columns, rows = first_rows(value, count)
        names = [name for name, _ in columns]
        records = [dict(zip(names, row, strict=True)) for row in rows]
        levels = index_count(value, len(columns))
        return Preview(records, columns, rows, row_count(value), index=levels)
    if is_array(value):
        head = f"{value.dtype} {value.shape}"
        first = value[:count] if value.ndim else value
        return Preview(
            {"dtype": str(value.dtype), "shape": list(value.shape), "first": first.tolist()},
            text=f"{head}\n{first}{' …' if value.ndim and len(value) > count else ''}",
        )
    if isinstance(value, str):
        return Preview(value, text=_first_lines(value, count))
    if isinstance(value, (bytes, bytearray)):
        shown = bytes(value[: 16 * max(count, 1)])
        return Preview(
            {"first": shown.hex(), "length": len(value)},
            text=f"{shown!r}{' …' if len(value) > len(shown) else ''}",
        )
    if is_json(value):
        return Preview(
            value, text=_first_lines(json.dumps(value, indent=2, ensure_ascii=False), count)
        )
    return Preview(repr(value), text=_first_lines(repr(value), count))


def print_preview(shown: Preview) -> None:
    """Print a preview; on a terminal, only as many columns of a table as fit."""
    if shown.columns is None or shown.rows is None:
        for line in shown.text.split("\n"):
            emit(line)
        return
    cells = [[_cell(item) for item in row] for row in shown.rows]
    kinds = [kind for _, kind in shown.columns]
    own = len(kinds) - shown.index
    lines = [
        [name for name, _ in shown.columns],
        kinds[:own] + [f"{kind} (index)" for kind in kinds[own:]],
        *cells,
    ]
    fit = _fitting(lines) if sys.stdout.isatty() else len(shown.columns)
    numbers = [
        all(isinstance(row[i], (int, float, type(None))) for row in shown.rows) for i in range(fit)
    ]
    table(
        [
            Column(name, right)
            for (name, _), right in zip(shown.columns[:fit], numbers, strict=True)
        ],
        [row[:fit] for row in lines[1:]],
    )
    left = []
    if shown.total > len(cells):
        left.append(counted(shown.total - len(cells), "more row"))
    if hidden := [f"{name} ({kind})" for name, kind in shown.columns[fit:]]:
        left.append(f"{counted(len(hidden), 'more column')}: {', '.join(hidden)}")
    for line in left:
        emit(f"… {line}")


def _fitting(lines: list[list[str]]) -> int:
    """Return how many columns fit into the terminal, at least one."""
    room = shutil.get_terminal_size().columns
    for count, column in enumerate(zip(*lines, strict=True)):
        room -= max(map(len, column)) + 2
        if room < -2:
            return max(count, 1)
    return len(lines[0])


def _cell(item: Any) -> str:
    if item is None:
        return "null"
    text = f"{item:.6g}" if isinstance(item, float) else printable(str(item))
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _first_lines(text: str, count: int) -> str:
    lines = text.split("\n")
    most = max(count, _LINES)
    if len(lines) <= most:
        return text
    return "\n".join([*lines[:most], f"… {counted(len(lines) - most, 'more line')}"])

"""Cells of a table as short texts for people."""

import json
import math
from typing import Any, NamedTuple

import pyarrow as pa

from runstore.store.rows import LeftOut

__all__ = ["Cell", "cells_of", "shown_value"]

_WIDEST = 200  # characters of one cell


class Cell(NamedTuple):
    """One cell.

    Attributes:
        text: What is shown.
        kind: ``null``, ``number``, ``text``, or ``none`` if it could not be read.
    """

    text: str
    kind: str = "text"


def cells_of(column: "pa.Array | pa.ChunkedArray | LeftOut", count: int) -> list[Cell]:
    """Return the cells of a column; of one that was not read, as many empty ones."""
    if isinstance(column, LeftOut):
        return [Cell("", "none")] * count
    try:
        items: list[Any] = column.to_pylist()
    except (OverflowError, ValueError):  # times that Python has no value for, text not in UTF-8
        items = [_plain(scalar) for scalar in column]
    return [shown_value(item) for item in items]


def shown_value(item: Any) -> Cell:
    """Return one value as a short text."""
    if item is None:
        return Cell("null", "null")
    if isinstance(item, bool):
        return Cell(str(item).lower())
    if isinstance(item, float):
        if not math.isfinite(item):
            return Cell(str(item), "number")
        return Cell(f"{item:.6g}", "number")
    if isinstance(item, int):
        return Cell(_cut(str(item)) if item.bit_length() < _LONGEST_INT else "…", "number")
    if isinstance(item, str):
        return Cell(_cut(item))
    if isinstance(item, bytes):
        return Cell(_cut(repr(item[:_WIDEST])))
    if isinstance(item, (list, dict)):
        return Cell(_cut(json.dumps(item, ensure_ascii=False, default=str)[: _WIDEST + 1]))
    return Cell(_cut(str(item)))


_LONGEST_INT = 4096  # bits; Python refuses to write longer ones


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _plain(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except (OverflowError, ValueError):
        return str(getattr(scalar, "value", scalar))

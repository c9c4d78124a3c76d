"""Comparisons of columns of numbers with numbers that such a column cannot hold.

Arrow brings both sides to one type first, and fails where a value of either has none there: a large
int64 beside 1.5, a large uint64 beside -1. So a number is brought to the type of the column here;
where that has no such value, the comparison is another one that says the same, or one that is the
same for all rows.
"""

import math
from operator import eq, ge, gt, le, lt, ne
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

__all__ = ["compared_number", "is_comparable", "numbers_in"]

_COMPARE = {"=": eq, "==": eq, "!=": ne, "<": lt, ">": gt, "<=": le, ">=": ge}


def is_comparable(value: Any, kind: pa.DataType) -> bool:
    """Return whether a value is a number, and of a column of *kind*, ints or floats, one, too."""
    if isinstance(value, (bool, np.bool_)) or not (
        kinds.is_integer(kind) or kinds.is_floating(kind)
    ):
        return False
    return isinstance(value, (int, float, np.integer, np.floating))


def compared_number(column: pc.Expression, kind: pa.DataType, operator: str, value: Any) -> Any:
    """Return the comparison of a column with a number; see `is_comparable`."""
    number = _plain(value)
    if kinds.is_floating(kind):
        return _with_float(column, operator, number)
    if isinstance(number, float) and not math.isfinite(number):
        return _always(column, operator, number)
    whole = math.floor(number)
    if whole != number:  # between two ints
        if operator in ("=", "==", "!="):
            return _always(column, operator, math.nan)
        operator = "<=" if operator in ("<", "<=") else ">"
    least, most = _bounds(kind)
    if not least <= whole <= most:
        return _always(column, operator, math.inf if whole > most else -math.inf)
    return _COMPARE[operator](column, pa.scalar(whole, kind))


def numbers_in(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Return those of some numbers that a column of *kind* can hold, and the missing ones."""
    held = []
    for value in values:
        number = None if value is None else _plain(value)
        if number is None or kinds.is_floating(kind):
            fits = number is None or _as_float(number) == number or number != number
        elif isinstance(number, float) and not math.isfinite(number):
            fits = False
        else:
            least, most = _bounds(kind)
            fits = math.floor(number) == number and least <= number <= most
        if fits:
            held.append(number if number is None else _held(number, kind))
    return pa.array(held, pa.float64() if kinds.is_floating(kind) else kind)


def _held(number: float, kind: pa.DataType) -> float:
    return float(number) if kinds.is_floating(kind) else int(number)


def _with_float(column: pc.Expression, operator: str, number: float) -> Any:
    near = _as_float(number)
    if near == number or number != number:
        return _COMPARE[operator](column, pa.scalar(near, pa.float64()))
    if operator in ("=", "==", "!="):
        return _always(column, operator, math.nan)
    above = near > number  # all floats below the number are below this one, which is above it
    below = ("<", ">=") if above else ("<=", ">")
    operator = below[0] if operator in ("<", "<=") else below[1]
    return _COMPARE[operator](column, pa.scalar(near, pa.float64()))


def _always(column: pc.Expression, operator: str, number: float) -> Any:
    """Return a comparison that is the same for all rows: as that of 0 with *number*."""
    return column.is_valid() if _COMPARE[operator](0.0, number) else pc.scalar(False)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _bounds(kind: pa.DataType) -> tuple[int, int]:
    if kinds.is_unsigned_integer(kind):
        return 0, (1 << kind.bit_width) - 1
    return -1 << (kind.bit_width - 1), (1 << (kind.bit_width - 1)) - 1

"""The smallest and the largest value in a part of a column, and what that says to a filter."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.types as kinds

from runstore.lifetime import load_module

if TYPE_CHECKING:
    import pyarrow.compute as pc

__all__ = ["Range", "guarantee", "has_range", "is_orderly", "range_of"]

Range = tuple[int | str | None, int | str | None, bool]
"""The smallest and the largest value, and whether there are nulls. Times are numbers, numbers with
a fraction are hexadecimal text; both are None where all is null."""

_LONGEST = 128  # characters of a text that is kept
_MOST = 1 << 64


def has_range(kind: pa.DataType) -> bool:
    """Return whether ranges are kept of columns of this type."""
    text = kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind)
    return bool(
        kinds.is_integer(kind) or kinds.is_floating(kind) or _is_time(kind) or text
    ) or bool(kinds.is_boolean(kind))


def range_of(column: pa.Array) -> tuple[Range, Any, Any] | None:
    """Return the range of a column, and its ends to be compared with those of another part.

    Returns:
        None if there is NaN in it, which is neither smaller nor larger than a number, or long
        text.
    """
    try:
        return _range_of(column)
    except pa.ArrowNotImplementedError:  # an older Arrow compares fewer types
        return None


def _range_of(column: pa.Array) -> tuple[Range, Any, Any] | None:
    nulls = column.null_count > 0
    if column.null_count == len(column):
        return (None, None, nulls), None, None
    kind = column.type
    if _is_time(kind):
        column = column.view(pa.int64() if kind.bit_width == 64 else pa.int32())
    if kinds.is_floating(kind):
        found = _of_floats(column)
        return None if found is None else ((found[0].hex(), found[1].hex(), nulls), *found)
    if not nulls and (kinds.is_integer(kind) or _is_time(kind)):
        array = column.to_numpy()
        low, high = array.min().item(), array.max().item()
    else:
        if kinds.is_string_view(kind):
            column = column.cast(pa.large_string())
        ends = load_module("pyarrow.compute").min_max(column)  # slow to import
        low, high = ends["min"].as_py(), ends["max"].as_py()
    if isinstance(low, str):
        return None if max(len(low), len(high)) > _LONGEST else ((low, high, nulls), low, high)
    return (int(low), int(high), nulls), low, high


def _of_floats(column: pa.Array) -> tuple[float, float] | None:
    array = (column.drop_null() if column.null_count else column).to_numpy()
    low, high = float(array.min()), float(array.max())
    return None if np.isnan(low) or np.isnan(high) else (low, high)


def is_orderly(told: Any) -> bool:
    """Return whether something that was read is a range, as it stands in a file, or None."""
    if told is None:
        return True
    if not isinstance(told, list) or len(told) != 3 or type(told[2]) is not bool:
        return False
    return all(
        one is None or type(one) is str or (type(one) is int and abs(one) <= _MOST)
        for one in told[:2]
    )


def guarantee(name: str, kind: pa.DataType, told: Range | None) -> "pc.Expression | None":
    """Return what holds for every value of a column in a piece; None if that is not known.

    Raises:
        ValueError, TypeError, pa.ArrowException: The range is none of this type.
    """
    if told is None:
        return None
    column: pc.Expression = load_module("pyarrow.compute").field(name)
    low, high, nulls = told
    if low is None or high is None:
        return column.is_null() if nulls else None
    known = (column >= _scalar(low, kind)) & (column <= _scalar(high, kind))
    return known | column.is_null() if nulls else known


def _scalar(value: Any, kind: pa.DataType) -> pa.Scalar:
    if _is_time(kind):
        return pa.scalar(value, pa.int64() if kind.bit_width == 64 else pa.int32()).cast(kind)
    if kinds.is_floating(kind):
        return pa.scalar(float.fromhex(value), pa.float64()).cast(kind)
    if kinds.is_boolean(kind):
        return pa.scalar(bool(value))
    return pa.scalar(value, kind)


def _is_time(kind: pa.DataType) -> bool:
    return bool(
        kinds.is_date(kind)
        or kinds.is_time(kind)
        or kinds.is_timestamp(kind)
        or kinds.is_duration(kind)
    )

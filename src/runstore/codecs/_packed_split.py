"""Integers of which most are small and some are large, each in about as many bytes as it needs.

A column is as wide as its largest number. Here it is three: the small ones, whether each is large
instead, and the large ones. They differ in length, so the batch has one row of lists.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from runstore.codecs._base import Opened
from runstore.codecs._packed_arrays import offsets_of
from runstore.codecs._packed_scalars import raw_column, view_of
from runstore.codecs._types import check_type, is_truth
from runstore.errors import CorruptObjectError

__all__ = ["SPLIT", "numbers_back", "row_of", "split_numbers", "unwrapped"]

Array = np.ndarray[Any, Any]
Spec = dict[str, Any]

SPLIT = "split int"
"""``k`` of a column that is stored as three."""

_SAMPLE = 1024  # numbers that tell whether it is worth looking at all of them
_WORTH = 0.9  # of the bytes that they take otherwise
_LONGEST = 4  # bytes of a small one


def split_numbers(column: pa.Array, spec: Spec) -> tuple[list[pa.Array], Spec] | None:
    """Return a column of integers as three, and what `numbers_back` needs.

    Returns:
        None if it is of anything else, or three are hardly smaller.
    """
    if spec["k"] not in ("int", "large int") or not len(column) or spec.get("nulls"):
        return None
    if spec["k"] == "int":
        values = np.frombuffer(column.buffers()[1], column.type.to_pandas_dtype())
        costs = np.broadcast_to(np.int64(values.itemsize), len(values))
    else:
        values, costs = _of_bytes(column)
    step = len(values) // _SAMPLE + 1
    narrow = _narrowest(values[::step], costs[::step])
    if narrow is None:
        return None
    large = _beyond(values, narrow)
    if _taken(large, costs, narrow) >= _WORTH * float(costs.sum()):
        return None
    small = values.astype(narrow)
    small[large] = 0
    flags = pa.array(large, pa.bool_())
    columns = [raw_column(pa.from_numpy_dtype(small.dtype), small), flags, column.filter(flags)]
    return columns, {"k": SPLIT, "of": spec}


def _of_bytes(column: pa.Array) -> tuple[Array, Array]:
    """Return integers that are stored as bytes, long ones as the largest int64, and sizes."""
    wide = pa.types.is_large_binary(column.type)
    offsets = np.frombuffer(column.buffers()[1], "i8" if wide else "i4")[: len(column) + 1]
    data = np.frombuffer(column.buffers()[2], "u1")
    lengths, values = np.diff(offsets).astype("i8"), np.zeros(len(column), "i8")
    for at in range(_LONGEST):
        there = np.flatnonzero(lengths > at)
        values[there] |= data[offsets[there] + at].astype("i8") << 8 * at
    unused = 8 * (8 - np.minimum(lengths, _LONGEST))
    values = (values << unused) >> unused  # with their signs
    values[lengths > _LONGEST] = np.iinfo("i8").max
    return values, lengths + offsets.itemsize


def _narrowest(values: Array, costs: Array) -> str | None:
    """Return the type of small ones with which all take least; None if that is not worth it."""
    found, least = None, _WORTH * float(costs.sum())
    for narrow in ("i1", "u1", "i2", "u2", "i4", "u4"):
        taken = _taken(_beyond(values, narrow), costs, narrow)
        if taken < least:
            found, least = narrow, taken
    return found


def _taken(large: Array, costs: Array, narrow: str) -> float:
    rest = float(np.dot(large, costs)) if costs.strides[0] else int(large.sum()) * int(costs[0])
    return (np.dtype(narrow).itemsize + 1 / 8) * len(large) + rest


def _beyond(values: Array, narrow: str) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    info = np.iinfo(narrow)
    if values.dtype.kind == "u":
        return values > info.max
    return (values < info.min) | (values > info.max)


def numbers_back(
    opened: Opened, columns: list[pa.Array], unpacked: Callable[[pa.Array], list[int]]
) -> list[int]:
    """Rebuild the numbers that `split_numbers` was given.

    Args:
        opened: The object.
        columns: The three.
        unpacked: Returns the large ones.

    Raises:
        CorruptObjectError: The columns do not fit each other.
    """
    small, flags, rest = columns
    check_type(opened, small.type, pa.types.is_integer)
    check_type(opened, flags.type, is_truth)
    large = flags.to_numpy(zero_copy_only=False)
    if len(large) != len(small) or flags.null_count or np.count_nonzero(large) != len(rest):
        raise CorruptObjectError(f"{opened.ref} is damaged: numbers are missing", opened.ref)
    numbers = view_of(opened, small, small.type.to_pandas_dtype()).astype(object)
    numbers[large] = unpacked(rest)
    found: list[int] = numbers.tolist()
    return found


def row_of(columns: list[pa.Array], names: list[str]) -> pa.RecordBatch:
    """Return columns of any lengths as one row of lists."""
    lists = [
        pa.LargeListArray.from_arrays(pa.array([0, len(column)], pa.int64()), column)
        for column in columns
    ]
    return pa.RecordBatch.from_arrays(lists, names=names)


def unwrapped(opened: Opened, row: pa.RecordBatch) -> list[pa.Array]:
    """Undo `row_of`.

    Raises:
        CorruptObjectError: It is not one row of lists.
    """
    if row.num_rows != 1:
        raise CorruptObjectError(f"{opened.ref} is damaged: not one row", opened.ref)
    return [offsets_of(opened, column)[1] for column in row.columns]

"""What is in the columns of a stored table: nulls, range, distinct values, a small histogram.

Bounded in memory and in bytes that are read: of a long table rows from several places of it are
looked at, one column after the other, and the profile says of how many.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from runstore.queries._cells import shown_value
from runstore.queries._preview import kind_of
from runstore.store.rows import LeftOut, LookedAt

__all__ = ["ColumnProfile", "profiled"]

_ROWS = 100_000  # that are looked at of one column
_FEW_ROWS = 1_000  # where those take too many bytes
_BLOCKS = 16  # places of a long table that rows are taken from
_OF_COLUMN = 4 << 20  # bytes of one column
_OF_ALL = 48 << 20  # bytes of all columns together
_BINS = 16
_TOP = 3


@dataclass(frozen=True)
class ColumnProfile:
    """What was seen of one column.

    Attributes:
        name, type: As stored.
        seen: How many rows were looked at.
        whole: Whether those are all rows.
        nulls, nans: How many of them are null, or not a number.
        distinct: How many different values they have; None where that was not counted.
        least, most: The smallest and largest value, as text; None if there is none.
        bins: How many values lie in each of equal parts of the range.
        top: The most frequent values, and how often each occurs.
        reason: Why nothing is known, instead of all this.
    """

    name: str
    type: str
    seen: int = 0
    whole: bool = True
    nulls: int = 0
    nans: int = 0
    distinct: int | None = None
    least: str | None = None
    most: str | None = None
    bins: list[int] = field(default_factory=list)
    top: list[tuple[str, int]] = field(default_factory=list)
    reason: str | None = None


def profiled(table: LookedAt, columns: Sequence[int]) -> list[ColumnProfile]:
    """Profile some columns of a table.

    Raises:
        CorruptObjectError: What was read is damaged.
        ObjectNotFoundError, PreconditionFailedError: It was deleted or replaced meanwhile.
        StorageError: The place failed.
    """
    found, left = [], _OF_ALL
    for column in columns:
        told = table.columns[column]
        kind = kind_of(table.schema.field(column).type)
        if told.pickled:
            found.append(ColumnProfile(told.name, kind, reason="pickled: not loaded"))
            continue
        cells = _sample(table, column, _ROWS if left > _OF_COLUMN else _FEW_ROWS)
        if isinstance(cells, LeftOut):
            cells = _sample(table, column, _FEW_ROWS)
        if isinstance(cells, LeftOut):
            found.append(ColumnProfile(told.name, kind, reason=cells.reason))
            continue
        left -= cells.get_total_buffer_size()
        try:
            found.append(_profile(told.name, kind, cells, table.rows))
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as exc:  # of rare types, as they come
            found.append(ColumnProfile(told.name, kind, reason=f"Arrow cannot look into it: {exc}"))
    return found


def _sample(table: LookedAt, column: int, rows: int) -> Any:
    """Return cells of a column: all of a short one, else from several places."""
    if table.rows <= rows:
        return table.window(0, table.rows, [column], _OF_COLUMN)[0]
    size = rows // _BLOCKS
    chunks: list[pa.Array] = []
    for i in range(_BLOCKS):
        start = (table.rows - size) * i // (_BLOCKS - 1)
        cells = table.window(start, size, [column], _OF_COLUMN // _BLOCKS)[0]
        if isinstance(cells, LeftOut):
            return cells
        chunks += cells.chunks
    return pa.chunked_array(chunks, chunks[0].type)


def _profile(name: str, kind: str, cells: pa.ChunkedArray, rows: int) -> ColumnProfile:
    cells = _unlabelled(cells)
    known: dict[str, Any] = {"nulls": cells.null_count}
    values = cells.drop_null()
    if kinds.is_floating(values.type):
        nan = pc.is_nan(values)
        known["nans"] = pc.sum(nan).as_py() or 0
        values = values.filter(pc.invert(nan))
    ordered = _is_ordered(values.type)
    if ordered or kinds.is_boolean(values.type):
        known["distinct"] = pc.count_distinct(values).as_py()
    if ordered and len(values):
        known["least"], known["most"] = _span(values)
    if (numbers := _numbers(values)) is not None and len(numbers):
        known["bins"] = _bins(numbers, kinds.is_integer(values.type))
    elif ordered or kinds.is_boolean(values.type):
        known["top"] = _top(values)
    return ColumnProfile(name, kind, len(cells), len(cells) == rows, **known)


def _unlabelled(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return labels as what they stand for, and extension types as what they are stored as."""
    kind = cells.type
    if isinstance(kind, pa.BaseExtensionType):
        return _unlabelled(cells.cast(kind.storage_type))
    if kinds.is_dictionary(kind):
        return _unlabelled(cells.cast(kind.value_type))
    if kinds.is_string_view(kind):
        return cells.cast(pa.large_string())
    if kinds.is_float16(kind):  # these are compared by no kernel; the wider type holds each exactly
        return cells.cast(pa.float32())
    if kinds.is_decimal(kind) and kind.bit_width < 128:
        return cells.cast(pa.decimal128(kind.precision, kind.scale))
    return cells


def _span(values: pa.ChunkedArray) -> tuple[str, str]:
    """Return the smallest and the largest value as text."""
    kind = values.type
    counts = kinds.is_duration(kind)  # which no kernel compares, but as numbers
    ends = pc.min_max(values.cast(pa.int64()) if counts else values)
    least, most = (ends[end].cast(kind) if counts else ends[end] for end in ("min", "max"))
    return _text(least), _text(most)


def _is_ordered(kind: pa.DataType) -> bool:
    text = kinds.is_string(kind) or kinds.is_large_string(kind)
    number = kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_decimal(kind)
    return bool((text or number or kinds.is_temporal(kind)) and not kinds.is_interval(kind))


def _numbers(values: pa.ChunkedArray) -> "np.ndarray[Any, Any] | None":
    kind = values.type
    if kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_decimal(kind):
        numbers = _in_numpy(values.cast(pa.float64(), safe=False), np.float64)
    elif kinds.is_date32(kind) or kinds.is_time32(kind):
        numbers = _in_numpy(values.cast(pa.int32()), np.int32).astype(float)
    elif kinds.is_temporal(kind) and not kinds.is_interval(kind):
        numbers = _in_numpy(values.cast(pa.int64()), np.int64).astype(float)
    else:
        return None
    found: np.ndarray[Any, Any] = numbers[np.isfinite(numbers)]
    return found


def _in_numpy(values: pa.ChunkedArray, kind: type) -> "np.ndarray[Any, Any]":
    """Return numbers without nulls. `to_numpy` would import pandas, for half of the first look."""
    parts: list[np.ndarray[Any, Any]] = [
        np.frombuffer(one.buffers()[1], kind)[one.offset : one.offset + len(one)]
        for one in values.chunks
        if len(one)
    ]
    return np.concatenate(parts) if parts else np.empty(0, kind)


def _bins(numbers: "np.ndarray[Any, Any]", whole: bool) -> list[int]:
    low, high = float(numbers.min()), float(numbers.max())
    if whole and 0 < high - low < _BINS:  # one for each number
        return [int(n) for n in np.bincount((numbers - low).astype(np.int64))]
    if low == high or not np.isfinite(high - low):
        return [len(numbers)]
    at = ((numbers - low) / (high - low) * _BINS).astype(np.int64)
    counts: list[int] = np.bincount(np.clip(at, 0, _BINS - 1), minlength=_BINS).tolist()
    return counts


def _top(values: pa.ChunkedArray) -> list[tuple[str, int]]:
    counted = pc.value_counts(values)
    order = pc.select_k_unstable(counted.field("counts"), _TOP, [("", "descending")])
    return [(_text(one["values"]), one["counts"].as_py()) for one in counted.take(order)]


def _text(scalar: Any) -> str:
    try:
        return shown_value(scalar.as_py()).text
    except (OverflowError, ValueError):
        return str(getattr(scalar, "value", scalar))

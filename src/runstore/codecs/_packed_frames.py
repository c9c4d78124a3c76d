"""Many small pandas frames of the same columns as one Arrow column of lists, and back.

The frames are put one behind the other. So another reader finds each as a list of structs, and
nothing but its values is stored for each.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from runstore.codecs._base import Opened
from runstore.codecs._packed_arrays import list_column, offsets_of
from runstore.codecs._packed_scalars import UnpackableError, view_of
from runstore.codecs._pandas import from_blocks, grouped
from runstore.codecs._pandas_columns import decode_column, encode_exactly
from runstore.codecs._pandas_index import (
    decode_flat_index,
    decode_name,
    encode_flat_index,
    encode_name,
)
from runstore.codecs._pandas_labels import decode_labels, encode_labels
from runstore.codecs._pickle import Pickling
from runstore.codecs._types import check_type
from runstore.errors import CorruptObjectError

__all__ = ["encode_frames", "frames_back"]

Spec = dict[str, Any]

_LARGEST = 1 << 14  # bytes that a frame has on average; larger ones are not copied together
_WIDEST = 256  # columns
_INDEXES = (pd.Index, pd.DatetimeIndex, pd.TimedeltaIndex)
_MASKED = tuple(
    type(pd.array([], dtype=name).dtype)
    for name in (
        *("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"),
        *("Float32", "Float64", "boolean"),
    )
)


def encode_frames(frames: list[Any]) -> tuple[pa.Array, Spec]:
    """Return *frames* one behind the other in a column of lists, and what `frames_back` needs.

    Raises:
        UnpackableError: They have other columns, dtypes or kinds of index than the first, are
            large, or have columns of which not every cell is kept by Arrow.
    """
    first = frames[0]
    counts = np.fromiter(map(len, frames), "i8", len(frames))
    width = first.shape[1]
    if not 0 < width <= _WIDEST or 8 * width * int(counts.sum()) > _LARGEST * len(frames):
        raise UnpackableError
    labels = encode_labels(first.columns)
    dtypes = list(first.dtypes)
    if labels is None or not first.columns.is_unique or None in map(_told, dtypes):
        raise UnpackableError
    for frame in frames:
        if frame.attrs or not frame.flags.allows_duplicate_labels or frame.shape[1] != width:
            raise UnpackableError
        if not (_same_labels(frame.columns, first.columns) and _same(frame.dtypes, dtypes)):
            raise UnpackableError
    starts, index_columns, index = _encoded_index(frames, counts)
    whole = pd.concat(frames, ignore_index=True)
    columns, specs = [], []
    for (_, series), dtype in zip(whole.items(), dtypes, strict=True):
        encoded = encode_exactly(series._values) if _same([series.dtype], [dtype]) else None
        if encoded is None or encoded[1].get("of") == "tree":
            raise UnpackableError
        columns.append(encoded[0])
        specs.append(encoded[1])
    names = list(map(str, range(width))) if labels["k"] != "labels" else labels["values"]
    if len(set(map(str, names))) < width:
        names = range(width)
    parts = [*columns, *index_columns]
    fields = [*map(str, names), *(["__index_level_0__"] if index_columns else [])]
    column = list_column(pa.StructArray.from_arrays(parts, fields), counts)
    if starts is not None:
        column = pa.StructArray.from_arrays([pa.array(starts), column], ["start", "rows"])
    return column, {"k": "frames", "labels": labels, "columns": specs, "index": index}


def _encoded_index(
    frames: list[Any], counts: "np.ndarray[Any, Any]"
) -> tuple[Any, list[pa.Array], Spec]:
    """Return where ranges begin if not at 0, the column of other indexes, and what tells them."""
    indexes = [frame.index for frame in frames]
    first = indexes[0]
    kind, name = type(first), encode_name(first.name)
    if set(map(type, indexes)) != {kind} or name is ...:
        raise UnpackableError
    names = (index.name for index in indexes)
    if not all(type(one) is type(first.name) and one == first.name for one in names):
        raise UnpackableError
    if kind is pd.RangeIndex:
        starts = np.array([index.start for index in indexes], "i8")
        stops = np.array([index.stop for index in indexes], "i8")
        if {index.step for index in indexes} != {1} or (stops - starts != counts).any():
            raise UnpackableError
        return (starts if starts.any() else None), [], {"k": "range", "name": name}
    told = _told(first.dtype)
    if kind not in _INDEXES or told is None or told == "O":
        raise UnpackableError
    if not all(_same([index.dtype], [first.dtype]) for index in indexes):
        raise UnpackableError
    if any(getattr(index, "freq", None) is not None for index in indexes):
        raise UnpackableError
    encoded = encode_flat_index(first.append(indexes[1:]))
    if encoded is None or "freq" in encoded[1]:
        raise UnpackableError
    return None, [encoded[0]], encoded[1]


def _told(dtype: Any) -> Any:
    """Return what tells a dtype from others; None for those that stay with their frames."""
    if isinstance(dtype, np.dtype):
        plain = dtype.isbuiltin != 2 and dtype.isnative and dtype.metadata is None
        return (dtype.char, dtype.str) if plain and dtype.kind in "biufmMO" else None
    if isinstance(dtype, pd.StringDtype):
        return type(dtype), dtype.storage, repr(getattr(dtype, "na_value", None))
    return type(dtype) if type(dtype) in _MASKED else None


def _same(dtypes: Any, others: list[Any]) -> bool:
    return all(
        one is other or _told(one) == _told(other)
        for one, other in zip(dtypes, others, strict=True)
    )


def _same_labels(labels: Any, first: Any) -> bool:
    if labels is first:
        return True
    if type(labels) is not type(first) or not labels.identical(first):
        return False
    if type(labels.name) is not type(first.name):
        return False
    return labels.dtype != object or list(map(type, labels)) == list(map(type, first))


def frames_back(opened: Opened, column: pa.Array, spec: Spec) -> list[Any]:
    """Rebuild what `encode_frames` was given, on the memory of *opened*.

    Raises:
        CorruptObjectError: Column and spec do not fit each other.
    """
    starts = None
    if pa.types.is_struct(column.type):
        first, column = column.flatten()
        check_type(opened, first.type, pa.types.is_int64)
        starts = view_of(opened, first, "i8").tolist()
    offsets, rows = offsets_of(opened, column)
    check_type(opened, rows.type, pa.types.is_struct)
    if rows.null_count or column.null_count:
        raise _unfit(opened)
    labels, kinds = decode_labels(spec["labels"], opened.ref), spec["columns"]
    parts = [pa.chunked_array([part]) for part in rows.flatten()]
    told, ranges = spec["index"], spec["index"]["k"] == "range"
    if len(parts) != len(kinds) + (not ranges) or len(labels) != len(kinds) or not kinds:
        raise _unfit(opened)
    if ranges and (len(offsets) > 1 and int(np.diff(offsets).min()) < 0):
        raise _unfit(opened)
    nothing = Pickling("deny", opened.ref)
    if any(kind["k"] == "pickle" for kind in kinds):
        raise _unfit(opened)
    arrays = [
        decode_column(opened, part, kind, nothing)
        for part, kind in zip(parts[: len(kinds)], kinds, strict=True)
    ]
    if any(len(array) != len(rows) for array in arrays):
        raise _unfit(opened)
    index = None if ranges else decode_flat_index(opened, parts[-1], told)
    name = decode_name(told["name"], opened.ref) if ranges else None
    blocks = grouped(arrays, kinds)
    frames = []
    bounds = offsets.tolist()
    for at, (start, end) in enumerate(pairwise(bounds)):
        if index is None:
            begin = 0 if starts is None else starts[at]
            own: Any = pd.RangeIndex(begin, begin + end - start, name=name)
        else:
            own = index[start:end]
        some = [(block[..., start:end], places) for block, places in blocks]
        frames.append(from_blocks(some, own, labels.view()))
    return frames


def _unfit(opened: Opened) -> CorruptObjectError:
    return CorruptObjectError(f"{opened.ref} is damaged: frames and columns differ", opened.ref)

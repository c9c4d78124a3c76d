"""Columns of pandas that Arrow has no type for: Period, Interval, complex; times of any zone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from runstore.codecs._base import Opened
from runstore.codecs._numpy_dtypes import has_twin
from runstore.codecs._pandas_buffers import raw, raw_back, restored, whole
from runstore.codecs._types import check_type
from runstore.codecs._zones import arrow_zone, zone_of, zone_tree
from runstore.errors import CorruptObjectError

__all__ = [
    "decode_complex",
    "decode_interval",
    "decode_period",
    "decode_zoned",
    "encode_complex",
    "encode_interval",
    "encode_period",
    "encode_zoned",
]

Spec = dict[str, Any]
Encode = Callable[[Any], tuple[pa.Array, Spec] | None]
Decode = Callable[[Opened, Any, Spec], Any]

_NAT = np.iinfo("i8").min


def encode_zoned(values: Any) -> tuple[pa.Array, Spec] | None:
    """Points in time with a zone: in UTC, as all readers have them; the spec has the zone."""
    zone = values.dtype.tz
    tree = zone_tree(zone)
    if tree is ...:
        return None  # another library's zone: equal in text, not in type
    kept = None if tree == [[0, 0, 0]] else tree  # UTC
    data = values.asi8
    column = raw(pa.timestamp(values.dtype.unit, arrow_zone(zone)), data, missing=data == _NAT)
    return column, {"k": "Mtz", "zone": kept}


def decode_zoned(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Any:
    """Rebuild what `encode_zoned` was given."""
    data = raw_back(opened, column, f"M8[{column.type.unit}]")
    told = [[0, 0, 0]] if spec["zone"] is None else spec["zone"]
    dtype = pd.DatetimeTZDtype(column.type.unit, zone_of(told, opened.ref))
    data = restored(opened, data, column, np.array("NaT", data.dtype))
    # The values are UTC already; the public constructors would look at each of them.
    return pd.arrays.DatetimeArray._simple_new(data, dtype=dtype)  # type: ignore[attr-defined]


def encode_period(values: Any) -> tuple[pa.Array, Spec] | None:
    """Periods as their numbers since 1970, the missing ones null; the spec has the frequency."""
    try:
        same = pd.PeriodDtype(values.freqstr) == values.dtype
    except ValueError:
        return None
    if not same:
        return None
    data = values.asi8
    column = raw(pa.int64(), data, missing=data == _NAT)
    return column, {"k": "period", "freq": values.freqstr}


def decode_period(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Any:
    """Rebuild what `encode_period` was given."""
    data = raw_back(opened, column, "i8")
    if column.null_count:
        data[column.is_null().to_numpy()] = _NAT
    return pd.arrays.PeriodArray(data, dtype=pd.PeriodDtype(spec["freq"]))


def encode_complex(values: Any) -> tuple[pa.Array, Spec] | None:
    """Complex numbers as pairs of floats, on the same memory."""
    dtype = values.dtype
    if dtype.char not in "FD" or has_twin(dtype):
        return None
    half = np.dtype(f"f{dtype.itemsize // 2}")
    data = np.ascontiguousarray(values)
    parts = raw(pa.from_numpy_dtype(half), data.view(half))
    return pa.FixedSizeListArray.from_arrays(parts, 2), {"k": "complex"}


def decode_complex(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Any:
    """Rebuild what `encode_complex` was given."""
    check_type(opened, column.type, pa.types.is_fixed_size_list)
    kind = column.type.value_type
    if column.type.list_size != 2 or not pa.types.is_floating(kind) or kind.bit_width < 32:
        raise CorruptObjectError(f"{opened.ref} is damaged: no complex numbers", opened.ref)
    dtype = np.dtype(f"c{kind.bit_width // 4}")
    if column.num_chunks == 0:
        return np.empty(0, dtype)
    chunk = whole(column)
    start, end = 2 * chunk.offset, 2 * (chunk.offset + len(chunk))
    parts = raw_back(opened, pa.chunked_array([chunk.values]), kind.to_pandas_dtype())
    if len(parts) < end:
        raise CorruptObjectError(f"{opened.ref} is damaged: a column is too short", opened.ref)
    return parts[start:end].view(dtype)


def encode_interval(values: Any, encode: Encode) -> tuple[pa.Array, Spec] | None:
    """Intervals as pairs of their ends, by the coder of those."""
    sides = [encode(getattr(values, side)._values) for side in ("left", "right")]
    left, right = sides
    if left is None or right is None or left[1] != right[1]:
        return None
    back = pd.arrays.IntervalArray.from_arrays(values.left[:0], values.right[:0], values.closed)
    if back.dtype != values.dtype:
        return None
    fields = [pa.field("left", left[0].type), pa.field("right", right[0].type)]
    column = pa.StructArray.from_arrays([left[0], right[0]], fields=fields)
    return column, {"k": "interval", "closed": values.closed, "side": left[1]}


def decode_interval(opened: Opened, column: pa.ChunkedArray, spec: Spec, decode: Decode) -> Any:
    """Rebuild what `encode_interval` was given."""
    check_type(opened, column.type, pa.types.is_struct)
    if [field.name for field in column.type] != ["left", "right"]:
        raise CorruptObjectError(f"{opened.ref} is damaged: no intervals", opened.ref)
    chunk = whole(column)
    left, right = (
        decode(opened, pa.chunked_array([part]), spec["side"]) for part in chunk.flatten()
    )
    return pd.arrays.IntervalArray.from_arrays(left, right, closed=spec["closed"])

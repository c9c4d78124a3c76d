"""Many Python scalars of one type as an Arrow column and back, exactly, by calls into C alone.

What is taken is a list of items of exactly one type, none of them None. Each kind has an
encoder and a decoder here; the column's spec says which is used.
"""

import operator
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import partial
from itertools import repeat, tee
from typing import Any

import numpy as np
import pyarrow as pa

from runstore.codecs._base import Opened
from runstore.codecs._numpy import check_items, is_judged
from runstore.codecs._numpy_dtypes import described, dtype_of
from runstore.codecs._plain import InexactError, exact_zone
from runstore.codecs._types import (
    check_type,
    is_binary,
    is_date,
    is_duration,
    is_fixed_binary,
    is_number,
    is_text,
    is_time,
    is_timestamp,
    is_truth,
)
from runstore.codecs._zones import zone_of
from runstore.errors import CorruptObjectError

__all__ = [
    "DECODERS",
    "UnpackableError",
    "encode_scalars",
    "number_column",
    "one_dtype",
    "raw_column",
    "view_of",
]

Items = list[Any]
Spec = dict[str, Any]
Array = np.ndarray[Any, Any]

_LONGEST = 1 << 16  # bytes that a text or blob has on average; longer ones are not copied together
_MOST = 64  # objects for one dtype; more are distinguished by what they print

_WALL = datetime(1970, 1, 1)
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_FIRST = (datetime.min - _WALL) // timedelta(microseconds=1)
_LAST = (datetime.max - _WALL) // timedelta(microseconds=1)


class UnpackableError(Exception):
    """The items have no column of their own."""


def encode_scalars(kind: type, items: Items) -> tuple[pa.Array, Spec]:
    """Return *items*, all of the type *kind*, as a column, and what a decoder needs.

    Raises:
        UnpackableError: There is no column for this type, or not for these items.
    """
    encoder = _ENCODERS.get(kind)
    if encoder is None and issubclass(kind, np.generic):
        encoder = _numpy_scalars
    if encoder is None:
        raise UnpackableError
    try:
        return encoder(items)
    except (pa.ArrowException, UnicodeEncodeError, InexactError) as exc:
        raise UnpackableError from exc


# Numbers ------------------------------------------------------------------------------------------


def raw_column(kind: pa.DataType, data: Array) -> pa.Array:
    """Return an array on the memory of *data*, one item for each of its first axis."""
    raw = data.reshape(-1).view("u1") if data.nbytes else np.empty(0, "u1")
    return pa.Array.from_buffers(kind, len(data), [None, pa.py_buffer(raw)])


def view_of(opened: Opened, column: pa.Array, dtype: Any) -> Array:
    """View the items of a column of fixed width, without nulls, as an array."""
    count = column.offset + len(column)
    return opened.array(column.buffers()[1], dtype, count)[column.offset :]


def number_column(numbers: Array) -> tuple[pa.Array, Spec]:
    """Return Python's integers or floats, as an array of them, as a column."""
    if numbers.dtype.kind == "f":
        return raw_column(pa.float64(), numbers), {"k": "float"}
    least, most = (int(numbers.min()), int(numbers.max())) if len(numbers) else (0, 0)
    for narrow in ("i1", "u1", "i2", "u2", "i4", "u4"):
        info = np.iinfo(narrow)
        if info.min <= least and most <= info.max:
            numbers = numbers.astype(narrow, copy=False)
            break
    return raw_column(pa.from_numpy_dtype(numbers.dtype), numbers), {"k": "int"}


def _ints(items: Items) -> tuple[pa.Array, Spec]:
    try:
        return number_column(np.fromiter(items, "i8", len(items)))
    except OverflowError:
        return _large_ints(items)


def _large_ints(items: Items) -> tuple[pa.Array, Spec]:
    if min(items) >= 0 and max(items) < 1 << 64:
        data = np.fromiter(items, "u8", len(items))
        return raw_column(pa.uint64(), data), {"k": "int"}
    bits = np.fromiter(map(int.bit_length, items), "i8", len(items))
    sizes = ((bits + 8) // 8).tolist()  # with the sign
    pack = partial(int.to_bytes, byteorder="little", signed=True)
    return _blobs(list(map(pack, items, sizes)))[0], {"k": "large int"}


def _ints_back(opened: Opened, column: pa.Array, spec: Spec) -> Items:
    check_type(opened, column.type, is_number)
    items: Items = view_of(opened, column, column.type.to_pandas_dtype()).tolist()
    return items


def _large_ints_back(opened: Opened, column: pa.Array, spec: Spec) -> Items:
    unpack = partial(int.from_bytes, byteorder="little", signed=True)
    return list(map(unpack, _blobs_back(opened, column, spec)))


def _floats(items: Items) -> tuple[pa.Array, Spec]:
    return raw_column(pa.float64(), np.fromiter(items, "f8", len(items))), {"k": "float"}


def _truths(items: Items) -> tuple[pa.Array, Spec]:
    return pa.array(np.fromiter(items, "?", len(items)), pa.bool_()), {"k": "bool"}


def _truths_back(opened: Opened, column: pa.Array, spec: Spec) -> Items:
    check_type(opened, column.type, is_truth)
    items: Items = column.to_numpy(zero_copy_only=False).tolist()
    return items


def _complex(items: Items) -> tuple[pa.Array, Spec]:
    return raw_column(pa.binary(16), np.fromiter(items, "c16", len(items))), {"k": "complex"}


def _complex_back(opened: Opened, column: pa.Array, spec: Spec) -> Items:
    items: Items = _of_width(opened, column, np.dtype("c16")).tolist()
    return items


def _numpy_scalars(items: Items) -> tuple[pa.Array, Spec]:
    dtype, descr = one_dtype(items)
    if dtype.kind not in "biufcmM" or type(items[0]) is not dtype.type:
        raise UnpackableError
    data = np.frombuffer(bytearray(b"".join(items)), dtype)
    if len(data) != len(items):
        raise UnpackableError
    plain = dtype.kind in "iuf" and dtype.itemsize <= 8
    kind = pa.from_numpy_dtype(dtype) if plain else pa.binary(dtype.itemsize)
    return raw_column(kind, data), {"k": "numpy", "dtype": descr}


def one_dtype(values: Items) -> tuple[np.dtype[Any], Any]:
    """Return the dtype of all arrays or NumPy scalars, one of NumPy's own, and that as JSON.

    Raises:
        UnpackableError: They have several, or one that would not come back the same.
    """
    dtypes = _distinct(map(operator.attrgetter("dtype"), values))
    first = dtypes[0]
    if first.isbuiltin == 2 or (descr := described(first)) is None:
        raise UnpackableError
    if len(dtypes) <= _MOST:
        same = all(described(dtype) == descr for dtype in dtypes)
    else:  # each has an object of its own, as those of text and times have
        told = set(map(operator.attrgetter("str", "char", "metadata"), dtypes))
        same = first.fields is None and told == {(first.str, first.char, None)}
    if not same:
        raise UnpackableError
    return first, descr


def _distinct(objects: Iterable[Any]) -> Items:
    """Return each of *objects* once, distinguished by identity."""
    first, second = tee(objects)
    return list(dict(zip(map(id, first), second, strict=True)).values())


def _numpy_scalars_back(opened: Opened, column: pa.Array, spec: Spec) -> Items:
    dtype = dtype_of(spec["dtype"])
    array = _of_width(opened, column, dtype)
    if is_judged(dtype):
        check_items(array, opened.ref)
    return list(array)


def _of_width(opened: Opened, column: pa.Array, dtype: np.dtype[Any]) -> Array:
    check_type(opened, column.type, lambda kind: is_number(kind) or is_fixed_binary(kind))
    if column.type.bit_width != 8 * dtype.itemsize:
        raise CorruptObjectError(f"{opened.ref} is damaged: no column of {dtype}", opened.ref)
    return view_of(opened, column, dtype)


# Text and bytes -----------------------------------------------------------------------------------


def _texts(items: Items) -> tuple[pa.Array, Spec]:
    return _of_offsets(items, pa.string(), pa.large_string()), {"k": "str"}


def _blobs(items: Items) -> tuple[pa.Array, Spec]:
    return _of_offsets(items, pa.binary(), pa.large_binary()), {"k": "bytes"}


def _of_offsets(items: Items, short: pa.DataType, large: pa.DataType) -> pa.Array:
    size = sum(map(len, items))
    if size > _LONGEST * len(items):
        raise UnpackableError
    column = pa.array(items, short if 4 * size < 1 << 31 else large)
    if not isinstance(column, pa.Array):
        raise UnpackableError
    return column


def _texts_back(opened: Opened, column: pa.Array, spec: Spec) -> Items:
    check_type(opened, column.type, is_text)
    items: Items = column.to_numpy(zero_copy_only=False).tolist()
    return items


def _blobs_back(opened: Opened, column: pa.Array, spec: Spec) -> Items:
    check_type(opened, column.type, is_binary)
    items: Items = column.to_numpy(zero_copy_only=False).tolist()
    return items


def _decimals(items: Items) -> tuple[pa.Array, Spec]:
    return _texts(list(map(str, items)))[0], {"k": "decimal"}


def _decimals_back(opened: Opened, column: pa.Array, spec: Spec) -> Items:
    return list(map(Decimal, _texts_back(opened, column, spec)))


# Times: as the clock on the wall showed them, and the zone beside them ----------------------------


def _datetimes(items: Items) -> tuple[pa.Array, Spec]:
    zone = _one_zone(items)
    if zone is None:
        column = pa.array(items, pa.timestamp("us"))
    else:
        # Two times of one zone differ by what the clock on the wall says.
        spans = list(map(operator.sub, items, repeat(_WALL.replace(tzinfo=zone))))
        column = pa.array(spans, pa.duration("us")).view(pa.timestamp("us"))
    spec: Spec = {"k": "datetime", "zone": exact_zone(zone)}
    folds = np.fromiter(map(operator.attrgetter("fold"), items), "?", len(items))
    if folds.any():
        column = pa.StructArray.from_arrays([column, pa.array(folds)], ["time", "fold"])
        spec["fold"] = True
    return column, spec


def _datetimes_back(opened: Opened, column: pa.Array, spec: Spec) -> Items:
    folded: list[int] = []
    if spec.get("fold"):
        check_type(opened, column.type, pa.types.is_struct)
        column, folds = column.flatten()
        check_type(opened, folds.type, is_truth)
        folded = np.flatnonzero(folds.to_numpy(zero_copy_only=False)).tolist()
    check_type(opened, column.type, is_timestamp)
    stamps = _in_range(view_of(opened, column, "i8"), _FIRST, _LAST, opened.ref)
    zone = zone_of(spec["zone"], opened.ref)
    items: Items
    if zone is None:
        items = stamps.view("M8[us]").tolist()
    else:
        spans = stamps.view("m8[us]").tolist()
        items = list(map(operator.add, repeat(_WALL.replace(tzinfo=zone)), spans))
    for at in folded:
        items[at] = items[at].replace(fold=1)
    return items


def _dates(items: Items) -> tuple[pa.Array, Spec]:
    return pa.array(items, pa.date32()), {"k": "date"}


def _dates_back(opened: Opened, column: pa.Array, spec: Spec) -> Items:
    check_type(opened, column.type, is_date)
    days = _in_range(view_of(opened, column, "i4"), _FIRST // _DAY, _LAST // _DAY, opened.ref)
    items: Items = days.astype("M8[D]").tolist()
    return items


def _times(items: Items) -> tuple[pa.Array, Spec]:
    if _one_zone(items) is not None or any(map(operator.attrgetter("fold"), items)):
        raise UnpackableError
    return pa.array(items, pa.time64("us")), {"k": "time"}


def _times_back(opened: Opened, column: pa.Array, spec: Spec) -> Items:
    check_type(opened, column.type, is_time)
    micros = _in_range(view_of(opened, column, "i8"), 0, _DAY - 1, opened.ref)
    seconds, micro = np.divmod(micros, _SECOND)
    minutes, second = np.divmod(seconds, 60)
    parts = (*np.divmod(minutes, 60), second, micro)
    return list(map(time, *(part.tolist() for part in parts)))


def _spans(items: Items) -> tuple[pa.Array, Spec]:
    return pa.array(items, pa.duration("us")), {"k": "timedelta"}


def _spans_back(opened: Opened, column: pa.Array, spec: Spec) -> Items:
    check_type(opened, column.type, is_duration)
    least = np.iinfo("i8").min + 1  # that one is no time
    stamps = _in_range(view_of(opened, column, "i8"), least, -least, opened.ref)
    items: Items = stamps.view("m8[us]").tolist()
    return items


def _in_range(data: Array, least: int, most: int, ref: str) -> Array:
    if data.size and (int(data.min()) < least or int(data.max()) > most):
        raise CorruptObjectError(f"{ref} is damaged: it has times that cannot be", ref)
    return data


def _one_zone(items: Items) -> tzinfo | None:
    """Return the time zone of all *items*.

    Raises:
        UnpackableError: They have several.
    """
    found: list[tzinfo | None] = _distinct(map(operator.attrgetter("tzinfo"), items))
    if len(found) == 1:
        return found[0]
    if set(map(type, found)) != {timezone} or len(set(map(repr, found))) > 1:
        raise UnpackableError
    return found[0]


_ENCODERS: dict[type, Callable[[Items], tuple[pa.Array, Spec]]] = {
    bool: _truths,
    bytes: _blobs,
    complex: _complex,
    date: _dates,
    datetime: _datetimes,
    Decimal: _decimals,
    float: _floats,
    int: _ints,
    str: _texts,
    time: _times,
    timedelta: _spans,
}

DECODERS: dict[str, Callable[[Opened, pa.Array, Spec], Items]] = {
    "bool": _truths_back,
    "bytes": _blobs_back,
    "complex": _complex_back,
    "date": _dates_back,
    "datetime": _datetimes_back,
    "decimal": _decimals_back,
    "float": _ints_back,
    "int": _ints_back,
    "large int": _large_ints_back,
    "numpy": _numpy_scalars_back,
    "str": _texts_back,
    "time": _times_back,
    "timedelta": _spans_back,
}
"""By ``k`` of a column's spec."""

"""One pandas column to one Arrow column and back, exactly, by dtype.

Each kind of column has a coder here. A kind is used only where Arrow keeps every
value, the dtype, and the difference between NaN, None, NaT and NA; every other
column is pickled into one cell. Numbers, times and category codes share the
column's memory on the way in, and the file's on the way out.
"""

import datetime as dt
import zoneinfo
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from runstore.codecs._arrow import is_valid, survives
from runstore.codecs._base import Opened
from runstore.codecs._numpy_dtypes import has_twin
from runstore.codecs._pandas_strings import decode_strings, encode_strings
from runstore.codecs._pickle import Pickling
from runstore.codecs._types import (
    check_type,
    is_binary,
    is_dictionary,
    is_duration,
    is_number,
    is_text,
    is_text_or_binary,
    is_timestamp,
    is_truth,
)
from runstore.errors import CorruptObjectError
from runstore.referred import referred_array

__all__ = [
    "decode_codes",
    "decode_column",
    "dictionary_column",
    "encode_column",
    "encode_exactly",
    "is_plain",
    "pickle_in",
    "whole",
]

Spec = dict[str, Any]
Array = np.ndarray[Any, Any]


def encode_column(values: Any, pickling: Pickling, label: str) -> tuple[pa.Array, Spec] | None:
    """Return the array behind a column as an Arrow array and what `decode_column` needs.

    Args:
        values: What ``Series._values`` is: a 1-D ndarray or an ExtensionArray.
        pickling: For what Arrow cannot keep.
        label: The column's, for messages.

    Returns:
        None for an empty column that Arrow cannot keep: it has no cell for a pickle.

    Raises:
        UnsafePickleError: It has to be pickled and the policy forbids it.
        UnsupportedValueError: It cannot be pickled, either.
    """
    encoded = encode_exactly(values)
    if encoded is not None or not len(values):
        return encoded
    with pickling.at_column(label):
        return _pickled(values, pickling), {"k": "pickle"}


def encode_exactly(values: Any) -> tuple[pa.Array, Spec] | None:
    """Like `encode_column`, but None for what Arrow would change."""
    dtype = values.dtype
    if isinstance(dtype, np.dtype):
        coder = _BY_KIND.get(dtype.kind)
        plain = dtype.isbuiltin != 2 and dtype.isnative and dtype.metadata is None
        return coder(values) if coder is not None and plain else None
    for kind, of_extension in _BY_DTYPE:
        if type(dtype) is kind:
            return of_extension(values)
    return _masked(values) if type(values) in _MASKED_TYPES else None


def is_plain(spec: Spec) -> bool:
    """Return whether the column is a plain NumPy column of numbers; several form a block."""
    return bool(spec["k"] == "np")


def decode_column(opened: Opened, column: pa.ChunkedArray, spec: Spec, pickling: Pickling) -> Any:
    """Rebuild the array behind a column, on the memory of *opened*.

    Raises:
        CorruptObjectError: Column and spec do not fit.
    """
    coder = _DECODERS.get(spec["k"])
    if coder is None:
        raise CorruptObjectError(
            f"{opened.ref} has a column of unknown kind {spec['k']!r}", opened.ref
        )
    if (accepts := _ACCEPTED.get(spec["k"])) is not None:
        check_type(opened, column.type, accepts)
    if spec["k"] == "pickle":
        return _unpickled(opened, column, pickling)
    return coder(opened, column, spec)


# Plain numbers -----------------------------------------------------------------------------------


def _numbers(values: Array) -> tuple[pa.Array, Spec] | None:
    dtype = values.dtype
    if dtype.itemsize > 8:
        return None
    spec = {"k": "np"}
    if has_twin(dtype):
        spec["char"] = dtype.char
    return _raw(pa.from_numpy_dtype(dtype), values), spec


def _numbers_back(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Array:
    dtype = np.dtype(spec.get("char") or column.type.to_pandas_dtype())
    if dtype.itemsize * 8 != column.type.bit_width or dtype.kind not in "iuf":
        raise CorruptObjectError(f"{opened.ref} is damaged: no column of {dtype}", opened.ref)
    return _raw_back(opened, column, dtype)


def _booleans(values: Array) -> tuple[pa.Array, Spec]:
    return pa.array(values, pa.bool_()), {"k": "bool"}


def _booleans_back(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Array:
    if column.num_chunks == 0:
        return np.empty(0, bool)
    chunk = whole(column)
    return _bits(chunk.buffers()[1], chunk)


# Times: the missing ones are nulls to others, and stay NaT in the buffer -----------------------


def _times(values: Any) -> tuple[pa.Array, Spec] | None:
    data = np.asarray(values)
    unit = np.datetime_data(data.dtype)[0]
    if unit not in ("s", "ms", "us", "ns"):
        return None
    kind = pa.timestamp(unit) if data.dtype.kind == "M" else pa.duration(unit)
    return _raw(kind, data, missing=np.isnat(data)), {"k": data.dtype.kind}


def _times_back(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Array:
    data = _raw_back(opened, column, f"{spec['k']}8[{column.type.unit}]")
    return _restored(opened, data, column, np.array("NaT", data.dtype))


def _zoned(values: Any) -> tuple[pa.Array, Spec] | None:
    zone = values.dtype.tz
    if type(zone) is zoneinfo.ZoneInfo and _is_from_database(zone):
        name, kept = zone.key, zone.key
    elif zone is dt.UTC:
        name, kept = "UTC", None
    else:
        return None  # an offset, or another library's zone: equal in text, not in type
    data = values.asi8
    missing = data == np.iinfo("i8").min
    unit = values.dtype.unit
    return _raw(pa.timestamp(unit, name), data, missing=missing), {"k": "Mtz", "zone": kept}


def _is_from_database(zone: zoneinfo.ZoneInfo) -> bool:
    """Return whether the zone's name leads back to it; a file read by hand can bear any name."""
    try:
        return zoneinfo.ZoneInfo(zone.key) is zone
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError):
        return False


def _zoned_back(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Any:
    data = _raw_back(opened, column, f"M8[{column.type.unit}]")
    zone = dt.UTC if spec["zone"] is None else zoneinfo.ZoneInfo(spec["zone"])
    dtype = pd.DatetimeTZDtype(column.type.unit, zone)
    data = _restored(opened, data, column, np.array("NaT", data.dtype))
    # The values are UTC already; the public constructors would look at each of them.
    return pd.arrays.DatetimeArray._simple_new(data, dtype=dtype)  # type: ignore[attr-defined]


# Objects ------------------------------------------------------------------------


def _objects(values: Array) -> tuple[pa.Array, Spec] | None:
    kinds = set(map(type, values))
    try:
        if kinds <= {str, type(None)}:
            return pa.array(values, pa.large_string(), from_pandas=False), {"k": "object"}
        if kinds <= {bytes, type(None)}:
            return pa.array(values, pa.large_binary(), from_pandas=False), {"k": "object"}
    except (pa.ArrowException, UnicodeEncodeError):
        return None
    return None


def _objects_back(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Array:
    data = np.empty(len(column), object)
    data[:] = column.to_pylist()
    return data


def _pickled(values: Any, pickling: Pickling) -> pa.Array:
    """One cell with the pickle of the whole column; the other cells are null."""
    stream = pickling.dumps(values)
    offsets = np.full(len(values) + 1, len(stream), "i8")
    offsets[0] = 0
    missing = np.arange(len(values)) > 0
    bits = pa.py_buffer(np.packbits(~missing, bitorder="little"))
    buffers = [bits, pa.py_buffer(offsets), pa.py_buffer(stream)]
    return pa.Array.from_buffers(pa.large_binary(), len(values), buffers)


def _unpickled(opened: Opened, column: pa.ChunkedArray, pickling: Pickling) -> Any:
    return pickling.loads(pickle_in(opened, column))


def pickle_in(opened: Opened, column: pa.ChunkedArray) -> memoryview:
    """View the pickle of a column, without loading it."""
    if not len(column) or not column[0].is_valid:
        raise CorruptObjectError(f"{opened.ref} is damaged: a pickled column is empty", opened.ref)
    return memoryview(column[0].as_buffer())


# Extension types -----------------------------------------------------------------------------


def _masked(values: Any) -> tuple[pa.Array, Spec]:
    # No public way leads to the two arrays without a copy.
    data, mask = values._data, values._mask
    if type(values) is pd.arrays.BooleanArray:
        column = pa.array(data, pa.bool_(), mask=mask)
    else:
        column = _raw(pa.from_numpy_dtype(data.dtype), data, missing=mask)
    return column, {"k": "masked", "array": type(values).__name__}


def _masked_back(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Any:
    if column.num_chunks == 0:
        data, mask = np.empty(0, column.type.to_pandas_dtype()), np.empty(0, bool)
        return _MASKED[spec["array"]](data, mask)
    chunk = whole(column)
    if column.type == pa.bool_():
        data = _bits(chunk.buffers()[1], chunk)
    else:
        data = _raw_back(opened, column, column.type.to_pandas_dtype())
    if chunk.null_count:
        mask = _bits(chunk.buffers()[0], chunk)
        np.logical_not(mask, out=mask)
        if column.type == pa.bool_():
            data[mask] = False
    else:
        mask = np.zeros(len(chunk), bool)  # costs no memory before it is written to
    return _MASKED[spec["array"]](data, mask)


_MASKED_TYPES = (pd.arrays.IntegerArray, pd.arrays.FloatingArray, pd.arrays.BooleanArray)
_MASKED: dict[str, Callable[[Array, Array], Any]] = {kind.__name__: kind for kind in _MASKED_TYPES}


def _categories(values: Any) -> tuple[pa.Array, Spec] | None:
    from runstore.codecs._pandas_index import encode_flat_index

    categories = encode_flat_index(values.dtype.categories)
    if categories is None:
        return None
    dictionary, spec = categories
    ordered = bool(values.dtype.ordered)
    column = dictionary_column(values.codes, dictionary, ordered)
    return (
        None if column is None else (column, {"k": "cat", "ordered": ordered, "categories": spec})
    )


def _categories_back(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Any:
    from runstore.codecs._pandas_index import decode_labels_of

    chunk = whole(column)
    categories = decode_labels_of(opened, chunk, spec["categories"])
    dtype = pd.CategoricalDtype(categories, ordered=spec["ordered"])
    return pd.Categorical.from_codes(decode_codes(opened, chunk), dtype=dtype, validate=False)


def dictionary_column(codes: Array, labels: pa.Array, ordered: bool = False) -> pa.Array | None:
    """Return category codes and labels as an Arrow dictionary; -1, which is missing, is null and 0.

    Other readers look even at the indices of nulls, and -1 points nowhere. None if the
    labels are a dictionary themselves: Arrow writes that, and cannot read it.
    """
    if pa.types.is_dictionary(labels.type):
        return None
    kind, missing = pa.from_numpy_dtype(codes.dtype), codes == -1
    if missing.any():
        indices = _raw(kind, np.where(missing, codes.dtype.type(0), codes), missing=missing)
    else:
        indices = _raw(kind, codes)
    return pa.DictionaryArray.from_arrays(indices, labels, ordered=ordered, safe=False)


def _arrow_backed(values: Any) -> tuple[pa.Array, Spec] | None:
    if not survives(pa.schema([pa.field("value", values.dtype.pyarrow_dtype)])):
        return None  # comes back as its storage where the type is not registered
    chunks = values.__arrow_array__()
    spec: Spec = {"k": "arrow"}
    try:
        column = whole(chunks)
    except pa.ArrowException:  # more text than offsets of 32 bits reach
        wide = _WIDE.get(chunks.type)
        if wide is None:
            return None
        column = whole(chunks.cast(wide))
        spec["chunks"] = [len(chunk) for chunk in chunks.chunks]
    return (column, spec) if isinstance(column, pa.Array) and is_valid(column) else None


def _arrow_backed_back(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Any:
    if "chunks" in spec:
        narrow = next(kind for kind, wide in _WIDE.items() if wide == column.type)
        column, parts, at = whole(column), [], 0
        for count in spec["chunks"]:
            parts.append(_narrowed(column.slice(at, count), narrow))
            at += count
        column = pa.chunked_array(parts, narrow)
    return pd.arrays.ArrowExtensionArray(column)


_WIDE = {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}


def _narrowed(part: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return text with offsets of 32 bits, on the same memory."""
    own = referred_array(part)
    bits, offsets, data = own.buffers()
    long = np.frombuffer(offsets, "i8")
    if int(long.max(initial=0)) > np.iinfo("i4").max or int(long.min(initial=0)) < 0:
        raise CorruptObjectError("the stored frame is damaged: a chunk of text is too long")
    short = long.astype("i4")
    return pa.Array.from_buffers(kind, len(own), [bits, pa.py_buffer(short), data])


# Buffers ----------------------------------------------------------------------------------------


def _raw(kind: pa.DataType, data: Array, missing: Array | None = None) -> pa.Array:
    """Return *data* as an Arrow array on the same memory, nulls where *missing*."""
    data = np.ascontiguousarray(data)
    bits = None
    if missing is not None and missing.any():
        bits = pa.py_buffer(np.packbits(~missing, bitorder="little"))
    return pa.Array.from_buffers(kind, len(data), [bits, pa.py_buffer(data.view("u1"))])


def _raw_back(opened: Opened, column: pa.ChunkedArray, dtype: Any) -> Array:
    """View a column's data buffer as a writable array, whatever its nulls."""
    if column.num_chunks == 0:
        return np.empty(0, dtype)
    chunk = whole(column)
    data = opened.array(chunk.buffers()[1], dtype, chunk.offset + len(chunk))
    return data[chunk.offset :] if chunk.offset else data


def _restored(opened: Opened, data: Array, column: pa.ChunkedArray, missing: Array) -> Array:
    """Make the nulls' slots *missing* again, unless the container keeps what was in them."""
    if column.null_count and not opened.keeps_nulls:
        data[column.is_null().to_numpy()] = missing
    return data


def decode_codes(opened: Opened, chunk: pa.DictionaryArray) -> Array:
    """Return the codes that `dictionary_column` was given: a null's is -1 again.

    The bits are read some at a time, and no codes but those of nulls are touched.
    """
    indices = chunk.indices
    codes = _raw_back(opened, pa.chunked_array([indices]), indices.type.to_pandas_dtype())
    if not chunk.null_count:
        return codes
    bits = np.frombuffer(chunk.buffers()[0], "u1")
    for start in range(0, len(codes), _AT_ONCE):
        count = min(_AT_ONCE, len(codes) - start)
        first = chunk.offset + start
        some = bits[first // 8 : -(-(first + count) // 8)]
        if (some == 0xFF).all():
            continue
        valid = np.unpackbits(some, bitorder="little")[first % 8 : first % 8 + count]
        codes[start : start + count][valid == 0] = -1
    return codes


_AT_ONCE = 1 << 15  # codes; with a byte each, eight pages


def _bits(buffer: pa.Buffer | None, chunk: pa.Array) -> Array:
    """Unpack one bit per value of *chunk* into booleans of its own."""
    if buffer is None or buffer.size * 8 < chunk.offset + len(chunk):
        raise CorruptObjectError("the stored frame is damaged: a column of bits is too short")
    packed, skipped = np.frombuffer(buffer, "u1"), chunk.offset % 8
    packed = packed[chunk.offset // 8 :]
    bits = np.unpackbits(packed, count=skipped + len(chunk), bitorder="little")
    return bits[skipped:].view(bool)


def whole(column: Any) -> pa.Array:
    """Return a column in one piece; it is copied together only if it is not."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return column.combine_chunks()


_BY_KIND: dict[str, Callable[[Any], tuple[pa.Array, Spec] | None]] = {
    "i": _numbers,
    "u": _numbers,
    "f": _numbers,
    "b": _booleans,
    "M": _times,
    "m": _times,
    "O": _objects,
}

_BY_DTYPE: tuple[tuple[type, Callable[[Any], tuple[pa.Array, Spec] | None]], ...] = (
    (pd.StringDtype, encode_strings),
    (pd.CategoricalDtype, _categories),
    (pd.DatetimeTZDtype, _zoned),
    (pd.ArrowDtype, _arrow_backed),
)

# What Arrow types each kind of column is written as; "arrow" is of any.
_ACCEPTED: dict[str, Callable[[pa.DataType], bool]] = {
    "np": is_number,
    "bool": is_truth,
    "M": is_timestamp,
    "m": is_duration,
    "Mtz": is_timestamp,
    "str": is_text,
    "object": is_text_or_binary,
    "masked": lambda kind: is_number(kind) or is_truth(kind),
    "cat": is_dictionary,
    "pickle": is_binary,
}

_DECODERS: dict[str, Callable[..., Any]] = {
    "np": _numbers_back,
    "bool": _booleans_back,
    "M": _times_back,
    "m": _times_back,
    "Mtz": _zoned_back,
    "str": decode_strings,
    "object": _objects_back,
    "masked": _masked_back,
    "cat": _categories_back,
    "arrow": _arrow_backed_back,
    "pickle": _unpickled,
}

"""One pandas column to one Arrow column and back, exactly, by dtype.

Each kind of column has a coder here. A kind is used only where Arrow keeps every
value, the dtype, and the difference between NaN, None, NaT and NA; every other
column is pickled into one cell. Numbers, times and category codes share the
column's memory on the way in, and the file's on the way out.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.types as kinds

from runstore.codecs._arrow import is_valid, survives
from runstore.codecs._base import Opened
from runstore.codecs._numpy_dtypes import has_twin
from runstore.codecs._pandas_buffers import (
    bits,
    decode_codes,
    present,
    raw,
    raw_back,
    restored,
    whole,
)
from runstore.codecs._pandas_cells import decode_cells, encode_cells
from runstore.codecs._pandas_kinds import (
    decode_complex,
    decode_interval,
    decode_period,
    decode_zoned,
    encode_complex,
    encode_interval,
    encode_period,
    encode_zoned,
)
from runstore.codecs._pandas_pickled import pickled_column, unpickled_column
from runstore.codecs._pandas_strings import decode_strings, encode_strings
from runstore.codecs._pickle import Pickling
from runstore.codecs._types import (
    check_type,
    is_binary_of_any_width,
    is_dictionary,
    is_duration,
    is_number,
    is_text,
    is_text_or_binary,
    is_timestamp,
    is_truth,
)
from runstore.errors import CorruptObjectError, UnsupportedFormatError
from runstore.referred import referred_array

__all__ = [
    "decode_codes",
    "decode_column",
    "dictionary_column",
    "encode_column",
    "encode_exactly",
    "is_plain",
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
        return pickled_column(values, pickling)


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
        raise UnsupportedFormatError(
            f"{opened.ref} has a column of the kind {spec['k']!r}, which this runstore does not "
            "know: upgrade runstore",
            opened.ref,
        )
    if (accepts := _ACCEPTED.get(spec["k"])) is not None:
        check_type(opened, column.type, accepts)
    if spec["k"] == "pickle":
        return unpickled_column(opened, column, spec, pickling)
    if spec["k"] == "cells":
        return decode_cells(opened, column, spec, pickling)
    return coder(opened, column, spec)


# Plain numbers -----------------------------------------------------------------------------------


def _numbers(values: Array) -> tuple[pa.Array, Spec] | None:
    dtype = values.dtype
    if dtype.itemsize > 8:
        return None
    spec = {"k": "np"}
    if has_twin(dtype):
        spec["char"] = dtype.char
    return raw(pa.from_numpy_dtype(dtype), values), spec


def _numbers_back(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Array:
    dtype = np.dtype(spec.get("char") or column.type.to_pandas_dtype())
    if dtype.itemsize * 8 != column.type.bit_width or dtype.kind not in "iuf":
        raise CorruptObjectError(f"{opened.ref} is damaged: no column of {dtype}", opened.ref)
    return raw_back(opened, column, dtype)


def _booleans(values: Array) -> tuple[pa.Array, Spec]:
    return pa.array(values, pa.bool_()), {"k": "bool"}


def _booleans_back(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Array:
    if column.num_chunks == 0:
        return np.empty(0, bool)
    chunk = whole(column)
    return bits(chunk.buffers()[1], chunk)


# Times: the missing ones are nulls to others, and stay NaT in the buffer -----------------------


def _times(values: Any) -> tuple[pa.Array, Spec] | None:
    data = np.asarray(values)
    unit = np.datetime_data(data.dtype)[0]
    if unit not in ("s", "ms", "us", "ns"):
        return None
    kind = pa.timestamp(unit) if data.dtype.kind == "M" else pa.duration(unit)
    return raw(kind, data, missing=np.isnat(data)), {"k": data.dtype.kind}


def _times_back(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Array:
    data = raw_back(opened, column, f"{spec['k']}8[{column.type.unit}]")
    return restored(opened, data, column, np.array("NaT", data.dtype))


# Objects ------------------------------------------------------------------------


def _objects_back(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Array:
    data = np.empty(len(column), object)
    data[:] = column.to_pylist()
    return data


# Extension types -----------------------------------------------------------------------------


def _masked(values: Any) -> tuple[pa.Array, Spec]:
    # No public way leads to the two arrays without a copy.
    data, mask = values._data, values._mask
    if type(values) is pd.arrays.BooleanArray:
        column = pa.array(data, pa.bool_(), mask=mask)
    else:
        column = raw(pa.from_numpy_dtype(data.dtype), data, missing=mask)
    return column, {"k": "masked", "array": type(values).__name__}


def _masked_back(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Any:
    if column.num_chunks == 0:
        data, mask = np.empty(0, column.type.to_pandas_dtype()), np.empty(0, bool)
        return _MASKED[spec["array"]](data, mask)
    chunk = whole(column)
    if column.type == pa.bool_():
        data = bits(chunk.buffers()[1], chunk)
    else:
        data = raw_back(opened, column, column.type.to_pandas_dtype())
    if chunk.null_count:
        mask = bits(chunk.buffers()[0], chunk)
        np.logical_not(mask, out=mask)
        if column.type == pa.bool_():
            data[mask] = False
    else:
        mask = np.zeros(len(chunk), bool)  # costs no memory before it is written to
    return _MASKED[spec["array"]](data, mask)


_MASKED_TYPES = (pd.arrays.IntegerArray, pd.arrays.FloatingArray, pd.arrays.BooleanArray)
_MASKED: dict[str, Callable[[Array, Array], Any]] = {kind.__name__: kind for kind in _MASKED_TYPES}


def _categories(values: Any) -> tuple[pa.Array, Spec] | None:
    from runstore.codecs._pandas_labels import encode_dictionary

    categories = encode_dictionary(values.dtype.categories)
    if categories is None:
        return None
    dictionary, spec = categories
    ordered = bool(values.dtype.ordered)
    column = dictionary_column(values.codes, dictionary, ordered)
    return (
        None if column is None else (column, {"k": "cat", "ordered": ordered, "categories": spec})
    )


def _categories_back(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Any:
    from runstore.codecs._pandas_labels import decode_dictionary

    chunk = whole(column)
    categories = decode_dictionary(opened, chunk, spec["categories"])
    dtype = pd.CategoricalDtype(categories, ordered=spec["ordered"])
    return pd.Categorical.from_codes(decode_codes(opened, chunk), dtype=dtype, validate=False)


def dictionary_column(codes: Array, labels: pa.Array, ordered: bool = False) -> pa.Array | None:
    """Return category codes and labels as an Arrow dictionary; -1, which is missing, is null and 0.

    Other readers look even at the indices of nulls, and -1 points nowhere. None if the
    labels are a dictionary themselves: Arrow writes that, and cannot read it.
    """
    if pa.types.is_dictionary(labels.type):
        return None
    kind = pa.from_numpy_dtype(codes.dtype)
    codes, bits = present(codes)
    data = pa.py_buffer(np.ascontiguousarray(codes).view("u1"))
    indices = pa.Array.from_buffers(kind, len(codes), [bits, data])
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
    validity, offsets, data = own.buffers()
    long = np.frombuffer(offsets, "i8")
    if int(long.max(initial=0)) > np.iinfo("i4").max or int(long.min(initial=0)) < 0:
        raise CorruptObjectError("the stored frame is damaged: a chunk of text is too long")
    short = long.astype("i4")
    return pa.Array.from_buffers(kind, len(own), [validity, pa.py_buffer(short), data])


_BY_KIND: dict[str, Callable[[Any], tuple[pa.Array, Spec] | None]] = {
    "i": _numbers,
    "u": _numbers,
    "f": _numbers,
    "b": _booleans,
    "M": _times,
    "m": _times,
    "O": encode_cells,
    "c": encode_complex,
}

_BY_DTYPE: tuple[tuple[type, Callable[[Any], tuple[pa.Array, Spec] | None]], ...] = (
    (pd.StringDtype, encode_strings),
    (pd.CategoricalDtype, _categories),
    (pd.DatetimeTZDtype, encode_zoned),
    (pd.PeriodDtype, encode_period),
    (pd.IntervalDtype, lambda values: encode_interval(values, encode_exactly)),
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
    "period": kinds.is_int64,
    "pickle": is_binary_of_any_width,
}


def _side(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Any:
    """One end of intervals; what is in them is never pickled by itself."""
    return decode_column(opened, column, spec, Pickling("deny", opened.ref))


_DECODERS: dict[str, Callable[..., Any]] = {
    "np": _numbers_back,
    "bool": _booleans_back,
    "M": _times_back,
    "m": _times_back,
    "Mtz": decode_zoned,
    "complex": decode_complex,
    "period": decode_period,
    "interval": lambda opened, column, spec: decode_interval(opened, column, spec, _side),
    "str": decode_strings,
    "object": _objects_back,
    "cells": decode_cells,
    "masked": _masked_back,
    "cat": _categories_back,
    "arrow": _arrow_backed_back,
    "pickle": unpickled_column,
}

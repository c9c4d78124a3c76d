"""NumPy arrays: one column in memory order; dtype, shape and order stand beside it."""

import math
import sys
from typing import Any

import numpy as np
import pyarrow as pa

from runstore.buffers import flat
from runstore.codecs._base import Encoded, Opened
from runstore.codecs._numpy_dtypes import (
    described,
    dtype_of,
    has_gaps,
    without_gaps,
)
from runstore.codecs._pickle import Pickling
from runstore.codecs._types import check_type, is_number, is_text
from runstore.errors import CorruptObjectError, UnsupportedValueError

__all__ = ["NumpyCodec", "check_items", "check_possible", "is_judged"]


class NumpyCodec:
    """``numpy.ndarray`` of every dtype that holds no Python objects.

    Numbers are a column of their Arrow type, text of any length a column of text, all else
    a column of bytes. Subclasses, masked arrays, object arrays and dtypes with metadata are
    left to pickle.
    """

    name = "numpy"
    version = 1

    def encode(self, value: np.ndarray[Any, Any], pickling: Pickling) -> Encoded | None:
        """See `runstore.codecs.Codec.encode`."""
        dtype = value.dtype
        if dtype.kind == "T":
            return _encode_text(value)
        if (descr := described(dtype)) is None:
            return None
        check_possible(value)
        order = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
        data = value.T if order == "F" else np.ascontiguousarray(value)
        if has_gaps(dtype):
            data = without_gaps(data)
        column = _column(data.reshape(-1), dtype)
        schema = pa.schema([pa.field("value", column.type, nullable=False)])
        return Encoded(
            schema,
            [pa.RecordBatch.from_arrays([column], schema=schema)],
            {"dtype": descr, "shape": list(value.shape), "order": order},
            rows=value.shape[0] if value.ndim else None,
            nbytes=value.nbytes,
        )

    def decode(
        self, opened: Opened, spec: dict[str, Any], pickling: Pickling
    ) -> np.ndarray[Any, Any]:
        """See `runstore.codecs.Codec.decode`."""
        shape, column = tuple(spec["shape"]), opened.batch(0).column(0)
        if isinstance(spec["dtype"], dict) and "string" in spec["dtype"]:
            pickling.spend(72 * len(column) + 4 * column.nbytes, flat(opened.data).nbytes)
            return _decode_text(opened, column, spec["dtype"]["string"], shape)
        dtype, count = dtype_of(spec["dtype"]), math.prod(shape)
        check_type(opened, column.type, is_number)
        if (
            min(shape, default=0) < 0
            or column.null_count
            or column.type.bit_width // 8 * len(column) != count * dtype.itemsize
        ):
            raise CorruptObjectError(f"{opened.ref} is damaged: shape and data differ", opened.ref)
        array = opened.array(column.buffers()[1], dtype, count)
        if is_judged(dtype):
            opened.check_all()
            check_items(array, opened.ref)
        return array.reshape(shape, order=spec["order"])


def _column(data: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> pa.Array:
    plain = dtype.isbuiltin == 1 and dtype.isnative
    if dtype.kind in "iuf" and plain and dtype.itemsize <= 8:
        return pa.Array.from_buffers(
            pa.from_numpy_dtype(dtype), len(data), [None, pa.py_buffer(data)]
        )
    count = data.nbytes
    raw = data.view("u1") if count else np.empty(0, "u1")
    return pa.Array.from_buffers(pa.uint8(), count, [None, pa.py_buffer(raw)])


_MISSING = {"none": None, "nan": math.nan}


def _encode_text(value: np.ndarray[Any, Any]) -> Encoded | None:
    """Text of any length, as `numpy.dtypes.StringDType` holds it."""
    dtype: Any = value.dtype
    spec: dict[str, Any] = {"coerce": dtype.coerce}
    if hasattr(dtype, "na_object"):
        missing = dtype.na_object
        if missing is not None and not (type(missing) is float and math.isnan(missing)):
            return None
        spec["missing"] = "none" if missing is None else "nan"
    try:
        column = pa.array(value.reshape(-1).astype(object), pa.large_string(), from_pandas=True)
    except (pa.ArrowException, UnicodeEncodeError):
        return None
    if not isinstance(column, pa.Array):
        return None
    schema = pa.schema([pa.field("value", column.type)])
    return Encoded(
        schema,
        [pa.RecordBatch.from_arrays([column], schema=schema)],
        {"dtype": {"string": spec}, "shape": list(value.shape)},
        rows=value.shape[0] if value.ndim else None,
        nbytes=column.nbytes,
    )


def _decode_text(
    opened: Opened, column: pa.Array, spec: dict[str, Any], shape: tuple[int, ...]
) -> np.ndarray[Any, Any]:
    check_type(opened, column.type, is_text)
    if min(shape, default=0) < 0 or len(column) != math.prod(shape):
        raise CorruptObjectError(f"{opened.ref} is damaged: shape and data differ", opened.ref)
    kinds: Any = np.dtypes
    if "missing" in spec:
        missing = _MISSING[spec["missing"]]
        dtype = kinds.StringDType(na_object=missing, coerce=spec["coerce"])
        items = [missing if item is None else item for item in column.to_pylist()]
    else:
        dtype, items = kinds.StringDType(coerce=spec["coerce"]), column.to_pylist()
    return np.array(items, dtype).reshape(shape)


def is_judged(dtype: np.dtype[Any]) -> bool:
    """Return whether not all bits are a value of this dtype: not of truth values and of text."""
    if dtype.subdtype:
        return is_judged(dtype.base)
    return dtype.kind in "bU" or any(is_judged(part[0]) for part in (dtype.fields or {}).values())


def check_possible(array: np.ndarray[Any, Any]) -> None:
    """Raise UnsupportedValueError if an array has items that `check_items` refuses at get."""
    if is_judged(array.dtype) and (what := _impossible(array)):
        raise UnsupportedValueError(
            f"cannot store an array of {array.dtype}: it has {what} that cannot be, as if "
            "memory of another type had been viewed: store it as numbers, e.g. value.view('u1')"
        )


def check_items(array: np.ndarray[Any, Any], ref: str) -> None:
    """Check what `is_judged` finds: others than 0 and 1 lead NumPy out of its memory.

    Raises:
        CorruptObjectError: There is a truth value that is neither, or text that is none.
    """
    if what := _impossible(array):
        raise CorruptObjectError(f"{ref} is damaged: it has {what} that cannot be", ref)


def _impossible(array: np.ndarray[Any, Any]) -> str | None:
    """Return what of an array cannot be; None if all of it can."""
    dtype = array.dtype
    for name in dtype.names or ():
        if is_judged(dtype[name]) and (what := _impossible(array[name])):
            return what
    if dtype.kind not in "bU" or not array.size:
        return None
    kind = "u1" if dtype.kind == "b" else np.dtype("u4").newbyteorder(dtype.byteorder)
    most = 1 if dtype.kind == "b" else sys.maxunicode
    parts = array if array.flags.c_contiguous else np.ascontiguousarray(array)
    if parts.reshape(-1).view(kind).max() > most:
        return "truth values" if dtype.kind == "b" else "text"
    return None

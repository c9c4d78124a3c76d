"""NumPy arrays: one column in memory order; dtype, shape and order stand beside it."""

import json
import math
import sys
from typing import Any

import numpy as np
import pyarrow as pa

from runstore.codecs._base import Encoded, Opened
from runstore.codecs._pickle import Pickling
from runstore.codecs._types import check_type, is_number
from runstore.errors import CorruptObjectError

__all__ = ["NumpyCodec", "check_items", "described", "dtype_of", "has_twin", "is_judged"]


class NumpyCodec:
    """``numpy.ndarray`` of every dtype that holds no Python objects.

    Numbers are a column of their Arrow type, all else a column of bytes. Subclasses,
    masked arrays, object arrays and dtypes with metadata are left to pickle.
    """

    name = "numpy"
    version = 1

    def encode(self, value: np.ndarray[Any, Any], pickling: Pickling) -> Encoded | None:
        """See `runstore.codecs.Codec.encode`."""
        dtype = value.dtype
        if (descr := described(dtype)) is None:
            return None
        order = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
        data = value.T if order == "F" else np.ascontiguousarray(value)
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
        dtype, shape = dtype_of(spec["dtype"]), tuple(spec["shape"])
        count = math.prod(shape)
        column = opened.batch(0).column(0)
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
    if dtype.kind in "iuf" and dtype.isnative and dtype.itemsize <= 8:
        return pa.Array.from_buffers(
            pa.from_numpy_dtype(dtype), len(data), [None, pa.py_buffer(data)]
        )
    count = data.nbytes
    raw = data.view("u1") if count else np.empty(0, "u1")
    return pa.Array.from_buffers(pa.uint8(), count, [None, pa.py_buffer(raw)])


def described(dtype: np.dtype[Any]) -> Any:
    """Give *dtype* as JSON, or None if it would not come back the same."""
    if not _is_describable(dtype):
        return None
    if has_twin(dtype):
        return dtype.char
    try:
        descr = np.lib.format.dtype_to_descr(dtype)
    except ValueError:  # overlapping fields
        return None
    back = np.lib.format.descr_to_dtype(descr)
    same = back == dtype and back.type is dtype.type and _is_aligned_like(back, dtype)
    return json.loads(json.dumps(descr)) if same else None


def dtype_of(descr: Any) -> np.dtype[Any]:
    """Rebuild a dtype from what `described` gave.

    Raises:
        ValueError, TypeError: It is of no dtype that `described` takes.
    """
    dtype: np.dtype[Any] = np.lib.format.descr_to_dtype(_tuples(descr))
    if not _is_describable(dtype):
        raise ValueError(f"{dtype} is no dtype of an array of ours")
    return dtype


def is_judged(dtype: np.dtype[Any]) -> bool:
    """Say whether not all bits are a value of this dtype: not of truth values and of text."""
    if dtype.subdtype:
        return is_judged(dtype.base)
    return dtype.kind in "bU" or any(is_judged(part[0]) for part in (dtype.fields or {}).values())


def check_items(array: np.ndarray[Any, Any], ref: str) -> None:
    """Check what `is_judged` finds: others than 0 and 1 lead NumPy out of its memory.

    Raises:
        CorruptObjectError: There is a truth value that is neither, or text that is none.
    """
    dtype = array.dtype
    for name in dtype.names or ():
        if is_judged(dtype[name]):
            check_items(array[name], ref)
    if dtype.kind not in "bU" or not array.size:
        return
    kind = "u1" if dtype.kind == "b" else np.dtype("u4").newbyteorder(dtype.byteorder)
    most = 1 if dtype.kind == "b" else sys.maxunicode
    parts = array if array.flags.c_contiguous else np.ascontiguousarray(array)
    if parts.reshape(-1).view(kind).max() > most:
        what = "truth values" if dtype.kind == "b" else "text"
        raise CorruptObjectError(f"{ref} is damaged: it has {what} that cannot be", ref)


def has_twin(dtype: np.dtype[Any]) -> bool:
    """Say whether it is longlong or its like: of the size of another type, but not that type."""
    return bool(dtype.isbuiltin) and dtype.isnative and np.dtype(dtype.str).char != dtype.char


def _is_describable(dtype: np.dtype[Any]) -> bool:
    """Say whether NumPy's own description leaves nothing out."""
    if dtype.hasobject or dtype.kind not in "biufcmMSUV" or dtype.metadata or not dtype.itemsize:
        return False
    parts = [dtype.base] if dtype.subdtype else [part[0] for part in (dtype.fields or {}).values()]
    return all(map(_is_describable, parts))


def _is_aligned_like(one: np.dtype[Any], other: np.dtype[Any]) -> bool:
    if one.subdtype:
        return _is_aligned_like(one.base, other.base)
    return one.isalignedstruct == other.isalignedstruct and all(
        _is_aligned_like(one[name], other[name]) for name in one.names or ()
    )


def _tuples(descr: Any) -> Any:
    """Undo what JSON does to a dtype description: fields and subarrays are tuples."""
    if isinstance(descr, str):
        return descr
    return [
        tuple(_tuples(part) if i == 1 else _shape(part) for i, part in enumerate(field))
        for field in descr
    ]


def _shape(part: Any) -> Any:
    return tuple(part) if isinstance(part, list) else part

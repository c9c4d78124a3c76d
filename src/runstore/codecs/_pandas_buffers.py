"""The buffers behind a pandas column: as Arrow arrays, and as writable arrays again."""

from typing import Any

import numpy as np
import pyarrow as pa

from runstore.codecs._base import Opened
from runstore.errors import CorruptObjectError

__all__ = ["bits", "decode_codes", "present", "raw", "raw_back", "restored", "whole"]

Array = np.ndarray[Any, Any]


def raw(kind: pa.DataType, data: Array, missing: Array | None = None) -> pa.Array:
    """Return *data* as an Arrow array on the same memory, nulls where *missing*."""
    data = np.ascontiguousarray(data)
    bits = None
    if missing is not None and missing.any():
        bits = pa.py_buffer(np.packbits(~missing, bitorder="little"))
    return pa.Array.from_buffers(kind, len(data), [bits, pa.py_buffer(data.view("u1"))])


def present(codes: Array) -> tuple[Array, pa.Buffer | None]:
    """Return codes with 0 in the place of -1, and which of them are not missing.

    They are looked at some at a time, and copied only if one is missing.
    """
    pieces = [slice(start, start + _PIECE) for start in range(0, len(codes), _PIECE)]
    if not any((codes[piece] == -1).any() for piece in pieces):
        return codes, None
    codes, bits = codes.copy(), np.empty(-(-len(codes) // 8), "u1")
    for piece in pieces:
        some = codes[piece]
        missing = some == -1
        bits[piece.start // 8 : piece.start // 8 + -(-len(some) // 8)] = np.packbits(
            ~missing, bitorder="little"
        )
        some[missing] = 0
    return codes, pa.py_buffer(bits)


_PIECE = 1 << 18  # codes; a multiple of 8


def raw_back(opened: Opened, column: pa.ChunkedArray, dtype: Any) -> Array:
    """View a column's data buffer as a writable array, whatever its nulls."""
    if column.num_chunks == 0:
        return np.empty(0, dtype)
    chunk = whole(column)
    data = opened.array(chunk.buffers()[1], dtype, chunk.offset + len(chunk))
    return data[chunk.offset :] if chunk.offset else data


def restored(opened: Opened, data: Array, column: pa.ChunkedArray, missing: Array) -> Array:
    """Make the nulls' slots *missing* again, unless the container keeps what was in them."""
    if column.null_count and not opened.keeps_nulls:
        data[column.is_null().to_numpy()] = missing
    return data


def decode_codes(opened: Opened, chunk: pa.DictionaryArray) -> Array:
    """Return the codes that `dictionary_column` was given: a null's is -1 again.

    The bits are read some at a time, and no codes but those of nulls are touched.
    """
    indices = chunk.indices
    codes = raw_back(opened, pa.chunked_array([indices]), indices.type.to_pandas_dtype())
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


def bits(buffer: pa.Buffer | None, chunk: pa.Array) -> Array:
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

"""Columns that are pickled: the pickle is spread over the rows, and its large buffers are mapped.

The column is of bytes of one width, so that its cells together are one piece of memory: the
stream of the pickle, then its buffers. No row takes more than that.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as kinds
import xxhash

from runstore.buffers import flat
from runstore.codecs._base import Opened
from runstore.codecs._pickle import Pickling
from runstore.errors import CorruptObjectError

__all__ = ["MOST_PICKLED", "pickle_in", "pickled_column", "unpickled_column"]

Spec = dict[str, Any]

MOST_PICKLED = 256
"""Columns of one frame that are pickled each for itself; one of more is pickled as a whole."""

_ALIGNMENT = 64
_WIDEST = (1 << 31) - 1  # bytes of a cell of one width
_FEW = 64  # rows; offsets of so few cost less than a digest


def pickled_column(values: Any, pickling: Pickling) -> tuple[pa.Array, Spec]:
    """Return the array behind a column as one pickle, and what `unpickled_column` needs.

    Raises:
        UnsafePickleError: The policy forbids it.
        UnsupportedValueError: It cannot be pickled.
    """
    buffers: list[Any] = []
    stream = pickling.dumps(values, buffers)
    parts = [memoryview(stream), *(flat(buffer.raw()) for buffer in buffers)]
    width = max(1, -(-sum(map(_padded, parts)) // len(values)))
    if len(values) <= _FEW and not buffers:
        return _in_one_cell(stream, len(values)), {"k": "pickle"}
    if width > _WIDEST:
        return _in_one_cell(pickling.dumps(values), len(values)), {"k": "pickle"}
    data = np.zeros(len(values) * width, np.uint8)
    start = 0
    for part in parts:
        data[start : start + part.nbytes] = np.frombuffer(part, np.uint8)
        start += _padded(part)
    column = pa.Array.from_buffers(pa.binary(width), len(values), [None, pa.py_buffer(data)])
    sizes = [part.nbytes for part in parts]
    return column, {"k": "pickle", "parts": sizes, "digest": xxhash.xxh3_128_hexdigest(data.data)}


def _padded(part: memoryview) -> int:
    return -(-part.nbytes // _ALIGNMENT) * _ALIGNMENT


def _in_one_cell(stream: bytes, rows: int) -> pa.Array:
    """One cell with the pickle; the other cells are null."""
    offsets = np.full(rows + 1, len(stream), "i8")
    offsets[0] = 0
    missing = np.arange(rows) > 0
    bits = pa.py_buffer(np.packbits(~missing, bitorder="little"))
    buffers = [bits, pa.py_buffer(offsets), pa.py_buffer(stream)]
    return pa.Array.from_buffers(pa.large_binary(), rows, buffers)


def unpickled_column(
    opened: Opened, column: pa.ChunkedArray, spec: Spec, pickling: Pickling
) -> Any:
    """Rebuild what `pickled_column` was given, its buffers on the memory of *opened*.

    Raises:
        CorruptObjectError: Column and spec do not fit each other.
        Exception: Whatever `Pickling.loads` raises.
    """
    stream, *buffers = _parts(opened, column, spec)
    return pickling.loads(stream, buffers if "parts" in spec else None)


def pickle_in(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> memoryview:
    """View the stream of the pickle of a column, without loading it."""
    return _parts(opened, column, spec)[0]


def _parts(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> list[memoryview]:
    sizes = spec.get("parts")
    if sizes is None:
        if not kinds.is_large_binary(column.type) or not len(column) or not column[0].is_valid:
            raise _damaged(opened)
        return [memoryview(column[0].as_buffer())]
    chunk = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if not kinds.is_fixed_size_binary(chunk.type) or chunk.offset or min(sizes, default=-1) < 0:
        raise _damaged(opened)
    data = opened.array(chunk.buffers()[1], "u1", len(chunk) * chunk.type.byte_width)
    if xxhash.xxh3_128_hexdigest(data.data) != spec["digest"]:
        raise _damaged(opened)
    view, parts, start = memoryview(data.data), [], 0
    for size in sizes:
        parts.append(view[start : start + size])
        start += -(-size // _ALIGNMENT) * _ALIGNMENT
    if start > data.nbytes:
        raise _damaged(opened)
    return parts


def _damaged(opened: Opened) -> CorruptObjectError:
    return CorruptObjectError(f"{opened.ref} is damaged: a pickled column is not whole", opened.ref)

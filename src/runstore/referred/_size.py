"""How large a value is: what it refers to, not what its buffers hold."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.types as kinds

from runstore.referred._views import long_bytes, text_buffers

__all__ = ["nbytes_of"]


def nbytes_of(batches: Iterable[pa.RecordBatch]) -> int:
    """Return how many bytes the batches refer to, in time that grows with views alone."""
    return sum(_size(column) for batch in batches for column in batch.columns)


def _size(array: pa.Array) -> int:
    kind = array.type
    if kinds.is_string_view(kind) or kinds.is_binary_view(kind):
        held: int = sum(buffer.size for buffer in text_buffers(array))
        bits = -(-len(array) // 8) if array.null_count else 0
        return bits + 16 * len(array) + min(held, long_bytes(array))
    if kinds.is_struct(kind):
        return sum(map(_size, array.flatten()))
    if kinds.is_list(kind) or kinds.is_large_list(kind):
        return 8 * (len(array) + 1) + _size(array.flatten())
    try:
        return int(array.nbytes)
    except pa.ArrowTypeError:  # before pyarrow 24, views have no nbytes
        return int(array.get_total_buffer_size())

"""How large a value is: what it refers to, not what its buffers hold."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as kinds

from runstore.referred._arrays import WIDTHS, offsets_of
from runstore.referred._batches import is_exact
from runstore.referred._views import long_bytes, text_buffers
from runstore.schemas import BySchema

__all__ = ["nbytes_of"]


def nbytes_of(batches: Sequence[pa.RecordBatch]) -> int:
    """Return how many bytes the batches refer to, in time that grows with views alone."""
    if len(batches) == 1:
        batch = batches[0]
        if is_exact(batch):
            return int(batch.num_rows) * _row.of(batch.schema)
        return sum(map(_size, batch.columns))
    table = pa.Table.from_batches(batches) if batches else None
    return 0 if table is None else sum(map(_size_of_chunks, table.columns))


def _size_of_chunks(column: pa.ChunkedArray) -> int:
    """Return the size of a column without a look at each of its chunks, where it is of numbers."""
    width = WIDTHS.get(column.type.id)
    if width is None:
        return sum(map(_size, column.chunks))
    bits = -(-len(column) // 8) if column.null_count else 0
    return len(column) * int(width) + bits


_row: BySchema[int] = BySchema(
    lambda schema: sum(WIDTHS.get(kind.id, 0) for kind in schema.types)
)  # bytes of one row of numbers


def _size(array: pa.Array) -> int:
    """Return the size of an array of any type, by what it is made of.

    Arrow's own functions know dictionaries of lists not at all, and end the process at a struct of
    unions that has nulls.
    """
    kind, count = array.type, len(array)
    if isinstance(kind, pa.BaseExtensionType):
        return _size(array.storage)
    if kinds.is_dictionary(kind):
        return _size(array.indices) + _size(array.dictionary)
    if kinds.is_run_end_encoded(kind):
        first, runs = array.find_physical_offset(), array.find_physical_length()
        ends: int = array.run_ends.type.bit_width // 8 * runs
        return ends + _size(array.values.slice(first, runs))
    if kinds.is_union(kind):
        return _size_of_union(array)
    bits = -(-count // 8) if array.null_count else 0
    if kinds.is_string_view(kind) or kinds.is_binary_view(kind):
        held: int = sum(buffer.size for buffer in text_buffers(array))
        return bits + 16 * count + min(held, long_bytes(array))
    if kinds.is_struct(kind):
        return bits + sum(_size(array.field(at)) for at in range(kind.num_fields))
    if kinds.is_map(kind):
        first, end = _bounds(array)
        parts = (array.keys, array.items)
        return bits + 4 * (count + 1) + sum(_size(part.slice(first, end - first)) for part in parts)
    if kinds.is_list(kind) or kinds.is_large_list(kind):
        first, end = _bounds(array)
        return bits + 8 * (count + 1) + _size(array.values.slice(first, end - first))
    if kinds.is_fixed_size_list(kind):
        size = kind.list_size
        return bits + _size(array.values.slice(array.offset * size, count * size))
    if kinds.is_list_view(kind) or kinds.is_large_list_view(kind):
        return bits + _size_of_list_views(array)
    return int(array.nbytes)


def _bounds(array: Any) -> tuple[int, int]:
    offsets = offsets_of(array)
    return int(offsets[0]), int(offsets[-1])


def _size_of_union(array: Any) -> int:
    count, kind = len(array), array.type
    if not count:
        return 0
    if kind.mode == "sparse":
        return count + sum(_size(array.field(at)) for at in range(kind.num_fields))
    codes = np.frombuffer(array.buffers()[1], "i1")[array.offset :][:count]
    offsets = np.frombuffer(array.buffers()[2], "i4")[array.offset :][:count]
    size = 5 * count
    for at, code in enumerate(kind.type_codes):
        places = offsets[codes == code]
        if len(places):
            first, end = int(places.min()), int(places.max()) + 1
            size += _size(array.field(at).slice(first, end - first))
    return size


def _size_of_list_views(array: Any) -> int:
    """Count the items that the views show, of the average size, and none twice."""
    count, held = len(array), len(array.values)
    width = 8 if kinds.is_large_list_view(array.type) else 4
    if not count or not held:
        return 2 * width * count
    sizes = np.frombuffer(array.buffers()[2], f"i{width}")[array.offset :][:count]
    shown = min(int(sizes.sum(dtype="i8")), held)
    return 2 * width * count + _size(array.values) * shown // held

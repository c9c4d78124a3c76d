"""Arrow's full validation of whatever could lead a reader out of its memory."""

from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

from runstore.containers._layout import Layout

__all__ = ["validate"]


def validate(batch: "pa.RecordBatch | pa.Table", layout: Layout) -> None:
    """Check lengths, offsets, views, codes, counts of nulls, and that text is UTF-8.

    Numbers are not looked at. The time grows with the rows of the other columns.

    Raises:
        pa.ArrowInvalid: The first thing that is wrong.
    """
    if not layout.judged:
        batch.validate(full=True)
        return
    batch.validate()
    for column in batch.columns:
        for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else (column,):
            _check(chunk)


def _check(array: Any) -> None:
    """Check one array, except for what Arrow thinks of its numbers."""
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        _check(array.storage)
    elif kinds.is_decimal(kind) or kinds.is_time(kind) or kinds.is_date64(kind):
        _check_nulls(array)
    elif kinds.is_dictionary(kind):
        blank = pa.nulls(len(array.dictionary))
        pa.DictionaryArray.from_arrays(array.indices, blank, safe=True)
        _check(array.indices)
        _check(array.dictionary)
    elif kinds.is_struct(kind):
        _check_nulls(array)
        for i in range(kind.num_fields):
            _check(array.field(i))
    elif kinds.is_fixed_size_list(kind):
        _check_nulls(array)
        _check(array.values)
    elif kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_map(kind):
        items = array.keys if kinds.is_map(kind) else array.values
        large = kinds.is_large_list(kind)
        of = (pa.large_list if large else pa.list_)(pa.null())
        pa.Array.from_buffers(
            of,
            len(array),
            array.buffers()[:2],
            array.null_count,
            array.offset,
            [pa.nulls(len(items))],
        ).validate(full=True)
        _check(items)
        if kinds.is_map(kind):
            _check(array.items)
    else:
        array.validate(full=True)


def _check_nulls(array: Any) -> None:
    """Check the number of nulls against the bits, taken for booleans."""
    validity = array.buffers()[0]
    if validity is not None:
        buffers = [validity, validity]
        bits = pa.Array.from_buffers(
            pa.bool_(), len(array), buffers, array.null_count, array.offset
        )
        bits.validate(full=True)

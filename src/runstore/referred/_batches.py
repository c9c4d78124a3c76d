"""Batches as they are written: freed of what they do not refer to, a part of the rows at a time."""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

from runstore.referred._arrays import referred_array
from runstore.referred._bits import exact_bits, used_in
from runstore.referred._views import fills_its_buffers, long_bytes, text_buffers

__all__ = ["pickled_array", "referred_batches"]

_AT_ONCE = 4 << 20  # bytes of text that are copied together


def referred_batches(
    batches: Iterable[pa.RecordBatch], *, cut: bool = False
) -> Iterator[pa.RecordBatch]:
    """Return each batch with nothing in its buffers that it does not refer to.

    Args:
        batches: Of one schema.
        cut: Whether a batch may come as several. Then text that has to be copied is copied
            4 MiB at a time.
    """
    for batch in batches:
        for part in _parts(batch) if cut else (batch,):
            columns = [referred_array(column) for column in part.columns]
            if all(new is old for new, old in zip(columns, part.columns, strict=True)):
                yield part
            else:
                yield pa.RecordBatch.from_arrays(columns, schema=part.schema)


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    copied = max((_copied(column) for column in batch.columns), default=0)
    if copied <= _AT_ONCE:
        yield batch
        return
    rows = max(1, batch.num_rows * _AT_ONCE // copied)
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _copied(column: pa.Array) -> int:
    """Return how many bytes of text have to be copied; 0 if cutting would copy some twice."""
    if not (kinds.is_string_view(column.type) or kinds.is_binary_view(column.type)):
        return 0
    held, shown = sum(buffer.size for buffer in text_buffers(column)), long_bytes(column)
    if shown <= _AT_ONCE or shown > held:
        return 0
    validity = column.buffers()[0] if column.null_count else None
    if validity is not None:
        validity = exact_bits(validity, column.offset, len(column))
    return 0 if fills_its_buffers(column, used_in(validity, None)) else shown


def pickled_array(array: pa.Array) -> Any:
    """Return what pickle makes of an array, of nothing but what it refers to."""
    return referred_array(array).__reduce_ex__(5)

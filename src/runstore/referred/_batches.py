"""Batches as they are written: freed of what they do not refer to, a part of the rows at a time."""

from collections.abc import Iterable, Iterator
from typing import Any, overload

import pyarrow as pa
import pyarrow.types as kinds

from runstore.lifetime import load_module
from runstore.referred._arrays import WIDTHS, referred_array
from runstore.referred._bits import exact_bits, used_in
from runstore.referred._joined import Joined
from runstore.referred._views import fills_its_buffers, long_bytes, text_buffers
from runstore.schemas import BySchema

__all__ = ["is_exact", "pickled_array", "referred_batches"]

_AT_ONCE = 4 << 20  # bytes of text that are copied together
_MANY = 256  # columns


@overload
def referred_batches(
    batches: Iterable[pa.RecordBatch], *, cut: bool = False
) -> Iterator[pa.RecordBatch]: ...
@overload
def referred_batches(
    batches: "Iterable[pa.RecordBatch | Joined]", *, cut: bool = False
) -> "Iterator[pa.RecordBatch | Joined]": ...
def referred_batches(
    batches: "Iterable[pa.RecordBatch | Joined]", *, cut: bool = False
) -> "Iterator[pa.RecordBatch | Joined]":
    """Return each batch with nothing in its buffers that it does not refer to.

    Args:
        batches: Of one schema; those that are joined have nothing else anyway.
        cut: Whether a batch may come as several. Then text that has to be copied is copied
            4 MiB at a time.
    """
    for batch in batches:
        if isinstance(batch, Joined) or is_exact(batch):
            yield batch
            continue
        for part in _parts(batch) if cut else (batch,):
            columns = [referred_array(column) for column in part.columns]
            if all(new is old for new, old in zip(columns, part.columns, strict=True)):
                yield part
            else:
                yield pa.RecordBatch.from_arrays(columns, schema=part.schema)


def is_exact(batch: pa.RecordBatch) -> bool:
    """Return whether many columns are numbers without nulls; Arrow writes no more than these.

    Except that it fills up eight bytes with what comes next, so nothing may come next. To look
    at each of many columns takes longer than to write them.
    """
    if batch.num_columns < _MANY or batch.get_total_buffer_size() > _AT_ONCE:
        return False
    widths = _widths.of(batch.schema)
    if widths is None or any(batch.num_rows * width % 8 for width in widths):
        return False
    pc = load_module("pyarrow.compute")
    return bool(pc.drop_null(batch).num_rows == batch.num_rows)


def _number_widths(schema: pa.Schema) -> set[int] | None:
    """Return the bytes that items take; None unless all columns are numbers."""
    widths = {WIDTHS.get(kind.id) for kind in schema.types}
    return None if None in widths else {width for width in widths if width is not None}


_widths: BySchema[set[int] | None] = BySchema(_number_widths)


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

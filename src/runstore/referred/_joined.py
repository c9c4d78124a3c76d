"""Many batches as few: what is small is copied together, what is large is written where it lies.

A reader far away pays for each batch. So the batches of a table become one, of 512 MiB at most.
To write one batch, Arrow wants each of its buffers in one piece. It is given buffers of the right
sizes without content, and whoever takes what it writes puts the pieces in their places.
"""

import mmap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as kinds

from runstore.lifetime import load_module
from runstore.referred._arrays import referred_array

__all__ = ["Joined", "joined"]

_COPIED = 8 << 20  # bytes of a table that are simply copied together
_GATHERED = 32 << 20  # bytes of a larger one that are copied together at a time
_LARGEST = 512 << 20  # bytes of a batch; a reader of columns makes one request for each batch
_PIECE = 1 << 20  # bytes of a column that are copied together at a time, where they lie apart
_APART = 64 << 10  # bytes; a piece that is no smaller is written where it lies
_ROWS = 1 << 17  # of text, that are measured at a time
_MOST_TEXT = (1 << 31) - 1  # bytes of text that offsets of 32 bits reach

Pieces = Callable[[], Iterator[Any]]


class Joined:
    """Rows that are written as one batch.

    Attributes:
        shape: A batch of the right lengths; in the place of most of its data it has nothing.
        pieces: What stands there, by the address of the buffer in *shape*: the size, and what
            gives the data, piece by piece.
    """

    def __init__(self, shape: pa.RecordBatch, pieces: dict[int, tuple[int, Pieces]]) -> None:
        self.shape = shape
        self.pieces = pieces


def joined(
    batches: Sequence[pa.RecordBatch], nbytes: int, *, whole: bool = True
) -> Iterator["pa.RecordBatch | Joined"]:
    """Return the same rows in as few batches as is sensible. No large data is copied.

    Args:
        batches: Of one schema; all have the same dictionaries.
        nbytes: How large they are together, about.
        whole: Whether pieces may be written one after the other; else what is small is copied
            together, and what is large stays as it is.
    """
    filled = [batch for batch in batches if batch.num_rows] or list(batches[:1])
    if len(filled) == 1:
        yield filled[0]
        return
    table = pa.Table.from_batches(filled)
    if nbytes <= _COPIED:
        yield from table.combine_chunks().to_batches()
        return
    if not whole:
        yield from _gathered(filled, nbytes / table.num_rows)
        return
    streams = [_is_streamed(kind) for kind in table.schema.types]
    others = [column for column, apart in zip(table.columns, streams, strict=True) if not apart]
    rows = _rows(table, nbytes, _LARGEST)
    if others:
        rows = min(rows, _rows(table, sum(map(_size, others)), _GATHERED))
    for start in range(0, table.num_rows, rows):
        yield from _one(table.slice(start, rows), streams)


def _gathered(batches: list[pa.RecordBatch], row: float) -> Iterator[pa.RecordBatch]:
    """Copy neighbours together until they are large; *row* is the size of one."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        if waiting and (rows + batch.num_rows) * row > _GATHERED:
            yield from pa.Table.from_batches(waiting).combine_chunks().to_batches()
            waiting, rows = [], 0
        waiting.append(batch)
        rows += batch.num_rows
    yield from pa.Table.from_batches(waiting).combine_chunks().to_batches()


def _rows(table: pa.Table, nbytes: int, most: int) -> int:
    return max(1, int(table.num_rows * most / max(nbytes, 1)))


def _size(column: pa.ChunkedArray) -> int:
    try:
        return int(column.nbytes)
    except pa.ArrowTypeError:  # before pyarrow 24, views have no nbytes
        return int(column.get_total_buffer_size())


def _one(table: pa.Table, streams: list[bool]) -> Iterator["pa.RecordBatch | Joined"]:
    if table.column(0).num_chunks == 1 or not any(streams):
        yield from table.combine_chunks().to_batches()
        return
    plans = [
        _Plan(column) if stream else None
        for column, stream in zip(table.columns, streams, strict=True)
    ]
    if any(plan is not None and plan.is_too_long for plan in plans):
        half = table.num_rows // 2
        yield from _one(table.slice(0, half), streams)
        yield from _one(table.slice(half), streams)
        return
    room = _Room(sum(plan.room for plan in plans if plan is not None))
    columns = [
        column.combine_chunks() if plan is None else plan.array(room)
        for column, plan in zip(table.columns, plans, strict=True)
    ]
    yield Joined(pa.RecordBatch.from_arrays(columns, schema=table.schema), room.pieces)


def _is_streamed(kind: pa.DataType) -> bool:
    return _is_text(kind) or (not isinstance(kind, pa.BaseExtensionType) and _is_fixed(kind))


def _is_text(kind: pa.DataType) -> bool:
    wide = kinds.is_large_string(kind) or kinds.is_large_binary(kind)
    return bool(wide or kinds.is_string(kind) or kinds.is_binary(kind))


def _is_fixed(kind: pa.DataType) -> bool:
    fixed = kinds.is_primitive(kind) or kinds.is_decimal(kind)
    return bool(fixed or (kinds.is_fixed_size_binary(kind) and kind.byte_width))


class _Room:
    """Memory that holds nothing, for buffers whose content comes when they are written."""

    def __init__(self, size: int) -> None:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
        self._map = mmap.mmap(-1, max(size, 1), flags=flags)
        self._memory = pa.py_buffer(self._map)
        self._at = 0
        self.pieces: dict[int, tuple[int, Pieces]] = {}

    def buffer(self, size: int, pieces: Pieces, last: bytes = b"") -> pa.Buffer:
        buffer = self._memory.slice(self._at, size)
        if last:
            self._map[self._at + size - len(last) : self._at + size] = last
        self._at += _padded(size)
        if size:
            self.pieces[buffer.address] = size, pieces
        return buffer


def _padded(size: int) -> int:
    return -(-size // 64) * 64


class _Plan:
    """A column in several chunks, as the buffers that it is going to be."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._column = column
        self._kind = column.type
        self._rows = len(column)
        self._nulls = column.null_count
        self._text = _is_text(self._kind)
        self._bits = -(-self._rows // 8)
        if self._text:
            self._wide = kinds.is_large_string(self._kind) or kinds.is_large_binary(self._kind)
            self._item = np.dtype("i8" if self._wide else "i4")
            self._width = self._item.itemsize
            self._shown = sum(map(_shown, self._runs(_ROWS)))
        else:
            self._width = self._kind.bit_width // 8
        self._bytes = max(1, self._rows * self._width + (self._shown if self._text else 0))

    @property
    def is_too_long(self) -> bool:
        return self._text and not self._wide and self._shown > _MOST_TEXT

    @property
    def room(self) -> int:
        sizes = [self._bits, (self._rows + 1) * self._width if self._width else self._bits]
        return sum(map(_padded, [*sizes, self._shown if self._text else 0]))

    def array(self, room: _Room) -> pa.Array:
        """Return an array of the column's length without its content."""
        validity = room.buffer(self._bits, self._validity) if self._nulls else None
        if not self._text:
            size = self._rows * self._width if self._width else self._bits
            data = room.buffer(size, self._items if self._width else self._truths)
            buffers = [validity, data]
        else:
            end = self._shown.to_bytes(self._width, "little")  # Arrow looks at both ends
            offsets = room.buffer((self._rows + 1) * self._width, self._offsets, end)
            buffers = [validity, offsets, room.buffer(self._shown, self._data)]
        return pa.Array.from_buffers(self._kind, self._rows, buffers, self._nulls)

    def _runs(self, rows: int) -> Iterator[pa.ChunkedArray]:
        for start in range(0, self._rows, rows):
            yield self._column.slice(start, rows)

    def _arrays(self) -> Iterator[pa.Array]:
        """Return the column as arrays that hold nothing else, as they lie or copied together."""
        if self._bytes >= _APART * self._column.num_chunks:
            yield from map(referred_array, self._column.chunks)
            return
        for run in self._runs(max(1, self._rows * _PIECE // self._bytes)):
            yield referred_array(_whole(run))

    def _items(self) -> Iterator[Any]:
        for array in self._arrays():
            yield array.buffers()[1]

    def _truths(self) -> Iterator[Any]:
        column = self._column.fill_null(False) if self._nulls else self._column
        yield referred_array(_whole(column)).buffers()[1]

    def _validity(self) -> Iterator[Any]:
        yield referred_array(_whole(self._column.is_valid())).buffers()[1]

    def _offsets(self) -> Iterator[Any]:
        base = 0
        yield np.zeros(1, self._item)
        for array in self._arrays():
            if len(array):
                offsets = np.frombuffer(array.buffers()[1], self._item)[1 : len(array) + 1]
                yield offsets + self._item.type(base) if base else offsets
                base += int(offsets[-1])

    def _data(self) -> Iterator[Any]:
        for array in self._arrays():
            data = array.buffers()[2]
            if data is not None and data.size:
                yield data


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _shown(column: pa.ChunkedArray) -> int:
    """Return how many bytes of text a column shows."""
    pc = load_module("pyarrow.compute")
    return int(pc.sum(pc.binary_length(column)).as_py() or 0)

"""Some rows of a stored Arrow file, read without the rest of the columns they are in.

A table that was put whole is one batch, and a gigabyte of it is one buffer for each column. To look
at fifty rows, this reads the piece of each buffer where they are: of numbers that is a range, of
text a range of offsets and the text between them. Where that is not possible (compressed columns,
maps, unions) the whole column is read, if the caller allows as many bytes; else it is left out.

Nothing here knows codecs: the columns come as they are stored, and nothing is unpickled.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.types as kinds

from runstore.buffers import Buffer, flat
from runstore.containers._flatbuffer import MalformedError
from runstore.containers._footer import check_extensions, entries_in
from runstore.containers._guard import Guard
from runstore.containers._header import Header
from runstore.containers._layout import buffers_of
from runstore.containers._messages import Batch, message_at, parse_batch
from runstore.containers._pieces import PIECES, Pieces
from runstore.containers._read import ARROW_ERRORS, footer_of, header_in
from runstore.containers._row_cells import Cells, ReadRanges, TooLargeError, is_reachable
from runstore.containers._seal import is_sealed
from runstore.containers._windows import Windows
from runstore.errors import CorruptObjectError

__all__ = ["ArrowRows", "Column", "LeftOut"]

_LARGEST_MESSAGES = 32 << 20  # bytes in front of the batches of one file


class LeftOut(NamedTuple):
    """Why the cells of a column are not here."""

    reason: str


Column: TypeAlias = Any
"""The cells of a column, a ``pyarrow.ChunkedArray``, or a `LeftOut`."""


class ArrowRows:
    """An Arrow file of which some rows are looked at.

    Args:
        read: Reads ranges of the file, side by side, always of the same version.
        size: Of the file, in bytes.
        footer: Its last bytes, from where the footer begins.
        ref: What to call it in errors.
        guard: What else is accepted.

    Attributes:
        schema: Of all stored columns.
        header: What the file says about itself; None if another program wrote it.
        counts: How many rows each batch has.

    Raises:
        CorruptObjectError: The footer is damaged.
        UnsafePickleError: *guard* does not accept its extension types.
        UnsupportedFormatError: It is of a newer format version.
    """

    def __init__(self, read: ReadRanges, size: int, footer: bytes, ref: str, guard: Guard) -> None:
        self.ref, self._read, self._size, self._footer = ref, read, size, footer
        check_extensions(footer, ref, guard)
        entries = entries_in(footer, ref, guard)
        self.header: Header | None = header_in(entries, ref) if is_sealed(footer, ref) else None
        parsed = footer_of(footer, ref)
        self._blocks, self._dictionaries = parsed.batches, parsed.dictionaries
        self._file = Windows(self._read_one, size, footer)
        self._batches: dict[int, Batch] = {}
        self._labels: list[Any] | None = None
        self.schema: pa.Schema = self._reader(None).schema
        told = entries.get(PIECES)
        if told is not None:
            self.counts = Pieces.from_json(told, size - len(footer), ref).rows
            if len(self.counts) != len(self._blocks):
                raise self._damaged("its list of pieces does not fit its batches")
        else:
            self._parse(range(len(self._blocks)))
            self.counts = [self._batches[i].rows for i in range(len(self._blocks))]

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(self.counts)

    def window(self, start: int, count: int, columns: Sequence[int], most: int) -> list[Column]:
        """Return so many rows of some columns from *start* on, each as it is stored.

        Args:
            start: The first row, from 0.
            count: How many; there may be fewer.
            columns: Which columns, by number.
            most: How many bytes may be read of one column.

        Raises:
            CorruptObjectError: What was read is damaged.
        """
        ends = list(accumulate(self.counts))
        spans = []
        for i, end in enumerate(ends):
            first, last = max(start, end - self.counts[i]), min(start + count, end)
            if first < last:
                spans.append((i, first - (end - self.counts[i]), last - first))
        self._parse([i for i, _, _ in spans])
        try:
            return [self._column(column, spans, most) for column in columns]
        except (MalformedError, *ARROW_ERRORS) as exc:
            raise self._damaged(exc) from exc

    def _column(self, column: int, spans: list[tuple[int, int, int]], most: int) -> Column:
        kind = self.schema.field(column).type
        chunks = []
        for i, at, count in spans:
            found = self._cells(i, column, at, count, most)
            if isinstance(found, LeftOut):
                return found
            found.validate(full=True)
            chunks.append(found)
        return pa.chunked_array(chunks, chunks[0].type if chunks else kind)

    def _cells(
        self, index: int, column: int, at: int, count: int, most: int
    ) -> "pa.Array | LeftOut":
        batch, kind = self._batches[index], self.schema.field(column).type
        first, last = buffers_of(self.schema, batch)[column]
        buffers = batch.buffers[first:last].tolist()
        labels = kinds.is_dictionary(kind)
        reachable = is_reachable(kind.index_type if labels else kind) and not batch.compressed
        if not reachable or sum(size for _, size in buffers) <= min(_SMALL, most):
            if not self._fits(index, column, buffers, most):
                return LeftOut("too large to be shown: it is compressed, or of a nested type")
            return self._whole(index, column, buffers).slice(at, count)
        base = self._blocks[index][0] + self._blocks[index][1]
        cells = Cells(self._read, base, buffers, self._views_of(index, column), most)
        try:
            if not labels:
                return cells.take(kind, at, count)
            return self._labelled(column, cells.take(kind.index_type, at, count), most)
        except TooLargeError:
            return LeftOut("too large to be shown")

    def _views_of(self, index: int, column: int) -> Iterator[int]:
        """Return how many buffers each column of views points to, from this column on."""
        before = self.schema.types[:column]
        return iter(self._batches[index].variadic[sum(map(_views_in, before)) :])

    def _labelled(self, column: int, codes: pa.Array, most: int) -> "pa.Array | LeftOut":
        if sum(body for _, _, body in self._dictionaries) > most:
            return LeftOut("its labels are too large to be shown")
        if self._labels is None:
            self._labels = self._all_labels()
        ordered = self.schema.field(column).type.ordered
        return pa.DictionaryArray.from_arrays(
            codes, self._labels[column], ordered=ordered, safe=True
        )

    def _all_labels(self) -> list[Any]:
        """Return the labels of each column, from the dictionaries in front of the first batch."""
        ranges = [(start, start + length + body) for start, length, body in self._dictionaries]
        blank = pa.RecordBatch.from_pylist([], schema=self.schema)
        messages = [flat(data) for data in self._read(ranges)]
        stream = b"".join([self.schema.serialize(), *messages, blank.serialize()])
        batch = pa.ipc.open_stream(stream).read_next_batch()
        found = [getattr(one, "dictionary", None) for one in batch.columns]
        for one in found:
            if one is not None:
                one.validate(full=True)
        return found

    def _fits(self, index: int, column: int, buffers: list[list[int]], most: int) -> bool:
        """Return whether a whole column takes no more bytes than may be read, also decoded."""
        needed = sum(size for _, size in buffers)
        if kinds.is_dictionary(self.schema.field(column).type):
            needed += sum(body for _, _, body in self._dictionaries)
        if needed > most or not self._batches[index].compressed:
            return needed <= most
        base = self._blocks[index][0] + self._blocks[index][1]
        heads = [(base + at, base + at + 8) for at, size in buffers if size >= 8]
        sizes = (int.from_bytes(flat(one), "little", signed=True) for one in self._read(heads))
        return sum(max(0, size) for size in sizes) <= most

    def _whole(self, index: int, column: int, buffers: list[list[int]]) -> Any:
        base = self._blocks[index][0] + self._blocks[index][1]
        filled = [(base + at, base + at + size) for at, size in buffers if size]
        self._file.show(
            [(at, flat(data)) for (at, _), data in zip(filled, self._read(filled), strict=True)]
        )
        try:
            return self._reader((column,)).get_batch(index).column(0)
        finally:
            self._file.show(())

    def _parse(self, wanted: Sequence[int]) -> None:
        """Read and parse the messages in front of some batches."""
        left = [i for i in wanted if i not in self._batches]
        ranges = [(self._blocks[i][0], sum(self._blocks[i][:2])) for i in left]
        if sum(end - start for start, end in ranges) > _LARGEST_MESSAGES:
            raise self._damaged("what stands in front of its batches is too large")
        if not left:
            return
        try:
            for i, data in zip(left, self._read(ranges), strict=True):
                message = message_at(flat(data), 0)
                batch = None if message is None else parse_batch(message)
                if batch is None or batch.dictionary or batch.body != self._blocks[i][2]:
                    raise MalformedError(f"there is no batch at {self._blocks[i][0]}")
                self._batches[i] = batch
        except MalformedError as exc:
            raise self._damaged(exc) from exc

    def _reader(self, columns: tuple[int, ...] | None) -> Any:
        options = pa.ipc.IpcReadOptions(included_fields=list(columns) if columns else None)
        try:
            return pa.ipc.RecordBatchFileReader(pa.PythonFile(self._file, "r"), options=options)
        except ARROW_ERRORS as exc:
            raise self._damaged(exc) from exc

    def _read_one(self, start: int, length: int) -> Buffer:
        return self._read([(start, start + length)])[0]

    def _damaged(self, why: object) -> CorruptObjectError:
        return CorruptObjectError(f"{self.ref} is damaged: {why}", self.ref)


_SMALL = 256 << 10  # bytes of a column that is not worth to be read in part


def _views_in(kind: pa.DataType) -> int:
    """Return how many columns of views there are in a type."""
    if kinds.is_string_view(kind) or kinds.is_binary_view(kind):
        return 1
    if kinds.is_nested(kind) and not kinds.is_dictionary(kind):
        return sum(_views_in(kind.field(i).type) for i in range(kind.num_fields))
    return 0

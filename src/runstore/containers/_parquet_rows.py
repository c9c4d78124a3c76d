"""Some rows of a stored Parquet file; see `ArrowRows`."""

from collections.abc import Sequence
from itertools import accumulate

import pyarrow as pa
import pyarrow.parquet as pq

from runstore.buffers import Buffer
from runstore.containers._footer import check_extensions, entries_in
from runstore.containers._guard import Guard
from runstore.containers._header import Header
from runstore.containers._read import ARROW_ERRORS, header_in
from runstore.containers._row_cells import ReadRanges
from runstore.containers._row_window import Column, LeftOut
from runstore.containers._seal import is_sealed
from runstore.containers._windows import Windows
from runstore.errors import CorruptObjectError

__all__ = ["ParquetRows"]

_BATCH = 4096  # rows that are decoded at a time
_OPENING = 1 << 20  # bytes that may be read to open it, besides its footer
_DECODED = 16  # times as many bytes as are read may be decoded


class _EnoughError(Exception):
    """More bytes were needed than may be read."""


class ParquetRows:
    """A Parquet file of which some rows are looked at.

    A column chunk is decoded page by page from its beginning, as far as is needed.

    Args:
        read, size, footer, ref, guard: As for `ArrowRows`, which has the attributes, too.

    Raises:
        CorruptObjectError, UnsafePickleError, UnsupportedFormatError: As for `ArrowRows`.
    """

    def __init__(self, read: ReadRanges, size: int, footer: bytes, ref: str, guard: Guard) -> None:
        self.ref, self._read, self._left = ref, read, _OPENING
        check_extensions(footer, ref, guard)
        entries = entries_in(footer, ref, guard)
        self.header: Header | None = header_in(entries, ref) if is_sealed(footer, ref) else None
        file = Windows(self._read_one, size, footer)
        file.show(())
        try:
            self._file = pq.ParquetFile(
                pa.PythonFile(file, "r"), pre_buffer=False, buffer_size=64 << 10
            )
            self.schema: pa.Schema = self._file.schema_arrow
        except ARROW_ERRORS as exc:
            raise self._damaged(exc) from exc
        told = self._file.metadata
        self.counts = [told.row_group(i).num_rows for i in range(told.num_row_groups)]

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(self.counts)

    def window(self, start: int, count: int, columns: Sequence[int], most: int) -> list[Column]:
        """Return so many rows of some columns; see `ArrowRows.window`."""
        return [self._column(column, start, count, most) for column in columns]

    def _column(self, column: int, start: int, count: int, most: int) -> Column:
        self._left = most
        chunks: list[pa.Array] = []
        try:
            for group, end in enumerate(accumulate(self.counts)):
                begin = end - self.counts[group]
                first, last = max(start, begin), min(start + count, end)
                if first < last:
                    chunks += self._cells(group, column, first - begin, last - begin, most)
        except _EnoughError:
            return LeftOut("too large to be shown")
        except ARROW_ERRORS as exc:
            raise self._damaged(exc) from exc
        return pa.chunked_array(chunks, self.schema.field(column).type)

    def _cells(self, group: int, column: int, first: int, last: int, most: int) -> list[pa.Array]:
        name = self.schema.field(column).name
        batches = self._file.iter_batches(
            batch_size=_BATCH, row_groups=[group], columns=[name], use_threads=False
        )
        at, found, decoded = 0, [], 0
        for batch in batches:
            cells = batch.column(0)
            decoded += cells.get_total_buffer_size()
            if decoded > _DECODED * most:
                raise _EnoughError
            begin, end = max(first - at, 0), min(last - at, len(cells))
            if begin < end:
                found.append(cells.slice(begin, end - begin))
            at += len(cells)
            if at >= last:
                break
        return found

    def _read_one(self, start: int, length: int) -> Buffer:
        self._left -= length
        if self._left < 0:
            raise _EnoughError
        return self._read([(start, start + length)])[0]

    def _damaged(self, why: object) -> CorruptObjectError:
        return CorruptObjectError(f"{self.ref} is damaged: {why}", self.ref)

"""Arrow and Parquet files that are read piece by piece, each checked by itself.

A piece that is read whole has to fit its digest. Of one that is read in part, the structure is
validated, as of any part of a file. The list of the pieces is under the digest of the footer.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import xxhash

from runstore.buffers import flat
from runstore.containers._flatbuffer import MalformedError
from runstore.containers._footer import check_extensions, entries_in
from runstore.containers._guard import Guard
from runstore.containers._header import Header
from runstore.containers._layout import ITEM, Layout, buffers_of
from runstore.containers._messages import Batch, message_at, parse_batch
from runstore.containers._pieces import PIECES, Pieces
from runstore.containers._ranges import Range
from runstore.containers._read import ARROW_ERRORS, footer_of, header_in
from runstore.containers._seal import is_sealed
from runstore.containers._validate import validate
from runstore.containers._windows import Read, Window, Windows, coalesced
from runstore.errors import CorruptObjectError

__all__ = ["ArrowPieces", "ParquetPieces", "open_pieces"]

_WHOLE = 1 << 20  # bytes of a piece that is not worth to be read in part
_GAP = 64 << 10  # bytes between two ranges that are read as one
_RESTORE = "Restore it from a copy, or run again the stage that made it"


class ArrowPieces:
    """An Arrow file of several batches. Pieces are fetched in any thread, and opened in one.

    Attributes:
        header: What the file says about itself.
        pieces: Where they lie.
        schema: Of all columns.
    """

    keeps_nulls = True

    def __init__(
        self, read: Read, size: int, footer: bytes, ref: str, guard: Guard, found: "_Found"
    ) -> None:
        self.header, self.pieces, self.ref = found.header, found.pieces, ref
        self._read, self._guard = read, guard
        self._windows = Windows(read, size, footer)
        self._readers: dict[tuple[int, ...] | None, Any] = {}
        self._first: tuple[Window, ...] = ()
        parsed = footer_of(footer, ref)
        self._blocks, self._dictionaries = parsed.batches, parsed.dictionaries
        self.schema = self._reader(None).schema
        self._layout = Layout(self.schema)
        fits = len(self._blocks) == len(self.pieces.ends) and all(
            first <= start and start + length + body <= end
            for first, end, (start, length, body) in zip(
                self.pieces.starts, self.pieces.ends, self._blocks, strict=True
            )
        )
        if not fits:
            raise _damaged(ref, "its list of pieces does not fit its batches")

    def ranges(self, columns: Sequence[int]) -> dict[int, list[Range | None]]:
        """Return the ranges of values that are known, by column; of *columns* at least."""
        return self.pieces.ranges

    def fetch(self, index: int, columns: Sequence[int] | None, *, verify: bool) -> list[Window]:
        """Read what is needed of a piece; all of it if *columns* is None or *verify* is set."""
        start, end = self.pieces.starts[index], self.pieces.ends[index]
        if self._dictionaries and index and not self._first:
            self._first = (_verified(self, 0, self._read),)  # where all dictionaries are
        if columns is not None and not verify and end - start > _WHOLE:
            message = flat(self._read(*self._blocks[index][:2]))
            ranges = self._ranges(index, message, columns)
            if ranges is not None:
                return [
                    (self._blocks[index][0], message),
                    *((at, flat(self._read(at, until - at))) for at, until in ranges),
                ]
        return [_verified(self, index, self._read)]

    def _ranges(
        self, index: int, message: memoryview, columns: Sequence[int]
    ) -> list[tuple[int, int]] | None:
        """Return where the buffers of some columns lie; None if that is most of the piece."""
        start, length, body = self._blocks[index]
        batch = self._parsed(message, body)
        found, base = [], start + length
        try:
            spans = buffers_of(self.schema, batch)
        except MalformedError as exc:
            raise _damaged(self.ref, exc) from exc
        for first, last in (spans[i] for i in sorted(set(columns))):
            for at, size in batch.buffers[first:last].tolist():
                if size:
                    found.append((base + at, base + at + size))
        ranges = list(coalesced(found, _GAP))
        needed = sum(until - at for at, until in ranges)
        return ranges if 2 * needed < length + body else None

    def _parsed(self, message: memoryview, body: int) -> Batch:
        try:
            found = message_at(message, 0)
            batch = None if found is None else parse_batch(found)
        except MalformedError as exc:
            raise _damaged(self.ref, exc) from exc
        if batch is None or batch.body != body or batch.dictionary:
            raise _damaged(self.ref, "there is no batch where one should be")
        return batch

    def open(self, index: int, windows: list[Window], columns: Sequence[int] | None) -> pa.Table:
        """Build these columns of a piece, in this order, on what was fetched of it.

        Raises:
            CorruptObjectError: Its structure is damaged.
            UnsupportedFormatError: It would take too much memory for its size.
        """
        self._windows.show((*self._first, *windows))
        self._check_decoded(index, windows)
        try:
            batch = self._reader(columns).get_batch(index)
            if columns is not None:
                needed = sorted(set(columns))
                batch = batch.select([needed.index(i) for i in columns])
            validate(batch, self._layout)
        except MemoryError:
            raise
        except ARROW_ERRORS as exc:
            raise _damaged(self.ref, exc) from exc
        finally:
            self._windows.show(())
        if batch.num_rows != self.pieces.rows[index]:
            raise _damaged(self.ref, "a batch has another number of rows than its list says")
        fields = self.schema if columns is None else [self.schema.field(i) for i in columns]
        schema = pa.schema(list(fields), self.schema.metadata)
        return pa.Table.from_arrays(batch.columns, schema=schema)

    def _check_decoded(self, index: int, windows: list[Window]) -> None:
        """Check what the piece claims to take in memory besides what is here."""
        start, length, body = self._blocks[index]
        self._windows.seek(start)
        batch = self._parsed(flat(self._windows.read(length)), body)
        decoded, stored = ITEM * self._layout.claimed(batch), sum(d.nbytes for _, d in windows)
        if batch.compressed:
            for at, size in batch.buffers.tolist():
                first = start + length + at
                if size >= 8 and any(w <= first < w + d.nbytes for w, d in windows):
                    self._windows.seek(first)
                    claimed = int.from_bytes(self._windows.read(8), "little", signed=True)
                    decoded += size if claimed < 0 else claimed
        if batch.compressed or not self._guard.trusted:
            self._guard.check_decoded(decoded, stored, self.ref)

    def _reader(self, columns: Sequence[int] | None) -> Any:
        key = None if columns is None else tuple(sorted(set(columns)))
        reader = self._readers.get(key)
        if reader is None:
            options = pa.ipc.IpcReadOptions(included_fields=list(key) if key else None)
            try:
                reader = pa.ipc.RecordBatchFileReader(
                    pa.PythonFile(self._windows, "r"), options=options
                )
            except ARROW_ERRORS as exc:
                raise _damaged(self.ref, exc) from exc
            self._readers[key] = reader
        return reader


class ParquetPieces:
    """A Parquet file of several row groups; see `ArrowPieces`."""

    keeps_nulls = False

    def __init__(
        self, read: Read, size: int, footer: bytes, ref: str, guard: Guard, found: "_Found"
    ) -> None:
        import pyarrow.parquet as pq

        from runstore.containers._parquet import StoredParquet

        self.header, self.pieces, self.ref = found.header, found.pieces, ref
        self._read = read
        self._windows = Windows(read, size, footer)
        try:
            self._file = pq.ParquetFile(
                pa.PythonFile(self._windows, "r"),
                pre_buffer=True,
                page_checksum_verification=True,
            )
        except ARROW_ERRORS as exc:
            raise _damaged(ref, exc) from exc
        self._stored = StoredParquet(b"", self._file, found.header, ref)
        self.schema = self._stored.schema
        told = self._file.metadata
        rows = [told.row_group(i).num_rows for i in range(told.num_row_groups)]
        if rows != self.pieces.rows:
            raise _damaged(ref, "its list of pieces does not fit its row groups")

    def ranges(self, columns: Sequence[int]) -> dict[int, list[Range | None]]:
        """Return the ranges of values that are known, by column; of *columns* at least."""
        return self.pieces.ranges

    def fetch(self, index: int, columns: Sequence[int] | None, *, verify: bool) -> list[Window]:
        """Read a piece, if all of it is needed; else nothing, and `open` reads what it needs."""
        start, end = self.pieces.starts[index], self.pieces.ends[index]
        if columns is not None and not verify and end - start > _WHOLE:
            return []
        return [_verified(self, index, self._read)]

    def open(self, index: int, windows: list[Window], columns: Sequence[int] | None) -> pa.Table:
        """Decode these columns of a piece, in this order.

        Raises:
            CorruptObjectError: It cannot be decoded.
        """
        self._windows.show(windows)
        try:
            return self._stored.group(index, columns)
        finally:
            self._windows.show(())


class _Found:
    """What the footer says of the pieces."""

    def __init__(self, header: Header, pieces: Pieces) -> None:
        self.header, self.pieces = header, pieces


def open_pieces(
    read: Read, size: int, footer: bytes, ref: str, guard: Guard
) -> ArrowPieces | ParquetPieces | None:
    """Open a file to be read piece by piece.

    Args:
        read: Gives a range of the file.
        size: Of the file, in bytes.
        footer: Its last bytes, from where the footer begins.
        ref: What to call it in errors.
        guard: What else is accepted.

    Returns:
        None if it has to be read whole: it has no list of pieces; or *guard* trusts nobody, and
        what a Parquet file takes in memory can only be told from all of it.

    Raises:
        CorruptObjectError: The footer is damaged.
        UnsafePickleError: *guard* does not accept its extension types.
        UnsupportedFormatError: It is of a newer format version.
    """
    if not is_sealed(footer, ref):
        return None
    entries = entries_in(footer, ref, guard)
    told = entries.get(PIECES)
    parquet = footer.endswith(b"PAR1")
    if told is None or (parquet and not guard.trusted):
        return None
    check_extensions(footer, ref, guard)
    found = _Found(header_in(entries, ref), Pieces.from_json(told, size - len(footer), ref))
    if parquet:
        return ParquetPieces(read, size, footer, ref, guard, found)
    return ArrowPieces(read, size, footer, ref, guard, found)


def _verified(of: ArrowPieces | ParquetPieces, index: int, read: Read) -> Window:
    """Read a piece, and check its digest."""
    start, end = of.pieces.starts[index], of.pieces.ends[index]
    data = flat(read(start, end - start))
    if xxhash.xxh3_128_hexdigest(data) != of.pieces.digests[index]:
        raise _damaged(of.ref, f"piece {index} does not fit its digest. {_RESTORE}")
    return start, data


def _damaged(ref: str, why: object) -> CorruptObjectError:
    return CorruptObjectError(f"{ref} is damaged: {why}", ref)

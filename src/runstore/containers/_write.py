"""Record batches to the bytes of one Arrow file, in one pass."""

import base64
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import pyarrow as pa

from runstore.buffers import Buffer, flat
from runstore.containers._aligned import aligning
from runstore.containers._cell import cell_file
from runstore.containers._compression import check_writable, compressed_apart, compression_for
from runstore.containers._header import Header
from runstore.containers._layout import ITEM, layout_of
from runstore.containers._pieces import PieceLog
from runstore.containers._refooter import with_entries
from runstore.containers._rows import learn_rows, rows_file
from runstore.containers._seal import Seal, footer_start
from runstore.containers._sink import Sink
from runstore.containers._streamed import Copy, Streamed, Written, footer_entries
from runstore.containers._structure import StructureDigest
from runstore.errors import UnsupportedValueError
from runstore.lifetime import load_module

__all__ = ["FIRST_MESSAGE", "arrow_file"]

_SMALL = 64 * 1024  # below, the file is put together in memory: one write, no sink calls
_LARGE = 1 << 20  # below, digesting a piece takes less than handing it to a thread
_NARROW = 16 << 10  # bytes of a column; below, Arrow's calls would take longer than a copy
_NARROW_FILE = 16 << 20  # bytes of a file that is put together in memory for that
_SHORT_MESSAGE = (
    24 << 10
)  # bytes that are also kept in the footer, of which 64 KiB are read at once
FIRST_MESSAGE = b"runstore.first"
"""Key in the footer: the message in front of the first batch, in base64."""


class _CellFile(Written):
    """A file that is whole already."""

    def __init__(self, file: bytes, digest: str) -> None:
        self._file = file
        self.size = len(file)
        self.digest = digest

    def __iter__(self) -> Iterator[Buffer]:
        return iter((self._file,))


class _ArrowFile(Streamed):
    def __init__(
        self,
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        header: Header,
        key: bytes | None,
        options: Any,
        small: bool,
        narrow: bool,
        alike: object | None,
        finish: Callable[[], Header] | None = None,
        log: PieceLog | None = None,
    ) -> None:
        # What is compressed, or small, is verified whole whenever it is read.
        mapped = not small and options.compression is None
        self._schema = schema
        seal = Seal(key, self._structure if mapped else None)
        super().__init__(schema, batches, header, seal, finish, log)
        self._mapped = mapped
        self._options = options
        self._small = small
        self._narrow = narrow
        self._alike = alike if small and mapped is False and key is None else None
        self._message = ""

    def _digested(self, view: memoryview, copy: Copy) -> Buffer:
        digested = super()._digested(view, copy)
        if not self._mapped and self._is_measured():
            self._structure.add(flat(digested))
        return digested

    @cached_property
    def _structure(self) -> StructureDigest:
        return StructureDigest(layout_of(self._schema))

    def _is_measured(self) -> bool:
        """Return whether readers count what the file takes in memory besides its bytes."""
        compressed = self._options.compression is not None
        return self.guard is not None and (compressed or not self.guard.trusted)

    def _steps(self, sink: Sink) -> Iterator[None]:
        out = pa.BufferOutputStream() if self._narrow else pa.PythonFile(sink, "w")
        writer = None
        referred = load_module("runstore.referred")  # slow to import
        for batch in self._batches:
            pieces = {}
            if isinstance(batch, referred.Joined):
                batch, pieces = batch.shape, batch.pieces
            at = out.tell() if self._narrow else sink.position
            padding, length = aligning(self._schema, batch, at)
            if writer is None:
                if self._finish is None:
                    self._leave_room(length)
                writer = self._writer(out)
            if self._log is not None:
                self._log.begin(batch)
            sink.expect(pieces)
            writer.write_batch(batch, custom_metadata=padding)
            sink.check_met()
            yield
        if writer is None:
            writer = self._writer(out)
        writer.close()
        if self._narrow:
            file = memoryview(out.getvalue())
            end = footer_start(file[-10:], file.nbytes, self._ref)
            sink.write(file[:end])
            yield
            sink.write(file[end:])

    def _leave_room(self, length: int) -> None:
        """Leave room in the footer for the message before the first batch, if it is a short one.

        Readers who are far away then need not ask for it before they ask for the data.
        """
        if self._mapped and 0 < length <= _SHORT_MESSAGE:
            size = -(-length // 3) * 4
            self._message = secrets.token_hex(-(-size // 2))[:size]
            self._footer |= {FIRST_MESSAGE: self._message.encode()}

    def _parts(self) -> Iterator[Buffer]:
        if not self._small:
            yield from super()._parts()
            return
        sink = pa.BufferOutputStream()
        writer = self._writer(sink)
        for batch in self._batches:
            writer.write_batch(batch)
        writer.close()
        file = sink.getvalue().to_pybytes()
        if self._is_measured():
            end = footer_start(memoryview(file)[-10:], len(file), self._ref)
            self._structure.add(memoryview(file)[:end])
        file = self._sealed(file)
        if self._alike is not None:
            learn_rows(file, self._footer[b"runstore.object"], self._schema, self._alike)
        yield file

    def _sealed(self, tail: bytes) -> bytes:
        if self._finish is not None:
            tail = with_entries(tail, self._entries())
        if self._is_measured():
            self._check_claimed(self.size + len(tail))
        if self._message:
            message, room = base64.b64encode(self._structure.first or b""), len(self._message)
            told = message if len(message) == room else b""
            tail = tail.replace(self._message.encode(), told.ljust(room))
        return super()._sealed(tail)

    def _decoded(self) -> int:
        claimed = ITEM * self._structure.claimed
        return claimed + (0 if self._options.compression is None else self._nbytes)

    def _check_claimed(self, stored: int) -> None:
        """Raise UnsupportedValueError for more items without data than readers accept."""
        claimed, decoded = ITEM * self._structure.claimed, self._decoded()
        assert self.guard is not None
        if claimed and not self.guard.allows(decoded, stored):
            raise UnsupportedValueError(
                f"cannot store {self._ref}: it has {self._structure.claimed:,} items that take no "
                f"room in the file of {stored:,} bytes (nulls without a type, structs, or runs of "
                "one value), and readers of this store would take that for a file made to exhaust "
                "memory. Store them as a type of their own, e.g. int8, or set RUNSTORE_MAX_DECODED "
                f"to more than {decoded // stored + 1} here and where it is read",
                self._ref,
            )

    def _writer(self, sink: Any) -> Any:
        footer = self._footer or None
        return pa.ipc.new_file(sink, self._schema, options=self._options, metadata=footer)


def arrow_file(
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    header: Header,
    *,
    nbytes: int | None = None,
    compression: str | None = None,
    key: bytes | None = None,
    cell: Buffer | None = None,
    cut: bool = False,
    joins: bool = False,
    finish: Callable[[], Header] | None = None,
    alike: object | None = None,
    data: Sequence[bytes] | None = None,
) -> Written:
    """Encode *batches* as one self-describing Arrow IPC file.

    Nothing is written that the batches do not refer to, whatever else their buffers hold. Of
    the data, one piece at a time is copied; with *compression* one batch at a time is
    compressed.

    Args:
        schema: The schema of every batch.
        batches: Any number, none included.
        header: What the file says about itself.
        nbytes: About how large the data is, if known.
        compression: ``lz4``, ``zstd`` or None; see `compression_for`.
        key: To sign the file with; None leaves it unsigned.
        cell: What stands in the only row, if *schema* is one column of large text or
            binary without nulls; then *batches* may not be needed.
        alike: What all tables have in common that differ from this in numbers alone.
        data: The numbers of each column, if there is nothing else and one batch.
        cut: Whether a batch may be written as several, so that less is copied at a time.
        joins: Whether it may be if it is compressed.
        finish: Gives the header when all batches have been written, for a table that comes in
            pieces; its footer lists them, so that some can be read without the others.

    Raises:
        UnsupportedValueError: This pyarrow writes such a table wrongly.
    """
    if cell is not None and key is None and compression is None:
        file = cell_file(schema, cell, footer_entries(header))
        if file is not None:
            return _CellFile(*file)
    if alike is not None and key is None and compression is None and data is not None:
        entries = footer_entries(header)
        file = rows_file(alike, data, entries[b"runstore.object"])
        if file is not None:
            return _CellFile(*file)
    check_writable(schema, str(header.place))
    compression = compression_for(schema, compression)
    options = pa.ipc.IpcWriteOptions(
        allow_64bit=True, compression=compression, unify_dictionaries=True
    )
    known = 0 if nbytes is None else nbytes
    small = nbytes is not None and nbytes < _SMALL
    narrow = not small and 0 < known < min(_NARROW_FILE, _NARROW * len(schema))
    referred = load_module("runstore.referred")  # slow to import
    if cut and nbytes is not None and isinstance(batches, Sequence) and len(batches) > 1:
        whole = compression is None and not (small or narrow)
        batches = referred.joined(batches, nbytes, whole=whole)
    if compression is not None and (cut or joins) and isinstance(batches, Sequence):
        batches = compressed_apart(schema, batches, known)
    batches = referred.referred_batches(batches, cut=cut)
    log = PieceLog(schema) if finish is not None else None
    return _ArrowFile(schema, batches, header, key, options, small, narrow, alike, finish, log)

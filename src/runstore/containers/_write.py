"""Record batches to the bytes of one Arrow file, in one pass.

Large data is copied piece by piece, and each piece is digested and passed on. So what is
stored is what was digested, also if another thread changes the value meanwhile.
"""

import base64
import secrets
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa

from runstore.buffers import Buffer, flat
from runstore.containers._aligned import aligning
from runstore.containers._cell import cell_file
from runstore.containers._compression import check_writable, compressed_apart, compression_for
from runstore.containers._guard import Guard
from runstore.containers._header import FORMAT_VERSION, Header
from runstore.containers._layout import ITEM, layout_of
from runstore.containers._pieces import PIECES, PieceLog
from runstore.containers._refooter import with_entries
from runstore.containers._rows import learn_rows, rows_file
from runstore.containers._seal import Seal, footer_start
from runstore.containers._sink import Sink
from runstore.containers._structure import StructureDigest
from runstore.errors import UnsupportedValueError
from runstore.lifetime import load_module

__all__ = [
    "FIRST_MESSAGE",
    "WRITE_ERRORS",
    "Streamed",
    "Written",
    "arrow_file",
    "footer_entries",
    "pieces",
]

# What Arrow's writers raise for what they cannot write; Parquet's report it as input and output.
WRITE_ERRORS = (pa.ArrowException, OSError)

_SMALL = 64 * 1024  # below, the file is put together in memory: one write, no sink calls
_LARGE = 1 << 20  # below, digesting a piece takes less than handing it to a thread
_WORTH_A_THREAD = 8 << 20  # bytes of a file; for fewer a thread costs more than it saves
_PIECE = 256 << 10  # fits into a core's cache, where copying and digesting cost little
_NARROW = 16 << 10  # bytes of a column; below, Arrow's calls would take longer than a copy
_NARROW_FILE = 16 << 20  # bytes of a file that is put together in memory for that
_SHORT_MESSAGE = (
    24 << 10
)  # bytes that are also kept in the footer, of which 64 KiB are read at once
_AHEAD = 2  # pieces of _LARGE that are copied and digested while one is written
FIRST_MESSAGE = b"runstore.first"
"""Key in the footer: the message in front of the first batch, in base64."""


Copy = np.ndarray[Any, np.dtype[np.uint8]]


class Written(ABC):
    """The bytes of one file, as buffers to be written one after the other.

    The buffers are private: nobody changes them, and they may be kept. To be iterated over
    once; afterwards ``size`` and ``digest`` are known.

    Attributes:
        size: Bytes given out so far.
        digest: Of the file's body, once the last buffer has been given out.
        guard: What readers of the store accept. A file that they would refuse for what it
            takes in memory raises UnsupportedValueError before its last buffer.
        objects: Bytes that its value takes as objects, weighed as readers weigh it.
    """

    size: int = 0
    digest: str | None = None
    guard: Guard | None = None
    objects: int = 0

    @abstractmethod
    def __iter__(self) -> Iterator[Buffer]: ...


class _CellFile(Written):
    """A file that is whole already."""

    def __init__(self, file: bytes, digest: str) -> None:
        self._file = file
        self.size = len(file)
        self.digest = digest

    def __iter__(self) -> Iterator[Buffer]:
        return iter((self._file,))


class Streamed(Written):
    """A file that is written while it is given out."""

    def __init__(
        self,
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        header: Header,
        seal: Seal,
        finish: Callable[[], Header] | None = None,
        log: PieceLog | None = None,
    ) -> None:
        self._schema = schema
        self._batches = batches
        self._seal = seal
        self._header = header
        self._finish = finish
        self._log = log
        self._footer = {} if finish is not None else footer_entries(header) | seal.slots
        self._ref = str(header.place)
        self._nbytes = header.nbytes or 0

    def _entries(self) -> dict[bytes, bytes]:
        """Return the key-values of the footer; to be called when all batches have been written."""
        if self._finish is not None:
            self._header = self._finish()
            self._nbytes = self._header.nbytes or 0
        if self._log is None or not self._log.has_several:
            return footer_entries(self._header) | self._seal.slots
        pieces = self._log.close().to_json()  # first: what others look for is at the end
        return {PIECES: pieces} | footer_entries(self._header) | self._seal.slots

    @abstractmethod
    def _steps(self, sink: Sink) -> Iterator[None]:
        """Write the file into *sink*; between two steps it may be emptied."""

    def __iter__(self) -> Iterator[Buffer]:
        try:
            for part in self._parts():
                self.size += flat(part).nbytes
                yield part
        except WRITE_ERRORS as exc:  # not a disk's: that is written to by who takes the parts
            raise UnsupportedValueError(
                f"cannot store {self._ref}: Arrow cannot write it ({exc})", self._ref
            ) from exc

    def _parts(self) -> Iterator[Buffer]:
        sink = Sink()
        with _Beside() as beside:
            for _ in self._steps(sink):
                ahead: deque[Callable[[], Buffer]] = deque()
                for view in _slices(sink.take(), _LARGE):
                    copy = np.empty(view.nbytes, np.uint8)  # here: a new thread has no memory yet
                    ahead.append(beside.run(partial(self._digested, view, copy), view.nbytes))
                    if len(ahead) > _AHEAD:
                        yield ahead.popleft()()  # written while the next ones are digested
                while ahead:
                    yield ahead.popleft()()
                if self._log is not None:
                    self._log.end()
        yield self._sealed(b"".join(sink.take()))

    def _digested(self, view: memoryview, copy: Copy) -> Buffer:
        """Copy *view* to *copy*, and digest that; both let other threads run."""
        np.copyto(copy, np.frombuffer(view, np.uint8))
        self._seal.add(copy.data)
        if self._log is not None:
            self._log.add(copy.data)
        return copy.data

    def _sealed(self, tail: bytes) -> bytes:
        if self.guard is not None and not self.guard.allows(self._nbytes, self.size + len(tail)):
            raise UnsupportedValueError(
                f"cannot store {self._ref}: {self._nbytes:,} bytes shrink to {self.size:,}, and "
                "readers of this store would take that for a file made to exhaust memory. Put it "
                "with compression=None, or set RUNSTORE_MAX_DECODED to more than "
                f"{self._nbytes // max(self.size, 1) + 1} here and where it is read",
                self._ref,
            )
        if self.guard is not None and not self.guard.allows(self.objects, self.size + len(tail)):
            raise UnsupportedValueError(
                f"cannot store {self._ref}: its items take far more memory as objects of Python "
                f"than the {self.size:,} bytes of their file, and readers of this store would take "
                "that for a file made to exhaust memory. Put them as an array or a table, or set "
                f"RUNSTORE_MAX_DECODED to more than {self.objects // max(self.size, 1) + 1} here "
                "and where it is read",
                self._ref,
            )
        tail, self.digest = self._seal.close(tail)
        return tail


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

    def _check_claimed(self, stored: int) -> None:
        """Raise UnsupportedValueError for more items without data than readers accept."""
        claimed = ITEM * self._structure.claimed
        decoded = claimed + (0 if self._options.compression is None else self._nbytes)
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


def footer_entries(header: Header) -> dict[bytes, bytes]:
    """Return the key-values of a file's footer, but for the seal."""
    document = header.to_json()
    assert document is not None
    return {b"runstore.version": _VERSION, b"runstore.object": document}


_VERSION = str(FORMAT_VERSION).encode()


def pieces(parts: Iterable[Buffer], size: int = _PIECE) -> Iterator[bytes]:
    """Return *parts* as private copies of at most *size* bytes each, made one at a time."""
    for view in _slices(parts, size):
        yield bytes(view)


def _slices(parts: Iterable[Buffer], size: int) -> Iterator[memoryview]:
    """Return *parts* as views of at most *size* bytes each."""
    for part in parts:
        view = flat(part)
        for start in range(0, view.nbytes, size):
            yield view[start : start + size]


class _Beside:
    """One thread that copies and digests a piece while the caller writes the one before.

    Copying and digesting then cost little where there is a second core. Small pieces are
    digested at once, as are the first 8 MiB, and so is everything where no thread can be
    started, as at the end of the interpreter. Everything is done in the order in which it is given.
    """

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._alone = False
        self._done = 0
        self._last: Future[Buffer] | None = None

    def __enter__(self) -> "_Beside":
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def run(self, do: Callable[[], Buffer], nbytes: int) -> Callable[[], Buffer]:
        """Begin with *do*; what is returned waits for its result, or raises what it raised."""
        self._done += nbytes
        if nbytes >= _LARGE and not self._alone and self._done > _WORTH_A_THREAD:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(1, "runstore-digest")
            try:
                self._last = self._pool.submit(do)
                return self._last.result
            except RuntimeError:
                self._alone = True  # nor later: what was queued here must never run
                self._pool.shutdown(cancel_futures=True)
        if self._last is not None:
            self._last.result()
        done = do()
        return lambda: done

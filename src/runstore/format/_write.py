"""Record batches to the bytes of one Arrow file, in one pass.

Large data is copied piece by piece, and each piece is digested and passed on. So what is
stored is what was digested, also if another thread changes the value meanwhile.
"""

import io
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa

from runstore.buffers import Buffer, flat
from runstore.errors import UnsupportedValueError
from runstore.format._cell import cell_file
from runstore.format._guard import Guard
from runstore.format._header import FORMAT_VERSION, Header
from runstore.format._layout import ITEM, Layout
from runstore.format._seal import Seal, footer_start
from runstore.format._structure import StructureDigest
from runstore.referred import referred_batches

__all__ = [
    "WRITE_ERRORS",
    "Sink",
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
_PIECE = 256 << 10  # fits into a core's cache, where copying and digesting cost little
_AHEAD = 2  # pieces of _LARGE that are copied and digested while one is written
_ALIGNMENT = 64
_PAD = "runstore.pad"


class Written(ABC):
    """The bytes of one file, as buffers to be written one after the other.

    The buffers are private: nobody changes them, and they may be kept. To be iterated over
    once; afterwards ``size`` and ``digest`` are known.

    Attributes:
        size: Bytes given out so far.
        digest: Of the file's body, once the last buffer has been given out.
        guard: What readers of the store accept. A file that they would refuse for what it
            takes in memory raises UnsupportedValueError before its last buffer.
    """

    size: int = 0
    digest: str | None = None
    guard: Guard | None = None

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
    ) -> None:
        self._schema = schema
        self._batches = batches
        self._seal = seal
        self._footer = footer_entries(header) | self._seal.slots
        self._ref = str(header.place)
        self._nbytes = header.nbytes or 0

    @abstractmethod
    def _steps(self, sink: "Sink") -> Iterator[None]:
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
                    ahead.append(beside.run(partial(self._digested, view), view.nbytes))
                    if len(ahead) > _AHEAD:
                        yield ahead.popleft()()  # written while the next ones are digested
                while ahead:
                    yield ahead.popleft()()
        yield self._sealed(b"".join(sink.take()))

    def _digested(self, view: memoryview) -> Buffer:
        """Return a private copy of *view*, which is digested; both let other threads run."""
        copy = np.empty(view.nbytes, np.uint8)
        np.copyto(copy, np.frombuffer(view, np.uint8))
        self._seal.add(copy.data)
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
    ) -> None:
        # What is compressed, or small, is verified whole whenever it is read.
        mapped = not small and options.compression is None
        self._schema = schema
        super().__init__(schema, batches, header, Seal(key, self._structure if mapped else None))
        self._mapped = mapped
        self._options = options
        self._small = small

    def _digested(self, view: memoryview) -> Buffer:
        digested = super()._digested(view)
        if not self._mapped and self._is_measured():
            self._structure.add(flat(digested))
        return digested

    @cached_property
    def _structure(self) -> StructureDigest:
        return StructureDigest(Layout(self._schema))

    def _is_measured(self) -> bool:
        """Return whether readers count what the file takes in memory besides its bytes."""
        compressed = self._options.compression is not None
        return self.guard is not None and (compressed or not self.guard.trusted)

    def _steps(self, sink: "Sink") -> Iterator[None]:
        writer = self._writer(pa.PythonFile(sink, "w"))
        for batch in self._batches:
            padding = _aligning(self._schema, batch, sink.position)
            writer.write_batch(batch, custom_metadata=padding)
            yield
        writer.close()

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
        yield self._sealed(file)

    def _sealed(self, tail: bytes) -> bytes:
        if self._is_measured():
            self._check_claimed(self.size + len(tail))
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
        return pa.ipc.new_file(sink, self._schema, options=self._options, metadata=self._footer)


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
        compression: ``lz4``, ``zstd`` or None; not used for views of text before pyarrow 24.
        key: To sign the file with; None leaves it unsigned.
        cell: What stands in the only row, if *schema* is one column of large text or
            binary without nulls; then *batches* may not be needed.
        cut: Whether a batch may be written as several, so that less is copied at a time.
    """
    if cell is not None and key is None and compression is None:
        file = cell_file(schema, cell, footer_entries(header))
        if file is not None:
            return _CellFile(*file)
    if compression is not None and not _COMPRESSES_VIEWS and _has_views(schema):
        compression = None
    options = pa.ipc.IpcWriteOptions(
        allow_64bit=True, compression=compression, unify_dictionaries=True
    )
    small = nbytes is not None and nbytes < _SMALL
    batches = referred_batches(batches, cut=cut)
    return _ArrowFile(schema, batches, header, key, options, small)


def footer_entries(header: Header) -> dict[bytes, bytes]:
    """Return the key-values of a file's footer, but for the seal."""
    document = header.to_json()
    assert document is not None
    return {b"runstore.version": _VERSION, b"runstore.object": document}


_VERSION = str(FORMAT_VERSION).encode()

# Before pyarrow 24, compressing a view of text that was cast from short text ends the process.
_COMPRESSES_VIEWS = int(pa.__version__.partition(".")[0]) >= 24


def _has_views(schema: pa.Schema) -> bool:
    return any("string_view" in str(kind) or "binary_view" in str(kind) for kind in schema.types)


def _aligning(schema: pa.Schema, batch: pa.RecordBatch, position: int) -> dict[str, str] | None:
    """Return metadata for *batch* so long that its first data buffer starts at a multiple of 64.

    Arrow itself aligns to 8 bytes; NumPy's widest types, SIMD code and decimals want more.
    How long the message before the data gets is read off a stream of which only the
    beginning is kept.
    """
    blob = batch.num_columns == 1 and pa.types.is_large_binary(schema.field(0).type)
    if batch.num_rows <= 1 and not (blob and batch.num_rows):
        return None
    probe = _Beginning()
    options = pa.ipc.IpcWriteOptions(allow_64bit=True)
    with pa.ipc.new_stream(pa.PythonFile(probe, "w"), schema, options=options) as stream:
        stream.write_batch(batch, custom_metadata={_PAD: ""})
    start = (position or 8 + probe.lengths[0]) + probe.lengths[1]  # the magic takes 8
    if blob:
        start += 8 * (batch.num_rows + 1)  # the offsets come before the data
    return {_PAD: " " * (-start % _ALIGNMENT)}


class _Beginning(io.RawIOBase):
    """Takes a stream of messages and keeps what tells the lengths of the first two."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = flat(data)
        missing = 16 if len(self._kept) < 8 else self._end_of_first() + 8
        self._kept += view[: max(0, missing + _SMALL - len(self._kept))]
        return view.nbytes

    def _end_of_first(self) -> int:
        return 8 + int.from_bytes(self._kept[4:8], "little")

    @property
    def lengths(self) -> tuple[int, int]:
        """How long the first two messages are, without the data behind them."""
        first = self._end_of_first()
        return first, 8 + int.from_bytes(self._kept[first + 4 : first + 8], "little")


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
    digested at once, and so is everything where no thread can be started, as at the end of
    the interpreter. Everything is done in the order in which it is given.
    """

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._alone = False
        self._last: Future[Buffer] | None = None

    def __enter__(self) -> "_Beside":
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def run(self, do: Callable[[], Buffer], nbytes: int) -> Callable[[], Buffer]:
        """Begin with *do*; what is returned waits for its result, or raises what it raised."""
        if nbytes >= _LARGE and not self._alone:
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


class Sink(io.RawIOBase):
    """Collects what Arrow writes; large buffers arrive as views on the caller's memory."""

    def __init__(self) -> None:
        self._parts: list[Buffer] = []
        self._small: list[bytes] = []
        self.position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        size = flat(data).nbytes
        self.position += size
        if size < _SMALL:
            self._small.append(bytes(data))
        else:
            self._join()
            self._parts.append(data)
        return size

    def take(self) -> list[Buffer]:
        """Return what has come since the last call, small pieces joined."""
        self._join()
        parts, self._parts = self._parts, []
        return parts

    def _join(self) -> None:
        if self._small:
            self._parts.append(b"".join(self._small))
            self._small = []

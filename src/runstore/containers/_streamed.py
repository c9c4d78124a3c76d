"""A file that is digested while it is given out, piece by piece: Arrow and Parquet alike.

Large data is copied piece by piece, and each piece is digested and passed on. So what is
stored is what was digested, also if another thread changes the value meanwhile.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from runstore.buffers import Buffer, flat
from runstore.containers._guard import Guard
from runstore.containers._header import FORMAT_VERSION, Header
from runstore.containers._pieces import PIECES, PieceLog
from runstore.containers._seal import Seal
from runstore.containers._sink import Sink
from runstore.errors import UnsupportedValueError

__all__ = ["WRITE_ERRORS", "Copy", "Streamed", "Written", "footer_entries", "pieces"]

# What Arrow's writers raise for what they cannot write; Parquet's report it as input and output.
WRITE_ERRORS = (pa.ArrowException, OSError)

_LARGE = 1 << 20  # below, digesting a piece takes less than handing it to a thread
_WORTH_A_THREAD = 8 << 20  # bytes of a file; for fewer a thread costs more than it saves
_PIECE = 256 << 10  # fits into a core's cache, where copying and digesting cost little
_AHEAD = 2  # pieces of _LARGE that are copied and digested while one is written

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
        if self.guard is not None:
            self.guard.check_written(self._schema, self._ref)
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

    def _decoded(self) -> int:
        """Return the bytes of memory that readers take for the columns besides what is mapped."""
        return 0

    def _sealed(self, tail: bytes) -> bytes:
        if self.guard is not None and not self.guard.allows(self._nbytes, self.size + len(tail)):
            raise UnsupportedValueError(
                f"cannot store {self._ref}: {self._nbytes:,} bytes shrink to {self.size:,}, and "
                "readers of this store would take that for a file made to exhaust memory. Put it "
                "with compression=None, or set RUNSTORE_MAX_DECODED to more than "
                f"{self._nbytes // max(self.size, 1) + 1} here and where it is read",
                self._ref,
            )
        taken = self.objects + self._decoded() if self.objects else 0
        if self.guard is not None and not self.guard.allows(
            taken, self.size + len(tail), objects=True
        ):
            raise UnsupportedValueError(
                f"cannot store {self._ref}: its items take far more memory as objects of Python "
                f"than the {self.size:,} bytes of their file, and readers of this store would take "
                "that for a file made to exhaust memory. Put them as an array or a table, or set "
                f"RUNSTORE_MAX_DECODED to more than {taken // max(self.size, 1) + 1} here "
                "and where it is read",
                self._ref,
            )
        tail, self.digest = self._seal.close(tail)
        return tail


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

"""A file that is written: an object that appears as a whole when it is closed, or never."""

import dis
import io
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any

from runstore.buffers import Buffer
from runstore.errors import InvalidRequestError, StorageError, StorageFullError
from runstore.objects._info import ObjectInfo

__all__ = ["FileWriter", "TextFileWriter"]

_IN_MEMORY = 8 << 20  # bytes; more of them are collected in a temporary file without a name


class FileWriter(io.BufferedIOBase):
    """An object, opened for writing. Nothing is visible before it is closed.

    It is dropped, and what was there stays, if an exception leaves the ``with`` block around
    it, by whatever opened it; if `discard` is called; and if nobody closes it. Everything is
    collected before it is published, in a temporary file if it is more than 8 MiB. That file
    has no name, so nothing of it is left if the process dies.

    Args:
        name: What to call it in errors.
        publish: Stores what was collected: bytes, or a file by its descriptor.
        mode: ``wb`` or ``xb``.

    Attributes:
        info: What was stored, once it is.
    """

    def __init__(self, name: str, publish: Callable[[Any], Any], mode: str = "wb") -> None:
        self.name = name
        self.mode = mode
        self.info: ObjectInfo | None = None
        self._publish: Callable[[Any], Any] | None = publish
        self._spool = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - until it is closed
        self._discarded = False
        self._freed = False
        self._pid = os.getpid()
        self._errors_around = _blocks_left_by_an_error()

    @property
    def full_name(self) -> str:
        """What warnings call it."""
        return self.name

    def writable(self) -> bool:
        """Whether it can still be written to."""
        return not self.closed

    def readable(self) -> bool:
        """Never."""
        return False

    def seekable(self) -> bool:
        """Whether what was written can be changed before it is closed."""
        return not self.closed

    def write(self, data: Buffer, /) -> int:
        """Collect *data*; after `discard` drop it, as a text file around this flushes late."""
        if self._freed or (self._discarded and not self.closed):
            return memoryview(data).nbytes
        spool = self._open_spool()
        try:
            return int(spool.write(data))
        except OSError as exc:
            raise self._full(exc) from exc

    def tell(self) -> int:
        """Return where the next write goes."""
        return int(self._open_spool().tell())

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go elsewhere in what was written."""
        self._open_spool().seek(offset, whence)
        return self.tell()

    def truncate(self, size: int | None = None, /) -> int:
        """Cut what was written."""
        spool = self._open_spool()
        size = spool.tell() if size is None else size
        spool.truncate(size)
        return size

    def flush(self, force: bool = False) -> None:
        """Do nothing: it is published as a whole when it is closed."""

    def commit(self) -> None:
        """Publish what was collected; nothing happens if that is done or it was discarded.

        Raises:
            UnsupportedValueError: `get` could not read it under this name.
            StorageError: The place failed; the old object is intact.
        """
        publish, self._publish = self._publish, None
        if publish is None:
            return
        if self._pid != os.getpid():
            raise StorageError(
                f"cannot write {self.name}: the process was forked while it wrote, and only the "
                "parent goes on",
                self.name,
            )
        try:
            try:
                spool, large = self._spool, self._spool.seek(0, os.SEEK_END) > _IN_MEMORY
                spool.flush()
                spool.seek(0)
            except OSError as exc:
                raise self._full(exc) from exc
            self.info = publish(spool.fileno() if large else spool.read())
        finally:
            self._close_spool()

    def discard(self) -> None:
        """Drop what was collected; what was there stays."""
        self._publish, self._discarded = None, True
        self._close_spool()

    def _close_spool(self) -> None:
        with suppress(OSError):  # it is flushed, and the disk may be full
            self._spool.close()

    def close(self) -> None:
        """Publish, unless it was dropped; errors as of `commit`."""
        if self.closed:
            return
        try:
            if _blocks_left_by_an_error() > self._errors_around:
                self.discard()
            else:
                self._ended()
        finally:
            super().close()

    def _ended(self) -> None:
        """Publish: it is closed, and nothing went wrong."""
        self.commit()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.discard()
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_publish", None) is not None and not self.closed:
            self._dealloc_warn(self)
        if not self.closed:
            self._freed = True  # a text file around it is freed after this, and flushes then
            super().close()

    def _dealloc_warn(self, source: object) -> None:
        """Drop it: *source*, this or a text file around it, was never closed and is freed now."""
        self.discard()
        warnings.warn(
            f"{self.full_name} was opened for writing and never closed: nothing was stored",
            ResourceWarning,
            stacklevel=2,
            source=source,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        raise InvalidRequestError(
            f"{self.name} is open for writing, which cannot go on in another process: send the "
            "path, and open it there",
            self.name,
        )

    def _full(self, exc: OSError) -> StorageError:
        from runstore.scratch import is_full  # which few writes need

        kind = StorageFullError if is_full(exc) else StorageError
        return kind(
            f"cannot write {self.name}: what is written is collected in {tempfile.gettempdir()}, "
            f"and that failed ({exc.strerror or exc}). The old object is intact. Make room there, "
            "or set TMPDIR to another folder",
            self.name,
        )

    def _open_spool(self) -> Any:
        if self.closed or self._publish is None:
            raise ValueError("I/O operation on closed file.")
        return self._spool


class TextFileWriter(io.TextIOWrapper):
    """Text that is written to a `FileWriter`, and dropped with it by an exception."""

    @property
    def info(self) -> ObjectInfo | None:
        """What was stored, once it is closed."""
        return self.buffer.info  # type: ignore[attr-defined,no-any-return]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.buffer.discard()  # type: ignore[attr-defined]
        self.close()


_LEAVES_BY_ERROR = dis.opmap["WITH_EXCEPT_START"]


def _blocks_left_by_an_error() -> int:
    """Return how many ``with`` blocks of the callers are being left by an exception.

    Text wrappers and `fsspec.open` close their file when their block ends, and do not tell it
    why. A frame that leaves a block by an exception stands at the instruction that calls
    ``__exit__``, which is another one than where a block ends well.
    """
    count = 0
    if sys.exc_info()[1] is None:
        return count
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_lasti >= 0 and frame.f_code.co_code[frame.f_lasti] == _LEAVES_BY_ERROR:
            count += 1
        frame = frame.f_back
    return count

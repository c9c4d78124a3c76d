"""Files and folders of the user's own, outside of the store: looked at, read, and made whole."""

import codecs
import errno
import os
import secrets
import shutil
import stat
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from runstore.arguments import path_text, unfit
from runstore.buffers import Buffer, flat
from runstore.errors import (
    InvalidRequestError,
    ObjectNotFoundError,
    StorageError,
    UnsupportedValueError,
)
from runstore.lifetime import forget_at_fork
from runstore.workers import check_stopped

__all__ = [
    "FileReading",
    "NewFile",
    "Progress",
    "check_encoding",
    "check_path",
    "check_target",
    "copied_file",
    "file_pieces",
    "opened_file",
    "opened_stored",
    "temporary_folder",
    "written_file",
]

Progress = Callable[[int, int], object]
"""What is called now and then with how many bytes are done, and how many there are."""

_PIECE = 4 << 20  # bytes that are read at a time


def check_path(call: str, path: object) -> str:
    """Return *path* as text.

    Raises:
        InvalidRequestError: It is no path.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise unfit(call, "path", "a str or pathlib.Path", path)
    text = path_text(f"{call}: path", path, InvalidRequestError)
    if not isinstance(text, str) or not text or "\0" in text:
        raise unfit(call, "path", "a path as text, without zero bytes", path)
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise unfit(call, "path", "a path that can be encoded", path) from None
    return text


def check_encoding(call: str, encoding: object) -> None:
    """Raise InvalidRequestError unless *encoding* is the name of one of text."""
    try:
        known = isinstance(encoding, str) and codecs.lookup(encoding)._is_text_encoding
    except (LookupError, ValueError):
        known = False
    if not known:
        raise unfit(call, "encoding", "the name of an encoding, as 'utf-8'", encoding)


@contextmanager
def opened_file(path: str) -> Iterator[int]:
    """Open a file of the user's to be read, and give its descriptor.

    Raises:
        InvalidRequestError: There is none, or it cannot be read as one.
    """
    try:
        # Opening a named pipe would wait for a writer.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise InvalidRequestError(f"cannot read {path!r}: {exc.strerror or exc}", path) from exc
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise InvalidRequestError(
                f"{path!r} is no regular file: use put_dir for a folder, and open(name, 'wb') for "
                "what a program writes",
                path,
            )
        yield fd
    finally:
        os.close(fd)


def check_target(path: str) -> Path:
    """Return where a file at *path* is written to: what a link leads to.

    Raises:
        InvalidRequestError: A folder or a device is there, or the path is too long.
    """
    real = Path(os.path.realpath(path))
    try:
        is_other = real.exists() and not real.is_file()
    except OSError as exc:  # its name is too long, say
        raise InvalidRequestError(
            f"{path[:80]!r} cannot be written to: {exc.strerror}; give another path", path[:80]
        ) from exc
    if is_other:
        raise InvalidRequestError(
            f"{path!r} is there and is no file: give the path of the file to be written", path
        )
    return real


class NewFile:
    """A hidden file that takes the place of *path* when the ``with`` block ends without error.

    Folders on the way are made.

    Args:
        path: Where it appears.
        mode: The permissions of the file; None for those that new files have.

    Raises:
        StorageError: It cannot be written; what was there is as it was.
    """

    def __init__(self, path: Path, mode: int | None = None) -> None:
        self._path, self._mode = path, mode
        self._hidden = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.tmp")

    def __enter__(self) -> Self:
        with self._translated():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._hidden.open("xb", buffering=0)
        return self

    def write(self, piece: Buffer) -> None:
        """Write all of *piece*."""
        check_stopped()
        view = flat(piece)
        with self._translated():
            while view.nbytes:
                view = view[self._file.write(view) :]

    def take(self, source: IO[bytes], size: int) -> None:
        """Write the first *size* bytes of a file, which the kernel copies."""
        done = 0
        with self._translated():
            while done < size:
                into, count = self._file.fileno(), min(size - done, 1 << 30)
                sent = os.sendfile(into, source.fileno(), done, count)
                if not sent:
                    raise OSError(errno.EIO, f"the source ends after {done} of {size} bytes")
                done += sent

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            with self._translated():
                if self._mode is not None and kind is None:
                    os.fchmod(self._file.fileno(), self._mode)
                self._file.close()
                if kind is None:
                    check_stopped()
                    self._hidden.replace(self._path)
        finally:
            self._file.close()
            with suppress(OSError):
                self._hidden.unlink(missing_ok=True)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            path = str(self._path)
            raise StorageError(
                f"cannot write {path!r}: {exc.strerror or exc}. What was there is as it was", path
            ) from exc


def written_file(
    path: Path,
    pieces: Iterable[Buffer],
    size: int,
    progress: Callable[[int, int], object] | None = None,
    mode: int | None = None,
) -> None:
    """Write *pieces* to a file at *path*, which appears as a whole; errors as of `NewFile`."""
    done = 0
    with NewFile(path, mode) as sink:
        for piece in pieces:
            sink.write(piece)
            done += flat(piece).nbytes
            if progress is not None:
                progress(done, size)


def opened_stored(path: Path, *, buffering: int = -1) -> Any:
    """Open a stored file to be read; a replacement is another file, so this one stays whole.

    Raises:
        ObjectNotFoundError: It was deleted.
        StorageError: It cannot be read.
    """
    try:
        return path.open("rb", buffering=buffering)
    except FileNotFoundError as exc:
        raise ObjectNotFoundError(f"{path} was deleted just now", str(path)) from exc
    except OSError as exc:
        raise StorageError(f"cannot read {path}: {exc.strerror or exc}", str(path)) from exc


def copied_file(
    path: Path,
    source: Path,
    progress: Callable[[int, int], object] | None = None,
    mode: int | None = None,
    check: Callable[[Any], None] | None = None,
) -> None:
    """Copy a stored file to *path*, in the kernel if nobody watches; errors as of `NewFile`.

    *check* may look at the open file first, and raise.

    Raises:
        ObjectNotFoundError: It was deleted.
        StorageError: It cannot be read.
    """
    with opened_stored(source, buffering=0) as file:
        if check is not None:
            check(file)
        size = os.fstat(file.fileno()).st_size
        if progress is not None:
            written_file(path, iter(lambda: file.read(_PIECE), b""), size, progress, mode)
            return
        with NewFile(path, mode) as sink:
            sink.take(file, size)


def file_pieces(fd: int, ref: str) -> Iterator[bytes]:
    """Yield the bytes of an open file; raise UnsupportedValueError at its end if it was changed."""
    return FileReading(fd, ref, None).pieces()


class FileReading:
    """A file that is read from its beginning to its end, and must not change meanwhile."""

    def __init__(self, fd: int, ref: str, progress: Progress | None) -> None:
        self._fd, self._ref, self._progress = fd, ref, progress
        self._was = os.fstat(fd)
        self.size = self._was.st_size

    def pieces(self) -> Iterator[bytes]:
        """Yield all of it, piece by piece."""
        done = 0
        while done < self.size and (piece := os.pread(self._fd, _PIECE, done)):
            yield piece
            done += len(piece)
            if self._progress is not None:
                self._progress(done, self.size)
        now = os.fstat(self._fd)
        if (done, now.st_size, now.st_mtime_ns) != (self.size, self.size, self._was.st_mtime_ns):
            raise UnsupportedValueError(
                f"cannot store {self._ref}: the file was changed while it was read. Let nobody "
                "write to it meanwhile, or store a copy",
                self._ref,
            )


def temporary_folder() -> Path:
    """Return a new folder, which is removed when this process ends."""
    from runstore.scratch import new_folder  # which few calls need

    folder = new_folder("runstore-")
    _folders.add(folder)
    return Path(folder)


class _Folders:
    """The temporary folders of this process; a forked child has none."""

    def __init__(self) -> None:
        self._paths: list[str] = []
        weakref.finalize(self, _remove, self._paths)
        forget_at_fork(self)

    def add(self, path: str) -> None:
        self._paths.append(path)

    def forget(self) -> None:
        self._paths.clear()


def _remove(paths: list[str]) -> None:
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)


_folders = _Folders()

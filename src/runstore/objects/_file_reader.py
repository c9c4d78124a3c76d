"""A file that is read: one version of an object, whatever is written meanwhile."""

import io
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future

from runstore.buffers import Buffer, flat
from runstore.objects._pinned import Pinned
from runstore.workers import Workers, awaited

__all__ = ["opened_to_read", "pieces"]

_NEAR, _FAR = 64 * 1024, 1 << 20  # bytes that are read ahead
_PIECE = 8 << 20  # bytes of a request
_AT_ONCE = 4


def opened_to_read(version: Pinned, name: str) -> io.BufferedReader:
    """Return a file of bytes that reads *version*, by ranges where it is far away.

    Args:
        version: What is read.
        name: What the file says that it is called.
    """
    return io.BufferedReader(_Raw(version, name), _NEAR if version.start == 0 else _FAR)


class _Raw(io.RawIOBase):
    """The bytes of one version, without a buffer."""

    def __init__(self, version: Pinned, name: str) -> None:
        self.name = name
        self.mode = "rb"
        self._version: Pinned | None = version
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        view = flat(buffer)
        data = self._open().read(self._at, self._at + view.nbytes)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def readall(self) -> bytes:
        data = b"".join(pieces(self._open(), self._at))
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        size = self._open().entry.size
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: size}[whence]
        if start + offset < 0:
            raise ValueError(f"{self.name} has no place before its beginning")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        self._version = None  # a mapping ends with its last user
        super().close()

    def _open(self) -> Pinned:
        if self._version is None:
            raise ValueError("I/O operation on closed file.")
        return self._version


def pieces(version: Pinned, start: int = 0) -> Iterator[bytes]:
    """Yield the bytes from *start* on, in order; some requests are under way at a time.

    Raises:
        PreconditionFailedError: It was replaced meanwhile, and the rest is not here.
        ObjectNotFoundError: It was deleted meanwhile, likewise.
        StorageError: The place failed.
    """
    size = version.entry.size
    starts = range(start, size, _PIECE)
    if version.start <= start or len(starts) < 2:
        for at in starts:
            yield version.read(at, at + _PIECE)
        return
    with Workers(_AT_ONCE, "runstore-read") as workers:
        under_way: deque[Future[bytes]] = deque()
        for at in starts:
            under_way.append(workers.submit(version.read, at, at + _PIECE))
            if len(under_way) >= _AT_ONCE:
                yield awaited(under_way.popleft())
        while under_way:
            yield awaited(under_way.popleft())

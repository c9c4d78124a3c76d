"""A folder on a local or mounted disk: atomic by rename, read by mapping.

A write goes to a hidden folder of the same tree, so that the final rename stays
within one file system, and becomes visible with that rename alone. Plain puts
share a lock on the target's folder that a conditional put holds alone, so
nothing is written between its look at the version and its rename.
"""

import builtins
import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from runstore.backends._base import Entry, delete_each
from runstore.backends._errors import check_span, check_version, not_found, translated
from runstore.buffers import Buffer, flat, map_private
from runstore.errors import (
    ObjectExistsError,
    RunStoreError,
    StorageError,
)

__all__ = ["LocalBackend"]

_TEMPORARY = ".runstore-tmp"
_WRITE_AT_MOST = 1 << 30  # bytes per call; the kernel's limit is just under 2 GiB


class LocalBackend:
    """Objects as files under one folder, which is made with the first put.

    Args:
        path: The folder, absolute.
        durable: Wait for the disk: the file before its rename, the folder after.
    """

    shared = True
    mapped = True

    def __init__(self, path: str, *, durable: bool = False) -> None:
        self._root = path.rstrip("/") or "/"
        self._durable = durable
        self.url = f"file://{self._root}"
        self._folders: set[str] = set()  # known to exist; a put that fails looks again

    def __repr__(self) -> str:
        return f"LocalBackend({self._root!r})"

    def put(
        self,
        key: str,
        buffers: Iterable[Buffer],
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> Entry:
        """See `runstore.backends.Backend.put`."""
        target = self._path(key)
        with translated(self._ref(key), "write", missing=StorageError):
            temporary, fd = self._open_temporary()
            try:
                _write_all(fd, buffers)
                # The kernel's own clock ticks in milliseconds; versions must differ by write.
                now = time.time_ns()
                os.utime(fd, ns=(now, now))
                if self._durable:
                    os.fsync(fd)
                found = os.fstat(fd)
                self._publish(temporary, target, key, if_absent, if_match)
            except BaseException:  # whatever happened, also Ctrl-C: leave nothing behind
                with suppress(FileNotFoundError):
                    os.unlink(temporary)
                raise
            finally:
                os.close(fd)
        return _entry(key, found)

    def get(self, key: str) -> tuple[Buffer, Entry]:
        """See `runstore.backends.Backend.get`."""
        with self._opened(key) as (fd, found):
            return map_private(fd, found.st_size), _entry(key, found)

    def tail(self, key: str, length: int) -> tuple[Buffer, Entry]:
        """See `runstore.backends.Backend.tail`."""
        with self._opened(key) as (fd, found):
            start = max(0, found.st_size - length)
            return os.pread(fd, found.st_size - start, start), _entry(key, found)

    def read(self, key: str, start: int, length: int, version: str) -> Buffer:
        """See `runstore.backends.Backend.read`."""
        with self._opened(key) as (fd, found):
            check_version(self._ref(key), _version(found), version)
            check_span(self._ref(key), start, length, found.st_size)
            return os.pread(fd, length, start)

    def head(self, key: str) -> Entry:
        """See `runstore.backends.Backend.head`."""
        with translated(self._ref(key), "read"):
            found = os.stat(self._path(key))
        if not stat.S_ISREG(found.st_mode):
            raise not_found(self._ref(key))
        return _entry(key, found)

    def list(self, prefix: str) -> Iterator[Entry]:
        """See `runstore.backends.Backend.list`."""
        with translated(self._ref(prefix), "list"):
            yield from self._walk(prefix)

    def folders(self, prefix: str) -> builtins.list[str]:
        """See `runstore.backends.Backend.folders`."""
        with translated(self._ref(prefix), "list"):
            return [
                name
                for name, is_folder in self._scan(prefix)
                if is_folder and next(self._walk(f"{prefix}{name}"), None) is not None
            ]

    def delete(self, key: str) -> None:
        """See `runstore.backends.Backend.delete`."""
        target = self._path(key)
        with translated(self._ref(key), "delete"):
            if not os.path.isfile(target):
                raise not_found(self._ref(key))
            with _locked(os.path.dirname(target), fcntl.LOCK_SH):
                os.unlink(target)
                if self._durable:
                    _sync_folder(os.path.dirname(target))

    def delete_many(
        self, keys: Iterable[str], *, missing_ok: bool = False
    ) -> dict[str, RunStoreError]:
        """See `runstore.backends.Backend.delete_many`."""
        return delete_each(self, keys, missing_ok)

    def sweep(self, older_than: float) -> int:
        """See `runstore.backends.Backend.sweep`."""
        folder, oldest, swept = self._path(_TEMPORARY), time.time() - older_than, 0
        with translated(self.url, "sweep"):
            try:
                names = os.listdir(folder)
            except FileNotFoundError:
                return 0
            for name in names:
                path = os.path.join(folder, name)
                with suppress(FileNotFoundError):  # another sweeper was quicker
                    if os.stat(path).st_mtime <= oldest and _is_abandoned(path):
                        os.unlink(path)
                        swept += 1
        return swept

    def close(self) -> None:
        """See `runstore.backends.Backend.close`; nothing is held between calls."""
        self._folders.clear()

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _ref(self, key: str) -> str:
        return f"{self.url}/{key}"

    def _open_temporary(self) -> tuple[str, int]:
        path = self._path(f"{_TEMPORARY}/{secrets.token_hex(16)}")
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        try:
            fd = os.open(path, flags, 0o666)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            fd = os.open(path, flags, 0o666)
        _lock(fd, fcntl.LOCK_SH)  # until it is closed: a sweeper sees that the writer lives
        return path, fd

    def _publish(
        self, temporary: str, target: str, key: str, if_absent: bool, if_match: str | None
    ) -> None:
        folder = os.path.dirname(target)
        if folder not in self._folders:
            os.makedirs(folder, exist_ok=True)
            self._folders.add(folder)
        try:
            self._rename(temporary, target, folder, key, if_absent, if_match)
        except FileNotFoundError:  # somebody removed the folder since we made it
            os.makedirs(folder, exist_ok=True)
            self._rename(temporary, target, folder, key, if_absent, if_match)
        if self._durable:
            _sync_folder(folder)

    def _rename(
        self,
        temporary: str,
        target: str,
        folder: str,
        key: str,
        if_absent: bool,
        if_match: str | None,
    ) -> None:
        if if_match is not None:
            with _locked(folder, fcntl.LOCK_EX):
                try:
                    there = _version(os.stat(target))
                except FileNotFoundError:
                    there = None
                check_version(self._ref(key), there, if_match)
                os.replace(temporary, target)
            return
        with _locked(folder, fcntl.LOCK_SH):
            if not if_absent:
                os.replace(temporary, target)
                return
            try:
                os.link(temporary, target)
            except FileExistsError as exc:
                raise ObjectExistsError(
                    f"{self._ref(key)} exists already: choose another name, or put without "
                    "if_absent to replace it",
                    self._ref(key),
                ) from exc
            os.unlink(temporary)

    @contextmanager
    def _opened(self, key: str) -> Iterator[tuple[int, os.stat_result]]:
        with translated(self._ref(key), "read"):
            fd = os.open(self._path(key), os.O_RDONLY | os.O_CLOEXEC)
            try:
                found = os.fstat(fd)
                if not stat.S_ISREG(found.st_mode):
                    raise not_found(self._ref(key))
                yield fd, found
            finally:
                os.close(fd)

    def _scan(self, prefix: str) -> builtins.list[tuple[str, bool]]:
        """Names directly under *prefix*, folders with a slash, in the order of their keys."""
        try:
            with os.scandir(self._path(prefix)) as found:
                names = [
                    (f"{e.name}/", True) if e.is_dir() else (e.name, False)
                    for e in found
                    if not e.name.startswith(".")
                ]
        except (FileNotFoundError, NotADirectoryError):
            return []  # nothing put there yet, or removed while we walk
        return sorted(names)

    def _walk(self, prefix: str) -> Iterator[Entry]:
        for name, is_folder in self._scan(prefix):
            if is_folder:
                yield from self._walk(prefix + name)
            else:
                with suppress(FileNotFoundError):  # deleted while we walk
                    yield _entry(prefix + name, os.stat(self._path(prefix + name)))


def _write_all(fd: int, buffers: Iterable[Buffer]) -> None:
    """Write every byte of *buffers*; a short write goes on where it stopped."""
    for buffer in buffers:
        view = flat(buffer)
        while view.nbytes:
            view = view[os.write(fd, view[:_WRITE_AT_MOST]) :]


@contextmanager
def _locked(folder: str, how: int) -> Iterator[None]:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _lock(fd, how)
        yield
    finally:
        os.close(fd)


def _lock(fd: int, how: int) -> None:
    try:
        fcntl.flock(fd, how)
    except OSError as exc:  # a mount without locks: only `if_match` can race there
        if exc.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EBADF):
            raise


def _is_abandoned(path: str) -> bool:
    """Say whether nobody writes to a temporary file any more, whatever its age."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def _sync_folder(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _version(found: os.stat_result) -> str:
    return f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"


def _entry(key: str, found: os.stat_result) -> Entry:
    modified = datetime.fromtimestamp(found.st_mtime, UTC)
    return Entry(key, found.st_size, modified, _version(found))

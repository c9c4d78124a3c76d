"""A folder on a local or mounted disk: atomic by rename, read by mapping.

A write goes to a hidden folder of the same tree, so that the final rename stays within one
file system, and becomes visible with that rename alone: see `_local_write`. Conditional
puts hold a lock meanwhile: see `_local_lock`.
"""

import builtins
import os
import stat
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeVar

from runstore.arguments import printable
from runstore.buffers import Buffer, map_private, pread_whole
from runstore.errors import ObjectNotFoundError, RunStoreError, StorageError, UnreadableWarning
from runstore.places._base import Entry, Tail, copy_through, delete_each
from runstore.places._descriptor import Descriptor
from runstore.places._errors import (
    check_read,
    check_span,
    check_version,
    irregular,
    kind_of,
    translated,
)
from runstore.places._guarantees import Guarantees
from runstore.places._local_lock import KeyLock
from runstore.places._local_sweep import sweep
from runstore.places._local_write import TEMPORARY, LocalWrite, sync_folder, version_of

__all__ = ["LocalBackend"]

# Opening a named pipe would wait for a writer; a terminal must not become the process's own.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY

T = TypeVar("T")


class LocalBackend:
    """Objects as files under one folder, which is made with the first put.

    Args:
        path: The folder, absolute.
        durable: Wait for the disk: the file before its rename, the folder after.
    """

    guarantees = Guarantees(
        atomic_put="rename",
        create=True,
        compare_and_swap=True,
        ranges=True,
        versions="write",
        server_copy=False,
        mapped=True,
        shared=True,
    )

    def __init__(self, path: str, *, durable: bool = False) -> None:
        self._root = path.rstrip("/") or "/"
        self._durable = durable
        self.url = f"file://{self._root}"

    def __repr__(self) -> str:
        return f"LocalBackend({self._root!r})"

    def probe(self) -> Guarantees:
        """See `runstore.places.Backend.probe`."""
        return self.guarantees

    def put(
        self,
        key: str,
        buffers: Iterable[Buffer],
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> Entry:
        """See `runstore.places.Backend.put`."""
        doing = self._translated(key, "write", missing=StorageError)
        write = LocalWrite(self._root, key, self._ref(key), self._durable)
        try:
            try:
                with doing:
                    write.begin()
                for buffer in buffers:  # what this raises is not the disk's
                    with doing:
                        write.add(buffer)
                with doing:
                    found = write.finish()
                    write.publish(if_absent, if_match)
            finally:
                write.end()
        finally:
            write.end()
        return _entry(key, found)

    def get(
        self, key: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> tuple[Buffer, Entry]:
        """See `runstore.places.Backend.get`."""

        def whole(fd: int, found: os.stat_result) -> tuple[Buffer, Entry]:
            check_read(self._ref(key), version_of(found), if_match, if_none_match)
            return map_private(fd, found.st_size), _entry(key, found)

        return self._read(key, whole)

    def tail(self, key: str, length: int) -> tuple[Buffer, Entry]:
        """See `runstore.places.Backend.tail`."""

        def last(fd: int, found: os.stat_result) -> tuple[Buffer, Entry]:
            start = max(0, found.st_size - length)
            return pread_whole(fd, found.st_size - start, start), _entry(key, found)

        return self._read(key, last)

    def read(self, key: str, start: int, length: int, version: str) -> Buffer:
        """See `runstore.places.Backend.read`."""

        def span(fd: int, found: os.stat_result) -> Buffer:
            check_version(self._ref(key), version_of(found), version)
            check_span(self._ref(key), start, length, found.st_size)
            return pread_whole(fd, length, start)

        return self._read(key, span)

    def head(self, key: str) -> Entry:
        """See `runstore.places.Backend.head`."""
        return _entry(key, self._stat(key, "read"))

    def list(self, prefix: str) -> Iterator[Entry]:
        """See `runstore.places.Backend.list`."""
        with self._translated(prefix, "list"):
            yield from self._walk(prefix)

    def folders(self, prefix: str) -> builtins.list[str]:
        """See `runstore.places.Backend.folders`."""
        with self._translated(prefix, "list"):
            return [
                name
                for name, is_folder in self._scan(prefix)
                if is_folder and self._holds_anything(f"{prefix}{name}")
            ]

    def _holds_anything(self, prefix: str) -> bool:
        try:
            return next(self._walk(prefix), None) is not None
        except PermissionError:
            return True  # for all we know; whoever looks into it is told

    def copy(
        self, source: str, target: str, *, if_absent: bool = False, tail: Tail | None = None
    ) -> Entry:
        """See `runstore.places.Backend.copy`."""
        return copy_through(self, source, target, if_absent, tail)

    def delete(self, key: str) -> None:
        """See `runstore.places.Backend.delete`."""
        target, lock = self._path(key), KeyLock(self._root, key)
        self._stat(key, "delete")
        try:
            try:
                with self._translated(key, "delete"):
                    lock.take(alone=False)
                    os.unlink(target)
            finally:
                lock.release()
        finally:
            lock.release()
        if self._durable:
            sync_folder(os.path.dirname(target), self._ref(key), "deleted")

    def delete_many(
        self, keys: Iterable[str], *, missing_ok: bool = False
    ) -> dict[str, RunStoreError]:
        """See `runstore.places.Backend.delete_many`."""
        return delete_each(self, keys, missing_ok)

    def sweep(self, older_than: float) -> int:
        """See `runstore.places.Backend.sweep`."""
        with suppress(ObjectNotFoundError), self._translated(TEMPORARY, "sweep"):
            return sweep(self._path(TEMPORARY), older_than)
        return 0  # nothing has been put yet

    def close(self) -> None:
        """See `runstore.places.Backend.close`; nothing is held between calls."""

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _ref(self, key: str) -> str:
        return f"{self.url}/{key}"

    def _translated(
        self, key: str, doing: str, *, missing: type[RunStoreError] = ObjectNotFoundError
    ) -> translated:
        return _Translated(self._root, self._ref(key), doing, missing)

    def _read(self, key: str, use: Callable[[int, os.stat_result], T]) -> T:
        """Open an object and return what *use* makes of its descriptor."""
        file = Descriptor()
        try:
            try:
                with self._translated(key, "read"):
                    fd = file.open(self._path(key), _READ)
                    found = os.fstat(fd)
                    if not stat.S_ISREG(found.st_mode):
                        raise irregular(self._ref(key), found.st_mode)
                    return use(fd, found)
            finally:
                file.close()
        finally:
            file.close()

    def _stat(self, key: str, doing: str) -> os.stat_result:
        with self._translated(key, doing):
            found = os.stat(self._path(key))
        if not stat.S_ISREG(found.st_mode):
            raise irregular(self._ref(key), found.st_mode)
        return found

    def _scan(self, prefix: str) -> builtins.list[tuple[str, bool]]:
        """Return the names directly under *prefix*, folders with a slash, in the order of keys."""
        try:
            with os.scandir(self._path(prefix)) as found:
                names = [
                    (f"{e.name}/", True) if self._is_folder(prefix, e) else (e.name, False)
                    for e in found
                    if not e.name.startswith(".") and _is_text(e)
                ]
        except (FileNotFoundError, NotADirectoryError) as exc:
            if (fault := _fault_of_root(self._root)) is not None:
                raise StorageError(f"cannot list {self._ref(prefix)}: {fault}", self.url) from exc
            self._warn_of_no_folder(prefix)
            return []  # nothing put there yet, or removed while we walk
        return sorted(names)

    def _warn_of_no_folder(self, prefix: str) -> None:
        """Warn of what stands where a folder on the way to *prefix* should be, if anything does."""
        path = self._root
        for part in prefix.rstrip("/").split("/"):
            path = f"{path}/{part}"
            try:
                mode = os.lstat(path).st_mode
            except FileNotFoundError:
                return
            if stat.S_ISLNK(mode):
                with suppress(FileNotFoundError):  # it may lead to nothing
                    mode = os.stat(path).st_mode
            if not stat.S_ISDIR(mode):
                _warn(f"{path} is {kind_of(mode)}, not a folder: nothing is listed there")
                return

    def _is_folder(self, prefix: str, entry: "os.DirEntry[str]") -> bool:
        """Return whether *entry* is a folder to look into; links to one above it are not."""
        try:
            if not entry.is_dir():
                return False
            if not entry.is_symlink():
                return True
            inside, above = entry.stat(), prefix
            while not os.path.samestat(inside, os.stat(self._path(above))):
                if not above:
                    return True
                above = above[: above.rstrip("/").rfind("/") + 1]
        except OSError:
            return False  # _walk() looks closer
        return False

    def _walk(self, prefix: str) -> Iterator[Entry]:
        for name, is_folder in self._scan(prefix):
            if is_folder:
                yield from self._walk(prefix + name)
                continue
            path = self._path(prefix + name)
            try:
                found = os.stat(path)
            except FileNotFoundError:
                continue  # deleted while we walk
            except OSError as exc:
                if not os.path.islink(path):
                    raise
                _warn_left_out(path, f"a symbolic link that cannot be followed ({exc.strerror})")
                continue
            if stat.S_ISREG(found.st_mode):
                yield _entry(prefix + name, found)
            elif not stat.S_ISDIR(found.st_mode):
                _warn_left_out(path, kind_of(found.st_mode))
            elif os.path.islink(path):
                _warn_left_out(path, "a symbolic link to a folder that it lies in")


class _Translated(translated):
    """Says also when the trouble is the root of the store."""

    __slots__ = ("_root",)

    def __init__(self, root: str, ref: str, doing: str, missing: type[RunStoreError]) -> None:
        super().__init__(ref, doing, missing=missing)
        self._root = root

    def _ours(self, exc: OSError) -> RunStoreError:
        if isinstance(exc, (FileNotFoundError, NotADirectoryError, FileExistsError)):
            fault = _fault_of_root(self._root)
            if fault is not None:
                return StorageError(f"cannot {self._doing} {self._ref}: {fault}", self._ref)
        return super()._ours(exc)


def _fault_of_root(root: str) -> str | None:
    """Return what is wrong with the root of a store, if it is there and no folder."""
    path = root
    while path != "/":
        try:
            if os.path.isdir(path):
                return None
            mode = os.lstat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            path = os.path.dirname(path)
            continue
        what = "a symbolic link to nothing" if stat.S_ISLNK(mode) else kind_of(mode)
        return f"{path} is {what}, not a folder. Check the address of the store"
    return None


def _is_text(entry: "os.DirEntry[str]") -> bool:
    """Return whether a file's name is text; warn if not, as no key can have such a name."""
    if entry.name.isascii():
        return True
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        path = os.fsencode(entry.path).decode(errors="backslashreplace")
        _warn(f"{path} has a name that is not UTF-8: it is left out")
        return False
    return True


def _warn_left_out(path: str, what: str) -> None:
    _warn(f"{path} is {what}, not an object: it is left out")


def _warn(message: str) -> None:
    message = printable(f"{message}. Move it out of the store")
    warnings.warn(UnreadableWarning(message), stacklevel=3)


def _entry(key: str, found: os.stat_result) -> Entry:
    modified = datetime.fromtimestamp(found.st_mtime, UTC)
    return Entry(key, found.st_size, modified, version_of(found))

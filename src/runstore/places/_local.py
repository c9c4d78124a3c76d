"""A folder on a local or mounted disk: atomic by rename, read by mapping.

A write goes to a hidden folder of the same tree, so that the final rename stays within one
file system, and becomes visible with that rename alone: see `_local_write`. Conditional
puts hold a lock meanwhile: see `_local_lock`.
"""

import builtins
import os
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from runstore.buffers import Buffer, at_hand, map_private, pread_whole
from runstore.errors import ObjectNotFoundError, RunStoreError, StorageError
from runstore.places._base import Entry, Tail, delete_each
from runstore.places._descriptor import Descriptor, close_at
from runstore.places._errors import (
    check_read,
    check_span,
    check_version,
    irregular,
)
from runstore.places._guarantees import Guarantees
from runstore.places._local_gate import GATES
from runstore.places._local_lock import KeyLock
from runstore.places._local_small import put_small
from runstore.places._local_tree import LocalTree, entry_of
from runstore.places._local_write import TEMPORARY, LocalWrite, sync_folder, version_of

if TYPE_CHECKING:
    from runstore.places._leftovers import Leftover

__all__ = ["LocalBackend"]

# Opening a named pipe would wait for a writer; a terminal must not become the process's own.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_UPDATE_FROM = 8 << 20  # bytes; below, writing all takes less than comparing

T = TypeVar("T")


class LocalBackend(LocalTree):
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
        server_copy=True,
        mapped=True,
        shared=True,
    )
    copies_with_tail = True

    def __init__(self, path: str, *, durable: bool = False) -> None:
        super().__init__(path)
        self._durable = durable

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
        small = None if if_absent or if_match is not None or self._durable else at_hand(buffers)
        if small is not None:
            try:
                found = put_small(self._root, key, small)
            except OSError:
                with self._translated(key, "write", missing=StorageError):
                    raise
            if found is not None:
                return entry_of(key, found)
        doing = self._translated(key, "write", missing=StorageError)
        opens = small is not None
        write = LocalWrite(self._root, key, self._ref(key), self._durable, opens=opens)
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
        return entry_of(key, found)

    def update(
        self, key: str, buffers: Iterable[Buffer], old: Entry, *, if_match: str | None = None
    ) -> Entry | None:
        """Write an object over an earlier version; what is equal keeps its blocks on the disk.

        Only a file system that shares blocks between files can do that (btrfs, XFS, some others).
        What is shared is whatever is there when this begins: it is compared byte by byte.

        Args:
            key: The object.
            buffers: All of the new one.
            old: The version that is there.
            if_match: As for `put`.

        Returns:
            As for `put`; None if that cannot be done here, then *buffers* are untouched.

        Raises:
            ObjectNotFoundError: None is there any more.
            PreconditionFailedError, IndeterminateWriteError, StorageError: As for `put`.
        """
        if old.size <= _UPDATE_FROM:
            return None
        doing = self._translated(key, "write", missing=StorageError)
        write = LocalWrite(self._root, key, self._ref(key), self._durable)
        try:
            try:
                with doing:
                    shared = self._read(key, lambda fd, at: write.begin_with(fd, at.st_size))
                if not shared:
                    return None
                for buffer in buffers:  # what this raises is not the disk's
                    with doing:
                        write.add_changes(buffer)
                with doing:
                    write.cut()
                    found = write.finish()
                    write.publish(False, if_match)
            finally:
                write.end()
        finally:
            write.end()
        return entry_of(key, found)

    def get(
        self, key: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> tuple[Buffer, Entry]:
        """See `runstore.places.Backend.get`."""
        path, fds = f"{self._root}/{key}", builtins.list[int]()
        try:
            try:
                # Opened and kept in one step, and so forgotten and closed: see `Descriptor`.
                fds.extend(map(os.open, (path,), (_READ,)))
                found = os.fstat(fds[0])
                if not stat.S_ISREG(found.st_mode):
                    raise irregular(self._ref(key), found.st_mode)
                if if_match is not None or if_none_match is not None:
                    check_read(self._ref(key), version_of(found), if_match, if_none_match)
                return map_private(fds[0], found.st_size), entry_of(key, found)
            finally:
                if fds:
                    close_at(fds)
        except OSError:
            with self._translated(key, "read"):
                raise
        finally:
            if fds:
                close_at(fds)

    def tail(self, key: str, length: int) -> tuple[Buffer, Entry]:
        """See `runstore.places.Backend.tail`."""

        def last(fd: int, found: os.stat_result) -> tuple[Buffer, Entry]:
            start = max(0, found.st_size - length)
            return pread_whole(fd, found.st_size - start, start), entry_of(key, found)

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
        return entry_of(key, self._stat(key, "read"))

    def copy(
        self, source: str, target: str, *, if_absent: bool = False, tail: Tail | None = None
    ) -> Entry:
        """See `runstore.places.Backend.copy`; the kernel copies, or the two files share blocks."""
        doing = self._translated(target, "write", missing=StorageError)
        write = LocalWrite(self._root, target, self._ref(target), self._durable)

        def begin(fd: int, found: os.stat_result) -> None:
            version = version_of(found)
            if tail is not None:
                check_version(self._ref(source), version, tail.version)
            keep = found.st_size if tail is None else tail.keep
            with doing:
                write.begin()
                try:
                    write.add_range(fd, keep)
                except EOFError:
                    raise StorageError(
                        f"{self._ref(source)} has no {keep} bytes to copy", self._ref(source)
                    ) from None
            # Other programs may change a file in place, and the copy would be of two versions.
            check_version(self._ref(source), version_of(os.fstat(fd)), version)

        try:
            try:
                self._read(source, begin)
                with doing:
                    for buffer in () if tail is None else tail.buffers:
                        write.add(buffer)
                    made = write.finish()
                    write.publish(if_absent, None)
            finally:
                write.end()
        finally:
            write.end()
        return entry_of(target, made)

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
        from runstore.places._local_sweep import sweep, sweep_small

        swept = 0
        for folder, remove in ((TEMPORARY, sweep), (GATES, sweep_small)):
            with suppress(ObjectNotFoundError), self._translated(folder, "sweep"):
                swept += remove(self._path(folder), older_than)
        return swept  # 0 if nothing has been put yet

    def leftovers(self, older_than: float) -> "builtins.list[Leftover]":
        """See `runstore.places._leftovers.leftovers`."""
        from runstore.places._local_sweep import leftovers

        with self._translated(TEMPORARY, "list"):
            return leftovers(self._root, TEMPORARY, GATES, older_than)

    def close(self) -> None:
        """See `runstore.places.Backend.close`; nothing is held between calls."""

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

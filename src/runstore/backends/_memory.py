"""Objects in this process's memory, shared by every store of the same ``memory://`` URL.

Large objects live in anonymous files, so that reading one is a private
copy-on-write mapping, as on a disk: it costs nothing, and what a reader writes
to its copy reaches nobody else.
"""

import builtins
import itertools
import os
import threading
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from runstore.backends._base import Entry, delete_each
from runstore.backends._errors import check_span, check_version, not_found, translated
from runstore.buffers import MAP_FROM, Buffer, flat, map_private, pread_whole
from runstore.errors import ObjectExistsError, RunStoreError

__all__ = ["MemoryBackend"]

_FILES_AT_MOST = 256  # each holds a file descriptor; past these, objects are copied when read


class _AnonymousFile:
    """Bytes in a file without a name; gone with the last reference."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("runstore", os.MFD_CLOEXEC)
        weakref.finalize(self, os.close, self.fd)
        _files.add(self)
        self.size = 0

    def write(self, data: Iterable[Buffer]) -> None:
        for buffer in data:
            view = flat(buffer)
            while view.nbytes:
                done = os.write(self.fd, view[: 1 << 30])
                self.size += done
                view = view[done:]


_files: "weakref.WeakSet[_AnonymousFile]" = weakref.WeakSet()


@dataclass(frozen=True, slots=True)
class _Object:
    data: bytes | _AnonymousFile
    entry: Entry


class _Space:
    """What every store of one URL shares."""

    def __init__(self) -> None:
        self.objects: dict[str, _Object] = {}
        self.lock = threading.Lock()
        self.versions = itertools.count(1)


_spaces: dict[str, _Space] = {}
_spaces_lock = threading.Lock()


class MemoryBackend:
    """Objects in memory; gone with the process, and unknown to any other.

    Args:
        name: Stores of the same name share their objects.
    """

    shared = False
    mapped = True

    def __init__(self, name: str = "") -> None:
        self.url = f"memory://{name}"
        with _spaces_lock:
            self._space = _spaces.setdefault(name, _Space())

    def __repr__(self) -> str:
        return f"MemoryBackend({self.url!r})"

    def __reduce__(self) -> tuple[Any, ...]:  # as its name; another process has another memory
        return MemoryBackend, (self.url.removeprefix("memory://"),)

    def put(
        self,
        key: str,
        buffers: Iterable[Buffer],
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> Entry:
        """See `runstore.backends.Backend.put`."""
        with translated(self._ref(key), "write"):
            data = _kept(buffers)
        size = data.size if isinstance(data, _AnonymousFile) else len(data)
        space = self._space
        with space.lock:
            old = space.objects.get(key)
            if if_absent and old is not None:
                raise ObjectExistsError(
                    f"{self._ref(key)} exists already: choose another name, or put without "
                    "if_absent to replace it",
                    self._ref(key),
                )
            if if_match is not None:
                there = None if old is None else old.entry.version
                check_version(self._ref(key), there, if_match)
            entry = Entry(key, size, datetime.now(UTC), str(next(space.versions)))
            space.objects[key] = _Object(data, entry)
        return entry

    def get(self, key: str) -> tuple[Buffer, Entry]:
        """See `runstore.backends.Backend.get`."""
        found = self._find(key)
        if isinstance(found.data, _AnonymousFile):
            return map_private(found.data.fd, found.data.size), found.entry
        return bytearray(found.data), found.entry

    def tail(self, key: str, length: int) -> tuple[Buffer, Entry]:
        """See `runstore.backends.Backend.tail`."""
        found = self._find(key)
        start = max(0, found.entry.size - length)
        if isinstance(found.data, _AnonymousFile):
            return pread_whole(found.data.fd, found.entry.size - start, start), found.entry
        return found.data[start:], found.entry

    def read(self, key: str, start: int, length: int, version: str) -> Buffer:
        """See `runstore.backends.Backend.read`."""
        found = self._find(key)
        check_version(self._ref(key), found.entry.version, version)
        check_span(self._ref(key), start, length, found.entry.size)
        if isinstance(found.data, _AnonymousFile):
            return pread_whole(found.data.fd, length, start)
        return found.data[start : start + length]

    def head(self, key: str) -> Entry:
        """See `runstore.backends.Backend.head`."""
        return self._find(key).entry

    def list(self, prefix: str) -> Iterator[Entry]:
        """See `runstore.backends.Backend.list`."""
        with self._space.lock:
            found = [o.entry for key, o in self._space.objects.items() if key.startswith(prefix)]
        yield from sorted(found, key=lambda entry: entry.key)

    def folders(self, prefix: str) -> builtins.list[str]:
        """See `runstore.backends.Backend.folders`."""
        with self._space.lock:
            rests = [key[len(prefix) :] for key in self._space.objects if key.startswith(prefix)]
        return sorted({f"{rest.partition('/')[0]}/" for rest in rests if "/" in rest})

    def delete(self, key: str) -> None:
        """See `runstore.backends.Backend.delete`."""
        with self._space.lock:
            if self._space.objects.pop(key, None) is None:
                raise not_found(self._ref(key))

    def delete_many(
        self, keys: Iterable[str], *, missing_ok: bool = False
    ) -> dict[str, RunStoreError]:
        """See `runstore.backends.Backend.delete_many`."""
        return delete_each(self, keys, missing_ok)

    def sweep(self, older_than: float) -> int:
        """See `runstore.backends.Backend.sweep`; memory has no leftovers."""
        return 0

    def _find(self, key: str) -> _Object:
        found = self._space.objects.get(key)
        if found is None:
            raise not_found(self._ref(key))
        return found

    def _ref(self, key: str) -> str:
        return f"{self.url}/{key}"


def _kept(buffers: Iterable[Buffer]) -> bytes | _AnonymousFile:
    """Keep *buffers*; large ones are written as they come, so that nothing is held twice."""
    coming, first, size = iter(buffers), builtins.list[Buffer](), 0
    for buffer in coming:
        first.append(buffer)
        size += flat(buffer).nbytes
        if size >= MAP_FROM and hasattr(os, "memfd_create") and len(_files) < _FILES_AT_MOST:
            file = _AnonymousFile()
            file.write(itertools.chain(first, coming))
            return file
    return b"".join(first)

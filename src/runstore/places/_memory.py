"""Objects in this process's memory, shared by every store of the same ``memory://`` URL.

Large objects are stored in anonymous files, so that reading one is a private
copy-on-write mapping, as on a disk: it copies nothing, and no other reader sees what a reader
writes to its copy.
"""

import builtins
import itertools
import os
import threading
import weakref
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from runstore.buffers import (
    MAP_FROM,
    NO_DESCRIPTORS,
    Buffer,
    at_hand,
    flat,
    map_private,
    pread_whole,
)
from runstore.errors import RunStoreError, StoreClosedError
from runstore.lifetime import ForkSafeLock
from runstore.places._base import (
    Entry,
    Tail,
    copy_through,
    delete_each,
    is_hidden,
    is_hidden_but_parts,
)
from runstore.places._descriptor import Descriptor
from runstore.places._errors import (
    check_read,
    check_span,
    check_version,
    exists_already,
    not_found,
    translated,
)
from runstore.places._guarantees import Guarantees

__all__ = ["MemoryBackend"]

_FILES_AT_MOST = 256  # each holds a file descriptor; past these, objects are copied when read


class _AnonymousFile:
    """Bytes in a file without a name; gone with the last reference."""

    def __init__(self) -> None:
        file = Descriptor()
        weakref.finalize(self, file.close)
        self.fd = file.keep(os.memfd_create, "runstore", os.MFD_CLOEXEC)
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


class _Object(NamedTuple):
    data: bytes | _AnonymousFile
    entry: Entry


class _Space:
    """What every store of one URL shares.

    Attributes:
        unclosed: Stores that were opened and not closed. Objects live until there is none.
    """

    def __init__(self) -> None:
        self.objects: dict[str, _Object] = {}
        self.lock = ForkSafeLock()
        self.versions = itertools.count(1)
        self.unclosed = 0


class _Memory:
    """The spaces of this process. A forked child continues with a copy of them."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock(threading.RLock)
        self._lasting: dict[str, _Space] = {}
        self._known: weakref.WeakValueDictionary[str, _Space] = weakref.WeakValueDictionary()

    def open(self, name: str, borrowed: bool) -> tuple[_Space, bool]:
        """Return the space of *name*, and whether it counts on being closed."""
        with self._lock.held:
            space = self._known.get(name)
            if space is None:
                space = self._known[name] = _Space()
            counted = not borrowed or space.unclosed == 0
            if counted:
                space.unclosed += 1
                self._lasting[name] = space
        return space, counted

    def close(self, name: str, space: _Space) -> None:
        """Take back one opening; with the last one the objects go."""
        with self._lock.held:
            space.unclosed -= 1
            if space.unclosed > 0:
                return
            self._lasting.pop(name, None)
            with space.lock.held:  # a put is before that, or finds its store closed
                objects, space.objects = space.objects, {}
        objects.clear()


_memory = _Memory()


class MemoryBackend:
    """Objects in memory, unknown to any other process.

    They live until every store that was opened under the name has been closed, or as long as
    the process, if one of them never is.

    Args:
        name: Stores of the same name share their objects.
        borrowed: Whether nobody will close it. It does not count then, if another store of
            the name is open.
    """

    guarantees = Guarantees(
        atomic_put="native",
        create=True,
        compare_and_swap=True,
        ranges=True,
        versions="write",
        server_copy=True,
        mapped=True,
        shared=False,
    )

    def __init__(self, name: str = "", *, borrowed: bool = False) -> None:
        self._name = name
        self.url = f"memory://{name}"
        self._space, self._counted = _memory.open(name, borrowed)
        self._closed = False

    def __repr__(self) -> str:
        return f"MemoryBackend({self.url!r})"

    def __reduce__(self) -> tuple[Any, ...]:  # as its name; another process has another memory
        return _reopened, (self._name,)

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
        data: bytes | _AnonymousFile | None = at_hand(buffers)
        if data is None:
            with translated(self._ref(key), "write"):
                data = _kept(buffers)
        size = data.size if isinstance(data, _AnonymousFile) else len(data)
        return self._keep(key, data, size, if_absent, if_match)

    def _keep(
        self,
        key: str,
        data: bytes | _AnonymousFile,
        size: int,
        if_absent: bool,
        if_match: str | None,
    ) -> Entry:
        space = self._space
        with space.lock.held:
            self._check_open()
            old = space.objects.get(key)
            if if_absent and old is not None:
                raise exists_already(self._ref(key))
            if if_match is not None:
                there = None if old is None else old.entry.version
                check_version(self._ref(key), there, if_match)
            entry = Entry(key, size, datetime.now(UTC), str(next(space.versions)))
            space.objects[key] = _Object(data, entry)
        return entry

    def get(
        self, key: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> tuple[Buffer, Entry]:
        """See `runstore.places.Backend.get`."""
        found = self._find(key)
        if if_match is not None or if_none_match is not None:
            check_read(self._ref(key), found.entry.version, if_match, if_none_match)
        if isinstance(found.data, _AnonymousFile):
            with translated(self._ref(key), "read"):
                return map_private(found.data.fd, found.data.size), found.entry
        return bytearray(found.data), found.entry

    def tail(self, key: str, length: int) -> tuple[Buffer, Entry]:
        """See `runstore.places.Backend.tail`."""
        found = self._find(key)
        start = max(0, found.entry.size - length)
        if isinstance(found.data, _AnonymousFile):
            return pread_whole(found.data.fd, found.entry.size - start, start), found.entry
        return found.data[start:], found.entry

    def read(self, key: str, start: int, length: int, version: str) -> Buffer:
        """See `runstore.places.Backend.read`."""
        found = self._find(key)
        check_version(self._ref(key), found.entry.version, version)
        check_span(self._ref(key), start, length, found.entry.size)
        if isinstance(found.data, _AnonymousFile):
            return pread_whole(found.data.fd, length, start)
        return found.data[start : start + length]

    def head(self, key: str) -> Entry:
        """See `runstore.places.Backend.head`."""
        return self._find(key).entry

    def list(self, prefix: str) -> Iterator[Entry]:
        """See `runstore.places.Backend.list`."""
        found = self._below(prefix)
        shown = (entry for entry in found if not is_hidden(entry.key, prefix))
        yield from sorted(shown, key=lambda entry: entry.key)

    def list_with_parts(self, prefix: str) -> Iterator[Entry]:
        """See `runstore.places._base.list_with_parts`."""
        yield from (e for e in self._below(prefix) if not is_hidden_but_parts(e.key, prefix))

    def _below(self, prefix: str) -> builtins.list[Entry]:
        with self._space.lock.held:
            found = [o.entry for key, o in self._space.objects.items() if key.startswith(prefix)]
        self._check_open()
        return found

    def glimpse(self, prefix: str, most: int) -> builtins.list[str]:
        """See `runstore.places._base.glimpse`."""
        with self._space.lock.held:
            seen = itertools.islice(self._space.objects, 10 * most)
            return builtins.list(itertools.islice((k for k in seen if k.startswith(prefix)), most))

    def folders(self, prefix: str) -> builtins.list[str]:
        """See `runstore.places.Backend.folders`."""
        with self._space.lock.held:
            rests = [key[len(prefix) :] for key in self._space.objects if key.startswith(prefix)]
        self._check_open()
        found = {f"{rest.partition('/')[0]}/" for rest in rests if "/" in rest}
        return sorted(name for name in found if not name.startswith("."))

    def copy(
        self, source: str, target: str, *, if_absent: bool = False, tail: Tail | None = None
    ) -> Entry:
        """See `runstore.places.Backend.copy`; both names have the same bytes."""
        if tail is not None:
            return copy_through(self, source, target, if_absent, tail)
        found = self._find(source)
        return self._keep(target, found.data, found.entry.size, if_absent, None)

    def delete(self, key: str) -> None:
        """See `runstore.places.Backend.delete`."""
        with self._space.lock.held:
            if self._space.objects.pop(key, None) is None:
                self._check_open()
                raise not_found(self._ref(key))

    def delete_many(
        self, keys: Iterable[str], *, missing_ok: bool = False
    ) -> dict[str, RunStoreError]:
        """See `runstore.places.Backend.delete_many`."""
        return delete_each(self, keys, missing_ok)

    def sweep(self, older_than: float) -> int:
        """See `runstore.places.Backend.sweep`; memory has no leftovers."""
        return 0

    def close(self) -> None:
        """See `runstore.places.Backend.close`; the last one to close ends the objects."""
        self._closed = True
        counted, self._counted = self._counted, False
        if counted:
            _memory.close(self._name, self._space)

    def _find(self, key: str) -> _Object:
        found = self._space.objects.get(key)
        if found is None:
            self._check_open()
            raise not_found(self._ref(key))
        return found

    def _check_open(self) -> None:
        """Raise StoreClosedError if what is not there may have gone with the store."""
        if self._closed:
            raise StoreClosedError(f"{self.url} was closed: open another store", self.url)

    def _ref(self, key: str) -> str:
        return f"{self.url}/{key}"


def _reopened(name: str) -> MemoryBackend:
    return MemoryBackend(name, borrowed=True)


def _kept(buffers: Iterable[Buffer]) -> bytes | _AnonymousFile:
    """Keep *buffers*; large ones are written as they come, so that nothing is held twice."""
    coming, first, size = iter(buffers), builtins.list[Buffer](), 0
    for buffer in coming:
        first.append(buffer)
        size += flat(buffer).nbytes
        if size >= MAP_FROM and (file := _anonymous_file()) is not None:
            file.write(itertools.chain(first, coming))
            return file
    return b"".join(first)


def _anonymous_file() -> _AnonymousFile | None:
    """Return a new file; None where there are none, or the process has too many files open."""
    if not hasattr(os, "memfd_create") or len(_files) >= _FILES_AT_MOST:
        return None
    try:
        return _AnonymousFile()
    except OSError as exc:
        if exc.errno not in NO_DESCRIPTORS:
            raise
        return None

"""What the attempt of a stage reads and writes, as its store's backend sees it.

A `TracedBackend` tells the attempt's `runstore.context.Trace` of each object. It sends one request
when the attempt begins to read another run, which clean-up has to know, and no other. It reads
nothing that the verb does not read: of an Arrow object it keeps the footer, and what that says is
looked up when the attempt has ended.
"""

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

import xxhash

from runstore import containers
from runstore.buffers import Buffer, Paced, at_hand, flat
from runstore.context import ObjectUse, Trace, peek_run_context
from runstore.errors import AccessDeniedError, CorruptObjectError, RunStoreError
from runstore.keys import PARTS, SHARED, extension_of, is_shortened, name_of, scope_of
from runstore.objects._checks import guard_of
from runstore.objects._digests import value_digest
from runstore.objects._kinds import ends_as_container
from runstore.objects._objects import StoredObjects
from runstore.parts import parsed_part_file, part_text
from runstore.places import Backend, Entry, Tail, Wrapper

__all__ = ["TracedBackend", "note_read", "traced"]

AnyObjects = TypeVar("AnyObjects", bound=StoredObjects)

_log = logging.getLogger("runstore.store")

_HASHED = 1 << 20  # bytes of a plain file up to which its digest is made
_FOOTER = 64 << 10  # bytes of the end of a file that is written, in which its footer is
_TAILS = 64  # ends of files that are kept until it is clear whether more of them is read
_TAIL_BYTES = 1 << 20  # of these ends together, unless a single one is longer
_LONGEST_KEPT = 4 << 10  # bytes of a footer that is kept; what a longer one says is read at once


class TracedBackend(Wrapper):
    """A backend that tells a trace of what is read and written.

    Args:
        backend: Where the bytes are kept.
        trace: Of the attempt.
    """

    def __init__(self, backend: Backend, trace: Trace) -> None:
        super().__init__(backend)
        self._trace = trace
        self._tails: dict[str, tuple[Entry, bytes | str | None]] = {}
        self._tail_bytes = 0

    def put(
        self,
        key: str,
        buffers: Iterable[Buffer],
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> Entry:
        """See `runstore.places.Backend.put`."""
        whole = at_hand(buffers)
        if whole is not None:
            entry = self._backend.put(key, buffers, if_absent=if_absent, if_match=if_match)
            self._wrote(entry, whole)
            return entry
        seen = _Seen(buffers)
        passed = Paced(seen) if isinstance(buffers, Paced) else seen
        entry = self._backend.put(key, passed, if_absent=if_absent, if_match=if_match)
        self._wrote(entry, seen.end(key, entry.size))
        return entry

    def update(
        self, key: str, buffers: Iterable[Buffer], old: Entry, *, if_match: str | None = None
    ) -> Entry | None:
        """Do what the backend's own ``update`` does, if it has one; else nothing."""
        inner = getattr(self._backend, "update", None)
        if inner is None:
            return None
        seen = _Seen(buffers)
        entry: Entry | None = inner(key, seen, old, if_match=if_match)
        if entry is not None:
            self._wrote(entry, seen.end(key, entry.size))
        return entry

    def get(
        self, key: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> tuple[Buffer, Entry]:
        """See `runstore.places.Backend.get`."""
        data, entry = self._backend.get(key, if_match=if_match, if_none_match=if_none_match)
        if not self._trace.has_read((entry.key, entry.version)):
            self.saw(entry, _end(key, flat(data), entry.size))
        return data, entry

    def tail(self, key: str, length: int) -> tuple[Buffer, Entry]:
        """See `runstore.places.Backend.tail`; it is no reading yet, as `stat` looks there, too."""
        data, entry = self._backend.tail(key, length)
        end = _end(key, flat(data), entry.size)
        if len(self._tails) >= _TAILS or self._tail_bytes >= _TAIL_BYTES:
            self._tails.clear()
            self._tail_bytes = 0
        self._tails[key] = entry, end
        self._tail_bytes += len(end or b"")
        return data, entry

    def read(self, key: str, start: int, length: int, version: str) -> Buffer:
        """See `runstore.places.Backend.read`."""
        data = self._backend.read(key, start, length, version)
        if (known := self._tails.pop(key, None)) is not None:
            self.saw(*known)
        return data

    def copy(
        self, source: str, target: str, *, if_absent: bool = False, tail: Tail | None = None
    ) -> Entry:
        """See `runstore.places.Backend.copy`."""
        entry = self._backend.copy(source, target, if_absent=if_absent, tail=tail)
        known = self._tails.pop(source, None)
        self.saw(*(known or (entry._replace(key=source, version=None), None)))
        if tail is not None:
            buffers = b"".join(map(bytes, map(flat, tail.buffers)))
            self._wrote(entry, _end(target, flat(buffers), entry.size))
        else:
            self._wrote(entry, known[1] if known else None)
        return entry

    def delete(self, key: str) -> None:
        """See `runstore.places.Backend.delete`."""
        self._backend.delete(key)
        self._trace.deleted(key)

    def delete_many(
        self, keys: Iterable[str], *, missing_ok: bool = False
    ) -> dict[str, RunStoreError]:
        """See `runstore.places.Backend.delete_many`."""
        wanted = list(keys)
        failed = self._backend.delete_many(wanted, missing_ok=missing_ok)
        for key in wanted:
            if key not in failed:
                self._trace.deleted(key)
        return failed

    def saw(self, entry: Entry, end: bytes | str | None = None) -> None:
        """Note that an object was read.

        Args:
            entry: The object.
            end: Its footer, or the digest of a plain file; None if neither is known.
        """
        if _is_object(entry.key):
            self._reach(entry.key)
            self._trace.read(
                (entry.key, entry.version), partial(_use, entry, end), now=_is_long(end)
            )

    def _reach(self, key: str) -> None:
        """Note that a run is read, when its first object is; clean-up keeps it from then on."""
        namespace, run, _ = key.split("/", 2)
        if (namespace, run) in self._trace.reached or run == SHARED:
            return
        self._trace.reached.add((namespace, run))
        ctx, other = peek_run_context(), (scope_of(namespace), scope_of(run))
        if ctx is None or other[0] is None or other[1] is None:
            return
        from runstore.runs import note_reads  # few stages need it

        reader = ctx.namespace, ctx.run.name
        if reader == other or not self._backend.guarantees.shared:
            return
        try:
            note_reads(self._backend, reader, (other[0], other[1]))
        except AccessDeniedError as exc:  # the stage may read nevertheless
            _log.warning("clean-up may remove run %s/%s, which is read: %s", *other, exc)

    def saw_whole(self, entry: Entry) -> None:
        """Note that an object is read, with its end if that has been read before."""
        self.saw(*(self._tails.pop(entry.key, None) or (entry, None)))

    def _wrote(self, entry: Entry, end: bytes | str | None) -> None:
        if _is_object(entry.key):
            if isinstance(end, bytes):
                end = _end(entry.key, flat(end), entry.size)
            use = partial(_use, entry, end, written=True)
            self._trace.wrote(entry.key, use, now=_is_long(end))


class _Seen:
    """Buffers as they pass by; the last ones are kept."""

    def __init__(self, buffers: Iterable[Buffer]) -> None:
        self._buffers = buffers
        self._last: deque[memoryview] = deque()
        self._kept = 0

    def __iter__(self) -> Iterator[Buffer]:
        for buffer in self._buffers:
            view = flat(buffer)
            if view.nbytes:
                self._last.append(view)
                self._kept += view.nbytes
                while self._kept - self._last[0].nbytes >= _FOOTER:
                    self._kept -= self._last.popleft().nbytes
            yield buffer

    def end(self, key: str, size: int) -> bytes:
        """Return the end of what has passed, with the footer; all of it if it is short."""
        most = _HASHED if self._kept == size else self._footer(key, size)
        parts: list[bytes] = []
        while self._last and most > 0:
            view = self._last.pop()
            parts.append(bytes(view[-most:]))
            most -= view.nbytes
        self._last.clear()
        return b"".join(reversed(parts))

    def _footer(self, key: str, size: int) -> int:
        """Return how many bytes of the end have the footer in them; it is in one buffer."""
        last = self._last[-1] if self._last else memoryview(b"")
        try:
            if ends_as_container(extension_of(key), last, size, key) is not None:
                return max(_FOOTER, size - containers.footer_start(last[-10:], size, key))
        except CorruptObjectError:
            pass  # it is cut where a small footer begins, and so is none
        return _FOOTER


def _end(key: str, view: memoryview, size: int) -> bytes | str | None:
    """Return the footer of a file, a digest of a small plain one, or None.

    Args:
        key: Of the object.
        view: Its end, or all of it.
        size: Of all of it, in bytes.
    """
    try:
        container = ends_as_container(extension_of(key), view, size, key)
        if container is not None:
            start = containers.footer_start(view[-10:], size, key) - size + view.nbytes
            return bytes(view[start:]) if start >= 0 else None
    except CorruptObjectError:
        return None
    if view.nbytes != size or size > _HASHED:
        return None
    return xxhash.xxh3_128_hexdigest(view)


def _is_long(end: bytes | str | None) -> bool:
    return isinstance(end, bytes) and len(end) > _LONGEST_KEPT


def _is_object(key: str) -> bool:
    second = key.split("/", 2)[1:2]
    return bool(second) and (not second[0].startswith("_") or second[0] == SHARED)


def _use(entry: Entry, end: bytes | str | None, *, written: bool = False) -> ObjectUse:
    """Describe an object that was read or written."""
    first, second, below = entry.key.split("/", 2)
    part = None
    if below.startswith(f"{PARTS}/"):
        below, _, file = below.removeprefix(f"{PARTS}/").rpartition("/")
        known = parsed_part_file(file)
        part = file if known is None or known.part is None else part_text(known.part)
    name = name_of(below)
    run = SHARED if second == SHARED else scope_of(second)
    facts: dict[str, Any] = {"size": entry.size, "part": part}
    digest = end if isinstance(end, str) else None
    read = None
    if isinstance(end, bytes):
        guard = guard_of("allow")
        try:
            read = containers.read_footer(end, entry.key, guard)
            if read is not None:
                digest = value_digest(read[0], read[1], end, entry.key, guard)
        except RunStoreError:
            read = None  # `get` says what is wrong with it
    if read is not None:
        header = read[0]
        facts |= {"rows": header.rows, "type": header.type}
        name = header.name if name is None or is_shortened(below) else name
    where = f"runstore://{scope_of(first)}/{run}/{below if name is None else name}"
    if digest is None or written:  # who reads it in pieces knows only this
        facts["version"] = entry.version
    ref = where if digest is None else f"{where}@{digest}"
    return ObjectUse.model_construct(ref=ref, **facts)


def note_read(backend: Backend, entry: Entry) -> None:
    """Note in the trace, if *backend* has one, an object that is read in another way."""
    if isinstance(backend, TracedBackend):
        backend.saw_whole(entry)


def traced(objects: AnyObjects, lease: object) -> AnyObjects:
    """Return *objects* so that what is read and written is noted, where *lease* has a trace."""
    trace: Trace | None = getattr(lease, "trace", None)
    if trace is None:
        return objects
    last = objects.last_traced
    if last is not None and last[0] is trace and last[1] is objects.backend:
        return last[2]
    twin = objects.with_backend(TracedBackend(objects.backend, trace))
    objects.last_traced = trace, objects.backend, twin
    return twin

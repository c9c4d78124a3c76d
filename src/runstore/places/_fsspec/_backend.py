"""A path in a filesystem of fsspec, as a backend."""

import base64
import builtins
import hashlib
import time
from collections.abc import Iterable, Mapping
from typing import Any

from runstore.buffers import Buffer, flat
from runstore.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    InvalidRequestError,
    ObjectNotFoundError,
    RunStoreError,
    StorageError,
)
from runstore.places._base import Entry, Tail, copy_through
from runstore.places._errors import check_read, check_span, check_version, not_found
from runstore.places._fsspec._calls import Calls
from runstore.places._fsspec._dialects import Dialect, modified_at
from runstore.places._fsspec._failures import status_of, translating
from runstore.places._fsspec._probe import probe
from runstore.places._fsspec._steps import replacing
from runstore.places._fsspec._tree import FsspecTree
from runstore.places._fsspec._writing import TEMPORARY, Writing
from runstore.places._guarantees import Guarantees
from runstore.places._leftovers import Leftover
from runstore.workers import Workers, pause

__all__ = ["FsspecBackend"]

_WHOLE = 1 << 20  # bytes; a smaller object is read whole, which is consistent by itself
_AT_ONCE = 8


class FsspecBackend(FsspecTree):
    """Objects under a path of any filesystem of fsspec.

    Args:
        url: What to call the place.
        calls: The filesystem.
        root: The path in it, without a slash at its end.
        dialect: What is known of the filesystem.
        allow_torn: Whether readers may see half of a write, where it cannot do better.
        timeout: Seconds to wait for an object that is just being replaced.
    """

    def __init__(
        self,
        url: str,
        calls: Calls,
        root: str,
        dialect: Dialect,
        *,
        allow_torn: bool = False,
        timeout: float = 60,
    ) -> None:
        super().__init__(url, calls, root, dialect)
        self._allow_torn = allow_torn
        self._timeout = timeout
        self._asked = dialect.guarantees
        self._writing = Writing(calls, dialect, self._root)

    def __repr__(self) -> str:
        return f"FsspecBackend({self.url!r}, {self._dialect.name})"

    @property
    def guarantees(self) -> Guarantees:
        """See `runstore.places.Backend.guarantees`."""
        return self._asked

    def probe(self) -> Guarantees:
        """See `runstore.places.Backend.probe`."""
        if None in (self._asked.atomic_put, self._asked.create):
            with translating(self.url, "write to", missing=StorageError):
                self._asked = probe(self._calls, self._dialect, self._path(TEMPORARY))
        return self._asked

    def put(
        self,
        key: str,
        buffers: Iterable[Buffer],
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> Entry:
        """See `runstore.places.Backend.put`."""
        path, ref = self._path(key), self._ref(key)
        self._check_put(ref, if_absent, if_match)
        by_rename = self._asked.atomic_put == "rename"
        try:
            info = self._writing.put(path, buffers, ref, if_absent=if_absent, by_rename=by_rename)
        except StorageError as exc:
            cause = exc.__cause__
            if cause is not None and (
                isinstance(cause, FileNotFoundError) or status_of(cause) == 404
            ):
                self._check_bucket(ref)
            raise
        return self._entry(key) if info is None else self._described(key, info)

    def get(
        self, key: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> tuple[Buffer, Entry]:
        """See `runstore.places.Backend.get`; what is read is what was there before and after."""
        ref, before = self._ref(key), self._info(key)
        deadline = time.monotonic() + self._timeout
        while time.monotonic() < deadline:
            there = self._described(key, before)
            check_read(ref, there.version, if_match, if_none_match)
            try:
                data = self._cat(key, 0, None, size=there.size)
                if self._is_content(data, before):
                    return bytearray(data), there
                after = self._info(key)
            except ObjectNotFoundError:
                before = self._info(key)  # deleted, or replaced where that takes two steps
                continue
            entry = self._described(key, after)
            if _same(there, entry) and len(data) == entry.size:
                return bytearray(data), entry
            before = after
        raise self._given_up(ref)

    def _is_content(self, data: bytes, info: Mapping[str, Any]) -> bool:
        """Return whether the digest that the place tells is that of *data*."""
        told = info.get(self._dialect.md5)
        if not told:
            return False
        found = hashlib.md5(data, usedforsecurity=False).digest()
        return bool(told == base64.b64encode(found).decode())

    def tail(self, key: str, length: int) -> tuple[Buffer, Entry]:
        """See `runstore.places.Backend.tail`."""
        before = self._entry(key)
        deadline = time.monotonic() + self._timeout
        while time.monotonic() < deadline:
            if before.size <= max(_WHOLE, length) or not self._asked.ranges:
                data, entry = self.get(key)
                return flat(data)[max(0, entry.size - length) :], entry
            part = self._cat(key, before.size - length, before.size)
            after = self._entry(key)
            if _same(before, after) and len(part) == length:
                return part, after
            before = after
        raise self._given_up(self._ref(key))

    def read(self, key: str, start: int, length: int, version: str) -> Buffer:
        """See `runstore.places.Backend.read`."""
        ref, entry = self._ref(key), self._entry(key)
        check_version(ref, entry.version, version)
        check_span(ref, start, length, entry.size)
        if length == 0:
            return b""
        if not self._asked.ranges:
            return flat(self.get(key, if_match=version)[0])[start : start + length]
        part = self._cat(key, start, start + length)
        check_version(ref, self._entry(key).version, version)
        if len(part) != length:
            raise StorageError(f"{len(part)} bytes came of {length} of {ref}: try again", ref)
        return part

    def head(self, key: str) -> Entry:
        """See `runstore.places.Backend.head`."""
        return self._entry(key)

    def copy(
        self, source: str, target: str, *, if_absent: bool = False, tail: Tail | None = None
    ) -> Entry:
        """See `runstore.places.Backend.copy`."""
        if not self._dialect.server_copy or if_absent or tail is not None:
            return copy_through(self, source, target, if_absent, tail)
        ref = self._ref(target)
        self._check_put(ref, if_absent, None)
        before = self._entry(source)
        with translating(ref, "write", missing=StorageError):
            self._calls("cp_file", self._path(source), self._path(target), size=before.size)
        return self._entry(target)

    def delete(self, key: str) -> None:
        """See `runstore.places.Backend.delete`."""
        ref = self._ref(key)
        self._entry(key)
        self._check_writable(ref)
        with translating(ref, "delete"):
            self._calls.remove(self._path(key))

    def delete_many(
        self, keys: Iterable[str], *, missing_ok: bool = False
    ) -> dict[str, RunStoreError]:
        """See `runstore.places.Backend.delete_many`; several at a time."""

        def remove(key: str) -> RunStoreError | None:
            try:
                self.delete(key)
            except ObjectNotFoundError as exc:
                return None if missing_ok else exc
            except RunStoreError as exc:
                return exc
            return None

        wanted = builtins.list(dict.fromkeys(keys))
        if not wanted:
            return {}
        with Workers(min(_AT_ONCE, len(wanted)), "runstore-delete") as workers:
            found = zip(wanted, workers.map(remove, wanted), strict=True)
            return {key: exc for key, exc in found if exc is not None}

    def sweep(self, older_than: float) -> int:
        """See `runstore.places.Backend.sweep`; what is left of a write is told by its age."""
        latest, swept = time.time() - older_than, 0
        with translating(self.url, "sweep"):
            self._calls.forget()
            for info in self._ls(self._path(TEMPORARY)):
                if info["type"] != "directory" and modified_at(info).timestamp() <= latest:
                    try:
                        self._calls.remove(self._stripped(info["name"]))
                    except FileNotFoundError:
                        continue  # its writer was living, and is done
                    swept += 1
        return swept

    def leftovers(self, older_than: float) -> builtins.list[Leftover]:
        """See `runstore.places._leftovers.leftovers`."""
        latest = time.time() - older_than
        with translating(self.url, "list leftovers of"):
            self._calls.forget()
            return [
                Leftover(f"{TEMPORARY}/{self._name(info)}", "temporary", info["size"] or 0, at)
                for info in self._ls(self._path(TEMPORARY))
                if info["type"] != "directory" and (at := modified_at(info)).timestamp() <= latest
            ]

    def reader_options(self, reader: str) -> dict[str, Any]:
        """Return the options with which another library reads this place by fsspec.

        Raises:
            InvalidRequestError: *reader* has options of its own, which are not known here.
        """
        if reader not in ("pandas", "duckdb"):
            raise InvalidRequestError(
                f"storage_options: what {reader} needs for {self.url} is not known here: read by "
                "fsspec, with storage_options('pandas'), or runstore://"
            )
        return dict(self._calls.fs.storage_options)

    def close(self) -> None:
        """See `runstore.places.Backend.close`; a filesystem of the user's stays open."""
        self._calls.close()

    def _check_put(self, ref: str, if_absent: bool, if_match: str | None) -> None:
        """Raise StorageError if a put so cannot be promised here."""
        self._check_writable(ref)
        known = self._asked
        if known.atomic_put is None or (if_absent and known.create is None):
            known = self.probe()
        if known.atomic_put == "no" and not self._allow_torn:
            raise StorageError(
                f"{ref} was not written: this place has no way to write a file in one step, so a "
                "reader could see half of it. Use another place, or accept that by "
                "ObjectStore(…, allow_torn=True)",
                ref,
            )
        if if_absent and not (known.create and known.atomic_put != "no"):
            raise StorageError(
                f"{ref} was not written: with if_absent two writers could both believe that they "
                "have created it here. Put without it, or use a place that can create exclusively",
                ref,
            )
        if if_match is not None:
            raise StorageError(
                f"{ref} was not written: with if_match another writer could come in between "
                "unseen here. Put without it, or use a local disk or S3",
                ref,
            )

    def _check_writable(self, ref: str) -> None:
        if self._dialect.read_only:
            raise AccessDeniedError(
                f"{ref} cannot be changed: {self._dialect.name} can only be read", ref
            )

    def _entry(self, key: str) -> Entry:
        """Describe an object as it is now.

        Raises:
            ObjectNotFoundError: There is none.
        """
        return self._described(key, self._info(key))

    def _info(self, key: str) -> Mapping[str, Any]:
        path, ref = self._path(key), self._ref(key)
        with translating(ref, "read"):
            self._calls.forget()
            try:
                info = self._calls("info", path)
            except FileNotFoundError:
                self._check_bucket(ref)
                info = self._replaced(path, ref)
        if info["type"] == "directory":
            raise not_found(ref)
        if info["type"] not in ("file", "link"):
            raise StorageError(f"{ref} is no file, but of the type {info['type']!r}", ref)
        self._bucket_is_there = True
        found: Mapping[str, Any] = info
        return found

    def _replaced(self, path: str, ref: str) -> Mapping[str, Any]:
        """Look again for what seems not to be there, where replacing it takes two steps.

        Raises:
            FileNotFoundError: It is not.
            BackendUnavailableError: It was being replaced, and that did not end.
        """
        if not self._dialect.gap:
            raise FileNotFoundError(path)
        deadline, begin = time.monotonic() + self._timeout, replacing(path)
        while True:
            names = [self._name(info) for info in self._ls(self._path(TEMPORARY))]
            under_way = any(name.startswith(begin) for name in names)
            try:
                found: Mapping[str, Any] = self._calls("info", path)
            except FileNotFoundError:
                if not under_way:
                    raise
            else:
                return found
            if time.monotonic() > deadline:
                raise BackendUnavailableError(
                    f"{ref} was being replaced, and that did not end: its writer or the server "
                    "failed in the middle. Put it again, and sweep the store",
                    ref,
                )
            pause(0.05)

    def _cat(self, key: str, start: int, end: int | None, *, size: int = 0) -> bytes:
        with translating(self._ref(key), "read"):
            size = size if end is None else end - start
            return self._dialect.cat(self._calls, self._path(key), start, end, size)

    def _given_up(self, ref: str) -> BackendUnavailableError:
        return BackendUnavailableError(f"{ref} is replaced faster than it can be read", ref)


def _same(one: Entry, other: Entry) -> bool:
    return (one.version, one.size) == (other.version, other.size)

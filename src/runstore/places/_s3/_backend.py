"""A bucket, or a prefix of one, as a backend."""

import builtins
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

from runstore.buffers import Buffer, flat
from runstore.errors import (
    InvalidNameError,
    MissingExtraError,
    ObjectExistsError,
    PreconditionFailedError,
    RunStoreError,
    StorageError,
    StoreClosedError,
)
from runstore.places._base import Entry, Tail, copy_through
from runstore.places._errors import check_read
from runstore.places._guarantees import Guarantees
from runstore.places._s3._causes import NOT_S3, SOURCE_CHANGED, UNREACHED, WRONG_REGION
from runstore.places._s3._clients import ENGINES, client_of, engine_of, forget_client
from runstore.places._s3._conditions import HIDDEN, Probe
from runstore.places._s3._config import S3Config
from runstore.places._s3._download import download, part, ranged
from runstore.places._s3._environment import Environment
from runstore.places._s3._errors import as_error, translated
from runstore.places._s3._loop import wait_for_leaving
from runstore.places._s3._options import check_timeout, split_options, split_url
from runstore.places._s3._retry import Deadline, persist
from runstore.places._s3._upload import Uploader
from runstore.places._s3._wire import Condition, Failure, Got, Item, S3Client, Span, Upload
from runstore.workers import Workers

__all__ = ["ENGINES", "S3Backend"]

_GUARANTEES = Guarantees(
    atomic_put="native",
    create=None,
    compare_and_swap=None,
    ranges=True,
    versions="content",
    server_copy=True,
    mapped=False,
    shared=True,
)
_LONGEST_NAME = 1024  # bytes; S3's own limit
_BATCH = 1000
_AT_ONCE = 16
_NO_BATCH = frozenset({400, 404, 405, 411, 501})  # what servers without batch delete answer


class _Opened(NamedTuple):
    """What a backend works with, until its process forks or its environment changes."""

    pid: int
    environment: Environment
    client: S3Client
    uploader: Uploader
    probe: Probe


class S3Backend:
    """Objects under ``s3://bucket/prefix``, on any server that speaks S3.

    Nothing is opened before the first use, and a forked process opens its own.

    Args:
        url: ``s3://bucket`` or ``s3://bucket/prefix``.
        engine: ``obstore`` or ``s3fs``; by default the first of them that is installed.
        timeout: Seconds without an answer, retries included.
        options: fsspec's storage options.

    Raises:
        SettingsError: The URL, the engine or an option is not understood.
        MissingExtraError: No engine is installed, or not the one asked for.
    """

    def __init__(
        self,
        url: str,
        *,
        engine: str | None = None,
        timeout: float = 60,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._bucket, self._prefix = split_url(url)
        self.url = f"s3://{self._bucket}/{self._prefix}".rstrip("/")
        self._timeout = check_timeout(timeout, url)
        self._public, _ = split_options(options or {})
        self._options = dict(options or {})
        self._forced = engine
        self.engine = engine_of(engine)
        self._mine: _Opened | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"S3Backend({self.url!r}, engine={self.engine!r})"

    def __reduce__(self) -> tuple[Any, ...]:  # without what is secret
        return _reopened, (self.url, self._forced, self._timeout, self._public)

    @property
    def guarantees(self) -> Guarantees:
        """See `runstore.places.Backend.guarantees`; some servers ignore conditions."""
        mine = self._mine
        return _GUARANTEES if mine is None else mine.probe.complete(_GUARANTEES)

    def probe(self) -> Guarantees:
        """See `runstore.places.Backend.probe`; six small requests at most."""
        with self._translated(self.url, "write to"):
            opened = self._open()
            for condition in (Condition(True, None), Condition(False, "any")):
                opened.probe.keeps(opened.client, condition, self._timeout)
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
        name, ref = self._name(key), self._ref(key)
        condition = Condition(if_absent, if_match)
        with self._translated(ref, "write"):
            opened = self._open()
            client, uploader, probe = opened.client, opened.uploader, opened.probe
            if condition and not probe.keeps(client, condition, self._timeout):
                raise StorageError(
                    f"{ref} was not written: the server ignores conditional writes, so "
                    "if_absent and if_match cannot be kept there. Put without them, or use a "
                    "server that has them",
                    ref,
                )
            try:
                version, size = uploader.put(name, buffers, condition)
            except Failure as failure:
                raise _conflict(failure, condition, ref) from failure
        return Entry(key, size, datetime.now(UTC).replace(microsecond=0), version)

    def get(
        self, key: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> tuple[Buffer, Entry]:
        """See `runstore.places.Backend.get`."""
        ref = self._ref(key)
        if if_none_match is not None:
            check_read(ref, self.head(key).version, if_match, if_none_match)
        with self._translated(ref, "read"):
            got = download(self._open().client, self._name(key), self._timeout)
        check_read(ref, got.version, if_match, if_none_match)
        return got.data, _entry(key, got)

    def tail(self, key: str, length: int) -> tuple[Buffer, Entry]:
        """See `runstore.places.Backend.tail`."""
        with self._translated(self._ref(key), "read"):
            client, deadline = self._open().client, Deadline(self._timeout)
            got = ranged(client, self._name(key), Span(None, length), deadline)
        return got.data, _entry(key, got)

    def read(self, key: str, start: int, length: int, version: str) -> Buffer:
        """See `runstore.places.Backend.read`."""
        ref, span = self._ref(key), Span(start, length)
        if length == 0:
            return b""
        with self._translated(ref, "read"):
            client, name = self._open().client, self._name(key)
            try:
                return part(client, name, span, version, self._timeout)
            except Failure as failure:
                if failure.condition_failed:
                    raise _conflict(failure, Condition(False, version), ref) from failure
                raise

    def head(self, key: str) -> Entry:
        """See `runstore.places.Backend.head`.

        It reads one byte: the answer to a HEAD has no body, and so does not tell a
        missing object from a missing bucket.
        """
        with self._translated(self._ref(key), "read"):
            client, deadline = self._open().client, Deadline(self._timeout)
            return _entry(key, ranged(client, self._name(key), Span(0, 1), deadline))

    def list(self, prefix: str) -> Iterator[Entry]:
        """See `runstore.places.Backend.list`; a thousand objects a request, none kept."""
        with self._translated(self._ref(prefix), "list"):
            for item in self._items(self._prefix + prefix):
                key = item.name[len(self._prefix) :]
                if not key.startswith(".") and "/." not in key and not key.endswith("/"):
                    yield Entry(key, item.size, item.modified, item.version)

    def folders(self, prefix: str) -> builtins.list[str]:
        """See `runstore.places.Backend.folders`."""
        under = self._prefix + prefix
        with self._translated(self._ref(prefix), "list"):
            client, deadline = self._open().client, Deadline(self._timeout)
            found = persist(lambda t: client.folders(under, t), deadline)
        return sorted(name for name in found if not name.startswith("."))

    def copy(
        self, source: str, target: str, *, if_absent: bool = False, tail: Tail | None = None
    ) -> Entry:
        """See `runstore.places.Backend.copy`; by the server where it is large and s3fs is there."""
        ref, condition = self._ref(target), Condition(if_absent, None)
        if tail is None:
            there = self.head(source)
            assert there.version is not None
            tail = Tail(there.version, there.size, [])
        with self._translated(ref, "write"):
            opened = self._open()
            names = self._name(source), self._name(target)
            try:
                version = opened.uploader.copy(*names, tail, condition)
            except Failure as failure:
                if failure.condition_failed and failure.code != SOURCE_CHANGED:
                    raise _conflict(failure, condition, ref) from failure
                if failure.code == SOURCE_CHANGED or failure.status == 404:
                    self.read(source, 0, 1, tail.version)  # says which of the two it is
                raise
        if version is None:
            return copy_through(self, source, target, if_absent, tail)
        size = tail.keep + sum(flat(buffer).nbytes for buffer in tail.buffers)
        return Entry(target, size, datetime.now(UTC).replace(microsecond=0), version)

    def delete(self, key: str) -> None:
        """See `runstore.places.Backend.delete`; S3 does not tell a miss, so it looks first."""
        self.head(key)
        with self._translated(self._ref(key), "delete"):
            client, name = self._open().client, self._name(key)
            persist(lambda t: client.delete(name, t), Deadline(self._timeout))

    def delete_many(
        self, keys: Iterable[str], *, missing_ok: bool = False
    ) -> dict[str, RunStoreError]:
        """See `runstore.places.Backend.delete_many`; a thousand a request, looks not counted."""
        wanted, errors = builtins.list(dict.fromkeys(keys)), dict[str, RunStoreError]()
        with Workers(_AT_ONCE, "runstore-s3-delete") as workers:
            if not missing_ok:
                found = workers.map(self._look, wanted)
                errors = {key: exc for key, exc in zip(wanted, found, strict=True) if exc}
                wanted = [key for key in wanted if key not in errors]
            for start in range(0, len(wanted), _BATCH):
                batch = wanted[start : start + _BATCH]
                left = self._delete_batch(batch)
                for key, exc in zip(left, workers.map(self._remove, left), strict=True):
                    if exc:
                        errors[key] = exc
        return errors

    def sweep(self, older_than: float) -> int:
        """See `runstore.places.Backend.sweep`: aborts multipart uploads, removes probes."""
        latest, swept = time.time() - older_than, 0
        with self._translated(self.url, "sweep"):
            client, parts = self._open().client, self._open().client.parts
            for item in self._items(self._prefix + HIDDEN):
                if item.modified.timestamp() <= latest:
                    name = item.name
                    persist(lambda t, name=name: client.delete(name, t), Deadline(self._timeout))  # type: ignore[misc]
                    swept += 1
            if parts is None:
                raise MissingExtraError(
                    "obstore cannot list unfinished uploads: pip install 'runstore[s3]'", self.url
                )
            for upload in self.unfinished(older_than):
                try:
                    parts.abort(upload.name, upload.id, self._timeout / 3)
                    swept += 1
                except Failure as failure:
                    if failure.status != 404:  # it was completed or aborted meanwhile
                        raise
        return swept

    def unfinished(self, older_than: float = 0) -> builtins.list[Upload]:
        """Return the multipart uploads under the prefix begun at least *older_than* seconds ago.

        Raises:
            MissingExtraError: The engine cannot list them and s3fs is not installed.
            StorageError: The place failed.
        """
        latest = time.time() - older_than
        with self._translated(self.url, "list unfinished uploads of"):
            parts = self._open().client.parts
            if parts is None:
                raise MissingExtraError(
                    "obstore cannot list unfinished uploads: pip install 'runstore[s3]'", self.url
                )
            try:
                found = persist(
                    lambda t: builtins.list(parts.begun(self._prefix, t)), Deadline(self._timeout)
                )
            except Failure as failure:
                if failure.status != 501 and failure.code != "NoSuchUpload":
                    raise
                return []  # servers that cannot list them
        return [
            upload
            for upload in found
            # Some servers take the prefix for a suggestion.
            if upload.name.startswith(self._prefix) and upload.begun.timestamp() <= latest
        ]

    def _items(self, prefix: str) -> Iterator[Item]:
        """Return everything under *prefix*; after a failure go on behind the last one given."""
        client, after = self._open().client, None
        deadline = Deadline(self._timeout)
        pages = client.pages(prefix, after, deadline.request)
        while True:

            def step(timeout: float) -> builtins.list[Item] | None:
                nonlocal pages
                try:
                    return next(pages, None)
                except Failure:
                    pages = client.pages(prefix, after, timeout)  # noqa: B023 - used at once
                    raise

            page = persist(step, Deadline(self._timeout))
            if page is None:
                return
            yield from page
            if page:
                after = page[-1].name

    def _delete_batch(self, batch: Sequence[str]) -> builtins.list[str]:
        """Remove a batch in one request; give those that have to be removed one by one."""
        names = {self._name(key): key for key in batch}
        client = self._open().client
        try:
            refused = persist(
                lambda t: client.delete_batch(builtins.list(names), t), Deadline(self._timeout)
            )
        except Failure as failure:
            lost = failure.code in UNREACHED or (failure.code, failure.status) == (NOT_S3, 0)
            if not lost and (failure.status in _NO_BATCH or failure.status in (0, 403)):
                return builtins.list(batch)
            self._complete(failure)
            raise as_error(failure, self.url, "delete from") from failure
        return [names[name] for name in refused if name in names]

    def _look(self, key: str) -> RunStoreError | None:
        try:
            self.head(key)
        except RunStoreError as exc:
            return exc
        return None

    def _remove(self, key: str) -> RunStoreError | None:
        client, name = self._open().client, self._name(key)
        try:
            persist(lambda t: client.delete(name, t), Deadline(self._timeout))
        except Failure as failure:
            return as_error(failure, self._ref(key), "delete")
        return None

    def close(self) -> None:
        """See `runstore.places.Backend.close`; a client that others use stays open."""
        self._closed, self._mine = True, None
        self._options = {}
        wait_for_leaving()

    @contextmanager
    def _translated(self, ref: str, doing: str) -> Iterator[None]:
        with translated(ref, doing):
            try:
                yield
            except Failure as failure:
                self._complete(failure)
                mine = self._mine
                if failure.code == "NoCredentials" and mine is not None:
                    self._mine = None  # the next call looks for them again
                    forget_client(mine.client)
                raise

    def _complete(self, failure: Failure) -> None:
        """Ask for the region that the bucket is in, which obstore does not pass on."""
        if failure.code == WRONG_REGION and not failure.reason and self._mine is not None:
            parts = self._mine.client.parts
            failure.reason = parts.region(self._timeout / 3) if parts is not None else ""

    def _open(self) -> _Opened:
        mine = self._mine
        if mine is None or mine.pid != os.getpid() or not mine.environment.is_current():
            # No lock, which a request could hold: two threads may both come here.
            mine = self._mine = self._opened_now(Environment())
        return mine

    def _opened_now(self, now: Environment) -> _Opened:
        if self._closed:
            raise StoreClosedError(f"{self.url} was closed: open another store", self.url)
        config = S3Config.resolve(self._bucket, self._options)
        longest = self._timeout / 3
        client = client_of(self.engine, self._forced is not None, config, longest, now)
        self.engine = client.engine
        probe = Probe((config.endpoint, self._bucket), self._prefix)
        uploader = Uploader(client, probe, self._timeout)
        return _Opened(os.getpid(), now, client, uploader, probe)

    def _name(self, key: str) -> str:
        name = self._prefix + key
        if len(name) > _LONGEST_NAME:
            raise InvalidNameError(
                f"{self._ref(key)[:80]}… is longer than the 1,024 bytes that S3 allows for prefix, "
                "namespace, run and name together",
                key,
            )
        return name

    def _ref(self, key: str) -> str:
        return f"{self.url}/{key}"


def _reopened(url: str, engine: str | None, timeout: float, options: dict[str, Any]) -> S3Backend:
    return S3Backend(url, engine=engine, timeout=timeout, options=options)


def _conflict(failure: Failure, condition: Condition, ref: str) -> Exception:
    """Return the error of a condition that did not hold; any other failure as it is."""
    if condition.if_absent and failure.condition_failed:
        return ObjectExistsError(
            f"{ref} exists already: choose another name, or put without if_absent to replace it",
            ref,
        )
    if condition.if_match is not None and (failure.condition_failed or failure.no_such_key):
        return PreconditionFailedError(
            f"{ref} is not the version {condition.if_match!r} any more. Read it again and decide "
            "anew",
            ref,
        )
    if failure.no_such_key:  # a put finds no key missing; something about it is
        return StorageError(f"cannot write {ref}: {failure.reason}", ref)
    return failure


def _entry(key: str, got: Got) -> Entry:
    return Entry(key, got.size, got.modified, got.version)

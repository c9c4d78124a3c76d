"""A backend on a bucket, or on a prefix of one, of any object store."""

import builtins
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import ClassVar

from runstore.buffers import Buffer, flat
from runstore.errors import (
    ObjectExistsError,
    PreconditionFailedError,
    RunStoreError,
    StorageError,
)
from runstore.places._base import Entry, Tail, copy_through
from runstore.places._cloud._causes import NOT_S3, SOURCE_CHANGED, UNREACHED
from runstore.places._cloud._conditions import HIDDEN
from runstore.places._cloud._download import download, part, ranged
from runstore.places._cloud._errors import as_error
from runstore.places._cloud._loop import wait_for_leaving
from runstore.places._cloud._retry import Deadline, persist
from runstore.places._cloud._tree import BATCH, CloudTree, Opened
from runstore.places._cloud._upload import SINGLE
from runstore.places._cloud._wire import CloudClient, Condition, Failure, Got, Span
from runstore.places._errors import check_read
from runstore.places._guarantees import Guarantees
from runstore.places._leftovers import Leftover
from runstore.workers import Workers

__all__ = ["CloudBackend", "Opened"]

_AT_ONCE = 16
_ANY = Condition()
_NO_BATCH = frozenset({400, 404, 405, 411, 501})  # what servers without batch delete answer


class CloudBackend(CloudTree):
    """Objects under a prefix of a bucket; what a kind of store adds is how its client is opened.

    Nothing is opened before the first use, and a forked process opens its own.

    Args:
        url: The bucket and the prefix.
        prefix: The prefix of every key; it ends with a slash or is empty.
        timeout: Seconds without an answer, retries included.
    """

    promised: ClassVar[Guarantees]
    """What is promised before the server was asked."""

    hides_misses: ClassVar[bool] = False
    """Whether a condition on what is not there fails like one on another version."""

    @property
    def guarantees(self) -> Guarantees:
        """See `runstore.places.Backend.guarantees`; some servers ignore conditions."""
        mine = self._mine
        return self.promised if mine is None else mine.probe.complete(self.promised)

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
        name, condition = self._name(key), _ANY
        if if_absent or if_match is not None:
            condition = self._kept(Condition(if_absent, if_match), self._ref(key))
        try:
            version, size = self._open().uploader.put(name, buffers, condition)
        except Failure as failure:
            ref = self._ref(key)
            with self._translated(ref, "write"):
                raise _conflict(failure, condition, ref) from failure
        return Entry(key, size, datetime.now(UTC).replace(microsecond=0), version)

    def _kept(self, condition: Condition, ref: str) -> Condition:
        """Return *condition*, if the server keeps such a one."""
        with self._translated(ref, "write"):
            opened = self._open()
            if opened.probe.keeps(opened.client, condition, self._timeout):
                return condition
        raise StorageError(
            f"{ref} was not written: the server ignores conditional writes, so if_absent and "
            "if_match cannot be kept there. Put without them, or use a server that has them",
            ref,
        )

    def update(
        self, key: str, buffers: Iterable[Buffer], old: Entry, *, if_match: str | None = None
    ) -> Entry | None:
        """Write an object over an earlier version; the server copies what is the same.

        Args:
            key: The object.
            buffers: All of the new one.
            old: The version that is there.
            if_match: As for `put`.

        Returns:
            As for `put`; None if that cannot be done here, then *buffers* are untouched.

        Raises:
            PreconditionFailedError: Another version is there.
            ObjectNotFoundError: None is there any more.
            IndeterminateWriteError, StorageError: As for `put`.
        """
        ref, condition = self._ref(key), Condition(False, if_match)
        if old.version is None or old.size <= SINGLE:
            return None
        with self._translated(ref, "write"):
            opened = self._open()
            if condition and not opened.probe.keeps(opened.client, condition, self._timeout):
                return None  # put() says why
            try:
                done = opened.uploader.update(self._name(key), buffers, old, condition)
            except Failure as failure:
                if condition and failure.condition_failed and failure.code != SOURCE_CHANGED:
                    raise _conflict(failure, condition, ref) from failure
                if failure.code == SOURCE_CHANGED or failure.status in (404, 412):
                    self.read(key, 0, 1, old.version)  # says which of the two it is
                raise
        if done is None:
            return None
        return Entry(key, done[1], datetime.now(UTC).replace(microsecond=0), done[0])

    def get(
        self, key: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> tuple[Buffer, Entry]:
        """See `runstore.places.Backend.get`."""
        if if_none_match is not None:
            check_read(self._ref(key), self.head(key).version, if_match, if_none_match)
        try:
            got = download(self._open().client, self._name(key), self._timeout)
        except Failure:
            with self._translated(self._ref(key), "read"):
                raise
        if if_match is not None or if_none_match is not None:
            check_read(self._ref(key), got.version, if_match, if_none_match)
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
                    if self.hides_misses:
                        self.head(key)
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
            _delete(client, name, self._timeout)

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
            for start in range(0, len(wanted), BATCH):
                batch = wanted[start : start + BATCH]
                left = self._delete_batch(batch)
                for key, exc in zip(left, workers.map(self._remove, left), strict=True):
                    if exc:
                        errors[key] = exc
        return errors

    def sweep(self, older_than: float) -> int:
        """See `runstore.places.Backend.sweep`: removes what was left of asking the server."""
        latest, swept = time.time() - older_than, 0
        with self._translated(self.url, "sweep"):
            client = self._open().client
            for item in self._items(self._prefix + HIDDEN):
                if item.modified.timestamp() <= latest:
                    _delete(client, item.name, self._timeout)
                    swept += 1
        return swept

    def leftovers(self, older_than: float) -> builtins.list[Leftover]:
        """See `runstore.places._leftovers.leftovers`."""
        latest, cut = time.time() - older_than, len(self._prefix)
        with self._translated(self.url, "list leftovers of"):
            return [
                Leftover(item.name[cut:], "probe", item.size, item.modified)
                for item in self._items(self._prefix + HIDDEN)
                if item.modified.timestamp() <= latest
            ]

    def _delete_batch(self, batch: Sequence[str]) -> builtins.list[str]:
        """Remove a batch in one request; return the keys that have to be removed one by one."""
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
            _delete(client, name, self._timeout)
        except Failure as failure:
            return as_error(failure, self._ref(key), "delete")
        return None

    def close(self) -> None:
        """See `runstore.places.Backend.close`; a client that others use stays open."""
        self._closed, self._mine = True, None
        wait_for_leaving()


def _delete(client: CloudClient, name: str, timeout: float) -> None:
    """Remove an object; Google and Azure tell if somebody else has done so just before."""
    try:
        persist(lambda t: client.delete(name, t), Deadline(timeout))
    except Failure as failure:
        if not failure.no_such_key:
            raise


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
    if failure.no_such_key:  # a put does not fail for a missing key, so this is something else
        return StorageError(f"cannot write {ref}: {failure.reason}", ref)
    return failure


def _entry(key: str, got: Got) -> Entry:
    return Entry(key, got.size, got.modified, got.version)

"""Writes under a lease: refused once it is revoked; the last check is just before publishing."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from runstore.buffers import Buffer, Paced, at_hand
from runstore.context import Lease, current_entry
from runstore.errors import RunStoreError
from runstore.objects._objects import StoredObjects
from runstore.places import Backend, Entry, Tail, Wrapper

__all__ = ["LeasedBackend", "Permission", "check_lease", "current_lease", "leased"]

AnyObjects = TypeVar("AnyObjects", bound=StoredObjects)


class Permission(Protocol):
    """What lets code write, until it is taken back: as a `runstore.context.Lease`."""

    def check(self) -> None:
        """Return if it still lets code write; else raise."""
        ...

    def begin(self, write: object) -> None:
        """Let *write* be published; until `end`, whoever takes it back waits for it. Or raise."""
        ...

    def end(self, write: object) -> None:
        """Note that *write* has been published, or has failed."""
        ...


# Keys that are deleted between two checks of the lease.
_AT_ONCE_NEAR, _AT_ONCE_FAR = 16, 1000  # one request of S3


class LeasedBackend(Wrapper):
    """A backend whose writes need a lease; everything else is the backend's own.

    The last check of the lease is made when all bytes have been produced: on a disk they
    are in the temporary file, and the rename follows; on S3 the PUT, or the request that
    completes the parts, follows. `Lease.revoke` waits for a write that has passed it.

    Args:
        backend: Where the bytes are kept.
        lease: What lets them be written.
    """

    def __init__(self, backend: Backend, lease: Permission) -> None:
        super().__init__(backend)
        self._lease = lease

    def put(
        self,
        key: str,
        buffers: Iterable[Buffer],
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> Entry:
        """See `runstore.places.Backend.put`."""
        write = object()
        if at_hand(buffers) is not None:  # all bytes have been produced: this is the last look
            try:
                self._lease.begin(write)
                return self._backend.put(key, buffers, if_absent=if_absent, if_match=if_match)
            finally:
                self._lease.end(write)
        looked_at: Iterable[Buffer] = itertools.chain(buffers, self._last_look(write))
        if isinstance(buffers, Paced):
            looked_at = Paced(looked_at)
        try:
            return self._backend.put(
                key,
                looked_at,
                if_absent=if_absent,
                if_match=if_match,
            )
        finally:
            self._lease.end(write)

    def update(
        self, key: str, buffers: Iterable[Buffer], old: Entry, *, if_match: str | None = None
    ) -> Entry | None:
        """Do what the backend's own ``update`` does, if it has one; else nothing."""
        inner = getattr(self._backend, "update", None)
        if inner is None:
            return None
        write = object()
        try:
            entry: Entry | None = inner(
                key, itertools.chain(buffers, self._last_look(write)), old, if_match=if_match
            )
            return entry
        finally:
            self._lease.end(write)

    def copy(
        self, source: str, target: str, *, if_absent: bool = False, tail: Tail | None = None
    ) -> Entry:
        """See `runstore.places.Backend.copy`."""
        write = object()
        self._lease.begin(write)
        try:
            return self._backend.copy(source, target, if_absent=if_absent, tail=tail)
        finally:
            self._lease.end(write)

    def delete(self, key: str) -> None:
        """See `runstore.places.Backend.delete`."""
        write = object()
        self._lease.begin(write)
        try:
            self._backend.delete(key)
        finally:
            self._lease.end(write)

    def delete_many(
        self, keys: Iterable[str], *, missing_ok: bool = False
    ) -> dict[str, RunStoreError]:
        """See `runstore.places.Backend.delete_many`; the lease is asked before each batch."""
        wanted, errors = list(dict.fromkeys(keys)), dict[str, RunStoreError]()
        at_once = _AT_ONCE_NEAR if self.guarantees.mapped else _AT_ONCE_FAR
        for start in range(0, len(wanted), at_once):
            write = object()
            self._lease.begin(write)
            try:
                batch = wanted[start : start + at_once]
                errors |= self._backend.delete_many(batch, missing_ok=missing_ok)
            finally:
                self._lease.end(write)
        return errors

    def _last_look(self, write: object) -> Iterator[Buffer]:
        """Yield nothing; raise if the write must not be published."""
        self._lease.begin(write)
        yield from ()


def leased(objects: AnyObjects, lease: Permission) -> AnyObjects:
    """Return *objects* so that what they write needs *lease*.

    Raises:
        StaleRunError: It is revoked already.
    """
    lease.check()
    last = objects.last_leased  # a stage writes more than once
    if last is not None and last[0] is lease and last[1] is objects.backend:
        return last[2]
    twin = objects.with_backend(LeasedBackend(objects.backend, lease))
    objects.last_leased = lease, objects.backend, twin
    return twin


def current_lease() -> Lease | None:
    """Return the lease of the run of this code; a run that is found elsewhere has none."""
    entry = current_entry()
    return None if entry is None else entry.ctx.lease


def check_lease() -> None:
    """Raise StaleRunError in code of a run that has ended, or of an attempt that was given up."""
    if (lease := current_lease()) is not None:
        lease.check()

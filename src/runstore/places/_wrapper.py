"""A backend that hands calls on to another: for logs, delays, caches, counts, faults."""

import builtins
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from runstore.buffers import Buffer
from runstore.errors import RunStoreError
from runstore.places._base import (
    Backend,
    Denied,
    Entry,
    Tail,
    allowed_by_lists,
    by_lists,
    list_allowed,
    list_with_parts,
)
from runstore.places._guarantees import Guarantees

if TYPE_CHECKING:
    from runstore.places._leftovers import Leftover

__all__ = ["Wrapper"]


class Wrapper:
    """A backend that forwards every call to another one. Subclasses override some calls.

    A subclass that changes what is written changes ``put`` and ``copy``; one that changes what
    is removed changes ``delete``, ``delete_many`` and ``sweep``.

    Args:
        backend: What the calls are handed to.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:  # what only some backends have, as `engine`
        if name == "_backend":
            raise AttributeError(name)
        return getattr(self._backend, name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._backend!r})"

    @property
    def url(self) -> str:
        """See `Backend.url`."""
        return self._backend.url

    @property
    def guarantees(self) -> Guarantees:
        """See `Backend.guarantees`."""
        return self._backend.guarantees

    def probe(self) -> Guarantees:
        """See `Backend.probe`."""
        return self._backend.probe()

    def put(
        self,
        key: str,
        buffers: Iterable[Buffer],
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> Entry:
        """See `Backend.put`."""
        return self._backend.put(key, buffers, if_absent=if_absent, if_match=if_match)

    def update(
        self, key: str, buffers: Iterable[Buffer], old: Entry, *, if_match: str | None = None
    ) -> Entry | None:
        """Return None: what is put with ``delta=True`` passes through ``put`` as a whole.

        A subclass may hand it on to a backend that has it, as that of S3 has.
        """
        return None

    def get(
        self, key: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> tuple[Buffer, Entry]:
        """See `Backend.get`."""
        return self._backend.get(key, if_match=if_match, if_none_match=if_none_match)

    def tail(self, key: str, length: int) -> tuple[Buffer, Entry]:
        """See `Backend.tail`."""
        return self._backend.tail(key, length)

    def read(self, key: str, start: int, length: int, version: str) -> Buffer:
        """See `Backend.read`."""
        return self._backend.read(key, start, length, version)

    def head(self, key: str) -> Entry:
        """See `Backend.head`."""
        return self._backend.head(key)

    def list(self, prefix: str) -> Iterator[Entry]:
        """See `Backend.list`."""
        return self._backend.list(prefix)

    def list_with_parts(self, prefix: str) -> Iterator[Entry]:
        """List the parts of objects, too; by `list` and `folders` where those are changed."""
        ours = type(self)
        if ours.list is Wrapper.list and ours.folders is Wrapper.folders:
            return list_with_parts(self._backend, prefix)
        return by_lists(self, prefix)

    def list_allowed(self, prefix: str, denied: Denied, *, parts: bool = False) -> Iterator[Entry]:
        """Go on beside folders that may not be listed; by `list` and `folders` if changed."""
        ours = type(self)
        if ours.list is Wrapper.list and ours.folders is Wrapper.folders:
            return list_allowed(self._backend, prefix, denied, parts=parts)
        return allowed_by_lists(self, prefix, denied, parts=parts)

    def leftovers(self, older_than: float) -> "builtins.list[Leftover]":
        """Return what `sweep` would remove, as far as the place can list it."""
        from runstore.places._leftovers import leftovers  # which only clean-up asks for

        return leftovers(self._backend, older_than)

    def folders(self, prefix: str) -> builtins.list[str]:
        """See `Backend.folders`."""
        return self._backend.folders(prefix)

    def copy(
        self, source: str, target: str, *, if_absent: bool = False, tail: Tail | None = None
    ) -> Entry:
        """See `Backend.copy`."""
        return self._backend.copy(source, target, if_absent=if_absent, tail=tail)

    def delete(self, key: str) -> None:
        """See `Backend.delete`."""
        self._backend.delete(key)

    def delete_many(
        self, keys: Iterable[str], *, missing_ok: bool = False
    ) -> dict[str, RunStoreError]:
        """See `Backend.delete_many`."""
        return self._backend.delete_many(keys, missing_ok=missing_ok)

    def sweep(self, older_than: float) -> int:
        """See `Backend.sweep`."""
        return self._backend.sweep(older_than)

    def close(self) -> None:
        """See `Backend.close`."""
        self._backend.close()

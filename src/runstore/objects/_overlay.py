"""A place over another one: what is written goes to the upper one, and the lower is only read."""

import builtins
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from runstore.buffers import Buffer
from runstore.errors import (
    ObjectExistsError,
    ObjectNotFoundError,
    PreconditionFailedError,
    RunStoreError,
)
from runstore.places import Backend, Entry, Guarantees, Tail, copy_through, delete_each
from runstore.runs import ReadThen

__all__ = ["Overlay"]


class Overlay:
    """A backend that writes to one place and reads what is not there from another.

    Args:
        upper: What is written to.
        lower: What is read only; it is never written to, nor asked what it promises.
        shown: Returns whether a key of *lower* can be seen.
        lower_first: Whether to read there first.
        read_then: What tells which earlier runs are meant by a stage that is run again.
    """

    def __init__(
        self,
        upper: Backend,
        lower: Backend,
        shown: Callable[[str], bool] = lambda key: True,
        *,
        lower_first: bool = False,
        read_then: ReadThen | None = None,
    ) -> None:
        self.read_then = read_then
        self._order = (lower, upper) if lower_first else (upper, lower)
        self._upper = upper
        self._lower = lower
        self._shown = shown
        self._gone: set[str] = set()  # keys of the lower place that were deleted here

    @property
    def url(self) -> str:
        """The lower place's, for messages; it has no scheme of a place."""
        return f"replay of {self._lower.url}"

    @property
    def guarantees(self) -> Guarantees:
        """Those of the upper place, as far as they hold for both."""
        return replace(self._upper.guarantees, server_copy=False, mapped=False, shared=False)

    def probe(self) -> Guarantees:
        """See `Backend.probe`."""
        self._upper.probe()
        return self.guarantees

    def _of(self, key: str) -> Backend:
        """Return the place in which *key* is looked for: the second if the first has none."""
        if key in self._gone or not self._shown(key):
            return self._upper
        first, second = self._order
        try:
            first.head(key)
        except ObjectNotFoundError:
            return second
        return first

    def put(
        self,
        key: str,
        buffers: Iterable[Buffer],
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> Entry:
        """See `Backend.put`; it goes to the upper place."""
        if (if_absent or if_match is not None) and self._of(key) is self._lower:
            try:
                found = self._lower.head(key)
            except ObjectNotFoundError:
                pass
            else:
                if if_absent:
                    raise ObjectExistsError(f"there is something at {self.url}/{key} already", key)
                if found.version != if_match:
                    raise PreconditionFailedError(f"{self.url}/{key} is another version", key)
                if_match = None
        return self._upper.put(key, buffers, if_absent=if_absent, if_match=if_match)

    def get(
        self, key: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> tuple[Buffer, Entry]:
        """See `Backend.get`."""
        return self._of(key).get(key, if_match=if_match, if_none_match=if_none_match)

    def tail(self, key: str, length: int) -> tuple[Buffer, Entry]:
        """See `Backend.tail`."""
        return self._of(key).tail(key, length)

    def read(self, key: str, start: int, length: int, version: str) -> Buffer:
        """See `Backend.read`."""
        return self._of(key).read(key, start, length, version)

    def head(self, key: str) -> Entry:
        """See `Backend.head`."""
        return self._of(key).head(key)

    def list(self, prefix: str) -> Iterator[Entry]:
        """See `Backend.list`; all is in memory once."""
        found = {
            entry.key: entry
            for entry in self._lower.list(prefix)
            if self._shown(entry.key) and entry.key not in self._gone
        }
        found |= {entry.key: entry for entry in self._upper.list(prefix)}
        yield from (found[key] for key in sorted(found))

    def folders(self, prefix: str) -> builtins.list[str]:
        """See `Backend.folders`."""
        return sorted({*self._upper.folders(prefix), *self._lower.folders(prefix)})

    def copy(
        self, source: str, target: str, *, if_absent: bool = False, tail: Tail | None = None
    ) -> Entry:
        """See `Backend.copy`; the bytes go through this process."""
        return copy_through(self, source, target, if_absent, tail)

    def delete(self, key: str) -> None:
        """See `Backend.delete`; in the lower place it is only hidden from here on."""
        where = self._of(key)
        if where is self._lower:
            where.head(key)
        else:
            self._upper.delete(key)
        self._gone.add(key)

    def delete_many(
        self, keys: Iterable[str], *, missing_ok: bool = False
    ) -> dict[str, RunStoreError]:
        """See `Backend.delete_many`."""
        return delete_each(self, keys, missing_ok)

    def sweep(self, older_than: float) -> int:
        """See `Backend.sweep`; of the upper place."""
        return self._upper.sweep(older_than)

    def close(self) -> None:
        """Close nothing: both places have other users."""

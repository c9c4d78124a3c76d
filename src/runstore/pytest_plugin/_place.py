"""The place of a test: memory that counts its requests and lets them fail.

It promises what S3 does, so a store asks it for the tails and ranges that it would ask S3 for.
"""

import builtins
import secrets
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import replace

from runstore.buffers import Buffer
from runstore.errors import RunStoreError, SettingsError
from runstore.places import (
    Backend,
    Entry,
    Guarantees,
    Opening,
    Tail,
    Wrapper,
    list_with_parts,
    open_backend,
    register_place,
)
from runstore.pytest_plugin._faults import Faults
from runstore.pytest_plugin._requests import Request, Requests, name_at

__all__ = ["SCHEME", "TestPlace"]

SCHEME = "pytest"


class TestPlace:
    """An empty store of one test, which lives as long as the test.

    Attributes:
        url: Its address, which stores in this process know.
        requests: What was asked of it.
        faults: What goes wrong with it.
    """

    __test__ = False  # pytest takes it for a class of tests by its name

    def __init__(self) -> None:
        self.name = f"pytest-{secrets.token_hex(8)}"
        self.url = f"{SCHEME}://{self.name}"
        self.requests, self.faults = Requests(), Faults()
        self._memory = open_backend(f"memory://{self.name}")
        _places[self.name] = self
        register_place(SCHEME, _open)

    def close(self) -> None:
        """Forget all objects."""
        _places.pop(self.name, None)
        self._memory.close()


_places: "weakref.WeakValueDictionary[str, TestPlace]" = weakref.WeakValueDictionary()


def _open(opening: Opening) -> Backend:
    opening.refuse_options()
    opening.refuse_engine()
    name = opening.url.partition("://")[2]
    place = _places.get(name)
    if place is None:
        raise SettingsError(
            f"the store {opening.url} was that of a test, which has ended: code of the test still "
            "runs, or another process was given the store",
            opening.url,
        )
    return _Watched(open_backend(f"memory://{name}", borrowed=True), place)


class _Watched(Wrapper):
    """A backend that notes each request, and fails where the test says so."""

    def __init__(self, backend: Backend, place: TestPlace) -> None:
        super().__init__(backend)
        self._place = place

    @property
    def guarantees(self) -> Guarantees:
        """Those of memory, but for the mappings that no bucket has."""
        return replace(self._backend.guarantees, mapped=False)

    def probe(self) -> Guarantees:
        """See `runstore.places.Backend.probe`."""
        return self.guarantees

    def _asked(self, kind: str, *keys: str) -> "_Watch":
        names = [name for key in keys if (name := name_at(key)) is not None]
        return _Watch(self._place, kind, names, f"{self.url}/{keys[0] if keys else ''}")

    def put(
        self,
        key: str,
        buffers: Iterable[Buffer],
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> Entry:
        """See `runstore.places.Backend.put`."""
        with self._asked("put", key):
            return self._backend.put(key, buffers, if_absent=if_absent, if_match=if_match)

    def get(
        self, key: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> tuple[Buffer, Entry]:
        """See `runstore.places.Backend.get`."""
        with self._asked("get", key):
            return self._backend.get(key, if_match=if_match, if_none_match=if_none_match)

    def tail(self, key: str, length: int) -> tuple[Buffer, Entry]:
        """See `runstore.places.Backend.tail`."""
        with self._asked("get", key):
            return self._backend.tail(key, length)

    def read(self, key: str, start: int, length: int, version: str) -> Buffer:
        """See `runstore.places.Backend.read`."""
        with self._asked("get", key):
            return self._backend.read(key, start, length, version)

    def head(self, key: str) -> Entry:
        """See `runstore.places.Backend.head`."""
        with self._asked("head", key):
            return self._backend.head(key)

    def list(self, prefix: str) -> Iterator[Entry]:
        """See `runstore.places.Backend.list`."""
        with self._asked("list", prefix):
            yield from self._backend.list(prefix)

    def list_with_parts(self, prefix: str) -> Iterator[Entry]:
        """See `runstore.places._base.list_with_parts`."""
        with self._asked("list", prefix):
            yield from list_with_parts(self._backend, prefix)

    def folders(self, prefix: str) -> builtins.list[str]:
        """See `runstore.places.Backend.folders`."""
        with self._asked("list", prefix):
            return self._backend.folders(prefix)

    def copy(
        self, source: str, target: str, *, if_absent: bool = False, tail: Tail | None = None
    ) -> Entry:
        """See `runstore.places.Backend.copy`."""
        with self._asked("copy", target):
            return self._backend.copy(source, target, if_absent=if_absent, tail=tail)

    def delete(self, key: str) -> None:
        """See `runstore.places.Backend.delete`."""
        with self._asked("delete", key):
            self._backend.delete(key)

    def delete_many(
        self, keys: Iterable[str], *, missing_ok: bool = False
    ) -> dict[str, RunStoreError]:
        """See `runstore.places.Backend.delete_many`."""
        wanted = builtins.list(keys)
        with self._asked("delete", *wanted):
            return self._backend.delete_many(wanted, missing_ok=missing_ok)


class _Watch:
    """One request, while it is made."""

    def __init__(self, place: TestPlace, kind: str, names: builtins.list[str], ref: str) -> None:
        self._place, self._kind, self._names, self._ref = place, kind, names, ref
        self._after = None if names else _nothing

    def __enter__(self) -> None:
        if self._names:
            self._place.requests.made.append(Request(self._kind, ", ".join(self._names)))
            self._after = self._place.faults.around(self._kind, self._names, self._ref)

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None and self._after is not None:
            self._after()


def _nothing() -> None:
    pass

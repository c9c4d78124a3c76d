"""What lives longer than a call: its owner, its end, and its state in a forked child.

Clients, their threads, credentials and caches are kept in a `Shared` or a `Bounded`, and
nowhere else. A `Shared` keeps a value as long as somebody uses it; a `Bounded` keeps a fixed
number. There is one hook for forks: a child finds no lock held by a thread that does not
exist there, and opens its own clients.
"""

import itertools
import os
import threading
import weakref
from collections.abc import Callable, Hashable, Iterator
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

__all__ = [
    "Bounded",
    "ForkSafeLock",
    "Shared",
    "WeakValues",
    "forget_at_fork",
    "load_module",
    "unique_id",
]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Owner(Protocol):
    def forget(self) -> None: ...


class _Forks:
    """Who is told of forks, and the imports for which a fork waits: the one hook of the process.

    Python has no way to take the hook back, so there is one object, for as long as the process
    lives. It holds no owner: each is told for as long as it lives itself, and that is how it is
    closed.
    """

    def __init__(self) -> None:
        # A set of references whose callback is C code: that of a WeakSet is Python code, and a
        # Ctrl-C that arrives in such a callback is lost.
        self.owners: set[weakref.ref[_Owner]] = set()
        self.loading = threading.RLock()
        os.register_at_fork(
            before=self._before, after_in_parent=self._in_parent, after_in_child=self._in_child
        )

    def living(self) -> list[_Owner]:
        return [owner for ref in list(self.owners) if (owner := ref()) is not None]

    def _before(self) -> None:
        self.loading.acquire(timeout=_LONGEST_LOAD)
        for owner in self.living():
            prepare = getattr(owner, "prepare", None)
            if prepare is not None:
                prepare()

    def _in_parent(self) -> None:
        with suppress(RuntimeError):  # not acquired: some import takes longer than that
            self.loading.release()

    def _in_child(self) -> None:
        self.loading = threading.RLock()
        for owner in self.living():
            owner.forget()


_LONGEST_LOAD = 10.0  # seconds that a fork waits for another thread's import
_forks = _Forks()


def forget_at_fork(owner: _Owner) -> None:
    """Call ``owner.forget()`` in every forked child, for as long as *owner* lives.

    Args:
        owner: Its ``forget`` must not wait for a lock, nor for a thread: the child has
            only the thread that forked. If it has a ``prepare``, that is called in the
            parent before it forks. What a module holds lives as long as the process.
    """
    _forks.owners.add(weakref.ref(owner, _forks.owners.discard))


def load_module(name: str) -> ModuleType:
    """Import a module when it is first needed; forks wait until it is loaded.

    Else a child could find the lock of the import held by a thread that does not exist there,
    and wait for it for ever.
    """
    with _forks.loading:
        return import_module(name)


class _Ids:
    """The ids of this process: a random prefix and a number. A forked child has another prefix."""

    def __init__(self) -> None:
        self.forget()
        forget_at_fork(self)

    def forget(self) -> None:
        prefix = os.urandom(8).hex()
        # One step in C, so that no two threads get the same one.
        self.following: Iterator[str] = map(f"{prefix}%08x".__mod__, itertools.count())


_ids = _Ids()


def unique_id() -> str:
    """Return 24 or more hexadecimal digits that nobody gets again, in any process."""
    return next(_ids.following)


class ForkSafeLock:
    """A lock that is free in a forked child, whoever held it in the parent: ``with lock.held: …``.

    What it guards must be consistent after every single change, as a dict is: the child may
    see the state in the middle of a block.

    Args:
        kind: `threading.Lock` or `threading.RLock`.

    Attributes:
        held: The lock itself. A ``with`` on it cannot be interrupted between acquiring it
            and entering the block, as a ``with`` on a method of this class could.
    """

    __slots__ = ("__weakref__", "_kind", "held")

    def __init__(self, kind: Callable[[], Any] = threading.Lock) -> None:
        self._kind = kind
        self.held = kind()
        forget_at_fork(self)

    def forget(self) -> None:
        """Replace the lock; in a forked child."""
        self.held = self._kind()


class WeakValues(Generic[K, V]):
    """A dict that does not keep its values alive, and needs no Python code when one of them ends.

    A `weakref.WeakValueDictionary` runs a callback in Python then, and a Ctrl-C that arrives in
    it is lost. Here the keys of values that have ended are removed when the dict has doubled.
    Threads that put values under the same key need a lock of their own.
    """

    def __init__(self) -> None:
        self._refs: dict[K, weakref.ref[V]] = {}
        self._most = _FEW_REFS

    def get(self, key: K) -> V | None:
        """Return the value of *key* if there is one and it lives."""
        ref = self._refs.get(key)
        return None if ref is None else ref()

    def put(self, key: K, value: V) -> None:
        """Set the value of *key*, for as long as *value* lives."""
        self._refs[key] = weakref.ref(value)
        if len(self._refs) > self._most:
            for one, ref in list(self._refs.items()):
                if ref() is None:
                    self._refs.pop(one, None)
            self._most = max(_FEW_REFS, 2 * len(self._refs))

    def drop(self, value: V) -> None:
        """Remove every key of *value*."""
        for key, ref in list(self._refs.items()):
            if ref() is value:
                del self._refs[key]

    def living(self) -> list[V]:
        """Return the values that live."""
        return [value for ref in list(self._refs.values()) if (value := ref()) is not None]

    def __len__(self) -> int:
        return len(self.living())


_FEW_REFS = 64


class Shared(Generic[K, V]):
    """Values that are shared by all callers with an equal key, as long as one of them uses it.

    A value ends as Python objects do, with its last reference; it releases its resources in
    a `weakref.finalize` of its own. A forked child has none of its parent's values. They are
    not freed there either, since that could change what both processes share, as sockets.
    """

    def __init__(self) -> None:
        self._values: WeakValues[K, V] = WeakValues()
        self._lock = ForkSafeLock(threading.RLock)  # what is freed meanwhile may come back here
        self._inherited: list[list[V]] = []
        forget_at_fork(self)

    def get(self, key: K, make: Callable[[], V]) -> V:
        """Return the value of *key*, which lives as long as callers hold it.

        Args:
            key: Everything that the value is made from.
            make: Makes the value. It may wait. Two threads may both call it, and then one
                value is dropped.
        """
        found = self._values.get(key)
        if found is None:
            made = make()
            with self._lock.held:
                found = self._values.get(key)
                if found is None:
                    self._values.put(key, made)
                    found = made
        return found

    def find(self, key: K) -> V | None:
        """Return the value of *key* if somebody holds one."""
        return self._values.get(key)

    def drop(self, value: V) -> None:
        """Do not share *value* any more; those who hold it can go on using it."""
        with self._lock.held:
            self._values.drop(value)

    def __len__(self) -> int:
        return len(self._values)

    def forget(self) -> None:
        """Begin without values; in a forked child."""
        self._inherited.append(self._values.living())
        self._values = WeakValues()


class Bounded(Generic[K, V]):
    """A cache of at most *size* values; the oldest is dropped first. Threads can share it.

    Args:
        size: How many values are kept.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: dict[K, V] = {}
        self._lock = ForkSafeLock(threading.RLock)  # what is freed meanwhile may come back here

    def get(self, key: K) -> V | None:
        """Return the value of *key*, or None."""
        return self._values.get(key)

    def put(self, key: K, value: V) -> None:
        """Keep *value*; if there are too many, drop the oldest."""
        with self._lock.held:
            self._values.pop(key, None)
            self._values[key] = value
            for old in list(self._values)[: -self._size]:
                self._values.pop(old, None)

    def drop(self, unwanted: Callable[[K, V], bool]) -> None:
        """Forget every value that *unwanted* is true of."""
        with self._lock.held:
            for key, value in list(self._values.items()):
                if unwanted(key, value):
                    self._values.pop(key, None)

    def __len__(self) -> int:
        return len(self._values)

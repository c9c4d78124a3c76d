"""File descriptors that an interrupt does not lose and a forked child does not keep."""

import os
from collections.abc import Callable
from typing import Any

from runstore.lifetime import forget_at_fork

__all__ = ["Descriptor", "close_at"]


class Descriptor:
    """At most one open file descriptor.

    A signal handler may raise between any two steps of Python code, also between the return
    of ``os.open()`` and the assignment of its result: the descriptor would stay open for
    ever. Here opening and keeping are one call into C, and so are forgetting and closing.
    Close it twice, in two nested ``finally``, so that an interrupt of the first is harmless.

    Args:
        inherited: Whether a forked child keeps it. A child that kept a locked one would hold
            the lock for as long as it lives.
    """

    __slots__ = ("_fds", "_inherited")

    def __init__(self, *, inherited: bool = True) -> None:
        self._fds: list[int] = []
        self._inherited = inherited

    @property
    def number(self) -> int | None:
        """The descriptor; None if none is open."""
        return self._fds[0] if self._fds else None

    def open(self, path: str, flags: int, mode: int = 0o666) -> int:
        """Open *path* and return the descriptor.

        Raises:
            OSError: Whatever ``os.open`` raises.
        """
        if not self._inherited:
            _not_inherited.open.add(self)
        self._fds.extend(map(os.open, (path,), (flags | os.O_CLOEXEC,), (mode,)))
        return self._fds[0]

    def keep(self, make: Callable[..., int], *args: Any) -> int:
        """Call *make*, a function written in C that gives a descriptor, and return that."""
        self._fds.extend(map(make, *[(arg,) for arg in args]))
        return self._fds[0]

    def close(self) -> None:
        """Close it; nothing if it is closed. What the system says to it is not of interest."""
        if self._fds:
            close_at(self._fds)
        if not self._inherited:
            _not_inherited.open.discard(self)


def close_at(fds: list[int]) -> None:
    """Close the only descriptor in *fds*, as `Descriptor.close` does."""
    try:  # noqa: SIM105 - on the path of every read
        any(map(os.close, map(fds.pop, (0,))))
    except OSError:
        pass


class _NotInherited:
    """The open descriptors that a forked child closes, as many as there are writes under way."""

    def __init__(self) -> None:
        self.open: set[Descriptor] = set()
        forget_at_fork(self)

    def forget(self) -> None:
        """Close them. The locks stay the parent's, which has them open, too."""
        for descriptor in list(self.open):
            descriptor.close()


_not_inherited = _NotInherited()

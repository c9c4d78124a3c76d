"""Whether an awaited call may still write: until its caller is cancelled."""

import sys
import threading
from concurrent.futures import Future
from typing import Any

from runstore.errors import IndeterminateWriteError
from runstore.store import Permission, Target, Verbs
from runstore.workers import StoppedError

__all__ = ["Permit", "Permitted"]


class Permit:
    """What lets one call write; see `runstore.store.Permission`.

    The last look at it comes as late as at a lease, when all bytes have been produced.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under: Permission | None = None
        self._over = False
        self._published: set[object] = set()  # those that are being
        self._settled: Future[None] | None = None
        self.unknown: list[IndeterminateWriteError] = []
        """Of writes of which nobody can say whether they landed."""

    def under(self, lease: Permission | None) -> "Permit":
        """Return this permit; what it lets write needs *lease*, too."""
        self._under = lease
        return self

    def __reduce__(self) -> tuple[Any, ...]:  # in another process nothing is cancelled
        return _itself, (self._under,)

    def check(self) -> None:
        """See `Permission.check`."""
        if self._over:
            raise StoppedError
        if self._under is not None:
            self._under.check()

    def begin(self, write: object) -> None:
        """See `Permission.begin`."""
        with self._lock:
            if self._over:
                raise StoppedError
            self._published.add(write)
        if self._under is not None:
            try:
                self._under.begin(write)
            except BaseException:
                self.end(write)
                raise

    def end(self, write: object) -> None:
        """See `Permission.end`; it is called while the error of the write, if any, is raised."""
        if isinstance(error := sys.exc_info()[1], IndeterminateWriteError):
            self.unknown.append(error)
        if self._under is not None:
            self._under.end(write)
        with self._lock:
            self._published.discard(write)
            if self._settled is not None and not self._published and not self._settled.done():
                self._settled.set_result(None)

    def take_back(self) -> "Future[None] | None":
        """Let nothing be published any more.

        Returns:
            What is done when those that are being published are; None if none is.
        """
        with self._lock:
            self._over = True
            if self._settled is None and self._published:
                self._settled = Future()
            return self._settled


def _itself(lease: Permission | None) -> Permission | None:
    return lease


class Permitted(Verbs):
    """The verbs of *verbs*, as long as *permit* lets them write."""

    def __init__(self, verbs: Verbs, permit: Permit) -> None:
        self._verbs = verbs
        self._permit = permit

    def _target(self) -> Target:
        target = self._verbs._target()
        return target._replace(lease=self._permit.under(target.lease))

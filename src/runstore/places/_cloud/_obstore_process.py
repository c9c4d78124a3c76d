"""Which process obstore's threads belong to: the one that used it first, and no forked child."""

import os
from collections.abc import Callable

from runstore.lifetime import forget_at_fork

__all__ = ["before_forks", "is_lost", "used_here"]


class _Runtime:
    """The process whose threads obstore uses: the one that used it first."""

    def __init__(self) -> None:
        self.pid: int | None = None
        self.preparation: Callable[[], object] | None = None
        forget_at_fork(self)

    @property
    def lost(self) -> bool:
        return self.pid not in (None, os.getpid())

    def prepare(self) -> None:
        """Load what the child will use, once: in each child it would take most of a second."""
        if self.pid == os.getpid() and self.preparation is not None:
            preparation, self.preparation = self.preparation, None
            preparation()

    def forget(self) -> None:
        """Keep what is known: that the threads are another process's."""


_runtime = _Runtime()


def is_lost() -> bool:
    """Return whether obstore was used before this process was forked: its threads are gone."""
    return _runtime.lost


def before_forks(call: Callable[[], object]) -> None:
    """Make *call* once, before the first fork: it loads what the child will use."""
    _runtime.preparation = call


def used_here() -> None:
    """Note that this process uses obstore; call it before the first use."""
    if _runtime.pid is None:
        _runtime.pid = os.getpid()

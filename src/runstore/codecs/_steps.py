"""A bound of the time that the regular expressions of one file take to compile, all together."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

__all__ = ["Steps", "current", "of_one_file"]

_MOST = 1 << 22  # steps of a file, of about a microsecond each


class Steps:
    """Steps that are left for one file, and what was made with those that are spent."""

    def __init__(self) -> None:
        self._left = _MOST
        self.made: dict[Any, Any] = {}
        """Of each expression what it was compiled to: one that occurs again takes no step."""

    def spend(self, count: int) -> bool:
        """Return whether so many steps were left; they are not any more."""
        self._left -= count
        return self._left >= 0


_current: ContextVar[Steps | None] = ContextVar("steps of a file", default=None)


def current() -> Steps:
    """Return the steps of the file that is being read or written."""
    return _current.get() or Steps()


@contextmanager
def of_one_file() -> Iterator[None]:
    """Count steps together in the block; a block in another one counts with that."""
    if _current.get() is not None:
        yield
        return
    token = _current.set(Steps())
    try:
        yield
    finally:
        _current.reset(token)

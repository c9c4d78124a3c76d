"""A bound of the time that the regular expressions of one file take to compile, all together."""

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar

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


F = TypeVar("F", bound=Callable[..., Any])

_current: ContextVar[list[Steps] | None] = ContextVar("steps of a file", default=None)
"""Of the file at hand: a list, in which the steps are from the first expression on."""


def current() -> Steps:
    """Return the steps of the file that is being read or written."""
    kept = _current.get()
    if kept is None:
        return Steps()
    if not kept:
        kept.append(Steps())
    return kept[0]


def of_one_file(function: F) -> F:
    """Return *function* so that steps are counted together within a call of it.

    A call within another one counts with that. Few files have expressions, so a call costs others
    one function of Python and no more.
    """

    @wraps(function)
    def counted(*args: Any, **keywords: Any) -> Any:
        if _current.get() is not None:
            return function(*args, **keywords)
        token = _current.set([])
        try:
            return function(*args, **keywords)
        finally:
            _current.reset(token)

    return counted  # type: ignore[return-value]

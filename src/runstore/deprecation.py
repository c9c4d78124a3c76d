"""How a public name or argument goes: it warns for a while, with what to use instead, then ends.

``docs/stability.md`` is the promise to users.
"""

import sys
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

__all__ = ["RunStoreDeprecationWarning", "deprecated", "renamed", "warn_deprecated"]

F = TypeVar("F", bound=Callable[..., Any])


class RunStoreDeprecationWarning(DeprecationWarning):
    """A public name or argument is used that a later version no longer has."""


def warn_deprecated(
    what: str, *, since: str, until: str, instead: str, stacklevel: int = 2
) -> None:
    """Warn whoever uses something that will end.

    Args:
        what: As users write it: ``runstore.testing.BackendTests``.
        since: The version in which it warned first.
        until: The first version without it.
        instead: What to do, as the end of a sentence: ``use runstore.testing.PlaceTests``.
        stacklevel: As for `warnings.warn`; 2 is the caller of the function that calls this one.
    """
    message = f"{what} is deprecated since runstore {since} and ends with {until}: {instead}"
    warnings.warn(RunStoreDeprecationWarning(message), stacklevel=stacklevel + 1)


def deprecated(*, since: str, until: str, instead: str) -> Callable[[F], F]:
    """Let a function or method warn at each call; arguments as for `warn_deprecated`."""

    def wrapping(function: F) -> F:
        @wraps(function)
        def wrapped(*args: Any, **keywords: Any) -> Any:
            name = f"{function.__module__}.{function.__qualname__}()"
            warn_deprecated(name, since=since, until=until, instead=instead)
            return function(*args, **keywords)

        return wrapped  # type: ignore[return-value]

    return wrapping


def renamed(module: str, names: dict[str, str], *, since: str, until: str) -> Callable[[str], Any]:
    """Return a module's ``__getattr__`` by which former names lead to the new ones, and warn.

    Args:
        module: Its ``__name__``.
        names: The new name by each former one.
        since, until: As for `warn_deprecated`.
    """

    def former(name: str) -> Any:
        new = names.get(name)
        if new is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        told = f"{module}.{name}"
        warn_deprecated(told, since=since, until=until, instead=f"use {module}.{new}")
        return getattr(sys.modules[module], new)

    return former

"""Which failed calls are made again, and when."""

import builtins
import random
from collections.abc import Callable, Sequence

from runstore.context import Stage, target_name
from runstore.workflows._targets import TargetError, named

__all__ = ["delay_of", "error_names", "is_retried"]


def error_names(given: Sequence[str]) -> tuple[str, ...]:
    """Return the errors of a stage's ``retry_on`` as ``module:name`` of where they are defined.

    Args:
        given: Names of builtin errors, or of others as ``package.module.Error``.

    Raises:
        TargetError: There is no such error.
    """
    return tuple(map(_error_name, given))


def _error_name(given: str) -> str:
    if "<locals>" in given or given.startswith("__main__:"):
        return given  # of a class that was given itself
    if given.isidentifier():
        found = getattr(builtins, given, None)
        if found is None:
            raise TargetError(
                f"{given!r} is no builtin error: write others as package.module.{given}"
            )
    else:
        _, found = named(given)
    if not (isinstance(found, type) and issubclass(found, BaseException)):
        raise TargetError(f"{given!r} is no class of errors")
    return target_name(found)


def is_retried(stage: Stage, only: Sequence[str], number: int, kinds: Sequence[str]) -> bool:
    """Return whether a call is made again.

    Args:
        stage: Its stage.
        only: Of which errors, as `error_names` returns them; empty for all.
        number: Of the attempt that has failed, from 1.
        kinds: Of its error, as `runstore.executors.kinds_of` returns them.
    """
    return number <= stage.retries and (not only or not set(only).isdisjoint(kinds))


def delay_of(stage: Stage, number: int, chance: Callable[[], float] = random.random) -> float:
    """Return the seconds between the failure of an attempt and the next one.

    Args:
        stage: Its stage.
        number: Of the attempt that has failed, from 1.
        chance: Returns a number from 0 to 1.
    """
    if not stage.retry_delay:
        return 0.0
    longest = stage.retry_max_delay
    delay = stage.retry_delay * stage.retry_backoff ** (number - 1)
    delay = delay if longest is None else min(delay, longest)
    delay *= 1 + stage.retry_jitter * (2 * chance() - 1)
    return delay if longest is None else min(delay, longest)

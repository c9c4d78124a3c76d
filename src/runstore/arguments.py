"""Checks of arguments, made before anything is touched, and the one form of their messages.

``put: name must be a str, not DataFrame; did you swap name and value?``: the call, the argument,
what it must be, what it was, and a hint. A message shows short plain values only. Any other value
is shown by its type, since its own ``repr`` might be huge, secret, or fail.
"""

import builtins
import os
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import wraps
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

from runstore.errors import InvalidRequestError, RunStoreError

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = [
    "LONGEST_AGE",
    "LONGEST_WAIT",
    "check_age",
    "check_callable",
    "check_choice",
    "check_count",
    "check_flag",
    "check_instance",
    "check_keys",
    "check_nested",
    "check_seconds",
    "check_text",
    "guide_verbs",
    "guided",
    "in_shell",
    "path_text",
    "printable",
    "seconds_in",
    "shown",
    "texts",
    "unfit",
]

LONGEST_WAIT = 7 * 86_400.0
"""The longest timeout, in seconds: a week. Clocks of the system fail far beyond it."""

LONGEST_AGE = 100 * 365 * 86_400.0
"""The highest age, in seconds: file systems and Python know no older times."""

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}
_LONGEST_SHOWN = 40  # characters of a value in a message
_LARGEST_SHOWN = 10**20
_DEEPEST = 100  # levels of dicts and lists
_LARGEST = 10_000_000  # values
_TINY = sys.float_info.min


def shown(value: object) -> str:
    """Return a short text that says what *value* is; no code of its class is run."""
    kind = type(value)
    if value is None or (isinstance(value, (bool, float)) and kind in (bool, float)):
        return repr(value)
    if isinstance(value, int) and kind is int:
        return repr(value) if abs(value) < _LARGEST_SHOWN else "a very large int"
    if isinstance(value, str) and kind is str:
        text = repr(value[:_LONGEST_SHOWN])  # which writes out what is not printable
        return text if len(value) <= _LONGEST_SHOWN else f"{text}…"
    return f"the type {_named(value)}" if isinstance(value, type) else _named(kind)


def _named(kind: type) -> str:
    """Return the name of a class; with its module if there is a builtin of that name, too."""
    name = kind.__name__
    foreign = kind.__module__ != "builtins" and hasattr(builtins, name)
    return f"{kind.__module__}.{name}" if foreign else name


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return *text* with control and format characters written out, as ``\x1b``.

    Format characters are what `str.isprintable` refuses, too: marks of direction, joiners, lone
    surrogates. Twice changes nothing more.

    Args:
        text: Any text, of whoever wrote it.
        lines: Leave ends of lines and tabs as they are.
    """
    if text.isprintable():
        return text
    if lines:
        return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def in_shell(text: str) -> str:
    """Return *text* as the last word of a shell's line, for lines that a person may copy.

    Args:
        text: Any text, of whoever wrote it. One that begins as an option is told from one by `--`.
    """
    import shlex  # which `import runstore` does without

    return f"{'-- ' if text.startswith('-') else ''}{shlex.quote(text)}"


def unfit(
    call: str,
    argument: str,
    expected: str,
    value: object,
    hint: str = "",
    error: type[RunStoreError] = InvalidRequestError,
    *,
    by_type: bool = False,
) -> RunStoreError:
    """Return the error for an argument that cannot be used.

    Args:
        call: The function, as its caller writes it.
        argument: The argument.
        expected: What it must be.
        value: What it was.
        hint: The way out.
        error: The class of the error.
        by_type: Name the type of *value* even if it is short: the type is what is wrong.
    """
    given = _named(type(value)) if by_type else shown(value)
    of_run = argument in ("run", "to_run") or (argument == "name" and call.endswith("_run"))
    if not hint and of_run and type(value).__name__ == "WorkflowRun":
        hint = "pass run.name"
    told = f"{call}: {argument} must be {expected}, not {given}"
    return error(f"{told}; {hint}" if hint else told)


def check_text(
    call: str,
    argument: str,
    value: object,
    *,
    optional: bool = False,
    hint: str = "",
    error: type[RunStoreError] = InvalidRequestError,
) -> None:
    """Raise *error* unless *value* is a str, or None if that is *optional*."""
    if isinstance(value, str) or (value is None and optional):
        return
    expected = "a str or None" if optional else "a str"
    raise unfit(call, argument, expected, value, hint, error, by_type=True)


def check_count(
    call: str,
    argument: str,
    value: object,
    *,
    error: type[RunStoreError] = InvalidRequestError,
) -> None:
    """Raise *error* unless *value* is a whole number of 1 or more."""
    if type(value) is not int or not 1 <= value < 1 << 62:
        raise unfit(call, argument, "a whole number from 1", value, error=error)


def check_flag(
    call: str, argument: str, value: object, *, error: type[RunStoreError] = InvalidRequestError
) -> None:
    """Raise *error* unless *value* is True or False."""
    if value is not True and value is not False:
        raise unfit(call, argument, "True or False", value, error=error)


def check_choice(
    call: str,
    argument: str,
    value: object,
    choices: Collection[object],
    *,
    error: type[RunStoreError] = InvalidRequestError,
) -> None:
    """Raise *error* unless *value* is one of *choices*: texts, True, False or None."""
    text = value if isinstance(value, str) else None
    for choice in choices:
        if value is choice or (text is not None and text == choice):
            return
    *most, last = map(repr, choices)
    from difflib import get_close_matches  # seldom needed

    close = get_close_matches((text or "").lower(), [c for c in choices if isinstance(c, str)], 1)
    hint = f"did you mean {close[0]!r}?" if close else ""
    raise unfit(call, argument, f"{', '.join(most)} or {last}", value, hint, error)


def check_seconds(
    call: str,
    argument: str,
    value: object,
    *,
    zero: bool = False,
    most: float = LONGEST_WAIT,
    error: type[RunStoreError] = InvalidRequestError,
) -> None:
    """Raise *error* unless *value* is a number of seconds above 0 (or 0, too) up to *most*."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and (0 if zero else _TINY) <= value <= most:  # type: ignore[operator]  # NaN is not
        return
    least = "from 0" if zero else "above 0"
    raise unfit(call, argument, f"a number of seconds {least} up to {most:,.0f}", value, "", error)


def seconds_in(age: "str | timedelta") -> float:
    """Return the seconds of a `timedelta`, or of a text like ``90m``, ``12h``, ``30d``, ``8w``.

    Raises:
        ValueError: It is no such text.
    """
    if not isinstance(age, str):
        return age.total_seconds()
    number, unit = age[:-1].strip(), _UNITS.get(age[-1:])
    if unit is None or not number.isascii() or not number.replace(".", "", 1).isdigit():
        raise ValueError(f"{age[:40]!a} is no age: write seconds, or as in 90m, 12h, 30d or 8w")
    return float(number) * unit


def check_age(call: str, argument: str, value: object) -> float | None:
    """Return *value* in seconds: None, a number, a `timedelta`, or text as of `seconds_in`.

    Raises:
        InvalidRequestError: It is none of these, or not from 0 to 100 years.
    """
    if value is None:
        return None
    from datetime import timedelta

    if isinstance(value, (str, timedelta)):
        try:
            value = seconds_in(value)
        except ValueError as exc:
            raise InvalidRequestError(f"{call}: {argument}: {exc}") from exc
    check_seconds(call, argument, value, zero=True, most=LONGEST_AGE)
    assert isinstance(value, (int, float))
    return float(value)


def path_text(argument: str, value: "str | os.PathLike[str]", error: type[RunStoreError]) -> Any:
    """Return what ``os.fspath`` makes of *value*; its class may raise anything.

    Raises:
        RunStoreError: Of the class *error*; it says what was raised.
    """
    try:
        return os.fspath(value)
    except Exception as exc:
        raise error(
            f"{argument}: the {_named(type(value))} gives no path ({type(exc).__name__} in its "
            "__fspath__): give the path as text"
        ) from exc


def check_instance(
    call: str,
    argument: str,
    value: object,
    kinds: type | tuple[type, ...],
    expected: str,
    *,
    hint: str = "",
    error: type[RunStoreError] = InvalidRequestError,
) -> None:
    """Raise *error* unless *value* is of one of the classes *kinds*, called *expected*."""
    if not isinstance(value, kinds):
        raise unfit(call, argument, expected, value, hint, error, by_type=True)


def check_callable(call: str, argument: str, value: object, *, optional: bool = False) -> None:
    """Raise InvalidRequestError unless *value* can be called, or is None if that is *optional*."""
    if not (callable(value) or (value is None and optional)):
        raise unfit(call, argument, "callable or None" if optional else "callable", value)


def check_keys(
    call: str,
    argument: str,
    value: object,
    *,
    optional: bool = False,
    error: type[RunStoreError] = InvalidRequestError,
) -> None:
    """Raise *error* unless *value* is a mapping whose keys are str, or None if *optional*."""
    if value is None and optional:
        return
    expected = "a mapping with str as keys"
    if not isinstance(value, Mapping):
        raise unfit(call, argument, expected, value, error=error)
    for key in value:
        if not isinstance(key, str):
            raise unfit(call, argument, expected, value, f"it has the key {shown(key)}", error)


def check_nested(call: str, argument: str, value: Mapping[str, Any] | None) -> None:
    """Raise InvalidRequestError if *value* contains itself, or is too large written out.

    Each stage gets a copy, in which a list that is referred to several times is copied each time.
    """
    if value is None:
        return
    try:
        size = _written_out(value if type(value) is dict else dict(value), _DEEPEST, {})
    except _EndlessError:
        hint = f"it is nested more than {_DEEPEST} deep, or contains itself"
        raise unfit(call, argument, "plain data", value, hint) from None
    if size > _LARGEST:
        hint = f"written out, it has more than {_LARGEST:,} values"
        raise unfit(call, argument, "plain data", value, hint)


class _EndlessError(Exception):
    """The data contains itself, or is nested too deep."""


def _written_out(value: Any, deepest: int, known: dict[int, int]) -> int:
    """Return how many values a dict or list has, each counted as often as it occurs."""
    if deepest < 0:
        raise _EndlessError
    if id(value) in known:
        return known[id(value)]
    size = 1
    for item in value.values() if type(value) is dict else value:
        size += _written_out(item, deepest - 1, known) if type(item) in (dict, list) else 1
    known[id(value)] = size
    return size


def texts(call: str, argument: str, value: Iterable[Any]) -> list[str]:
    """Return the texts in *value*, each once, in order.

    Args:
        call: The function, for the message.
        argument: The argument, for the message.
        value: An iterable of str. A str is refused: it would be taken letter by letter.

    Raises:
        InvalidRequestError: It is not an iterable of str.
        Exception: Whatever the iterable itself raises.
    """
    expected = "an iterable of str"
    if isinstance(value, (str, bytes, bytearray, memoryview)):
        raise unfit(call, argument, expected, value, "put a single one into a list")
    if not isinstance(value, Iterable):
        raise unfit(call, argument, expected, value)
    found: dict[str, None] = {}
    for position, item in enumerate(value):
        if not isinstance(item, str):
            raise unfit(call, f"{argument}[{position}]", "a str", item, by_type=True)
        found[item] = None
    return list(found)


F = TypeVar("F", bound=Callable[..., Any])


def guided(function: F) -> F:
    """Return *function* so that a call with arguments that it does not take names what is meant.

    That is a TypeError as before. What its own code raises stays as it is.
    """

    @wraps(function)
    def call(*args: Any, **keywords: Any) -> Any:
        try:
            return function(*args, **keywords)
        except TypeError as exc:
            if exc.__traceback__ is None or exc.__traceback__.tb_next is not None:
                raise  # its own code has begun
            from runstore.misfits import misfit  # seldom needed

            raise TypeError(misfit(function, args, keywords) or str(exc)) from None

    return call  # type: ignore[return-value]


def guide_verbs(kind: type) -> None:
    """Let the public methods of a class of runstore, and of those it is made of, be `guided`."""
    for base in kind.__mro__:
        if not base.__module__.startswith("runstore"):
            continue
        for name, found in list(vars(base).items()):
            is_public = isinstance(found, FunctionType) and not name.startswith("_")
            if is_public and not hasattr(found, "__wrapped__"):
                setattr(base, name, guided(found))

"""Compiled regular expressions: their text and flags.

To compile a text runs no code of it, and yet the time has to be bounded. `re` looks at each
character of a range in a class, so a few characters of a file could cost a million steps.
"""

import base64
import re
import warnings
from contextlib import nullcontext
from importlib import import_module
from threading import RLock
from typing import Any

from runstore.codecs._python import is_text
from runstore.codecs._steps import Steps, current
from runstore.errors import CorruptObjectError

__all__ = ["pattern_of", "pattern_tag"]

_LONGEST = 1 << 14  # characters
_WIDEST = 1 << 15  # characters in all ranges of all classes
_OF_A_CHARACTER, _OF_A_CLASS = 2, 150  # steps, of about a microsecond, at most
_FLAGS = int(re.A | re.I | re.L | re.M | re.S | re.U | re.X)


def pattern_tag(value: "re.Pattern[Any]") -> tuple[str, Any] | None:
    """Return tag and content; None if it is long, or would be compiled to another one."""
    text, kind = value.pattern, type(value.pattern)
    if kind is bytes:
        text = base64.b64encode(text).decode()
    elif kind is not str or not is_text(text):
        return None
    content = [kind.__name__, text, value.flags]
    try:
        same = pattern_of(content, "the value") == value
    except CorruptObjectError:
        return None
    return ("$pattern", content) if same else None


def pattern_of(content: Any, ref: str) -> "re.Pattern[Any]":
    """Compile what `pattern_tag` was given.

    Raises:
        CorruptObjectError: It is no regular expression, or too long a one, or those of its
            file take too long together.
    """
    if type(content) is not list or len(content) != 3:
        raise _damaged(ref)
    kind, text, flags = content
    if kind not in ("str", "bytes") or type(text) is not str or type(flags) is not int:
        raise _damaged(ref)
    try:
        told: Any = base64.b64decode(text) if kind == "bytes" else text
    except ValueError as exc:
        raise _damaged(ref) from exc
    if len(told) > _LONGEST or flags & ~_FLAGS or flags < 0:
        raise _damaged(ref)
    steps, key = current(), (kind, told, flags)
    if key not in steps.made:
        if not steps.spend(_OF_A_CHARACTER * len(told)):
            raise _too_many(ref)
        with _QUIET, warnings.catch_warnings() if _warns(told) else nullcontext():
            steps.made[key] = _compiled(told, flags, steps, ref)
    made: re.Pattern[Any] = steps.made[key]
    return made


def _compiled(told: Any, flags: int, steps: Steps, ref: str) -> "re.Pattern[Any]":
    parser: Any = import_module("re._parser")
    if _warns(told):
        warnings.simplefilter("ignore")
    try:
        width, classes = _width(parser.parse(told, flags))
        if width > _WIDEST:
            raise _damaged(ref)
        if not steps.spend(_OF_A_CLASS * classes + width // 8):
            raise _too_many(ref)
        return re.compile(told, flags)
    except (re.error, ValueError, OverflowError, RecursionError) as exc:
        raise _damaged(ref) from exc


def _warns(told: Any) -> bool:
    """Return whether `re` may warn of it: each is what its author has compiled, warned or not."""
    return any((sign if type(told) is str else sign.encode()) in told for sign in _WARNED)


_WARNED = ("[[", "[^[", "--", "&&", "~~", "||")
_QUIET = RLock()  # filters of warnings are of the process, and set back to what was found


def _width(part: Any) -> tuple[int, int]:
    """Return how many characters the ranges of a parsed expression have, and its classes."""
    if type(part) is tuple and len(part) == 2 and str(part[0]) == "RANGE":
        low, high = part[1]
        return int(high - low + 1), 0
    width, classes = 0, int(type(part) is tuple and len(part) == 2 and str(part[0]) == "IN")
    if type(part) in (tuple, list) or type(part).__name__ == "SubPattern":
        for one in part:
            found = _width(one)
            width, classes = width + found[0], classes + found[1]
    return width, classes


def _too_many(ref: str) -> CorruptObjectError:
    return CorruptObjectError(
        f"{ref} is damaged: its regular expressions take too long to compile", ref
    )


def _damaged(ref: str) -> CorruptObjectError:
    return CorruptObjectError(f"{ref} is damaged: no regular expression", ref)

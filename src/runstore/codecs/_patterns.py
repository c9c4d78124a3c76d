"""Compiled regular expressions: their text and flags.

To compile a text runs no code of it, and yet the time has to be bounded. `re` looks at each
character of a range in a class, so a few characters of a file could cost a million steps.
"""

import base64
import re
from importlib import import_module
from typing import Any

from runstore.codecs._python import is_text
from runstore.errors import CorruptObjectError

__all__ = ["pattern_of", "pattern_tag"]

_LONGEST = 1 << 14  # characters
_WIDEST = 1 << 15  # characters in all ranges of all classes
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
        CorruptObjectError: It is no regular expression, or too long a one.
    """
    kind, text, flags = content
    if kind not in ("str", "bytes") or type(text) is not str or type(flags) is not int:
        raise _damaged(ref)
    told: Any = base64.b64decode(text) if kind == "bytes" else text
    if len(told) > _LONGEST or flags & ~_FLAGS or flags < 0:
        raise _damaged(ref)
    parser: Any = import_module("re._parser")
    try:
        if _width(parser.parse(told, flags), 0) > _WIDEST:
            raise _damaged(ref)
        return re.compile(told, flags)
    except (re.error, ValueError, OverflowError, RecursionError) as exc:
        raise _damaged(ref) from exc


def _width(part: Any, found: int) -> int:
    """Return how many characters the ranges of a parsed expression have, and *found* more."""
    if type(part) is tuple and len(part) == 2 and str(part[0]) == "RANGE":
        low, high = part[1]
        return int(found + high - low + 1)
    if type(part) in (tuple, list) or type(part).__name__ == "SubPattern":
        for one in part:
            found = _width(one, found)
    return found


def _damaged(ref: str) -> CorruptObjectError:
    return CorruptObjectError(f"{ref} is damaged: no regular expression", ref)

"""Parts of an object: what may be a part's key, how keys are ordered, and the names of part files.

A part file is named ``<key>.<write id>.<extension>``. The key is encoded so that no two keys have
one name and no name is a folder:

* an int is ``i5`` or ``i-5``; a text is ``t`` and its percent-encoded UTF-8, dots included; a tuple
  of two is ``u2.`` and its items, joined by dots;
* what is longer than 100 characters is cut and ends in ``%7F`` and a hash. Such a part keeps its
  full key inside.
"""

import hashlib
import json
import numbers
import re
import secrets
import time
from typing import Any, NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

from runstore.arguments import shown
from runstore.errors import InvalidNameError

__all__ = [
    "PartFile",
    "PartKey",
    "check_part",
    "is_write_id",
    "new_write_id",
    "parsed_part_file",
    "part_file",
    "part_file_start",
    "part_in",
    "part_order",
    "part_text",
]

PartKey = str | int | tuple[Any, ...]
"""The key of a part: a text, an int, or a tuple of such keys."""

_LONGEST_TEXT = 1024  # bytes of a key, written as JSON
_LONGEST_FILE = 100  # characters of an encoded key; with the write id it is a good file name
_DEEPEST = 8
_LARGEST = 1 << 64
_CUT = "%7F"
_EXTENSIONS = frozenset({"arrow", "file"})

is_write_id = re.compile("[0-9A-Za-z_-]{1,64}").fullmatch
"""Whether a text can be a write id, which is part of a file's name as it is."""


def check_part(call: str, part: object) -> PartKey:
    """Return the key of a part, with NumPy's integers and texts as Python's.

    Args:
        call: The function, for messages.
        part: What was passed as the key.

    Raises:
        InvalidNameError: It is no text, int or tuple of such, or too long.
    """
    key = _checked(call, part, _DEEPEST)
    if len(part_text(key).encode()) > _LONGEST_TEXT:
        raise InvalidNameError(
            f"{call}: the part key is longer than {_LONGEST_TEXT:,} bytes: give a shorter one"
        )
    return key


def _checked(call: str, part: Any, deepest: int) -> PartKey:
    if isinstance(part, str):
        text = str.__str__(part)
        try:
            text.encode()
        except UnicodeEncodeError as exc:
            raise InvalidNameError(
                f"{call}: the part key {text[:40]!a} has a lone surrogate: give text that can "
                "be written as UTF-8"
            ) from exc
        return text
    if not isinstance(part, bool) and isinstance(part, numbers.Integral):
        number = int(part)
        if -_LARGEST < number < _LARGEST:
            return number
    if isinstance(part, tuple) and part and deepest:
        return tuple(_checked(call, item, deepest - 1) for item in tuple.__iter__(part))
    raise InvalidNameError(
        f"{call}: part must be a text, an int of 64 bits, or a tuple of such, not {shown(part)}; "
        "write a date as date.isoformat(), another key as a text"
    )


def part_text(part: PartKey) -> str:
    """Return a key as JSON: a number, a text, or a list; tuples are lists."""
    return json.dumps(part, ensure_ascii=False, separators=(",", ":"))


def part_in(text: str) -> PartKey:
    """Return the key that `part_text` wrote.

    Raises:
        ValueError: It wrote no such text.
    """
    try:
        part = check_part("part", _with_tuples(json.loads(text)))
    except (InvalidNameError, RecursionError) as exc:
        raise ValueError(f"{text[:40]!r} is no key of a part") from exc
    if part_text(part) != text:
        raise ValueError(f"{text[:40]!r} is no key of a part")
    return part


def _with_tuples(value: Any) -> Any:
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value


def part_order(part: PartKey) -> tuple[Any, ...]:
    """Return what keys are sorted by: ints, then texts, then tuples, these item by item."""
    if isinstance(part, tuple):
        return 2, tuple(map(part_order, part))
    return (1 if isinstance(part, str) else 0), part


def new_write_id() -> str:
    """Return a write id that no other write has; those of one clock sort by time."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(8)}"


def part_file_start(part: PartKey) -> str:
    """Return how the names of a part's files begin, before the dot and the write id."""
    encoded = _encoded(part)
    if len(encoded) <= _LONGEST_FILE:
        return encoded
    digest = hashlib.sha256(part_text(part).encode()).hexdigest()[:32]
    head = encoded[: _LONGEST_FILE - len(_CUT) - len(digest)]
    head = head.rpartition("%")[0] if "%" in head[-2:] else head  # never half an escape
    return head.rstrip(".") + _CUT + digest


def part_file(part: PartKey, write_id: str, extension: str) -> str:
    """Return the name of the file of one write of a part.

    Raises:
        ValueError: *write_id* or *extension* cannot be part of it.
    """
    if not is_write_id(write_id) or extension not in _EXTENSIONS:
        raise ValueError(f"{write_id[:70]!r} or {extension[:20]!r} cannot name a part file")
    return f"{part_file_start(part)}.{write_id}.{extension}"


class PartFile(NamedTuple):
    """What the name of a part file says.

    Attributes:
        start: As `part_file_start` gives it.
        part: The key; None if it is too long and stands inside the file.
        write_id, extension: The rest of the name.
    """

    start: str
    part: PartKey | None
    write_id: str
    extension: str


def parsed_part_file(name: str) -> PartFile | None:
    """Return what the name of a part file says; None if it is the name of no part file."""
    start, _, rest = name.rpartition(".")[0].rpartition(".")
    extension = name.rpartition(".")[2]
    if not start or not is_write_id(rest) or extension not in _EXTENSIONS:
        return None
    if _CUT in start:
        return PartFile(start, None, rest, extension)
    try:
        part, left = _decoded(start.split("."))
        if left or part_file_start(part) != start:
            return None
    except (ValueError, IndexError, RecursionError):
        return None
    return PartFile(start, part, rest, extension)


def _encoded(part: PartKey) -> str:
    if isinstance(part, tuple):
        return ".".join([f"u{len(part)}", *map(_encoded, part)])
    if isinstance(part, int):
        return f"i{part}"
    text = quote_from_bytes(part.encode(), safe="")
    return "t" + text.replace(".", "%2E").replace("~", "%7E")


def _decoded(items: list[str]) -> tuple[PartKey, list[str]]:
    kind, rest = items[0][:1], items[0][1:]
    left = items[1:]
    if kind == "i":
        return int(rest), left
    if kind == "t":
        return unquote_to_bytes(rest).decode(), left
    if kind != "u":
        raise ValueError(f"{kind!r} is no kind of key")
    found = list[PartKey]()
    for _ in range(int(rest)):
        part, left = _decoded(left)
        found.append(part)
    return tuple(found), left

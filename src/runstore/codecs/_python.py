"""bytes, str and JSON-like Python: kept as what they are, readable without Python."""

import json
from itertools import chain
from operator import itemgetter
from typing import Any

from runstore.buffers import flat
from runstore.codecs._base import Encoded, Opened
from runstore.codecs._cells import blob_in, encoded_cell, text_in
from runstore.codecs._pickle import LIGHT, Pickling
from runstore.errors import CorruptObjectError

__all__ = [
    "FROM",
    "FROM_JSON",
    "LONGEST",
    "BytesCodec",
    "JsonCodec",
    "TextCodec",
    "encoded_json",
    "has_columns",
    "is_json",
    "is_text",
    "short_text",
]

_encode = json.JSONEncoder(separators=(",", ":")).encode  # made once: json.dumps makes one a call
_DEEPEST = 64
_ROUGH = 1 << 20  # bytes that every file may take
_MOST_AGAIN = 1 << 24  # items that are written again, since their container occurs several times
LONGEST = 200
"""Characters of a text that a library takes apart."""
_LARGEST_INT = 1 << 4096  # python refuses to print much larger ones


class BytesCodec:
    """``bytes`` and ``bytearray``: one blob."""

    name = "bytes"
    version = 1

    def encode(self, value: bytes | bytearray, pickling: Pickling) -> Encoded:
        """See `runstore.codecs.Codec.encode`."""
        spec = {"type": type(value).__name__}
        return encoded_cell("data", value, spec)

    def decode(self, opened: Opened, spec: dict[str, Any], pickling: Pickling) -> Any:
        """See `runstore.codecs.Codec.decode`."""
        kinds = {"bytes": bytes, "bytearray": bytearray}
        return kinds[spec["type"]](blob_in(opened, 0))


class TextCodec:
    """``str``: one cell of UTF-8."""

    name = "str"
    version = 1

    def encode(self, value: str, pickling: Pickling) -> Encoded | None:
        """See `runstore.codecs.Codec.encode`."""
        try:
            data = value.encode()
        except UnicodeEncodeError:  # lone surrogates are not text to Arrow
            return None
        return encoded_cell("text", data)

    def decode(self, opened: Opened, spec: dict[str, Any], pickling: Pickling) -> str:
        """See `runstore.codecs.Codec.decode`."""
        return text_in(opened)


class JsonCodec:
    """None, bool, int, float, and lists and dicts of these and str: one cell of JSON.

    The dialect is Python's, so NaN and infinities are kept. Tuples, keys that are
    not str, and subclasses are not JSON and are left to pickle.
    """

    name = "json"
    version = 1

    def encode(self, value: Any, pickling: Pickling) -> Encoded | None:
        """See `runstore.codecs.Codec.encode`."""
        if has_columns(value) or not is_json(value):
            return None
        data = encoded_json(value)
        encoded = encoded_cell("json", data)
        if len(data) > LIGHT:
            encoded.objects = _weight(data.decode("ascii"))
        return encoded

    def decode(self, opened: Opened, spec: dict[str, Any], pickling: Pickling) -> Any:
        """See `runstore.codecs.Codec.decode`."""
        text = text_in(opened)
        if pickling.is_decoded:  # else the text is in the file, and that is long enough
            pickling.spend(_weight(text), flat(opened.data).nbytes)
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise CorruptObjectError(
                f"{opened.ref} is damaged: it holds no JSON ({exc})", opened.ref
            ) from exc


def _weight(text: str) -> int:
    from runstore.weights import json_weight  # small ones need none

    return json_weight(text, _ROUGH)


def encoded_json(value: Any) -> bytes:
    """Return what stands in the cell of a value that `is_json`."""
    return _encode(value).encode("ascii")


def has_columns(value: Any) -> bool:
    """Return whether a list or dict in *value* is large and of one type, so better as columns."""
    if type(value) not in (list, dict):
        return False
    waiting, seen = [value], {id(value)}
    for one in waiting:
        items = list(one.values()) if type(one) is dict else one
        if len(items) >= FROM_JSON and is_uniform(items):
            return True
        if len(items) < FROM_JSON or not _SCALARS.issuperset(map(type, items)):
            for item in items:
                if (type(item) is list or type(item) is dict) and id(item) not in seen:
                    seen.add(id(item))
                    waiting.append(item)
    return False


FROM = 256
"""Items of any container that may be columns."""

FROM_JSON = 1024
"""Items of a container that is columns; a smaller one is written faster as one cell of text."""

_SCALARS = frozenset((bool, float, int, str, type(None)))


def is_uniform(items: list[Any], depth: int = 0) -> bool:
    """Return whether *items* are of one type, or None, and so are the parts of lists and dicts."""
    kinds = set(map(type, items)) - {type(None)}
    if len(kinds) > 1 or depth > _UNIFORM:
        return False
    kind = kinds.pop() if kinds else bool
    if kind not in (list, dict):
        return kind in _SCALARS
    present = list(filter(None, items))
    if kind is list:
        return is_uniform(list(chain.from_iterable(present)), depth + 1)
    if set(map(type, chain.from_iterable(present))) != {str}:
        return False
    keys, *others = set(map(tuple, present))
    return not others and all(
        is_uniform(list(map(itemgetter(key), present)), depth + 1) for key in keys
    )


_UNIFORM = 4  # levels that are looked at


def is_json(value: Any, deepest: int = _DEEPEST) -> bool:
    """Return whether *value* comes back from JSON as it is: types, order and values.

    The time grows with the number of lists, dicts and scalars, however often each occurs.
    One that would be written millions of times is left to pickle, which writes it once.

    Args:
        value: Anything.
        deepest: How many levels of lists and dicts there may be.
    """
    if type(value) not in (list, dict):
        return _is_scalar(value)
    seen: _Seen = {}
    size = _measured(value, deepest, seen)
    return size is not None and size[0] - sum(own for _, _, own in seen.values()) <= _MOST_AGAIN


_Seen = dict[int, tuple[int, int, int]]  # by identity: items in all, levels below, items of its own


def _measured(value: Any, deepest: int, seen: _Seen) -> tuple[int, int, int] | None:
    """Return how large a list or dict is as JSON; None if it is none, too deep, or in itself."""
    if deepest < 0:
        return None
    items = value
    if type(value) is dict:
        if not all(type(key) is str and is_text(key) for key in value):
            return None
        items = value.values()
    count, levels = len(value), 0
    for item in items:
        if type(item) is not list and type(item) is not dict:
            if _is_scalar(item):
                continue
            return None
        found = seen.get(id(item))
        if found is None:
            found = _measured(item, deepest - 1, seen)
        if found is None or found[1] >= deepest:
            return None
        count += found[0]
        levels = max(levels, found[1] + 1)
    seen[id(value)] = measured = count, levels, len(value)
    return measured


def _is_scalar(value: Any) -> bool:
    kind = type(value)
    if kind is str:
        return is_text(value)
    if kind is int:
        return bool(-_LARGEST_INT < value < _LARGEST_INT)
    return kind is bool or kind is float or value is None


def is_text(value: str) -> bool:
    """Return whether there is no surrogate in it: JSON joins two of them to another character."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def short_text(text: Any) -> str:
    """Return what a file has as a description that a library takes apart.

    Raises:
        ValueError: It is no text, or a long one.
    """
    if type(text) is not str or len(text) > LONGEST:
        raise ValueError("a description is no short text")
    return text

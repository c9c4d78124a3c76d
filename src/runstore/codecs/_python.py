"""bytes, str and JSON-like Python: kept as what they are, readable without Python."""

import json
from typing import Any

from runstore.codecs._base import Encoded, Opened
from runstore.codecs._cells import blob_in, encoded_cell, text_in
from runstore.codecs._pickle import Pickling

__all__ = ["BytesCodec", "JsonCodec", "TextCodec", "is_json", "is_text"]

_encode = json.JSONEncoder(separators=(",", ":")).encode  # made once: json.dumps makes one a call
_DEEPEST = 64
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
        if not is_json(value):
            return None
        return encoded_cell("json", _encode(value).encode("ascii"))

    def decode(self, opened: Opened, spec: dict[str, Any], pickling: Pickling) -> Any:
        """See `runstore.codecs.Codec.decode`."""
        return json.loads(text_in(opened))


def is_json(value: Any, depth: int = 0) -> bool:
    """Say whether *value* comes back from JSON as it is: types, order and values."""
    kind = type(value)
    if kind is str:
        return is_text(value)
    if kind is bool or value is None or kind is float:
        return True
    if kind is int:
        return bool(-_LARGEST_INT < value < _LARGEST_INT)
    if depth > _DEEPEST:
        return False  # or contains itself
    if kind is list:
        return all(is_json(item, depth + 1) for item in value)
    if kind is dict:
        return all(
            type(key) is str and is_text(key) and is_json(item, depth + 1)
            for key, item in value.items()
        )
    return False


def is_text(value: str) -> bool:
    """Say whether there is no surrogate in it: JSON joins two of them to another character."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True

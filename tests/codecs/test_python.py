"""bytes, str and JSON-like Python."""

import math
from typing import Any

import pytest

from runstore.codecs import Pickling, encode
from runstore.testing import CodecTests


class TestBytes(CodecTests):
    codec = "bytes"

    @classmethod
    def values(cls) -> dict[str, Any]:
        return {
            "bytes": b"abc",
            "empty": b"",
            "bytearray": bytearray(b"\x00\xff"),
            "empty bytearray": bytearray(),
            "long": bytes(range(256)) * 1000,
        }

    def change(self, value: Any) -> bool:
        if not isinstance(value, bytearray) or not value:
            return False
        value[0] ^= 1
        return True


class TestText(CodecTests):
    codec = "str"

    @classmethod
    def values(cls) -> dict[str, Any]:
        return {
            "text": "naïve ☃ 𝄞",
            "empty": "",
            "nul": "a\0b",
            "line ends": "a\r\nb\rc\n",
            "not normalised": "é e\u0301",
            "long": "x" * 200_000,
        }

    @classmethod
    def inexact(cls) -> dict[str, Any]:
        return {"lone surrogate": "\ud800", "surrogate pair": "\ud83d\ude00"}


class TestJson(CodecTests):
    codec = "json"

    @classmethod
    def values(cls) -> dict[str, Any]:
        return {
            "mixed": {"a": [1, 2.5, None, True, "x"], "": {}, "b": []},
            "none": None,
            "false": False,
            "zero": 0,
            "negative zero": -0.0,
            "nan": math.nan,
            "infinite": [math.inf, -math.inf],
            "large int": 1 << 4000,
            "small float": 5e-324,
            "true is not one": [True, 1, 1.0],
            "unicode keys": {"☃": "𝄞", "a\0b": "\n"},
            "order of keys": {"b": 1, "a": 2},
            "deep": _nested(60),
        }

    @classmethod
    def inexact(cls) -> dict[str, Any]:
        class Text(str):
            __slots__ = ()

        loop: list[Any] = []
        loop.append(loop)
        return {
            "tuple": [(1, 2)],
            "key that is no text": {1: 2},
            "set": {1},
            "subclass of str": [Text("a")],
            "subclass as key": {Text("a"): 1},
            "lone surrogate": ["\ud800"],
            "surrogates that JSON would join": ["\ud83d\ude00"],
            "surrogates in a key": {"\ud83d\ude00": 1},
            "complex": 1j,
            "too deep": _nested(200),
            "in itself": loop,
            "too large to print": 1 << 20_000,
        }

    def change(self, value: Any) -> bool:
        if not isinstance(value, (list, dict)):
            return False
        value.clear()
        return True


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", [b"x" * (1 << 20), "x" * (1 << 20)])
def test_size_is_told(value: Any) -> None:
    """The size in the description is that of the data."""
    assert 1 << 20 == encode(value, Pickling("deny", "x"))[1].nbytes

"""Why a format cannot hold a value, for messages: which column, key or item it is."""

import math
from typing import Any

from runstore.codecs._base import Encoded, type_name
from runstore.codecs._python import is_json, is_text

__all__ = ["shown", "why_no_array", "why_no_json", "why_no_table"]


def why_no_table(value: Any, encoded: Encoded) -> str:
    """Return what of *value* is no plain table; it has been encoded with a pickle, or as none."""
    name = type_name(type(value)).removeprefix("builtins.")
    return f"the columns of Python objects of a {name}" if encoded.columns else f"a {name}"


def why_no_array(value: Any) -> str:
    """Return what of *value* is no array that ``.npy`` holds."""
    import numpy as np

    from runstore.codecs._numpy_dtypes import has_twin

    if type(value) is not np.ndarray:
        return f"a {type_name(type(value))}"
    dtype = value.dtype
    for name, part in [("", dtype), *((n, dtype[n]) for n in dtype.names or ())]:
        field = f" in the field {name!r}" if name else ""
        if part.metadata:
            return f"an array whose dtype has metadata{field} ({part.metadata})"
        if part.isbuiltin == 2 or part.kind == "T":
            return f"an array of {part}{field}, a dtype that is not of the format"
        if has_twin(part) and (name or not dtype.names):
            twin = np.dtype(part.str).char
            return f"an array of {part.char!r}{field}, which would come back as {twin!r}"
        if part.hasobject and (name or not dtype.names):
            return f"an array of {part}{field}, which are Python objects"
    return f"an array of {dtype}"


def why_no_json(value: Any, *, strict: bool, deepest: int = 64) -> str:
    """Return which part of *value* is no JSON, or is too deep.

    Args:
        value: What `is_json` refused, or what has a number that is not finite.
        strict: Whether NaN and infinities are none.
        deepest: How many levels there may be.
    """
    return _Search(strict).reason(value, "value", deepest) or "it is too large to be written"


class _Search:
    """Looks for what is not JSON; a part that occurs twice is visited once."""

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self._fine: set[int] = set()
        self._inside: set[int] = set()

    def reason(self, value: Any, path: str, left: int) -> str | None:
        kind = type(value)
        if kind is dict or kind is list:
            return self._reason_in(value, path, left)
        if kind is float:
            return f"{path} is {value}" if self._strict and not math.isfinite(value) else None
        if is_json(value):
            return None
        if kind is str:
            return f"{path} is text with half of a surrogate pair"
        if kind is int:
            return f"{path} is an integer of {value.bit_length()} bits"
        return f"{path} is a {_plain_name(kind)}"

    def _reason_in(self, value: Any, path: str, left: int) -> str | None:
        if id(value) in self._inside:
            return f"{path} contains itself"
        if left < 0:
            return f"{path[:60]}… is nested too deeply"
        if id(value) in self._fine:
            return None
        self._inside.add(id(value))
        for key, item in value.items() if type(value) is dict else enumerate(value):
            if type(value) is dict and type(key) is not str:
                return f"the key {shown(key)} of {path} is of the type {_plain_name(type(key))}"
            if type(key) is str and not is_text(key):
                return f"the key {shown(key)} of {path} is text with half of a surrogate pair"
            reason = self.reason(item, f"{path}[{shown(key)}]", left - 1)
            if reason is not None:
                return reason
        self._inside.remove(id(value))
        self._fine.add(id(value))
        return None


def _plain_name(kind: type) -> str:
    return type_name(kind).removeprefix("builtins.")


def shown(key: Any) -> str:
    """Return how a key or label is written in a message."""
    if type(key) not in (str, int, float, bool, bytes, type(None)):
        return f"of {type_name(type(key))}"  # whose repr is its own code
    text = repr(key)
    return text if len(text) <= 60 else f"{text[:57]}…"

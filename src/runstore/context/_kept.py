"""Values as the record of a run keeps them: as JSON, or as their type and why they are not kept."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from runstore.secret_names import is_secret_setting

__all__ = ["is_exact", "is_kept", "kept_result", "kept_values"]

_LARGEST_RESULT = 64 * 1024  # characters of JSON; larger results belong into the object store
_DEEPEST_RESULT = 64
_LONGEST_INT = 4096  # bits; Python refuses to read decimal numbers of more than 4,300 digits


class _NotKept(Exception):  # noqa: N818 - a reason, not an error
    """Why a result is not kept in the record."""


def is_kept(kept: Any) -> bool:
    """Return whether what `kept_result` returned is the result, and not what stands in for it."""
    return not (type(kept) is dict and kept.get("kept") is False and "reason" in kept)


def is_exact(result: Any) -> bool:
    """Return whether what `kept_result` keeps of *result* is equal to it, also in its types."""
    kind = type(result)
    if kind is list:
        return all(map(is_exact, result))
    if kind is dict:
        return all(type(key) is str for key in result) and all(map(is_exact, result.values()))
    return kind in (type(None), bool, int, float, str)


def kept_result(result: Any) -> Any:
    """Return *result* as it comes back from JSON, or its type and why it is not kept.

    Tuples become lists, and subclasses of int, float and str the plain number or text.
    """
    try:
        kept = _plain(result, [_LARGEST_RESULT], _DEEPEST_RESULT)
        if len(json.dumps(kept)) <= _LARGEST_RESULT:
            return kept
        reason = _TOO_LARGE
    except _NotKept as exc:
        reason = str(exc)
    return _stand_in(type(result), reason)


def kept_values(values: dict[str, Any]) -> dict[str, Any]:
    """Return input or config as it comes back from JSON, without what is secret.

    Each value that JSON cannot keep, or whose name says that it is a secret, is replaced by a dict
    with its ``type``, ``kept: false`` and the ``reason``; of dates and times also ``text``, in ISO
    format. All together they are at most 256 KiB of JSON.
    """
    return _kept_values(values, [_LARGEST_VALUES], _DEEPEST_VALUES)


def _kept_values(values: dict[str, Any], left: list[int], deepest: int) -> dict[str, Any]:
    """Do that; *left* is how many characters may follow, for all that is nested together."""
    kept: dict[str, Any] = {}
    for number, (key, value) in enumerate(dict.items(values)):
        if left[0] <= 0:
            kept["…"] = _stand_in(dict, f"{len(values) - number:,} more are left out: {_MUCH}")
            break
        key = str.encode(key, errors="backslashreplace").decode()
        left[0] -= len(key) + 8
        kept[key] = _kept_value(key, value, left, deepest)
    return kept


def _kept_value(name: str, value: Any, left: list[int], deepest: int) -> Any:
    kind = type(value)
    if is_secret_setting(name, value):
        return _stand_in(kind, "its name, or a password in it, says that it is a secret")
    # Subclasses, too, as JSON would keep what is in them: an OrderedDict with a password.
    if isinstance(value, dict) and deepest and all(isinstance(key, str) for key in dict(value)):
        return _kept_values(value, left, deepest - 1)  # so that one odd value costs no others
    if isinstance(value, (list, tuple)):
        items = _items(value)
        if deepest and any(isinstance(one, (dict, list, tuple)) for one in items):
            return _kept_items(name, items, left, deepest - 1)
        if any(is_secret_setting(name, one) for one in items):
            return _stand_in(kind, "its name, or a password in it, says that it is a secret")
    budget = min(_LARGEST_RESULT, left[0])
    try:
        one = _plain(value, [budget], _DEEPEST_RESULT)
        text = len(json.dumps(one))
        left[0] -= text
        if text > _LARGEST_RESULT:
            raise _NotKept(_TOO_LARGE)
    except _NotKept as exc:
        reason = _MUCH if budget < _LARGEST_RESULT and str(exc) == _TOO_LARGE else str(exc)
        left[0] -= 100
        one = _stand_in(kind, reason)
        if kind in (date, datetime):
            one["text"] = value.isoformat()
    return one


def _items(values: Any) -> Sequence[Any]:
    kind = list if isinstance(values, list) else tuple
    return values if type(values) is kind else list(kind.__iter__(values))


def _kept_items(name: str, values: Sequence[Any], left: list[int], deepest: int) -> list[Any]:
    kept: list[Any] = []
    for number, value in enumerate(values):
        if left[0] <= 0:
            kept.append(_stand_in(list, f"{len(values) - number:,} more are left out: {_MUCH}"))
            break
        left[0] -= 2
        kept.append(_kept_value(name, value, left, deepest))
    return kept


def _stand_in(kind: type, reason: str) -> dict[str, Any]:
    return {"type": f"{kind.__module__}.{kind.__qualname__}", "kept": False, "reason": reason}


_LARGEST_VALUES = 256 * 1024  # characters of JSON, for all of the input or all of the config
_DEEPEST_VALUES = 16
_MUCH = f"the whole is longer than {_LARGEST_VALUES:,} characters as JSON: put() what is large"
_TOO_LARGE = f"as JSON it is longer than {_LARGEST_RESULT:,} characters: put() it"


def _plain(value: Any, left: list[int], deepest: int) -> Any:
    """Return *value* as lists, dicts with str as keys, text and numbers; its own code is not run.

    *left* is how many characters may follow, so that the walk of a huge or cyclic value ends.
    """
    left[0] -= 2
    if left[0] < 0:
        raise _NotKept(_TOO_LARGE)
    if deepest < 0:
        raise _NotKept(f"it is nested more than {_DEEPEST_RESULT} deep, or contains itself")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, left)
    if isinstance(value, int):
        if int.bit_length(value) > _LONGEST_INT:
            raise _NotKept("it has an int that is too long for JSON")
        return int.__index__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, dict):
        items = dict.items(value)
        for key, _ in items:
            if not isinstance(key, str):
                raise _NotKept(
                    f"it has a key of type {type(key).__name__}, which JSON would change"
                )
        return {_text(key, left): _plain(item, left, deepest - 1) for key, item in items}
    if isinstance(value, list):
        return [_plain(item, left, deepest - 1) for item in list.__iter__(value)]
    if isinstance(value, tuple):
        return [_plain(item, left, deepest - 1) for item in tuple.__iter__(value)]
    raise _NotKept(f"JSON has no form for the {type(value).__name__} in it")


def _text(value: str, left: list[int]) -> str:
    left[0] -= str.__len__(value)
    if left[0] < 0:
        raise _NotKept(_TOO_LARGE)
    try:
        str.encode(value)
    except UnicodeEncodeError:
        raise _NotKept("it has text with lone surrogates, which is not Unicode") from None
    return str.__str__(value)

"""More of Python's small values as tags: zones, namespaces, arrays, generators.

See `runstore.codecs._tags`, which has these as its own.
"""

import types
from array import array
from collections import ChainMap, UserDict, UserList, UserString
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from runstore.codecs._classes import Finder
from runstore.codecs._exactly import all_exactly, exactly
from runstore.codecs._patterns import pattern_of, pattern_tag
from runstore.codecs._zones import zone_of, zone_tree
from runstore.errors import CorruptObjectError

__all__ = ["BUILDERS", "CONTAINERS", "READERS", "SCALARS"]

Tag = tuple[str, Any]

_SINGLE = {"Ellipsis": ..., "NotImplemented": NotImplemented}
_KINDS: dict[str, Any] = {"bool": bool, "bytes": bytes, "complex": complex, "dict": dict}
_KINDS |= {"float": float, "frozenset": frozenset, "int": int, "list": list, "object": object}
_KINDS |= {"set": set, "str": str, "tuple": tuple}


def _zone(value: Any) -> Tag | None:
    tree = zone_tree(value)
    return None if tree is ... else ("$zone", tree)


def _kind(value: type) -> Tag | None:
    """One of Python's plain types or of NumPy's scalars, as a dict of options has them."""
    if _KINDS.get(value.__name__) is value:
        return "$type", ["builtins", value.__name__]
    numpy = issubclass(value, np.generic) and getattr(np, value.__name__, None) is value
    return ("$type", ["numpy", value.__name__]) if numpy else None


def _kind_of(content: Any, ref: str) -> type:
    module, name = all_exactly(content, ref, str, count=2)
    found = _KINDS[name] if module == "builtins" else getattr(np, name, None)
    if not isinstance(found, type) or not (module == "builtins" or issubclass(found, np.generic)):
        raise CorruptObjectError(f"{ref} is damaged: {name} is no type of NumPy's", ref)
    return found


def _single(value: Any) -> Tag:
    return "$single", "Ellipsis" if value is ... else "NotImplemented"


SCALARS: dict[str, Callable[[Any], Tag | None]] = {
    "builtins.ellipsis": _single,
    "builtins.NotImplementedType": _single,
    "builtins.type": _kind,
    "datetime.timezone": _zone,
    "re.Pattern": pattern_tag,
    "zoneinfo.ZoneInfo": _zone,
}

READERS: dict[str, Callable[[Any, str, Finder], Any]] = {
    "$pattern": lambda c, ref, find: pattern_of(c, ref),
    "$single": lambda c, ref, find: _SINGLE[c],
    "$type": lambda c, ref, find: _kind_of(c, ref),
    "$zone": lambda c, ref, find: zone_of(c, ref),
}


# Containers --------------------------------------------------------------------------------------


def _array(value: "array[Any]") -> Tag | None:
    if value.typecode in "uw":
        return None
    return "$array", [value.typecode, np.frombuffer(value, value.typecode) if len(value) else None]


def _array_of(parts: Any, ref: str, find: Finder) -> "array[Any]":
    code, items = parts
    if exactly(code, ref, str) not in "bBhHiIlLqQfd" or len(code) != 1:
        raise CorruptObjectError(f"{ref} is damaged: no array of {code!r}", ref)
    made: array[Any] = array(code)
    if items is not None:
        if type(items) is not np.ndarray or items.dtype != np.dtype(code):
            raise CorruptObjectError(f"{ref} is damaged: its items are none of {code!r}", ref)
        made.frombytes(items.tobytes())
    return made


_USERS: dict[str, Any] = {
    "UserDict": (UserDict, dict),
    "UserList": (UserList, list),
    "UserString": (UserString, str),
}


def _user(value: Any) -> Tag | None:
    name = type(value).__name__
    if vars(value).keys() != {"data"} or type(value.data) is not _USERS[name][1]:
        return None
    return "$user", [name, value.data]


def _user_of(parts: Any, ref: str, find: Finder) -> Any:
    name, data = parts
    kind, of = _USERS[name]
    if type(data) is not of:
        raise CorruptObjectError(f"{ref} is damaged: a {name} of something else", ref)
    made = object.__new__(kind)
    made.data = data
    return made


def _random(value: Random) -> Tag:
    return "$random", list(value.getstate())


def _random_of(parts: Any, ref: str, find: Finder) -> Random:
    version, words, normal = parts
    if exactly(version, ref, int) != 3:  # what older ones need would be gone through first
        raise CorruptObjectError(f"{ref} is damaged: no state of random.Random", ref)
    all_exactly(list(exactly(words, ref, tuple)), ref, int, count=625)
    exactly(normal, ref, float, None)
    made = Random()  # noqa: S311 - the user's
    made.setstate(tuple(parts))
    return made


def _namespace(value: types.SimpleNamespace) -> Tag:
    return "$namespace", dict(vars(value))


def _namespace_of(parts: Any, ref: str, find: Finder) -> types.SimpleNamespace:
    made = types.SimpleNamespace()
    vars(made).update(exactly(parts, ref, dict))
    return made


def _chain(value: ChainMap[Any, Any]) -> Tag | None:
    return ("$chain", value.maps) if vars(value).keys() == {"maps"} else None


CONTAINERS: dict[str, Callable[[Any], Tag | None]] = {
    "array.array": _array,
    "collections.ChainMap": _chain,
    **{f"collections.{name}": _user for name in _USERS},
    "random.Random": _random,
    "types.SimpleNamespace": _namespace,
}

BUILDERS: dict[str, Callable[[Any, str, Finder], Any]] = {
    "$array": _array_of,
    "$chain": lambda parts, ref, find: ChainMap(*parts),
    "$namespace": _namespace_of,
    "$random": _random_of,
    "$user": _user_of,
}

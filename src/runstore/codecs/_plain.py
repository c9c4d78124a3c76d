"""Python's small values as tagged JSON: each comes back as the type it was, without pickle.

A tag is an object with one key that begins with ``$``: ``{"$tuple": [1, 2]}``. What is
JSON already stands as it is; a dict that JSON would change is ``{"$dict": [[key, value], …]}``.
"""

import base64
from collections import OrderedDict
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, SafeUUID

import numpy as np

from runstore.codecs._classes import Finder, class_named
from runstore.codecs._exactly import all_exactly, exactly
from runstore.codecs._numpy import check_items, is_judged
from runstore.codecs._numpy_dtypes import described, dtype_of, has_gaps, without_gaps
from runstore.codecs._python import is_json, is_text
from runstore.codecs._tags import BUILDERS, READERS, is_tagged, parts_of, scalar_of
from runstore.codecs._tags_weight import COPYING
from runstore.codecs._zones import zone_of, zone_tree
from runstore.errors import CorruptObjectError, UnsafePickleError

__all__ = [
    "InexactError",
    "Leaf",
    "Pack",
    "exact_zone",
    "from_tree",
    "only_imported",
    "plain_tree",
    "to_tree",
]

Leaf = Callable[[Any, tuple[Any, ...]], int]
Pack = Callable[[Any, tuple[Any, ...]], int | None]

_DEEPEST = 64
_DEEPEST_TREE = 4 * _DEEPEST + 4  # each level takes up to four
_SHORT = 4096  # bytes; longer ones are a leaf of their own


class InexactError(Exception):
    """The value has no exact tree; another codec has to keep it."""


def to_tree(value: Any, leaf: Leaf, pack: Pack) -> Any:
    """Return *value* as JSON; for what is none, *leaf* is asked and ``{"$leaf": its answer}`` set.

    Args:
        value: Anything.
        leaf: Takes a part and where it is.
        pack: Likewise, of a container; if it gives no answer, the parts of that are gone through.

    Raises:
        InexactError: It is too deep, contains itself, would be written millions of
            times, or has a part that is not exact.
    """
    tree = _Trees(leaf, pack).tree(value, ())
    if not is_json(tree, _DEEPEST_TREE):
        raise InexactError
    return tree


class _Trees:
    """The trees of the parts of one value; a part that occurs twice is visited once."""

    def __init__(self, leaf: Leaf, pack: Pack) -> None:
        self._leaf = leaf
        self._pack = pack
        self._known: dict[int, tuple[Any, Any]] = {}  # by identity; the object is kept alive

    def tree(self, value: Any, path: tuple[Any, ...]) -> Any:
        if type(value) not in (list, tuple, dict, OrderedDict, set, frozenset):
            plain = _plain(value)
            if plain is not _NONE:
                return plain
            parts = parts_of(value)
            if parts is None:
                if is_tagged(value):
                    raise InexactError
                return {"$leaf": self._leaf(value, path)}
            return {parts[0]: self.tree(parts[1], path)}
        if len(path) > _DEEPEST:
            raise InexactError
        if id(value) not in self._known:
            packed = self._pack(value, path)
            tree = self._container(value, path) if packed is None else {"$leaf": packed}
            self._known[id(value)] = tree, value
        return self._known[id(value)][0]

    def _container(self, value: Any, path: tuple[Any, ...]) -> Any:
        kind = type(value)
        if kind is dict and _is_object(value):
            return {key: self.tree(item, (*path, key)) for key, item in value.items()}
        if kind is dict:
            return {"$dict": self._pairs(value, path)}
        if kind is OrderedDict:
            more = self.tree(vars(value), (*path, "__dict__"))  # a torch state dict has one
            return {"$ordered": [self._pairs(value, path), more]}
        if kind in (set, frozenset):  # what is in them has a hash, and so no leaf
            keys = _Trees(_no_leaf, _no_pack)
            return {f"${kind.__name__}": [keys.tree(item, path) for item in value]}
        items = [self.tree(item, (*path, i)) for i, item in enumerate(value)]
        return items if kind is list else {"$tuple": items}

    def _pairs(self, value: dict[Any, Any], path: tuple[Any, ...]) -> list[Any]:
        keys = _Trees(_no_leaf, _no_pack)
        return [
            [keys.tree(key, path), self.tree(item, (*path, key))] for key, item in value.items()
        ]


def plain_tree(value: Any) -> Any:
    """Return *value* as JSON; it has no leaves.

    Raises:
        InexactError: As `to_tree`, or because it would need a leaf.
    """
    return to_tree(value, _no_leaf, _no_pack)


def only_imported(ref: str) -> Finder:
    """Return what finds the classes that *ref* names, in modules that are imported already."""

    def refuse(what: str) -> None:
        raise UnsafePickleError(
            f"{ref} {what}, and importing it would execute its code: import it first", ref
        )

    return lambda module, qualname: class_named(module, qualname, ref, refuse)


def from_tree(tree: Any, leaf: Callable[[int], Any], ref: str, find: Finder | None = None) -> Any:
    """Rebuild what `to_tree` was given; *leaf* has the leaves, *find* the classes.

    Lists and dicts of the tree are used again: it is no tree any more.

    Raises:
        UnsupportedValueError: A time zone, class or member is not known here.
        UnsafePickleError: A class is of a module that is not imported.
        ValueError, TypeError, KeyError: It is no such tree.
    """
    if isinstance(tree, list):
        for at, item in enumerate(tree):
            if isinstance(item, (list, dict)):
                tree[at] = from_tree(item, leaf, ref, find)
        return tree
    if not isinstance(tree, dict):
        return tree
    tag = next(iter(tree)) if len(tree) == 1 else ""
    if not tag.startswith("$"):
        for key, item in tree.items():
            if isinstance(item, (list, dict)):
                tree[key] = from_tree(item, leaf, ref, find)
        return tree
    content = tree[tag]
    match tag:
        case "$leaf":
            return leaf(content)
        case "$tuple":
            items = exactly(content, ref, list)
            return tuple(from_tree(item, leaf, ref, find) for item in items)
        case "$dict":
            return dict(_from_pairs(content, leaf, ref, find))
        case "$ordered":
            ordered = OrderedDict(_from_pairs(content[0], leaf, ref, find))
            vars(ordered).update(exactly(from_tree(content[1], leaf, ref, find), ref, dict))
            return ordered
    if tag in _DECODERS:
        return _DECODERS[tag](content, ref)
    if tag in READERS:
        return READERS[tag](content, ref, find or only_imported(ref))
    if tag in COPYING:
        leaf = getattr(leaf, "copied", leaf)
    elif tag in _OF_KEYS:
        leaf = _without_leaves(ref)
    build = BUILDERS[tag]
    parts = from_tree(content, leaf, ref, find)
    exactly(parts, ref, dict if tag == "$namespace" else list)
    return build(parts, ref, find or only_imported(ref))


_OF_KEYS = ("$set", "$frozenset")


def _without_leaves(ref: str) -> Callable[[int], Any]:
    """Return what refuses a leaf: what has a hash is none, and a hash goes through all of it."""

    def refuse(index: int) -> Any:
        raise CorruptObjectError(f"{ref} is damaged: a column stands for a key", ref)

    return refuse


def _is_object(value: dict[Any, Any]) -> bool:
    """Return whether a dict can stand as an object of JSON, and is not taken for a tag."""
    if not all(type(key) is str and is_text(key) for key in value):
        return False
    return len(value) != 1 or not next(iter(value)).startswith("$")


def _from_pairs(
    pairs: Any, leaf: Callable[[int], Any], ref: str, find: Finder | None
) -> list[tuple[Any, Any]]:
    no_leaf = _without_leaves(ref)
    return [
        (from_tree(key, no_leaf, ref, find), from_tree(item, leaf, ref, find))
        for key, item in exactly(pairs, ref, list)
    ]


def _no_leaf(value: Any, path: tuple[Any, ...]) -> int:
    raise InexactError


def _no_pack(value: Any, path: tuple[Any, ...]) -> None:
    return None


_NONE = object()


def _plain(value: Any) -> Any:
    """Return one value that holds no others as JSON; _NONE if it has to be a leaf."""
    kind = type(value)
    if is_json(value):
        return value
    if isinstance(value, np.generic):
        return _scalar(value)
    if kind in (bytes, bytearray) and len(value) <= _SHORT:
        return {f"${kind.__name__}": base64.b64encode(value).decode()}
    encoder = _ENCODERS.get(kind)
    if encoder is not None:
        return encoder(value)
    tagged = scalar_of(value)
    return _NONE if tagged is None else {tagged[0]: tagged[1]}


def _scalar(value: Any) -> Any:
    if type(value) in _EMPTY and not value:  # NumPy has no dtype for text without a character
        descr = _EMPTY[type(value)]
        return {"$numpy": [descr, base64.b64encode(bytes(np.dtype(descr).itemsize)).decode()]}
    descr = described(value.dtype)
    if descr is None or type(value) is not value.dtype.type:
        raise InexactError
    item = np.asarray(value)
    data = (without_gaps(item) if has_gaps(item.dtype) else item).tobytes()
    back = _scalar_of([descr, base64.b64encode(data).decode()])
    if type(back) is not type(value) or np.asarray(back).tobytes() != data:
        raise InexactError
    return {"$numpy": [descr, base64.b64encode(data).decode()]}


_EMPTY: dict[Any, str] = {np.str_: "<U1", np.bytes_: "|S1"}


def _scalar_of(content: Any) -> Any:
    data = bytearray(base64.b64decode(content[1]))
    array = np.frombuffer(data, dtype_of(content[0]), 1)
    if is_judged(array.dtype):
        check_items(array, "a value")
    return array[0]


def exact_zone(zone: Any) -> Any:
    """Return a time zone as JSON.

    Raises:
        InexactError: It would not come back the same.
    """
    tree = zone_tree(zone)
    if tree is ...:
        raise InexactError
    return tree


def _datetime(v: datetime) -> Any:
    day = [v.year, v.month, v.day]
    return {"$datetime": [*day, *_clock(v)]}


def _clock(v: datetime | time) -> list[Any]:
    return [v.hour, v.minute, v.second, v.microsecond, v.fold, exact_zone(v.tzinfo)]


def _datetime_of(content: Any, ref: str) -> datetime:
    year, month, day, *clock = content
    return datetime.combine(date(year, month, day), _time_of(clock, ref))


def _time_of(content: Any, ref: str) -> time:
    hour, minute, second, microsecond, fold, zone = content
    return time(hour, minute, second, microsecond, zone_of(zone, ref), fold=fold)


def _complex(v: complex) -> Any:
    return {"$complex": [v.real, v.imag]}


def _complex_of(content: Any) -> complex:
    real, imag = content
    if not (isinstance(real, float) and isinstance(imag, float)):
        raise TypeError("a complex number is two floats")
    return complex(real, imag)


_ENCODERS: dict[type, Callable[[Any], Any]] = {
    UUID: lambda v: {"$uuid": [v.hex, v.is_safe.value]},
    Decimal: lambda v: {"$decimal": str(v)},
    complex: _complex,
    date: lambda v: {"$date": [v.year, v.month, v.day]},
    datetime: _datetime,
    time: lambda v: {"$time": _clock(v)},
    timedelta: lambda v: {"$timedelta": [v.days, v.seconds, v.microseconds]},
}

_DECODERS: dict[str, Callable[[Any, str], Any]] = {
    "$bytearray": lambda c, ref: bytearray(base64.b64decode(c)),
    "$bytes": lambda c, ref: base64.b64decode(c),
    "$complex": lambda c, ref: _complex_of(c),
    "$date": lambda c, ref: date(*all_exactly(c, ref, int, count=3)),
    "$datetime": _datetime_of,
    "$decimal": lambda c, ref: Decimal(exactly(c, ref, str)),
    "$numpy": lambda c, ref: _scalar_of(c),
    "$time": _time_of,
    "$timedelta": lambda c, ref: timedelta(*all_exactly(c, ref, int, count=3)),
    "$uuid": lambda c, ref: UUID(hex=c[0], is_safe=SafeUUID(c[1])),
}

"""Small values that are one tag of JSON, and containers that are a tag of a list of their parts.

What a scalar is made of stands in the tag itself; the parts of a container are any values.
Types are told by name, so that no library is imported to find that a value is none of its.
"""

import enum
import ipaddress
import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from fractions import Fraction
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from runstore.codecs import _pendulum, _pint, _tags_libraries, _tags_pandas, _tags_python
from runstore.codecs._base import type_name
from runstore.codecs._classes import Finder, named
from runstore.codecs._exactly import all_exactly, exactly
from runstore.codecs._fields import fields_of, is_by_fields, made_of_fields
from runstore.codecs._numpy_dtypes import described, dtype_of
from runstore.codecs._python import is_json, is_text
from runstore.errors import CorruptObjectError, UnsupportedValueError

__all__ = ["BUILDERS", "READERS", "is_tagged", "lost_of_masked", "parts_of", "scalar_of"]

Tag = tuple[str, Any]

_SPARSE = "scipy.sparse._"
_FACTORIES = {
    kind.__name__: kind
    for kind in (bool, bytes, complex, dict, float, frozenset, int, list, set, str, tuple)
}
_ADDRESSES = {
    kind.__name__: kind
    for kind in (
        *(ipaddress.IPv4Address, ipaddress.IPv4Interface, ipaddress.IPv4Network),
        *(ipaddress.IPv6Address, ipaddress.IPv6Interface, ipaddress.IPv6Network),
    )
}
_PATHS = {kind.__name__: kind for kind in (PurePosixPath, PureWindowsPath)}


# Scalars: an encoder returns a tag and JSON, or None for what would not come back the same -------


def scalar_of(value: Any) -> Tag | None:
    """Return tag and content of a value that holds no others; None if it is none of these."""
    if isinstance(value, enum.Enum):
        return _member(value)
    if isinstance(value, np.dtype):
        return _dtype(value)
    encoder = _SCALARS.get(type_name(type(value)))
    return None if encoder is None else encoder(value)


def _member(value: enum.Enum) -> Tag | None:
    """A member by its name; a combination of flags, which has none, is no member."""
    kind = named(type(value))
    if kind is None or type(value)._member_map_.get(value._name_) is not value:
        return None
    return "$enum", [*kind, value._name_]


def _member_of(content: Any, ref: str, find: Finder) -> Any:
    module, qualname, name = all_exactly(content, ref, str, count=3)
    kind = find(module, qualname)
    if not issubclass(type(kind), enum.EnumMeta):
        raise CorruptObjectError(f"{ref} is damaged: {qualname} is no Enum", ref)
    members = type.__getattribute__(kind, "_member_map_")  # no code of the class is called
    if name not in members:
        raise UnsupportedValueError(
            f"cannot load {ref}: {module}.{qualname} has no member {name!r} here. Install the "
            "version that it was stored with, or define the member again",
            ref,
        )
    return members[name]


def _dtype(value: np.dtype[Any]) -> Tag | None:
    if value.subdtype:
        return None
    plain = value.kind == "O" and not value.metadata
    content = "O" if plain else described(value)
    return None if content is None else ("$dtype", content)


def _dtype_of(content: Any) -> np.dtype[Any]:
    return np.dtype("O") if content == "O" else dtype_of(content)


def _range(value: range) -> Tag | None:
    content = [value.start, value.stop, value.step]
    return ("$range", content) if set(map(type, content)) == {int} and is_json(content) else None


def _fraction(value: Fraction) -> Tag | None:
    content = [value.numerator, value.denominator]
    return ("$fraction", content) if set(map(type, content)) == {int} and is_json(content) else None


def _path(value: Any) -> Tag | None:
    return ("$path", [type(value).__name__, str(value)]) if is_text(str(value)) else None


def _address(value: Any) -> Tag:
    return "$address", [type(value).__name__, str(value)]


def _named_text(kinds: dict[str, Any], content: Any, ref: str) -> Any:
    name, text = all_exactly(content, ref, str, count=2)
    return kinds[name](text)


def _missing(content: Any) -> Any:
    if content == "masked":
        return np.ma.masked
    import pandas as pd

    return {"NaT": pd.NaT, "NA": pd.NA}[content]


_SCALARS: dict[str, Callable[[Any], Tag | None]] = {
    "builtins.int": lambda value: ("$int", hex(value)),  # of more digits than JSON holds
    "builtins.range": _range,
    "fractions.Fraction": _fraction,
    **{f"ipaddress.{name}": _address for name in _ADDRESSES},
    **{f"{kind.__module__}.{name}": _path for name, kind in _PATHS.items()},
    **dict.fromkeys(
        ("pandas.api.typing.NaTType", "pandas._libs.tslibs.nattype.NaTType"),
        lambda value: ("$missing", "NaT"),
    ),
    **dict.fromkeys(
        ("pandas.api.typing.NAType", "pandas._libs.missing.NAType"),
        lambda value: ("$missing", "NA"),
    ),
    **dict.fromkeys(
        ("numpy.ma.MaskedConstant", "numpy.ma.core.MaskedConstant"),
        lambda value: ("$missing", "masked") if value is np.ma.masked else None,
    ),
    **dict.fromkeys(_pendulum.KINDS, _pendulum.time_tag),
    **_tags_python.SCALARS,
    **_tags_libraries.SCALARS,
    **_tags_pandas.SCALARS,
}

READERS: dict[str, Callable[[Any, str, Finder], Any]] = {
    "$address": lambda c, ref, find: _named_text(_ADDRESSES, c, ref),
    "$dtype": lambda c, ref, find: _dtype_of(c),
    "$enum": _member_of,
    "$fraction": lambda c, ref, find: Fraction(*all_exactly(c, ref, int, count=2)),
    "$int": lambda c, ref, find: int(exactly(c, ref, str), 16),
    "$missing": lambda c, ref, find: _missing(c),
    "$path": lambda c, ref, find: _named_text(_PATHS, c, ref),
    "$range": lambda c, ref, find: range(*all_exactly(c, ref, int, count=3)),
    "$pendulum": lambda c, ref, find: _pendulum.time_of_pendulum(c, ref),
    **_tags_python.READERS,
    **_tags_libraries.READERS,
    **_tags_pandas.READERS,
}
"""Of each tag of a scalar, what makes the value of its content."""


# Containers: what they are made of, as lists of any values ---------------------------------------


def parts_of(value: Any) -> Tag | None:
    """Return tag and parts of a container; None if it is none of these, or would change."""
    if is_by_fields(type(value)):
        return fields_of(value)
    if _is_named_tuple(type(value)):
        kind = None if getattr(value, "__dict__", None) else named(type(value))
        return None if kind is None else ("$namedtuple", [kind, list(value._fields), list(value)])
    name = type_name(type(value))
    if name.startswith(_SPARSE):
        from runstore.codecs._sparse import sparse_parts

        parts = sparse_parts(value)
        return None if parts is None else ("$sparse", parts)
    if _is_of_objects(value, name):
        return _objects(value)
    take = _CONTAINERS.get(name)
    return None if take is None else take(value)


def _is_of_objects(value: Any, name: str) -> bool:
    return name == "numpy.ndarray" and value.dtype.kind == "O"


def _is_named_tuple(kind: type) -> bool:
    """Return whether it is a class as `collections.namedtuple` makes them, or one made of such.

    A class with a way of its own to make or reduce its instances is none.
    """
    made = next((one for one in kind.__mro__ if one.__bases__ == (tuple,)), None)
    if made is None or "_make" not in vars(made):
        return False
    if kind is not made:
        own = (vars(one) for one in kind.__mro__[: kind.__mro__.index(made)])
        if any(not _OWN.isdisjoint(names) for names in own):
            return False
    fields = type.__getattribute__(kind, "_fields")
    return type(fields) is tuple and all(type(field) is str for field in fields)


_OWN = {"__reduce__", "__reduce_ex__", "__getnewargs__", "__getnewargs_ex__", "__getstate__"}
_OWN |= {"__setstate__", "__iter__", "__len__", "__getitem__", "_fields"}


def _named_tuple(parts: Any, ref: str, find: Finder) -> Any:
    (module, qualname), fields, items = parts
    kind = find(module, qualname)
    if not issubclass(type(kind), type) or not _is_named_tuple(kind):
        raise CorruptObjectError(f"{ref} is damaged: {qualname} is no named tuple", ref)
    now = list(type.__getattribute__(kind, "_fields"))
    all_exactly(fields, ref, str)
    exactly(items, ref, list)
    if now != fields or len(items) != len(fields):
        raise UnsupportedValueError(
            f"cannot load {ref}: {module}.{qualname} has the fields {', '.join(now)} here, and was "
            f"stored with {', '.join(fields)}. Install the version that it was stored with",
            ref,
        )
    return tuple.__new__(kind, items)


def _default(value: defaultdict[Any, Any]) -> Tag | None:
    factory = value.default_factory
    name = None if factory is None else getattr(factory, "__name__", "")
    if factory is not None and _FACTORIES.get(name or "") is not factory:
        return None
    return "$defaultdict", [name, list(map(list, value.items()))]


def _default_of(parts: Any, ref: str, find: Finder) -> Any:
    name, pairs = parts
    all_exactly(pairs, ref, list)
    return defaultdict(None if name is None else _FACTORIES[name], map(tuple, pairs))


def _counter(value: Counter[Any]) -> Tag | None:
    return None if vars(value) else ("$counter", list(map(list, value.items())))


def _counter_of(parts: Any, ref: str, find: Finder) -> Any:
    counter: Counter[Any] = Counter()
    for item, count in all_exactly(parts, ref, list):
        dict.__setitem__(counter, item, count)
    return counter


_OF_MASKED = frozenset(vars(np.ma.MaskedArray([0])))


def lost_of_masked(value: Any) -> str | None:
    """Return why a masked array cannot be kept: NumPy's own pickle loses attributes, too."""
    own = sorted(vars(value).keys() - _OF_MASKED)
    return f"it has the attribute {own[0]!r}: store that beside it" if own else None


def _masked(value: Any) -> Tag | None:
    """Data and mask; what a mask hides is part of the value."""
    if value._baseclass is not np.ndarray or value._optinfo or type(value.data) is not np.ndarray:
        return None
    if (reason := lost_of_masked(value)) is not None:
        raise UnsupportedValueError(f"cannot store a numpy.ma.MaskedArray: {reason}")
    mask = None if value.mask is np.ma.nomask else np.asarray(value.mask)
    fill = None if value._fill_value is None else np.asarray(value._fill_value)
    return "$masked", [value.data, mask, fill, bool(value.hardmask)]


def _masked_of(parts: Any, ref: str, find: Finder) -> Any:
    data, mask, fill, hard = parts
    exactly(data, ref, np.ndarray)
    exactly(mask, ref, np.ndarray, None)
    exactly(fill, ref, np.ndarray, None)
    exactly(hard, ref, bool)
    mask = np.ma.nomask if mask is None else mask
    value: Any = np.ma.MaskedArray(data, mask=mask, hard_mask=hard, copy=False)
    if fill is not None:
        value._fill_value = fill  # the setter would take it for a number of the array's kind
    return value


def _objects(value: Any) -> Tag | None:
    if value.dtype.metadata:
        return None
    order = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
    return "$objects", [list(value.shape), order, value.ravel(order=order).tolist()]


def _objects_of(parts: Any, ref: str, find: Finder) -> Any:
    shape, order, items = parts
    all_exactly(shape, ref, int)
    exactly(items, ref, list)
    if min(shape, default=0) < 0 or math.prod(shape) != len(items):
        raise CorruptObjectError(f"{ref} is damaged: shape and items differ", ref)
    flat = np.empty(len(items), object)
    for at, item in enumerate(items):
        flat[at] = item
    return flat.reshape(shape, order=order)


def _deque_of(parts: Any, ref: str, find: Finder) -> deque[Any]:
    items, most = parts
    return deque(exactly(items, ref, list), exactly(most, ref, int, None))


def _sparse_of(parts: Any, ref: str, find: Finder) -> Any:
    from runstore.codecs._sparse import sparse_of

    return sparse_of(parts, ref)


_CONTAINERS: dict[str, Callable[[Any], Tag | None]] = {
    "builtins.slice": lambda value: ("$slice", [value.start, value.stop, value.step]),
    "collections.Counter": _counter,
    "collections.defaultdict": _default,
    "collections.deque": lambda value: ("$deque", [list(value), value.maxlen]),
    **dict.fromkeys(("numpy.ma.MaskedArray", "numpy.ma.core.MaskedArray"), _masked),
    **dict.fromkeys(_pint.KINDS, _pint.quantity_parts),
    **_tags_python.CONTAINERS,
    **_tags_libraries.CONTAINERS,
    **_tags_pandas.CONTAINERS,
}

BUILDERS: dict[str, Callable[[Any, str, Finder], Any]] = {
    "$counter": _counter_of,
    "$defaultdict": _default_of,
    "$deque": _deque_of,
    "$fields": made_of_fields,
    "$frozenset": lambda parts, ref, find: frozenset(parts),
    "$masked": _masked_of,
    "$namedtuple": _named_tuple,
    "$objects": _objects_of,
    "$set": lambda parts, ref, find: set(parts),
    "$sparse": _sparse_of,
    "$slice": lambda parts, ref, find: slice(*parts),
    "$pint": lambda parts, ref, find: _pint.quantity_of(parts, ref),
    **_tags_python.BUILDERS,
    **_tags_libraries.BUILDERS,
    **_tags_pandas.BUILDERS,
}
"""Of each tag of a container, what makes the value of its parts."""


def is_tagged(value: Any) -> bool:
    """Return whether the type of a value has a tag here; it may be refused all the same."""
    kind = type(value)
    name = type_name(kind)
    return (
        name in _SCALARS
        or name in _CONTAINERS
        or name.startswith(_SPARSE)
        or _is_of_objects(value, name)
        or isinstance(value, (enum.Enum, np.dtype))
        or _is_named_tuple(kind)
        or is_by_fields(kind)
    )

"""Which part of a value is the reason that only a pickle could keep it, for messages."""

from collections import ChainMap, Counter, OrderedDict, UserDict, UserList, defaultdict, deque
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from runstore.codecs._base import type_name
from runstore.codecs._fields import field_names, is_by_fields
from runstore.codecs._networkx import GRAPHS
from runstore.codecs._python import is_json, is_text
from runstore.codecs._reasons import shown
from runstore.codecs._tags import is_tagged
from runstore.errors import RunStoreError

__all__ = ["why_pickled"]

_MOST_TRIED = 500  # parts that are encoded for one message
_MOST_SEEN = 1_000_000  # parts that are looked at
_DEEPEST = 64
_KEYED = (dict, OrderedDict, defaultdict, Counter)
_LIBRARIES = ("numpy.ndarray", "pandas.", "polars.")
_PLAIN_BASES = (int, float, complex, str, bytes, list, tuple, dict, set, frozenset)


def why_pickled(value: Any) -> str | None:
    """Return the way to the part of *value* that no other codec keeps, and what that is.

    None if there is no more to say than the type of the value.
    """
    return _Search().reason(value)


class _Search:
    def __init__(self) -> None:
        self._tried = 0
        self._seen = 0

    def reason(self, value: Any) -> str | None:
        path, inside = "value", [value]
        while len(inside) <= _DEEPEST:
            found = None
            for step, part in _parts(value):
                if any(part is one for one in inside):
                    return f"{path}{step} contains itself"
                if self._is_refused(part):
                    found = step, part
                    break
            if found is None:
                return _of_its_own(value, path)
            path, value = path + found[0], found[1]
            inside.append(value)
        return f"{path[:60]}… is nested too deeply"

    def _is_refused(self, part: Any) -> bool:
        """Return whether a part by itself could only be pickled; not beyond the bounds."""
        self._seen += 1
        if is_json(part) or self._seen > _MOST_SEEN:
            return False
        if type(part) is str:
            return True
        self._tried += 1
        if self._tried > _MOST_TRIED:
            return False
        from runstore.codecs import Pickling, encode

        try:
            encode(part, Pickling("deny", "a part", explains=False))
        except RunStoreError:
            return True
        return False


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Return the parts that are seen without calling anything of a class of the user's."""
    kind = type(value)
    if kind in _KEYED:
        for key, item in value.items():
            yield f"[{shown(key)}]", item
        if kind is defaultdict:
            yield ".default_factory", value.default_factory
    elif kind in (list, tuple, deque):
        for at, item in enumerate(value):
            yield f"[{at}]", item
    elif kind in (set, frozenset):
        for item in value:
            yield "{…}", item
    elif kind in _OF_ATTRIBUTES:
        for attribute in _OF_ATTRIBUTES[kind]:
            yield f".{attribute}", getattr(value, attribute)
    elif kind is SimpleNamespace or is_by_fields(kind):
        for attribute in field_names(kind) if is_by_fields(kind) else vars(value):
            yield f".{attribute}", getattr(value, attribute, None)
    elif issubclass(kind, tuple) and is_tagged(value):
        for attribute, item in zip(value._fields, value, strict=True):
            yield f".{attribute}", item
    name = type_name(kind)
    if name in GRAPHS:
        for node, attributes in value._node.items():
            yield f".nodes[{shown(node)}]", attributes
        for node, near in value._adj.items():
            for other, attributes in near.items():
                yield f".edges[{shown(node)}, {shown(other)}]", attributes
    elif name.endswith(".MaskedArray"):
        yield ".data", value.data
    elif name == "numpy.ndarray" and value.dtype.kind == "O":
        for at, item in enumerate(value.flat):
            yield f".flat[{at}]" if value.ndim != 1 else f"[{at}]", item
    elif name.startswith("pandas."):
        for attribute in ("attrs", "index", "columns"):
            if attribute in _ATTRIBUTES.get(kind.__name__, ()):
                yield f".{attribute}", getattr(value, attribute)
        if kind.__name__ == "DataFrame":
            for at, label in enumerate(value.columns):
                yield f"[{shown(label)}]", value.iloc[:, at]
        elif kind.__name__ == "Series" and value.dtype.kind == "O":
            for at, item in enumerate(value.array):
                yield f".iloc[{at}]", item
        elif kind.__name__ == "Index" and value.dtype == object:
            for at, item in enumerate(value):
                yield f"[{at}]", item
        elif kind.__name__ in ("Categorical", "CategoricalIndex"):
            yield ".categories", value.categories
    elif name.startswith("xarray.core.data"):
        yield ".attrs", dict(value.attrs)
        yield ".encoding", dict(value.encoding)
        if name.endswith(".DataArray"):
            yield from _items_of(value.variable, "")
        for key in value.coords:
            yield from _items_of(value.coords[key].variable, f".coords[{shown(key)}]")
            yield f".coords[{shown(key)}].attrs", dict(value.coords[key].attrs)
            yield f".coords[{shown(key)}].encoding", dict(value.coords[key].encoding)
        if name.endswith(".Dataset"):
            for key in value.data_vars:
                yield from _items_of(value[key].variable, f"[{shown(key)}]")
                yield f"[{shown(key)}].attrs", dict(value[key].attrs)
                yield f"[{shown(key)}].encoding", dict(value[key].encoding)
    elif name == "polars.dataframe.frame.DataFrame":
        for column in value.get_columns():
            yield f"[{shown(column.name)}]", column


_OF_ATTRIBUTES: dict[type, tuple[str, ...]] = {
    ChainMap: ("maps",),
    UserDict: ("data",),
    UserList: ("data",),
    slice: ("start", "stop", "step"),
}


def _items_of(variable: Any, at: str) -> Iterator[tuple[str, Any]]:
    """Return the array of a variable of objects; nothing is loaded for it."""
    if type_name(type(variable._data)) == "numpy.ndarray" and variable._data.dtype.kind == "O":
        yield f"{at}.values", variable._data


_ATTRIBUTES = {"DataFrame": ("attrs", "index", "columns"), "Series": ("attrs", "index")}


def _of_its_own(value: Any, path: str) -> str | None:
    kind = type(value)
    if kind is str and not is_text(value):
        return f"{path} is text with half of a surrogate pair"
    if kind in _KEYED:
        for key in value:
            if type(key) is str and not is_text(key):
                return f"the key {shown(key)} of {path} is text with half of a surrogate pair"
            if _is_no_key(key):
                return f"a key of {path} is of the type {_plain_name(type(key))}"
    told = _plain_name(kind)
    if told.startswith("xarray.core.data") and hasattr(value, "xindexes"):
        for key, index in value.xindexes.items():
            if type(index).__name__ == "PandasMultiIndex":
                continue
            if type(index).__name__ != "PandasIndex" or key not in index.index.names:
                return f"{path} has the index {shown(key)}, a {_plain_name(type(index))}"
            if value.coords[key].dims != (key,):
                return f"{path} has an index of {shown(key)}, which is no dimension"
    if name := _strange_name(value):
        return f"{path}.name is {name}"
    if told.startswith(_LIBRARIES):  # nothing is asked of a class of the user's
        if told.startswith("pandas.") and getattr(value, "freq", None) is not None:
            return f"{path} has the freq {value.freq!r}"
        if getattr(value, "dtype", None) is not None:
            return f"{path} is a {told} of {value.dtype}"
    for base in _PLAIN_BASES:
        if issubclass(kind, base) and kind is not base:
            return f"{path} is a {told}, which is derived from {base.__name__}"
    return None if path == "value" else f"{path} is a {told}"


def _is_no_key(key: Any) -> bool:
    from runstore.codecs._plain import InexactError, plain_tree

    try:
        plain_tree(key)
    except InexactError:
        return True
    return False


def _strange_name(value: Any) -> str | None:
    """Return the name of a pandas object if that is neither text nor a whole number."""
    if not type_name(type(value)).startswith("pandas."):
        return None
    import pandas as pd

    if not isinstance(value, (pd.Series, pd.Index)):  # to ask others may warn or raise
        return None
    name = value.name
    return None if name is None or type(name) in (str, int) else shown(name)


def _plain_name(kind: type) -> str:
    return type_name(kind).removeprefix("builtins.")

"""xarray datasets and arrays: their arrays and indexes as they are, the rest as a tree."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from xarray.indexes import PandasIndex, PandasMultiIndex

from runstore.codecs._base import Encoded, Opened
from runstore.codecs._nested import decode_tree, encode_tree
from runstore.codecs._pickle import Pickling
from runstore.errors import CorruptObjectError

__all__ = ["XarrayCodec"]


class XarrayCodec:
    """``xarray.Dataset``, ``DataArray`` and ``DataTree`` with one index per dimension.

    Their variables are NumPy arrays, or arrays and indexes of pandas. Lazy and dask arrays,
    indexes of the user, and attributes without an exact codec are left to pickle.
    """

    name = "xarray"
    version = 4  # since 3 variables of pandas, coordinates alone; since 4 MultiIndexes and trees

    def encode(self, value: Any, pickling: Pickling) -> Encoded | None:
        """See `runstore.codecs.Codec.encode`."""
        nodes = list(value.subtree) if _is_tree(value) else [value]
        if not all(map(_has_plain_indexes, nodes)):
            return None
        try:
            tree = _tree(value)
            same = tree is not None and _is_sound(tree) and _is_same(value, _rebuilt(tree))
        except (ValueError, TypeError):
            return None
        if not same:
            return None
        encoded = encode_tree(tree, {}, careful=pickling.is_careful)
        if encoded is not None:
            if _is_tree(value) or _has_levels(value):
                encoded.version = 4
            elif _is_new(value):
                encoded.version = 3
        return encoded

    def decode(self, opened: Opened, spec: dict[str, Any], pickling: Pickling) -> Any:
        """See `runstore.codecs.Codec.decode`."""
        tree = decode_tree(opened, spec, pickling)
        try:
            if _is_sound(tree):
                return _rebuilt(tree)
            reason: Exception | None = None
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as exc:
            reason = exc  # xarray's, of parts that do not fit each other
        told = f" ({reason})" if reason else ""
        raise CorruptObjectError(
            f"{opened.ref} is damaged: no dataset or array of xarray{told}", opened.ref
        ) from reason


def _has_plain_indexes(value: Any) -> bool:
    return all(
        type(index) is PandasMultiIndex or (type(index) is PandasIndex and index.index.nlevels == 1)
        for index in value.xindexes.values()
    )


def _has_levels(value: Any) -> bool:
    return any(type(index) is PandasMultiIndex for index in value.xindexes.values())


def _is_tree(value: Any) -> bool:
    return type(value).__name__ == "DataTree"  # which older versions of xarray lack


def _tree(value: Any) -> list[Any] | None:
    if _is_tree(value):
        nodes = None if value.parent is not None else _node(value)
        return None if nodes is None else ["DataTree", {}, value.name, nodes]
    coords = {name: _coordinate(value, name, coord) for name, coord in value.coords.items()}
    if isinstance(value, xr.Dataset):
        variables = {name: _parts(value[name].variable) for name in value.data_vars}
        return ["Dataset", coords, variables, value.attrs, value.encoding]
    if type(value.variable) is xr.IndexVariable:
        return ["Coordinate", coords, value.name] if value.name in coords else None
    return ["DataArray", coords, _parts(value.variable), value.name]


def _node(node: Any) -> list[Any] | None:
    """Return the dataset of a node of a tree, without what it inherits, and its children."""
    own = _tree(node.to_dataset(inherit=False))
    children = {name: _node(child) for name, child in node.children.items()}
    return None if own is None or None in children.values() else [own, children]


def _coordinate(value: Any, name: Any, coord: Any) -> list[Any]:
    index = value.xindexes.get(name)
    if type(index) is PandasMultiIndex:
        about = [coord.variable.attrs, coord.variable.encoding]
        if name != index.dim:
            return [coord.dims, None, *about, "level", index.dim]
        return [coord.dims, index.index, *about, "levels", index.level_coords_dtype]
    parts = _parts(coord.variable, index)
    return parts if index is not None or coord.dims != (name,) else [*parts, "no index"]


def _parts(variable: Any, index: Any = None) -> list[Any]:
    """Return a variable as dims, data, attrs, encoding; an indexed one has its index as data."""
    if index is None:
        data = _data(variable)
    else:  # text is <U in xarray, and not so in its index
        data = variable.values if index.coord_dtype.kind in "US" else index.index
    return [variable.dims, data, variable.attrs, variable.encoding]


def _data(variable: Any) -> Any:
    """Return the array or index behind a variable, not what xarray wraps it in."""
    data = variable._data
    return data.array if type(data).__name__ in _WRAPPED else data


_WRAPPED = ("PandasExtensionArray", "PandasIndexingAdapter", "PandasMultiIndexingAdapter")


def _is_new(value: Any) -> bool:
    """Return whether version 2 of the codec could not write it."""
    if isinstance(value, xr.DataArray) and type(value.variable) is xr.IndexVariable:
        return True
    if any(
        coord.dims == (name,) and name not in value.xindexes for name, coord in value.coords.items()
    ):
        return True
    whole = value if isinstance(value, xr.Dataset) else value._to_temp_dataset()
    free = (variable for name, variable in whole.variables.items() if name not in whole.xindexes)
    return any(_data(variable) is not variable._data for variable in free)


# What is read is checked first: xarray would make an array of anything, of any size.


def _is_sound(tree: Any) -> bool:
    """Return whether a tree has the parts that `_tree` makes, each of the types that it has."""
    if type(tree) is not list or not tree or type(tree[0]) is not str:
        return False
    kind, *parts = tree
    if len(parts) != {"DataTree": 3, "Dataset": 4, "DataArray": 3, "Coordinate": 2}.get(kind, 0):
        return False
    coords, *parts = parts
    if type(coords) is not dict or not all(_is_coordinate(coords, one) for one in coords):
        return False
    if kind == "DataTree":
        return not coords and _is_sound_node(parts[1])
    if kind == "Coordinate":
        return parts[0] in coords
    if kind == "DataArray":
        return _is_variable(parts[0])
    variables = parts[0]
    return all(type(part) is dict for part in parts) and all(map(_is_variable, variables.values()))


def _is_sound_node(node: Any) -> bool:
    if type(node) is not list or len(node) != 2 or type(node[1]) is not dict:
        return False
    dataset, children = node
    return (
        _is_sound(dataset)
        and dataset[0] == "Dataset"
        and all(map(_is_sound_node, children.values()))
    )


def _is_coordinate(coords: dict[Any, Any], name: Any) -> bool:
    coord = coords[name]
    if type(coord) is not list:
        return False
    if len(coord) < 6:
        return coord[4:] in ([], ["no index"]) and _is_variable(coord[:4])
    if len(coord) > 6 or not _is_about(*coord[:1], *coord[2:4]) or type(coord[4]) is not str:
        return False
    _, data, _, _, kind, told = coord
    if kind == "level":
        whole = coords.get(told) if isinstance(told, Hashable) else None
        return data is None and type(whole) is list and whole[4:5] == ["levels"]
    return (
        kind == "levels"
        and type(data) is pd.MultiIndex
        and type(told) is dict
        and all(
            isinstance(dtype, (np.dtype, pd.api.extensions.ExtensionDtype))
            for dtype in told.values()
        )
        and all(type(coords.get(level)) is list and len(coords[level]) == 6 for level in data.names)
    )


def _is_variable(parts: Any) -> bool:
    if type(parts) is not list or len(parts) != 4:
        return False
    dims, data, attrs, encoding = parts
    return _is_about(dims, attrs, encoding) and (
        type(data) is np.ndarray or isinstance(data, _DATA)
    )


_DATA = (np.generic, pd.Index, pd.api.extensions.ExtensionArray)


def _is_about(dims: Any, attrs: Any, encoding: Any) -> bool:
    named = type(dims) is tuple and all(isinstance(dim, Hashable) for dim in dims)
    return named and type(attrs) is dict and type(encoding) is dict


def _rebuilt(tree: Any) -> Any:
    kind, coords, *parts = tree
    if kind == "DataTree":
        name, nodes = parts
        return _rebuilt_node(nodes, name)
    variables: Any = {
        name: xr.Variable(*coord[:4]) for name, coord in coords.items() if not _is_of_levels(coord)
    }
    without = [name for name, coord in coords.items() if coord[4:] == ["no index"]]
    if len(variables) < len(coords):
        variables = _with_levels(coords, xr.Dataset(coords=variables))
    built = _built(kind, variables, parts)
    return built.drop_indexes(without) if without else built


def _rebuilt_node(node: Any, name: Any) -> Any:
    own, children = node
    built = {name: _rebuilt_node(child, None) for name, child in children.items()}
    dataset = _rebuilt(own)
    made = xr.DataTree(dataset, built, name)
    made.encoding = dataset.encoding
    return made


def _is_of_levels(coord: list[Any]) -> bool:
    return len(coord) == 6


def _with_levels(coords: dict[Any, list[Any]], rest: Any) -> Any:
    """Return coordinates in their order: those of MultiIndexes, and the *rest* with its indexes."""
    variables, indexes = {}, {}
    for name, coord in coords.items():
        if coord[4:5] == ["levels"]:
            index = PandasMultiIndex(coord[1], name, coord[5])
            for level, variable in index.create_variables().items():
                variable.attrs, variable.encoding = coords[level][2:4]
                variables[level], indexes[level] = variable, index
    variables |= rest.variables
    indexes |= rest.xindexes
    return xr.Coordinates(
        {name: variables[name] for name in coords},
        {name: indexes[name] for name in coords if name in indexes},
    )


def _built(kind: str, variables: dict[Any, Any], parts: list[Any]) -> Any:
    if kind == "Coordinate":
        (name,) = parts
        return xr.Dataset(coords=variables)[name]
    if kind == "DataArray":
        (dims, data, attrs, encoding), name = parts
        array = xr.DataArray(data, variables, dims, name, attrs)
        array.encoding = encoding
        return array
    content, attrs, encoding = parts
    data_vars = {name: xr.Variable(*variable) for name, variable in content.items()}
    dataset = xr.Dataset(data_vars, variables, attrs)
    dataset.encoding = encoding
    return dataset


def _is_same(one: Any, other: Any) -> bool:
    """Return whether a value was rebuilt on the same arrays with the same names around them."""
    if _is_tree(one) and _is_tree(other):
        return _is_same_tree(one, other)
    if type(one) is not type(other) or list(one.coords) != list(other.coords):
        return False
    if dict(one.sizes) != dict(other.sizes) or list(one.xindexes) != list(other.xindexes):
        return False
    if isinstance(one, xr.Dataset):
        if list(one.data_vars) != list(other.data_vars):
            return False
        pairs = [(one[name].variable, other[name].variable) for name in one.data_vars]
    else:
        pairs = [(one.variable, other.variable)]
    for name, index in one.xindexes.items():
        rebuilt = other.xindexes[name]
        if type(rebuilt) is not type(index) or rebuilt.dim != index.dim:
            return False
        if type(index) is PandasMultiIndex:
            if rebuilt is not other.xindexes.get(index.dim):
                return False
            if rebuilt.level_coords_dtype != index.level_coords_dtype:
                return False
        if type(rebuilt.index) is not type(index.index) or rebuilt.coord_dtype != index.coord_dtype:
            return False
        if rebuilt.index.dtype != index.index.dtype or not rebuilt.index.identical(index.index):
            return False
        if getattr(rebuilt.index, "freq", None) != getattr(index.index, "freq", None):
            return False
    free = [name for name in one.coords if name not in one.xindexes]
    pairs += [(one.coords[name].variable, other.coords[name].variable) for name in free]
    return all(_is_on(a, b) for a, b in pairs)


def _is_same_tree(one: Any, other: Any) -> bool:
    if one.name != other.name or list(one.children) != list(other.children):
        return False
    if type(one) is not type(other) or one.encoding != other.encoding:
        return False
    if not _is_same(*(node.to_dataset(inherit=False) for node in (one, other))):
        return False
    pairs = zip(one.children.values(), other.children.values(), strict=True)
    return all(_is_same_tree(a, b) for a, b in pairs)


def _is_on(one: Any, other: Any) -> bool:
    """Return whether both are variables of one kind on the same array or index."""
    a, b = _data(one), _data(other)
    if type(one) is not type(other) or type(one._data) is not type(other._data):
        return False
    if one.dims != other.dims or type(a) is not type(b) or one.dtype != other.dtype:
        return False
    if type(a) is not np.ndarray:
        return a is not one._data and bool(a.dtype == b.dtype) and _is_equal(a, b)
    return bool(a.dtype == b.dtype) and (
        a.__array_interface__ == b.__array_interface__ or a.tobytes() == b.tobytes()
    )


def _is_equal(one: Any, other: Any) -> bool:
    """Return whether arrays or indexes of pandas are the same."""
    if one is other:
        return True
    if isinstance(one, pd.Index):
        same = one.identical(other) and getattr(one, "freq", 0) == getattr(other, "freq", 0)
        return bool(same)
    return bool(one.equals(other))

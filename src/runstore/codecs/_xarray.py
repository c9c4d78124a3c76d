"""xarray datasets and arrays: their arrays and indexes as they are, the rest as a tree."""

from typing import Any

import numpy as np
import xarray as xr
from xarray.indexes import PandasIndex

from runstore.codecs._base import Encoded, Opened
from runstore.codecs._nested import decode_tree, encode_tree
from runstore.codecs._pickle import Pickling

__all__ = ["XarrayCodec"]

_KINDS = {"Dataset": xr.Dataset, "DataArray": xr.DataArray}


class XarrayCodec:
    """``xarray.Dataset`` and ``DataArray`` of NumPy arrays with one index per dimension.

    Lazy and dask arrays, MultiIndexes, indexes of one's own, and attributes without
    an exact codec are left to pickle.
    """

    name = "xarray"
    version = 2  # since then attributes and arrays of more types

    def encode(self, value: Any, pickling: Pickling) -> Encoded | None:
        """See `runstore.codecs.Codec.encode`."""
        kind = type(value).__name__
        if any(type(i) is not PandasIndex or i.index.nlevels > 1 for i in value.xindexes.values()):
            return None
        if kind == "DataArray":
            parts: Any = [_parts(value.variable), value.name]
        else:
            variables = {name: _parts(value[name].variable) for name in value.data_vars}
            parts = [variables, value.attrs, value.encoding]
        coords = {
            name: _parts(coord.variable, value.xindexes.get(name))
            for name, coord in value.coords.items()
        }
        tree = [kind, coords, *parts]
        try:
            same = _is_same(value, _rebuilt(tree))
        except (ValueError, TypeError):
            return None
        return encode_tree(tree, {}) if same else None

    def decode(self, opened: Opened, spec: dict[str, Any], pickling: Pickling) -> Any:
        """See `runstore.codecs.Codec.decode`."""
        return _rebuilt(decode_tree(opened, spec, pickling))


def _parts(variable: Any, index: Any = None) -> list[Any]:
    """Return a variable as dims, data, attrs, encoding; an indexed one has its index as data."""
    if index is None:
        data = variable._data
    else:  # text is <U in xarray, and not so in its index
        data = index.index if index.coord_dtype == index.index.dtype else variable.values
    return [variable.dims, data, variable.attrs, variable.encoding]


def _rebuilt(tree: Any) -> Any:
    kind, coords, *parts = tree
    variables = {name: xr.Variable(*coord) for name, coord in coords.items()}
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
        if type(rebuilt.index) is not type(index.index) or rebuilt.coord_dtype != index.coord_dtype:
            return False
        if rebuilt.index.dtype != index.index.dtype or not rebuilt.index.identical(index.index):
            return False
        if getattr(rebuilt.index, "freq", None) != getattr(index.index, "freq", None):
            return False
    free = [name for name in one.coords if name not in one.xindexes]
    pairs += [(one.coords[name].variable, other.coords[name].variable) for name in free]
    return all(_is_on(a, b) for a, b in pairs)


def _is_on(one: Any, other: Any) -> bool:
    """Return whether both are plain variables on the same array."""
    a, b = one._data, other._data
    return (
        type(one) is type(other)
        and type(a) is np.ndarray
        and type(b) is np.ndarray
        and one.dims == other.dims
        and a.dtype == b.dtype
        and (a.__array_interface__ == b.__array_interface__ or a.tobytes() == b.tobytes())
    )

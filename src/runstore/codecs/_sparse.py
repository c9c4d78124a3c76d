"""SciPy's sparse arrays and matrices of every format: the arrays they are made of.

SciPy's own code follows the indices without looking where they lead, so all of them are checked
when they are read.
"""

from typing import Any

import numpy as np

from runstore.codecs._exactly import all_exactly, exactly
from runstore.errors import CorruptObjectError

__all__ = ["CANONICAL", "sparse_of", "sparse_parts"]

CANONICAL = "canonical"
"""Stands behind the coordinates that are known to be sorted, each place once."""

_COMPRESSED = ("bsr", "csc", "csr")
_FORMATS = (*_COMPRESSED, "coo", "dia", "dok", "lil")
_OF_ALL = {"_shape", "data", "maxprint"}
_STATE = {
    **{
        how: {"indices", "indptr", "_has_sorted_indices", "_has_canonical_format"}
        for how in _COMPRESSED
    },
    "coo": {"coords", "row", "col", "has_canonical_format"},
    "dia": {"offsets"},
    "dok": {"_dict", "dtype"},
    "lil": {"rows", "dtype"},
}


def sparse_parts(value: Any) -> list[Any] | None:
    """Return what a sparse array or matrix is made of; None if that is more than is known here."""
    name, how = type(value).__name__, type(value).__name__[:3]
    if name not in _names() or set(vars(value)) - _OF_ALL - _STATE[how]:
        return None
    if how in _COMPRESSED:
        used = int(value.indptr[-1])  # what is behind that belongs to no row
        arrays = [value.data[:used], value.indices[:used], value.indptr]
    elif how == "coo":
        arrays = [value.data, *_coordinates(value)]
        if value.has_canonical_format is True:
            arrays.append(CANONICAL)
    elif how == "dia":
        arrays = [value.data, value.offsets]
    elif how == "dok":
        arrays = _of_dict(value)
    else:
        arrays = _of_lists(value)
    if not arrays or any(type(part) not in (np.ndarray, str) for part in arrays):
        return None
    parts = [name, list(map(int, value.shape)), value.maxprint, *arrays]
    try:
        sparse_of(parts, "the value")  # the indices are not SciPy's alone to set
    except CorruptObjectError:
        return None
    return parts


def _of_dict(value: Any) -> list[Any]:
    """Keys and items in their order; nothing if they are not of one type each."""
    keys = [key if type(key) is tuple else (key,) for key in value._dict]
    axes = [index for key in keys for index in key]
    items = list(value._dict.values())
    kinds = _kind_of(axes, np.dtype("i8")), _kind_of(items, value.dtype)
    if None in kinds:
        return []
    dtype = "i8" if kinds[0] == "python" else type(axes[0])
    where = np.array(axes, dtype).reshape(len(items), len(value.shape))
    return [np.array(items, value.dtype), where, *kinds]


def _of_lists(value: Any) -> list[Any]:
    rows = [index for row in value.rows for index in row]
    items = [item for row in value.data for item in row]
    kinds = _kind_of(rows, np.dtype("i8")), _kind_of(items, value.dtype)
    lengths = np.array([len(row) for row in value.rows], "i8")
    if kinds[0] != "python" or kinds[1] is None or len(rows) != len(items):
        return []
    return [np.array(items, value.dtype), np.array(rows, "i8"), lengths, kinds[1]]


def _kind_of(cells: list[Any], dtype: Any) -> str | None:
    """Return whether cells are Python's numbers or NumPy's; None if they are of several types."""
    kinds = set(map(type, cells))
    if kinds <= {type(np.zeros(1, dtype).tolist()[0])}:
        return "python"
    of_numpy = len(kinds) == 1 and issubclass(kinds.pop(), np.generic)
    same = of_numpy and (cells[0].dtype == dtype or cells[0].dtype.kind == dtype.kind == "i")
    return "numpy" if same else None


def _cells(array: Any, kind: str) -> list[Any]:
    cells: list[Any] = array.tolist() if kind == "python" else list(array)
    return cells


def sparse_of(parts: list[Any], ref: str) -> Any:
    """Rebuild what `sparse_parts` was given.

    Raises:
        CorruptObjectError: An index leads out of the shape, or the arrays do not fit it.
    """
    import scipy.sparse

    name, shape, maxprint, *arrays = parts
    if name not in _names():
        raise CorruptObjectError(f"{ref} is damaged: {name!r} is no sparse array", ref)
    kind, how = getattr(scipy.sparse, name), name[:3]
    shape = tuple(all_exactly(shape, ref, int))
    exactly(maxprint, ref, int, None)
    all_exactly(arrays, ref, np.ndarray, str)
    exactly(arrays[0] if arrays else None, ref, np.ndarray)
    try:
        value = _BUILD[how](kind, shape, *arrays)
    except (ValueError, IndexError, TypeError) as exc:
        raise CorruptObjectError(f"{ref} is damaged: no sparse array ({exc})", ref) from exc
    if tuple(value.shape) != shape:
        raise CorruptObjectError(f"{ref} is damaged: a sparse array of another shape", ref)
    value.maxprint = maxprint
    return value


def _names() -> set[str]:
    return {f"{how}_{kind}" for how in _FORMATS for kind in ("array", "matrix")}


def _coordinates(value: Any) -> list[Any]:
    return list(value.coords) if hasattr(value, "coords") else [value.row, value.col]


def _compressed(kind: Any, shape: Any, data: Any, indices: Any, indptr: Any) -> Any:
    how = kind.__name__[:3]
    block = data.shape[1:] if how == "bsr" else (1, 1)
    rows, columns = (1, *shape)[-2:]
    if len(block) != 2 or 0 in block or rows % block[0] or columns % block[1]:
        raise ValueError("blocks that do not fit the shape")
    major, minor = rows // block[0], columns // block[1]
    if how == "csc":
        major, minor = minor, major
    _check(indices, minor, len(data))
    if indptr.dtype.kind != "i" or indptr.shape != (major + 1,) or indptr[0] != 0:
        raise ValueError("rows of other lengths")
    if indptr[-1] != len(data) or (np.diff(indptr) < 0).any():
        raise ValueError("rows of other lengths")
    value = kind((data, indices, indptr), shape=shape, copy=False)
    value.data, value.indices, value.indptr = data, indices, indptr  # it may take narrower ones
    return value


def _coo(kind: Any, shape: Any, data: Any, *coordinates: Any) -> Any:
    canonical = type(coordinates[-1]) is str and coordinates[-1] == CANONICAL
    coordinates = coordinates[:-1] if canonical else coordinates
    for axis, size in zip(coordinates, shape, strict=True):
        _check(axis, size, len(data))
    value = kind((data, coordinates), shape=shape, copy=False)
    value.has_canonical_format = canonical
    if hasattr(value, "coords"):
        value.coords = tuple(coordinates)
    else:
        value.row, value.col = coordinates
    return value


def _dia(kind: Any, shape: Any, data: Any, offsets: Any) -> Any:
    value = kind((data, offsets), shape=shape, copy=False)
    value.offsets = offsets
    return value


def _dok(kind: Any, shape: Any, data: Any, where: Any, of_keys: str, of_items: str) -> Any:
    if where.shape != (len(data), len(shape)):
        raise ValueError("keys and items differ in number")
    for axis, size in zip(where.T, shape, strict=True):
        _check(axis, size, len(data))
    value = kind(shape, dtype=data.dtype)
    keys: Any = zip(*(_cells(axis, of_keys) for axis in where.T), strict=True)
    if len(shape) == 1:
        keys = (key for (key,) in keys)
    value._dict.update(zip(keys, _cells(data, of_items), strict=True))
    return value


def _lil(kind: Any, shape: Any, data: Any, rows: Any, lengths: Any, of_items: str) -> Any:
    _check(rows, shape[-1], len(data))
    if len(lengths) != shape[0] or lengths.min(initial=0) < 0 or lengths.sum() != len(data):
        raise ValueError("rows of other lengths")
    value = kind(shape, dtype=data.dtype)
    ends, indices, items = np.cumsum(lengths), rows.tolist(), _cells(data, of_items)
    for at, (start, end) in enumerate(zip(ends - lengths, ends, strict=True)):
        value.rows[at], value.data[at] = indices[start:end], items[start:end]
    return value


def _check(axis: Any, size: int, count: int) -> None:
    if axis.dtype.kind != "i" or axis.shape != (count,):
        raise ValueError("coordinates and data differ in number")
    if count and (axis.min() < 0 or axis.max() >= size):
        raise ValueError("an index leads out of the shape")


_BUILD = {
    **dict.fromkeys(_COMPRESSED, _compressed),
    "coo": _coo,
    "dia": _dia,
    "dok": _dok,
    "lil": _lil,
}

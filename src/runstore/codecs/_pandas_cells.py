"""Object columns of pandas: cells of one type as an Arrow column of it, all others as tagged JSON.

What stands for a missing value is kept: None, NaN, NaT and NA are four things. If a column has
one of them, its spec says which; if it has several, a number beside each null does.
"""

import datetime as dt
import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from itertools import chain
from math import isnan
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.types as kinds

from runstore.buffers import flat
from runstore.codecs._base import Opened
from runstore.codecs._classes import Finder
from runstore.codecs._numpy_dtypes import has_twin
from runstore.codecs._packed_items import Packer, UnpackableError, unpacked
from runstore.codecs._pandas_buffers import whole
from runstore.codecs._pickle import Pickling
from runstore.codecs._plain import InexactError, from_tree, plain_tree
from runstore.codecs._tags_weight import weight_of
from runstore.codecs._types import check_type
from runstore.errors import CorruptObjectError

__all__ = ["decode_cells", "encode_cells"]

Spec = dict[str, Any]
Array = np.ndarray[Any, Any]

_MISSING: dict[str, Any] = {"none": None, "nan": np.nan, "na": pd.NA, "nat": pd.NaT}
_MISSING_TYPES = {type(None): "none", type(pd.NA): "na", type(pd.NaT): "nat"}
_MANY = 256  # cells; fewer are tagged JSON
_MOST_AGAIN = 1 << 24  # characters written again because one object is in several cells


def encode_cells(values: Array) -> tuple[pa.Array, Spec] | None:
    """Return an array of objects as an Arrow array and a spec; None if that would change one."""
    types = set(map(type, values))
    told = {_MISSING_TYPES[kind] for kind in types if kind in _MISSING_TYPES}
    types -= _MISSING_TYPES.keys()
    cells = values.tolist()
    if float in types and (len(types) > 1 or _is_all_nan(cells)):
        if _is_all_nan(cells):  # they stand for what is missing
            types.discard(float)
            told.add("nan")
        else:
            types.add(object)
    present = [None if _named(cell, told) else cell for cell in cells] if told else cells
    encoded = _typed(types, present) or _packed(types, present) or _of_trees(present)
    if encoded is None:
        return None
    column, kind, items = encoded
    missing = sorted(told, key=list(_MISSING).index)
    if kind in ("bytes", "text") and missing in ([], ["none"]):
        return column, {"k": "object"}  # as it has always been
    if len(missing) > 1:
        codes = [missing.index(name) if (name := _named(cell, told)) else None for cell in cells]
        fields = [pa.field("value", column.type), pa.field("missing", pa.int8())]
        column = pa.StructArray.from_arrays([column, pa.array(codes, pa.int8())], fields=fields)
    return column, {"k": "cells", "of": kind, "missing": missing, **items}


def decode_cells(opened: Opened, column: pa.ChunkedArray, spec: Spec, pickling: Pickling) -> Array:
    """Rebuild an array of objects.

    Raises:
        CorruptObjectError: Column and spec do not fit.
    """
    opened.check_all()  # all of it is read
    missing, chunk = spec["missing"], whole(column)
    codes: list[Any] | None = None
    if len(missing) > 1:
        check_type(opened, chunk.type, kinds.is_struct)
        codes, chunk = chunk.field(1).to_pylist(), chunk.field(0)
    if spec["of"] == "packed":
        cells = unpacked(opened, chunk, spec["items"])
    elif spec["of"] in _DECODERS:
        accepts, decoder = _DECODERS[spec["of"]]
        check_type(opened, chunk.type, accepts)
        if spec["of"] == "tree":
            stored = flat(opened.data).nbytes
            weights = (weight_of(text) for text in chunk.to_pylist() if text is not None)
            pickling.spend(sum(weights), stored)
        cells = decoder(chunk, opened.ref, pickling.class_named)
    else:
        raise CorruptObjectError(f"{opened.ref} has cells of unknown kind {spec['of']!r}")
    if codes is not None:
        by_code = [_MISSING[name] for name in missing]
        cells = [
            cell if code is None else by_code[code] for cell, code in zip(cells, codes, strict=True)
        ]
    elif missing not in ([], ["none"]):
        instead = _MISSING[missing[0]]
        cells = [instead if cell is None else cell for cell in cells]
    values = np.empty(len(chunk), object)
    for at, cell in enumerate(cells):  # NumPy would take lists for rows
        values[at] = cell
    return values


def _is_all_nan(cells: Iterable[Any]) -> bool:
    return all(isnan(cell) for cell in cells if type(cell) is float)


def _named(cell: Any, told: set[str]) -> str | None:
    """Return which missing value a cell is, if it is one of these."""
    kind = type(cell)
    if kind is float:
        return "nan" if "nan" in told and isnan(cell) else None
    return _MISSING_TYPES.get(kind)


# Cells to Arrow: what they are, and None for what is missing -------------------------------------


_Cells = tuple[pa.Array, str, Spec]


def _typed(types: set[type], cells: list[Any]) -> _Cells | None:
    if not types:
        return pa.nulls(len(cells), pa.large_string()), "text", {}
    if len(types) == 1 and (of := _OF_TYPE.get(next(iter(types)))) is not None:
        try:
            column = of[1](cells)
        except (pa.ArrowException, UnicodeEncodeError, OverflowError):
            column = None
        if isinstance(column, pa.Array):
            return column, of[0], {}
    return None


def _packed(types: set[type], cells: list[Any]) -> _Cells | None:
    """A column of many tuples, lists or dicts with parts of the same types."""
    if len(cells) < _MANY or types - {dict, list, tuple}:
        return None
    try:
        column, items = Packer(arrays=False).column(cells)
    except UnpackableError:
        return None
    return column, "packed", {"items": items}


def _of_trees(cells: list[Any]) -> _Cells | None:
    try:
        column = pa.array(_trees(cells), pa.large_string())
    except (InexactError, pa.ArrowException):
        return None
    return (column, "tree", {}) if isinstance(column, pa.Array) else None


def _trees(cells: list[Any]) -> list[str | None]:
    texts: list[str | None] = []
    seen: dict[int, str] = {}
    again = 0
    for cell in cells:
        if cell is None:
            texts.append(None)
            continue
        text = seen.get(id(cell))
        if text is None:
            text = json.dumps(plain_tree(cell), separators=(",", ":"))
            seen[id(cell)] = text
        else:
            again += len(text)
            if again > _MOST_AGAIN:
                raise InexactError
        texts.append(text)
    return texts


def _as(kind: pa.DataType) -> Callable[[list[Any]], Any]:
    return lambda cells: pa.array(cells, kind, from_pandas=False)


def _times(cells: list[Any]) -> Any:
    plain = all(cell is None or (cell.tzinfo is None and not cell.fold) for cell in cells)
    return pa.array(cells, pa.time64("us")) if plain else None


def _points(cells: list[Any]) -> Any:
    plain = all(cell is None or (cell.tzinfo is None and not cell.fold) for cell in cells)
    return pa.array(cells, pa.timestamp("us"), from_pandas=False) if plain else None


def _decimals(cells: list[Any]) -> Any:
    """A column of decimals, if all have the same number of places."""
    told = [cell.as_tuple() for cell in cells if cell is not None]
    places = {number.exponent for number in told}
    if len(places) != 1 or any(number.sign and not any(number.digits) for number in told):
        return None
    (exponent,) = places
    if not isinstance(exponent, int) or exponent > 0:
        return None
    digits = max(-exponent, max(len(number.digits) for number in told), 1)
    if digits > _MOST_DIGITS:
        return None
    kind = pa.decimal128 if digits <= _DIGITS else pa.decimal256
    return pa.array(cells, kind(digits, -exponent))


_DIGITS, _MOST_DIGITS = 38, 76  # of Arrow's decimals
_ITEMS = {bool: pa.bool_(), float: pa.float64(), int: pa.int64(), str: pa.large_string()}


def _lists(cells: list[Any]) -> Any:
    """A column of lists, if all items are of one type."""
    types = set(map(type, chain.from_iterable(cell for cell in cells if cell is not None)))
    types.discard(type(None))
    if len(types) > 1:
        return None
    item = _ITEMS.get(types.pop()) if types else pa.float64()
    return None if item is None else pa.array(cells, pa.large_list(item), from_pandas=False)


def _arrays(cells: list[Any]) -> Any:
    """A column of lists of numbers, if all arrays have one dimension and the same dtype."""
    arrays = [cell for cell in cells if cell is not None]
    dtype = arrays[0].dtype
    if dtype.kind not in "iuf" or dtype.itemsize > 8 or has_twin(dtype) or not dtype.isnative:
        return None
    if dtype.metadata or any(array.ndim != 1 or array.dtype != dtype for array in arrays):
        return None
    if dtype.isbuiltin != 1 or any(has_twin(array.dtype) for array in arrays):
        return None
    lengths = np.array([0 if cell is None else len(cell) for cell in cells], "i8")
    offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))))
    mask = pa.array([cell is None for cell in cells])
    return pa.LargeListArray.from_arrays(offsets, pa.array(np.concatenate(arrays)), mask=mask)


_OF_TYPE: dict[type, tuple[str, Callable[[list[Any]], Any]]] = {
    Decimal: ("decimal", _decimals),
    bool: ("bool", _as(pa.bool_())),
    bytes: ("bytes", _as(pa.large_binary())),
    dt.date: ("date", _as(pa.date32())),
    dt.datetime: ("datetime", _points),
    dt.time: ("time", _times),
    dt.timedelta: ("timedelta", _as(pa.duration("us"))),
    float: ("float", _as(pa.float64())),
    int: ("int", _as(pa.int64())),
    list: ("list", _lists),
    np.ndarray: ("array", _arrays),
    str: ("text", _as(pa.large_string())),
    tuple: ("tuple", _lists),
}


# And back -----------------------------------------------------------------------------------------


def _as_they_are(chunk: pa.Array, ref: str, find: Finder) -> list[Any]:
    cells: list[Any] = chunk.to_pylist()
    return cells


def _tuples(chunk: pa.Array, ref: str, find: Finder) -> list[Any]:
    cells = _lists_back(chunk, ref, find)
    return [None if cell is None else tuple(cell) for cell in cells]


def _lists_back(chunk: pa.Array, ref: str, find: Finder) -> list[Any]:
    cells: list[Any] = chunk.to_pylist()
    if not kinds.is_floating(chunk.type.value_type):
        return cells
    for cell in cells:  # to pandas, only the same NaN in a list is equal
        for at, item in enumerate(cell or ()):
            if item is not None and item != item:
                cell[at] = np.nan
    return cells


def _arrays_back(chunk: pa.Array, ref: str, find: Finder) -> list[Any]:
    """Each array on memory of its own, so that one can be written to, and outlives the others."""
    items = chunk.values.to_numpy(zero_copy_only=False)
    ends = chunk.offsets.to_numpy().tolist()
    valid = chunk.is_valid().to_pylist()
    return [
        items[start:end].copy() if there else None
        for start, end, there in zip(ends[:-1], ends[1:], valid, strict=True)
    ]


_CONSTANTS = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}
_loads = json.JSONDecoder(parse_constant=_CONSTANTS.__getitem__).decode


def _trees_back(chunk: pa.Array, ref: str, find: Finder) -> list[Any]:
    def leaf(at: int) -> Any:
        raise CorruptObjectError(f"{ref} is damaged: a cell has a leaf", ref)

    try:
        return [
            None if text is None else from_tree(_loads(text), leaf, ref, find)
            for text in chunk.to_pylist()
        ]
    except RecursionError as exc:
        raise CorruptObjectError(f"{ref} is damaged: a cell is nested too deeply", ref) from exc


_DECODERS: dict[str, tuple[Callable[[Any], bool], Callable[[pa.Array, str, Finder], list[Any]]]] = {
    "array": (kinds.is_large_list, _arrays_back),
    "bool": (kinds.is_boolean, _as_they_are),
    "bytes": (kinds.is_large_binary, _as_they_are),
    "date": (kinds.is_date32, _as_they_are),
    "datetime": (kinds.is_timestamp, _as_they_are),
    "decimal": (kinds.is_decimal, _as_they_are),
    "float": (kinds.is_float64, _as_they_are),
    "int": (kinds.is_int64, _as_they_are),
    "list": (kinds.is_large_list, _lists_back),
    "text": (kinds.is_large_string, _as_they_are),
    "time": (kinds.is_time64, _as_they_are),
    "timedelta": (kinds.is_duration, _as_they_are),
    "tree": (kinds.is_large_string, _trees_back),
    "tuple": (kinds.is_large_list, _tuples),
}

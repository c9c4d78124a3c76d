"""A pandas index to Arrow columns and back; None stands for "not exactly"."""

from copy import deepcopy
from math import isfinite
from types import NoneType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from runstore.codecs._base import Opened
from runstore.codecs._pandas_columns import (
    decode_codes,
    decode_column,
    dictionary_column,
    encode_exactly,
    whole,
)
from runstore.codecs._pandas_strings import written_by
from runstore.codecs._pickle import Pickling
from runstore.codecs._plain import InexactError, from_tree, plain_tree
from runstore.codecs._python import is_json
from runstore.codecs._types import check_type, is_dictionary
from runstore.errors import CorruptObjectError, UnsupportedValueError

__all__ = [
    "decode_flat_index",
    "decode_index",
    "decode_name",
    "encode_flat_index",
    "encode_index",
    "encode_name",
    "is_name",
    "is_new",
    "range_index",
]

Spec = dict[str, Any]

_FLAT = (
    *(pd.Index, pd.DatetimeIndex, pd.TimedeltaIndex, pd.CategoricalIndex, pd.RangeIndex),
    *(pd.PeriodIndex, pd.IntervalIndex),
)


def encode_index(index: Any) -> tuple[list[pa.Array], Spec] | None:
    """Return a row index as no, one or several Arrow columns and a spec."""
    if type(index) is pd.RangeIndex:
        name = encode_name(index.name)
        spec = {"k": "range", "range": [index.start, index.stop, index.step], "name": name}
        return None if name is ... else ([], spec)
    if type(index) is pd.MultiIndex:
        return _encode_multi(index)
    flat = encode_flat_index(index)
    return None if flat is None else ([flat[0]], flat[1])


def decode_index(opened: Opened, columns: list[pa.ChunkedArray], spec: Spec) -> Any:
    """Rebuild a row index."""
    if spec["k"] == "range":
        return range_index(spec, opened.ref)
    if spec["k"] == "multi":
        return _decode_multi(opened, columns, spec)
    return decode_flat_index(opened, columns[0], spec)


def encode_flat_index(index: Any) -> tuple[pa.Array, Spec] | None:
    """Return an index of one level as one Arrow column and a spec."""
    name = encode_name(index.name)
    if type(index) not in _FLAT or name is ...:
        return None
    encoded = encode_exactly(index._values)
    if encoded is None:
        return None
    column, values = encoded
    spec: Spec = {"k": "flat", "values": values, "name": name}
    if type(index) is pd.RangeIndex:
        spec["range"] = [index.start, index.stop, index.step]
    freq = getattr(index, "freq", None)
    if freq is not None and type(index) is not pd.PeriodIndex:
        if not _is_told_by_name(freq):
            return None
        spec["freq"] = freq.freqstr
    return column, spec


def decode_flat_index(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Any:
    """Rebuild an index of one level.

    Raises:
        UnsupportedValueError: It is written by another pandas, and the installed one has no such.
    """
    if "range" in spec:
        return range_index(spec, opened.ref)
    # Nothing in an index is ever pickled by itself.
    values = decode_column(opened, column, spec["values"], Pickling("deny", opened.ref))
    name = decode_name(spec["name"], opened.ref)
    if values.dtype == object:  # neither inferred anew nor taken for tuples
        return pd.Index(values, dtype=object, name=name, copy=False, tupleize_cols=False)
    index = pd.Index(values, name=name, copy=False)
    if "freq" in spec:
        try:
            index.freq = spec["freq"]
        except ValueError as exc:
            raise UnsupportedValueError(
                f"{opened.ref} has an index of the frequency {spec['freq']!r}, written by pandas "
                f"{written_by(opened) or 'of another version'}, which pandas {pd.__version__} does "
                f"not take ({exc}): use the pandas that wrote it, or as_type=pyarrow.Table",
                opened.ref,
            ) from exc
    return index


def _is_told_by_name(freq: Any) -> bool:
    """Return whether the name of an offset leads back to it; a custom calendar's does not."""
    try:
        return bool(pd.tseries.frequencies.to_offset(freq.freqstr) == freq)
    except ValueError:
        return False


def _encode_multi(index: Any) -> tuple[list[pa.Array], Spec] | None:
    """Levels and codes as dictionary columns, so that others see the labels."""
    from runstore.codecs._pandas_labels import encode_dictionary

    columns, levels = [], []
    names = [encode_name(name) for name in index.names]
    if ... in names:
        return None
    for level, codes in zip(index.levels, index.codes, strict=True):
        encoded = encode_dictionary(level)
        if encoded is None:
            return None
        column = dictionary_column(np.asarray(codes), encoded[0])
        if column is None:
            return None
        columns.append(column)
        levels.append(encoded[1])
    return columns, {
        "k": "multi",
        "levels": levels,
        "names": names,
        "sortorder": index.sortorder,
    }


def _decode_multi(opened: Opened, columns: list[pa.ChunkedArray], spec: Spec) -> Any:
    from runstore.codecs._pandas_labels import decode_dictionary

    levels: list[Any] = []
    codes: list[Any] = []
    for column, level in zip(columns, spec["levels"], strict=True):
        check_type(opened, column.type, is_dictionary)
        chunk = whole(column)
        levels.append(decode_dictionary(opened, chunk, level))
        codes.append(decode_codes(opened, chunk))
    names = [decode_name(name, opened.ref) for name in spec["names"]]
    return pd.MultiIndex(levels, codes, spec["sortorder"], names=names, verify_integrity=False)


def range_index(spec: Spec, ref: str) -> Any:
    """Rebuild a range."""
    start, stop, step = spec["range"]
    return pd.RangeIndex(start, stop, step, name=decode_name(spec["name"], ref))


def is_new(part: Any) -> bool:
    """Return whether version 1 of the codec does not know what a spec, or a part of one, says."""
    if isinstance(part, dict):
        if (
            part.get("k") in _SINCE_2
            or "parts" in part
            or not isinstance(part.get("zone"), (str, NoneType))
        ):
            return True
        told = (item for key, item in part.items() if key != "attrs")
        return any(key.startswith("$") for key in part) or any(map(is_new, told))
    return isinstance(part, list) and any(map(is_new, part))


_SINCE_2 = {"beside", "cells", "complex", "index", "interval", "period"}


def is_name(name: Any) -> bool:
    """Return whether a name is JSON as it is."""
    return type(name) in (str, int, bool, NoneType) and is_json(name)


def encode_name(name: Any) -> Any:
    """Return the name of an index, a column or a series as JSON.

    Returns:
        ``...`` for one that would not come back the same; NaN would not be found equal.
    """
    if type(name) in (str, int, bool, NoneType):
        return name if is_name(name) else ...
    if type(name) is float and not isfinite(name):
        return ...
    try:
        return plain_tree(name)
    except InexactError:
        return ...


def decode_name(tree: Any, ref: str = "the object") -> Any:
    """Return the name that `encode_name` was given."""
    return from_tree(deepcopy(tree), _no_leaf, ref) if isinstance(tree, dict) else tree


def _no_leaf(at: int) -> Any:
    raise CorruptObjectError("the object is damaged: a name has a leaf")

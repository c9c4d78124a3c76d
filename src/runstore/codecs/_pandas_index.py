"""A pandas index to Arrow columns and back; None stands for "not exactly"."""

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
from runstore.codecs._pandas_strings import described, string_dtype, written_by
from runstore.codecs._pickle import Pickling
from runstore.codecs._python import is_json
from runstore.codecs._types import check_type, is_dictionary
from runstore.errors import CorruptObjectError, UnsupportedValueError

__all__ = [
    "decode_flat_index",
    "decode_index",
    "decode_labels",
    "decode_labels_of",
    "encode_flat_index",
    "encode_index",
    "encode_labels",
    "is_name",
]

Spec = dict[str, Any]

_FLAT = (pd.Index, pd.DatetimeIndex, pd.TimedeltaIndex, pd.CategoricalIndex, pd.RangeIndex)
_LABELS = {"object", *(f"{o}{kind}{n}" for o in "<>|" for kind in "iu" for n in (1, 2, 4, 8))}
_DENY = Pickling("deny", "an index")  # nothing in an index is ever pickled by itself


def encode_index(index: Any) -> tuple[list[pa.Array], Spec] | None:
    """Return a row index as no, one or several Arrow columns and a spec."""
    if type(index) is pd.RangeIndex and is_name(index.name):
        return [], {
            "k": "range",
            "range": [index.start, index.stop, index.step],
            "name": index.name,
        }
    if type(index) is pd.MultiIndex:
        return _encode_multi(index)
    flat = encode_flat_index(index)
    return None if flat is None else ([flat[0]], flat[1])


def decode_index(opened: Opened, columns: list[pa.ChunkedArray], spec: Spec) -> Any:
    """Rebuild a row index."""
    if spec["k"] == "range":
        return _range(spec)
    if spec["k"] == "multi":
        return _decode_multi(opened, columns, spec)
    return decode_flat_index(opened, columns[0], spec)


def encode_flat_index(index: Any) -> tuple[pa.Array, Spec] | None:
    """Return an index of one level as one Arrow column and a spec."""
    if type(index) not in _FLAT or not is_name(index.name):
        return None
    encoded = encode_exactly(index._values)
    if encoded is None:
        return None
    column, values = encoded
    spec: Spec = {"k": "flat", "values": values, "name": index.name}
    if type(index) is pd.RangeIndex:
        spec["range"] = [index.start, index.stop, index.step]
    freq = getattr(index, "freq", None)
    if freq is not None:
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
        return _range(spec)
    values = decode_column(opened, column, spec["values"], _DENY)
    if values.dtype == object:  # neither inferred anew nor taken for tuples
        return pd.Index(values, dtype=object, name=spec["name"], copy=False, tupleize_cols=False)
    index = pd.Index(values, name=spec["name"], copy=False)
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


def decode_labels_of(opened: Opened, chunk: pa.DictionaryArray, spec: Spec) -> Any:
    """Rebuild the index that codes point into: as many labels as the dictionary has.

    Raises:
        CorruptObjectError: It would have fewer, and codes would point beyond it.
    """
    labels = decode_flat_index(opened, pa.chunked_array([chunk.dictionary]), spec)
    if len(labels) != len(chunk.dictionary):
        raise CorruptObjectError(
            f"{opened.ref} is damaged: codes and labels differ in number", opened.ref
        )
    return labels


def _is_told_by_name(freq: Any) -> bool:
    """Return whether the name of an offset leads back to it; a custom calendar's does not."""
    try:
        return bool(pd.tseries.frequencies.to_offset(freq.freqstr) == freq)
    except ValueError:
        return False


def _encode_multi(index: Any) -> tuple[list[pa.Array], Spec] | None:
    """Levels and codes as dictionary columns, so that others see the labels."""
    columns, levels = [], []
    if not all(is_name(name) for name in index.names):
        return None
    for level, codes in zip(index.levels, index.codes, strict=True):
        encoded = encode_flat_index(level)
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
        "names": list(index.names),
        "sortorder": index.sortorder,
    }


def _decode_multi(opened: Opened, columns: list[pa.ChunkedArray], spec: Spec) -> Any:
    levels: list[Any] = []
    codes: list[Any] = []
    for column, level in zip(columns, spec["levels"], strict=True):
        check_type(opened, column.type, is_dictionary)
        chunk = whole(column)
        levels.append(decode_labels_of(opened, chunk, level))
        codes.append(decode_codes(opened, chunk))
    return pd.MultiIndex(
        levels, codes, spec["sortorder"], names=spec["names"], verify_integrity=False
    )


def encode_labels(labels: Any) -> Spec | None:
    """Return column labels as JSON alone: text, integers or a range."""
    if not is_name(labels.name):
        return None
    if type(labels) is pd.RangeIndex:
        return {
            "k": "range",
            "range": [labels.start, labels.stop, labels.step],
            "name": labels.name,
        }
    if type(labels) is not pd.Index:
        return None
    dtype: Any = labels.dtype
    values = labels.tolist()
    if isinstance(dtype, pd.StringDtype) or dtype == np.dtype(object):
        if set(map(type, values)) - {str} or not is_json(values):
            return None
        kind: Any = "object"
        if isinstance(dtype, pd.StringDtype):
            kind = list(described(dtype))
    elif isinstance(dtype, np.dtype) and dtype.kind in "iu" and dtype.isnative:
        kind = dtype.str
    else:
        return None
    return {"k": "labels", "values": values, "dtype": kind, "name": labels.name}


def decode_labels(spec: Spec, ref: str = "a stored frame") -> Any:
    """Rebuild column labels.

    Raises:
        UnsupportedValueError: The pandas that is installed has no such labels.
        CorruptObjectError: They are said to be of a dtype that `encode_labels` does not take.
    """
    if spec["k"] == "range":
        return _range(spec)
    kind = spec["dtype"]
    if isinstance(kind, list):
        dtype: Any = string_dtype(kind[0], kind[1], ref)
    elif kind in _LABELS:  # others can be of any width, and would take that for each label
        dtype = np.dtype(kind)
    else:
        raise CorruptObjectError(f"{ref} is damaged: column labels of the dtype {kind!r}", ref)
    return pd.Index(spec["values"], dtype=dtype, name=spec["name"], tupleize_cols=False)


def _range(spec: Spec) -> Any:
    start, stop, step = spec["range"]
    return pd.RangeIndex(start, stop, step, name=spec["name"])


def is_name(name: Any) -> bool:
    """Return whether a name is plain enough for JSON; NaN is not, it would not be found equal."""
    return type(name) in (str, int, bool, type(None)) and is_json(name)

"""Labels that stand beside the data: of columns, of categories, of the levels of an index.

Text, integers and ranges are JSON as they are. Any other index is what it would be as rows, Arrow
arrays and a spec, with the arrays as JSON.
"""

import base64
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from runstore.buffers import Buffer
from runstore.codecs._base import Opened
from runstore.codecs._pandas_index import (
    decode_flat_index,
    decode_index,
    decode_name,
    encode_flat_index,
    encode_index,
    encode_name,
    range_index,
)
from runstore.codecs._pandas_strings import described, string_dtype
from runstore.codecs._python import is_json
from runstore.codecs._types import is_text
from runstore.errors import CorruptObjectError
from runstore.lifetime import Bounded

__all__ = [
    "decode_dictionary",
    "decode_labels",
    "encode_dictionary",
    "encode_labels",
    "encode_plain_labels",
]

Spec = dict[str, Any]

_LABELS = {"object", *(f"{o}{kind}{n}" for o in "<>|" for kind in "iu" for n in (1, 2, 4, 8))}
_MOST = 1 << 16  # labels that are kept as JSON because a dictionary cannot have them


def encode_labels(labels: Any) -> Spec | None:
    """Return column labels as JSON; None for what would not come back the same."""
    return encode_plain_labels(labels) or _any_labels(labels)


def encode_plain_labels(labels: Any) -> Spec | None:
    """Likewise, of text, integers or a range alone."""
    if type(labels) is pd.RangeIndex:
        name = encode_name(labels.name)
        span = [labels.start, labels.stop, labels.step]
        return None if name is ... else {"k": "range", "range": span, "name": name}
    name = encode_name(labels.name)
    if type(labels) is not pd.Index or name is ...:
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
    return {"k": "labels", "values": values, "dtype": kind, "name": name}


def _any_labels(labels: Any) -> Spec | None:
    encoded = encode_index(labels)
    if encoded is None:
        return None
    columns, spec = encoded
    told = [_as_json(column) for column in columns]
    if None in told:
        return None
    text = list(map(str, labels))
    return {"k": "index", "index": spec, "columns": told, "unique": len(set(text)) == len(text)}


def decode_labels(spec: Spec, ref: str = "a stored frame") -> Any:
    """Rebuild column labels.

    Raises:
        UnsupportedValueError: The pandas that is installed has no such labels.
        CorruptObjectError: They are said to be of a dtype that `encode_labels` does not take.
    """
    if spec["k"] == "range":
        return range_index(spec, ref)
    if spec["k"] == "index":
        columns = [pa.chunked_array([_of_json(column, ref)]) for column in spec["columns"]]
        return decode_index(_Beside(ref), columns, spec["index"])
    kind = spec["dtype"]
    if isinstance(kind, list):
        dtype: Any = string_dtype(kind[0], kind[1], ref)
    elif kind in _LABELS:  # others can be of any width, and would take that for each label
        dtype = np.dtype(kind)
    else:
        raise CorruptObjectError(f"{ref} is damaged: column labels of the dtype {kind!r}", ref)
    values = spec["values"]

    def make() -> Any:
        name = decode_name(spec["name"], ref)
        return pd.Index(values, dtype=dtype, name=name, tupleize_cols=False)

    if isinstance(kind, list) and len(values) <= _FEW and set(map(type, values)) <= {str}:
        return _remembered((tuple(values), repr((kind, spec["name"]))), make)
    return make()


_FEW = 64  # labels of an index that is remembered
_known: Bounded[Any, Any] = Bounded(64)


def _remembered(key: Any, make: Callable[[], Any]) -> Any:
    """Return a view of the index that was made for *key* before, or make it.

    To make one takes longer than all else of a small frame. Only one on Arrow's memory is
    remembered: nobody can change that.
    """
    known = _known.get(key)
    if known is None:
        known = make()
        if getattr(known.dtype, "storage", None) != "pyarrow":
            return known
        _known.put(key, known)
    return known.view()


def encode_dictionary(labels: Any) -> tuple[pa.Array, Spec] | None:
    """Return labels as a dictionary that codes can point into, and a spec.

    Labels of several parts, such as intervals, are text to other readers, few of which know
    dictionaries of anything else; what they are is in the spec.
    """
    flat = encode_flat_index(labels)
    if flat is None or not _is_nested(flat[0].type):
        return flat
    told = _as_json(flat[0]) if len(labels) <= _MOST else None
    if told is None:
        return None
    text = pa.array(list(map(str, labels)), pa.large_string())
    return text, {"k": "beside", "index": flat[1], "column": told}


def decode_dictionary(opened: Opened, chunk: pa.DictionaryArray, spec: Spec) -> Any:
    """Rebuild the index that codes point into: as many labels as the dictionary has.

    Raises:
        CorruptObjectError: It would have fewer, and codes would point beyond it.
    """
    if spec["k"] == "beside":
        column = pa.chunked_array([_of_json(spec["column"], opened.ref)])
        labels = decode_flat_index(_Beside(opened.ref), column, spec["index"])
    elif spec["k"] == "flat" and len(chunk.dictionary) <= _FEW and is_text(chunk.dictionary.type):
        texts = chunk.dictionary.to_pylist()
        labels = _remembered(
            (tuple(texts), str(chunk.dictionary.type), repr(spec)),
            lambda: decode_flat_index(
                opened, pa.chunked_array([pa.array(texts, chunk.dictionary.type)]), spec
            ),
        )
    else:
        labels = decode_flat_index(opened, pa.chunked_array([chunk.dictionary]), spec)
    if len(labels) != len(chunk.dictionary):
        raise CorruptObjectError(
            f"{opened.ref} is damaged: codes and labels differ in number", opened.ref
        )
    return labels


def _is_nested(kind: pa.DataType) -> bool:
    return bool(pa.types.is_nested(kind) or pa.types.is_dictionary(kind))


class _Beside:
    """Arrays that were JSON, as if they had been stored; see `runstore.codecs.Opened`."""

    data: Buffer = b""
    cell = None
    kind = None
    keeps_nulls = False
    num_batches = 0
    schema = pa.schema([])

    def __init__(self, ref: str) -> None:
        self.ref = ref

    def batch(self, index: int) -> pa.RecordBatch:
        raise IndexError(index)

    def table(self) -> pa.Table:
        return self.schema.empty_table()

    def array(self, buffer: Any, dtype: Any, count: int) -> "np.ndarray[Any, Any]":
        if not count:
            return np.empty(0, dtype)
        return np.frombuffer(buffer, dtype, count).copy()

    def check_all(self) -> None:
        """They have been read with the footer."""


# Arrow arrays as JSON ----------------------------------------------------------------------------


def _as_json(array: pa.Array) -> Any:
    """Return an array as JSON with its type; None for a type that is not known here."""
    kind = array.type
    if pa.types.is_struct(kind):
        fields = [[field.name, _as_json(array.field(i))] for i, field in enumerate(kind)]
        known = all(part is not None for _, part in fields) and not array.null_count
        return ["struct", fields] if known else None
    if pa.types.is_dictionary(kind):
        parts = [_as_json(array.indices), _as_json(array.dictionary)]
        return None if None in parts else ["dictionary", kind.ordered, *parts]
    if pa.types.is_fixed_size_list(kind):
        parts = _as_json(array.flatten())
        return None if parts is None or array.null_count else ["pairs", parts]
    if pa.types.is_large_list(kind):
        items = _as_json(array.flatten())
        lengths = pc.list_value_length(array).to_pylist()
        return None if items is None else ["list", lengths, items]
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        name = "timestamp" if pa.types.is_timestamp(kind) else "duration"
        told = [name, kind.unit, getattr(kind, "tz", None)]
        return [*told, array.cast(pa.int64(), safe=False).to_pylist()]
    if pa.types.is_decimal128(kind):
        return ["decimal", kind.precision, kind.scale, list(map(_text, array.to_pylist()))]
    if pa.types.is_time64(kind):
        return ["time", array.cast(pa.int64()).to_pylist()]
    if pa.types.is_date32(kind):
        return ["date", array.cast(pa.int32()).to_pylist()]
    if pa.types.is_large_binary(kind):
        cells = array.to_pylist()
        return ["binary", [None if c is None else base64.b64encode(c).decode() for c in cells]]
    if (name := str(kind)) not in _FLAT:
        return None
    if pa.types.is_floating(kind):  # infinite ones are no JSON to others
        return [name, [None if cell is None else repr(cell) for cell in array.to_pylist()]]
    return [name, array.to_pylist()]


_FLAT: dict[str, Any] = {
    str(kind): kind
    for kind in (
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.bool_(), pa.large_string()),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.string()),
        *(pa.float16(), pa.float32(), pa.float64()),
    )
}


def _of_json(told: Any, ref: str) -> pa.Array:
    """Return the array that `_as_json` was given."""
    name, *parts = told
    try:
        if name in _FLAT and _FLAT[name] in (pa.float16(), pa.float32(), pa.float64()):
            cells = [None if cell is None else float(cell) for cell in parts[0]]
            return pa.array(cells, pa.float64(), from_pandas=False).cast(_FLAT[name], safe=False)
        if name in _FLAT:
            return pa.array(parts[0], _FLAT[name])
        return _OF_JSON[name](*parts, ref)
    except (KeyError, TypeError, ValueError, pa.ArrowException) as exc:
        raise CorruptObjectError(f"{ref} is damaged: no labels ({exc})", ref) from exc


def _text(cell: Any) -> str | None:
    return None if cell is None else str(cell)


def _struct(fields: Any, ref: str) -> pa.Array:
    arrays = [_of_json(part, ref) for _, part in fields]
    return pa.StructArray.from_arrays(arrays, names=[name for name, _ in fields])


def _dictionary(ordered: bool, indices: Any, labels: Any, ref: str) -> pa.Array:
    parts = _of_json(indices, ref), _of_json(labels, ref)
    return pa.DictionaryArray.from_arrays(*parts, ordered=ordered)  # which looks at the indices


def _points(unit: str, zone: Any, ticks: Any, ref: str) -> pa.Array:
    return pa.array(ticks, pa.int64()).cast(pa.timestamp(unit, zone))


def _decimal(precision: int, scale: int, cells: Any, ref: str) -> pa.Array:
    numbers = [None if cell is None else Decimal(cell) for cell in cells]
    return pa.array(numbers, pa.decimal128(precision, scale))


def _list(lengths: Any, items: Any, ref: str) -> pa.Array:
    ends = np.cumsum([0, *(length or 0 for length in lengths)])
    values = _of_json(items, ref)
    if min(length or 0 for length in (*lengths, 0)) < 0 or ends[-1] != len(values):
        raise ValueError("lists and items differ in number")
    mask = pa.array([length is None for length in lengths], pa.bool_())
    return pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), values, mask=mask)


def _binary(cells: Any, ref: str) -> pa.Array:
    decoded = [None if cell is None else base64.b64decode(cell) for cell in cells]
    return pa.array(decoded, pa.large_binary())


_OF_JSON: dict[str, Callable[..., pa.Array]] = {
    "binary": _binary,
    "date": lambda days, ref: pa.array(days, pa.int32()).cast(pa.date32()),
    "decimal": _decimal,
    "dictionary": _dictionary,
    "duration": lambda unit, _, ticks, ref: pa.array(ticks, pa.int64()).cast(pa.duration(unit)),
    "list": _list,
    "pairs": lambda parts, ref: pa.FixedSizeListArray.from_arrays(_of_json(parts, ref), 2),
    "struct": _struct,
    "time": lambda ticks, ref: pa.array(ticks, pa.int64()).cast(pa.time64("us")),
    "timestamp": _points,
}

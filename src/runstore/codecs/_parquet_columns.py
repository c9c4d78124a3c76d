"""One pandas column to one Parquet column and back, where pandas' own writer takes it.

A column is written as pandas itself writes it, so every reader of Parquet sees what it expects.
What Parquet would change is described in the spec: the labels of categories, the kind of a
missing value, an offset. Each cell of a column of Python objects is compared first.
"""

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from runstore.codecs._base import Opened, type_name
from runstore.codecs._pandas_columns import decode_column, encode_exactly, whole
from runstore.codecs._pandas_index import is_new
from runstore.codecs._parquet_cells import arrays_in, values_in
from runstore.codecs._parquet_labels import (
    InexactError,
    decode_codes,
    encode_codes,
    kind_of,
    label_array,
    labels_back,
    of_library,
)
from runstore.codecs._parquet_same import are_same, is_exact, is_same
from runstore.codecs._pickle import Pickling
from runstore.codecs._reasons import shown
from runstore.errors import CorruptObjectError

__all__ = ["column_back", "column_for"]

Spec = dict[str, Any]
_DENY = Pickling("deny", "a Parquet file")  # nothing in it is ever pickled
_MOST = 3  # kinds of objects that are named


def column_for(values: Any) -> tuple[pa.Array, Spec]:
    """Return the array behind a column as an Arrow array and what `column_back` needs.

    Raises:
        InexactError: Parquet would change it; the message is the kind of column, and why.
    """
    for kind, coder in _BY_DTYPE:
        if isinstance(values.dtype, kind):
            encoded = coder(values)
            break
    else:
        encoded = _objects(values) if values.dtype == object else None
    if encoded is None:
        encoded = encode_exactly(values)
        if encoded is not None and is_new(encoded[1]):
            encoded = None  # as JSON or pairs, which other readers would take for what they are
    if encoded is None:
        raise InexactError(kind_of(values))
    return encoded


def column_back(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Any:
    """Rebuild the array behind a column.

    Raises:
        CorruptObjectError: Column and spec do not fit.
    """
    coder = _DECODERS.get(spec["k"])
    if coder is None:
        return decode_column(opened, column, spec, _DENY)
    return coder(opened, column, spec)


# Categories, periods, intervals, offsets ---------------------------------------------------------


def _categories(values: Any) -> tuple[pa.Array, Spec]:
    column, spec = encode_codes(values.codes, values.dtype.categories, "its categories")
    column = pa.DictionaryArray.from_arrays(
        column.indices, column.dictionary, ordered=bool(values.dtype.ordered)
    )
    return column, spec | {"k": "labels", "ordered": bool(values.dtype.ordered)}


def _categories_back(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Any:
    dtype = pd.CategoricalDtype(labels_back(opened, spec), ordered=spec["ordered"])
    return pd.Categorical.from_codes(
        decode_codes(opened, column, spec), dtype=dtype, validate=False
    )


def _periods(values: Any) -> tuple[pa.Array, Spec]:
    name = str(values.dtype)  # the frequency's own name is not always taken for a period's
    nameless = f"{values.dtype}, whose frequency has no name of its own"
    with of_library(nameless):
        named = pd.api.types.pandas_dtype(name)
    if named != values.dtype:
        raise InexactError(nameless)
    return _checked(values, {"k": "period", "of": name})


def _periods_back(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Any:
    if not pa.types.is_int64(_storage(column.type)):
        raise CorruptObjectError(f"{opened.ref} is damaged: a column of no periods", opened.ref)
    return _from_arrow(pd.PeriodDtype.construct_from_string(spec["of"]), column)


def _intervals(values: Any) -> tuple[pa.Array, Spec]:
    return _checked(
        values, {"k": "interval", "of": str(values.dtype.subtype), "closed": values.closed}
    )


def _intervals_back(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Any:
    dtype = pd.IntervalDtype(spec["of"], spec["closed"])
    kind = pd.array([], dtype=dtype).__arrow_array__().type
    if column.type != kind:  # pandas had not registered it when the file was opened
        if _storage(column.type) != kind.storage_type:
            raise CorruptObjectError(
                f"{opened.ref} is damaged: a column of no intervals", opened.ref
            )
        storage = [getattr(chunk, "storage", chunk) for chunk in column.chunks]
        column = pa.chunked_array([kind.wrap_array(part) for part in storage], kind)
    return _from_arrow(dtype, column)


def _checked(values: Any, spec: Spec) -> tuple[pa.Array, Spec]:
    """Encode by pandas' own conversion, if that leads back to the same."""
    with of_library(f"{values.dtype}, which pandas itself cannot write"):
        column = values.__arrow_array__()
        back = _from_arrow(values.dtype, pa.chunked_array([column]))
    if back.dtype != values.dtype or not back.equals(values):
        raise InexactError(f"{values.dtype}, which pandas itself reads as {back.dtype}")
    return column, spec


def _from_arrow(dtype: Any, column: pa.ChunkedArray) -> Any:
    if not column.num_chunks:
        return pd.array([], dtype=dtype)
    return dtype.__from_arrow__(column)


def _storage(kind: Any) -> Any:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _offset(values: Any) -> tuple[pa.Array, Spec] | None:
    """A zone that is an offset; None for others."""
    zone = values.dtype.tz
    if type(zone) is not dt.timezone or zone is dt.UTC:
        return None
    seconds = int(zone.utcoffset(None).total_seconds())
    if dt.timezone(zone.utcoffset(None)).tzname(None) != zone.tzname(None) or seconds % 60:
        raise InexactError(f"{values.dtype}, an offset with a name or with seconds")
    sign, minutes = "-" if seconds < 0 else "+", abs(seconds) // 60
    name = f"{sign}{minutes // 60:02}:{minutes % 60:02}"
    plain = encode_exactly(values.tz_convert(dt.UTC))
    assert plain is not None
    column, spec = plain
    kind = pa.timestamp(values.dtype.unit, name)
    column = pa.Array.from_buffers(kind, len(column), column.buffers(), column.null_count)
    return column, {"k": "offset", "seconds": seconds, "utc": spec}


def _offset_back(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Any:
    values = decode_column(opened, column, spec["utc"], _DENY)
    return values.tz_convert(dt.timezone(dt.timedelta(seconds=spec["seconds"])))


# Labels of Arrow: of those that are no text, Parquet keeps not even that they are labels ---------


def _arrow_labels(values: Any) -> tuple[pa.Array, Spec] | None:
    kind = values.dtype.pyarrow_dtype
    if not pa.types.is_dictionary(kind):
        if any(map(_has_bare_labels, _inner(kind))):
            raise InexactError(f"{values.dtype}, whose labels would come back as what they say")
        return None
    if _is_written(kind):
        return None
    column = whole(values.__arrow_array__())
    if not isinstance(column, pa.Array):
        raise InexactError(f"{values.dtype}, of which there is too much for one chunk")
    codes = column.indices.cast(pa.int64()).fill_null(-1).to_numpy()
    labels = pd.Index(pd.arrays.ArrowExtensionArray(column.dictionary))
    column, spec = encode_codes(codes, labels, "its labels")
    return column, spec | {"k": "arrow labels", "of": str(kind.index_type), "ordered": kind.ordered}


def _arrow_labels_back(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Any:
    codes = decode_codes(opened, column, spec)
    labels = label_array(opened, spec["labels"])
    try:
        indices = pa.array(codes, mask=codes == -1).cast(pa.type_for_alias(spec["of"]))
        built = pa.DictionaryArray.from_arrays(indices, labels, ordered=spec["ordered"])
    except (pa.ArrowException, ValueError, TypeError) as exc:
        raise CorruptObjectError(f"{opened.ref} is damaged: {exc}", opened.ref) from exc
    return pd.arrays.ArrowExtensionArray(built)


def _is_written(kind: Any) -> bool:
    """Return whether Parquet keeps labels of this type as labels."""
    of = kind.value_type
    text = pa.types.is_string(of) or pa.types.is_large_string(of)
    return bool(text or pa.types.is_binary(of) or pa.types.is_large_binary(of))


def _inner(kind: Any) -> list[Any]:
    if isinstance(kind, pa.BaseExtensionType):
        return [kind.storage_type]
    return [kind.field(i).type for i in range(kind.num_fields)]


def _has_bare_labels(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        return not _is_written(kind)
    return any(map(_has_bare_labels, _inner(kind)))


# Objects -----------------------------------------------------------------------------------------

_MISSING: dict[type, tuple[str, Any]] = {
    type(None): ("None", None),
    type(pd.NaT): ("NaT", pd.NaT),
    type(pd.NA): ("NA", pd.NA),
}
_BY_NAME = dict(_MISSING.values()) | {"NaN": float("nan")}


def _objects(values: Any) -> tuple[pa.Array, Spec] | None:
    kinds = set(map(type, values))
    if kinds <= {type(None)}:
        return pa.nulls(len(values)), {"k": "objects", "missing": "None"}
    if kinds <= {str, type(None)} or kinds <= {bytes, type(None)}:
        return encode_exactly(values)
    missing = {_MISSING[kind][0] for kind in kinds if kind in _MISSING}
    kinds -= set(_MISSING)
    if float in kinds and len(kinds) > 1 and all(c != c for c in values if type(c) is float):
        kinds.discard(float)
        missing.add("NaN")
    for found in (sorted(missing), sorted(type_name(k).removeprefix("builtins.") for k in kinds)):
        if len(found) > 1:
            raise InexactError(f"{kind_of(values)}: it mixes {' and '.join(found[:_MOST])}")
    gone = tuple(_MISSING) + ((float,) if "NaN" in missing else ())
    cells = [None if type(cell) in gone else cell for cell in values]
    spec: Spec = {"k": "objects", "missing": next(iter(missing), "None")}
    if kinds == {np.ndarray}:
        spec["arrays"] = True
    with of_library(f"{kind_of(values)}: Arrow has no type for them"):
        column = pa.array(cells, from_pandas=False)
    column = whole(column)
    if is_exact(cells, column):
        return column, spec
    back = _filled(column, spec)
    if are_same(values.tolist(), back.tolist()):
        return column, spec
    for row, (cell, read) in enumerate(zip(values, back, strict=True)):
        if not is_same(cell, read):
            raise InexactError(
                f"{kind_of(values)}: row {row} would come back as {_told(cell, read)}"
            )
    return column, spec


def _objects_back(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> Any:
    if spec.get("arrays") and not _is_list(column.type):
        raise CorruptObjectError(f"{opened.ref} is damaged: a column of no arrays", opened.ref)
    return _filled(column, spec)


def _filled(column: Any, spec: Spec) -> Any:
    data = np.empty(len(column), object)
    missing = _BY_NAME[spec["missing"]]
    if spec.get("arrays"):
        for row, cell in enumerate(arrays_in(column)):
            data[row] = missing if cell is None else cell
        return data
    cells = values_in(column)
    if missing is not None:
        cells = [missing if cell is None else cell for cell in cells]
    return np.fromiter(cells, object, len(cells))


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _told(cell: Any, read: Any) -> str:
    if type(cell) is not type(read):
        return f"a {type_name(type(read)).removeprefix('builtins.')}"
    return shown(read) if type(read) in (str, int, float, bytes) else f"{read!s:.60}"


_BY_DTYPE: tuple[tuple[Any, Callable[[Any], tuple[pa.Array, Spec] | None]], ...] = (
    (pd.CategoricalDtype, _categories),
    (pd.PeriodDtype, _periods),
    (pd.IntervalDtype, _intervals),
    (pd.DatetimeTZDtype, _offset),
    (pd.ArrowDtype, _arrow_labels),
)

_DECODERS: dict[str, Callable[[Opened, pa.ChunkedArray, Spec], Any]] = {
    "labels": _categories_back,
    "arrow labels": _arrow_labels_back,
    "period": _periods_back,
    "interval": _intervals_back,
    "offset": _offset_back,
    "objects": _objects_back,
}

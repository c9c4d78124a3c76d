"""``.parquet``: pandas frames and series as pandas' own writer lays them out, and back exactly."""

import json
from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from runstore.codecs._arrow import size_of
from runstore.codecs._base import Encoded, Opened, type_name
from runstore.codecs._pandas import (
    PandasCodec,
    _arrays,
    _for_pandas,
    _frame,
    _kinds,
    _run_lengths,
    _series,
    _unique,
)
from runstore.codecs._pandas_index import (
    decode_flat_index,
    encode_flat_index,
    is_name,
    is_new,
)
from runstore.codecs._pandas_labels import decode_labels, encode_labels, encode_plain_labels
from runstore.codecs._pandas_weight import objects_of_batch, weigh
from runstore.codecs._parquet_columns import column_back, column_for
from runstore.codecs._parquet_labels import (
    InexactError,
    decode_codes,
    encode_codes,
    kind_of,
    labels_back,
    name_told,
    of_library,
)
from runstore.codecs._pickle import Pickling
from runstore.codecs._python import is_json
from runstore.codecs._reasons import shown, why_no_json
from runstore.errors import UnsupportedValueError

__all__ = ["ParquetPandasCodec"]

Spec = dict[str, Any]
_MOST = 3  # columns that are named in a refusal


class ParquetPandasCodec(PandasCodec):
    """``pandas.DataFrame`` and ``Series`` in a Parquet file that pandas reads as its own.

    A series is a frame of one column there. Nothing is pickled.
    """

    name = "pandas.parquet"
    version = 1

    def encode(self, value: Any, pickling: Pickling) -> Encoded:
        """See `runstore.codecs.Codec.encode`.

        Raises:
            UnsupportedValueError: Parquet would change a part of it, which is named.
        """
        try:
            return _encode(value)
        except InexactError as exc:
            raise UnsupportedValueError(f"Parquet would change {exc}") from exc

    def decode(self, opened: Opened, spec: Spec, pickling: Pickling) -> Any:
        """See `runstore.codecs.Codec.decode`."""
        columns = opened.table().columns
        kinds = _kinds(spec, opened.ref, len(columns))
        weigh(opened, opened.table(), kinds, pickling, taken=opened.table().nbytes)
        index = _index_back(opened, columns[len(kinds) :], spec["index"])
        arrays = [
            column_back(opened, column, kind) for column, kind in zip(columns, kinds, strict=False)
        ]
        value: Any
        if spec["kind"] == "series":
            value = _series(arrays[0], index, spec["name"])
        else:
            value = _frame(arrays, kinds, index, decode_labels(spec["labels"], opened.ref))
        if spec.get("attrs"):
            value.attrs = spec["attrs"]
        return value if spec["duplicates"] else value.set_flags(allows_duplicate_labels=False)


def _encode(value: Any) -> Encoded:
    series = isinstance(value, pd.Series)
    if not is_json(value.attrs):
        reason = why_no_json(value.attrs, strict=False).replace("value", "attrs", 1)
        raise InexactError(f"the attrs, which are no JSON: {reason}")
    if series and not is_name(value.name):
        raise InexactError(f"the name of the series, {name_told(value.name)}")
    frame = value.to_frame() if series else value
    spec: Spec = {
        "kind": "series" if series else "frame",
        "attrs": deepcopy(value.attrs),
        "duplicates": value.flags.allows_duplicate_labels,
    }
    if series:
        spec["name"] = value.name
    else:
        labels = _labels_for(value.columns)
        if labels is None:
            raise InexactError(f"the column labels, which are {_index_told(value.columns)}")
        spec["labels"] = labels
    columns, kinds = _columns(value, frame.columns)
    index, spec["index"] = _index_for(value.index)
    if not columns and not index:
        raise InexactError("a frame without a column: it would forget its rows")
    spec["columns"] = _run_lengths(kinds)
    names = _unique([str(label) for label in frame.columns])
    metadata, index_names = _pandas_metadata(frame, names, len(index))
    fields = zip([*names, *index_names], [*columns, *index], strict=True)
    schema = pa.schema([pa.field(name, column.type) for name, column in fields])
    if metadata is None:  # pandas' own writer does not take it
        metadata = _for_pandas(value, spec, schema, index_names)
    if value.attrs:
        metadata[b"PANDAS_ATTRS"] = json.dumps(value.attrs).encode()
    schema = schema.with_metadata(metadata)
    batch = pa.RecordBatch.from_arrays([*columns, *index], schema=schema)
    return Encoded(
        schema,
        [batch],
        spec,
        rows=len(value),
        columns=len(columns),
        nbytes=size_of(batch),
        objects=objects_of_batch(batch, kinds, size_of(batch)),
    )


def _labels_for(labels: Any) -> Spec | None:
    """Return column labels as JSON, if pandas' own reader can make them of text again."""
    if type(labels) is pd.MultiIndex and labels.nlevels > 1:
        cells = {type(cell) for label in labels for cell in label}
        return encode_labels(labels) if cells <= {str, int} else None
    return encode_plain_labels(labels)


def _columns(value: Any, labels: Any) -> tuple[list[pa.Array], list[Spec]]:
    columns, kinds, inexact = [], [], []
    for label, values in zip(labels, _arrays(value), strict=True):
        try:
            column, kind = column_for(values)
        except InexactError as exc:
            inexact.append(f"column {shown(label)} of {exc}")
            continue
        columns.append(column)
        kinds.append(kind)
    if inexact:
        more = f" and {len(inexact) - _MOST} more" if len(inexact) > _MOST else ""
        raise InexactError(f"{', '.join(inexact[:_MOST])}{more}")
    return columns, kinds


def _pandas_metadata(
    frame: Any, names: list[str], levels: int
) -> tuple[dict[bytes, bytes] | None, list[str]]:
    """Return what pandas' own writer says of a frame, and how it calls the levels of the index."""
    plain = _unique([f"__index_level_{i}__" for i in range(levels)], names)
    if not all(name is None or type(name) is str for name in frame.index.names):
        return None, plain  # its writer warns that it would change them
    if not names:  # it warns of labels that are of no type
        frame = frame.set_axis(pd.RangeIndex(0), axis=1)
    try:
        with of_library("the frame"):
            told = pa.Schema.from_pandas(frame.iloc[:0]).metadata[b"pandas"]
    except InexactError:
        return None, plain
    document = json.loads(told)
    for entry in document["index_columns"]:
        if isinstance(entry, dict):
            index = frame.index
            entry |= {"start": index.start, "stop": index.stop, "step": index.step}
    for column in document["columns"]:
        if not _is_known(column["numpy_type"]):  # pandas itself would stumble over it
            column["numpy_type"] = "object"
    called = [entry for entry in document["index_columns"] if isinstance(entry, str)]
    if len(called) != levels or set(called) & set(names):
        return None, plain
    return {b"pandas": json.dumps(document).encode()}, called


def _is_known(dtype: str) -> bool:
    try:
        with of_library(dtype):
            pd.api.types.pandas_dtype(dtype)
    except InexactError:
        return False
    return True


# The index ---------------------------------------------------------------------------------------


def _index_for(index: Any) -> tuple[list[pa.Array], Spec]:
    if type(index) is pd.MultiIndex:
        return _levels_for(index)
    if not is_name(index.name):
        raise InexactError(f"the name of the index, {name_told(index.name)}")
    if type(index) is pd.RangeIndex:
        span = [index.start, index.stop, index.step]
        return [], {"k": "range", "range": span, "name": index.name}
    flat = encode_flat_index(index) if index.dtype.kind in "iufbMm" else None
    if flat is not None and not is_new(flat[1]) and not pa.types.is_dictionary(flat[0].type):
        return [flat[0]], flat[1]
    try:
        column, values = column_for(index._values)
    except InexactError as exc:
        raise InexactError(f"the index, which is {_index_told(index)}: {exc}") from exc
    spec: Spec = {"k": "values", "values": values, "name": index.name}
    freq = getattr(index, "freq", None)
    if freq is not None and not isinstance(index, pd.PeriodIndex):
        nameless = f"the index, whose frequency {freq!r} has no name of its own"
        with of_library(nameless):
            named = pd.tseries.frequencies.to_offset(freq.freqstr)
        if named != freq:
            raise InexactError(nameless)
        spec["freq"] = freq.freqstr
    return [column], spec


def _levels_for(index: Any) -> tuple[list[pa.Array], Spec]:
    columns, levels = [], []
    for name, level, codes in zip(index.names, index.levels, index.codes, strict=True):
        if not is_name(name):
            raise InexactError(f"the name of a level, {name_told(name)}")
        try:
            column, spec = encode_codes(np.asarray(codes), level, f"level {name!r}")
        except InexactError as exc:
            raise InexactError(f"the index, a MultiIndex with {exc}") from exc
        columns.append(column.dictionary_decode())
        levels.append(spec)
    names = list(index.names)
    return columns, {"k": "multi", "levels": levels, "names": names, "sortorder": index.sortorder}


def _index_back(opened: Opened, columns: list[pa.ChunkedArray], spec: Spec) -> Any:
    if spec["k"] == "range":
        start, stop, step = spec["range"]
        return pd.RangeIndex(start, stop, step, name=spec["name"])
    if spec["k"] == "multi":
        levels = [labels_back(opened, level) for level in spec["levels"]]
        codes: list[Any] = [
            decode_codes(opened, column, level)
            for column, level in zip(columns, spec["levels"], strict=True)
        ]
        return pd.MultiIndex(
            levels, codes, spec["sortorder"], names=spec["names"], verify_integrity=False
        )
    if spec["k"] == "flat":
        return decode_flat_index(opened, columns[0], spec)
    values = column_back(opened, columns[0], spec["values"])
    if values.dtype == object:
        return pd.Index(values, dtype=object, name=spec["name"], copy=False, tupleize_cols=False)
    index = pd.Index(values, name=spec["name"], copy=False)
    if "freq" in spec:
        index.freq = spec["freq"]
    return index


def _index_told(index: Any) -> str:
    kind = type_name(type(index)).rpartition(".")[2]
    if index.dtype == object and not isinstance(index, pd.MultiIndex):
        return f"{kind_of(index._values)} in an object {kind}"
    article = "an" if kind[0] in "AEIOU" else "a"
    name = "" if index.name is None else f" named {index.name!r}"
    of = "" if isinstance(index, pd.MultiIndex) else f" of {index.dtype}"
    return f"{article} {kind}{of}{name}"

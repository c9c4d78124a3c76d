"""Labels that Parquet does not keep: categories, and the levels of a MultiIndex.

Of a column of labels, Parquet has those that occur, in their order, and of some types not even
that they are labels. All of them stand in the spec, as JSON, and codes are found by look-up.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from runstore.codecs._base import Opened, type_name
from runstore.codecs._pandas_columns import dictionary_column
from runstore.codecs._pandas_index import decode_flat_index, encode_flat_index, is_name, is_new
from runstore.errors import CorruptObjectError
from runstore.faults import is_own_fault

__all__ = [
    "InexactError",
    "decode_codes",
    "encode_codes",
    "kind_of",
    "label_array",
    "labels_back",
    "name_told",
    "of_library",
]

Spec = dict[str, Any]
_MOST = 3  # kinds of objects that are named


class InexactError(Exception):
    """Parquet would change a part of a value; the message says what it is, and why."""


@contextmanager
def of_library(part: str) -> Iterator[None]:
    """Around one call of a library: any error of it becomes an InexactError that names the part.

    Only around such calls, so that errors of runstore's own code stay as they are.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as exc:  # whatever a library stumbles over
        if is_own_fault(exc):
            raise
        raise InexactError(f"{part} ({exc})") from exc


def name_told(name: Any) -> str:
    """Return why a name is not kept."""
    kind = type_name(type(name)).removeprefix("builtins.")
    return "which is text that is not UTF-8" if kind == "str" else f"which is a {kind}"


def encode_codes(codes: Any, labels: Any, what: str) -> tuple[pa.DictionaryArray, Spec]:
    """Return codes that point to *labels* as a dictionary column and a spec that has the labels.

    Raises:
        InexactError: The labels are of a kind that the spec cannot have.
    """
    encoded = _dates(labels) or encode_flat_index(labels)
    if encoded is not None and is_new(encoded[1]):
        encoded = None  # as JSON or pairs, which other readers would take for what they are
    listed = None if encoded is None else _listed(encoded[0])
    if encoded is None or listed is None:
        raise InexactError(f"{kind_of(labels._values)} as {what}")
    array, spec = encoded
    try:
        found = pc.index_in(array, value_set=array).to_pylist()
    except pa.ArrowException as exc:
        raise InexactError(f"{labels.dtype} as {what} ({exc})") from exc
    if found != list(range(len(array))):
        raise InexactError(f"{labels.dtype} as {what}, of which some are equal or missing")
    column = dictionary_column(np.asarray(codes), array)
    if column is None:
        raise InexactError(f"{labels.dtype} as {what}")
    return column, {"index": spec, "labels": listed, "codes": np.asarray(codes).dtype.str}


def _dates(labels: Any) -> tuple[pa.Array, Spec] | None:
    if labels.dtype != object or set(map(type, labels)) != {dt.date} or not is_name(labels.name):
        return None
    return pa.array(labels.tolist(), pa.date32()), {"dates": True, "name": labels.name}


def kind_of(values: Any) -> str:
    """Return the dtype of a column, and what is in it if that is objects."""
    zone = getattr(values.dtype, "tz", None)
    if zone is not None:
        return f"{values.dtype} with a time zone of {type(zone).__module__.partition('.')[0]}"
    if values.dtype != np.dtype(object):
        return str(values.dtype)
    kinds = [kind for kind, _ in Counter(map(type, values)).most_common(_MOST)]
    names = (type_name(kind).removeprefix("builtins.") for kind in kinds)
    return f"Python objects ({', '.join(names)})"


def labels_back(opened: Opened, spec: Spec) -> Any:
    """Rebuild the labels, all of them, in their order."""
    array = label_array(opened, spec["labels"])
    if "dates" in spec["index"]:
        return pd.Index(array.to_pylist(), dtype=object, name=spec["index"]["name"])
    labels = decode_flat_index(opened, pa.chunked_array([array]), spec["index"])
    if len(labels) != len(array):
        raise CorruptObjectError(f"{opened.ref} is damaged: labels differ in number", opened.ref)
    return labels


def decode_codes(opened: Opened, column: pa.ChunkedArray, spec: Spec) -> "np.ndarray[Any, Any]":
    """Return for each row which of the labels it has, -1 for none.

    Raises:
        CorruptObjectError: A row has none of them.
    """
    labels = label_array(opened, spec["labels"])
    dtype = np.dtype(spec["codes"])
    if dtype.kind != "i":
        raise CorruptObjectError(f"{opened.ref} is damaged: codes of {dtype}", opened.ref)
    parts = [np.empty(0, dtype)]
    for chunk in column.chunks:
        try:
            if pa.types.is_dictionary(chunk.type):
                known = pc.index_in(chunk.dictionary.cast(labels.type), value_set=labels)
                found = known.take(chunk.indices)
            else:
                found = pc.index_in(chunk.cast(labels.type), value_set=labels)
        except pa.ArrowException as exc:
            raise CorruptObjectError(f"{opened.ref} is damaged: {exc}", opened.ref) from exc
        if found.null_count != chunk.null_count:
            raise CorruptObjectError(
                f"{opened.ref} is damaged: a column has labels that it does not know", opened.ref
            )
        parts.append(found.fill_null(-1).to_numpy(zero_copy_only=False).astype(dtype))
    return np.concatenate(parts)


# Arrays as JSON ----------------------------------------------------------------------------------

_PLAIN = {
    str(kind): kind
    for kind in (
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.bool_()),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.large_string(), pa.string()),
    )
}
# By their bits: JSON rounds some, and has no dates.
_VIEWED = {pa.float32(): pa.int32(), pa.float64(): pa.int64(), pa.date32(): pa.int32()}
_BY_NAME = {str(kind): kind for kind in _VIEWED} | _PLAIN


def _listed(array: pa.Array) -> Spec | None:
    """Return an array without nulls as JSON; None if it is of another kind, or has nulls."""
    kind = array.type
    if array.null_count or isinstance(kind, pa.BaseExtensionType):
        return None
    if str(kind) in _PLAIN:
        return {"type": str(kind), "values": array.to_pylist()}
    if kind in _VIEWED:
        return {"type": str(kind), "values": array.view(_VIEWED[kind]).to_pylist()}
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        spec = {"type": "timestamp" if pa.types.is_timestamp(kind) else "duration"}
        zone = {"tz": kind.tz} if spec["type"] == "timestamp" else {}
        return spec | zone | {"unit": kind.unit, "values": array.view(pa.int64()).to_pylist()}
    return None


def label_array(opened: Opened, listed: Spec) -> pa.Array:
    """Rebuild the labels as an Arrow array."""
    name, values = listed["type"], listed["values"]
    try:
        if name == "timestamp":
            return pa.array(values, pa.int64()).view(pa.timestamp(listed["unit"], listed["tz"]))
        if name == "duration":
            return pa.array(values, pa.int64()).view(pa.duration(listed["unit"]))
        kind = _BY_NAME[name]
        viewed = _VIEWED.get(kind)
        return pa.array(values, kind) if viewed is None else pa.array(values, viewed).view(kind)
    except (KeyError, ValueError, TypeError, OverflowError, pa.ArrowException) as exc:
        raise CorruptObjectError(
            f"{opened.ref} is damaged: labels of {name!r}", opened.ref
        ) from exc

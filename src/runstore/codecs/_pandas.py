"""pandas frames, series and indexes: columns as Arrow, the rest of their state as a spec."""

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from copy import deepcopy
from importlib import import_module
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from runstore.codecs._arrow import size_of
from runstore.codecs._base import Encoded, Opened
from runstore.codecs._pandas_alike import (
    built_again,
    encoded_again,
    keep_built,
    keep_encoded,
    key_of,
)
from runstore.codecs._pandas_columns import decode_column, encode_column, is_plain
from runstore.codecs._pandas_index import (
    decode_index,
    decode_name,
    encode_index,
    encode_name,
    is_new,
)
from runstore.codecs._pandas_labels import decode_labels, encode_labels
from runstore.codecs._pandas_pickled import MOST_PICKLED
from runstore.codecs._pandas_weight import objects_of_batch, weigh
from runstore.codecs._pickle import Pickling
from runstore.codecs._plain import InexactError, from_tree, plain_tree
from runstore.codecs._python import is_json
from runstore.errors import CorruptObjectError

__all__ = ["PandasCodec", "from_blocks", "grouped"]

Spec = dict[str, Any]
Block = tuple[Any, "np.ndarray[Any, Any]"]


class PandasCodec:
    """``pandas.DataFrame``, ``Series`` and ``Index``.

    What the columns' coders keep exactly is an Arrow column, other columns are a
    pickle each. A frame of many of these, or whose labels, index, ``attrs`` or emptiness leave
    no room for that is left to pickle as a whole.
    """

    name = "pandas"
    version = 2  # since then columns, labels and names of more types

    def encode(self, value: Any, pickling: Pickling) -> Encoded | None:
        """See `runstore.codecs.Codec.encode`."""
        if isinstance(value, pd.Index):
            return _encode_index_alone(value)
        if isinstance(value, pd.api.extensions.ExtensionArray):
            return _encode_array(value)
        if type(value) not in (pd.DataFrame, pd.Series):
            return None  # a subclass would come back as its base
        known = key_of(value)
        if known is None:
            return self._encode(value, pickling)
        again = encoded_again(*known)
        if again is None and (again := self._encode(value, pickling)) is not None:
            keep_encoded(known[0], again)
        return again

    def _encode(self, value: Any, pickling: Pickling) -> Encoded | None:
        series = isinstance(value, pd.Series)
        head = _encode_head(value)
        if head is None:
            return None
        spec, index_columns, labels = head
        columns, kinds, pickled = [], [], 0
        for label, values in zip(labels, _arrays(value), strict=True):
            encoded = encode_column(values, pickling, label)
            if encoded is None:
                return None  # no cell to put a pickle into
            columns.append(encoded[0])
            kinds.append(encoded[1])
            pickled += encoded[1]["k"] == "pickle"
            if pickled > MOST_PICKLED or (pickled == 1 and _is_sparse(value)):
                return None  # each would repeat what one pickle says once
        names = _unique([str(label) for label in labels])
        index_names = _unique([f"__index_level_{i}__" for i in range(len(index_columns))], names)
        spec["columns"] = _run_lengths(kinds)
        spec["kind"] = "series" if series else "frame"
        schema = pa.schema(
            [pa.field(name, c.type) for name, c in zip(names, columns, strict=True)]
            + [pa.field(name, c.type) for name, c in zip(index_names, index_columns, strict=True)]
        )
        schema = schema.with_metadata(_for_pandas(value, spec, schema, index_names))
        batch = pa.RecordBatch.from_arrays([*columns, *index_columns], schema=schema)
        size = size_of(batch)
        return Encoded(
            schema,
            [batch],
            spec,
            rows=len(value),
            columns=None if series else len(columns),
            nbytes=size,
            objects=objects_of_batch(batch, kinds, size),
            joins=True,
            version=_version(spec, schema),
        )

    def decode(self, opened: Opened, spec: Spec, pickling: Pickling) -> Any:
        """See `runstore.codecs.Codec.decode`."""
        if (again := built_again(opened, spec)) is not None:
            return again
        table = opened.table()
        if spec["kind"] in ("array", "index"):
            weigh(opened, table, [], pickling)
            found = decode_index(opened, table.columns, spec["index"])
            return found if spec["kind"] == "index" else found.array
        kinds = _kinds(spec, opened.ref, table.num_columns)
        weigh(opened, table, kinds, pickling)
        index = decode_index(opened, table.columns[len(kinds) :], spec["index"])
        labels: Any = decode_labels(spec["labels"], opened.ref) if spec["kind"] == "frame" else ()
        arrays = []
        for i, kind in enumerate(kinds):
            named = kind["k"] == "pickle" and i < len(labels)
            with pickling.at_column(labels[i]) if named else nullcontext():
                arrays.append(decode_column(opened, table.column(i), kind, pickling))
        value: Any
        if spec["kind"] == "series":
            value = _series(arrays[0], index, decode_name(spec["name"], opened.ref))
        else:
            value = _frame(arrays, kinds, index, labels)
            keep_built(opened, spec, value, arrays, _from_blocks)
        if spec.get("attrs"):
            value.attrs = spec["attrs"]
        elif "tagged" in spec:
            value.attrs = from_tree(
                deepcopy(spec["tagged"]), _no_leaf, opened.ref, pickling.class_named
            )
        return value if spec["duplicates"] else value.set_flags(allows_duplicate_labels=False)

    def project(self, schema: pa.Schema, spec: Spec, columns: list[Any]) -> tuple[list[int], Spec]:
        """See `runstore.codecs.Projecting`."""
        if spec["kind"] != "frame":
            raise TypeError(spec["kind"])
        labels = decode_labels(spec["labels"])
        kept = [int(at) for at in labels.get_indexer_for(columns)]
        if -1 in kept:
            raise KeyError(columns[kept.index(-1)])
        kinds = _kinds(spec, "the object", len(schema))
        index = list(range(len(kinds), len(schema)))
        return kept + index, spec | {
            "columns": _run_lengths([kinds[at] for at in kept]),
            "labels": encode_labels(labels.take(kept)),
        }


def _is_sparse(value: Any) -> bool:
    """Return whether so many columns are sparse that it need not be tried with each."""
    if isinstance(value, pd.Series):
        return False
    return sum(type(dtype) is pd.SparseDtype for dtype in value.dtypes) > MOST_PICKLED


def _encode_head(value: Any) -> tuple[Spec, list[pa.Array], list[Any]] | None:
    """Index, labels, attrs and flags; None if one of them is not exact."""
    index = encode_index(value.index)
    if index is None:
        return None
    spec: Spec = {"index": index[1], "duplicates": value.flags.allows_duplicate_labels}
    if is_json(value.attrs):
        spec["attrs"] = deepcopy(value.attrs)  # the spec is remembered, and the frame changes
    else:
        try:
            spec["tagged"] = plain_tree(value.attrs)
        except InexactError:
            return None
    if isinstance(value, pd.Series):
        name = encode_name(value.name)
        if name is ...:
            return None
        return (
            spec | {"name": name},
            index[0],
            ["value" if value.name is None else value.name],
        )
    labels = encode_labels(value.columns)
    if labels is None:
        return None
    return spec | {"labels": labels}, index[0], list(value.columns)


def _encode_index_alone(value: Any) -> Encoded | None:
    encoded = encode_index(value)
    if encoded is None:
        return None
    columns, spec = encoded
    names = _unique([f"level_{i}" if n is None else str(n) for i, n in enumerate(value.names)])
    batch = pa.RecordBatch.from_arrays(columns, names=names[: len(columns)])
    return Encoded(
        batch.schema,
        [batch],
        {"kind": "index", "index": spec},
        rows=len(value),
        nbytes=size_of(batch),
        objects=objects_of_batch(batch, [], size_of(batch)),
        version=_version(spec, batch.schema),
    )


def _encode_array(value: Any) -> Encoded | None:
    """An array by itself, as the index that it makes."""
    index = pd.Index(value, tupleize_cols=False)
    if type(index.array) is not type(value) or index.dtype != value.dtype:
        return None
    encoded = _encode_index_alone(index)
    if encoded is not None:
        encoded.spec["kind"] = "array"
        encoded.version = 2
    return encoded


def _version(spec: Spec, schema: pa.Schema) -> int:
    """Return the lowest version of the codec that reads what is described so."""
    return 2 if not len(schema) or "tagged" in spec or is_new(spec) else 1


def _no_leaf(at: int) -> Any:
    raise CorruptObjectError("the stored frame is damaged: its attrs have a leaf")


def _arrays(value: Any) -> Iterator[Any]:
    if isinstance(value, pd.Series):
        yield value._values
    else:
        yield from value._iter_column_arrays()  # what each column's _values are, without a Series


def _series(values: Any, index: Any, name: Any = None) -> Any:
    """Build a series on *values* as they are: with a dtype, pandas infers no other."""
    return pd.Series(values, index=index, name=name, dtype=values.dtype, copy=False)


def _frame(arrays: list[Any], kinds: list[Spec], index: Any, labels: Any) -> Any:
    """Build a frame on *arrays* as they are: no copy, no consolidation, no inference."""
    if len(arrays) != len(labels) or any(len(array) != len(index) for array in arrays):
        raise CorruptObjectError("the stored frame is damaged: columns and labels differ in number")
    return from_blocks(grouped(arrays, kinds), index, labels)


def grouped(arrays: list[Any], kinds: list[Spec]) -> list[Block]:
    """Return the columns of a frame as blocks, and of which places each is."""
    return [
        (block, np.arange(start, start + count, dtype=np.intp))
        for block, start, count in _blocks(arrays, kinds)
    ]


def from_blocks(blocks: list[Block], index: Any, labels: Any) -> Any:
    """Build a frame on blocks as they are."""
    if _from_blocks is not None:
        return _from_blocks(blocks, index=index, columns=labels)
    # pandas 2: one frame per block, side by side.
    frames = [
        pd.DataFrame(block.T, index=index, copy=False)
        if isinstance(block, np.ndarray) and block.dtype != object
        else _series(block[0] if isinstance(block, np.ndarray) else block, index).to_frame()
        for block, _ in blocks
    ]
    concat: Any = pd.concat  # whose copy=False pandas 3 no longer knows
    frame = concat(frames, axis=1, copy=False) if frames else pd.DataFrame(index=index)
    frame.columns = labels
    return frame


def _blocks(arrays: list[Any], kinds: list[Spec]) -> Iterator[tuple[Any, int, int]]:
    """Group neighbouring plain columns that lie evenly spaced in the file into one 2-D view.

    A frame of thousands of columns becomes one block, and still nothing is copied.
    """
    start = 0
    while start < len(arrays):
        first = arrays[start]
        end = start + 1
        if not isinstance(first, np.ndarray):
            yield first, start, 1
        elif not is_plain(kinds[start]) or not first.size:
            yield first.reshape(1, -1), start, 1
        else:
            step = 0
            while end < len(arrays) and kinds[end] == kinds[start] and _alike(first, arrays[end]):
                gap = _address(arrays[end]) - _address(arrays[end - 1])
                if gap < first.nbytes or gap % first.itemsize or step not in (0, gap):
                    break
                step = gap
                end += 1
            shape, strides = (end - start, first.size), (step or first.nbytes, first.itemsize)
            block = np.lib.stride_tricks.as_strided(first, shape, strides)
            yield block, start, end - start
        start = end


def _alike(one: Any, other: Any) -> bool:
    """Return whether both arrays are of one type and lie in the same file."""
    homes = [getattr(array.base, "obj", None) for array in (one, other)]  # of the memoryviews
    return one.dtype == other.dtype and homes[0] is not None and homes[0] is homes[1]


def _address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


def _load_from_blocks() -> Callable[..., Any] | None:
    try:
        internals: Any = import_module("pandas.api.internals")
    except ImportError:  # pandas 2
        return None
    return cast("Callable[..., Any]", internals.create_dataframe_from_blocks)


_from_blocks = _load_from_blocks()


def _unique(names: list[str], taken: list[str] | None = None) -> list[str]:
    """Number repeated names, so that every reader can address every column."""
    seen = set(taken or ())
    counts: dict[str, int] = {}
    unique = []
    for name in names:
        candidate = name
        while candidate in seen:
            counts[name] = counts.get(name, 0) + 1
            candidate = f"{name}.{counts[name]}"
        seen.add(candidate)
        unique.append(candidate)
    return unique


def _run_lengths(kinds: list[Spec]) -> list[list[Any]]:
    """Shorten runs of equal column specs: a frame of 5,000 floats has one entry."""
    runs: list[list[Any]] = []
    for kind in kinds:
        if runs and repr(runs[-1][0]) == repr(kind):  # to ==, True and 1 are the same
            runs[-1][1] += 1
        else:
            runs.append([kind, 1])
    return runs


def _kinds(spec: Spec, ref: str, columns: int) -> list[Spec]:
    """Undo `_run_lengths`, of no more columns than there are."""
    counts = [count for _, count in spec["columns"]]
    if min(counts, default=0) < 0 or sum(counts) > columns:
        raise CorruptObjectError(f"{ref} is damaged: columns are missing", ref)
    return [kind for kind, count in spec["columns"] for _ in range(count)]


def _for_pandas(
    value: Any, spec: Spec, schema: pa.Schema, index_names: list[str]
) -> dict[bytes, bytes]:
    """Return the metadata by which pandas' and pyarrow's own readers restore the index.

    Its form is the one in pandas' developer docs, "Storing pandas DataFrame objects
    in Apache Parquet format".
    """
    index = spec["index"]
    if index["k"] == "range":
        start, stop, step = index["range"]
        name = index["name"] if isinstance(index["name"], str) else None
        entry = {"kind": "range", "name": name, "start": start, "stop": stop, "step": step}
        described: list[Any] = [entry]
    else:
        described = index_names
    names = [name if is_json(name) else str(name) for name in value.index.names]
    levels = dict(zip(index_names, names, strict=False))
    columns = [
        {
            "name": levels[field.name],
            "field_name": field.name,
            "pandas_type": str(field.type),
            "numpy_type": "object",
            "metadata": None,
        }
        for field in schema
        if field.name in levels
    ]
    document = {
        "index_columns": described,
        "column_indexes": [],
        "columns": columns,
        "creator": {"library": "runstore", "version": "1"},
        "pandas_version": pd.__version__,
    }
    return {b"pandas": json.dumps(document).encode()}

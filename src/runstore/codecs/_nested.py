"""Lists, tuples and dicts of arrays and frames, and Python's small values, without pickle.

One record batch of one row: the tree of the value as JSON, then for every record
batch of every leaf a list of structs on the leaf's own memory. So nothing is copied,
and other readers find the leaves as nested columns.
"""

import json
from pathlib import PurePath
from typing import Any

import numpy as np
import pyarrow as pa

from runstore import codecs
from runstore.codecs._arrow import survives
from runstore.codecs._base import Encoded, Opened
from runstore.codecs._pickle import Pickling
from runstore.codecs._plain import InexactError, from_tree, to_tree
from runstore.codecs._types import check_type
from runstore.errors import (
    CorruptObjectError,
    UnsafePickleError,
    UnsupportedFormatError,
    UnsupportedValueError,
)

__all__ = ["NestedCodec", "decode_tree", "encode_tree"]

_TREE = pa.field("tree", pa.large_string(), nullable=False)


class NestedCodec:
    """Nested ``dict``, ``list``, ``tuple`` and ``OrderedDict`` of values with an exact codec.

    If one leaf could only be pickled, the whole value is: pickle keeps what the
    parts share with one another. An object that occurs twice as a leaf is stored once.
    """

    name = "nested"
    version = 1

    def encode(self, value: Any, pickling: Pickling) -> Encoded | None:
        """See `runstore.codecs.Codec.encode`."""
        return encode_tree(value, {})

    def decode(self, opened: Opened, spec: dict[str, Any], pickling: Pickling) -> Any:
        """See `runstore.codecs.Codec.decode`."""
        return decode_tree(opened, spec, pickling)


def encode_tree(value: Any, spec: dict[str, Any]) -> Encoded | None:
    """Return *value* as a batch of a tree and its leaves; None if a leaf is not exact."""
    leaves = _Leaves()
    try:
        tree = to_tree(value, leaves)
    except (InexactError, UnsafePickleError):
        return None
    text = json.dumps(tree, separators=(",", ":"))
    columns = [pa.array([text], pa.large_string()), *leaves.columns]
    schema = pa.schema([_TREE, *leaves.fields])
    if not survives(schema):
        return None
    return Encoded(
        schema,
        [pa.RecordBatch.from_arrays(columns, schema=schema)],
        spec | {"leaves": leaves.specs},
        nbytes=len(text) + leaves.nbytes,
    )


def decode_tree(opened: Opened, spec: dict[str, Any], pickling: Pickling) -> Any:
    """Rebuild what `encode_tree` was given, on the memory of *opened*."""
    batch = opened.batch(0)
    if batch.num_rows != 1 or batch.schema.field(0).type != _TREE.type:
        raise CorruptObjectError(f"{opened.ref} is damaged: no tree in it", opened.ref)
    values, first = [], 1
    for leaf in spec["leaves"]:
        columns = range(first, first + leaf["batches"])
        values.append(_decode_leaf(_Part(opened, batch, columns), leaf, pickling))
        first = columns.stop
    try:
        tree = json.loads(batch.column(0)[0].as_py())
        return from_tree(tree, values.__getitem__, opened.ref)
    except RecursionError as exc:
        raise CorruptObjectError(
            f"{opened.ref} is damaged: it is nested too deeply", opened.ref
        ) from exc


class _Leaves:
    """Collects the leaves of one value, each once, as columns."""

    def __init__(self) -> None:
        self.columns: list[pa.Array] = []
        self.fields: list[pa.Field] = []
        self.specs: list[dict[str, Any]] = []
        self.nbytes = 0
        self._seen: dict[int, tuple[int, Any]] = {}  # by identity; the object is kept alive
        self._names: set[str] = {_TREE.name}

    def __call__(self, value: Any, path: tuple[Any, ...]) -> int:
        if id(value) in self._seen:
            return self._seen[id(value)][0]
        if isinstance(value, PurePath):
            raise InexactError
        try:
            codec, encoded = codecs.encode(value, Pickling("deny", "a leaf"))
        except UnsupportedValueError as exc:
            way = "".join(f"[{part!r}]" for part in path)
            at = f"{exc.message} (it is value{way})" if path else exc.message
            raise UnsupportedValueError(at, exc.ref) from exc
        index = len(self.specs)
        self._seen[id(value)] = index, value
        name = ".".join(str(part) for part in path).replace("\0", "") or "value"
        batches = list(encoded.batches) or [_empty(encoded.schema)]
        for batch in batches:
            self._add(name, batch)
        self.specs.append(
            {
                "codec": codec.name,
                "version": codec.version,
                "spec": encoded.spec,
                "batches": len(batches),
            }
        )
        self.nbytes += encoded.nbytes
        return index

    def _add(self, name: str, batch: pa.RecordBatch) -> None:
        unique = name
        while unique in self._names:
            unique = f"{name}.{len(self.columns)}"
        self._names.add(unique)
        rows = pa.StructArray.from_arrays(batch.columns, fields=list(batch.schema))
        if len(rows) != batch.num_rows:
            raise InexactError  # no columns, and yet rows
        item = pa.field("item", rows.type, nullable=False)
        offsets = pa.array([0, len(rows)], pa.int64())
        column = pa.LargeListArray.from_arrays(offsets, rows, type=pa.large_list(item))
        self.columns.append(column)
        self.fields.append(
            pa.field(unique, column.type, nullable=False, metadata=batch.schema.metadata)
        )


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    columns = [column.combine_chunks() for column in schema.empty_table().columns]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


class _Part:
    """Some columns of a stored batch, as if they were an object of their own."""

    def __init__(self, opened: Opened, batch: pa.RecordBatch, columns: range) -> None:
        self.data = opened.data
        self.ref = opened.ref
        self.cell = None
        self.keeps_nulls = opened.keeps_nulls
        self._opened = opened
        self._batch = batch
        self._columns = columns
        field = batch.schema.field(columns[0])
        check_type(opened, field.type, _is_leaf)
        fields = [field.type.value_type.field(i) for i in range(field.type.value_type.num_fields)]
        self.schema = pa.schema(fields, metadata=field.metadata)

    @property
    def num_batches(self) -> int:
        return len(self._columns)

    def batch(self, index: int) -> pa.RecordBatch:
        rows = self._batch.column(self._columns[index]).values
        arrays = [rows.field(i) for i in range(rows.type.num_fields)]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def table(self) -> pa.Table:
        return pa.Table.from_batches(map(self.batch, range(self.num_batches)), self.schema)

    def array(self, buffer: Any, dtype: Any, count: int) -> "np.ndarray[Any, Any]":
        return self._opened.array(buffer, dtype, count)

    def check_all(self) -> None:
        self._opened.check_all()


def _is_leaf(kind: pa.DataType) -> bool:
    return bool(pa.types.is_large_list(kind) and pa.types.is_struct(kind.value_type))


def _decode_leaf(part: _Part, leaf: dict[str, Any], pickling: Pickling) -> Any:
    codec = codecs.codec_named(leaf["codec"])
    if leaf["version"] > codec.version:
        raise UnsupportedFormatError(
            f"{part.ref} holds a part by version {leaf['version']} of the codec {codec.name!r}, "
            f"this runstore reads up to {codec.version}: upgrade runstore",
            part.ref,
        )
    return codec.decode(part, leaf["spec"], pickling)

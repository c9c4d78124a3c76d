"""Lists, tuples and dicts of arrays and frames, and Python's small values, without pickle.

One record batch of one row: the tree of the value as JSON, then for every record
batch of every leaf a list of structs on the leaf's own memory. So nothing is copied,
and other readers find the leaves as nested columns.
"""

import json
import re
from pathlib import PurePath
from typing import Any

import numpy as np
import pyarrow as pa

from runstore import codecs
from runstore.buffers import READ_WHOLE, flat
from runstore.codecs._arrow import survives
from runstore.codecs._base import Codec, Encoded, Opened
from runstore.codecs._packed import packed, size_in_memory, unpacked_container
from runstore.codecs._packed_items import Packer, SharedError
from runstore.codecs._pickle import Pickling
from runstore.codecs._plain import InexactError, from_tree, to_tree
from runstore.codecs._sparse import CANONICAL
from runstore.codecs._tags import BUILDERS, READERS
from runstore.codecs._tags_weight import weight_of
from runstore.codecs._types import check_type
from runstore.errors import (
    CorruptObjectError,
    UnsafePickleError,
    UnsupportedFormatError,
    UnsupportedValueError,
)
from runstore.referred import empty_batch

__all__ = ["NestedCodec", "decode_tree", "encode_tree"]

_NEW = re.compile(rf"""["](pytz|{"|".join(map(re.escape, (*READERS, *BUILDERS)))})["]:""")
_SORTED = re.compile(rf'}},"{CANONICAL}"\]')
_TREE = pa.field("tree", pa.large_string(), nullable=False)


class NestedCodec:
    """Values that are tagged JSON, and nested containers of values with an exact codec.

    If one leaf could only be pickled, the whole value is: pickle keeps what the
    parts share with one another. An object that occurs twice as a leaf is stored once.
    """

    name = "nested"
    version = 3  # since 2 values of more types, since 3 sparse arrays known to be sorted

    def encode(self, value: Any, pickling: Pickling) -> Encoded | None:
        """See `runstore.codecs.Codec.encode`."""
        return encode_tree(value, {}, careful=pickling.is_careful)

    def decode(self, opened: Opened, spec: dict[str, Any], pickling: Pickling) -> Any:
        """See `runstore.codecs.Codec.decode`."""
        return decode_tree(opened, spec, pickling)


def encode_tree(value: Any, spec: dict[str, Any], *, careful: bool = False) -> Encoded | None:
    """Return *value* as a batch of a tree and its leaves; None if a leaf is not exact.

    Args:
        value: Anything.
        spec: What is told of it besides.
        careful: As for `packed`.
    """
    try:
        leaves, tree = _taken_apart(value, careful)
    except (InexactError, UnsafePickleError):
        return None
    text = json.dumps(tree, separators=(",", ":"))
    columns = [pa.array([text], pa.large_string()), *leaves.columns]
    schema = pa.schema([_TREE, *leaves.fields])
    if leaves.read_whole:
        schema = schema.with_metadata({READ_WHOLE: ",".join(map(str, leaves.read_whole))})
    if not survives(schema):
        return None
    tags = frozenset(_NEW.findall(text))
    return Encoded(
        schema,
        [pa.RecordBatch.from_arrays(columns, schema=schema)],
        spec | {"leaves": leaves.specs},
        nbytes=len(text) + leaves.nbytes,
        objects=leaves.objects_in(tree) + weight_of(text),
        version=3 if _SORTED.search(text) else 2 if tags else 1,
        tags=tags,
    )


def _taken_apart(value: Any, careful: bool) -> tuple["_Leaves", Any]:
    """Return the leaves of *value* and its tree."""
    for arrays in (True, False):
        leaves = _Leaves(Packer(arrays=arrays), careful)
        try:
            tree = to_tree(value, leaves, leaves.pack)
        except SharedError:
            continue  # an array in two places is a leaf of its own
        leaves.check_repeated(tree)
        return leaves, tree
    raise InexactError


def decode_tree(opened: Opened, spec: dict[str, Any], pickling: Pickling) -> Any:
    """Rebuild what `encode_tree` was given, on the memory of *opened*."""
    batch = opened.batch(0)
    if batch.num_rows != 1 or batch.schema.field(0).type != _TREE.type:
        raise CorruptObjectError(f"{opened.ref} is damaged: no tree in it", opened.ref)
    values = _Values(opened, batch, spec["leaves"], pickling)
    text = batch.column(0)[0].as_py()
    pickling.spend(weight_of(text), flat(opened.data).nbytes)
    try:
        return from_tree(json.loads(text), values, opened.ref, pickling.class_named)
    except RecursionError as exc:
        raise CorruptObjectError(
            f"{opened.ref} is damaged: it is nested too deeply", opened.ref
        ) from exc


class _Leaves:
    """Collects the leaves of one value, each once, as columns."""

    def __init__(self, packer: Packer, careful: bool) -> None:
        self._packer = packer
        self._careful = careful
        self._packed: dict[int, int] = {}  # packed containers by index, and their bytes
        self._objects: dict[int, int] = {}  # and what they take as objects
        self.columns: list[pa.Array] = []
        self.read_whole: list[int] = []  # columns of packed containers
        self.fields: list[pa.Field] = []
        self.specs: list[dict[str, Any]] = []
        self.nbytes = 0
        self._others = 0  # what other leaves take as objects
        self._seen: dict[int, tuple[int, Any]] = {}  # by identity; the object is kept alive
        self._names: set[str] = {_TREE.name}

    def __call__(self, value: Any, path: tuple[Any, ...]) -> int:
        if id(value) in self._seen:
            return self._seen[id(value)][0]
        if isinstance(value, PurePath):
            raise InexactError
        if id(value) in self._packer.held:
            raise SharedError
        try:
            codec, encoded = codecs.encode(value, Pickling("deny", "a leaf", explains=False))
        except UnsupportedValueError as exc:
            way = "".join(f"[{part!r}]" for part in path)
            at = f"{exc.message} (it is value{way})" if path else exc.message
            raise UnsupportedValueError(at, exc.ref) from exc
        self._seen[id(value)] = len(self.specs), value
        return self._put(codec, encoded, path)

    def pack(self, value: Any, path: tuple[Any, ...]) -> int | None:
        """Take in a container that is packed; None if it has to be gone through."""
        encoded = packed(value, self._packer, careful=self._careful)
        if encoded is None:
            return None
        if not self._packer.held.isdisjoint(self._seen):
            raise SharedError
        self._packed[len(self.specs)] = encoded.nbytes
        self._objects[len(self.specs)] = encoded.objects
        first = 1 + len(self.columns)  # the tree is the first of all
        index = self._put(codecs.codec_named("packed"), encoded, path)
        self.read_whole += range(first, 1 + len(self.columns))
        return index

    def check_repeated(self, tree: Any) -> None:
        """Raise InexactError if packed containers stand in so many places that they fill memory."""
        if self._packed and _bytes_in(tree, self._packed, {}) > _most(sum(self._packed.values())):
            raise InexactError

    def objects_in(self, tree: Any) -> int:
        """Return what packed containers take as objects, in all their places."""
        return self._others + (_bytes_in(tree, self._objects, {}) if self._objects else 0)

    def _put(self, codec: Codec, encoded: Encoded, path: tuple[Any, ...]) -> int:
        index = len(self.specs)
        name = ".".join(str(part) for part in path).replace("\0", "") or "value"
        batches = list(encoded.batches) or [empty_batch(encoded.schema)]
        for batch in batches:
            self._add(name, batch)
        self.specs.append(
            {
                "codec": codec.name,
                "version": encoded.version or codec.version,
                "spec": encoded.spec,
                "batches": len(batches),
            }
        )
        self.nbytes += encoded.nbytes
        if index not in self._objects:
            self._others += encoded.objects
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


_COPIES = 24  # bytes for one of an array, at most: a graph makes entries of dictionaries of it
_AGAIN = 128 << 20  # bytes of packed containers that are made again, for all places together


def _most(once: int) -> int:
    return once + _AGAIN


def _bytes_in(tree: Any, packed: dict[int, int], known: dict[int, int]) -> int:
    """Return how many bytes of packed containers a tree makes; equal parts are looked at once."""
    if not isinstance(tree, (list, dict)):
        return 0
    found = known.get(id(tree))
    if found is None:
        if isinstance(tree, dict) and tree.keys() == {"$leaf"}:
            found = packed.get(tree["$leaf"], 0)
        else:
            parts = tree.values() if isinstance(tree, dict) else tree
            found = sum(_bytes_in(part, packed, known) for part in parts)
        known[id(tree)] = found
    return found


class _Values:
    """The values of the leaves: arrays and frames once, packed containers anew in each place."""

    def __init__(
        self, opened: Opened, batch: pa.RecordBatch, leaves: list[Any], pickling: Pickling
    ) -> None:
        self._leaves = leaves
        self._pickling = pickling
        self._ref = opened.ref
        self._parts: list[_Part] = []
        self._known: dict[int, Any] = {}
        self._made = self._once = 0
        first = 1
        self._stored = flat(opened.data).nbytes
        self._objects: dict[int, int] = {}  # what packed containers take, each time
        told = (batch.schema.metadata or {}).get(READ_WHOLE, b"").split(b",")
        for index, leaf in enumerate(leaves):
            columns = range(first, first + leaf["batches"])
            self._parts.append(_Part(opened, batch, columns))
            first = columns.stop
            if leaf["codec"] != "packed":
                self._known[index] = _decode_leaf(self._parts[index], leaf, pickling)
            else:
                self._once += self._parts[index].nbytes
                self._objects[index] = size_in_memory(self._parts[index], leaf["spec"])
                if not all(b"%d" % column in told for column in columns):
                    opened.check_all()  # of other bytes than these, too

    def copied(self, index: int) -> Any:
        """Return a leaf of which a copy is about to be made."""
        value = self(index)
        self._pickling.spend(_COPIES * int(getattr(value, "nbytes", 0)), self._stored)
        return value

    def __call__(self, index: int) -> Any:
        if index in self._known:
            return self._known[index]
        part = self._parts[index]
        self._pickling.spend(self._objects[index], self._stored)
        self._made += part.nbytes
        if self._made > _most(self._once):
            raise CorruptObjectError(
                f"{self._ref} is damaged: its parts stand in too many places", self._ref
            )
        return _decode_leaf(part, self._leaves[index], self._pickling)


class _Part:
    """Some columns of a stored batch, as if they were an object of their own."""

    def __init__(self, opened: Opened, batch: pa.RecordBatch, columns: range) -> None:
        self.data = opened.data
        self.ref = opened.ref
        self.cell = None
        self.kind = None
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

    @property
    def nbytes(self) -> int:
        """Bytes of the first batch."""
        return int(self.batch(0).nbytes)

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
    codec: Codec = codecs.codec_named(leaf["codec"])
    if leaf["version"] > codec.version:
        raise UnsupportedFormatError(
            f"{part.ref} holds a part by version {leaf['version']} of the codec {codec.name!r}, "
            f"this runstore reads up to {codec.version}: upgrade runstore",
            part.ref,
        )
    if codec.name == "packed":
        return unpacked_container(part, leaf["spec"])
    return codec.decode(part, leaf["spec"], pickling)

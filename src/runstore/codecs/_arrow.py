"""pyarrow's own values: stored as they are, read without copying."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from runstore.codecs._base import Encoded, Opened
from runstore.codecs._pickle import Pickling
from runstore.errors import CorruptObjectError, UnsupportedValueError
from runstore.referred import nbytes_of
from runstore.schemas import BySchema

__all__ = ["ArrowCodec", "is_valid", "positions", "size_of", "survives", "with_same_labels"]

_KINDS: tuple[tuple[str, type], ...] = (
    ("table", pa.Table),
    ("batch", pa.RecordBatch),
    ("chunked", pa.ChunkedArray),
    ("array", pa.Array),
    ("scalar", pa.Scalar),
    ("schema", pa.Schema),
)


class ArrowCodec:
    """``pyarrow.Table``, ``RecordBatch``, ``Array``, ``ChunkedArray``, ``Scalar`` and ``Schema``.

    Schema metadata, nullability, dictionaries and extension types are kept; how a
    table is cut into chunks may change. Dictionaries that differ from chunk to chunk
    have no place in an Arrow file and are left to pickle.
    """

    name = "arrow"
    version = 1

    def encode(self, value: Any, pickling: Pickling) -> Encoded | None:
        """See `runstore.codecs.Codec.encode`."""
        kind = next(name for name, of in _KINDS if isinstance(value, of))
        if kind == "schema":
            return _encode_schema(value)
        if kind == "scalar" and (value := _as_array(value)) is None:
            return None
        table = _one_column(value) if kind in ("array", "chunked", "scalar") else value
        if table.num_columns == 0 and table.num_rows:
            raise UnsupportedValueError(  # pickle would lose them, too
                f"cannot store a {type(value).__name__} without columns: Arrow forgets its "
                f"{table.num_rows} rows. Add a column, or store the number"
            )
        facts = _facts_of(table.schema)
        _check_text(kind, table, facts)
        batches = _batches(table, facts)
        if batches is None or not facts.survives:
            return None
        return Encoded(
            table.schema,
            batches,
            _spec(kind, facts),
            rows=None if kind == "scalar" else table.num_rows,
            columns=table.num_columns if kind in ("table", "batch") else None,
            nbytes=nbytes_of(batches),
            cut=kind in ("table", "chunked") and (not facts.labels or len(batches) > 1),
        )

    def decode(self, opened: Opened, spec: dict[str, Any], pickling: Pickling) -> Any:
        """See `runstore.codecs.Codec.decode`."""
        told = spec.get("extensions", ())
        missing = set(told) - set(_extensions(opened.schema)) if told else ()
        if missing:
            raise UnsupportedValueError(
                f"cannot load {opened.ref}: it holds the Arrow extension type "
                f"{', '.join(sorted(missing))}, which is not registered here. Import the package "
                "that defines it, or call pyarrow.register_extension_type",
                opened.ref,
            )
        kind = spec["kind"]
        if kind == "batch":
            return opened.batch(0)
        if kind == "schema":
            return opened.schema
        if kind in ("array", "scalar"):
            if opened.num_batches != 1:
                raise CorruptObjectError(f"{opened.ref} is damaged: not one array", opened.ref)
            column = opened.batch(0).column(0)
            return column if kind == "array" else column[0]
        table = opened.table()
        return table if kind == "table" else table.column(0)

    def project(
        self, schema: pa.Schema, spec: dict[str, Any], columns: list[Any]
    ) -> tuple[list[int], dict[str, Any]]:
        """See `runstore.codecs.Projecting`."""
        if spec["kind"] not in ("table", "batch"):
            raise TypeError(spec["kind"])
        kept = positions(schema.names, columns)
        if "extensions" in spec:
            known = _extensions(pa.schema([schema.field(i) for i in kept]))
            spec = spec | {"extensions": sorted(set(known))}
        return kept, spec


def size_of(table: Any) -> int:
    """Return how many bytes the data of a table or batch has."""
    try:
        return int(table.nbytes)
    except pa.ArrowTypeError:  # before pyarrow 24, views have no nbytes
        return sum(map(_size_of_column, table.columns))


def _size_of_column(column: Any) -> int:
    try:
        return int(column.nbytes)
    except pa.ArrowTypeError:
        return int(column.get_total_buffer_size())


def positions(names: list[str], columns: list[Any]) -> list[int]:
    """Return where each column stands, all of them for a name that is there several times.

    Raises:
        KeyError: One is not there.
    """
    found: dict[Any, list[int]] = {}
    for at, name in enumerate(names):
        found.setdefault(name, []).append(at)
    return [at for column in columns for at in found[column]]


def survives(schema: pa.Schema) -> bool:
    """Return whether *schema* is read as what it is written as.

    Unregistered extensions are not; dictionaries of dictionaries are written, but
    cannot be read at all.
    """
    for kind in schema.types:
        if kind.id in _NUMBERS:
            continue
        for part in _parts(kind):
            if pa.types.is_dictionary(part) and _has_dictionary(part.value_type):
                return False
    try:
        return bool(
            pa.ipc.read_schema(pa.py_buffer(schema.serialize())).equals(schema, check_metadata=True)
        )
    except (pa.ArrowException, OSError, ValueError, TypeError):
        return False


class _Facts:
    """What is to be known of a schema before a value of it is stored.

    Attributes:
        survives: See `survives`.
        text, labels: The columns that have text, or dictionaries, in them.
        extensions: The names of the extension types, sorted.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.survives = survives(schema)
        others = [(i, kind) for i, kind in enumerate(schema.types) if kind.id not in _NUMBERS]
        self.text = [i for i, kind in others if _has_text(kind)]
        self.labels = [i for i, kind in others if _has_dictionary(kind)]
        self.extensions = sorted(set(_extensions(schema))) if others else []


_NUMBERS = {
    kind.id
    for kind in (
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.bool_(), pa.timestamp("s")),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.duration("s"), pa.date32()),
        *(pa.float16(), pa.float32(), pa.float64()),
    )
}


_facts: BySchema[_Facts] = BySchema(_Facts)


def _facts_of(schema: pa.Schema) -> _Facts:
    """Return the facts of a schema; of extension types anew, as one may be registered meanwhile."""
    facts = _facts.of(schema)
    return _Facts(schema) if facts.extensions else facts


def _encode_schema(schema: pa.Schema) -> Encoded | None:
    """A file of that schema without a row."""
    facts = _facts_of(schema)
    return Encoded(schema, [], _spec("schema", facts)) if facts.survives else None


def _as_array(scalar: pa.Scalar) -> pa.Array | None:
    """Return *scalar* as an array of one; None if its type has none."""
    try:
        array = pa.repeat(scalar, 1)
        same = array.type == scalar.type and type(array[0]) is type(scalar)
        return array if same else None
    except (pa.ArrowException, NotImplementedError):
        return None


def _spec(kind: str, facts: _Facts) -> dict[str, Any]:
    spec: dict[str, Any] = {"kind": kind}
    if facts.extensions:
        spec["extensions"] = facts.extensions
    return spec


def _one_column(value: Any) -> Any:
    schema = pa.schema([pa.field("value", value.type)])
    if isinstance(value, pa.ChunkedArray):
        return pa.Table.from_arrays([value], schema=schema)
    return pa.RecordBatch.from_arrays([value], schema=schema)


def _batches(table: Any, facts: _Facts) -> list[pa.RecordBatch] | None:
    """Cut *table* into batches; None if their dictionaries are not the same everywhere."""
    if isinstance(table, pa.RecordBatch):
        return [table]
    batches: list[pa.RecordBatch] = table.to_batches()
    if len(batches) > 1:
        for i in facts.labels:
            if not _agree([b.column(i) for b in batches]):
                return None
    return batches


def with_same_labels(table: Any) -> Any:
    """Return a table in one chunk if its chunks might have dictionaries of their own."""
    different = any(
        column.num_chunks > 1 and _has_dictionary(column.type) and not _agree(column.chunks)
        for column in table.columns
    )
    return table.combine_chunks() if different else table


def _agree(chunks: list[pa.Array]) -> bool:
    """Return whether all chunks have one dictionary; nested ones are not looked into."""
    first = chunks[0]
    if not pa.types.is_dictionary(first.type) or _has_dictionary(first.type.value_type):
        return False
    return all(chunk.dictionary.equals(first.dictionary) for chunk in chunks[1:])


def _has_dictionary(kind: pa.DataType) -> bool:
    return any(pa.types.is_dictionary(part) for part in _parts(kind))


def _check_text(kind: str, table: Any, facts: _Facts) -> None:
    """Raise UnsupportedValueError for text that is not UTF-8: every reader takes it for damage."""
    for i in facts.text:
        if not is_valid(table.column(i)):
            field = table.schema.field(i)
            where = f"column {field.name!r}" if kind in ("table", "batch") else "it"
            raise UnsupportedValueError(
                f"cannot store a pyarrow {kind}: {where} has text that is not UTF-8. Cast it from "
                f"{field.type} to binary"
            )


def is_valid(column: pa.Array | pa.ChunkedArray) -> bool:
    """Return whether all text in a column is UTF-8."""
    if not _has_text(column.type):
        return True
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _has_text(kind: pa.DataType) -> bool:
    return any(map(_is_text, _parts(kind)))


def _is_text(kind: pa.DataType) -> bool:
    wide = pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return bool(wide or pa.types.is_string(kind))


def _extensions(schema: pa.Schema) -> Iterator[str]:
    for field in schema:
        for part in _parts(field.type):
            if isinstance(part, pa.BaseExtensionType):
                yield part.extension_name


def _parts(kind: pa.DataType) -> Iterator[pa.DataType]:
    """Return a type and all types it is made of."""
    yield kind
    if isinstance(kind, pa.BaseExtensionType):
        yield from _parts(kind.storage_type)
    elif pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        yield from _parts(kind.value_type)
    else:
        for i in range(kind.num_fields):
            yield from _parts(kind.field(i).type)

"""Which Arrow types Parquet keeps, and how those that it does not are written all the same.

Whole seconds are written as milliseconds, as every writer of Parquet does. Which columns they
were stands in the file's key-values, so they are seconds again when they are read.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from runstore.containers._streamed import WRITE_ERRORS
from runstore.errors import UnsupportedValueError

__all__ = [
    "READS_MISSING_LISTS",
    "SECONDS",
    "check_exact",
    "check_lists",
    "in_milliseconds",
    "in_seconds",
    "is_missing_list",
    "restored",
    "with_names",
    "with_seconds",
]

SECONDS = b"runstore.seconds"
"""The key of the positions of columns that are seconds, as JSON."""


def in_seconds(schema: pa.Schema) -> list[int]:
    """Return which columns are points in time in whole seconds."""
    return [i for i, kind in enumerate(schema.types) if _is_timestamp(kind, "s")]


def in_milliseconds(schema: pa.Schema) -> pa.Schema:
    """Return the schema in which a table of *schema* is written."""
    for i in in_seconds(schema):
        field = schema.field(i)
        schema = schema.set(i, field.with_type(pa.timestamp("ms", field.type.tz)))
    return schema


def with_seconds(schema: pa.Schema, entries: Mapping[bytes, bytes]) -> pa.Schema:
    """Return the schema of a table, from that of its file and the key-values.

    Raises:
        ValueError: They do not fit each other.
    """
    if SECONDS not in entries:
        return schema
    for i in json.loads(entries[SECONDS]):
        if type(i) is not int or not 0 <= i < len(schema):
            raise ValueError(f"it has no column {i!r} of seconds")
        field = schema.field(i)
        if not _is_timestamp(field.type, "ms"):
            raise ValueError(f"column {field.name!r} of seconds is not written as milliseconds")
        schema = schema.set(i, field.with_type(pa.timestamp("s", field.type.tz)))
    return schema


def with_names(schema: pa.Schema, entries: Mapping[bytes, bytes]) -> pa.Schema:
    """Return the schema with the names inside of maps, which Arrow's reader replaces.

    Raises:
        ValueError: The Arrow schema in the key-values is none.
    """
    if _ARROW not in entries or not any(map(_has_map, schema.types)):
        return schema
    own = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(entries[_ARROW])))
    if own.names != schema.names:
        return schema
    for i, (field, told) in enumerate(zip(schema, own, strict=True)):
        if _has_map(field.type) and field.type.equals(told.type):
            schema = schema.set(i, field.with_type(told.type))
    return schema


_ARROW = b"ARROW:schema"


def _has_map(kind: Any) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return False
    if pa.types.is_map(kind):
        return True
    return any(_has_map(kind.field(i).type) for i in range(kind.num_fields))


class _Named:
    """An array under a type that differs in names alone, for `pyarrow.array`."""

    def __init__(self, array: Any, kind: Any) -> None:
        self._array, self._kind = array, kind

    def __arrow_c_array__(self, requested_schema: Any = None) -> tuple[Any, Any]:
        return self._kind.__arrow_c_schema__(), self._array.__arrow_c_array__()[1]


def restored(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table as it was before it was written; all else in it is of *schema* already.

    Raises:
        pa.ArrowInvalid: A time is no whole second.
    """
    for i, field in enumerate(schema):
        if _is_timestamp(field.type, "s"):
            table = table.set_column(i, field, table.column(i).cast(field.type))
        elif _has_map(field.type):
            parts = [pa.array(_Named(part, field.type)) for part in table.column(i).chunks]
            table = table.set_column(i, field, pa.chunked_array(parts, field.type))
    return table


def check_exact(schema: pa.Schema, ref: str, *, dictionaries: bool) -> None:
    """Raise unless every column's type survives, tried on a table without rows.

    Args:
        schema: What is to be written.
        ref: What to call the object in the error.
        dictionaries: Whether whoever reads it knows the labels of dictionaries from elsewhere.

    Raises:
        UnsupportedValueError: A column's type would not come back the same.
    """
    # Of a dictionary, Parquet keeps only the values that occur, in that order.
    changed = [] if dictionaries else [f.name for f in schema if pa.types.is_dictionary(f.type)]
    changed += [f.name for f in schema if _has_empty_lists(f.type)]
    if not changed:
        try:
            changed = _changed(schema, dictionaries)
        except WRITE_ERRORS as exc:
            raise UnsupportedValueError(
                f"cannot store {ref}: Parquet cannot hold {_refused(schema, dictionaries)} "
                f"({exc}). {_WAY_OUT}",
                ref,
            ) from exc
    if changed:
        raise UnsupportedValueError(
            f"cannot store {ref}: Parquet would change column {', '.join(map(repr, changed))}. "
            f"{_WAY_OUT}",
            ref,
        )


_WAY_OUT = (
    "Store it under a name without .parquet, which keeps it exactly, or convert the column first"
)


def _changed(schema: pa.Schema, dictionaries: bool) -> list[str]:
    """Return the columns whose type comes back as another from a table without rows."""
    sink = pa.BufferOutputStream()
    written = in_milliseconds(schema)
    empty = pa.Table.from_batches([], written)  # `empty_table` knows not every type
    pq.write_table(empty, sink, use_compliant_nested_type=False)
    back = pq.read_schema(pa.BufferReader(sink.getvalue()))
    return [
        f.name
        for f, read in zip(written, back, strict=True)
        if not (read.equals(f) or (dictionaries and _has_dictionary(f.type)))
    ]


def _refused(schema: pa.Schema, dictionaries: bool) -> str:
    """Return in words the first column that cannot be written even by itself."""
    for field in schema:
        try:
            _changed(pa.schema([field]), dictionaries)
        except WRITE_ERRORS:
            return f"column {field.name!r} of type {field.type}"
    return "these columns together"


def _has_dictionary(kind: Any) -> bool:
    """Return whether there are codes in it: they come back of another width, or as labels."""
    if isinstance(kind, pa.BaseExtensionType):
        return _has_dictionary(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return True
    return any(_has_dictionary(kind.field(i).type) for i in range(kind.num_fields))


def _has_empty_lists(kind: Any) -> bool:
    """Return whether there are lists of a fixed length of 0 in it, which Arrow cannot read."""
    if isinstance(kind, pa.BaseExtensionType):
        return _has_empty_lists(kind.storage_type)
    if pa.types.is_fixed_size_list(kind) and kind.list_size == 0:
        return True
    return any(_has_empty_lists(kind.field(i).type) for i in range(kind.num_fields))


def check_lists(batch: pa.RecordBatch, ref: str) -> None:
    """Raise if there is a missing list of a fixed length, and this pyarrow could not read it.

    Raises:
        UnsupportedValueError: There is one.
    """
    if READS_MISSING_LISTS:
        return
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if _has_missing_lists(column):
            raise UnsupportedValueError(
                f"cannot store {ref}: column {field.name!r} has missing lists of a fixed length, "
                f"which pyarrow {pa.__version__} writes to Parquet, and only pyarrow "
                f"{_FIRST_WITH_MISSING_LISTS} and later read. {_WAY_OUT}",
                ref,
            )


def is_missing_list(error: BaseException) -> bool:
    """Return whether *error* is what an older pyarrow says of a missing list of a fixed length."""
    return not READS_MISSING_LISTS and bool(_MISSING_LIST.search(str(error)))


_FIRST_WITH_MISSING_LISTS = 26
READS_MISSING_LISTS = int(pa.__version__.split(".")[0]) >= _FIRST_WITH_MISSING_LISTS
_MISSING_LIST = re.compile(r"Expected all lists to be of size=\d+ but index \d+ had size=0$")


def _has_missing_lists(column: Any) -> bool:
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _has_missing_lists(column.storage)
    if not kind.num_fields:
        return False
    if pa.types.is_fixed_size_list(kind) and column.null_count:
        return True
    if pa.types.is_map(kind):
        offsets = column.offsets
        first, last = offsets[0].as_py(), offsets[-1].as_py()
        parts = (column.keys, column.items)
        return any(_has_missing_lists(part.slice(first, last - first)) for part in parts)
    if pa.types.is_run_end_encoded(kind) or pa.types.is_union(kind):
        return False  # Parquet holds no such column
    inside = column.flatten()  # what is missing in a struct is missing in its fields
    return any(map(_has_missing_lists, inside if isinstance(inside, list) else [inside]))


def _is_timestamp(kind: Any, unit: str) -> bool:
    return bool(pa.types.is_timestamp(kind) and kind.unit == unit)

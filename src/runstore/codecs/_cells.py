"""Values that are one cell: of text, or of bytes."""

from collections.abc import Iterator, Sequence
from typing import Any, overload

import pyarrow as pa

from runstore.buffers import Buffer, flat
from runstore.codecs._base import Encoded, Opened
from runstore.errors import CorruptObjectError

__all__ = ["BLOB", "blob_batch", "blob_in", "encoded_cell", "schema_of", "text_in"]


def _column(name: str, kind: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False)])


BLOB = _column("data", pa.large_binary())
"""The schema of files that hold blobs: one per row, one row per batch."""

_SCHEMAS = {
    "data": BLOB,
    "json": _column("json", pa.large_string()),
    "text": _column("text", pa.large_string()),
}


def schema_of(column: str) -> pa.Schema:
    """Return the schema of files of one cell: of the column ``data``, ``json`` or ``text``."""
    return _SCHEMAS[column]


class _OneBatch(Sequence[pa.RecordBatch]):
    """A batch of one cell, made when it is asked for: a small object is written without it."""

    def __init__(self, schema: pa.Schema, cell: Buffer) -> None:
        self._schema = schema
        self._cell = cell

    def __len__(self) -> int:
        return 1

    @overload
    def __getitem__(self, index: int) -> pa.RecordBatch: ...

    @overload
    def __getitem__(self, index: slice) -> list[pa.RecordBatch]: ...

    def __getitem__(self, index: int | slice) -> Any:
        return [_batch(self._schema, self._cell)][index]

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        yield _batch(self._schema, self._cell)


def encoded_cell(name: str, cell: Buffer, spec: dict[str, Any] | None = None) -> Encoded:
    """Return one cell as an encoded value, without copying it.

    Args:
        name: Of its column: ``text`` or ``json``, then it is UTF-8; or ``data``.
        cell: The bytes.
        spec: For the codec.
    """
    schema = _SCHEMAS[name]
    batches = _OneBatch(schema, cell)
    return Encoded(schema, batches, spec or {}, nbytes=flat(cell).nbytes, cell=cell)


def blob_batch(blob: Buffer) -> pa.RecordBatch:
    """Return *blob* as a batch of one row, without copying it."""
    return _batch(BLOB, blob)


def blob_in(opened: Opened, index: int) -> memoryview:
    """View the blob of one batch, writable.

    Raises:
        CorruptObjectError: There is none.
    """
    if index == 0 and opened.cell is not None:
        return opened.cell
    column = opened.batch(index).column(0)
    if len(column) != 1 or column.null_count or not pa.types.is_large_binary(column.type):
        raise CorruptObjectError(f"{opened.ref} is damaged: not one blob per batch", opened.ref)
    _, offsets, data = column.buffers()
    start, end = memoryview(offsets).cast("q")[:2]
    return memoryview(opened.array(data, "u1", end).data)[start:end]


def text_in(opened: Opened) -> str:
    """Read the only cell as text.

    Raises:
        CorruptObjectError: There is none.
    """
    if opened.cell is not None:
        return str(opened.cell, "utf-8")
    column = opened.batch(0).column(0)
    if len(column) != 1 or column.null_count or not pa.types.is_large_string(column.type):
        raise CorruptObjectError(f"{opened.ref} is damaged: not one cell of text", opened.ref)
    return str(column[0].as_py())


def _batch(schema: pa.Schema, cell: Buffer) -> pa.RecordBatch:
    view = flat(cell)
    offsets = pa.py_buffer(bytes(8) + view.nbytes.to_bytes(8, "little"))
    buffers = [None, offsets, pa.py_buffer(view)]
    array = pa.Array.from_buffers(schema.field(0).type, 1, buffers)
    return pa.RecordBatch.from_arrays([array], schema=schema)

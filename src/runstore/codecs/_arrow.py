"""pyarrow's own values: stored as they are, read without copying."""

from typing import Any

import pyarrow as pa

from runstore.codecs._base import Encoded, Opened
from runstore.codecs._pickle import Pickling

__all__ = ["ArrowCodec"]


class ArrowCodec:
    """``pyarrow.Table``, ``RecordBatch``, ``Array`` and ``ChunkedArray``.

    Schema metadata, nullability, and extension types that are registered where it
    is read are kept; how a table is cut into chunks may change.
    """

    name = "arrow"
    version = 1

    def encode(self, value: Any, pickling: Pickling) -> Encoded | None:
        """See `runstore.codecs.Codec.encode`."""
        if isinstance(value, pa.Table):
            kind, table = "table", value
        elif isinstance(value, pa.RecordBatch):
            kind, table = "batch", pa.Table.from_batches([value])
        elif isinstance(value, pa.ChunkedArray):
            kind, table = "chunked", _one_column(value)
        else:
            kind, table = "array", _one_column(pa.chunked_array([value]))
        if table.num_columns == 0 and table.num_rows:
            return None  # a table made from such batches forgets its rows
        batches = [value] if kind == "batch" else table.to_batches()
        single = kind in ("array", "chunked")
        return Encoded(
            table.schema,
            batches,
            {"kind": kind},
            rows=table.num_rows,
            columns=None if single else table.num_columns,
            nbytes=table.nbytes,
        )

    def decode(self, opened: Opened, spec: dict[str, Any], pickling: Pickling) -> Any:
        """See `runstore.codecs.Codec.decode`."""
        kind = spec["kind"]
        if kind == "batch":
            return opened.batch(0)
        table = opened.table()
        if kind == "table":
            return table
        column = table.column(0)
        if kind == "chunked":
            return column
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _one_column(values: pa.ChunkedArray) -> pa.Table:
    return pa.Table.from_arrays([values], schema=pa.schema([pa.field("value", values.type)]))

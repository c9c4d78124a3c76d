"""A part of the rows of a stored table, as what a codec decodes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from runstore.buffers import Buffer
from runstore.errors import CorruptObjectError

__all__ = ["SomeRows", "spec_of_rows"]

Spec = dict[str, Any]


class SomeRows:
    """Rows of a stored object, in memory; see `runstore.codecs.Opened`."""

    cell: memoryview | None = None
    kind: object | None = None
    num_batches = 1
    verified: bool | None = None

    def __init__(self, table: pa.Table, header: Any, ref: str, keeps_nulls: bool) -> None:
        self._table = table
        self.data: Buffer = b""
        self.header = header
        self.ref = ref
        self.keeps_nulls = keeps_nulls

    @property
    def schema(self) -> pa.Schema:
        """The schema of the rows."""
        return self._table.schema

    def table(self) -> pa.Table:
        """Return the rows."""
        return self._table

    def batch(self, index: int) -> pa.RecordBatch:
        """Return the rows as one batch."""
        batches = self._table.combine_chunks().to_batches()
        return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=self.schema)

    def project(self, columns: Sequence[int]) -> "SomeRows":
        """Return the same rows with these columns alone, in this order."""
        table = self._table.select(list(columns))
        return SomeRows(table, self.header, self.ref, self.keeps_nulls)

    def array(self, buffer: pa.Buffer | None, dtype: Any, count: int) -> np.ndarray[Any, Any]:
        """Copy a buffer into a writable array."""
        dtype = np.dtype(dtype)
        if count == 0 or dtype.itemsize == 0:
            return np.empty(count, dtype)
        if buffer is None or buffer.size < count * dtype.itemsize:
            raise CorruptObjectError(f"{self.ref} is damaged: a column is too short", self.ref)
        return np.frombuffer(memoryview(buffer), dtype, count).copy()

    def check_all(self) -> None:
        """What is here has been checked when it was read."""


def spec_of_rows(
    table: pa.Table, spec: Spec, start: int, rows: int, chosen: "np.ndarray[Any, Any] | None"
) -> tuple[pa.Table, Spec]:
    """Return rows of a table, and the spec to decode them with: with their part of the index.

    Args:
        table: The rows.
        spec: The whole table's.
        start: The number of the first row in the whole table.
        rows: How many there are; a table without columns does not know.
        chosen: The numbers of the rows in the whole table, if they do not follow one another.
    """
    index = spec.get("index")
    if index is None or index["k"] != "range":
        return table, spec
    first, stop, step = index["range"]
    if chosen is None:
        begin = first + step * start
        span = [begin, begin + step * rows, step]
        return table, spec | {"index": index | {"range": span}}
    import pandas as pd

    from runstore.codecs._pandas_index import encode_index

    encoded = encode_index(pd.RangeIndex(first, stop, step).take(chosen))
    assert encoded is not None
    columns, told = encoded
    for column in columns:
        table = table.append_column("__index_level_0__", column)
    return table, spec | {"index": told | {"name": index["name"]}}

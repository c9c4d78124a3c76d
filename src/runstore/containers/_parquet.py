"""The second container: Parquet, for names that end in ``.parquet``.

The same header and the same two digests stand in the footer's key-values. Reading
decodes, so nothing is mapped; page checksums let other readers notice damage, too.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from runstore.buffers import Buffer, flat
from runstore.containers._footer import check_extensions
from runstore.containers._guard import Guard
from runstore.containers._header import Header
from runstore.containers._layout import layout_of
from runstore.containers._parquet_size import check_size, decoded_size
from runstore.containers._parquet_types import (
    SECONDS,
    check_exact,
    check_lists,
    in_milliseconds,
    in_seconds,
    is_missing_list,
    restored,
    with_names,
    with_seconds,
)
from runstore.containers._pieces import PIECES, PieceLog
from runstore.containers._read import ARROW_ERRORS, Verify, check_body, header_in, unreadable
from runstore.containers._seal import Seal, footer_start, is_sealed
from runstore.containers._sink import Sink
from runstore.containers._streamed import Streamed, Written
from runstore.containers._validate import validate
from runstore.errors import CorruptObjectError, RunStoreError, UnsupportedValueError
from runstore.referred import joined

__all__ = ["StoredParquet", "open_parquet", "parquet_file"]

_ROWS = 1 << 20  # a row group; what is held in memory while writing
_GROUPS = 32  # row groups that are decoded at a time


class _ParquetFile(Streamed):
    def __init__(
        self,
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        header: Header,
        key: bytes | None,
        compression: str | None,
        finish: Callable[[], Header] | None = None,
        log: PieceLog | None = None,
    ) -> None:
        super().__init__(schema, batches, header, Seal(key), finish, log)
        self._compression = compression

    def _steps(self, sink: Sink) -> Iterator[None]:
        schema = in_milliseconds(self._schema)
        seconds = in_seconds(self._schema)
        writer = pq.ParquetWriter(
            pa.PythonFile(sink, "w"),
            schema,
            compression=self._compression or "none",
            write_page_checksum=True,
            use_compliant_nested_type=False,  # else the items of lists are renamed
        )
        for batch in self._batches:
            assert isinstance(batch, pa.RecordBatch)
            for start in range(0, max(1, batch.num_rows), _ROWS):
                rows = batch.slice(start, _ROWS)
                check_lists(rows, self._ref)
                if self._log is not None:
                    self._log.begin(rows)
                writer.write_batch(self._converted(rows, schema) if seconds else rows)
                yield
        if seconds:
            writer.add_key_value_metadata({SECONDS: json.dumps(seconds).encode()})
        writer.add_key_value_metadata(self._entries())
        writer.close()

    def _sealed(self, tail: bytes) -> bytes:
        if self.guard is not None:
            length = int.from_bytes(tail[-8:-4], "little")
            decoded = decoded_size(tail[-8 - length :], self.guard)
            self._nbytes = max(self._nbytes, decoded)
        return super()._sealed(tail)

    def _decoded(self) -> int:
        return self._nbytes

    def _converted(self, batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        """Return a batch with its seconds as milliseconds."""
        columns = []
        for field, column in zip(schema, batch.columns, strict=True):
            try:
                columns.append(column if column.type == field.type else column.cast(field.type))
            except pa.ArrowInvalid as exc:
                raise UnsupportedValueError(
                    f"cannot store {self._ref}: Parquet has no seconds, and column {field.name!r} "
                    f"is out of range in milliseconds ({exc}). Store it under a name without "
                    ".parquet",
                    self._ref,
                ) from exc
        return pa.RecordBatch.from_arrays(columns, schema=schema)


def parquet_file(
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    header: Header,
    *,
    compression: str | None = "zstd",
    key: bytes | None = None,
    dictionaries: bool = False,
    finish: Callable[[], Header] | None = None,
) -> Written:
    """Encode *batches* as one self-describing Parquet file, signed if there is a *key*.

    With *dictionaries*, columns of labels are taken, of which Parquet keeps only those that
    occur: for a codec that has the others in its spec. *finish* gives the header when all
    batches have been written; by default *header* is it.

    Raises:
        UnsupportedValueError: A column's type would not come back the same.
    """
    check_exact(schema, str(header.place), dictionaries=dictionaries)
    if isinstance(batches, Sequence) and len(batches) > 1:
        batches = joined(batches, header.nbytes or 0, whole=False)  # each is a row group
    return _ParquetFile(schema, batches, header, key, compression, finish, PieceLog(schema))


_OWN = {b"runstore." + key for key in (b"version", b"object", b"body", b"digest", b"signature")}
_OWN.add(PIECES)
_OWN.add(SECONDS)


def _schema_of(file: pq.ParquetFile, ref: str) -> pa.Schema:
    try:
        entries = file.metadata.metadata or {}
        return with_names(with_seconds(file.schema_arrow, entries), entries)
    except (ValueError, TypeError) as exc:
        raise CorruptObjectError(f"{ref} is damaged: {exc}", ref) from exc


class StoredParquet:
    """One stored Parquet file, opened; to a codec it looks like an Arrow file of one batch."""

    num_batches = 1
    cell = None
    kind = None
    keeps_nulls = False  # Parquet has no slots for them
    verified = None  # what it holds is no pickle, and nobody asks

    def __init__(
        self,
        data: Buffer,
        file: pq.ParquetFile,
        header: Header | None,
        ref: str,
        columns: Sequence[int] | None = None,
        guard: Guard | None = None,
    ) -> None:
        self.data = data
        self.header = header
        self.ref = ref
        schema = _schema_of(file, ref)
        kept = {k: v for k, v in (schema.metadata or {}).items() if k not in _OWN}
        fields = list(schema) if columns is None else [schema.field(i) for i in columns]
        self.schema: pa.Schema = pa.schema(fields, kept or None)
        self._file = file
        self._columns = columns
        self._guard = guard
        self._table: pa.Table | None = None

    def project(self, columns: Sequence[int]) -> "StoredParquet":
        """Return the same file with these columns alone, in this order; no other is decoded."""
        return StoredParquet(self.data, self._file, self.header, self.ref, columns, self._guard)

    def check_all(self) -> None:
        """All of it has been verified: a Parquet file is read whole."""

    def check_readable(self) -> None:
        """Decode all of it, some rows at a time, and keep nothing.

        Raises:
            CorruptObjectError: It cannot be decoded.
            UnsupportedFormatError: It would take too much memory for its size.
        """
        try:
            self._check_size()
            for group in range(self._file.num_row_groups):  # their dictionaries differ
                for batch in self._file.iter_batches(row_groups=[group]):
                    validate(batch, layout_of(batch.schema))
        except MemoryError:
            raise
        except ARROW_ERRORS as exc:
            raise self._undecoded(exc) from exc

    def _undecoded(self, exc: BaseException) -> RunStoreError:
        if is_missing_list(exc):
            return unreadable(self.ref, self.header, exc, new=True)
        return CorruptObjectError(f"{self.ref} is damaged: {exc}", self.ref)

    def _check_size(self) -> None:
        if self._guard is not None:
            told = self._file.metadata
            check_size(self.data, told.num_rows, told.num_columns, self._guard, self.ref)

    def table(self) -> pa.Table:
        """Return the columns as a table.

        Raises:
            CorruptObjectError: They cannot be decoded.
            UnsupportedFormatError: An older pyarrow than wrote them cannot decode them.
        """
        if self._table is None:
            try:
                self._check_size()
                table = self._read()
                validate(table, layout_of(table.schema))
                table = restored(table, self.schema)
            except MemoryError:
                raise
            except ARROW_ERRORS as exc:
                raise self._undecoded(exc) from exc
            self._table = table.replace_schema_metadata(self.schema.metadata)
        return self._table

    def group(self, index: int, columns: Sequence[int] | None) -> pa.Table:
        """Return these columns of one row group as a table.

        Raises:
            CorruptObjectError: They cannot be decoded.
        """
        part = _Group(self._file, index)
        return StoredParquet(b"", part, self.header, self.ref, columns, self._guard).table()

    def _read(self) -> pa.Table:
        if self._columns is None:
            return self._decode()
        everything: list[str] = self._file.schema_arrow.names
        needed = [everything[i] for i in sorted(set(self._columns))]
        table = self._decode(needed)
        if len(set(everything)) < len(everything) or table.column_names != needed:
            return self._decode().select(self._columns)
        return table.select([needed.index(everything[i]) for i in self._columns])

    def _decode(self, columns: list[str] | None = None) -> pa.Table:
        """Decode some row groups at a time: small integers are wider before they are columns."""
        try:
            return self._decoded(_GROUPS, columns)
        except pa.ArrowNotImplementedError:  # labels inside lists, each group with its own
            return self._decoded(1, columns)

    def _decoded(self, some: int, columns: list[str] | None) -> pa.Table:
        groups = self._file.num_row_groups
        if groups <= some:
            return self._file.read(columns=columns)
        starts = range(0, groups, some)
        parts = [range(start, min(start + some, groups)) for start in starts]
        return pa.concat_tables([self._file.read_row_groups(part, columns) for part in parts])

    def batch(self, index: int) -> pa.RecordBatch:
        """Return the columns as one record batch."""
        batches = self.table().combine_chunks().to_batches()
        return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=self.schema)

    def array(self, buffer: pa.Buffer | None, dtype: Any, count: int) -> np.ndarray[Any, Any]:
        """Copy a buffer into a writable array: what Arrow decoded belongs to Arrow."""
        dtype = np.dtype(dtype)
        if buffer is None or buffer.size < count * dtype.itemsize:
            if count == 0:
                return np.empty(0, dtype)
            raise CorruptObjectError(f"{self.ref} is damaged: a column is too short", self.ref)
        return np.frombuffer(memoryview(buffer), dtype, count).copy()


class _Group:
    """One row group of a file, as a file."""

    num_row_groups = 1

    def __init__(self, file: pq.ParquetFile, index: int) -> None:
        self._file, self._index = file, index
        self.metadata, self.schema_arrow = file.metadata, file.schema_arrow

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """Return these columns."""
        return self._file.read_row_group(self._index, columns)


def open_parquet(
    data: Buffer, ref: str, *, verify: Verify = "auto", guard: Guard | None = None
) -> StoredParquet:
    """Open the bytes of a Parquet file, runstore's or another's; arguments as for `open_arrow`.

    Raises:
        CorruptObjectError: A digest does not fit, or it is not a whole Parquet file.
        UnsafePickleError: *guard* does not accept its extension types.
        UnsupportedFormatError: It is of a newer format version, or of a kind that this
            Arrow cannot read.
    """
    view = flat(data)
    start = footer_start(view[-10:], view.nbytes, ref)
    footer = bytes(view[start:])
    sealed = is_sealed(footer, ref)
    if not sealed and verify is True:
        raise CorruptObjectError(
            f"{ref} has no digest, it was not written by runstore: read it without verify=True", ref
        )
    if guard is not None:
        check_extensions(footer, ref, guard)
    header = None
    try:
        file = pq.ParquetFile(pa.BufferReader(pa.py_buffer(data)), page_checksum_verification=True)
        entries = file.metadata.metadata or {}
    except ARROW_ERRORS as exc:
        raise unreadable(ref, None, exc) from exc
    if sealed:
        check_body(data, start, entries, ref)
        header = header_in(entries, ref)
    return StoredParquet(data, file, header, ref, guard=guard)

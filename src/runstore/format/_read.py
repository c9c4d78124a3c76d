"""Bytes to header, schema and record batches; damage is found before anything is built."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from runstore.buffers import Buffer, flat
from runstore.errors import CorruptObjectError
from runstore.format._cell import learn_cell, open_cell
from runstore.format._header import FORMAT_VERSION, Header
from runstore.format._seal import body_is_intact, footer_start, is_sealed

__all__ = ["ARROW_ERRORS", "Stored", "Verify", "check_body", "header_in", "open_arrow"]

Verify = Literal["auto"] | bool

_VERIFY_UP_TO = 256 * 1024  # a digest this large takes about 20 µs; a mapped page is not touched

# What Arrow's readers raise for bytes that are not what they expect.
ARROW_ERRORS = (pa.ArrowException, OSError, ValueError, TypeError, EOFError)


class Stored:
    """One stored Arrow file, opened on a private buffer.

    Attributes:
        header: What the file says about itself; None for one runstore did not write.
        data: The whole file, private and writable.
        cell: What stands in the only row of a small file of one column; None for others.
        keeps_nulls: Whether the slots of nulls hold what the codec put there.
    """

    def __init__(
        self,
        data: Buffer,
        ref: str,
        header: Header | None,
        reader: Any = None,
        cell: memoryview | None = None,
    ) -> None:
        self.data = data
        self.ref = ref
        self.header = header
        self.cell = cell
        self.keeps_nulls = header is not None  # Arrow writes buffers as they are
        self._fields: list[int] | None = None
        if reader is not None:
            self._reader = reader

    @cached_property
    def _reader(self) -> Any:
        return pa.ipc.RecordBatchFileReader(self._source())

    def _source(self) -> Any:
        return pa.py_buffer(self.data)

    @cached_property
    def schema(self) -> pa.Schema:
        """The schema of the record batches."""
        return self._reader.schema

    @cached_property
    def _base(self) -> int:
        return int(pa.py_buffer(self.data).address)

    @property
    def num_batches(self) -> int:
        """How many record batches the file has."""
        return int(self._reader.num_record_batches)

    def batch(self, index: int) -> pa.RecordBatch:
        """Open one record batch, without copying its data.

        Raises:
            CorruptObjectError: Its structure is damaged.
        """
        try:
            batch = self._reader.get_batch(index)
            return batch if self._fields is None else batch.select(self._fields)
        except ARROW_ERRORS as exc:
            raise _damaged(self.ref, exc) from exc

    def table(self) -> pa.Table:
        """Open all record batches as one table, without copying the data.

        Raises:
            CorruptObjectError: Their structure is damaged.
        """
        try:
            table = pa.Table.from_batches(
                [self.batch(i) for i in range(self.num_batches)], self.schema
            )
            # In full for what others wrote: Arrow itself takes a file's offsets on trust.
            table.validate(full=self.header is None)
        except ARROW_ERRORS as exc:
            raise _damaged(self.ref, exc) from exc
        return table

    def project(self, columns: Sequence[int]) -> "Stored":
        """Give the same file with these columns alone, in this order; no other is decoded."""
        needed = sorted(set(columns))
        options = pa.ipc.IpcReadOptions(included_fields=needed)  # none stands for all
        reader = pa.ipc.RecordBatchFileReader(self._source(), options=options)
        projected = Stored(self.data, self.ref, self.header, reader)
        fields = [self.schema.field(i) for i in columns]
        projected.schema = pa.schema(fields, self.schema.metadata)
        projected._fields = [needed.index(i) for i in columns]
        return projected

    def array(self, buffer: pa.Buffer | None, dtype: Any, count: int) -> np.ndarray[Any, Any]:
        """View *buffer*, a part of the file, as a writable array of *count* items.

        Without a copy, except for what was compressed.

        Raises:
            CorruptObjectError: The buffer is too short for so many items.
        """
        dtype = np.dtype(dtype)
        if count == 0 or dtype.itemsize == 0:
            return np.empty(count, dtype)
        size = count * dtype.itemsize
        if buffer is None or buffer.size < size:
            raise CorruptObjectError(f"{self.ref} is damaged: a column is too short", self.ref)
        offset = buffer.address - self._base
        if offset >= 0 and offset + size <= flat(self.data).nbytes:
            return np.frombuffer(flat(self.data), dtype, count, offset)
        return np.frombuffer(memoryview(buffer), dtype, count).copy()


def open_arrow(data: Buffer, ref: str, *, verify: Verify = "auto", mapped: bool = False) -> Stored:
    """Open the bytes of an Arrow file, runstore's or another's.

    The footer, and with it schema and structure, is always checked. The data is
    too, unless it is a large mapped file and *verify* is ``auto``.

    Args:
        data: The whole file; arrays will be built on it, and are written to.
        ref: What to call it in errors.
        verify: Whether to check the digest of the data.
        mapped: Whether reading all of *data* would read it from a disk.

    Raises:
        CorruptObjectError: A digest does not fit, or it is not a whole Arrow file.
        UnsupportedFormatError: It is of a newer format version.
    """
    view = flat(data)
    size = view.nbytes
    found = open_cell(view) if size <= _VERIFY_UP_TO else None
    if found is not None:
        document, cell = found
        return Stored(data, ref, Header.from_json(document, b"%d" % FORMAT_VERSION, ref), cell=cell)
    start = footer_start(view[-10:], size, ref)
    sealed = is_sealed(bytes(view[start:]), ref)
    if not sealed and verify is True:
        raise CorruptObjectError(
            f"{ref} has no digest, it was not written by runstore: read it without verify=True", ref
        )
    try:
        reader = pa.ipc.RecordBatchFileReader(pa.py_buffer(data))
        entries = reader.metadata or {}
    except ARROW_ERRORS as exc:
        raise _damaged(ref, exc) from exc
    if not sealed:
        return Stored(data, ref, None, reader)
    if verify is True or (verify == "auto" and (not mapped or size <= _VERIFY_UP_TO)):
        check_body(data, start, entries, ref)
    header = header_in(entries, ref)
    if size <= _VERIFY_UP_TO:
        learn_cell(reader.schema, entries)
    return Stored(data, ref, header, reader)


def check_body(data: Buffer, start: int, entries: dict[bytes, bytes], ref: str) -> None:
    """Raise CorruptObjectError unless the bytes before the footer are the ones written."""
    digest = entries.get(b"runstore.body", b"").decode(errors="replace")
    if not body_is_intact(data, start, digest):
        raise CorruptObjectError(
            f"{ref} is damaged: its data does not fit its digest. Restore it from a copy, or run "
            "again the stage that made it",
            ref,
        )


def header_in(entries: dict[bytes, bytes], ref: str) -> Header:
    """Read the header out of a footer's key-values."""
    try:
        return Header.from_json(entries[b"runstore.object"], entries[b"runstore.version"], ref)
    except KeyError as exc:
        raise CorruptObjectError(f"{ref} has no header", ref) from exc


def _damaged(ref: str, exc: BaseException) -> CorruptObjectError:
    return CorruptObjectError(f"{ref} is damaged: {exc}", ref)

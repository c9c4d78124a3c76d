"""Bytes to header, schema and record batches; damage is found before anything is built."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from runstore.buffers import Buffer, flat
from runstore.containers._cell import LARGEST_FILE, learn_cell, open_cell
from runstore.containers._flatbuffer import MalformedError
from runstore.containers._guard import Guard
from runstore.containers._header import FORMAT_VERSION, Header
from runstore.containers._layout import ITEM, Layout, layout_of
from runstore.containers._messages import (
    Footer,
    has_compression,
    message_at,
    parse_batch,
    parse_footer,
)
from runstore.containers._rows import learn_rows, open_rows
from runstore.containers._seal import DIGEST_PREFIX, body_is_intact, footer_start, is_sealed
from runstore.containers._structure import StructureDigest
from runstore.containers._validate import validate
from runstore.errors import CorruptObjectError, RunStoreError, UnsupportedFormatError

__all__ = [
    "ARROW_ERRORS",
    "Stored",
    "Verify",
    "check_body",
    "footer_of",
    "header_in",
    "open_arrow",
    "unreadable",
]

Verify = Literal["auto"] | bool

VERIFY_UP_TO = 256 * 1024  # a digest this large takes about 20 µs; a mapped page is not touched

# What Arrow's readers raise for bytes that are not what they expect.
ARROW_ERRORS = (pa.ArrowException, OSError, ValueError, TypeError, EOFError)


class Stored:
    """One stored Arrow file, opened on a private buffer.

    Attributes:
        header: What the file says about itself; None for one runstore did not write.
        data: The whole file, private and writable.
        cell: What stands in the only row of a small file of one column; None for others.
        keeps_nulls: Whether the slots of nulls hold what the codec put there.
        verified: Whether all of it has been found to fit its digest; None if it has none.
        taken: Bytes of memory that its batches take besides those that are mapped.
        kind: What all files have in common that differ from this in numbers alone; None if that is
            not known.
    """

    def __init__(
        self,
        data: Buffer,
        ref: str,
        header: Header | None,
        reader: Any = None,
        cell: memoryview | None = None,
        *,
        verified: bool | None = None,
        kind: object | None = None,
    ) -> None:
        self.data = data
        self.ref = ref
        self.header = header
        self.cell = cell
        self.keeps_nulls = header is not None  # Arrow writes buffers as they are
        self.verified = verified
        self.kind = kind
        self.taken = 0
        self._fields: list[int] | None = None
        self._valid: dict[int, pa.RecordBatch] = {}
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

    @cached_property
    def layout(self) -> Layout:
        """The buffers of the record batches that are read."""
        return layout_of(self.schema)

    def batch(self, index: int) -> pa.RecordBatch:
        """Open one record batch, without copying its data.

        Raises:
            CorruptObjectError: Its structure is damaged.
        """
        batch = self._valid.get(index)
        if batch is None:
            try:
                batch = self._reader.get_batch(index)
                if self._fields is not None:
                    batch = batch.select(self._fields)
                validate(batch, self.layout)
            except MemoryError:
                raise
            except ARROW_ERRORS as exc:
                raise _damaged(self.ref, exc) from exc
            self._valid[index] = batch
        return batch

    def check_all(self) -> None:
        """Verify all of the file, unless that is done; a file without a digest is as it is.

        Raises:
            CorruptObjectError: It does not fit its digest.
        """
        if self.verified is False:
            start, footer = _footer(self.data, self.ref)
            check_body(self.data, start, footer_of(footer, self.ref).entries, self.ref)
            self.verified = True

    def check_readable(self) -> None:
        """Decode all of it, a batch at a time, and keep nothing.

        Raises:
            CorruptObjectError: Its structure is damaged.
        """
        for index in range(self.num_batches):
            self.batch(index)
            self._valid.clear()

    def table(self) -> pa.Table:
        """Open all record batches as one table, without copying the data.

        Raises:
            CorruptObjectError: Their structure is damaged.
        """
        try:
            return pa.Table.from_batches(
                [self.batch(i) for i in range(self.num_batches)], self.schema
            )
        except ARROW_ERRORS as exc:
            raise _damaged(self.ref, exc) from exc

    def project(self, columns: Sequence[int]) -> "Stored":
        """Return the same file with these columns alone, in this order; no other is decoded."""
        needed = sorted(set(columns))
        options = pa.ipc.IpcReadOptions(included_fields=needed)  # none stands for all
        reader = pa.ipc.RecordBatchFileReader(self._source(), options=options)
        projected = Stored(self.data, self.ref, self.header, reader, verified=self.verified)
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


def open_arrow(
    data: Buffer,
    ref: str,
    *,
    verify: Verify = "auto",
    mapped: bool = False,
    guard: Guard | None = None,
) -> Stored:
    """Open the bytes of an Arrow file, runstore's or another's.

    All of it is checked, unless it is a large mapped file and *verify* is ``auto``: then
    all but the numbers in its columns is.

    Args:
        data: The whole file; arrays will be built on it, and are written to.
        ref: What to call it in errors.
        verify: Whether to check the digest of all data.
        mapped: Whether reading all of *data* would read it from a disk.
        guard: What else is accepted; anything if None.

    Raises:
        CorruptObjectError: A digest does not fit, or it is not a whole Arrow file.
        UnsafePickleError: *guard* does not accept its extension types.
        UnsupportedFormatError: It is of a newer format version, or of a kind that this
            Arrow cannot read, or *guard* does not accept its size in memory.
    """
    view = flat(data)
    size = view.nbytes
    found = open_cell(bytes(view)) if size <= LARGEST_FILE else None
    if found is not None:
        document, cell = found
        described = Header.from_json(document, b"%d" % FORMAT_VERSION, ref)
        return Stored(data, ref, described, cell=memoryview(bytearray(cell)), verified=True)
    known = open_rows(view) if size <= VERIFY_UP_TO else None
    if known is not None:
        described = Header.from_json(known[0], b"%d" % FORMAT_VERSION, ref)
        return Stored(data, ref, described, verified=True, kind=known[1])
    start, footer = _footer(data, ref)
    sealed = is_sealed(footer, ref)
    if not sealed and verify is True:
        raise CorruptObjectError(
            f"{ref} has no digest, it was not written by runstore: read it without verify=True", ref
        )
    whole = verify is True or (verify == "auto" and (not mapped or size <= VERIFY_UP_TO))
    trusted = guard is None or guard.trusted
    if not trusted:
        assert guard is not None
        guard.check_extensions(footer_of(footer, ref).extensions, ref)
    header = None
    try:
        reader = pa.ipc.RecordBatchFileReader(pa.py_buffer(data))
        entries = reader.metadata or {}
    except ARROW_ERRORS as exc:
        raise unreadable(ref, header, exc) from exc
    if sealed:
        header = header_in(entries, ref)
        if whole:
            check_body(data, start, entries, ref)
    opened = Stored(data, ref, header, reader, verified=whole if sealed else None)
    try:
        compressed = has_compression(footer, view[:start])
        if guard is not None and (compressed or not trusted):
            opened.taken = _decoded(view[:start], footer, opened.layout)
            guard.check_decoded(opened.taken, size, ref)
        if sealed and not whole:
            _check_structure(opened, entries, start, compressed)
    except MalformedError as exc:
        raise _damaged(ref, exc) from exc
    if sealed and size <= VERIFY_UP_TO:
        learn_cell(reader.schema, entries)
        if not compressed:
            learn_rows(data, entries[b"runstore.object"], reader.schema)
    return opened


def _footer(data: Buffer, ref: str) -> tuple[int, bytes]:
    view = flat(data)
    start = footer_start(view[-10:], view.nbytes, ref)
    return start, bytes(view[start:])


def footer_of(footer: bytes, ref: str) -> Footer:
    """Parse the footer of an Arrow file, up to the end of the file.

    Raises:
        CorruptObjectError: It is none.
    """
    try:
        return parse_footer(footer)
    except MalformedError as exc:
        raise _damaged(ref, exc) from exc


def _decoded(body: memoryview, footer: bytes, layout: Layout) -> int:
    """Return how many bytes the batches of a file take besides those that are mapped.

    Raises:
        MalformedError: Not all batches and buffers lie in the file.
    """
    parsed, decoded = parse_footer(footer), 0
    for start, length, size in parsed.dictionaries + parsed.batches:
        message = message_at(body, start)
        batch = None if message is None else parse_batch(message)
        if batch is None or batch.body != size or start + length + size > body.nbytes:
            raise MalformedError(f"there is no batch at {start}")
        decoded += ITEM * layout.claimed(batch)
        if batch.compressed:
            data = body[start + length :]
            for at, stored in batch.buffers.tolist():
                claimed = int.from_bytes(data[at : at + 8], "little", signed=True)
                decoded += stored if claimed < 0 or stored < 8 else claimed
    return decoded


def _check_structure(
    opened: Stored, entries: dict[bytes, bytes], start: int, compressed: bool
) -> None:
    """Check all of a large mapped file that is not numbers; all of it if it is read whole."""
    expected = entries.get(b"runstore.structure")
    if opened.layout.plain and expected is None and not compressed:
        return  # an old file of numbers, which are validated
    if expected is None or compressed:
        opened.check_all()
        return
    digest = StructureDigest(opened.layout)
    digest.add(flat(opened.data)[:start])
    if DIGEST_PREFIX + digest.hexdigest().encode() != expected:
        raise CorruptObjectError(
            f"{opened.ref} is damaged: what describes its data does not fit its digest. {_RESTORE}",
            opened.ref,
        )


def check_body(data: Buffer, start: int, entries: dict[bytes, bytes], ref: str) -> None:
    """Raise CorruptObjectError unless the bytes before the footer are the ones written."""
    digest = entries.get(b"runstore.body", b"").decode(errors="replace")
    if not body_is_intact(data, start, digest):
        raise CorruptObjectError(
            f"{ref} is damaged: its data does not fit its digest. {_RESTORE}", ref
        )


_RESTORE = "Restore it from a copy, or run again the stage that made it"


def header_in(entries: dict[bytes, bytes], ref: str) -> Header:
    """Read the header out of a footer's key-values."""
    try:
        return Header.from_json(entries[b"runstore.object"], entries[b"runstore.version"], ref)
    except KeyError as exc:
        raise CorruptObjectError(f"{ref} has no header", ref) from exc


def unreadable(
    ref: str, header: Header | None, exc: BaseException, *, new: bool = False
) -> RunStoreError:
    """Return the error for what Arrow raised: the bytes are wrong, or it is an older Arrow."""
    new = new or isinstance(exc, NotImplementedError) or "unrecognized" in str(exc).lower()
    if not new:
        return _damaged(ref, exc)
    versions = {} if header is None else header.versions
    wrote = ", ".join(f"{name} {version}" for name, version in versions.items())
    return UnsupportedFormatError(
        f"{ref} cannot be read here: pyarrow {pa.__version__} does not know something in it "
        f"({exc}). It was written by {wrote or 'unknown versions'}",
        ref,
    )


def _damaged(ref: str, exc: BaseException) -> CorruptObjectError:
    return CorruptObjectError(f"{ref} is damaged: {exc}", ref)

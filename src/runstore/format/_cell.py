"""Files of one small cell, put together and taken apart without Arrow's writer and reader.

A text, a JSON document or a pickle is one cell of one row. The files of two of
them differ in few places: the cell and its length, the header, the digests. So
Arrow writes one of each kind as a template, and the others are the template with
these places filled in: byte for byte what Arrow would have written, in a fifth of
the time. A template that does not stand this comparison is not used.
"""

import struct

import pyarrow as pa
import xxhash

from runstore.buffers import Buffer, flat
from runstore.format._seal import DIGEST_PREFIX, Seal

__all__ = ["Entries", "cell_file", "learn_cell", "open_cell"]

Entries = dict[bytes, bytes]

_LARGEST = 64 * 1024  # bytes of a cell; beyond, Arrow's part of the time does not matter
_AT_MOST = 64  # templates kept, each of 1 to 2 KB
_SAMPLE = 12345  # bytes of a template's own cell: a number that stands for nothing else
_PROBES = (0, 1, 8, 4001)  # lengths of the cells that a template is tried on
_OFFSETS = 16  # bytes that tell where the cell begins and ends
_END = 10  # bytes of the footer's length and the magic
_put_int64 = struct.Struct("<q").pack_into


class _Template:
    """The files of one schema and one length of the header.

    Args:
        schema: One column of large text or large binary, without nulls.
        entries: The footer's key-values except for the seal; only the header's length counts.

    Raises:
        ValueError: Arrow writes such files in another way than is thought here.
    """

    def __init__(self, schema: pa.Schema, entries: Entries) -> None:
        self.schema = schema
        slots, cell = Seal().slots, b"z" * _SAMPLE
        entries = entries | {b"runstore.object": b"D" * len(entries[b"runstore.object"])}
        file = _by_arrow(schema, cell, entries | slots)
        start = file.index(cell)
        self._head, self._tail = file[:start], file[start + _padded(_SAMPLE) :]
        body = _OFFSETS + _padded(_SAMPLE)
        self._sizes = _places(self._head, _SAMPLE)
        self._bodies = _places(self._head, body)
        self._bodies_in_tail = _places(self._tail, body)
        self._prefix = self._head[: min(self._sizes + self._bodies)]  # tells kinds apart
        self._document = _place(self._tail, entries[b"runstore.object"])
        self._body_digest = _place(self._tail, slots[b"runstore.body"])
        self._digest = _place(self._tail, slots[b"runstore.digest"])
        self.footer = int.from_bytes(self._tail[-_END : -_END + 4], "little")
        self._footer_at = len(self._tail) - _END - self.footer
        for probe in _PROBES:
            filled, _ = self.fill(b"y" * probe, entries[b"runstore.object"])
            tail = filled[-len(self._tail) :]
            seal = {
                b"runstore.body": tail[self._body_digest],
                b"runstore.digest": tail[self._digest],
            }
            if filled != _by_arrow(schema, b"y" * probe, entries | seal):
                raise ValueError(f"cells of {probe} bytes are written differently")

    def fill(self, cell: Buffer, document: bytes) -> tuple[bytes, str]:
        """Return the sealed file of *cell* with this header, and the digest of its body."""
        size = flat(cell).nbytes
        padded = _padded(size)
        head, tail = bytearray(self._head), bytearray(self._tail)
        for at in self._sizes:
            _put_int64(head, at, size)
        for at in self._bodies:
            _put_int64(head, at, _OFFSETS + padded)
        for at in self._bodies_in_tail:
            _put_int64(tail, at, _OFFSETS + padded)
        tail[self._document] = document
        body = b"".join((head, cell, bytes(padded - size), tail[: self._footer_at]))
        digest = DIGEST_PREFIX + xxhash.xxh3_128_hexdigest(body).encode()
        tail[self._body_digest] = digest
        tail[self._digest] = DIGEST_PREFIX + b"0" * 32
        footer = memoryview(tail)[self._footer_at :]
        tail[self._digest] = DIGEST_PREFIX + xxhash.xxh3_128_hexdigest(footer).encode()
        return body + footer, digest.decode()

    def open(self, file: memoryview) -> tuple[bytes, memoryview] | None:
        """Return header and cell of a file of this kind; None if it is none, or is damaged."""
        if bytes(file[: len(self._prefix)]) != self._prefix:
            return None
        start, end = len(self._head), file.nbytes - len(self._tail)
        size = int.from_bytes(file[start - 8 : start], "little")
        if start + _padded(size) != end:
            return None
        cell, document = file[start : start + size], bytes(file[end:][self._document])
        return (document, cell) if self.fill(cell, document)[0] == bytes(file) else None


class _Templates:
    """The templates of this process: one of each kind of file, of those that were met first.

    Later kinds have none. To make one costs as much as to write ten files by Arrow, so it is not
    given up again for another.

    Args:
        size: How many kinds there are at most.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._of_kind: dict[tuple[pa.Schema, int], _Template | None] = {}
        self._by_footer: dict[int, list[_Template]] = {}

    def of(self, schema: pa.Schema, entries: Entries) -> _Template | None:
        """Return the template of a kind, made at its first use; None if Arrow has to write it."""
        kind = schema, len(entries[b"runstore.object"])
        if kind not in self._of_kind:
            if len(self._of_kind) >= self._size:
                return None
            try:
                template = _Template(schema, entries)
            except ValueError:
                self._of_kind[kind] = None
            else:
                self._of_kind[kind] = template
                self._by_footer.setdefault(template.footer, []).append(template)
        return self._of_kind[kind]

    def open(self, file: memoryview) -> tuple[bytes, memoryview] | None:
        """Return header and cell of a file of any kind; None if it is of none, or damaged."""
        footer = int.from_bytes(file[-_END : -_END + 4], "little")
        for template in self._by_footer.get(footer, ()):
            found = template.open(file)
            if found is not None:
                return found
        return None


_templates = _Templates(_AT_MOST)


def cell_file(schema: pa.Schema, cell: Buffer, entries: Entries) -> tuple[bytes, str] | None:
    """Return the sealed file of one cell, and the digest of its body.

    Args:
        schema: One column of large text or large binary, without nulls.
        cell: What stands in its only row.
        entries: The footer's key-values, as of every object, except for the seal.

    Returns:
        None if Arrow has to write it.
    """
    if flat(cell).nbytes > _LARGEST:
        return None
    template = _templates.of(schema, entries)
    return template.fill(cell, entries[b"runstore.object"]) if template is not None else None


def open_cell(file: memoryview) -> tuple[bytes, memoryview] | None:
    """Return header and cell of a whole file of one cell; None if it has to be opened with Arrow.

    Every byte is compared, so what is given is neither damaged nor anything else.
    """
    return _templates.open(file)


def learn_cell(schema: pa.Schema, entries: Entries) -> None:
    """Take in how a file looks that Arrow had to open, so that the next can be opened here.

    Args:
        schema: Of the file.
        entries: Its footer's key-values.
    """
    if len(schema) != 1 or entries.keys() != _ENTRIES or schema.metadata is not None:
        return
    field = schema.field(0)
    if field.type in _TYPES and not field.nullable and field.metadata is None:
        _templates.of(schema, {key: entries[key] for key in entries if key not in _SEAL})


_TYPES = (pa.large_string(), pa.large_binary())
_SEAL = set(Seal().slots)
_ENTRIES = {b"runstore.version", b"runstore.object", *_SEAL}


def _by_arrow(schema: pa.Schema, cell: bytes, entries: Entries) -> bytes:
    buffers = [None, pa.py_buffer(bytes(8) + struct.pack("<q", len(cell))), pa.py_buffer(cell)]
    array = pa.Array.from_buffers(schema.field(0).type, 1, buffers)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema, metadata=entries) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays([array], schema=schema))
    return bytes(sink.getvalue())


def _warm_up() -> None:
    """Let Arrow make now what it makes when it is first used.

    It does so under locks that nobody gives back in a child that was forked meanwhile.
    """
    file = _by_arrow(pa.schema([pa.field("x", pa.large_binary())]), b"x", {})
    pa.ipc.open_file(pa.py_buffer(file)).get_batch(0)


_warm_up()


def _padded(size: int) -> int:
    return -(-size // 8) * 8


def _place(text: bytes, part: bytes) -> slice:
    at = text.index(part)
    return slice(at, at + len(part))


def _places(text: bytes, number: int) -> list[int]:
    part = struct.pack("<q", number)
    return [at for at in range(len(text) - 7) if text[at : at + 8] == part]

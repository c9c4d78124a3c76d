"""Files of one small cell, put together and taken apart without Arrow's writer and reader.

A text, a JSON document or a pickle is one cell of one row. The files of two of
them differ in few places: the cell and its length, the header, the digests. So
Arrow writes one of each kind as a template, and the others are the template with
these places filled in: byte for byte what Arrow would have written, in a fifth of
the time. A template that does not stand this comparison is not used.
"""

import struct
from typing import Any, Literal

import pyarrow as pa
import xxhash

from runstore.buffers import Buffer, flat
from runstore.containers._seal import DIGEST_PREFIX, Seal
from runstore.lifetime import Bounded

__all__ = [
    "LARGEST_CELL",
    "LARGEST_FILE",
    "Entries",
    "Template",
    "cell_file",
    "learn_cell",
    "open_cell",
    "template_of",
]

Entries = dict[bytes, bytes]

LARGEST_CELL = 64 * 1024
"""Bytes; beyond, Arrow's part of the time does not matter."""

LARGEST_FILE = LARGEST_CELL + 64 * 1024
"""Bytes; larger files are not of one small cell."""

_AT_MOST = 64  # templates kept, each of 1 to 2 KB
_SAMPLE = 12345  # bytes of a template's own cell: a number that stands for nothing else
_PROBES = (0, 1, 8, 4001)  # lengths of the cells that a template is tried on
_OFFSETS = 16  # bytes that tell where the cell begins and ends
_END = 10  # bytes of the footer's length and the magic
_NUMBER = 8  # bytes of a number
_ZEROS = b"0" * 32  # in place of a digest
_PADDING = bytes(8)
_PREFIX = DIGEST_PREFIX.decode()


class _Form:
    """Bytes with gaps, to be filled with numbers of 64 bits and texts of fixed lengths.

    Args:
        text: The bytes, with something in the gaps.
        gaps: Where a gap begins, to how long it is and which of the values comes there; 8 bytes
            are a number.
    """

    def __init__(self, text: bytes, gaps: dict[int, tuple[int, int]]) -> None:
        kinds, at = ["<"], 0
        self._parts: list[Any] = []
        self._values: list[tuple[int, int]] = []  # which part is which value
        for start in sorted(gaps):
            length, value = gaps[start]
            kinds += [f"{start - at}s", "q" if length == _NUMBER else f"{length}s"]
            self._values.append((len(self._parts) + 1, value))
            self._parts += [text[at:start], None]
            at = start + length
        kinds.append(f"{len(text) - at}s")
        self._parts.append(text[at:])
        self._pack = struct.Struct("".join(kinds)).pack

    def fill(self, *values: Any) -> bytes:
        """Return the bytes with *values* in the gaps."""
        parts = self._parts.copy()  # another thread may be here
        for part, value in self._values:
            parts[part] = values[value]
        return self._pack(*parts)


class Template:
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
        start, padded = file.index(cell), _padded(_SAMPLE)
        head, tail = file[:start], file[start + padded :]
        self.footer = int.from_bytes(tail[-_END : -_END + 4], "little")
        at = len(tail) - _END - self.footer
        self._between, footer = tail[:at], tail[at:]
        sizes, bodies = _places(head, _SAMPLE), _places(head, _OFFSETS + padded)
        self._prefix = head[: min(sizes + bodies)]  # tells kinds apart
        self._head_size = len(head)
        self._head = _Form(
            head, dict.fromkeys(sizes, (_NUMBER, 0)) | dict.fromkeys(bodies, (_NUMBER, 1))
        )
        self._document = _place(footer, entries[b"runstore.object"])
        self._body_digest = _digits(footer, slots[b"runstore.body"])
        self._digest = _digits(footer, slots[b"runstore.digest"])
        texts = (self._document, self._body_digest, self._digest)
        self._footer = _Form(
            footer,
            dict.fromkeys(_places(footer, _OFFSETS + padded), (_NUMBER, 0))
            | {at.start: (at.stop - at.start, value) for value, at in enumerate(texts, 1)},
        )
        for probe in _PROBES:
            filled, _ = self.fill(b"y" * probe, entries[b"runstore.object"])
            tail = filled[-len(footer) :]
            seal = {
                b"runstore.body": DIGEST_PREFIX + tail[self._body_digest],
                b"runstore.digest": DIGEST_PREFIX + tail[self._digest],
            }
            if filled != _by_arrow(schema, b"y" * probe, entries | seal):
                raise ValueError(f"cells of {probe} bytes are written differently")

    def fill(self, cell: Buffer, document: bytes) -> tuple[bytes, str]:
        """Return the sealed file of *cell* with this header, and the digest of its body."""
        size = len(cell) if type(cell) is bytes else flat(cell).nbytes
        padding = -size % 8
        length = _OFFSETS + size + padding
        head = self._head.fill(size, length)
        body = b"".join((head, cell, _PADDING[:padding], self._between))
        digest = xxhash.xxh3_128_hexdigest(body)
        footer = self._footer.fill(length, document, digest.encode(), _ZEROS)
        seal = xxhash.xxh3_128_hexdigest(footer).encode()
        at = self._digest
        return b"".join((body, footer[: at.start], seal, footer[at.stop :])), _PREFIX + digest

    def open(self, file: bytes) -> tuple[bytes, bytes] | None:
        """Return header and cell of a file of this kind; None if it is none, or is damaged.

        Both digests are checked, and all that is neither header nor cell is compared.
        """
        start, end = self._head_size, len(file) - _END - self.footer
        if end < start or not file.startswith(self._prefix):
            return None
        size = int.from_bytes(file[start - _NUMBER : start], "little")
        length = _OFFSETS + size + -size % 8
        if start - _OFFSETS + length + len(self._between) != end:
            return None
        at, footer = self._digest, file[end:]
        document, digest = footer[self._document], footer[self._body_digest]
        zeroed = self._footer.fill(length, document, digest, _ZEROS)
        before, after = footer[: at.start], footer[at.stop :]
        if (
            zeroed != b"".join((before, _ZEROS, after))
            or not file.startswith(self._head.fill(size, length))
            or xxhash.xxh3_128_hexdigest(zeroed) != footer[at].decode("latin1")
            or xxhash.xxh3_128_hexdigest(file[:end]) != digest.decode("latin1")
        ):
            return None
        return document, file[start : start + size]


class _Templates:
    """The templates of this process: one of each kind of file, of those that were met first.

    Later kinds have none. To make one costs as much as to write ten files by Arrow, so it is not
    given up again for another.

    Args:
        size: How many kinds there are at most.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._of_kind: Bounded[tuple[pa.Schema, int], Template | Literal[False]] = Bounded(size)
        self._by_footer: Bounded[bytes, tuple[Template, ...]] = Bounded(size)

    def of(self, schema: pa.Schema, entries: Entries) -> Template | None:
        """Return the template of a kind, made at its first use; None if Arrow has to write it."""
        kind = schema, len(entries[b"runstore.object"])
        known = self._of_kind.get(kind)
        if known is not None:
            return known or None
        if len(self._of_kind) >= self._size:
            return None
        try:
            template = Template(schema, entries)
        except ValueError:
            self._of_kind.put(kind, False)
            return None
        footer = template.footer.to_bytes(4, "little")
        self._by_footer.put(footer, (*(self._by_footer.get(footer) or ()), template))
        self._of_kind.put(kind, template)
        return template

    def open(self, file: bytes) -> tuple[bytes, bytes] | None:
        """Return header and cell of a file of any kind; None if it is of none, or damaged."""
        for template in self._by_footer.get(file[-_END : -_END + 4]) or ():
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
    if flat(cell).nbytes > LARGEST_CELL:
        return None
    template = template_of(schema, entries)
    return template.fill(cell, entries[b"runstore.object"]) if template is not None else None


def template_of(schema: pa.Schema, entries: Entries) -> Template | None:
    """Return what makes the files of one kind; None if Arrow has to write them.

    Args:
        schema: One column of large text or large binary, without nulls.
        entries: The footer's key-values except for the seal; only the header's length counts.
    """
    return _templates.of(schema, entries)


def open_cell(file: bytes) -> tuple[bytes, bytes] | None:
    """Return header and cell of a whole file of one cell; None if it has to be opened with Arrow.

    Every byte is compared or fits the digests, so what is given is neither damaged nor another.
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


def _digits(text: bytes, slot: bytes) -> slice:
    at = _place(text, slot)
    return slice(at.start + len(DIGEST_PREFIX), at.stop)


def _places(text: bytes, number: int) -> list[int]:
    part = struct.pack("<q", number)
    return [at for at in range(len(text) - 7) if text[at : at + 8] == part]

"""Files of small tables of numbers, put together and taken apart without Arrow's writer and reader.

Two such files of one schema and length differ in the numbers, the header and the digests alone. So
the first of a kind, which Arrow wrote, is a template for the others: these places are filled in. A
template that does not give the file that it was made of is not used.
"""

from collections.abc import Sequence
from typing import Any

import xxhash

from runstore.buffers import Buffer
from runstore.containers._flatbuffer import MalformedError
from runstore.containers._layout import layout_of
from runstore.containers._messages import message_at, parse_batch, parse_footer
from runstore.containers._seal import DIGEST_PREFIX, footer_start, place_of_digest
from runstore.lifetime import Bounded

__all__ = ["learn_rows", "open_rows", "rows_file"]

_LARGEST = 256 * 1024  # bytes of a file; of a larger one the numbers are not read whole
_KINDS = 256
_ALIKE = 4  # templates of files of one size
_END = 10  # bytes of the footer's length and the magic
_ZEROS = b"0" * 32


class _Template:
    """All files of one schema, number of rows and length of the header.

    Args:
        file: One of them, whole and sealed.
        document: Its header.

    Raises:
        ValueError: It is of another kind, or is written in another way than is thought here.
    """

    def __init__(self, file: bytes, document: bytes) -> None:
        self._size = len(file)
        footer_at = footer_start(file[-_END:], len(file), "a template")
        footer = parse_footer(file[footer_at:])
        if footer.dictionaries or footer.extensions or len(footer.batches) != 1:
            raise ValueError("it is not one batch of plain columns")
        start, length, size = footer.batches[0]
        message = message_at(memoryview(file), start)
        batch = None if message is None else parse_batch(message)
        if batch is None or batch.compressed or batch.nodes[:, 1].any() or batch.body != size:
            raise ValueError("it has nulls, or is compressed")
        places = batch.buffers[batch.buffers[:, 1] > 0]
        if len(places) != len(batch.nodes):
            raise ValueError("it has other buffers than those of numbers")
        self._head, tail_at = file[: start + length], start + length + size
        self._sizes: list[int] = places[:, 1].tolist()
        ends = [*places[1:, 0].tolist(), size]
        self._pads = [bytes(e - o - s) for (o, s), e in zip(places.tolist(), ends, strict=True)]
        self._tail, self._footer_at = file[tail_at:], footer_at - tail_at
        self._document = self._slot(document)
        body = DIGEST_PREFIX + xxhash.xxh3_128_hexdigest(file[:footer_at]).encode()
        self._body_digest = self._slot(body)
        at = place_of_digest(self._tail[self._footer_at :])
        if at is None:
            raise ValueError("it has no digest")
        self._digest = slice(self._footer_at + at, self._footer_at + at + 32)
        data_at = [len(self._head) + offset for offset in places[:, 0].tolist()]
        data = [file[at : at + size] for at, size in zip(data_at, self._sizes, strict=True)]
        filled = self.fill(data, document)
        if filled is None or filled[0] != file:
            raise ValueError("it is written in another way")

    def _slot(self, text: bytes) -> slice:
        at = self._tail.index(text)
        return slice(at, at + len(text))

    def fill(self, data: Sequence[bytes], document: bytes) -> tuple[bytes, str] | None:
        """Return the sealed file of *data* with this header, and the digest of its body."""
        if list(map(len, data)) != self._sizes:
            return None
        parts: list[Any] = [self._head]
        for one, pad in zip(data, self._pads, strict=True):
            parts += (one, pad)
        body = b"".join((*parts, self._tail[: self._footer_at]))
        digest, footer = self._footer(body, document)
        return body + footer, digest

    def _footer(self, body: Buffer, document: bytes) -> tuple[str, bytes]:
        tail = bytearray(self._tail)
        digest = DIGEST_PREFIX + xxhash.xxh3_128_hexdigest(body).encode()
        tail[self._document], tail[self._body_digest] = document, digest
        tail[self._digest] = _ZEROS
        footer = memoryview(tail)[self._footer_at :]
        tail[self._digest] = xxhash.xxh3_128_hexdigest(footer).encode()
        return digest.decode(), bytes(footer)

    def open(self, file: memoryview) -> bytes | None:
        """Return the header of a file of this kind; None if it is none, or is damaged."""
        # As bytes: views are compared item by item.
        if file.nbytes != self._size or bytes(file[: len(self._head)]) != self._head:
            return None
        tail_at = self._size - len(self._tail)
        document = bytes(file[tail_at:][self._document])
        footer_at = tail_at + self._footer_at
        footer = self._footer(file[:footer_at], document)[1]
        return document if bytes(file[footer_at:]) == footer else None


_templates: Bounded[Any, _Template] = Bounded(_KINDS)
_by_size: Bounded[tuple[int, bytes], tuple[_Template, ...]] = Bounded(_KINDS)
_seen: Bounded[Any, bool] = Bounded(_KINDS)


def rows_file(alike: object, data: Sequence[bytes], document: bytes) -> tuple[bytes, str] | None:
    """Return the sealed file of a small table of numbers, and the digest of its body.

    Args:
        alike: What all tables of one schema and length have in common.
        data: The numbers of each column.
        document: The header.

    Returns:
        None if Arrow has to write it.
    """
    template = _templates.get((alike, len(document)))
    return None if template is None else template.fill(data, document)


def open_rows(file: memoryview) -> tuple[bytes, object] | None:
    """Return the header of a whole file of a known kind, and its kind; else None.

    All of it is compared or digested, so what is given is neither damaged nor anything else.
    """
    for template in _by_size.get(_key(file)) or ():
        document = template.open(file)
        if document is not None:
            return document, template
    return None


def learn_rows(file: Buffer, document: bytes, schema: Any, alike: object | None = None) -> None:
    """Take in how a file looks that Arrow wrote, or had to open, the second time that it comes.

    Args:
        file: Whole and sealed, and found to be intact.
        document: Its header.
        schema: Of its batches.
        alike: What its table has in common with others, if that is known.
    """
    view = memoryview(file)
    if view.nbytes > _LARGEST or not layout_of(schema).plain:
        return
    kind = (alike, len(document)) if alike is not None else _key(view)
    seen = _seen.get(kind)
    if not seen:  # it comes for the first time, or no template fits it
        if seen is None:
            _seen.put(kind, True)
        return
    try:
        template = _Template(bytes(view), document)
    except (ValueError, MalformedError):
        _seen.put(kind, False)
        return
    if alike is not None:
        _templates.put(kind, template)
    known = _by_size.get(_key(view)) or ()
    if not any(one.open(view) is not None for one in known):
        _by_size.put(_key(view), (template, *known[: _ALIKE - 1]))


def _key(file: memoryview) -> tuple[int, bytes]:
    return file.nbytes, bytes(file[-_END:])

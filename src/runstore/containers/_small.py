"""Small texts, bytes and JSON documents: files whose headers differ in few places.

Of two values of one type, put by one stage, the headers differ in the name, the time, the write id
and the size. So what they have in common is made once, and what is read is compared with what was
read before. The bytes are those of `Header.to_json` and of Arrow.
"""

import re
import time
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii
from typing import NamedTuple

import pyarrow as pa

from runstore.buffers import Buffer, flat
from runstore.containers._cell import LARGEST_CELL, LARGEST_FILE, Template, open_cell, template_of
from runstore.containers._header import (
    FORMAT_VERSION,
    Header,
    kind_text,
    padded,
    scope_text,
    spec_text,
)
from runstore.keys import Place
from runstore.lifetime import Bounded, unique_id

__all__ = ["SmallFile", "SmallFiles", "learn_small", "open_small"]


class SmallFile(NamedTuple):
    """A file that is ready to be written.

    Attributes:
        file: All of its bytes.
        digest: Of its body.
        created_at: Nanoseconds since 1970; its header has the microseconds.
    """

    file: bytes
    digest: str
    created_at: int


class SmallFiles:
    """The files of small values of one type, put by one stage.

    Args:
        schema: One column of large text or large binary, without nulls.
        header: What their headers have in common; name, time, write id and size are not looked at.
    """

    def __init__(self, schema: pa.Schema, header: Header) -> None:
        self.header = header
        self._schema = schema
        scope = scope_text(header.namespace, header.run, header.workflow, header.stage)
        kind = kind_text(header.type, header.codec, header.codec_version, header.versions)
        self._begin = f'{{{scope},"name":'
        self._middle = f',{kind},"created_at":"'
        self._end = f'"{spec_text(header.spec)},"nbytes":'
        self._templates: dict[int, Template] = {}

    def make(self, name: str, cell: bytes) -> SmallFile | None:
        """Return the file of *cell*, by this name; None if Arrow has to write it."""
        size = len(cell)
        if size > LARGEST_CELL:
            return None
        at = time.time_ns()
        document = padded(
            f"{self._begin}{encode_basestring_ascii(name)}{self._middle}{_written(at)}"
            f'","write_id":"{unique_id()}{self._end}{size}}}'.encode("ascii")
        )
        template = self._templates.get(len(document))
        if template is None:
            entries = {b"runstore.version": b"%d" % FORMAT_VERSION, b"runstore.object": document}
            template = template_of(self._schema, entries)
            if template is None:
                return None
            self._templates[len(document)] = template
        return SmallFile(*template.fill(cell, document), at)


def _written(nanoseconds: int) -> str:
    """Return a time as `datetime.isoformat` writes it."""
    global _second
    seconds, rest = divmod(nanoseconds // 1000, 1_000_000)
    known = _second
    if known[0] != seconds:
        text = datetime.fromtimestamp(seconds, UTC).isoformat()[:-6]
        known = _second = seconds, text
    return f"{known[1]}.{rest:06d}+00:00" if rest else f"{known[1]}+00:00"


_second = (-1, "")  # the last one that was asked for, and its text: a cache


def open_small(data: Buffer, place: Place) -> tuple[Header, bytes] | None:
    """Return the cell of a file that was stored for *place*, if one like it was opened before.

    Args:
        data: The file.
        place: Where it was found.

    Returns:
        A header that has the same scope, codec, spec and versions, and the cell. None if it has to
        be opened by `open_arrow`, which says what is wrong. Else every byte is compared or fits
        its digests.
    """
    found = open_cell(bytes(data)) if len(data) <= LARGEST_FILE else None  # type: ignore[arg-type]
    if found is None:
        return None
    key = _key(found[0], place)
    header = None if key is None else _known.get(key)
    return None if header is None else (header, found[1])


def learn_small(data: Buffer, place: Place, header: Header) -> None:
    """Take in the header of a small file that `open_arrow` has opened.

    Args:
        data: The file.
        place: Where it was found, and what it is for.
        header: What it says about itself.
    """
    found = open_cell(bytes(flat(data)))
    if found is None or header.to_json() != found[0]:
        return  # written by another program, in an order of its own
    key = _key(found[0], place)
    if key is not None:
        _known.put(key, header)


_Key = tuple[str, str | None, bytes, bytes, bytes]

_known: Bounded[_Key, Header] = Bounded(1024)

# What follows the parts that all values of a type have in common.
_REST = re.compile(
    rb',"created_at":"[0-9T:.+-]{19,32}","write_id":"[0-9A-Za-z_-]{1,64}"'
    rb'((?:,"spec":\{[^{}]*\})?),"nbytes":[0-9]{1,19}\} *'
).fullmatch


def _key(document: bytes, place: Place) -> _Key | None:
    """Return all of a header but its own name, time, id and size; None if it is not like others."""
    at = document.find(b',"name":') + 8  # text in JSON has no such thing: it escapes quotes
    name = encode_basestring_ascii(place.name).encode()
    after = at + len(name)
    if document[at:after] != name:
        return None
    end = document.find(b',"created_at":"', after)
    rest = _REST(document, end) if end > 0 else None
    if rest is None:
        return None
    return place.namespace, place.run, document[:at], document[after:end], rest[1]

"""The index of a namespace as a file: blocks of rows, each compressed and with a digest.

    runstore index 2
    <digest of the next line> {"token": …, "open": […], "blocks": [
        {"rows": …, "at": …, "row_bytes": …, "record_bytes": …, "digest": …}, …]}
    <the blocks: a JSON list of rows, and one of records, both by zlib>

A block that stays is copied as it is when others are added, so a merge costs what is new.
"""

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import xxhash

from runstore.runs._look import RunLook
from runstore.weights import json_weight

__all__ = [
    "ROWS",
    "Block",
    "Head",
    "IndexFileError",
    "Row",
    "index_file",
    "new_blocks",
    "parsed_index",
]

ROWS = 256
"""The most rows of a block."""

_FIRST = b"runstore index 2\n"
_LONGEST_RECORD = 16 * 1024  # characters of a record that is kept here, too
_LONGEST_PART = 8 * ROWS * _LONGEST_RECORD  # bytes; a character of a record takes 6 at most
_WEIGHT = 2 * _LONGEST_PART  # bytes as objects
_LEVEL = 1  # of zlib: records of one workflow are so alike that more gains little


class IndexFileError(Exception):
    """What stands there is no index, damaged, or of a later version."""


class Row(NamedTuple):
    """A run that has ended.

    Attributes:
        look: What clean-up has to know of it.
        record: Its record as text; None if it is long.
    """

    look: RunLook
    record: str | None


@dataclass(frozen=True)
class Block:
    """Some rows, compressed.

    Attributes:
        rows: How many.
        packed: The rows and the records, both compressed.
        row_bytes: How much of it are the rows.
    """

    rows: int
    packed: bytes
    row_bytes: int

    def looks(self) -> list[RunLook]:
        """Return the rows without their records.

        Raises:
            IndexFileError: They are not as they are written.
            ValueError, TypeError: Likewise.
        """
        return [_look(row) for row in _unpacked(self.packed[: self.row_bytes])]

    def records(self) -> list[str | None]:
        """Return the records, in the order of the rows; none where they are not as written."""
        try:
            found = _unpacked(self.packed[self.row_bytes :])
        except (IndexFileError, ValueError):
            found = None
        if type(found) is not list or len(found) != self.rows:
            return [None] * self.rows  # they are read from where they stand
        return [text if type(text) is str else None for text in found]


def new_blocks(rows: Iterable[Row]) -> list[Block]:
    """Pack rows into blocks."""
    blocks, some = list[Block](), list[Row]()
    for row in rows:
        some.append(row)
        if len(some) == ROWS:
            blocks.append(_block(some))
            some = []
    return [*blocks, _block(some)] if some else blocks


def _block(rows: list[Row]) -> Block:
    looks = _packed([_plain(row.look) for row in rows])
    records = _packed([_short(row.record) for row in rows])
    return Block(len(rows), looks + records, len(looks))


def _short(record: str | None) -> str | None:
    return record if record is not None and len(record) <= _LONGEST_RECORD else None


class Head(NamedTuple):
    """What an index says of itself.

    Attributes:
        token: By which it is known to be complete; None if it is not.
        open: Runs that it has no row of, or not the last one.
    """

    token: str | None = None
    open: tuple[str, ...] = ()


def index_file(blocks: list[Block], about_it: Head) -> list[bytes]:
    """Return the file of these blocks, as buffers."""
    about, at = list[dict[str, Any]](), 0
    for block in blocks:
        about.append(
            {
                "rows": block.rows,
                "at": at,
                "row_bytes": block.row_bytes,
                "record_bytes": len(block.packed) - block.row_bytes,
                "digest": xxhash.xxh3_128_hexdigest(block.packed),
            }
        )
        at += len(block.packed)
    document = {"token": about_it.token, "open": about_it.open, "blocks": about}
    head = json.dumps(document).encode()
    digest = xxhash.xxh3_128_hexdigest(head).encode()
    return [_FIRST + digest + b" " + head + b"\n", *(block.packed for block in blocks)]


def parsed_index(data: bytes) -> tuple[list[Block], Head]:
    """Return the blocks of a file, and what it says of itself; all of it is checked.

    Raises:
        IndexFileError: It is none, or damaged.
    """
    if not data.startswith(_FIRST):
        raise IndexFileError("it is no index, or of a later version")
    end = data.find(b"\n", len(_FIRST))
    digest, _, head = data[len(_FIRST) : end].partition(b" ")
    if end < 0 or digest != xxhash.xxh3_128_hexdigest(head).encode():
        raise IndexFileError("its head is damaged")
    blocks, body = list[Block](), memoryview(data)[end + 1 :]
    document = json.loads(head)
    for one in document["blocks"]:
        packed = bytes(body[one["at"] : one["at"] + one["row_bytes"] + one["record_bytes"]])
        if xxhash.xxh3_128_hexdigest(packed) != one["digest"]:
            raise IndexFileError("a block is damaged")
        blocks.append(Block(one["rows"], packed, one["row_bytes"]))
    return blocks, Head(document.get("token"), tuple(document.get("open", ())))


def _packed(value: Any) -> bytes:
    return zlib.compress(json.dumps(value).encode(), _LEVEL)


def _unpacked(data: bytes) -> Any:
    """Undo `_packed`, of no more than `new_blocks` writes: anybody may have made these bytes.

    Raises:
        IndexFileError: It is more, or would take far more as objects.
    """
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(data, _LONGEST_PART).decode()
    except zlib.error as exc:
        raise IndexFileError("a block is damaged") from exc
    if stream.unconsumed_tail or json_weight(text, _WEIGHT) > _WEIGHT:
        raise IndexFileError("a block is larger than any that is written")
    return json.loads(text)


def _plain(look: RunLook) -> list[Any]:
    started = None if look.started == float("-inf") else look.started
    return [
        *(look.name, look.version, look.state, look.workflow, started, look.ended),
        *(look.retention, look.source),
    ]


def _look(row: list[Any]) -> RunLook:
    name, version, state, workflow, started, ended, retention, source = row[:8]
    began = float("-inf") if started is None else started
    return RunLook(name, version, state, workflow, began, ended, retention, source=source)

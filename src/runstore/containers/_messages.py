"""The metadata of an Arrow file, checked before Arrow acts on it.

Its footer names the schema and where each batch lies; the message in front of a
batch names the rows and the buffers. The FlatBuffers schemas are those of the
Arrow format, ``File.fbs``, ``Message.fbs`` and ``Schema.fbs``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from runstore.containers._flatbuffer import MalformedError, Table

__all__ = [
    "Batch",
    "Footer",
    "extension_names",
    "has_compression",
    "message_at",
    "parse_batch",
    "parse_footer",
    "schema_entries",
]

Numbers = np.ndarray[Any, np.dtype[np.int64]]

_DICTIONARY, _BATCH = 2, 3  # kinds of messages
_BLOCK = "<qi4xq"
_LONGEST = 1 << 62  # items of a column
_DEEPEST = 64  # levels of nested fields; Arrow's own parser refuses more
_NAME = b"ARROW:extension:name"


@dataclass(slots=True)
class Footer:
    """What the footer of an Arrow file says.

    Attributes:
        entries: The key-values.
        dictionaries, batches: Of each batch, where its message begins, how long the message
            is, and how long the data behind it.
        extensions: The names of the extension types that fields claim to be of.
    """

    entries: dict[bytes, bytes]
    dictionaries: list[tuple[int, int, int]]
    batches: list[tuple[int, int, int]]
    extensions: set[str]


@dataclass(slots=True)
class Batch:
    """What a message says about the batch behind it.

    Attributes:
        dictionary: Whether it is a dictionary, not rows.
        body: How many bytes of data follow.
        rows: How many rows it has.
        nodes: Of each column and each part of one, its length and its number of nulls.
        buffers: Of each buffer, where it begins in the data, and its size.
        variadic: Of each column of views, how many buffers they point to.
        compressed: Whether the buffers are.
    """

    dictionary: bool
    body: int
    rows: int
    nodes: Numbers
    buffers: Numbers
    variadic: list[int]
    compressed: bool


def parse_footer(footer: bytes) -> Footer:
    """Parse a footer, up to the end of the file.

    Raises:
        MalformedError: It is none.
    """
    table = Table.root(memoryview(footer)[:-10])  # without its length and the magic
    schema = table.table(1) if _NAME in footer else None  # few have any: do not go through all
    return Footer(
        dict(_key_values(table, 4)),
        _blocks(table, 2),
        _blocks(table, 3),
        set() if schema is None else set(_extensions(schema, 0, 1)),
    )


def has_compression(footer: bytes, file: memoryview) -> bool:
    """Return whether a batch of a file is compressed; quicker than `parse_batch`.

    Raises:
        MalformedError: It is no whole file.
    """
    table = Table.root(memoryview(footer)[:-10])
    for blocks in (2, 3):
        for start, _, _ in _blocks(table, blocks):
            message = message_at(file, start)
            header = None if message is None else Table.root(message).table(2)
            if header is not None and blocks == 2:
                header = header.table(1)  # a dictionary has a batch in it
            if header is not None and header.has(3):
                return True
    return False


def message_at(file: memoryview, start: int) -> memoryview | None:
    """Return the metadata of the message that begins at *start*; None at the end of the stream.

    Raises:
        MalformedError: There is none.
    """
    if bytes(file[start : start + 4]) == b"\xff" * 4:
        start += 4  # not so in files from before Arrow 0.15
    length = int.from_bytes(file[start : start + 4], "little", signed=True)
    if length < 0 or start + 4 + length > file.nbytes:
        raise MalformedError(f"the message at {start} is longer than the file")
    return file[start + 4 : start + 4 + length] if length else None


def parse_batch(message: memoryview) -> Batch | None:
    """Parse the metadata of one message; None if it is not of a batch.

    Raises:
        MalformedError: It is no message, or says that a buffer lies outside the data.
    """
    table = Table.root(message)
    kind, body, header = table.number(1, 1), table.number(3, 8), table.table(2)
    if body < 0:
        raise MalformedError("the data of a batch has a negative size")
    if kind == _DICTIONARY and header is not None:
        header = header.table(1)
    if kind not in (_DICTIONARY, _BATCH) or header is None:
        if body:
            raise MalformedError("data belongs to no batch")
        return None
    nodes, buffers = header.integers(1, 2), header.integers(2, 2)
    rows = header.number(0, 8)
    # Taken for unsigned, what is negative is larger than all that can be.
    if rows < 0 or _most(nodes) > _LONGEST or (nodes[:, 1] > nodes[:, 0]).any():
        raise MalformedError("a batch has columns of impossible lengths")
    if _most(buffers) > body or (len(buffers) and buffers.sum(axis=1).max() > body):
        raise MalformedError("a batch has a buffer outside its data")
    variadic: list[int] = header.integers(4, 1)[:, 0].tolist()
    if any(not 0 <= count <= len(buffers) for count in variadic):
        raise MalformedError("a batch has an impossible number of buffers")
    compressed = header.table(3) is not None
    return Batch(kind == _DICTIONARY, body, rows, nodes, buffers, variadic, compressed)


def _most(numbers: Numbers) -> int:
    return int(numbers.view("<u8").max()) if len(numbers) else 0


def extension_names(message: bytes) -> set[str]:
    """Return the extension types of a schema that is a message, as in ``ARROW:schema``.

    Raises:
        MalformedError: It is no such message.
    """
    view = memoryview(message)
    if message[:4] == b"\xff" * 4:
        view = view[4:]
    schema = Table.root(view[4:]).table(2)
    return set() if schema is None else set(_extensions(schema, 0, 1))


def schema_entries(file: memoryview) -> list[tuple[bytes, bytes]]:
    """Return the key-values of the schema of a whole Arrow file, also those of one key.

    Raises:
        MalformedError: It is no such file.
    """
    length = int.from_bytes(file[-10:-6], "little", signed=True)
    if not 0 < length <= file.nbytes - 10:
        raise MalformedError("it has no footer")
    schema = Table.root(file[-10 - length : -10]).table(1)
    return [] if schema is None else list(_key_values(schema, 2))


def _extensions(table: Table, depth: int, children: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise MalformedError("fields are nested too deeply")
    for field in table.tables(children):
        for key, value in _key_values(field, 6):
            if key == _NAME:
                yield value.decode(errors="replace")
        yield from _extensions(field, depth + 1, 5)


def _key_values(table: Table, field: int) -> Iterator[tuple[bytes, bytes]]:
    for pair in table.tables(field):
        yield pair.text(0), pair.text(1)


def _blocks(table: Table, field: int) -> list[tuple[int, int, int]]:
    found = []
    for start, length, body in table.structs(field, _BLOCK):
        if start < 8 or body < 0 or length < 0:
            raise MalformedError("a batch lies outside the file")
        found.append((start, length, body))
    return found

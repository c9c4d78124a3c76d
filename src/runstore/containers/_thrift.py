"""Read what Parquet says about itself, in Thrift's compact protocol, without trusting it.

Only as much as has to be known before Arrow acts on a file: its key-values, and how
much memory its pages claim to take. Positions are checked as in `_flatbuffer`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from runstore.containers._flatbuffer import MalformedError

__all__ = ["Chunk", "column_chunks", "page_sizes", "parquet_entries"]

_TRUE, _FALSE, _BYTE, _INT16, _INT32, _INT64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(
    1, 13
)
_DEEPEST = 32
_ROW_GROUPS, _KEY_VALUES = 4, 5  # fields of FileMetaData


@dataclass(slots=True)
class Chunk:
    """What the footer of a Parquet file says about one column of one row group.

    Attributes:
        kind: Its physical type, as numbered by the format.
        path: Its name, and those of the columns that it is a part of.
        values: How many values it has, nulls included.
        start, size: Where its pages lie in the file.
    """

    kind: int
    path: tuple[bytes, ...]
    values: int
    start: int
    size: int


def column_chunks(footer: bytes) -> Iterator[Chunk]:
    """Return every chunk of every column that a Parquet footer lists.

    pyarrow's own objects end the process for some damaged footers.

    Raises:
        MalformedError: It is no footer.
    """
    reader = _Reader(memoryview(footer)[:-8])
    for field, kind in reader.fields():
        if field != _ROW_GROUPS or kind != _LIST:
            reader.skip(kind, 0)
            continue
        for _ in range(reader.items(_STRUCT)):
            yield from _of_group(reader)


def _of_group(reader: "_Reader") -> list[Chunk]:
    chunks, rows = [], 0
    for field, kind in reader.fields():
        if field == 1 and kind == _LIST:
            chunks = [_chunk(reader) for _ in range(reader.items(_STRUCT))]
        elif field == 3 and kind == _INT64:
            rows = reader.signed()
        else:
            reader.skip(kind, 0)
    for chunk in chunks:
        chunk.values = max(chunk.values, rows, 0)
    return chunks


def _chunk(reader: "_Reader") -> Chunk:
    found: dict[int, int] = {}
    path: list[bytes] = []
    for field, kind in reader.fields():
        if field != 3 or kind != _STRUCT:
            reader.skip(kind, 1)
            continue
        for part, of in reader.fields():
            if part == 3 and of == _LIST:
                path = [reader.text() for _ in range(reader.items(_BINARY))]
            elif part in (1, 5, 7, 9, 11) and of in (_INT32, _INT64):
                found[part] = reader.signed()
            else:
                reader.skip(of, 2)
    starts = [found.get(9, 0), found.get(11, 0)]
    start = min((start for start in starts if start), default=0)
    return Chunk(found.get(1, -1), tuple(path), found.get(5, 0), start, found.get(7, 0))


def parquet_entries(footer: bytes) -> dict[bytes, bytes]:
    """Return the key-values of a Parquet footer, up to the end of the file.

    Raises:
        MalformedError: It is none.
    """
    reader = _Reader(memoryview(footer)[:-8])
    for field, kind in reader.fields():
        if field != _KEY_VALUES or kind != _LIST:
            reader.skip(kind, 0)
            continue
        found: dict[bytes, bytes] = {}
        for _ in range(reader.items(_STRUCT)):
            pair: dict[int, Any] = {1: b"", 2: b""}
            for part, of in reader.fields():
                if part in pair and of == _BINARY:
                    pair[part] = reader.text()
                else:
                    reader.skip(of, 1)
            found.setdefault(pair[1], pair[2])
        return found
    return {}


def page_sizes(chunk: memoryview) -> Iterator[int]:
    """Return how many bytes each page of a column chunk claims to take when it is decompressed.

    Raises:
        MalformedError: Its pages do not fill the chunk.
    """
    reader = _Reader(chunk)
    while reader.at < chunk.nbytes:
        sizes = {2: -1, 3: -1}  # uncompressed, compressed
        for field, kind in reader.fields():
            if field in sizes and kind == _INT32:
                sizes[field] = reader.signed()
            else:
                reader.skip(kind, 0)
        if min(sizes.values()) < 0:
            raise MalformedError("a page has no size")
        reader.move(sizes[3])
        yield sizes[2]


class _Reader:
    """A place in a buffer that moves on with what is read."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self.at = 0

    def move(self, count: int) -> None:
        """Pass over so many bytes."""
        if count < 0 or self.at + count > self._data.nbytes:
            raise MalformedError("a value reaches beyond its buffer")
        self.at += count

    def fields(self) -> Iterator[tuple[int, int]]:
        """Return number and kind of each field of a struct; the caller reads its value."""
        number = 0
        while True:
            head = self._byte()
            if head == 0:
                return
            number = number + (head >> 4) if head >> 4 else self.signed()
            yield number, head & 15

    def items(self, kind: int) -> int:
        """Return how many items of this kind a list has."""
        head = self._byte()
        count = self._varint() if head >> 4 == 15 else head >> 4
        if count and head & 15 != kind:
            raise MalformedError("a list holds other items")
        if count > self._data.nbytes:
            raise MalformedError("a list is longer than its buffer")
        return count

    def text(self) -> bytes:
        """Return a text."""
        count, start = self._varint(), self.at
        self.move(count)
        return bytes(self._data[start : self.at])

    def signed(self) -> int:
        """Return an integer."""
        number = self._varint()
        return (number >> 1) ^ -(number & 1)

    def skip(self, kind: int, depth: int, item: bool = False) -> None:
        """Pass over a value of this kind; true and false take room only as an item."""
        if depth > _DEEPEST:
            raise MalformedError("values are nested too deeply")
        if kind in (_TRUE, _FALSE):
            self.move(1 if item else 0)
        elif kind == _BYTE:
            self.move(1)
        elif kind in (_INT16, _INT32, _INT64):
            self._varint()
        elif kind == _DOUBLE:
            self.move(8)
        elif kind == _BINARY:
            self.move(self._varint())
        elif kind in (_LIST, _SET):
            head = self._byte()
            count = self._varint() if head >> 4 == 15 else head >> 4
            self._skip_all(count, [head & 15], depth)
        elif kind == _MAP:
            if count := self._varint():
                head = self._byte()
                self._skip_all(count, [head >> 4, head & 15], depth)
        elif kind == _STRUCT:
            for _, of in self.fields():
                self.skip(of, depth + 1)
        else:
            raise MalformedError(f"there is no kind {kind} of values")

    def _skip_all(self, count: int, kinds: list[int], depth: int) -> None:
        for _ in range(count):
            before = self.at
            for kind in kinds:
                self.skip(kind, depth + 1, item=True)
            if self.at == before:
                raise MalformedError("items take no room")

    def _byte(self) -> int:
        self.move(1)
        return self._data[self.at - 1]

    def _varint(self) -> int:
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 127) << shift
            if byte < 128:
                return number
            shift += 7
            if shift > 63:
                raise MalformedError("a number is too long")

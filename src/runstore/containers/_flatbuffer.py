"""Read the FlatBuffers tables of Arrow's metadata, without trusting them.

Arrow's own parser acts on what it reads, registered extension types included. This
one only looks: every position is checked against the end of the buffer, and what
points outside raises `MalformedError`.
"""

import struct
from collections.abc import Iterator

import numpy as np

__all__ = ["MalformedError", "Table"]

_uint16 = struct.Struct("<H").unpack_from
_int32 = struct.Struct("<i").unpack_from
_uint32 = struct.Struct("<I").unpack_from


class MalformedError(ValueError):
    """The bytes are not such a table."""


class Table:
    """One table of a FlatBuffers buffer; its fields are numbered from 0.

    Args:
        data: The whole buffer.
        at: Where the table begins.

    Raises:
        MalformedError: There is no table.
    """

    __slots__ = ("_at", "_data", "_end", "_vtable")

    def __init__(self, data: memoryview, at: int) -> None:
        try:
            vtable = at - _int32(data, at)[0]
            size = _uint16(data, vtable)[0] if vtable >= 0 else 0
        except struct.error as exc:
            raise MalformedError("a table reaches beyond its buffer") from exc
        if size < 4 or vtable + size > data.nbytes:
            raise MalformedError("the fields of a table are listed outside its buffer")
        self._data = data
        self._at = at
        self._vtable = vtable
        self._end = vtable + size

    @classmethod
    def root(cls, data: memoryview) -> "Table":
        """Return the table that a buffer is of."""
        if data.nbytes < 8:
            raise MalformedError("it is too short for a table")
        return cls(data, _uint32(data, 0)[0])

    def number(self, field: int, size: int, default: int = 0) -> int:
        """Return an integer of *size* bytes: unsigned if it is one byte, else signed."""
        at = self._of(field)
        if at is None:
            return default
        if at + size > self._data.nbytes:
            raise MalformedError("a number reaches beyond its buffer")
        return int.from_bytes(self._data[at : at + size], "little", signed=size > 1)

    def table(self, field: int) -> "Table | None":
        """Return a table that this one holds; None if it is left out."""
        at = self._target(field)
        return None if at is None else Table(self._data, at)

    def tables(self, field: int) -> "Iterator[Table]":
        """Return the tables of a list."""
        start, count = self._list(field, 4)
        for at in range(start, start + 4 * count, 4):
            yield Table(self._data, at + _uint32(self._data, at)[0])

    def text(self, field: int) -> bytes:
        """Return a text, or a list of bytes; empty if it is left out."""
        start, count = self._list(field, 1)
        return bytes(self._data[start : start + count])

    def structs(self, field: int, form: str) -> "Iterator[tuple[int, ...]]":
        """Return the structs of a list; *form* is one of them, for `struct`."""
        start, count = self._list(field, struct.calcsize(form))
        return struct.iter_unpack(form, self._data[start : start + count * struct.calcsize(form)])

    def integers(self, field: int, width: int) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
        """Return a list of structs as rows of *width* 64-bit integers."""
        start, count = self._list(field, 8 * width)
        numbers = np.frombuffer(self._data, "<i8", count * width, start)
        return numbers.reshape(count, width)

    def has(self, field: int) -> bool:
        """Return whether a field is there."""
        return self._of(field) is not None

    def position(self, field: int) -> int | None:
        """Return where in the buffer stands what a field refers to; None if it is left out."""
        return self._target(field)

    def _of(self, field: int) -> int | None:
        at = self._vtable + 4 + 2 * field
        if at + 2 > self._end:
            return None
        offset: int = _uint16(self._data, at)[0]
        return self._at + offset if offset else None

    def _target(self, field: int) -> int | None:
        at = self._of(field)
        if at is None:
            return None
        if at + 4 > self._data.nbytes:
            raise MalformedError("a reference stands beyond its buffer")
        return at + int(_uint32(self._data, at)[0])

    def _list(self, field: int, item: int) -> tuple[int, int]:
        at = self._target(field)
        if at is None:
            return 0, 0
        if at + 4 > self._data.nbytes:
            raise MalformedError("a list begins beyond its buffer")
        count = int(_uint32(self._data, at)[0])
        if at + 4 + count * item > self._data.nbytes:
            raise MalformedError("a list reaches beyond its buffer")
        return at + 4, count

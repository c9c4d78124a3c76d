"""What Arrow's writers write to: buffers are collected, not copied together."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from runstore.buffers import Buffer, flat

__all__ = ["Sink"]

_SMALL = 64 * 1024  # bytes; what is smaller is joined

_Gap = tuple[int, Callable[[], Iterator[Any]]]
"""A buffer whose content is not there: its size, and what gives the pieces of it."""


class Sink(io.RawIOBase):
    """Collects what Arrow writes; large buffers arrive as views on the caller's memory."""

    def __init__(self) -> None:
        self._parts: list[Buffer | _Gap] = []
        self._small: list[bytes] = []
        self._expected: dict[int, _Gap] = {}
        self.position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        size = flat(data).nbytes
        self.position += size
        address = pa.py_buffer(data).address if self._expected else 0
        gap = self._expected.get(address)
        if gap is not None and gap[0] == size:
            del self._expected[address]
            self._join()
            self._parts.append(gap)
        elif size < _SMALL:
            self._small.append(bytes(data))
        else:
            self._join()
            self._parts.append(data)
        return size

    def expect(self, gaps: dict[int, _Gap]) -> None:
        """Put pieces in the place of the buffers at these addresses, from now on."""
        self._expected = dict(gaps)

    def check_met(self) -> None:
        """Raise ArrowInvalid if a buffer has not come that was expected: its content is missing."""
        if self._expected:
            raise pa.ArrowInvalid("a column was written in another way than was expected")

    def take(self) -> Iterator[Buffer]:
        """Return what has come since the last call, small pieces joined."""
        self._join()
        parts, self._parts = self._parts, []
        for part in parts:
            if isinstance(part, tuple):
                yield from _filled(*part)
            else:
                yield part

    def _join(self) -> None:
        if self._small:
            self._parts.append(b"".join(self._small))
            self._small = []


def _filled(size: int, pieces: Callable[[], Iterator[Any]]) -> Iterator[Buffer]:
    given = 0
    for piece in pieces():
        given += flat(piece).nbytes
        yield piece
    if given != size:  # a file of the wrong lengths must not be written
        raise pa.ArrowInvalid("it was changed while it was written")

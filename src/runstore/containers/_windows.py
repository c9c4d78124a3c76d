"""A stored file, of which some ranges are here and the others are read when they are asked for."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from runstore.buffers import Buffer, flat
from runstore.containers._seeking import Seeking

__all__ = ["Read", "Window", "Windows", "coalesced"]

Read = Callable[[int, int], Buffer]
"""Gives so many bytes from a place of the file on, always of the same version."""

Window = tuple[int, memoryview]
"""Where a range begins, and its bytes."""


class Windows(Seeking):
    """A file for Arrow's readers.

    Args:
        read: Gives a range.
        size: Of the file, in bytes.
        footer: Its last bytes.
    """

    def __init__(self, read: Read, size: int, footer: bytes) -> None:
        super().__init__(size)
        self._read = read
        self._footer: Window = (size - len(footer), memoryview(footer))
        self._here: list[Window] = []

    def show(self, windows: Iterable[Window]) -> None:
        """Take these ranges, instead of those before, for what is here."""
        self._here = sorted((*windows, self._footer), key=lambda window: window[0])

    def read(self, size: int | None = -1) -> Any:
        start, end = self._span(size)
        if end <= start:
            return b""
        here = self._here or [self._footer]
        at = bisect_right(here, start, key=lambda window: window[0]) - 1
        if at >= 0:
            first, data = here[at]
            if end <= first + data.nbytes:
                return data[start - first : end - first]
        footer_at, footer = self._footer
        if end <= footer_at:
            return flat(self._read(start, end - start))
        return bytes(flat(self._read(start, footer_at - start))) + bytes(footer[: end - footer_at])


def coalesced(ranges: Iterable[tuple[int, int]], gap: int) -> Iterator[tuple[int, int]]:
    """Join ranges, each a beginning and an end, between which no more than *gap* bytes lie."""
    last: tuple[int, int] | None = None
    for start, end in sorted(ranges):
        if last is not None and start - last[1] <= gap:
            last = last[0], max(last[1], end)
            continue
        if last is not None:
            yield last
        last = start, end
    if last is not None:
        yield last

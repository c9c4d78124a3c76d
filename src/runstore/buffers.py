"""The only thing that passes between codecs and backends: bytes-like buffers.

A value on its way down is a series of buffers that are written one after the
other and never copied together. A stored object on its way up is one buffer
that is *private and writable*: an array built on it can be written to, and
nothing written there reaches the store or another reader.
"""

import mmap
import os

from typing_extensions import Buffer

__all__ = ["Buffer", "flat", "map_private"]

_MAP_FROM = 128 * 1024  # below, one read() is cheaper than a mapping and its page faults


def flat(buffer: Buffer) -> memoryview:
    """View *buffer* as bytes, without a copy; its length is its size in bytes."""
    view = memoryview(buffer)
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")


def map_private(fd: int, size: int) -> Buffer:
    """Give the *size* bytes behind *fd* as a private, writable buffer.

    Large files are mapped copy-on-write: nothing is read before it is used, a
    page is copied when it is first written, and the file never changes. The
    buffer stays valid after *fd* is closed and after the file is replaced.
    """
    if size >= _MAP_FROM:
        return mmap.mmap(fd, size, access=mmap.ACCESS_COPY)
    data = bytearray(size)
    view, filled = memoryview(data), 0
    while filled < size:
        count = os.preadv(fd, [view[filled:]], filled)
        if count == 0:
            break
        filled += count
    return data if filled == size else data[:filled]


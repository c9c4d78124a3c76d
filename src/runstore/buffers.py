"""The only thing that passes between codecs and backends: bytes-like buffers.

A value on its way down is a series of buffers that are written one after the
other and never copied together. A stored object on its way up is one buffer
that is *private and writable*: an array built on it can be written to, and
nothing written there reaches the store or another reader.
"""

import mmap
import os
import sys
import weakref

from typing_extensions import Buffer

__all__ = ["MAP_FROM", "Buffer", "copied", "flat", "map_private"]

MAP_FROM = 128 * 1024
"""Bytes from which a file is mapped; below, one read() is cheaper than the page faults."""

# Before Python 3.13 every mapping keeps a file descriptor, of which a process has few;
# past this many living ones, files are read instead.
_UNTRACKED = sys.version_info >= (3, 13)
_TRACKED_AT_MOST = 256
_tracked: "weakref.WeakSet[mmap.mmap]" = weakref.WeakSet()


def flat(buffer: Buffer) -> memoryview:
    """View *buffer* as bytes, without a copy; its length is its size in bytes."""
    view = memoryview(buffer)
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")


def copied(buffer: Buffer) -> Buffer:
    """Copy *buffer* to memory of its own that begins at a page, where no one else can write."""
    view = flat(buffer)
    memory = mmap.mmap(-1, max(1, view.nbytes))
    memory[: view.nbytes] = view
    return flat(memory)[: view.nbytes]


def map_private(fd: int, size: int) -> Buffer:
    """Give the *size* bytes behind *fd* as a private, writable buffer.

    Large files are mapped copy-on-write: nothing is read before it is used, a
    page is copied when it is first written, and the file never changes. The
    buffer stays valid after *fd* is closed and after the file is replaced.
    """
    if size >= MAP_FROM and (_UNTRACKED or len(_tracked) < _TRACKED_AT_MOST):
        if sys.version_info >= (3, 13):
            return mmap.mmap(fd, size, access=mmap.ACCESS_COPY, trackfd=False)
        mapped = mmap.mmap(fd, size, access=mmap.ACCESS_COPY)
        _tracked.add(mapped)
        return mapped
    data = bytearray(size)
    view, filled = memoryview(data), 0
    while filled < size:
        count = os.preadv(fd, [view[filled:]], filled)
        if count == 0:
            break
        filled += count
    view.release()
    del data[filled:]
    return data

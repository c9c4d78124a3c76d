"""The only thing that passes between codecs and places: bytes-like buffers.

A value on its way down is a series of buffers that are written one after the
other and never copied together. A stored object on its way up is one buffer
that is *private and writable*: an array built on it can be written to, and
nothing written there reaches the store or another reader.
"""

import errno
import mmap
import os
import sys
import weakref
from contextlib import suppress

from typing_extensions import Buffer

__all__ = [
    "MAP_FROM",
    "NO_DESCRIPTORS",
    "READ_WHOLE",
    "Buffer",
    "allocated",
    "copied",
    "flat",
    "map_private",
    "pread_whole",
]

MAP_FROM = 128 * 1024
"""Bytes from which a file is mapped; below, one read() is cheaper than the page faults."""

NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
"""The process, or the system, can open no more files."""

READ_WHOLE = b"runstore.whole"
"""Key in the metadata of an Arrow schema: the columns, as ``1,2``, all of whose bytes are read, and
checked, whenever the object is, also those of numbers in a file that is mapped."""

_HUGE = 4 << 20  # bytes of memory that are worth huge pages
_READ_AT_ONCE = 1 << 30  # bytes per call; the kernel's limit is just under 2 GiB

# Before Python 3.13 every mapping keeps a file descriptor, of which a process has few;
# past this many living ones, files are read instead.
_UNTRACKED = sys.version_info >= (3, 13)
_TRACKED_AT_MOST = 256
# A set of references, as the callback of a WeakSet is Python code and can swallow a Ctrl-C.
_tracked: "set[weakref.ref[mmap.mmap]]" = set()


def flat(buffer: Buffer) -> memoryview:
    """View *buffer* as bytes, without a copy; its length is its size in bytes."""
    view = memoryview(buffer)
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")


def allocated(size: int) -> memoryview:
    """Return *size* bytes of zeros that begin at a page and cost nothing until they are filled.

    Private, so that a forked child has its own. Filling large ones takes half the time
    in huge pages, which NumPy asks for in the same way.
    """
    if size == 0:
        return memoryview(bytearray())
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if size >= _HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without them
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(memory)


def copied(buffer: Buffer) -> Buffer:
    """Copy *buffer* to memory of its own that begins at a page, where no one else can write."""
    view = flat(buffer)
    memory = allocated(view.nbytes)
    memory[:] = view
    return memory


def map_private(fd: int, size: int) -> Buffer:
    """Return the *size* bytes behind *fd* as a private, writable buffer.

    Large files are mapped copy-on-write: nothing is read before it is used, a
    page is copied when it is first written, and the file never changes. The
    buffer stays valid after *fd* is closed and after the file is replaced.
    """
    if size >= MAP_FROM and (_UNTRACKED or len(_tracked) < _TRACKED_AT_MOST):
        if sys.version_info >= (3, 13):
            return mmap.mmap(fd, size, access=mmap.ACCESS_COPY, trackfd=False)
        try:
            mapped = mmap.mmap(fd, size, access=mmap.ACCESS_COPY)
        except OSError as exc:
            if exc.errno not in NO_DESCRIPTORS:
                raise
        else:
            _tracked.add(weakref.ref(mapped, _tracked.discard))
            return mapped
    data = bytearray(size)
    del data[_filled(fd, memoryview(data), 0) :]
    return data


def pread_whole(fd: int, length: int, start: int) -> Buffer:
    """Read *length* bytes from *start* on, also more than the kernel gives at a time.

    Returns:
        The bytes; fewer only where the file ends.
    """
    if length <= _READ_AT_ONCE:
        data = os.pread(fd, length, start)
        if len(data) == length or not data:
            return data
    view = allocated(length)
    return view[: _filled(fd, view, start)]


def _filled(fd: int, view: memoryview, start: int) -> int:
    """Fill *view* with what stands from *start* on, and return how far it is filled."""
    filled = 0
    while filled < view.nbytes:
        count = os.preadv(fd, [view[filled:]], start + filled)
        if count == 0:
            break
        filled += count
    return filled

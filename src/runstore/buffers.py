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
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache

from typing_extensions import Buffer

__all__ = [
    "MAP_FROM",
    "NO_DESCRIPTORS",
    "READ_WHOLE",
    "WHOLE_UP_TO",
    "Buffer",
    "Paced",
    "allocated",
    "at_hand",
    "copied",
    "fill",
    "flat",
    "map_private",
    "pread_whole",
]

MAP_FROM = 128 * 1024
"""Bytes from which a file is mapped; below, one read() is cheaper than the page faults."""

WHOLE_UP_TO = 64 * 1024
"""Bytes of an object that is written at once, where it is one buffer that nobody can change."""

NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
"""The process, or the system, can open no more files."""

READ_WHOLE = b"runstore.whole"
"""Key in the metadata of an Arrow schema: the columns, as ``1,2``, all of whose bytes are read, and
checked, whenever the object is, also those of numbers in a file that is mapped."""

_HUGE = 4 << 20  # bytes of memory that are worth huge pages
_WORTH_NUMPY = 64 << 10  # bytes; fewer are copied at once
_READ_AT_ONCE = 1 << 30  # bytes per call; the kernel's limit is just under 2 GiB

# Before Python 3.13 every `mmap` of a file keeps a descriptor, of which a process has few. A file
# that is mapped over anonymous memory keeps none; see `_mapped_over`.
_MAP_FIXED = {"linux": 0x10, "darwin": 0x10}  # which Python does not know


def at_hand(buffers: Iterable[Buffer]) -> bytes | None:
    """Return the bytes of a small object that is one buffer already; None for any other."""
    if type(buffers) in (tuple, list):
        only = buffers[0] if len(buffers) == 1 else None  # type: ignore[arg-type, index]
        if type(only) is bytes and len(only) <= WHOLE_UP_TO:
            return only
    return None


class Paced:
    """Buffers that come when somebody else gives them, maybe hours later.

    A place must not let other writes wait for them.
    """

    def __init__(self, buffers: Iterable[Buffer]) -> None:
        self._buffers = buffers

    def __iter__(self) -> Iterator[Buffer]:
        return iter(self._buffers)


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


def fill(into: memoryview, data: Buffer) -> None:
    """Copy *data* to *into*, which is as long; other threads run meanwhile.

    An assignment of Python's own holds them up for as long as it takes.
    """
    if into.nbytes < _WORTH_NUMPY:
        into[:] = flat(data)
        return
    import numpy as np

    np.copyto(np.frombuffer(into, np.uint8), np.frombuffer(flat(data), np.uint8))


def copied(buffer: Buffer) -> Buffer:
    """Copy *buffer* to memory of its own that begins at a page, where no one else can write."""
    view = flat(buffer)
    memory = allocated(view.nbytes)
    fill(memory, view)
    return memory


def map_private(fd: int, size: int) -> Buffer:
    """Return the *size* bytes behind *fd* as a private, writable buffer.

    Large files are mapped copy-on-write: nothing is read before it is used, a
    page is copied when it is first written, and the file never changes. The
    buffer stays valid after *fd* is closed and after the file is replaced.
    """
    if size >= MAP_FROM:
        if sys.version_info >= (3, 13):
            return mmap.mmap(fd, size, access=mmap.ACCESS_COPY, trackfd=False)
        if (map_at := _map_at()) is not None:
            return _mapped_over(map_at, fd, size)
        try:
            return mmap.mmap(fd, size, access=mmap.ACCESS_COPY)
        except OSError as exc:
            if exc.errno not in NO_DESCRIPTORS:
                raise
    data = bytearray(size)
    if os.preadv(fd, [data], 0) != size:  # more than the kernel gives at a time, or it was cut
        del data[_filled(fd, memoryview(data), 0) :]
    return data


def _mapped_over(map_at: Callable[..., int | None], fd: int, size: int) -> Buffer:
    """Map a file over anonymous memory of Python's, which unmaps it without a descriptor.

    Raises:
        OSError: The system has no more memory, or mappings.
    """
    import ctypes

    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    first = ctypes.c_char.from_buffer(memory)
    at = ctypes.addressof(first)
    del first  # it is `memory` that ends the mapping
    flags = mmap.MAP_PRIVATE | _MAP_FIXED[sys.platform]
    if map_at(at, size, mmap.PROT_READ | mmap.PROT_WRITE, flags, fd, 0) != at:
        number = ctypes.get_errno()
        # The range may be another's by now, so nothing may end its mapping.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(memory))
        raise OSError(number, os.strerror(number))
    return memory


@cache
def _map_at() -> "Callable[..., int | None] | None":
    """Return the system's function that maps at an address; None where it cannot be called."""
    if sys.platform not in _MAP_FIXED:
        return None
    try:
        import ctypes  # takes time, and newer Pythons do not need it
    except ImportError:  # a Python that was built without it
        return None
    found = ctypes.CDLL(None, use_errno=True).mmap
    found.restype = ctypes.c_void_p
    found.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    return found


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

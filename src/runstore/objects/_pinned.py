"""One version of an object, as bytes that are read in pieces or ranges."""

from collections.abc import Sequence
from typing import NamedTuple

from runstore.buffers import Buffer, flat
from runstore.keys import AnyPlace, key_of
from runstore.places import Backend, Entry
from runstore.workers import Workers

__all__ = ["Pinned", "pinned", "read_ranges"]

_RANGES_AT_ONCE = 8

_AT_ONCE = 1 << 20  # bytes of the first request; an object that is no larger is one request


class Pinned(NamedTuple):
    """One version of an object, to be read in pieces.

    Attributes:
        backend: Where it is.
        entry: What the place says of this version.
        start: From which byte on `end` has it.
        end: The last bytes of it, or all: what need not be asked for.
    """

    backend: Backend
    entry: Entry
    start: int
    end: memoryview

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from *start* to before *end*, all of this version.

        Raises:
            PreconditionFailedError: It was replaced meanwhile, and the rest is not here.
            ObjectNotFoundError: It was deleted meanwhile, likewise.
            StorageError: The place failed.
        """
        end = min(end, self.entry.size)
        if start >= end:
            return b""
        if start >= self.start:
            return bytes(self.end[start - self.start : end - self.start])
        assert self.entry.version is not None
        read = self.backend.read(self.entry.key, start, end - start, self.entry.version)
        return read if isinstance(read, bytes) else bytes(flat(read))


def pinned(backend: Backend, place: AnyPlace) -> Pinned:
    """Open the stored bytes of an object; what is read from now on is of one version.

    In memory and on a disk all of it is mapped, so a replacement or deletion is not noticed.
    Far away the last mebibyte is read, where readers of Arrow and Parquet begin; all of it
    where no version tells two writes apart.

    Raises:
        ObjectNotFoundError: Nothing is stored there.
        StorageError: The place failed.
    """
    key, facts = key_of(place), backend.guarantees
    if facts.ranges and not facts.mapped and facts.versions in ("write", "content"):
        tail, entry = backend.tail(key, _AT_ONCE)
        view = flat(tail)
        return Pinned(backend, entry, entry.size - view.nbytes, view)
    data, entry = backend.get(key)
    return Pinned(backend, entry, 0, flat(data))


def read_ranges(
    backend: Backend, key: str, ranges: Sequence[tuple[int, int]], version: str
) -> list[Buffer]:
    """Return the bytes of each range; see `runstore.places.Backend.read`.

    Args:
        backend: Where the object is.
        key: Of the object.
        ranges: Where each begins and ends.
        version: The only one that is read.
    """

    def one(wanted: tuple[int, int]) -> Buffer:
        return backend.read(key, wanted[0], wanted[1] - wanted[0], version)

    if len(ranges) == 1:
        return [one(ranges[0])]
    with Workers(min(_RANGES_AT_ONCE, len(ranges)), "runstore-ranges") as workers:
        return workers.map(one, ranges)

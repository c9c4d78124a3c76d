"""Several ranges of one version of an object, read side by side."""

from collections.abc import Sequence

from runstore.buffers import Buffer
from runstore.places import Backend
from runstore.workers import Workers

__all__ = ["read_ranges"]

_AT_ONCE = 8


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
    with Workers(min(_AT_ONCE, len(ranges)), "runstore-ranges") as workers:
        return workers.map(one, ranges)

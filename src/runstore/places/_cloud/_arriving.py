"""A large range in one stream, with the help of others where that is slow."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from runstore.workers import Workers, awaited

__all__ = ["Arriving", "Direct", "in_one_stream"]

_STEP = 2 << 20  # bytes that are taken at a time
_PIECE = 16 << 20  # bytes that are given away at a time
_AT_ONCE = 4
_LOOK = 0.1  # seconds until it is seen whether one is enough
_FAST = 200 << 20  # bytes a second; where one connection gives that, more would not help


class Arriving:
    """A range that comes down, from its beginning by one, from its end by others.

    Args:
        data: What is to be filled.
        piece: How many bytes are given away at the end at a time.
    """

    def __init__(self, data: memoryview, piece: int) -> None:
        self.data = data
        self._piece = piece
        self._begun = time.monotonic()
        self._filled = 0  # from the beginning
        self._taken = 0  # from there on it is being filled
        self._end = data.nbytes  # what comes behind is somebody else's
        self._moving = threading.Lock()

    def step(self) -> memoryview:
        """Return what comes next from the beginning; nothing if others have the rest."""
        with self._moving:
            begun = self._filled = self._taken
            self._taken = min(begun + _STEP, self._end)
            return self.data[begun : self._taken]

    def last(self) -> int | None:
        """Take off the last piece, and return where it begins; None if little is left."""
        with self._moving:
            if self._end - self._taken < 2 * self._piece:
                return None
            self._end -= self._piece
            return self._end

    @property
    def missing(self) -> tuple[int, int]:
        """From where to where nobody has filled it."""
        return self._filled, self._end

    @property
    def speed(self) -> float:
        """Bytes a second, so far, from the beginning."""
        return self._filled / max(time.monotonic() - self._begun, 1e-6)


class Direct(Protocol):
    """Reads large ranges into the memory where they are to be."""

    @property
    def is_usable(self) -> bool:
        """Whether it may work here."""
        ...

    def read(self, name: str, start: int, into: Arriving, version: str, timeout: float) -> None:
        """Fill *into* from *start* of the object on, as far as it goes; it never fails.

        Args:
            name: The whole key.
            start: Where in the object *into* begins.
            into: Takes what comes.
            version: The only one that is read.
            timeout: Seconds that nothing may come.
        """
        ...


def in_one_stream(
    direct: Direct,
    name: str,
    version: str,
    start: int,
    data: memoryview,
    timeout: float,
    tell: Callable[[int], None],
) -> list[tuple[int, int]]:
    """Fill *data* in one request, and by more where one is slow; return what is missing then.

    *tell* is called now and then with how many bytes more have come.
    """
    arriving, missing = Arriving(data, _PIECE), list[tuple[int, int]]()
    told = 0

    def help_out() -> None:
        while (at := arriving.last()) is not None:
            piece = Arriving(data[at : at + _PIECE], _PIECE)
            direct.read(name, start + at, piece, version, timeout)
            begin, end = piece.missing
            if begin < end:
                missing.append((at + begin, at + end))
                return

    with Workers(_AT_ONCE, "runstore-s3-get") as workers:
        first = workers.submit(direct.read, name, start, arriving, version, timeout)
        helpers = list[Future[None]]()
        while not _ends(first):
            if not helpers and arriving.speed < _FAST:
                helpers = [workers.submit(help_out) for _ in range(_AT_ONCE - 1)]
            begin, end = arriving.missing
            come = max(told, data.nbytes - (end - begin))
            tell(come - told)
            told = come
        for helper in helpers:
            awaited(helper)
    left = [(begin, end) for begin, end in (*missing, arriving.missing) if begin < end]
    tell(max(0, data.nbytes - sum(end - begin for begin, end in left) - told))
    return left


def _ends(future: Future[None]) -> bool:
    """Wait for a moment, and return whether it has ended."""
    try:
        future.result(_LOOK)
    except TimeoutError:
        if not future.done():
            return False
        future.result()
    return True

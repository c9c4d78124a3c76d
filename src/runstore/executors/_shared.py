"""What several calls have in common: it goes to each worker once, not with each call."""

import pickle
import threading
from typing import Any, NamedTuple

import xxhash

from runstore import by_value
from runstore.buffers import Buffer, flat

__all__ = ["Pickled", "Shared", "pickled"]


class Pickled(NamedTuple):
    """A value as it crosses to another process.

    Attributes:
        stream: The pickle, in pieces that are written one after the other.
        buffers: The large data of arrays and frames, which are the value's own memory.
    """

    stream: list[Buffer]
    buffers: list[Buffer]

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return sum(flat(piece).nbytes for piece in (*self.stream, *self.buffers))


class _Pieces:
    """A file that keeps what is written to it as it comes: large texts and bytes uncopied."""

    def __init__(self) -> None:
        self.kept: list[Buffer] = []

    def write(self, data: Any) -> int:
        self.kept.append(data if isinstance(data, bytes) else bytes(data))
        return len(self.kept[-1])  # type: ignore[arg-type] # bytes have a length


def pickled(value: object) -> Pickled:
    """Return *value* as it crosses; what is large in it is referred to and not copied.

    Raises:
        Exception: Whatever the pickling of a user's value raises.
    """
    file, buffers = _Pieces(), list[Buffer]()

    def keep(buffer: pickle.PickleBuffer) -> None:
        buffers.append(buffer.raw())

    by_value.Pickler(file, 5, keep).dump(value)
    return Pickled(file.kept, buffers)


class Shared:
    """A value that several calls have in common.

    Args:
        value: The value.
        copied: Whether each call in another process gets a copy that it can change. Else the
            calls of one worker get the same object, which they must leave as it is.
    """

    def __init__(self, value: Any, *, copied: bool = False) -> None:
        self.value = value
        self.copied = copied
        self._lock = threading.Lock()
        self._crossing: tuple[str, Pickled] | None = None

    def crossing(self) -> tuple[str, Pickled]:
        """Return it as it crosses, and a digest of that; made at the first call.

        Raises:
            Exception: Whatever the pickling of a user's value raises.
        """
        with self._lock:
            if self._crossing is None:
                made = pickled(self.value)
                seen = xxhash.xxh3_128(b"copied" if self.copied else b"")
                for piece in (*made.stream, *made.buffers):
                    seen.update(flat(piece))
                self._crossing = seen.hexdigest(), made
            return self._crossing

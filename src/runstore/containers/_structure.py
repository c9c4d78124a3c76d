"""A digest of all of an Arrow file's body but its numbers.

A large file is mapped, and its numbers are not read before they are used. What else is
in it is checked whenever it is opened: this digest covers every byte before the footer
outside the buffers of numbers, in the order of the file. The messages say which these
are, and are covered themselves.
"""

import numpy as np
import xxhash

from runstore.containers._flatbuffer import MalformedError
from runstore.containers._layout import Layout
from runstore.containers._messages import message_at, parse_batch

__all__ = ["StructureDigest"]

_MAGIC = 8  # bytes before the first message
_PREFIX = 8  # bytes that say how long a message is


class StructureDigest:
    """Takes in the body of a file from its first byte on, in parts of any size.

    Args:
        layout: That of the file's schema.

    Attributes:
        claimed: How many items the batches so far have that need no data; see `Layout.claimed`.
        first: The message in front of the first batch, its length included; None before that.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.claimed = 0
        self.first: bytes | None = None
        self._digest = xxhash.xxh3_128()
        self._message = bytearray()  # the magic, or what has come of a message
        self._wanted = _MAGIC
        self._segments: list[tuple[int, bool]] = []  # of the data to come, the last first

    def add(self, data: memoryview) -> None:
        """Take in the next bytes.

        Raises:
            MalformedError: They are no Arrow file's.
        """
        at, end = 0, data.nbytes
        while at < end:
            if self._segments:
                size, numbers = self._segments.pop()
                taken = min(size, end - at)
                if not numbers:
                    self._digest.update(data[at : at + taken])
                if taken < size:
                    self._segments.append((size - taken, numbers))
            else:
                taken = min(self._wanted - len(self._message), end - at)
                self._message += data[at : at + taken]
                self._digest.update(data[at : at + taken])
                if len(self._message) == self._wanted:
                    self._step()
            at += taken

    def hexdigest(self) -> str:
        """Return the digest of all that was taken in."""
        return self._digest.hexdigest()

    def _step(self) -> None:
        """Go on behind the magic, the length of a message, or a message."""
        if self._wanted == _MAGIC and self._message[:6] == b"ARROW1":
            self._message.clear()
            return
        if self._wanted == _PREFIX:
            length = int.from_bytes(self._message[4:], "little")
            if length:
                self._wanted += length
            else:
                self._message.clear()  # the end of the stream
            return
        message = message_at(memoryview(self._message), 0)
        batch = None if message is None else parse_batch(message)
        if batch is not None:
            if self.first is None and not batch.dictionary:
                self.first = bytes(self._message)
            self.claimed += self._layout.claimed(batch)
            self._segments = _segments(batch.buffers[self._layout.numbers(batch)], batch.body)
        self._message = bytearray()
        self._wanted = _PREFIX


def _segments(
    numbers: "np.ndarray[tuple[int, int], np.dtype[np.int64]]", body: int
) -> list[tuple[int, bool]]:
    """Cut *body* bytes of data into what is numbers and what is not, the last part first."""
    numbers = numbers[numbers[:, 1] > 0]
    starts = numbers[:, 0]
    ends = starts + numbers[:, 1]
    gaps = np.concatenate((starts, [body])) - np.concatenate(([0], ends))
    if (gaps < 0).any():
        raise MalformedError("buffers of a batch overlap")
    if len(numbers):  # with nothing between them they are one: a wide table has thousands
        apart = gaps[1:-1] > 0
        starts = starts[np.concatenate(([True], apart))]
        ends = ends[np.concatenate((apart, [True]))]
        gaps = np.concatenate((starts, [body])) - np.concatenate(([0], ends))
    sizes = np.empty(2 * len(starts) + 1, np.int64)
    sizes[::2], sizes[1::2] = gaps, ends - starts
    segments: list[tuple[int, bool]] = []
    for i, size in enumerate(sizes.tolist()):
        if size:
            segments.append((size, bool(i % 2)))
    segments.reverse()
    return segments

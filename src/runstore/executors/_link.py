"""Messages between this process and a worker: parts that are sent from where they are.

A message is a head of a few bytes, a number of parts, and the parts. Large parts are received
into memory of their own, from which arrays and frames are made without another copy.
"""

import os
import select
import struct
import threading
import time
from collections.abc import Callable, Sequence

from runstore.buffers import Buffer, allocated, flat

__all__ = ["Link", "Message"]

_READ = 1 << 18  # bytes that are read at a time: many small messages, or a part of a large one
_POLL = 1.0  # seconds between checks whether a silent other end still lives
_COUNT, _LENGTH = struct.Struct("<I"), struct.Struct("<Q")

Message = list[Buffer]


class Link:
    """One end of a connected socket; each direction is used by one thread at a time.

    Args:
        fd: The socket.
        lives: Returns whether the process at the other end lives. A process that it has forked
            may keep the socket open, so the end of the stream is not the only sign.
    """

    def __init__(self, fd: int, lives: Callable[[], bool] = lambda: True) -> None:
        self._fd = fd
        self._lives = lives
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._came = bytearray()
        self._at = 0
        self._sending = threading.Lock()

    def send(self, parts: Sequence[Sequence[Buffer]]) -> None:
        """Send a message; each part is given in pieces.

        Raises:
            OSError: The other end is gone.
        """
        views = [[flat(piece) for piece in part] for part in parts]
        lengths = [sum(view.nbytes for view in part) for part in views]
        head = _COUNT.pack(len(parts)) + b"".join(map(_LENGTH.pack, lengths))
        small = bytearray(head)
        with self._sending:
            for part in views:
                for view in part:
                    if view.nbytes < _READ:
                        small += view
                    if view.nbytes >= _READ or len(small) >= _READ:
                        self._write(memoryview(bytes(small)))
                        small = bytearray()
                    if view.nbytes >= _READ:
                        self._write(view)
            self._write(memoryview(bytes(small)))

    def _write(self, view: memoryview) -> None:
        while view.nbytes:
            view = view[os.write(self._fd, view[: 1 << 30]) :]

    def receive(self, deadline: float | None = None) -> Message:
        """Wait for a message.

        Args:
            deadline: Of `time.monotonic`; None if it may take for ever.

        Raises:
            TimeoutError: None has begun by then.
            EOFError: The other end is gone.
            OSError: Likewise.
        """
        self._wait(deadline)
        (count,) = _COUNT.unpack(self._take(_COUNT.size))
        lengths = [_LENGTH.unpack(self._take(_LENGTH.size))[0] for _ in range(count)]
        return [self._take(length) for length in lengths]

    def _wait(self, deadline: float | None) -> None:
        """Wait until something has come that was not taken."""
        if self._at < len(self._came):
            return
        while True:
            left = _POLL if deadline is None else min(_POLL, deadline - time.monotonic())
            if self._poll.poll(max(left, 0) * 1000):
                data = os.read(self._fd, _READ)
                if not data:
                    raise EOFError
                self._came, self._at = bytearray(data), 0
                return
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError
            if not self._lives() and not self._poll.poll(0):
                raise EOFError

    def _take(self, length: int) -> Buffer:
        here = len(self._came) - self._at
        if length <= here:
            self._at += length
            return self._came[self._at - length : self._at]
        into = allocated(length) if length >= _READ else memoryview(bytearray(length))
        into[:here] = self._came[self._at :]
        self._came, self._at = bytearray(), 0
        while here < length:
            if length - here >= _READ:
                here += self._read_into(into[here:])
                continue
            self._wait(None)
            more = min(len(self._came), length - here)
            into[here : here + more] = self._came[:more]
            self._at, here = more, here + more
        return into

    def _read_into(self, view: memoryview) -> int:
        while not self._poll.poll(_POLL * 1000):
            if not self._lives() and not self._poll.poll(0):
                raise EOFError
        done = os.readv(self._fd, [view])
        if not done:
            raise EOFError
        return done

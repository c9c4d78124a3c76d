"""Connections that stay open between two requests, and the answers that come over them.

A line knows HTTP/1.1 as S3 speaks it: one request, one whole answer. Whatever else comes is
`StrangeAnswerError`, and the line is closed.
"""

import re
import select
import socket
import ssl
import struct
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from runstore.lifetime import forget_at_fork
from runstore.workers import SLICE, check_stopped

__all__ = ["MOST_DIGITS", "Answer", "Line", "Lines", "StrangeAnswerError"]

MOST_DIGITS = 18
"""Of a length in a header: Python refuses to make a number of thousands."""

_PIECE = 32 << 10  # bytes that are received at once
_LONGEST_HEAD = 64 << 10  # bytes; also of a document about an error
_IDLE = 60.0  # seconds that a line is kept
_IDLE_AT_MOST = 32
_LOOK = 5.0  # seconds between two looks at the lines that nobody took
_SIZE = re.compile(rb"[0-9a-fA-F]{1,8}[ \t]*(?:;.*)?", re.DOTALL)
_SLICE = struct.pack("@ll", 0, int(SLICE * 1e6))
_NO_BODY = frozenset({204, 304})
_WAITING = (TimeoutError, BlockingIOError)  # by Python's own timeout, or by the system's


class StrangeAnswerError(Exception):
    """What came is no whole answer as S3 gives it."""


class Answer:
    """One answer.

    Args:
        status: As 200.
        head: Its headers, each with a line break before it and after it.

    Attributes:
        names: The headers in lower case, at the same places.
        body: All of it, as memory of the caller's own.
        stays: Whether the line stays open.
    """

    __slots__ = ("body", "head", "names", "status", "stays")

    def __init__(self, status: int, head: bytes) -> None:
        self.status = status
        self.head = head
        self.names = head.lower()
        self.body: memoryview
        self.stays = True

    def header(self, name: bytes) -> str:
        """Return the value of a header, or nothing.

        Args:
            name: In lower case, between a line break and a colon.
        """
        at = self.names.find(name)
        if at < 0:
            return ""
        at += len(name)
        return self.head[at : self.head.find(b"\r\n", at)].decode("latin-1").strip()


class Line:
    """One connection. It is closed, too, when nobody has it any more, as after an interrupt.

    Args:
        connection: It is open, and nothing has been sent over it.
    """

    __slots__ = ("_socket", "events", "held", "is_new", "since", "told")

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.held: Callable[[], int] | None = None
        """Says how many bytes TLS has taken from the system, which `events` does not see."""
        if isinstance(connection, ssl.SSLSocket):
            connection.settimeout(SLICE)
            self.held = connection.pending
        else:  # the system itself ends a wait, so that one call of it is enough
            connection.settimeout(None)
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                connection.setsockopt(socket.SOL_SOCKET, option, _SLICE)
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        self.events = poll.poll
        """Waits, milliseconds at most, until something comes; nothing, if it is open and quiet."""
        self.since = 0.0
        """When its last answer had come, by `time.monotonic`."""
        self.is_new = True
        """Whether there has been no answer so far."""
        self.told = False
        """Whether anything of the answer to the last request has come."""

    def __del__(self) -> None:
        self._socket.close()

    def close(self) -> None:
        """Close it, so that no answer comes any more."""
        self._socket.close()

    def hears(self, seconds: float) -> bool:
        """Wait for the beginning of an answer, and return whether it has come."""
        if not self.told and self.events(seconds * 1000):
            with suppress(OSError):  # it broke off
                self.told = bool(self._socket.recv(1))
        return self.told

    def ask(self, request: bytes, longest: int, end: float, *, stoppable: bool) -> Answer:
        """Send a request, and return the whole answer.

        Args:
            request: All of it.
            longest: Bytes of its body, at most; documents about errors may have some thousands.
            end: When the answer has to be there, by `time.monotonic`.
            stoppable: Whether the wait ends when the call ends that this thread works for.

        Raises:
            OSError: The line broke off, or (`TimeoutError`) time is over.
            StrangeAnswerError: What came is no such answer.
            StoppedError: The call has ended.
        """
        self.told = False
        try:
            sent = self._socket.send(request)
        except _WAITING:
            sent = 0
        if sent < len(request):
            self._send(memoryview(request)[sent:], end)
        data = self._some(end, stoppable)
        self.told = True
        while (at := data.find(b"\r\n\r\n")) < 0:
            if len(data) > _LONGEST_HEAD:
                raise StrangeAnswerError
            data += self._more(end, stoppable)
        code = data[9:12]
        if not data.startswith(b"HTTP/1.1 ") or not code.isdigit() or code < b"200":
            raise StrangeAnswerError
        answer, rest = Answer(int(code), data[data.find(b"\r\n") : at + 2]), data[at + 4 :]
        told = answer.header(b"\r\ncontent-length:")
        length = int(told) if told.isdecimal() and len(told) <= MOST_DIGITS else -1
        chunked = b"\r\ntransfer-encoding:" in answer.names
        if b"\r\nconnection:" in answer.names:
            answer.stays = answer.header(b"\r\nconnection:").lower() == "keep-alive"
        if len(rest) == length and not chunked:
            answer.body = memoryview(bytearray(rest))  # most often
        elif answer.status in _NO_BODY:  # whatever its length says, which is the object's
            answer.body, answer.stays = memoryview(b""), False
        elif chunked:
            answer.body = self._in_chunks(answer, rest, end, stoppable)
        elif not told:
            answer.stays = False
            answer.body = self._until_closed(answer, rest, longest, end, stoppable)
        elif not 0 <= length <= max(longest, _LONGEST_HEAD):
            raise StrangeAnswerError
        else:
            answer.body = self._filled(rest, length, end, stoppable)
        return answer

    def _send(self, view: memoryview, end: float) -> None:
        while view:
            if time.monotonic() > end:
                raise TimeoutError
            with suppress(*_WAITING):
                view = view[self._socket.send(view) :]

    def _some(self, end: float, stoppable: bool) -> bytes:
        while True:
            try:
                data = self._socket.recv(_PIECE)
            except _WAITING:
                _look(end, stoppable)
                continue
            if not data:
                raise ConnectionResetError
            return data

    def _more(self, end: float, stoppable: bool) -> bytes:
        """Return what comes next: pieces that are short but come early keep nobody, either."""
        _look(end, stoppable)
        return self._some(end, stoppable)

    def _until_closed(
        self, answer: Answer, rest: bytes, longest: int, end: float, stoppable: bool
    ) -> memoryview:
        """Return a body that ends with the line: only what is in it shows whether it is whole.

        Of the body of a write that was carried out nothing is wanted: its headers say all.
        """
        body, most = bytearray(rest), max(longest, _LONGEST_HEAD)
        while longest or answer.status >= 300:
            if len(body) > most:
                raise StrangeAnswerError
            try:
                body += self._more(end, stoppable)
            except ConnectionResetError:
                break
        return memoryview(body)

    def _filled(self, rest: bytes, length: int, end: float, stoppable: bool) -> memoryview:
        if len(rest) > length:
            raise StrangeAnswerError
        body = np.empty(length, np.uint8).data
        at = len(rest)
        body[:at] = rest
        while at < length:
            try:
                count = self._socket.recv_into(body[at:])
            except _WAITING:
                count = -1
            if count == 0:
                raise ConnectionResetError
            if count > 0:
                at += count
                if at == length:
                    break
            _look(end, stoppable)
        return body

    def _in_chunks(self, answer: Answer, data: bytes, end: float, stoppable: bool) -> memoryview:
        """Return a body that comes in chunks, as S3 sends documents about errors."""
        if answer.header(b"\r\ntransfer-encoding:").lower() != "chunked":
            raise StrangeAnswerError
        body = bytearray()
        while True:
            while (at := data.find(b"\r\n")) < 0:
                if len(data) > _LONGEST_HEAD:
                    raise StrangeAnswerError
                data += self._more(end, stoppable)
            told = data[:at]
            size = int(told.partition(b";")[0], 16) if _SIZE.fullmatch(told) else _LONGEST_HEAD + 1
            if size > _LONGEST_HEAD - len(body):
                raise StrangeAnswerError
            begin, behind = at + 2, at + 2 + size
            while len(data) < behind + 2:
                data += self._more(end, stoppable)
            if data[behind : behind + 2] != b"\r\n":  # a trailer, perhaps
                raise StrangeAnswerError
            if size == 0:
                if len(data) > behind + 2:  # nobody knows what that belongs to
                    answer.stays = False
                return memoryview(body)
            body += data[begin:behind]
            data = data[behind + 2 :]


class Lines:
    """The open lines to one server that nobody uses now. A forked child has none of them."""

    def __init__(self) -> None:
        self._idle: deque[Line] = deque()
        self._inherited: list[Line] = []
        self._looked = time.monotonic()
        forget_at_fork(self)
        weakref.finalize(self, _close_all, self._idle)

    def forget(self) -> None:
        """Begin without lines; in a forked child. What it has of its parent's is not freed."""
        self._inherited += self._idle
        self._idle.clear()

    def close(self) -> None:
        """Close the lines that nobody uses."""
        _close_all(self._idle)

    def take(self) -> Line | None:
        """Return a line that is open; None if there is none."""
        while True:
            try:
                line = self._idle.pop()
            except IndexError:
                return None
            quiet = not line.events(0) and not (line.held is not None and line.held())
            if quiet and time.monotonic() - line.since < _IDLE:
                return line
            line.close()

    def _close_useless(self) -> None:
        """Close lines that the server closed, or that nobody took for long: the newest goes first.

        Each is out of the others' reach while it is looked at.
        """
        for _ in range(len(self._idle)):
            try:
                line = self._idle.popleft()
            except IndexError:
                return
            if not line.events(0) and time.monotonic() - line.since < _IDLE:
                self._idle.append(line)
            else:
                line.close()

    def give_back(self, line: Line) -> None:
        """Keep *line* for the next request; close, now and then, what is of no more use."""
        line.since, line.is_new = time.monotonic(), False
        if line.since > self._looked + _LOOK:
            self._looked = line.since
            self._close_useless()
        if len(self._idle) < _IDLE_AT_MOST:
            self._idle.append(line)
        else:
            line.close()


def _look(end: float, stoppable: bool) -> None:
    """Return if an answer may still be waited for.

    Raises:
        TimeoutError: Time is over.
        StoppedError: The call has ended, and *stoppable*.
    """
    if stoppable:
        check_stopped()
    if time.monotonic() > end:
        raise TimeoutError


def _close_all(idle: deque[Line]) -> None:
    while True:
        try:
            idle.pop().close()
        except IndexError:
            return

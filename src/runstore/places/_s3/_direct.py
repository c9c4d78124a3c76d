"""Large ranges from the socket into the memory where they are to be, without another copy.

The clients collect an answer and copy it, which takes several times as long as to receive it. This
is no client: it knows one request, and whatever is not the plain answer to it is left to the
client, which asks again and says what is wrong.
"""

import socket
import time
from contextlib import closing, suppress
from typing import Any

from runstore.places._cloud._arriving import Arriving
from runstore.places._cloud._wire import Failure, Span, quoted
from runstore.places._s3._server import Server
from runstore.places._s3._signature import Signer
from runstore.workers import SLICE, check_stopped

__all__ = ["S3Direct"]

_LONGEST_HEAD = 64 << 10  # bytes
_OF_THE_OBJECT = frozenset({"404", "412", "429"})  # which say nothing of the server
_REFUSED_AT_MOST = 3  # answers one after the other that were left to the client


class S3Direct:
    """Reads from one bucket.

    Args:
        server: How to reach it.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._signer = Signer(server.config.region)
        self._refused = 0 if server.reads_plainly else _REFUSED_AT_MOST

    @property
    def is_usable(self) -> bool:
        """Whether it may work: there is no proxy, and not every answer so far was a strange one."""
        return self._refused < _REFUSED_AT_MOST

    def read(self, name: str, start: int, into: Arriving, version: str, timeout: float) -> None:
        """Fill *into* from *start* of the object on, as far as it goes; it never fails.

        Args:
            name: The whole key.
            start: Where in the object *into* begins.
            into: Takes what comes.
            version: The only one that is read.
            timeout: Seconds that nothing may come.
        """
        span = Span(start, into.data.nbytes)
        with suppress(OSError, ValueError, Failure):
            request = self._request(name, span, version)  # before a connection stands open
            if request is None:
                self._refused = _REFUSED_AT_MOST
                return
            self._read(request, span, into, version, timeout)

    def _read(
        self, request: bytes, span: Span, into: Arriving, version: str, timeout: float
    ) -> None:
        try:
            connected = self._server.connected(timeout)
        except OSError:  # each further try could take seconds
            self._refused += 1
            raise
        with closing(connected) as line:
            line.sendall(request)
            line.settimeout(SLICE)
            rest = _body(line, span, version, timeout)
            if rest is None:
                self._refused += 1
                return
            self._refused = 0
            while view := into.step():
                at = min(len(rest), view.nbytes)
                view[:at], rest = rest[:at], rest[at:]
                while at < view.nbytes:
                    at += _received(line, view[at:], timeout)
                check_stopped()

    def _request(self, name: str, span: Span, version: str) -> bytes | None:
        """Return the request; None if only the client finds the credentials."""
        server = self._server
        path = server.path(name)
        lines = server.signed_lines(self._signer, "GET", path)
        if lines is None:
            return None
        return (
            f"GET {path} HTTP/1.1\r\n{lines}range:{span.header}\r\nif-match:{version}\r\n"
            "accept-encoding:identity\r\nconnection:close\r\nuser-agent:runstore\r\n\r\n"
        ).encode("latin-1")


def _received(line: socket.socket, view: memoryview, timeout: float) -> int:
    """Receive something into *view*; ask in between whether to go on.

    Raises:
        OSError: The line is closed, or nothing came for *timeout* seconds.
    """
    end = time.monotonic() + timeout
    while True:
        try:
            count = line.recv_into(view)
        except TimeoutError:
            check_stopped()
            if time.monotonic() > end:
                raise
            continue
        if count == 0:
            raise ConnectionError("the line was closed")
        return count


def _body(line: socket.socket, span: Span, version: str, timeout: float) -> bytes | None:
    """Return the beginning of the body, if it is these bytes of this version as they are.

    Raises:
        Failure: The object is gone or another, or the server is busy.
    """
    buffer, filled = bytearray(_LONGEST_HEAD), 0
    end = -1
    while end < 0:
        if filled == len(buffer):
            return None
        looked = max(0, filled - 3)
        filled += _received(line, memoryview(buffer)[filled:], timeout)
        end = buffer.find(b"\r\n\r\n", looked, filled)
    status, *lines = buffer[:end].decode("latin-1").split("\r\n")
    code = status.split(" ", 2)[1] if status.count(" ") else ""
    if code in _OF_THE_OBJECT or code.startswith("5"):
        raise Failure(int(code), "", "the client asks again, and says it")
    headers: dict[str, str] = {}
    for text in lines:
        name, _, value = text.partition(":")
        headers[name.strip().lower()] = value.strip()
    return bytes(buffer[end + 4 : filled]) if _is_it(status, headers, span, version) else None


def _is_it(status: str, headers: dict[str, Any], span: Span, version: str) -> bool:
    assert span.start is not None
    told = f"bytes {span.start}-{span.start + span.length - 1}/"
    plain = headers.get("content-encoding", "identity") == "identity"
    return (
        status.split(" ", 2)[1:2] == ["206"]
        and "transfer-encoding" not in headers
        and plain
        and headers.get("content-length") == str(span.length)
        and headers.get("content-range", "").startswith(told)
        and quoted(headers.get("etag", "")) == version
    )

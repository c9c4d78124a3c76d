"""One HTTP/1.1 request on its way through the proxy, and its answer on the way back."""

import selectors
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO

_PIECE = 64 * 1024

# Given the pieces of a body and its length, if it is known: the pieces to send instead.
Change = Callable[[Iterator[bytes], int | None], Iterator[bytes]]


@dataclass(frozen=True)
class Head:
    """A request or status line with its headers, as they were sent."""

    raw: bytes
    line: str
    headers: dict[str, str]

    @property
    def chunked(self) -> bool:
        """Whether the body says itself where it ends."""
        return "chunked" in self.headers.get("transfer-encoding", "").lower()

    @property
    def length(self) -> int | None:
        """The length of the body, if it is told."""
        length = self.headers.get("content-length")
        return None if length is None or self.chunked else int(length)


def read_head(stream: BinaryIO) -> Head | None:
    """Read up to the empty line; None when the connection ended before the first byte."""
    lines: list[bytes] = []
    while (line := stream.readline(_PIECE)) not in (b"\r\n", b"\n"):
        if not line:
            if lines:
                raise ConnectionError("the connection ended in the middle of a head")
            return None
        lines.append(line)
    text = [line.decode("latin-1").rstrip("\r\n") for line in lines]
    pairs = (line.partition(":") for line in text[1:])
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Head(b"".join(lines) + b"\r\n", text[0], headers)


def read_body(stream: BinaryIO, head: Head, *, until_end: bool = False) -> Iterator[bytes]:
    """Read a body piece by piece, without the frames of a chunked one."""
    if head.chunked:
        while size := _chunk_size(stream.readline(_PIECE)):
            yield from _exactly(stream, size)
            stream.readline(_PIECE)
        while stream.readline(_PIECE).strip():  # trailers, which no server here sends
            pass
    elif head.length is not None:
        yield from _exactly(stream, head.length)
    elif until_end:
        while piece := stream.read1(_PIECE):  # type: ignore[attr-defined]
            yield piece


def _chunk_size(line: bytes) -> int:
    if not line:
        raise ConnectionError("the connection ended in the middle of a body")
    return int(line.partition(b";")[0], 16)


def _exactly(stream: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        piece = stream.read1(min(size, _PIECE))  # type: ignore[attr-defined]
        if not piece:
            raise ConnectionError("the connection ended in the middle of a body")
        size -= len(piece)
        yield piece


def _send_body(to: socket.socket, head: Head, pieces: Iterator[bytes]) -> None:
    for piece in pieces:
        if piece:
            to.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if head.chunked else piece)


@dataclass(frozen=True)
class Answer:
    """What the server answered; its body is read as the pieces are."""

    head: Head
    pieces: Iterator[bytes]
    length: int | None


class Exchange:
    """What a fault can do with a request."""

    def __init__(
        self,
        client: socket.socket,
        stream: BinaryIO,
        head: Head,
        upstream: tuple[str, int],
        ended: threading.Event,
    ) -> None:
        self._client, self._stream, self._head = client, stream, head
        self._upstream, self._ended = upstream, ended
        self.keep = head.headers.get("connection", "").lower() != "close"

    def _body(self) -> Iterator[bytes]:
        """Read the body of the request, after allowing a client that asks to send it."""
        if self._head.headers.get("expect", "").lower() == "100-continue":
            self._client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        yield from read_body(self._stream, self._head)

    def drain(self) -> None:
        """Take the body of the request and forget it."""
        for _ in self._body():
            pass

    def reply(
        self, number: int, body: bytes, extra: dict[str, str] | None = None, missing: int = 0
    ) -> None:
        """Answer in the server's place, with *missing* bytes more announced than sent."""
        length = str(len(body) + missing)
        headers = {"Content-Type": "application/xml", "Content-Length": length}
        lines = [f"{name}: {value}\r\n" for name, value in (headers | (extra or {})).items()]
        head = f"HTTP/1.1 {number} Fault\r\n{''.join(lines)}\r\n".encode()
        self._client.sendall(head + (b"" if self._head.line.startswith("HEAD ") else body))

    @contextmanager
    def ask(self) -> Iterator[Answer]:
        """Pass the request on unchanged, over a connection of its own; give the answer."""
        with socket.create_connection(self._upstream, timeout=60) as server:
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # A reset after the answer: thousands of requests leave no ports in TIME_WAIT.
            server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # `Expect` is answered here, and no client signs it.
            lines = self._head.raw.splitlines(keepends=True)
            server.sendall(b"".join(x for x in lines if not x.lower().startswith(b"expect:")))
            self._send(server)
            with server.makefile("rb") as stream:
                head = read_head(stream)
                while head is not None and head.line.split()[1] == "100":
                    head = read_head(stream)
                if head is None:
                    raise ConnectionError("the server closed the connection without an answer")
                bare = self._head.line.startswith("HEAD ") or head.line.split()[1] in {"204", "304"}
                until_end = not bare and not head.chunked and head.length is None
                if until_end or head.headers.get("connection", "").lower() == "close":
                    self.keep = False
                pieces = iter(()) if bare else read_body(stream, head, until_end=until_end)
                yield Answer(head, pieces, 0 if bare else head.length)

    def _send(self, server: socket.socket) -> None:
        body = self._body()
        for piece in body:
            try:
                _send_body(server, self._head, iter([piece]))
            except ConnectionError:  # it has answered early, and will not read the rest
                self.keep = False
                break
        for _ in body:  # a client that is still sending would not read the answer
            pass
        if self._head.chunked:
            with suppress(ConnectionError):
                server.sendall(b"0\r\n\r\n")

    def forward(self, change: Change | None = None, *, whole: bool = True) -> None:
        """Pass the request on, and the answer back; `change` may alter its body, or cut it."""
        with self.ask() as answer:
            self._client.sendall(answer.head.raw)
            pieces = answer.pieces if change is None else change(answer.pieces, answer.length)
            _send_body(self._client, answer.head, pieces)
            if whole and answer.head.chunked and answer.length is None:
                self._client.sendall(b"0\r\n\r\n")

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the end of the proxy."""
        if self._ended.wait(seconds):
            raise ConnectionError("the proxy is closed")

    def wait_for_client(self) -> None:
        """Return when the client or the proxy closes the connection."""
        self.keep = False
        with selectors.DefaultSelector() as selector, suppress(OSError):
            selector.register(self._client, selectors.EVENT_READ)
            while not self._ended.is_set():
                if selector.select(timeout=0.1) and not self._client.recv(_PIECE):
                    return

    def hang_up(self, *, reset: bool = False) -> None:
        """Close the connection, or reset it."""
        self.keep = False
        if reset:
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

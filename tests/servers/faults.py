"""What a `FaultProxy` can do to one request instead of passing it on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.servers.exchange import Exchange

_MESSAGE = "The fault proxy says so."


@dataclass(frozen=True)
class Fault:
    """One way to fail; shown by its name."""

    name: str
    run: Callable[[Exchange], None] = field(repr=False)


def _error(code: str) -> bytes:
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    body = f"<Code>{code}</Code><Message>{_MESSAGE}</Message><RequestId>0</RequestId>"
    return f"{head}<Error>{body}</Error>".encode()


def status(number: int, code: str | None = None, *, retry_after: int | None = None) -> Fault:
    """Answer with a status and S3's error document; the server never sees the request."""
    code = code or {500: "InternalError", 503: "SlowDown", 403: "AccessDenied"}[number]

    def run(exchange: Exchange) -> None:
        extra = {} if retry_after is None else {"Retry-After": str(retry_after)}
        exchange.drain()
        exchange.reply(number, _error(code), extra)

    return Fault(f"status({number})", run)


def short_error(code: str = "InternalError") -> Fault:
    """Answer 500, promise more of an error document than there is, and close."""

    def run(exchange: Exchange) -> None:
        exchange.drain()
        exchange.reply(500, _error(code), missing=1000)
        exchange.hang_up()

    return Fault("short_error", run)


def ok_with_error_body(code: str = "InternalError") -> Fault:
    """Answer 200 with an error document, as CompleteMultipartUpload and CopyObject may."""

    def run(exchange: Exchange) -> None:
        exchange.drain()
        exchange.reply(200, _error(code))

    return Fault("ok_with_error_body", run)


def reset() -> Fault:
    """Reset the connection before the server sees the request."""
    return Fault("reset", lambda exchange: exchange.hang_up(reset=True))


def stall() -> Fault:
    """Take the request, and hold the connection without a byte until the client gives up."""

    def run(exchange: Exchange) -> None:
        exchange.drain()
        exchange.wait_for_client()

    return Fault("stall", run)


def lost_ack() -> Fault:
    """Let the server do what is asked, then close the connection without an answer."""

    def run(exchange: Exchange) -> None:
        with exchange.ask() as answer:
            for _ in answer.pieces:
                pass
        exchange.hang_up()

    return Fault("lost_ack", run)


def delay(ms: float) -> Fault:
    """Pass the request on, and its answer, after a wait."""

    def run(exchange: Exchange) -> None:
        exchange.pause(ms / 1000)
        exchange.forward()

    return Fault(f"delay({ms})", run)


def slow(bytes_per_second: int = 10_000) -> Fault:
    """Trickle the body of the answer."""

    def trickle(exchange: Exchange, pieces: Iterator[bytes], _: int | None) -> Iterator[bytes]:
        step = max(1, bytes_per_second // 50)
        for piece in pieces:
            for start in range(0, len(piece), step):
                exchange.pause(step / bytes_per_second)
                yield piece[start : start + step]

    return Fault("slow", lambda exchange: exchange.forward(lambda *body: trickle(exchange, *body)))


def short_body(after: int | None = None) -> Fault:
    """Promise the whole body, close after so many bytes of it, or after half."""

    def run(exchange: Exchange) -> None:
        exchange.forward(lambda *body: _cut(*body, after=after), whole=False)
        exchange.hang_up()

    return Fault("short_body", run)


def reset_mid_body(after: int | None = None) -> Fault:
    """Promise the whole body, reset the connection after so many bytes of it, or after half."""

    def run(exchange: Exchange) -> None:
        exchange.forward(lambda *body: _cut(*body, after=after), whole=False)
        exchange.hang_up(reset=True)

    return Fault("reset_mid_body", run)


def flipped_byte(at: int | None = None) -> Fault:
    """Invert one byte of the body of the answer: that one, or the one in the middle."""

    def flip(pieces: Iterator[bytes], length: int | None) -> Iterator[bytes]:
        target, seen = _place(at, length), 0
        for piece in pieces:
            here = target - seen
            seen += len(piece)
            if 0 <= here < len(piece):
                changed = bytearray(piece)
                changed[here] ^= 0xFF
                yield bytes(changed)
            else:
                yield piece

    return Fault("flipped_byte", lambda exchange: exchange.forward(flip))


def _place(wanted: int | None, length: int | None) -> int:
    return wanted if wanted is not None else (length or 0) // 2


def _cut(pieces: Iterator[bytes], length: int | None, after: int | None) -> Iterator[bytes]:
    left = _place(after, length)
    for piece in pieces:
        if after is None and length is None:  # chunked: half of the first piece
            left = len(piece) // 2
        yield piece[:left]
        left -= len(piece)
        if left <= 0:
            return

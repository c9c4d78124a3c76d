"""Small requests, made by the calling thread over a line that stays open.

A client with an event loop or threads of its own has to wake one for each request, and Python's
main thread has to wait for it in another thread, so that Ctrl-C ends the wait. That takes longer
than a small request itself. Here the calling thread sends and receives.

This is no client: it knows a GET of a range and a PUT. Answers of S3 that say what became of such a
request are told as `Failure`. Whatever else comes (refused credentials, redirects, no connection,
pages of strangers) is left to the client, which asks again and says what is wrong. A write that was
sent and got no clear answer is a `Failure`, too: somebody has to find out what became of it.
"""

import re
import time
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from html import unescape

from runstore.places._cloud._attended import beside
from runstore.places._cloud._causes import NOT_S3
from runstore.places._cloud._download import BEGINNING
from runstore.places._cloud._loop import MAYBE
from runstore.places._cloud._wire import MARK, Condition, Failure, Got, Span, quoted
from runstore.places._s3._lines import (
    MOST_DIGITS,
    Answer,
    Line,
    Lines,
    StrangeAnswerError,
)
from runstore.places._s3._server import Server
from runstore.places._s3._signature import Signer
from runstore.workers import PATIENCE, SLICE

__all__ = ["SmallRequests"]

_CODE = re.compile(r"<Code>([^<]+)</Code>")
_MESSAGE = re.compile(r"<Message>([^<]+)</Message>")
_OF_THE_OBJECT = frozenset({304, 404, 409, 412, 416, 429})  # with a code of S3
_DENIED = (403, "AccessDenied")  # with other codes, credentials may have to be found anew
_CONNECT = 5.0  # seconds until a line stands, at most; more than half the time is the client's
_STRANGE_AT_MOST = 3  # one after the other, before others are asked for a while
_REST = 60.0  # seconds
_ALL = f"range:{BEGINNING.header}\r\n"  # as far as one request reads
_ETAG, _MARK = b"\r\netag:", f"\r\nx-amz-meta-{MARK}:".encode()
_DOTS = frozenset({".", ".."})  # parts of a key that servers may take for folders
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}


class SmallRequests:
    """Reads and writes small objects of one bucket.

    Args:
        server: How to reach it.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._where = f"s3://{server.config.bucket}"
        self._host = server.config.base.partition("://")[2]
        self._signer = Signer(server.config.region)
        self._lines = Lines()
        self._strange = 0
        self._rests_until = 0.0 if server.reads_plainly else float("inf")
        self._writes_from = 0.0 if server.writes_plainly else float("inf")

    def get(self, name: str, span: Span, if_match: str | None, timeout: float) -> Got | None:
        """Read a range of an object in one request; None if the client has to ask.

        Args:
            name: The whole key.
            span: From which byte on, and how many at most.
            if_match: The only version that is read; None for any.
            timeout: Seconds.

        Raises:
            Failure: S3 says so, or there is no answer in time.
        """
        more = _ALL if span is BEGINNING else f"range:{span.header}\r\n"
        if if_match is not None:
            if not _is_plain(if_match):
                return None
            more = f"{more}if-match:{if_match}\r\n"
        answer = self._asked("GET", name, more, None, b"", span.length, timeout)
        if answer is None:
            return None
        got = _got(answer, span) if answer.status == 206 else None
        if got is None:
            self._left_to_the_client(answer)
        else:
            self._strange = 0
        return got

    def put(
        self,
        name: str,
        body: Sequence[memoryview],
        mark: str,
        condition: Condition,
        timeout: float,
    ) -> str | None:
        """Write an object in one request and return its ETag; None if the client has to do it.

        Args:
            name: The whole key.
            body: What is written.
            mark: Tells this write from others.
            condition: What must hold.
            timeout: Seconds.

        Raises:
            Failure: S3 says so, or there is no clear answer, or none in time.
        """
        if time.monotonic() < self._writes_from:
            return None
        data = bytes(body[0]) if len(body) == 1 else b"".join(body)
        more = f"content-length:{len(data)}\r\n"
        if condition.if_absent:
            more = f"{more}if-none-match:*\r\n"
        if condition.if_match is not None:
            if not _is_plain(condition.if_match):
                return None
            more = f"{more}if-match:{condition.if_match}\r\n"
        answer = self._asked("PUT", name, more, mark, data, 0, timeout)
        if answer is None:
            return None
        if answer.status == 200 and (tag := answer.header(_ETAG)):
            self._strange = 0
            return quoted(tag)
        if answer.status < 300:
            raise self._unclear()
        self._left_to_the_client(answer)
        return None

    def retire(self) -> None:
        """Close the lines that nobody uses."""
        self._lines.close()

    def _asked(
        self,
        method: str,
        name: str,
        more: str,
        mark: str | None,
        body: bytes,
        longest: int,
        timeout: float,
    ) -> Answer | None:
        """Make one request; None if there was no answer to it that is one of S3.

        Raises:
            Failure: There are no credentials, or there was no answer in time, or no clear one to a
                write.
        """
        end = time.monotonic() + timeout
        if end - timeout < self._rests_until or not _DOTS.isdisjoint(name.split("/")):
            return None
        request = self._request(method, name, more, mark, body)
        if request is None:
            return None
        line = self._lines.take()
        while True:
            if line is None:
                line = self._connected(end)
                if line is None:
                    self._note_strange()
                    return None
            try:
                answer = line.ask(request, longest, end, stoppable=method == "GET")
            except TimeoutError as exc:
                line.close()
                raise Failure(0, "", f"{self._host}: no answer in time", cut=True) from exc
            except OSError as exc:
                line.close()
                if method == "GET" and not line.is_new and not line.told:
                    line = None  # the server closed it when the request was on its way
                    continue
                reason = f"{self._host}: the connection or the answer broke off"
                raise Failure(0, "", reason) from exc
            except StrangeAnswerError as exc:
                line.close()
                if method == "PUT":
                    raise self._unclear() from exc
                self._note_strange()
                return None
            except BaseException as interrupt:
                if method == "PUT" and not line.hears(PATIENCE):
                    interrupt.add_note(MAYBE.format(f"{self._where}/{name}"))
                line.close()
                raise
            if answer.stays:
                self._lines.give_back(line)
            else:
                line.close()
            return answer

    def _request(
        self, method: str, name: str, more: str, mark: str | None, body: bytes
    ) -> bytes | None:
        """Return the request; None if only the client finds the credentials."""
        server = self._server
        path = server.path(name)
        lines = server.signed_lines(self._signer, method, path, mark, body)
        if lines is None:
            return None
        head = f"{method} {path} HTTP/1.1\r\n{lines}{more}user-agent:runstore\r\n\r\n"
        return head.encode("latin-1") + body

    def _connected(self, end: float) -> Line | None:
        """Return a new line; None if there is none, of which the client knows the reason.

        It is opened in another thread: neither Ctrl-C nor the time that is left ends the question
        for an address.
        """
        left = min(_CONNECT, (end - time.monotonic()) / 2)
        future = beside(lambda: Line(self._server.connected(left)))
        try:
            return _in_time(future, time.monotonic() + left)
        except TimeoutError:
            future.add_done_callback(_closed)
        except OSError:
            pass
        return None

    def _unclear(self) -> Failure:
        """Return the failure of a write after which nobody knows; the client makes the next ones.

        It may well be at home with such answers.
        """
        self._writes_from = time.monotonic() + _REST
        reason = f"{self._host}: an answer without what S3's answers have"
        return Failure(0, NOT_S3, reason)

    def _left_to_the_client(self, answer: Answer) -> None:
        """Return if the client has to find out what an answer means.

        Raises:
            Failure: It is clear.
        """
        status = answer.status
        text = bytes(answer.body[:_LONGEST]).decode("utf-8", "replace")
        code = found[1] if (found := _CODE.search(text)) else ""
        clear = status >= 500 or (status in _OF_THE_OBJECT and code) or (status, code) == _DENIED
        if clear and "<Region>" not in text:
            self._strange = 0
            found = _MESSAGE.search(text)
            raise Failure(status, code, unescape(found[1]) if found else "no reason given")
        if status not in (401, 403):
            self._note_strange()

    def _note_strange(self) -> None:
        self._strange += 1
        if self._strange >= _STRANGE_AT_MOST:
            self._strange, self._rests_until = 0, time.monotonic() + _REST


_LONGEST = 16 << 10  # bytes of a document about an error


def _is_plain(tag: str) -> bool:
    """Return whether an ETag that a caller gave can stand in a header."""
    return tag.isascii() and tag.isprintable()


def _closed(future: "Future[Line]") -> None:
    """Close a line for which nobody waits any more."""
    if future.exception() is None:
        future.result().close()


def _in_time(future: "Future[Line]", end: float) -> Line:
    while True:
        try:
            return future.result(min(SLICE, max(0.0, end - time.monotonic())))
        except TimeoutError:
            if future.done():  # it is its own error, or it ended just now
                return future.result()
            if time.monotonic() >= end:
                raise


def _got(answer: Answer, span: Span) -> Got | None:
    """Return what an answer has; None if it is not the range that was asked for, as it is."""
    tag, length = answer.header(_ETAG), len(answer.body)
    first, _, size = answer.header(b"\r\ncontent-range:").partition("/")
    modified = _moment(answer.header(b"\r\nlast-modified:"))
    if not tag or modified is None or not size.isdecimal() or len(size) > MOST_DIGITS:
        return None
    if b"\r\ncontent-encoding:" in answer.names:
        return None
    whole = int(size)
    start = max(0, whole - span.length) if span.start is None else span.start
    if length != min(span.length, whole - start):
        return None
    if first != f"bytes {start}-{start + length - 1}":
        return None
    return Got(answer.body, whole, quoted(tag), modified, answer.header(_MARK) or None)


def _moment(text: str) -> datetime | None:
    """Return the time in a header, which is always written as ``Sun, 06 Nov 1994 08:49:37 GMT``."""
    month = _MONTHS.get(text[8:11])
    if month is None or len(text) != 29 or text[26:] != "GMT":
        return None
    try:
        hour, minute, second = map(int, text[17:25].split(":"))
        return datetime(int(text[12:16]), month, int(text[5:7]), hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None

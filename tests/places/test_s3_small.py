"""Small requests over lines that stay open; what is not clear is left to the client."""

import socket
import threading
import time

import pytest
from tests.places.s3_script import (
    BODY,
    CLOSE,
    WRITTEN,
    Script,
    document,
    found,
    get,
    put,
    requests_to,
)
from tests.servers import recorder

from runstore.places._cloud._wire import Condition, Failure


def test_one_line_carries_one_request_after_the_other():
    """Each is one request; the answer is taken whole, as the caller's own memory."""
    with Script(WRITTEN, found(), found()) as server:
        small = requests_to(server)
        assert '"v2"' == put(small)
        got = get(small)
        assert (BODY, 1000, '"v1"', "m1") == (bytes(got.data), got.size, got.version, got.mark)
        assert "1994-11-06T08:49:37+00:00" == got.modified.isoformat()
        got.data[0] = 7
        assert BODY == bytes(get(small).data)
        ((written, body), (read, _), _), *others = server.asked
    assert [] == others
    assert b"onetwo" == body
    assert written.startswith(b"PUT /bucket/p/a%20b HTTP/1.1\r\n")
    assert b"\r\nx-amz-meta-runstore-write:m2\r\n" in written
    assert read.startswith(b"GET /bucket/p/a%20b HTTP/1.1\r\n")
    assert b"\r\nrange:bytes=0-8388607\r\n" in read


@pytest.mark.parametrize("last", ["close", "Keep-Alive"])
def test_a_line_that_ends_is_not_used_again(last):
    """Neither one that the server says it will close, nor one that it has closed since."""
    with Script(found(Connection=last), found()) as server:
        small = requests_to(server)
        get(small)
        if last != "close":
            server._open[0].shutdown(socket.SHUT_RDWR)
            deadline = time.monotonic() + 30
            while not small._lines._idle[0].events(0) and time.monotonic() < deadline:
                time.sleep(0.01)
        assert BODY == bytes(get(small).data)
        assert [1, 1] == list(map(len, server.asked))


def test_a_line_that_ends_under_a_request_is_a_failure_of_a_write_alone():
    """A read is asked again over a new line. Of a write nobody knows: its caller finds out."""
    with Script(found(), CLOSE, found(), CLOSE) as server:
        small = requests_to(server)
        assert BODY == bytes(get(small).data)
        assert BODY == bytes(get(small).data)
        with pytest.raises(Failure) as caught:
            put(small)
        assert caught.value.unsure
        assert [2, 2] == list(map(len, server.asked))


@pytest.mark.parametrize("chunked", [False, True])
def test_a_miss_is_one_request(chunked):
    """AWS sends the document in chunks, other servers in one piece; the line stays open."""
    with Script(document("404 Not Found", "NoSuchKey", chunked=chunked), found()) as server:
        small = requests_to(server)
        with pytest.raises(Failure) as caught:
            get(small)
        assert caught.value.no_such_key
        assert "it & that" == caught.value.reason
        assert BODY == bytes(get(small).data)
        assert [2] == list(map(len, server.asked))


@pytest.mark.parametrize(
    ("status", "code", "transient"),
    [
        ("503 Slow Down", "SlowDown", True),
        ("500 Internal Server Error", "", True),
        ("412 Precondition Failed", "PreconditionFailed", False),
        ("409 Conflict", "ConditionalRequestConflict", True),
    ],
)
def test_what_s3_says_of_a_write_is_told(status, code, transient):
    """The client is not asked to do the same again at once, as a busy server would have to."""
    with Script(
        document(status, code)
        if code
        else f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
    ) as server:
        with pytest.raises(Failure) as caught:
            put(requests_to(server), Condition(if_absent=True))
        assert (code, transient) == (caught.value.code, caught.value.transient)
        assert b"\r\nif-none-match:*\r\n" in server.asked[0][0][0]


STRANGE = {
    "another range": found(Content_Range="bytes 1-1000/1001"),
    "a larger object": found(Content_Range="bytes 0-999/2000"),
    "the whole": found(status="200 OK"),
    "no version": found(ETag=None),
    "no time": found(Last_Modified="yesterday"),
    "compressed": found(Content_Encoding="gzip"),
    "no number": found(Content_Length="9" * 5000),
    "a size that is no number": found(Content_Range=f"bytes 0-999/{'9' * 5000}"),
    "chunks in another coding": found(Content_Length=None, Transfer_Encoding="gzip, chunked"),
    "chunks of a negative length": found(
        b"-5\r\n", Content_Length=None, Transfer_Encoding="chunked"
    ),
    "an answer before the answer": b"HTTP/1.1 100 Continue\r\n\r\n" + found(),
    "too long": found(Content_Length=1 << 40),
    "an older protocol": found().replace(b"1.1", b"1.0", 1),
    "a page": b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
    "a redirect": document("307 Temporary Redirect", "TemporaryRedirect"),
    "a bare miss": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    "another region": document(
        "400 Bad Request", "AuthorizationHeaderMalformed</Code><Region>r</Region><Code>"
    ),
    "chunks of nonsense": b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\nnone\r\n",
    "an endless head": b"HTTP/1.1 206 Partial Content\r\n" + b"x: y\r\n" * 20_000,
    "nonsense": b"\r\n\r\n",
}


@pytest.mark.parametrize("strange", STRANGE)
def test_what_is_strange_is_left_to_the_client(strange):
    """It is asked for three times, and then for a minute not at all."""
    with Script(*[STRANGE[strange]] * 4) as server:
        small = requests_to(server)
        for _ in range(5):
            assert get(small) is None
        assert 3 == sum(map(len, server.asked))


def test_a_refusal_is_left_to_the_client_each_time():
    """Credentials may have to be found anew, and the server is no strange one."""
    refused = document("403 Forbidden", "ExpiredToken")
    with Script(*[refused] * 4, found()) as server:
        small = requests_to(server)
        for _ in range(4):
            assert get(small) is None
        assert BODY == bytes(get(small).data)


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 206", found()[:-1]])
def test_a_silent_server_is_a_failure_in_time(part):
    """Whatever it has said before, the wait ends, and the line is not used again."""
    with Script(found(), part, found()) as server:
        small = requests_to(server)
        get(small, timeout=60)
        with pytest.raises(Failure) as caught:
            get(small, timeout=0.4)
        assert caught.value.cut
        assert BODY == bytes(get(small, timeout=60).data)
        assert [2, 1] == list(map(len, server.asked))


@pytest.mark.parametrize("tag", ['"v1"\r\nx: y', '"ä"'])
def test_no_text_of_a_caller_becomes_another_header(tag):
    """A version that cannot stand in a header is left to the client; nothing is sent."""
    with Script() as server:
        small = requests_to(server)
        assert get(small, if_match=tag) is None
        assert put(small, Condition(if_match=tag)) is None
        assert [] == server.asked


def test_many_threads_have_lines_of_their_own():
    """No answer goes to another thread, and the lines are used again."""
    answers = [found(bytes([n]) * 100) for n in range(64)]
    with Script(*answers) as server:
        small, seen, failed = requests_to(server), [], []

        def work():
            try:
                seen.extend(bytes(get(small, timeout=60).data) for _ in range(8))
            except Exception as exc:  # noqa: BLE001 - shown below
                failed.append(exc)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [] == failed
        assert sorted(bytes([n]) * 100 for n in range(64)) == sorted(seen)
        assert len(server.asked) <= 8


def test_a_child_and_a_client_that_ends_have_no_lines():
    """A forked child uses none of its parent's; who drops the last reference closes them."""
    with Script(found(), found()) as server:
        small = requests_to(server)
        get(small)
        lines = small._lines
        lines.forget()  # as in a child
        assert lines.take() is None
        get(small)
        for inherited in lines._inherited:
            inherited.close()
        line = lines._idle[0]
        del small, lines
        assert -1 == line._socket.fileno()


def test_tls_is_spoken_with_a_trusted_host_alone(tmp_path):
    """Large and small answers come over one line, a silent one ends it, a stranger gets nothing."""
    other = tmp_path / "other"
    other.mkdir()
    authority, another = recorder._Authority(tmp_path), recorder._Authority(other)
    large = bytes(range(256)) * 4096
    with Script(found(large), found(), b"", found(), tls=authority.context("127.0.0.1")) as server:
        small = requests_to(server, authority.file)
        assert large == bytes(get(small).data)
        assert BODY == bytes(get(small).data)
        with pytest.raises(Failure) as caught:
            get(small, timeout=0.4)
        assert caught.value.cut
        assert BODY == bytes(get(small).data)
        assert [3, 1] == list(map(len, server.asked))
        assert get(requests_to(server, another.file)) is None
        assert [3, 1, 0] == list(map(len, server.asked))

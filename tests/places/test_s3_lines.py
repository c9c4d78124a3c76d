"""What a line makes of answers that come late, in pieces, without an end or with something behind.

Each server here is real, and says what it is told.
"""

import gc
import socket
import sys
import threading
import time
import warnings

import pytest
from tests.places.s3_script import (
    BODY,
    CLOSE,
    WRITTEN,
    Last,
    Script,
    Slow,
    document,
    found,
    get,
    put,
    requests_to,
)
from tests.servers import recorder

from runstore.errors import IndeterminateWriteError
from runstore.places._cloud._wire import Condition, Failure
from runstore.places._s3 import S3Backend
from runstore.places._s3._addresses import Addresses
from runstore.places._s3._lines import Line
from runstore.workers import StoppedError

OLD = b'HTTP/1.0 200 OK\r\nContent-Length: 0\r\nETag: "v2"\r\n\r\n'
NO_TAG = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
EARLY = b"HTTP/1.1 100 Continue\r\n\r\n" + WRITTEN


def opened(server, timeout=30):
    options = {"endpoint_url": f"http://127.0.0.1:{server.port}", "key": "k", "secret": "s"}
    return S3Backend("s3://bucket/p", engine="obstore", timeout=timeout, options=options)


@pytest.mark.parametrize("answer", [OLD, NO_TAG, EARLY], ids=["old", "no version", "early"])
def test_a_write_without_a_clear_answer_is_one_of_which_nobody_knows(answer):
    """It was sent, so it is no failure in which nothing was; the client makes the next ones."""
    with Script(answer, found()) as server:
        small = requests_to(server)
        with pytest.raises(Failure) as caught:
            put(small)
        assert (0, True, True) == (caught.value.status, caught.value.sent, caught.value.unsure)
        assert put(small) is None
        assert BODY == bytes(get(small).data)
        assert 2 == sum(map(len, server.asked))


def test_a_written_object_is_not_said_to_be_unwritten():
    """A server that ends behind an unclear answer may have written: the error says so."""
    with Script(OLD) as server:
        backend = opened(server, timeout=4)
        server.ends_with_the_next_request()
        with pytest.raises(IndeterminateWriteError):
            backend.put("x", (b"data",))
        assert 1 == sum(map(len, server.asked))


def test_a_write_meets_itself_after_an_unclear_answer():
    """The client makes it again, finds that there is one already, and that it is its own."""
    with Script(NO_TAG, document("412 Precondition Failed", "PreconditionFailed")) as server:
        server.then = lambda: found(
            b"d",
            Content_Range="bytes 0-0/4",
            x_amz_meta_Runstore_Write=server.mark(),
        )
        uploader = opened(server)._open().uploader
        tag, size = uploader.put("p/x", (b"data",), Condition(if_absent=True))
        assert ('"v1"', 4) == (tag, size)
        assert ["GET", "PUT", "PUT"] == sorted(server.methods())


@pytest.mark.parametrize("behind", [100_000, 30_000, 10])
def test_nothing_behind_an_answer_is_taken_for_the_next(tmp_path, behind):
    """Also what TLS has decrypted already, of which the system knows nothing any more."""
    authority = recorder._Authority(tmp_path)
    stale = found(b"stale", ETag='"stale"')
    with Script(
        found(b"x" * behind) + stale, found(), tls=authority.context("127.0.0.1")
    ) as server:
        small = requests_to(server, authority.file)
        first = get(small)
        assert first is None or b"x" * behind == bytes(first.data)
        second = get(small)
        assert BODY == bytes(second.data)
        assert [1, 1] == list(map(len, server.asked))


def test_nothing_behind_the_last_chunk_is_taken_for_the_next():
    """The line is thrown away with it."""
    miss = document("404 Not Found", "NoSuchKey", chunked=True)
    with Script(miss + b"HTTP/1.1 206 X\r\nContent-", found()) as server:
        small = requests_to(server)
        with pytest.raises(Failure) as caught:
            get(small)
        assert caught.value.no_such_key
        assert [] == list(small._lines._idle)
        assert BODY == bytes(get(small).data)


def test_a_body_may_end_with_the_line():
    """HTTP/1.1 allows it: one request each, also for a document about an error."""
    put_without = Last(b'HTTP/1.1 200 OK\r\nETag: "v2"\r\n\r\n')
    text = b"<Error><Code>NoSuchKey</Code><Message>m</Message></Error>"
    with Script(
        put_without,
        Last(found(Content_Length=None)),
        Last(b"HTTP/1.1 404 Not Found\r\n\r\n" + text),
        Last(found(Content_Length=None)[:-1]),
    ) as server:
        small = requests_to(server)
        assert '"v2"' == put(small)
        assert BODY == bytes(get(small).data)
        with pytest.raises(Failure) as caught:
            get(small)
        assert caught.value.no_such_key
        assert get(small) is None  # it is cut, as its range tells
        assert [1, 1, 1, 1] == list(map(len, server.asked))


def test_an_answer_that_has_no_body_is_not_waited_for():
    """The length of a 304 is the object's."""
    with Script(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n", found()) as server:
        small = requests_to(server)
        assert get(small, timeout=60) is None
        assert BODY == bytes(get(small).data)
        assert [1, 1] == list(map(len, server.asked))


@pytest.mark.parametrize(
    "slow",
    [found(X="a" * 2000), document("404 Not Found", "NoSuchKey", chunked=True)],
    ids=["a head", "chunks"],
)
def test_an_answer_that_comes_byte_by_byte_ends_in_time(slow):
    """Each byte is early enough, and all of them are not."""
    with Script(Slow(slow)) as server:
        with pytest.raises(Failure) as caught:
            get(requests_to(server), timeout=0.4)
        assert caught.value.cut


def test_a_call_that_ends_does_not_wait_for_a_slow_head(monkeypatch):
    """It asks after each piece whether to go on."""

    def ended():
        raise StoppedError

    monkeypatch.setattr("runstore.places._s3._lines.check_stopped", ended)
    with Script(Slow(found(X="a" * 2000))) as server, pytest.raises(StoppedError):
        get(requests_to(server), timeout=600)


def test_a_denied_request_is_asked_once():
    """The client could do no more than ask again."""
    with Script(document("403 Forbidden", "AccessDenied")) as server:
        with pytest.raises(Failure) as caught:
            get(requests_to(server))
        assert (403, "AccessDenied") == (caught.value.status, caught.value.code)


@pytest.mark.parametrize("name", ["p/..", "p/../x", "../x", "p/./x"])
def test_a_key_that_is_a_way_is_left_to_the_client(name):
    """A server may take such a part for a folder."""
    with Script() as server:
        small = requests_to(server)
        assert small.put(name, [memoryview(b"x")], "m", Condition(), 30) is None
        assert [] == server.asked


def test_lines_of_a_burst_are_closed_when_nobody_needs_them():
    """Those that were too long idle, and those that the server has closed; not the others."""
    with Script(*[found()] * 8) as server:
        small = requests_to(server)
        lines = small._lines
        taken = [Line(small._server.connected(30)) for _ in range(5)]
        for line in taken:
            lines.give_back(line)
        taken[0].since -= 100
        deadline = time.monotonic() + 30
        while len(server._open) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        number = taken[1]._socket.getsockname()
        (closed,) = [line for line in server._open if line.getpeername() == number]
        closed.shutdown(socket.SHUT_RDWR)
        while not taken[1].events(0) and time.monotonic() < deadline:
            time.sleep(0.01)
        get(small)
        assert 5 == len(lines._idle)
        lines._looked = float("-inf")
        get(small)
        assert taken[2:] == list(lines._idle)
        assert [-1, -1] == [line._socket.fileno() for line in taken[:2]]


def test_a_line_that_nobody_has_is_closed_without_a_warning():
    """As after an interrupt just before it is given back."""
    with Script() as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        line = Line(socket.create_connection(("127.0.0.1", server.port)))
        connection = line._socket
        del line
        gc.collect()
        assert -1 == connection.fileno()


@pytest.fixture
def two(monkeypatch):
    """Make ``two.test`` a host of a dead address and a living one; yield the server there."""
    if sys.platform != "linux":
        pytest.skip("a second local address that drops connections is there on Linux alone")
    with socket.socket() as dead, Script() as server:
        dead.bind(("127.0.0.2", server.port))
        dead.listen(0)
        filling = [socket.socket() for _ in range(4)]
        for one in filling:  # its queue is full, and nobody takes one out
            one.setblocking(False)
            one.connect_ex(("127.0.0.2", server.port))
        real, there = socket.getaddrinfo, ["127.0.0.2", "127.0.0.1"]

        def asked(host, port, *more):
            if host != "two.test":
                return real(host, port, *more)
            kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
            return [(*kind, (address, port)) for address in there]

        monkeypatch.setattr(socket, "getaddrinfo", asked)
        server.addresses = there
        yield server
        for one in filling:
            one.close()


def test_a_dead_address_holds_up_nobody_for_long(two):
    """The next one is tried beside it, and is the first from then on."""
    two._answers += [found(), found()]
    small = requests_to(two, host="two.test")
    assert BODY == bytes(get(small, timeout=9).data)
    small.retire()
    addresses = small._server._addresses
    assert ("127.0.0.1", two.port) == addresses._ordered()[0][4]
    assert BODY == bytes(get(small, timeout=9).data)
    assert [1, 1] == list(map(len, two.asked))


def test_a_connection_that_does_not_come_is_left_to_the_client(two):
    """In half the time, and so is one that is refused; time that is over is no error of ours."""
    del two.addresses[1]
    assert get(requests_to(two, host="two.test"), timeout=0.5) is None
    with pytest.raises(TimeoutError):
        requests_to(two)._server.connected(-0.1)
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        Addresses("127.0.0.1", port).connected(time.monotonic() + 30)


def test_the_client_gets_the_time_that_is_left(monkeypatch):
    """Not all of it again."""
    with Script(CLOSE) as server:
        client = opened(server)._open().client
        given = []

        def late(*_):
            time.sleep(0.2)

        for kind in ("get", "put"):
            monkeypatch.setattr(client._small, kind, late)
        monkeypatch.setattr(client, "_store", lambda timeout: given.append(timeout) or 1 / 0)
        monkeypatch.setattr(threading, "main_thread", lambda: None)
        for timeout in (30, 0.3):
            with pytest.raises(ZeroDivisionError):
                client.put("p/x", [memoryview(b"x")], "m", Condition(), timeout)
        assert given[0] <= 29.8
        assert 0.25 == given[1]

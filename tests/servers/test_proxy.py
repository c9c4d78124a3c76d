"""The proxy passes everything on untouched, and each fault does what it says."""

import http.client
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from tests.servers import faults
from tests.servers.exchange import Exchange
from tests.servers.process import poll
from tests.servers.proxy import FaultProxy

BODY = bytes(range(256)) * 1024
# moto lets in whoever shows something like a signature.
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request"}


@pytest.fixture
def proxy(moto_server):
    """Give a proxy before moto, which checks no signature: plain http.client will do."""
    with FaultProxy(moto_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def path(moto_server):
    """Give the path of a stored object."""
    bucket = moto_server.new_bucket()
    moto_server.client().put_object(Bucket=bucket, Key="k", Body=BODY)
    return f"/{bucket}/k"


@pytest.fixture
def waits(monkeypatch):
    """Give the seconds that faults would have waited."""
    waits = []
    monkeypatch.setattr(Exchange, "pause", lambda _, seconds: waits.append(seconds))
    return waits


def ask(proxy, path, method="GET", body=None, timeout=60, **headers):
    """Make one request on a connection of its own; give status, headers and body."""
    connection = http.client.HTTPConnection(urlsplit(proxy.endpoint).netloc, timeout=timeout)
    try:
        connection.request(method, path, body, SIGNED | headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


@pytest.mark.extended
def test_64_mib_pass_in_parallel(moto_server, proxy):
    """Large bodies stream through, several at a time."""
    bucket, body = moto_server.new_bucket(), BODY * 256
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda key: ask(proxy, f"/{bucket}/{key}", "PUT", body), "ab"))
        read = list(pool.map(lambda key: ask(proxy, f"/{bucket}/{key}")[2] == body, "ab"))
    assert [True, True] == read


def test_requests_are_logged(proxy, path):
    """The log has what a test asks about, and no signature."""
    ask(proxy, f"{path}?versionId=null", Range="bytes=0-3")
    (request,) = proxy.requests
    assert (1, "GET", path) == (request.number, request.method, request.path)
    assert ("versionId=null", None) == (request.query, request.fault)
    assert "bytes=0-3" == request.headers["range"]
    assert "authorization" not in request.headers


def test_a_connection_is_kept(seaweed_server):
    """Several requests share one connection, a fault that answers among them."""
    with FaultProxy(seaweed_server.endpoint) as proxy:
        proxy.next(faults.status(500), when=lambda request: request.number == 2)
        connection = http.client.HTTPConnection(urlsplit(proxy.endpoint).netloc, timeout=60)
        connection.connect()
        seen, socket = [], connection.sock
        for _ in range(3):
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
            seen.append((answer.status, connection.sock is socket))
        connection.close()
    assert [(403, True), (500, True), (403, True)] == seen


def test_a_chunked_body_passes(proxy, path):
    """A body whose length nobody told arrives whole."""
    ask(proxy, path, "PUT", iter([b"one", b"two"]))
    assert "chunked" == proxy.requests[0].headers["transfer-encoding"]
    assert b"onetwo" == ask(proxy, path)[2]


def test_a_client_that_dies_while_it_sends_stores_nothing(proxy, path):
    """The proxy does not complete what the client did not."""
    connection = http.client.HTTPConnection(urlsplit(proxy.endpoint).netloc, timeout=60)
    connection.putrequest("PUT", path)
    connection.putheader("Authorization", SIGNED["Authorization"])
    connection.putheader("Content-Length", "6")
    connection.endheaders(b"one")
    connection.close()
    assert poll(lambda: len(proxy.requests) == 1, seconds=60)
    assert BODY == ask(proxy, path)[2]


@pytest.mark.parametrize(("number", "code"), [(500, "InternalError"), (503, "SlowDown")])
def test_status(proxy, path, number, code):
    """The status and S3's error arrive, the server sees nothing, and the next request passes."""
    proxy.next(faults.status(number, retry_after=1))
    status, headers, body = ask(proxy, path, "PUT", b"new")
    assert (number, "1") == (status, headers["Retry-After"])
    assert f"<Code>{code}</Code>".encode() in body
    assert BODY == ask(proxy, path)[2]


def test_ok_with_error_body(proxy, path):
    """Status 200 carries an error document."""
    proxy.next(faults.ok_with_error_body())
    status, _, body = ask(proxy, path, "POST", b"<CompleteMultipartUpload/>")
    assert 200 == status
    assert b"<Error><Code>InternalError</Code>" in body


def test_reset(proxy, path):
    """The connection is reset and the server has seen nothing."""
    proxy.next(faults.reset())
    with pytest.raises(ConnectionResetError):
        ask(proxy, path, "PUT", b"new")
    assert BODY == ask(proxy, path)[2]


def test_reset_mid_body(proxy, path):
    """The connection is reset when half of the body has been sent."""
    proxy.next(faults.reset_mid_body())
    with pytest.raises(ConnectionResetError):
        ask(proxy, path)


def test_stall(proxy, path):
    """Not a byte comes until the client gives up."""
    proxy.next(faults.stall())
    with pytest.raises(TimeoutError):
        ask(proxy, path, timeout=0.2)


def test_a_stalled_client_is_let_go_when_the_proxy_ends(moto_server, path):
    """The end of the proxy does not wait for a client that never gives up."""
    with FaultProxy(moto_server.endpoint) as proxy, ThreadPoolExecutor(1) as pool:
        stalled = threading.Event()
        proxy.next(faults.stall(), when=lambda request: stalled.set() is None)
        client = pool.submit(ask, proxy, path, timeout=600)
        assert stalled.wait(300)
        proxy.__exit__()
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            client.result(300)


def test_slow(proxy, path, waits):
    """The body trickles in at the rate asked for, and is whole."""
    proxy.next(faults.slow(100_000))
    assert BODY == ask(proxy, path)[2]
    assert len(BODY) / 100_000 == pytest.approx(sum(waits), rel=0.2)


def test_short_body(proxy, path):
    """Half of the promised body arrives, then the end."""
    proxy.next(faults.short_body())
    with pytest.raises(http.client.IncompleteRead) as caught:
        ask(proxy, path)
    assert BODY[: len(BODY) // 2] == caught.value.partial


def test_flipped_byte(proxy, path):
    """The body differs in one byte."""
    proxy.next(faults.flipped_byte(at=100_000))
    _, _, body = ask(proxy, path)
    assert [100_000] == [
        i for i, pair in enumerate(zip(BODY, body, strict=True)) if len({*pair}) > 1
    ]


def test_lost_ack(proxy, path):
    """The server has done it, and the client gets no answer."""
    proxy.next(faults.lost_ack())
    with pytest.raises(http.client.RemoteDisconnected):
        ask(proxy, path, "PUT", b"new")
    assert b"new" == ask(proxy, path)[2]


def test_delay(proxy, path, waits):
    """The answer is right, and comes after the wait."""
    proxy.next(faults.delay(50))
    assert (BODY, [0.05]) == (ask(proxy, path)[2], waits)


def test_a_plan_chooses_by_request(proxy, path):
    """A plan sees number, method and path, and the log says which fault was met."""
    proxy.plan = lambda number, method, path: faults.status(503) if number % 2 else None
    assert [503, 200, 503, 200] == [ask(proxy, path)[0] for _ in range(4)]
    assert ["status(503)", None] * 2 == [request.fault for request in proxy.requests]


def test_a_queued_fault_waits_for_its_request(proxy, path):
    """A fault with a condition meets the first request that fulfils it, and no other."""
    proxy.next(faults.status(500), when=lambda request: request.method == "PUT")
    assert [200, 500, 200] == [ask(proxy, path, method)[0] for method in ("GET", "PUT", "PUT")]

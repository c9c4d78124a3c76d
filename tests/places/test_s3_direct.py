"""Large ranges come straight from the socket; what is no plain answer is left to the client."""

import socket
import threading
import time
from datetime import UTC, datetime

import numpy as np
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.places.s3_ import ENGINES, open_store

from runstore.buffers import flat
from runstore.places._cloud._arriving import Arriving, in_one_stream
from runstore.places._s3._config import S3Config
from runstore.places._s3._credentials import Keys
from runstore.places._s3._direct import S3Direct
from runstore.places._s3._server import Server as HostOfBucket
from runstore.places._s3._signature import Signer

MIB = 1 << 20


@pytest.mark.parametrize("token", [None, "a/token+"])
@pytest.mark.parametrize(("method", "body"), [("GET", b""), ("PUT", b"what is written")])
def test_signatures_are_those_of_botocore(method, body, token):
    """The same request at the same time has the same signature, also after another secret."""
    path = "/bucket/p/dev/r%2B1/x_%C3%A4.arrow"
    headers = {"Host": "127.0.0.1:8333", "X-Amz-Meta-Mark": "7"}
    request = AWSRequest(method, f"http://127.0.0.1:8333{path}", headers, body)
    auth = S3SigV4Auth(Credentials("key", "secret", token), "s3", "eu-west-1")
    request.context["payload_signing_enabled"] = True
    auth.add_auth(request)
    told = {name.lower(): value for name, value in request.headers.items()}
    now = datetime.strptime(told["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    signer = Signer("eu-west-1", now.timestamp)
    more = {"names": ";x-amz-meta-mark", "more": "x-amz-meta-mark:7\n", "body": body}
    signer.lines(method, path, told["host"], Keys("key", "another", token), **more)
    for _ in range(2):
        lines = signer.lines(method, path, told["host"], Keys("key", "secret", token), **more)
        assert told == dict(line.split(":", 1) for line in lines.splitlines())


@pytest.mark.extended
@pytest.mark.parametrize("engine", ENGINES)
def test_a_large_object_comes_directly(seaweed_server, engine, monkeypatch):
    """It is what was put, in both engines, and the client is asked for the beginning alone."""
    view = open_store(seaweed_server, engine).at(namespace="dev", run="r1")
    value = np.arange(5 * MIB)  # 40 MiB
    view.put("x", value)
    asked = []
    client = view.store._objects.backend._open().client
    get = type(client).get

    def noted(self, name, span, *more):
        asked.append(span)
        return get(self, name, span, *more)

    monkeypatch.setattr(type(client), "get", noted)
    got = view.get("x")
    assert np.array_equal(value, got)
    got[0] = 7  # it is the caller's own
    assert [(0, 8 * MIB)] == asked
    client.direct._refused = 3
    assert np.array_equal(value, view.get("x"))
    assert 5 == len(asked)  # by ranges, as where the socket cannot be read


class Server:
    """Answers each connection with given bytes, and notes what it was asked."""

    def __init__(self, *answers):
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.asked = []
        self._answers = answers
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        for answer in self._answers:
            line, _ = self._listening.accept()
            with line:
                self.asked.append(line.recv(65536))
                line.sendall(answer)
        self._listening.close()


def answer(body, *, status="206 Partial Content", start=0, size=None, **more):
    length = len(body) if size is None else size
    headers = {
        "Content-Length": length,
        "Content-Range": f"bytes {start}-{start + length - 1}/1000000",
        "ETag": '"v1"',
    } | {name.replace("_", "-"): value for name, value in more.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value is not None)
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def direct_to(server):
    options = {"endpoint_url": f"http://127.0.0.1:{server.port}", "key": "k", "secret": "s"}
    return S3Direct(HostOfBucket(S3Config.resolve("bucket", options)))


BODY = bytes(range(250)) * 4


def read(*answers, start=0):
    server = Server(*answers)
    direct, into = direct_to(server), Arriving(memoryview(bytearray(1000)), 100)
    direct.read("p/a b", start, into, '"v1"', 2)
    return direct, into, server


def test_a_plain_answer_is_taken():
    """Its bytes are put where they are to be; the request names the range and the version."""
    _, into, server = read(answer(BODY, start=5000), start=5000)
    assert (1000, 1000) == into.missing
    assert BODY == bytes(into.data)
    head, *lines = server.asked[0].decode().split("\r\n")
    assert "GET /bucket/p/a%20b HTTP/1.1" == head
    assert {'if-match:"v1"', "range:bytes=5000-5999"} <= set(lines)


@pytest.mark.parametrize(
    "strange",
    [
        answer(BODY, status="200 OK"),
        answer(BODY, status="412 Precondition Failed"),
        answer(BODY, status="301 Moved Permanently", Location="http://127.0.0.1:9/"),
        answer(BODY, ETag='"v2"'),
        answer(BODY, ETag=None),
        answer(BODY, Content_Range="bytes 1-1000/1000000"),
        answer(BODY, Content_Length=999),
        answer(BODY, Content_Encoding="gzip"),
        answer(BODY, Transfer_Encoding="chunked"),
        b"HTTP/1.1 206 Partial Content\r\n" + b"x: y\r\n" * 20_000,
        b"",
        b"\r\n\r\n",
    ],
)
def test_nothing_else_is(strange):
    """Other states, versions, ranges and encodings are left to the client, whole."""
    _, into, _ = read(strange)
    assert (0, 1000) == into.missing


def test_what_ends_early_is_missing():
    """An answer that is cut is taken as far as it is certain."""
    _, into, _ = read(answer(BODY[:400], size=1000))
    assert (0, 1000) == into.missing


def test_strange_answers_are_not_asked_for_again_and_again():
    """After three strange answers, one after the other, the socket is not read any more."""
    strange = answer(BODY, status="403 Forbidden")
    server = Server(strange, strange, strange)
    direct = direct_to(server)
    for _ in range(3):
        assert direct.is_usable
        direct.read("x", 0, Arriving(memoryview(bytearray(1000)), 100), '"v1"', 2)
    assert not direct.is_usable


class Slow:
    """Fills what it is given with the bytes' places, in steps; the first stream stalls."""

    is_usable = True

    def __init__(self, fails=()):
        self.begun = []
        self._fails = fails

    def read(self, name, start, into, version, timeout):
        number = len(self.begun)
        self.begun.append(start)
        place = np.frombuffer(into.data, "u1")
        expected = (np.arange(start, start + len(place)) // MIB).astype("u1")
        at = 0
        while view := into.step():
            if number in self._fails:
                return
            place[at : at + view.nbytes] = expected[at : at + view.nbytes]
            at += view.nbytes
            if number == 0:
                time.sleep(0.05)


@pytest.mark.extended
@pytest.mark.parametrize("fails", [(), (0,), (1,), (0, 1, 2, 3)])
def test_a_slow_stream_is_helped_from_the_end(fails):
    """Others take pieces at the end; each byte is there, or is told to be missing."""
    data = memoryview(np.full(100 * MIB, 255, "u1"))
    slow = Slow(fails)
    told = []
    missing = in_one_stream(slow, "x", "v", 7 * MIB, data, 1.0, told.append)
    found = np.frombuffer(flat(data), "u1")
    expected = ((np.arange(100 * MIB) + 7 * MIB) // MIB).astype("u1")
    for begin, end in missing:
        found[begin:end] = expected[begin:end]
    assert np.array_equal(expected, found)
    if not fails:
        assert [] == missing
        assert 2 <= len(slow.begun) <= 7

"""What becomes of each verb when the server, or the way to it, fails."""

import random
import time
from dataclasses import replace

import pytest
from tests.places.s3_ import ENGINES, open_backend
from tests.servers import faults
from tests.servers.proxy import FaultProxy

from runstore.buffers import flat
from runstore.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    BucketNotFoundError,
    IndeterminateWriteError,
    ObjectExistsError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StorageError,
)
from runstore.places._cloud._retry import Deadline

pytestmark = pytest.mark.parametrize("engine", ENGINES)


@pytest.fixture
def proxy(seaweed_server):
    with FaultProxy(seaweed_server.endpoint) as running:
        yield running


@pytest.fixture
def bucket(seaweed_server):
    return seaweed_server.new_bucket()


@pytest.fixture
def backend(seaweed_server, engine, proxy, bucket, monkeypatch):
    """Give a backend with much time for a verb, and one second for a request that stalls.

    So a busy machine has a dozen attempts, and a stall costs a test one second.
    """
    monkeypatch.setattr(Deadline, "request", property(lambda deadline: 1.0))
    server = replace(seaweed_server, endpoint=proxy.endpoint)
    return open_backend(server, engine, bucket, timeout=60)


@pytest.fixture
def impatient(seaweed_server, engine, proxy, bucket):
    server = replace(seaweed_server, endpoint=proxy.endpoint)
    return open_backend(server, engine, bucket, timeout=1.2)


@pytest.fixture
def direct(seaweed_server, engine, bucket):
    return open_backend(seaweed_server, engine, bucket)


def content(backend, key):
    return bytes(flat(backend.get(key)[0]))


ONCE = {
    "500": faults.status(500),
    "503": faults.status(503),
    "error in 200": faults.ok_with_error_body(),
    "reset": faults.reset(),
    "stall": faults.stall(),
    "short": faults.short_body(),
    "short error": faults.short_error(),
    "reset in the body": faults.reset_mid_body(),
    "lost answer": faults.lost_ack(),
}


@pytest.mark.extended
@pytest.mark.parametrize("fault", ONCE)
def test_one_fault_is_not_noticed(backend, proxy, fault):
    """Whatever happens once to put, get, stat, list and delete, the verb succeeds."""
    proxy.next(ONCE[fault])
    backend.put("a.json", [b"value" * 1000])
    proxy.next(ONCE[fault])
    assert b"value" * 1000 == content(backend, "a.json")
    proxy.next(ONCE[fault])
    assert b"value" == bytes(flat(backend.tail("a.json", 5)[0]))
    proxy.next(ONCE[fault])
    assert ["a.json"] == [entry.key for entry in backend.list("")]
    proxy.next(ONCE[fault])
    backend.delete("a.json")
    assert [] == list(backend.list(""))


@pytest.mark.extended
@pytest.mark.parametrize("rounds", [6, pytest.param(25, marks=pytest.mark.slow)])
def test_random_faults(backend, direct, proxy, rounds):
    """Each outcome is the value or a typed error, and an old object is never hurt."""
    dice = random.Random(20261123)
    kinds = list(ONCE.values())
    backend.put("stays.json", [b"stays"])
    expected = b"0"
    backend.put("a.json", [expected])
    for i in range(rounds):
        for verb in ("put", "get", "list", "delete"):
            proxy.clear()
            for _ in range(dice.choice([1, 1, 1, 2])):
                proxy.next(dice.choice(kinds))
            try:
                if verb == "put":
                    backend.put("a.json", [b"%d" % (i + 1)])
                    expected = b"%d" % (i + 1)
                elif verb == "get":
                    assert expected == content(backend, "a.json")
                elif verb == "list":
                    assert "stays.json" in [entry.key for entry in backend.list("")]
                else:
                    backend.put("gone.json", [b"x"])
                    backend.delete("gone.json")
            except StorageError:
                proxy.clear()
                if verb == "put":
                    assert content(direct, "a.json") in (expected, b"%d" % (i + 1))
                    expected = content(direct, "a.json")
    assert b"stays" == content(direct, "stays.json")
    assert expected == content(direct, "a.json")


@pytest.mark.extended
@pytest.mark.parametrize("large", [False, True])
def test_a_lost_answer_is_no_conflict(backend, direct, proxy, large):
    """A conditional put that was carried out and not acknowledged succeeds when made again."""
    body = b"x" * (20 << 20 if large else 10)
    backend.put("probe.json", [b""], if_absent=True)
    if large:
        backend.put("probe-large.json", [body], if_absent=True)
    completing = {"when": lambda r: "uploadId" in r.query and r.method == "POST"} if large else {}
    proxy.next(faults.lost_ack(), **completing)
    entry = backend.put("a.json", [body], if_absent=True)
    assert entry.version == direct.head("a.json").version
    with pytest.raises(ObjectExistsError):
        backend.put("a.json", [b"other"], if_absent=True)
    first = backend.put("b.json", [b"1"])
    proxy.next(faults.lost_ack(), **completing)
    second = backend.put("b.json", [body], if_match=first.version)
    assert second.version == direct.head("b.json").version
    with pytest.raises(PreconditionFailedError):
        backend.put("b.json", [b"3"], if_match=first.version)


def test_a_real_conflict_after_a_fault_is_one(backend, direct, proxy):
    """A put that met a fault and then another's object reports the conflict."""
    backend.put("probe.json", [b""], if_absent=True)
    direct.put("a.json", [b"theirs"])
    proxy.next(faults.status(500))
    with pytest.raises(ObjectExistsError):
        backend.put("a.json", [b"ours"], if_absent=True)
    assert b"theirs" == content(direct, "a.json")


@pytest.mark.extended
@pytest.mark.parametrize("fault", ["500", "503", "reset", "stall"])
def test_an_outage_ends_at_the_deadline_and_is_no_miss(impatient, direct, proxy, fault):
    """While the server is away every verb raises within the timeout, and nothing is touched."""
    direct.put("a.json", [b"old"])
    proxy.plan = lambda *_: ONCE[fault]
    verbs = {
        "get": lambda: content(impatient, "a.json"),
        "head": lambda: impatient.head("a.json"),
        "list": lambda: list(impatient.list("")),
        "put": lambda: impatient.put("a.json", [b"new"]),
        "large put": lambda: impatient.put("a.json", [bytes(20 << 20)]),
    }
    for verb in verbs.values():
        started = time.monotonic()
        with pytest.raises((BackendUnavailableError, IndeterminateWriteError)):
            verb()
        assert time.monotonic() - started < 30  # for ever would be the fault, not late
    proxy.clear()
    assert b"old" == content(direct, "a.json")


def test_missing_denied_and_no_bucket_are_told_apart(backend, seaweed_server, engine):
    """No object, no bucket and no permission are three errors, also where an answer has no body."""
    stranger = replace(seaweed_server, secret="wrong")
    stranger = open_backend(stranger, engine, seaweed_server.new_bucket())
    nowhere = open_backend(seaweed_server, engine, "no-such-bucket")
    for name in ("get", "head", "delete"):
        with pytest.raises(ObjectNotFoundError):
            getattr(backend, name)("a.json")
        with pytest.raises(BucketNotFoundError, match="no such bucket"):
            getattr(nowhere, name)("a.json")
        with pytest.raises(AccessDeniedError):
            getattr(stranger, name)("a.json")
    with pytest.raises(BucketNotFoundError):
        list(nowhere.list(""))
    with pytest.raises(AccessDeniedError):
        list(stranger.list(""))
    with pytest.raises(AccessDeniedError):
        stranger.put("a.json", [b"x"])


def test_a_missing_bucket_is_told_on_put(moto_server, engine):
    """A put into a bucket that is not there raises BucketNotFoundError."""
    with pytest.raises(BucketNotFoundError):
        open_backend(moto_server, engine, "no-such-bucket").put("a.json", [b"x"])


@pytest.mark.extended
def test_a_failed_large_put_leaves_nothing(backend, direct, proxy, seaweed_server):
    """When parts cannot be sent, the old object stays and no upload is left behind."""
    direct.put("a.json", [b"old"])
    proxy.plan = lambda number, method, path: faults.status(403) if number == 4 else None
    with pytest.raises(AccessDeniedError):
        backend.put("a.json", [bytes(60 << 20)])
    assert b"old" == content(direct, "a.json")
    assert [] == direct.unfinished()

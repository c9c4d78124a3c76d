"""Writing under a lease: the last look comes as late as each place allows."""

import os

import pytest
from tests.places.s3_ import STORES, options

from runstore.context import Lease
from runstore.errors import ObjectNotFoundError, StaleRunError
from runstore.objects import LeasedBackend
from runstore.places import Backend
from runstore.places._local import LocalBackend
from runstore.places._memory import MemoryBackend
from runstore.places._s3 import S3Backend

MIB = 1 << 20
READS = {"get", "tail", "read", "head", "list", "folders"}
HOUSEKEEPING = {"probe", "close", "sweep"}  # of what nobody has published


@pytest.fixture(params=STORES)
def backend(request, tmp_path):
    """Give each backend, empty."""
    if request.param == "memory":
        return MemoryBackend(request.node.nodeid)
    if request.param == "local":
        return LocalBackend(str(tmp_path / "store"))
    server = request.getfixturevalue("moto_server")
    url = f"s3://{server.new_bucket()}/p"
    return S3Backend(url, engine=request.param, timeout=30, options=options(server))


@pytest.fixture
def lease():
    """Make a lease."""
    return Lease(os.urandom(8).hex(), "attempt 1 of stage 's' of run 'ns/r'")


@pytest.mark.parametrize("size", [1 << 10, 20 * MIB])
def test_revoked_while_the_bytes_are_made(backend, lease, size):
    """A put whose lease is revoked before its last byte leaves the old object, small or large."""
    backend.put("ns/r/x", [b"old"])

    def buffers():
        yield b"n" * size
        lease.revoke("it failed")

    with pytest.raises(StaleRunError):
        LeasedBackend(backend, lease).put("ns/r/x", buffers())
    assert b"old" == bytes(backend.get("ns/r/x")[0])
    assert ["ns/r/x"] == [entry.key for entry in backend.list("ns/")]
    assert 0 == len(lease._writes)


def test_a_lease_lets_write(backend, lease):
    """Under a lease that stands, puts and deletes do what they always do, and are noted to end."""
    leased = LeasedBackend(backend, lease)
    for size in (1, 20 * MIB):
        assert size == leased.put("ns/r/x", [b"n" * size]).size
    leased.put("ns/r/y", [b"y"])
    leased.delete("ns/r/x")
    assert {} == leased.delete_many(["ns/r/y"])
    with pytest.raises(ObjectNotFoundError):
        leased.delete("ns/r/y")
    assert 0 == len(lease._writes)


def test_nothing_is_deleted_under_a_revoked_lease(backend, lease):
    """Deleting one or many is refused."""
    backend.put("ns/r/x", [b"old"])
    lease.revoke("it failed")
    leased = LeasedBackend(backend, lease)
    with pytest.raises(StaleRunError):
        leased.delete("ns/r/x")
    with pytest.raises(StaleRunError):
        leased.delete_many(["ns/r/x"], missing_ok=True)
    assert b"old" == bytes(leased.get("ns/r/x")[0])


def test_deleting_many_stops_when_the_lease_is_revoked(backend, lease, monkeypatch):
    """What is left of a long delete is not deleted: the next attempt may have put it anew."""
    keys = [f"ns/r/x{number:04}" for number in range(1100)]
    removed = []

    def delete_some(wanted, *, missing_ok=False):
        removed.extend(wanted)
        lease.revoke("it failed", patience=0)
        return {}

    monkeypatch.setattr(backend, "delete_many", delete_some)
    with pytest.raises(StaleRunError):
        LeasedBackend(backend, lease).delete_many(keys, missing_ok=True)
    assert keys[: len(removed)] == removed
    assert len(removed) == (16 if backend.guarantees.mapped else 1000)
    assert 0 == len(lease._writes)


def test_every_method_that_writes_asks():
    """A method that a backend gets one day is either a read or asks the lease."""
    methods = {
        name
        for name, value in vars(Backend).items()
        if callable(value) and not name.startswith("_")
    }
    only_some_have = {"update"}
    assert (methods - READS - HOUSEKEEPING) | only_some_have == {
        name for name in vars(LeasedBackend) if not name.startswith("_")
    }

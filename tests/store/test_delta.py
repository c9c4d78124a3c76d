"""Puts with delta=True: the same file as by a whole put, and less is sent or written."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from tests.places.s3_ import ENGINES, open_store

from runstore import ObjectStore
from runstore.context import Lease
from runstore.errors import InvalidRequestError, PreconditionFailedError, StaleRunError
from runstore.places import _kernel_copy
from runstore.places._kernel_copy import shares_blocks
from runstore.places._s3._s3fs import S3fsClient

ROWS = 1 << 19  # 4 MiB a column


def table(*seeds):
    """Give a table with a column for each seed."""
    return pa.table({f"c{i}": np.random.default_rng(s).random(ROWS) for i, s in enumerate(seeds)})


@pytest.fixture(params=ENGINES)
def far(request, seaweed_server):
    """Give a view on a bucket of a server that copies parts."""
    return open_store(seaweed_server, request.param).at(namespace="dev", run="r1")


@pytest.fixture
def sent(monkeypatch):
    """Give the sizes of the parts that are sent."""
    sizes, real = [], S3fsClient.send

    def send(self, name, upload, number, body, timeout):
        sizes.append(sum(view.nbytes for view in body))
        return real(self, name, upload, number, body, timeout)

    monkeypatch.setattr(S3fsClient, "send", send)
    return sizes


@pytest.mark.extended
def test_what_has_changed_is_sent(far, sent):
    """One of five columns of 20 MiB: its parts and the footer, and the file is that of a put."""
    first, second = table(0, 1, 2, 3, 4), table(0, 1, 9, 3, 4)
    far.put("x", first)
    sent.clear()
    info = far.put("x", second, delta=True)
    assert 4 << 20 <= sum(sent) <= 11 << 20
    assert second.equals(far.get("x", verify=True))
    assert info.digest == far.put("y", second).digest
    assert info.version == far.stat("x").version
    sent.clear()
    far.put("x", second, delta=True)
    assert sum(sent) <= 5 << 20


@pytest.mark.slow
def test_an_object_that_grows_or_shrinks_is_sent_from_there_on(far):
    """Whatever the sizes of both are, what is stored is the new value."""
    for value in (
        table(0, 1, 5),
        table(0, 1, 5, 6),
        table(0, 1),
        pa.table({"a": [1]}),
        table(3, 4),
    ):
        far.put("x", value, delta=True)
        assert value.equals(far.get("x", verify=True))


@pytest.mark.slow
def test_a_version_that_is_replaced_meanwhile_is_not_mixed_in(far, monkeypatch):
    """Nothing of two versions comes together: the put is made again as a whole, or refused."""
    backend, real = far.store.backend, type(far.store.backend).update

    def update(self, key, buffers, old, **how):
        far.put("x", table(7, 8, 0))
        return real(self, key, buffers, old, **how)

    far.put("x", table(0, 1, 2))
    with monkeypatch.context() as patched:
        patched.setattr(type(backend), "update", update)
        far.put("x", table(0, 2, 1), delta=True)
        assert table(0, 2, 1).equals(far.get("x", verify=True))
        version = far.stat("x").version
        with pytest.raises(PreconditionFailedError):
            far.put("x", table(0, 3, 1), delta=True, if_match=version)
    assert table(7, 8, 0).equals(far.get("x", verify=True))
    version = far.stat("x").version
    far.put("x", table(7, 9, 0), delta=True, if_match=version)
    assert table(7, 9, 0).equals(far.get("x"))


def test_an_attempt_that_was_given_up_sends_no_changes(far):
    """The lease is asked before the parts are put together, and no upload is left."""
    far.put("x", table(0, 1, 2))
    far._lease = lease = Lease(os.urandom(8).hex(), "attempt 1 of stage 's'")
    lease.revoke("it failed")
    with pytest.raises(StaleRunError):
        far.put("x", table(0, 2, 1), delta=True)
    assert [] == far.store.backend.unfinished()


@pytest.fixture
def sharing(tmp_path):
    """Give a folder on a file system in which files can share blocks."""
    for folder in (tmp_path, os.environ.get("TEST_REFLINKS")):
        if folder is not None:
            with TemporaryDirectory(dir=folder) as made:
                one, other = Path(made, "one"), Path(made, "other")
                one.write_bytes(b"x" * 4096)
                with one.open("rb") as source, other.open("wb") as target:
                    if shares_blocks(source.fileno(), target.fileno(), 4096):
                        yield made
                        return
    pytest.skip("no file system with reflinks: let TEST_REFLINKS name a folder on one")


def test_on_a_disk_that_shares_blocks_only_the_changes_take_space(sharing):
    """Old and new version together take one of five columns more than one of them."""
    near = ObjectStore(sharing).at(namespace="dev", run="r1")
    near.put("x", table(0, 1, 2, 3, 4))
    old, before = near.get("x"), _used(sharing)
    near.put("x", table(0, 1, 9, 3, 4), delta=True)
    assert 4 << 20 <= _used(sharing) - before <= 6 << 20
    assert table(0, 1, 2, 3, 4).equals(old)
    assert table(0, 1, 9, 3, 4).equals(near.get("x", verify=True))


def _used(folder):
    os.sync()
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


@pytest.fixture
def near(tmp_path, monkeypatch):
    """Give a view on a disk of which the write believes that it shares blocks: it copies."""

    def copied(source, target, length):
        return length == os.write(target, os.pread(source, length, 0))

    monkeypatch.setattr(_kernel_copy, "shares_blocks", copied)
    return ObjectStore(tmp_path).at(namespace="dev", run="r1")


def test_only_what_differs_is_written_to_a_disk(near, monkeypatch):
    """One of five columns and the footer; the file is that of a whole put."""
    first, second = table(0, 1, 2, 3, 4), table(0, 1, 9, 3, 4)
    near.put("x", first)
    old, sizes, real = near.get("x"), [], os.pwrite

    def pwrite(fd, data, at):
        sizes.append(len(data))
        return real(fd, data, at)

    monkeypatch.setattr(os, "pwrite", pwrite)
    info = near.put("x", second, delta=True)
    assert 4 << 20 <= sum(sizes) <= 5 << 20
    assert second.equals(near.get("x", verify=True))
    assert first.equals(old)
    assert info.digest == near.put("y", second).digest
    assert info.version == near.stat("x").version


def test_an_object_on_disk_grows_and_shrinks_by_its_changes(near):
    """Whatever the sizes of both are, what is stored is the new value."""
    near.put("x", table(0, 1, 2))
    for value in (table(0, 1, 5), table(0, 1, 5, 6), table(0, 1, 5), pa.table({"a": [1]})):
        near.put("x", value, delta=True)
        assert value.equals(near.get("x", verify=True))


def test_a_put_by_changes_on_disk_is_refused_like_any(near):
    """Another version, or a lease that was revoked: the old object stays, and nothing is left."""
    old = near.put("x", table(0, 1, 2))
    near.put("x", table(0, 1, 3))
    with pytest.raises(PreconditionFailedError):
        near.put("x", table(0, 1, 4), delta=True, if_match=old.version)
    near._lease = lease = Lease(os.urandom(8).hex(), "attempt 1 of stage 's'")
    lease.revoke("it failed")
    with pytest.raises(StaleRunError):
        near.put("x", table(0, 2, 1), delta=True)
    near._lease = None
    assert table(0, 1, 3).equals(near.get("x", verify=True))
    temporary = Path(near.store.backend.url.removeprefix("file://"), ".runstore-tmp")
    assert [] == list(temporary.iterdir())


def test_elsewhere_it_is_a_whole_put(view):
    """On other disks and in memory nothing is different; parts take no delta."""
    for value in (table(0), table(1), {"a": 1}):
        view.put("x", value, delta=True)
        assert view.exists("x")
    assert {"a": 1} == view.get("x")
    with pytest.raises(InvalidRequestError, match="parts are never replaced"):
        view.put("x", 1, part=1, delta=True)

"""What clean-up looks at: hidden parts in one listing, and what interrupted writes have left."""

import os
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.dirfs import DirFileSystem

from runstore import ObjectStore
from runstore.places import Wrapper, leftovers, list_with_parts


@pytest.fixture
def moto(moto_server, monkeypatch):
    """Give the URL of an empty bucket."""
    for name, value in (
        ("AWS_ENDPOINT_URL", moto_server.endpoint),
        ("AWS_ACCESS_KEY_ID", moto_server.key),
        ("AWS_SECRET_ACCESS_KEY", moto_server.secret),
        ("AWS_REGION", moto_server.region),
    ):
        monkeypatch.setenv(name, value)
    return f"s3://{moto_server.new_bucket()}/prefix"


class Plain:
    """A place of another package: it has what the contract has, and nothing else."""

    def __init__(self, backend):
        self.list, self.folders, self.guarantees = backend.list, backend.folders, backend.guarantees


def all_stores(tmp_path, moto):
    """Give a store of each kind."""
    yield ObjectStore(tmp_path / "disk")
    yield ObjectStore(f"memory://{tmp_path.name}")
    yield ObjectStore(fs=DirFileSystem(str(tmp_path), fsspec.filesystem("file")), root="fs")
    yield ObjectStore(fs=fsspec.filesystem("memory"), root=f"/{tmp_path.name}")
    yield ObjectStore(moto)


def test_one_listing_has_parts_and_nothing_else_that_is_hidden(tmp_path, moto):
    """On every place, for a namespace and for a run; temporary files are not shown."""
    for store in all_stores(tmp_path, moto):
        for run in ("r", "s"):
            view = store.at(namespace="n", run=run)
            view.put("x", 1)
            view.put("p", 1, part="k")
        store.backend.put("n/r/.hidden/x.arrow", [b"x"])
        for backend in (store.backend, Wrapper(store.backend), Plain(store.backend)):
            found = [entry.key for entry in list_with_parts(backend, "n/r/")]
            assert 2 == len(found), store
            assert "n/r/x.arrow" in found
            assert any(key.startswith("n/r/.parts/p.arrow/tk.") for key in found)
            assert 4 == len(list(list_with_parts(backend, "n/"))), store


def test_what_was_just_written_is_no_leftover(tmp_path, moto):
    """Nothing is left of a store whose puts are over."""
    for store in all_stores(tmp_path, moto):
        store.at(namespace="n", run="r").put("x", 1)
        store.guarantees  # noqa: B018 - asks the place
        assert [] == leftovers(store.backend, 0)
    assert [] == leftovers(Plain(store.backend), 0)


def test_temporary_files_are_listed_as_sweep_removes_them(tmp_path):
    """By age, on a disk and on a filesystem of fsspec."""
    there = DirFileSystem(str(tmp_path), fsspec.filesystem("file"))
    for store, root in (
        (ObjectStore(tmp_path / "disk"), tmp_path / "disk"),
        (ObjectStore(fs=there, root="fs"), tmp_path / "fs"),
    ):
        store.at(namespace="n", run="r").put("x", 1)
        folder = root / ".runstore-tmp"
        folder.mkdir(exist_ok=True)
        for name, age in (("old", 1000), ("new", 0)):
            (folder / name).write_bytes(b"123")
            os.utime(folder / name, (time.time() - age,) * 2)
        found = leftovers(store.backend, 500)
        assert [(".runstore-tmp/old", "temporary", 3)] == [one[:3] for one in found]
        assert 1 == store.backend.sweep(500)
        assert [] == leftovers(store.backend, 500)


def test_the_default_store_brings_its_own_gitignore(tmp_path):
    """Git passes over `.runstore`; a store of another name is the user's own business."""
    for name, there in ((".runstore", True), ("store", False)):
        ObjectStore(tmp_path / name).at(namespace="n", run="r").put("x", 1)
        assert there == (tmp_path / name / ".gitignore").exists()
    mine = Path(tmp_path / ".runstore" / ".gitignore")
    assert "*\n" == mine.read_text().partition("\n")[2]
    mine.write_text("mine")
    ObjectStore(tmp_path / ".runstore").at(namespace="n", run="s").put("y", 1)
    assert "mine" == mine.read_text()


@pytest.mark.parametrize("engine", ["obstore", "s3fs"])
def test_unfinished_uploads_and_probes_are_listed(moto, engine):
    """As `sweep` aborts and removes them."""
    store = ObjectStore(moto, engine=engine)
    backend = store.backend
    store.at(namespace="n", run="r").put("x", 1)
    assert [] == [one for one in leftovers(backend, 0) if one.kind == "upload"]
    parts = backend._open().client.parts
    if parts is None:
        pytest.skip("this client lists no uploads without s3fs")
    parts.create(f"{backend._prefix}n/r/y.arrow", "mark", 10)
    backend.put(".runstore-tmp/probe-1", [b"x"])
    assert {("n/r/y.arrow", "upload"), (".runstore-tmp/probe-1", "probe")} == {
        one[:2] for one in leftovers(backend, 0)
    }
    assert 2 == backend.sweep(0)
    assert [] == leftovers(backend, 0)


def test_an_upload_that_is_still_written_to_is_not_left_over(moto, monkeypatch):
    """What counts is its newest part, not when it was begun."""
    backend = ObjectStore(moto, engine="s3fs").backend
    parts = backend._open().client.parts
    ids = {
        name: parts.create(f"{backend._prefix}n/r/{name}", "mark", 10) for name in ("old", "new")
    }
    parts.send(f"{backend._prefix}n/r/new", ids["new"], 1, [memoryview(b"x" * 100)], 10)
    real = parts.begun

    def begun_long_ago(prefix, timeout):
        for one in real(prefix, timeout):
            yield replace(one, begun=one.begun - timedelta(days=3))

    monkeypatch.setattr(type(parts), "begun", lambda self, *how: begun_long_ago(*how))
    assert ["n/r/old"] == [one.key for one in leftovers(backend, 86_400)]
    assert 1 == backend.sweep(86_400)
    assert [] == leftovers(backend, 86_400)
    assert ["n/r/new"] == [one.key for one in leftovers(backend, 0)]

"""Keys that other programs made in the bucket: no listing ends at them."""

import warnings

import pytest
from tests.places.s3_ import ENGINES, open_store

from runstore.errors import StorageError
from runstore.places._cloud import _retry
from runstore.places._s3._obstore import S3ObstoreClient

FOREIGN = [
    "p/n/r//x.arrow",
    "p/n/r/../q/x.arrow",
    "p/n/r/./x",
    "p/n/r/a\x01b",
    "p/n/_runs//x.json",
    "p//n/r/x.arrow",
]


@pytest.fixture(params=ENGINES)
def store(request, moto_server):
    """Give a store with the two objects of a run."""
    store = open_store(moto_server, request.param)
    store.at(namespace="n", run="r").put_many({"a": 1, "z": 2})
    return store


def _put(moto_server, store, key):
    bucket = store.url.removeprefix("s3://").partition("/")[0]
    moto_server.client().put_object(Bucket=bucket, Key=key, Body=b"")


@pytest.mark.extended
@pytest.mark.parametrize("key", FOREIGN)
def test_a_foreign_key_ends_no_listing(moto_server, store, key):
    """What is ours is listed, counted and deleted on each engine."""
    _put(moto_server, store, key)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert ["a", "z"] == [info.name for info in store.at(namespace="n", run="r").list()]
        assert ([], ["n"], ["r"]) == (
            store.runs(),
            store.namespaces(),
            store.runs_with_objects("n"),
        )
        store.delete_run("r", namespace="n")
        assert [] == store.at(namespace="n", run="r").list()


@pytest.mark.parametrize("key", FOREIGN)
def test_without_s3fs_the_error_names_the_key(moto_server, key, monkeypatch):
    """It says what to install, and comes at once."""
    store = open_store(moto_server, "obstore")
    _put(moto_server, store, key)
    monkeypatch.setattr(S3ObstoreClient, "parts", None)
    monkeypatch.setattr(_retry, "pause", lambda seconds: pytest.fail("it waited"))
    with pytest.raises(
        StorageError, match=r"obstore cannot list a key .*p/.*runstore\[s3\]"
    ) as one:
        store.at(namespace="n", run="r").list() + store.runs("n") + store.namespaces()
    assert type(one.value) is StorageError


@pytest.mark.parametrize("key", ["p/", "p/n/", "p/n/r/", "p/n/_runs/"])
def test_the_empty_keys_of_consoles_are_no_objects(moto_server, store, key):
    """They stand in for folders: no listing has them or warns of them."""
    _put(moto_server, store, key)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ["a", "z"] == [info.name for info in store.at(namespace="n", run="r").list()]
        assert ([], ["n"]) == (store.runs(), store.namespaces())

"""The signature of a large value is made beside the write, and is the one of what was written."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from runstore import ObjectStore

LARGE = np.arange(3 << 20, dtype=np.int64)  # 24 MB: many pieces


@pytest.fixture
def objects(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNSTORE_SIGNING_KEY", "k" * 32)
    return ObjectStore(tmp_path, pickle="signed").at(namespace="n", run="r")


def test_a_large_value_has_the_digest_of_its_bytes(objects):
    """A full check of the data passes, and no thread is left behind."""
    before = set(threading.enumerate())
    objects.put("a", LARGE)
    assert before >= set(threading.enumerate())  # others may end meanwhile
    assert np.array_equal(LARGE, objects.get("a", verify=True))


def test_without_threads_the_digest_is_the_same(objects, monkeypatch):
    """At the end of the interpreter no thread can be started; a put still works."""
    expected = objects.put("a", LARGE).digest

    def refused(*_args):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(ThreadPoolExecutor, "submit", refused)
    assert expected == objects.put("b", LARGE).digest
    assert np.array_equal(LARGE, objects.get("b", verify=True))


def test_a_write_that_fails_half_way_leaves_no_thread(objects, monkeypatch):
    """The caller's error comes out, and what was begun is waited for."""
    before = set(threading.enumerate())

    def full(_fd, _data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(Exception, match="No space left"):
        objects.put("a", LARGE)
    assert before >= set(threading.enumerate())  # others may end meanwhile
    assert not objects.exists("a")

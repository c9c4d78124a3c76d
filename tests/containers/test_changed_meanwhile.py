"""A value that another thread changes while it is put: what is stored fits its digest."""

import os

import numpy as np
import pandas as pd
import pytest

from runstore import ObjectStore
from runstore.errors import UnsupportedValueError

_ROWS = 1 << 17  # 1 MiB: several pieces


@pytest.fixture(params=["local", "memory"])
def view(request, tmp_path):
    url = tmp_path / "store" if request.param == "local" else f"memory://{request.node.name}"
    return ObjectStore(url).at(namespace="n", run="r")


@pytest.fixture
def changing(monkeypatch):
    """Return a function that changes an array around every further write, as a thread would."""
    write = os.write

    def start(array):
        def changed(fd, data):
            np.add(array, 1, out=array)  # after it was digested, or while it is
            done = write(fd, data)
            np.add(array, 1, out=array)  # before the rest is digested
            return done

        monkeypatch.setattr(os, "write", changed)

    return start


@pytest.mark.parametrize("kind", ["array", "frame", "nested"])
def test_an_array_that_changes_is_stored_with_a_digest_that_fits(view, changing, kind):
    """The digest is that of the bytes that were written, whatever they are."""
    array = np.arange(_ROWS)
    value = {
        "array": array,
        "frame": pd.DataFrame({"a": array}, copy=False),
        "nested": {"a": [array]},
    }[kind]
    changing(array)
    view.put("x", value)
    view.get("x", verify=True)


def test_a_buffer_that_changes_is_stored_with_a_digest_that_fits(view, changing):
    """So is raw memory, a part of which is written after it was changed."""
    memory = bytearray(8 * _ROWS)
    changing(np.frombuffer(memory, "u1"))
    view.put("x", memory)
    view.get("x", verify=True)


def test_compressed_data_that_changes_fits_its_digest(view, changing):
    """Compressing takes the value apart once; what comes of it is digested."""
    array = np.arange(_ROWS)
    changing(array)
    view.put("x", array, compression="lz4")
    view.get("x", verify=True)


def test_signed_data_that_changes_fits_its_signature(tmp_path, changing, monkeypatch):
    """The signature is that of the bytes that were written, too."""
    monkeypatch.setenv("RUNSTORE_SIGNING_KEY", "k" * 32)
    view = ObjectStore(tmp_path, pickle="signed").at(namespace="n", run="r")
    array = np.arange(_ROWS)
    changing(array)
    view.put("x", {"a": array, "b": ...})
    view.get("x")


@pytest.mark.parametrize("name", ["x.npy", "x.safetensors"])
def test_where_the_digest_stands_in_front_a_change_is_refused(view, changing, name):
    """The old object stays, and the error says that the value changed."""
    array = np.arange(_ROWS)
    value = array if name == "x.npy" else {"a": array}
    view.put(name, value)
    old = view.get(name)
    changing(array)
    with pytest.raises(UnsupportedValueError, match=r"x\.\w+: it changed while it was being"):
        view.put(name, value)
    got = view.get(name, verify=True)
    assert np.array_equal(
        old if name == "x.npy" else old["a"], got if name == "x.npy" else got["a"]
    )
    assert [name] == [info.name for info in view.list()]

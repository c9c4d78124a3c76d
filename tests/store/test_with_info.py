"""A value and its description are of one version, and a copy is described as it was written."""

import threading

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.store.test_parts import far as far

from runstore import object_store, run_context
from runstore.errors import (
    CorruptObjectError,
    ObjectExistsError,
    ObjectNotFoundError,
    PreconditionFailedError,
)

VALUES = {
    "text": "x",
    "array": np.arange(100_000.0),
    "a.json": [1],
    "a.npy": np.arange(3),
    "a.parquet": pd.DataFrame({"x": [1, 2]}),
}


@pytest.mark.parametrize("name", VALUES)
def test_it_is_what_get_and_stat_give(view, name):
    """Without other writers the value is get()'s and the description stat()'s."""
    view.put(name, VALUES[name], **({} if name in ("a.json", "a.npy") else {"metadata": {"a": 1}}))
    value, info = view.get_with_info(name)
    np.testing.assert_array_equal(np.asarray(view.get(name)), np.asarray(value))
    assert view.stat(name) == info


def test_it_takes_what_get_takes(view):
    """Columns, type and verification work, also of another run and in the facade."""
    view.put("a", pd.DataFrame({"x": [1, 2], "y": [3, 4]}))
    value, info = view.get_with_info("a", columns=["y"], as_type=pa.Table, verify=True)
    assert ({"y": [3, 4]}, 2) == (value.to_pydict(), info.columns)
    with run_context(namespace="dev", run="other", store=view.store):
        value, again = object_store.get_with_info("a", run="r1")
    assert (info, [1, 2]) == (again, list(value.x))


def test_columns_of_a_far_object_come_with_its_description(far):
    """Where only a part is read, the description is still that of the object."""
    far.put("a", pd.DataFrame({f"c{i}": np.random.default_rng(i).random(40_000) for i in range(8)}))
    value, info = far.get_with_info("a", columns=["c3"])
    assert (["c3"], 8) == (list(value.columns), info.columns)
    assert far.stat("a") == info


def test_it_fails_as_get_does(view):
    """A miss names what is there; damage is damage."""
    view.put("there", 1)
    with pytest.raises(ObjectNotFoundError, match="stored there: 'there'"):
        view.get_with_info("a")


def test_a_writer_in_between_is_noticed(view):
    """What is put after the read makes the conditional put fail."""
    view.put("a", 1)
    value, info = view.get_with_info("a")
    view.put("a", 5)
    with pytest.raises(PreconditionFailedError):
        view.put("a", value + 1, if_match=info.version)
    assert 5 == view.get("a")


def test_counting_loses_nothing(view):
    """Threads that count up by reading and putting under that version lose no step."""
    view.put("n", 0)

    def count():
        for _ in range(15):
            while True:
                value, info = view.get_with_info("n")
                try:
                    view.put("n", value + 1, if_match=info.version)
                    break
                except PreconditionFailedError:
                    continue

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 60 == view.get("n")


@pytest.fixture
def interfering(view, monkeypatch):
    """Return a function that lets something happen right after the next write of a copy."""
    backend = view.store.backend
    put = backend.put

    def after(do):
        def once(*args, **kwargs):
            monkeypatch.setattr(backend, "put", put)
            entry = put(*args, **kwargs)
            do()
            return entry

        monkeypatch.setattr(backend, "put", once)

    return after


COPIED = ["text", "array", "a.json", "a.parquet"]


@pytest.mark.parametrize("name", COPIED)
def test_a_copy_whose_target_is_deleted_at_once_is_a_copy(view, interfering, name):
    """It is not called missing: it was written."""
    view.put(name, VALUES[name])
    target = name.replace("a.", "b.") if "." in name else "target"
    interfering(lambda: view.delete(target))
    assert target == view.copy(name, to_name=target).name


@pytest.mark.parametrize("name", COPIED)
def test_a_copy_whose_target_is_replaced_at_once_tells_of_itself(view, interfering, name):
    """What it returns is its own write, not the other's."""
    put = view.put(name, VALUES[name])
    target = name.replace("a.", "b.") if "." in name else "target"
    other = [9] if name == "a.json" else pd.DataFrame({"other": [1, 2, 3]})
    interfering(lambda: view.put(target, other))
    copy = view.copy(name, to_name=target)
    assert (put.digest, put.rows) == (copy.digest, copy.rows)
    assert copy.version != view.stat(target).version


def test_a_copy_to_a_much_longer_name_tells_of_itself(view):
    """It is written anew, and described the same."""
    view.put("a", np.arange(10), metadata={"m": 1})
    copy = view.copy("a", to_name="much/longer/" + "x" * 300)
    assert view.stat("much/longer/" + "x" * 300) == copy


def test_a_copy_says_which_end_is_the_trouble(view):
    """A missing source is missing, a taken target is taken, and damage is damage."""
    view.put("b", 2)
    with pytest.raises(ObjectNotFoundError, match="no object 'a'"):
        view.copy("a", to_name="b", if_absent=True)
    view.put("a", 1)
    with pytest.raises(ObjectExistsError, match=r"b\.arrow exists already"):
        view.copy("a", to_name="b", if_absent=True)
    data = bytearray(view.store.backend.get("dev/r1/a.arrow")[0])
    data[len(data) // 2] ^= 1
    view.store.backend.put("dev/r1/a.arrow", [data])
    with pytest.raises(CorruptObjectError):
        view.copy("a", to_name="b")
    assert 2 == view.get("b")


def test_what_comes_back_meanwhile_is_not_what_was_perhaps_meant(view, monkeypatch):
    """If the name is there by the time the message is made, the message says that."""
    objects = view.store._objects
    get = objects.get

    def too_early(place, **how):
        try:
            return get(place, **how)
        finally:
            view.put("a", 1)

    monkeypatch.setattr(objects, "get", too_early)
    with pytest.raises(ObjectNotFoundError, match=r"it was stored just now.*try again"):
        view.get("a")

"""Frames that differ from one before in their numbers alone: few steps, and exact."""

import gc
import itertools
import sys
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest

from runstore import ObjectStore
from runstore.codecs import _pandas_alike
from runstore.containers import _rows
from runstore.errors import CorruptObjectError
from runstore.testing import assert_same

ROWS = 100
STEPS = {"put": 260, "get": 170}
"""Python calls of a frame of 100 × 10; there were 711 and 429 when each was described anew."""


@pytest.fixture
def view(tmp_path):
    return ObjectStore(tmp_path / "store").at(namespace="dev", run="r1")


def frame(seed=0, rows=ROWS, columns=10, **more):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({f"c{i}": rng.random(rows) for i in range(columns)}, **more)


def calls(call):
    """Return how many Python functions are called meanwhile."""
    count = itertools.count()

    def note(_frame, event, _argument):
        if event == "call":
            next(count)

    gc.collect()
    gc.disable()  # Dask has a callback in it, and what other tests have left is closed by it
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
        gc.enable()
    return next(count)


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_a_small_frame_takes_few_python_calls(view, place):
    """Putting and getting the third frame of a kind takes a third of the calls of the first."""
    if place == "memory":
        view = ObjectStore("memory://alike").at(namespace="dev", run="r1")
    for seed in range(3):
        view.put("x", frame(seed))
        assert_same(frame(seed), view.get("x"))
    assert calls(lambda: view.put("x", frame_again)) <= STEPS["put"]
    if _has_internals():
        assert calls(lambda: view.get("x")) <= STEPS["get"]
    assert_same(frame_again, view.get("x"))


frame_again = frame(7)


def _has_internals():
    from runstore.codecs._pandas import _from_blocks

    return _from_blocks is not None


def variants():
    """Give frames of numbers, each of a kind of its own, though they look alike."""
    base = frame(1, 20, 3)
    yield base
    yield base.rename(columns={"c1": "C1"})
    yield base.set_axis(["c0", "c0", "c1"], axis=1)
    yield base.set_axis(pd.Index(["c0", "c1", "c2"], dtype=object), axis=1)
    yield base.rename_axis(columns="name")
    yield base.rename_axis(columns=1)
    yield base.rename_axis(index="name")
    yield base.set_axis(pd.RangeIndex(3, 43, 2), axis=0)
    yield base.set_axis(pd.RangeIndex(20, 0, -1), axis=0)
    yield base.set_axis(np.arange(20), axis=0)
    yield base.set_axis([0, 1, 2], axis=1)
    yield base.set_axis([True, False, True], axis=1)
    yield base.set_flags(allows_duplicate_labels=False)
    attrs = base.copy()
    attrs.attrs = {"unit": "m"}
    yield attrs
    yield base.iloc[:19]
    yield base.iloc[:0]
    yield base.astype("f4")
    yield base.iloc[:19].astype("f2")
    yield base.astype({"c1": "i8"})
    yield base.astype({"c1": "u1"})
    yield base.astype({"c1": bool})
    yield base.astype({"c1": "c16"})
    yield base.astype({"c0": "i4", "c1": "f4"})
    yield pd.DataFrame({"c0": np.arange(20, dtype=np.longlong), "c1": np.arange(20)})
    yield pd.DataFrame({"c0": np.arange(20), "c1": np.arange(20, dtype=np.longlong)})
    yield pd.DataFrame(np.arange(60.0).reshape(20, 3), columns=["c0", "c1", "c2"])
    yield pd.DataFrame(np.arange(120.0).reshape(20, 6)[:, ::2], columns=["c0", "c1", "c2"])
    yield base.astype({"c1": "Float64"})


def test_kinds_are_not_taken_for_each_other(view):
    """Frames that differ in a label, a dtype, an index, a flag or an order stay what they are."""
    every = list(variants())
    for _ in range(3):  # seen, learned, known
        for value in every:
            view.put("x", value)
            assert_same(value, view.get("x"))
            assert_same(value, view.get("x", verify=True))
    for number, value in enumerate(every):
        view.put(f"n{number}", value)
    for number, value in enumerate(every):
        assert_same(value, view.get(f"n{number}"))


def test_numbers_are_those_of_each_frame(view):
    """Infinite and missing numbers, all bits of NaN, and what was changed in place."""
    value = frame(1, 20, 3)
    for seed in range(6):
        value.iloc[0, 0] = [np.nan, np.inf, -0.0][seed % 3]
        value.iloc[1, 1] = seed
        view.put("x", value)
        got = view.get("x")
        assert_same(value, got)
        got.iloc[2, 2] = 99.0  # it is the caller's own
        assert_same(value, view.get("x"))


def test_who_changes_a_frame_changes_no_other(view):
    """Names and labels that are set on one result are not those of the next."""
    value = frame(1, 20, 3)
    for _ in range(4):
        view.put("x", value)
        got = view.get("x")
        got.columns.name = "changed"
        got.index.name = "changed"
        with suppress(ValueError):  # pandas 3 forbids it
            got.columns.values[0] = "changed"
        got["more"] = 1
        assert_same(value, view.get("x"))
    value.columns.name = "n"
    view.put("x", value)
    assert_same(value, view.get("x"))


def test_every_flipped_bit_of_a_known_kind_is_found(view, tmp_path):
    """A file of a kind that is known is checked as any other."""
    value = frame(1, 5, 2)
    for _ in range(4):
        view.put("x", value)
        view.get("x")
    (path,) = tmp_path.rglob("x.arrow")
    stored = path.read_bytes()
    assert _rows.open_rows(memoryview(stored)) is not None
    for at in range(0, len(stored), 3):
        changed = bytearray(stored)
        changed[at] ^= 1 << at % 8
        path.write_bytes(changed)
        with pytest.raises(CorruptObjectError):
            view.get("x")
    path.write_bytes(stored)
    assert_same(value, view.get("x"))


def test_other_readers_and_policies_see_the_same(view, tmp_path):
    """What is filled in is what Arrow would have written; signed and deny need no other file."""
    import pyarrow as pa

    for seed in range(4):
        view.put("x", frame(seed), metadata={"seed": seed})
    (path,) = tmp_path.rglob("x.arrow")
    with pa.ipc.open_file(path) as file:
        assert_same(frame(3), file.read_pandas().set_axis(frame(3).columns, axis=1))
    assert {"seed": 3} == view.stat("x").metadata
    assert_same(frame(3), view.get("x", pickle="deny"))
    assert_same(frame(3)[["c2"]], view.get("x", columns=["c2"]))
    view.copy("x", to_name="another, longer name")
    assert_same(frame(3), view.get("another, longer name"))


def test_few_kinds_are_remembered(view, monkeypatch):
    """Frames of ever new kinds are kept as well, and no more than so many kinds are remembered."""
    for rows in range(1, 400):
        view.put("x", frame(1, rows, 1))
    assert 256 >= len(_pandas_alike._encoded)
    assert_same(frame(1, 399, 1), view.get("x"))


def test_what_a_caller_does_to_attrs_reaches_no_other_frame(view):
    """Attrs that a frame is given after it was stored are not those of frames like it."""
    first = frame(1, 20, 3)
    for _ in range(2):
        view.put("x", first)
    first.attrs["unit"] = "m"
    other = frame(2, 20, 3)
    view.put("y", other)
    assert {} == view.get("y").attrs
    view.put("x", first)
    first.attrs["unit"] = "km"
    assert {"unit": "m"} == view.get("x").attrs

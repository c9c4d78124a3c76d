"""Some rows of a stored table, read without the rest of it."""

import random
from dataclasses import replace
from datetime import datetime, timedelta
from statistics import NormalDist

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from runstore import ObjectStore
from runstore.containers import _row_window
from runstore.errors import CorruptObjectError, ObjectNotFoundError
from runstore.keys import Place, key_of
from runstore.places import Wrapper
from runstore.store._objects import Objects
from runstore.store.rows import LeftOut, open_rows, read_start

ROWS = 6_011
MIB = 1 << 20


class Far(Wrapper):
    """A place of which ranges are read, each by a request; it counts what it hands out."""

    def __init__(self, backend):
        super().__init__(backend)
        self.read_bytes = self.whole = 0

    @property
    def guarantees(self):
        return replace(super().guarantees, mapped=False, ranges=True, versions="write")

    def get(self, key, **conditions):
        self.whole += 1
        return super().get(key, **conditions)

    def read(self, key, start, length, version):
        self.read_bytes += length
        return super().read(key, start, length, version)


@pytest.fixture
def far(tmp_path):
    """Give a store whose place is far away, and that place."""
    store = ObjectStore(tmp_path / "store")
    place = Far(store.backend)
    store._now = Objects(place, store.address.pickle)
    return store


def a_table():
    """A table with a column of each shape that cells are taken from."""
    i = list(range(ROWS))
    day = datetime(2020, 1, 1)
    return pa.table(
        {
            "int": i,
            "float": [None if n % 7 == 0 else n * 0.5 for n in i],
            "bool": [None if n % 3 == 0 else n % 2 == 0 for n in i],
            "text": [None if n % 5 == 0 else f"text {n}" for n in i],
            "bytes": pa.array([bytes([n % 256]) * (n % 4) for n in i], pa.large_binary()),
            "time": [day + timedelta(hours=n) for n in i],
            "decimal": pa.array([n % 1000 for n in i], pa.decimal128(10, 2)),
            "labels": pa.array([f"k{n % 7}" for n in i]).dictionary_encode(),
            "list": [None if n % 11 == 0 else [str(k) for k in range(n % 4)] for n in i],
            "pair": pa.array([[n, n + 1] for n in i], pa.list_(pa.int32(), 2)),
            "struct": [None if n % 6 == 0 else {"x": n, "y": f"w{n}"} for n in i],
            "view": pa.array(["s" * (n % 30) + str(n) if n % 9 else None for n in i]).cast(
                pa.string_view()
            ),
            "map": pa.array([[("a", n)] for n in i], pa.map_(pa.string(), pa.int64())),
            "null": pa.nulls(ROWS),
        }
    )


def windows_of(store, name, table, monkeypatch):
    """Check rows from anywhere, also where every column would be read by its ranges."""
    for small in (_row_window._SMALL, 0):
        monkeypatch.setattr(_row_window, "_SMALL", small)
        looked = open_rows(store, Place("dev", "r1", name))
        assert table.num_rows == looked.rows
        for start in (0, 1, 7, 8, table.num_rows - 3, *random.Random(1).sample(range(ROWS), 8)):
            count = 1 + start % 20
            found = looked.window(start, count, range(table.num_columns), 2 * MIB)
            for cells, title in zip(found, table.column_names, strict=True):
                expected = table[title].slice(start, count).to_pylist()
                assert expected == cells.to_pylist(), (title, start)


def test_rows_from_anywhere_are_those_of_the_table(store, view, monkeypatch):
    """Every kind of column gives the same cells as the whole table, from the first to the last."""
    view.put("t", a_table())
    windows_of(store, "t", a_table(), monkeypatch)


def test_rows_of_a_place_far_away_are_the_same(far, monkeypatch):
    """Read by ranges, they are the same, and the object is never read whole."""
    far.at(namespace="dev", run="r1").put("t", a_table())
    windows_of(far, "t", a_table(), monkeypatch)
    assert 0 == far.backend.whole


@pytest.mark.parametrize("name", ["written", "written.parquet"])
def test_rows_of_a_table_in_pieces_cross_their_ends(store, view, name):
    """A window over two pieces, or two row groups, has the rows of both."""
    table = a_table().select(["int", "text", "float"])
    with view.writer(name) as writer:
        for start in range(0, ROWS, 1_500):
            writer.write(table.slice(start, 1_500))
    found = open_rows(store, Place("dev", "r1", name)).window(1_495, 10, [0, 1], MIB)
    assert table["int"].slice(1_495, 10).to_pylist() == found[0].to_pylist()
    assert table["text"].slice(1_495, 10).to_pylist() == found[1].to_pylist()


def test_rows_of_parts_cross_their_ends(store, view):
    """A window over two parts of an object has the rows of both."""
    for part in range(3):
        view.put("t", pd.DataFrame({"x": np.arange(10) + 10 * part}), part=part)
    view.seal("t")
    looked = open_rows(store, Place("dev", "r1", "t"))
    assert 30 == looked.rows
    assert list(range(8, 23)) == looked.window(8, 15, [0], MIB)[0].to_pylist()


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_some_rows_of_a_large_table_cost_few_bytes(far, kind):
    """Fifty rows of 16 MB cost some kilobytes for each column, wherever they are."""
    rows = 500_000
    texts = [f"text {i:09}" for i in range(rows)]
    frame = kind({"a": np.arange(rows), "b": np.arange(rows) * 0.5, "c": texts})
    far.at(namespace="dev", run="r1").put("t", frame)
    looked = open_rows(far, Place("dev", "r1", "t"))
    before = far.backend.read_bytes
    found = looked.window(rows // 2, 50, [0, 1, 2], MIB)
    assert texts[rows // 2 : rows // 2 + 50] == found[2].to_pylist()
    assert far.backend.read_bytes - before < 64 << 10
    assert 0 == far.backend.whole


def test_what_is_too_large_is_left_out_with_a_reason(store, view):
    """A compressed column is read whole or not at all; the others are there."""
    table = pa.table({"x": [f"{i:040}" for i in range(50_000)], "y": range(50_000)})
    view.put("t", table, compression="zstd")
    looked = open_rows(store, Place("dev", "r1", "t"))
    x, y = looked.window(0, 5, [0, 1], 500_000)
    assert isinstance(x, LeftOut)
    assert [0, 1, 2, 3, 4] == y.to_pylist()


def test_pickled_columns_are_told_apart(store, view):
    """A column of pickles is named as one, whatever the policy; it is not loaded."""
    view.put("t", pd.DataFrame({"a": [1, 2], "b": [NormalDist(1), NormalDist(2)]}))
    looked = open_rows(store, Place("dev", "r1", "t"))
    assert [("a", False), ("b", True)] == [(one.name, one.pickled) for one in looked.columns]


@pytest.mark.parametrize("value", [{"a": 1}, "text", b"bytes", {1, 2}])
def test_what_has_no_rows_is_no_table(store, view, value):
    """Documents, text, bytes and pickles have no rows to look at."""
    view.put("x", value)
    assert open_rows(store, Place("dev", "r1", "x")) is None


def test_what_is_not_there_is_a_miss(store):
    """An object that is not there raises as for every verb."""
    with pytest.raises(ObjectNotFoundError):
        open_rows(store, Place("dev", "r1", "x"))


def test_damage_is_an_error_and_no_row(tmp_path):
    """A footer that was changed, and offsets that run backwards, are damage."""
    store = ObjectStore(tmp_path)
    store.at(namespace="dev", run="r1").put("t", a_table().select(["text"]))
    place = Place("dev", "r1", "t")
    file = tmp_path / key_of(place)
    good = file.read_bytes()
    looked = open_rows(store, place)
    start, length, _ = looked._first._blocks[0]
    offsets = start + length + int(looked._first._batches[0].buffers[1][0])
    file.unlink()
    file.write_bytes(good[:offsets] + b"\xff" * 4 + good[offsets + 4 :])
    with pytest.raises(CorruptObjectError):
        open_rows(store, place).window(0, 5, [0], MIB)
    file.write_bytes(good[:-200] + b"\0" * 100 + good[-100:])
    with pytest.raises(CorruptObjectError):
        open_rows(store, place).window(0, 5, [0], MIB)


def test_the_beginning_of_a_file_is_read_alone(far):
    """Of a large file far away only its first bytes are read."""
    far.at(namespace="dev", run="r1").put("x.bin", bytes(range(256)) * 40_000)
    data, entry = read_start(far, Place("dev", "r1", "x.bin"), 100)
    assert (bytes(range(100)), 10_240_000) == (bytes(data), entry.size)
    assert (100, 0) == (far.backend.read_bytes, far.backend.whole)

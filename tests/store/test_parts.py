"""get(columns=…) of an object far away reads these columns and no others."""

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runstore import ObjectStore
from runstore.buffers import flat
from runstore.errors import CorruptObjectError, InvalidRequestError, UnsafePickleError
from runstore.places._memory import MemoryBackend
from runstore.store import _columns
from runstore.testing import assert_same

ROWS = 40_000


class Far(MemoryBackend):
    """Memory that is read as a far place is, and counts the bytes that come from there."""

    guarantees = replace(MemoryBackend.guarantees, mapped=False)

    def __init__(self):
        super().__init__("far")
        self.reads = []
        self.before_read = lambda: None

    def get(self, key):
        data, entry = super().get(key)
        self.reads.append(entry.size)
        return bytearray(flat(data)), entry

    def tail(self, key, length):
        data, entry = super().tail(key, length)
        self.reads.append(flat(data).nbytes)
        return data, entry

    def read(self, key, start, length, version):
        self.before_read()
        self.reads.append(length)
        return super().read(key, start, length, version)


@pytest.fixture
def far(monkeypatch):
    """Give a view of a store whose backend is `Far`."""
    backend = Far()
    store = ObjectStore("memory://far")
    monkeypatch.setattr(store._objects, "backend", backend)
    view = store.at(namespace="dev", run="r1")
    yield view
    for info in view.list():
        view.delete(info.name)


def columns(count=16):
    rng = np.random.default_rng(1)
    return {f"c{i}": rng.random(ROWS) for i in range(count)}


def frame():
    index = pd.date_range("2026-01-01", periods=ROWS, freq="s", name="time")
    mixed = {"text": [f"row {i}" for i in range(ROWS)], "flag": np.arange(ROWS) % 3 == 0}
    return pd.DataFrame(columns() | mixed, index=index)


TABLES = {
    "pandas": frame,
    "arrow": lambda: pa.table(columns()),
    "batches": lambda: pa.concat_tables([pa.table(columns(4))] * 4),
    "polars": lambda: pl.DataFrame(columns()),
    "pandas.parquet": frame,
}


@pytest.mark.extended
@pytest.mark.parametrize("name", TABLES)
def test_columns_come_as_from_the_whole(far, name):
    """Each column, alone and in any order, is what the whole value has."""
    value = TABLES[name]()
    far.put(name, value)
    for wanted in (["c3"], ["c2", "c0"], *([[]] if name != "polars" else [])):  # it forgets rows
        expected = value[wanted] if isinstance(value, pd.DataFrame) else value.select(wanted)
        assert_same(expected, far.get(name, columns=wanted))


@pytest.mark.parametrize("name", TABLES)
def test_one_of_sixteen_is_an_eighth_at_most(far, name):
    """One column of sixteen takes no more than an eighth of the bytes, in two or three reads."""
    size = far.put(name, TABLES[name]()).size
    reads = far.store.backend.reads
    reads.clear()
    far.get(name, columns=["c1"])
    # "batches" has four columns; the index comes too, and is much of a compressed file.
    share = {"batches": 3, "pandas.parquet": 7}.get(name, 8)
    assert sum(reads) <= size / share
    assert len(reads) <= (3 if name in ("pandas", "pandas.parquet") else 2)


def row_groups():
    """Give what pyarrow reads of a Parquet file of 100 row groups, text included."""
    file = pa.BufferOutputStream()
    texts = {"c5": [f"row {i}" for i in range(ROWS)]}
    pq.write_table(pa.table(columns() | texts), file, row_group_size=ROWS // 100)
    return pq.read_table(pa.BufferReader(file.getvalue()))


def with_labels():
    labels = pa.DictionaryArray.from_arrays(
        pa.array(np.arange(400, dtype="i4") % 3), ["a", "b", "c"]
    )
    part = pa.table({f"c{i}": np.arange(400.0) + i for i in range(15)} | {"c15": labels})
    return pa.concat_tables([part] * 100)


def pieces(count, kind=pa.Table):
    parts = [{f"c{i}": np.arange(ROWS / count) + i for i in range(16)} for _ in range(count)]
    if kind is pl.DataFrame:
        return pl.concat([pl.DataFrame(part) for part in parts], rechunk=False)
    return pa.concat_tables([pa.table(part) for part in parts])


MANY = {
    "100 batches": lambda: pieces(100),
    "1,000 batches": lambda: pieces(1000),
    "row groups": row_groups,
    "polars chunks": lambda: pieces(100, pl.DataFrame),
    "labels": with_labels,
}


@pytest.mark.extended
@pytest.mark.parametrize("name", MANY)
def test_many_batches_take_as_few_reads_as_one(far, name):
    """A table of many batches is stored as one: a column is two reads, three with labels."""
    value = MANY[name]()
    size = far.put("x", value).size
    reads = far.store.backend.reads
    for wanted in (["c1"], ["c5"], ["c15", "c14"]):
        reads.clear()
        assert_same(value.select(wanted), far.get("x", columns=wanted))
        assert len(reads) <= (3 if name == "labels" else 2)
        assert sum(reads) <= size / 4


@pytest.mark.extended
@pytest.mark.parametrize("count", [2, 100, 1000])
def test_batches_of_other_programs_never_cost_more_than_the_whole(far, count):
    """Files of many small batches, as others write them, take a few reads, or one more than all."""
    value = pieces(count)
    file = pa.BufferOutputStream()
    with pa.ipc.new_file(file, value.schema) as writer:
        writer.write_table(value)
    size = file.tell()
    far.store.backend.put("dev/r1/x.arrow", [file.getvalue()])
    reads = far.store.backend.reads
    for wanted in (["c1"], ["c2", "c13"]):
        reads.clear()
        assert_same(value.select(wanted), far.get("x", columns=wanted))
        assert len(reads) <= 5
        assert sum(reads) <= size * 1.1


def test_columns_that_lie_apart_are_read_side_by_side(far):
    """Eight of sixteen columns are eight ranges at the most, and no more than the whole."""
    value = pa.table({f"c{i}": np.arange(20.0 * ROWS) + i for i in range(16)})
    size = far.put("x", value).size
    reads = far.store.backend.reads
    reads.clear()
    wanted = [f"c{i}" for i in range(0, 16, 2)]
    assert far.get("x", columns=wanted).equals(value.select(wanted))
    assert 9 == len(reads)
    assert sum(reads) <= size * 0.51


def test_the_result_is_writable(far):
    """What was read in part is the caller's own."""
    far.put("x", frame())
    part = far.get("x", columns=["c1", "c2"])
    part.iloc[0, 0] = 5.0
    assert part.iloc[0, 0] == 5.0
    assert far.get("x", columns=["c1"]).iloc[0, 0] != 5.0


def test_a_small_object_is_read_whole(far):
    """Below a megabyte all of it is read at once."""
    far.put("x", pd.DataFrame({"a": [1, 2], "b": [3, 4]}))
    assert far.get("x", columns=["b"])["b"].to_list() == [3, 4]


def test_an_object_replaced_meanwhile_is_read_again(far):
    """One version is read, the old or the new one, never columns of both."""
    old, new = pa.table(columns()), pa.table({f"c{i}": np.full(ROWS, 7.0) for i in range(16)})
    backend = far.store.backend
    for number in range(1, 4):
        far.put("x", old)
        calls = iter(range(1, 100))

        def replace(calls=calls, number=number):
            if next(calls) == number:
                backend.before_read = lambda: None
                far.put("x", new)

        backend.before_read = replace
        got = far.get("x", columns=["c0", "c9"])
        backend.before_read = lambda: None
        assert got in (old.select(["c0", "c9"]), new.select(["c0", "c9"]))


def test_errors_are_those_of_the_whole(far):
    """A column that is not there, a value without columns, a damaged footer: the same errors."""
    far.put("x", frame())
    far.put("array", np.zeros(ROWS * 5))
    with pytest.raises(InvalidRequestError, match="no column 'c99'"):
        far.get("x", columns=["c99"])
    with pytest.raises(InvalidRequestError, match="no table"):
        far.get("array", columns=["a"])
    objects, key = far.store.backend._space.objects, "dev/r1/x.arrow"
    stored = bytearray(flat(MemoryBackend("far").get(key)[0]))
    stored[-200] ^= 1
    far.store.backend.put(key, [stored])
    assert key in objects
    with pytest.raises(CorruptObjectError, match="dev/r1/x"):
        far.get("x", columns=["c1"])


def test_policies_hold_for_parts(far):
    """A pickled column is not loaded under 'deny'; columns beside it are."""
    value = pd.DataFrame(columns(4) | {"any": [NormalDist(i % 9) for i in range(ROWS)]})
    assert far.put("x", value).size > _columns._WORTH_PARTS
    assert_same(value[["c1"]], far.get("x", columns=["c1"], pickle="deny"))
    with pytest.raises(UnsafePickleError):
        far.get("x", columns=["any"], pickle="deny")
    assert_same(value[["any"]], far.get("x", columns=["any"]))

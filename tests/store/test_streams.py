"""iter_batches() and scan(): a stored table, some rows at a time, each of them checked."""

import json
import pickle
import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest
import xxhash

from runstore import ObjectStore, get_run_context, object_store, run_context
from runstore.buffers import flat
from runstore.containers import _piecewise
from runstore.containers._seal import footer_start, reseal
from runstore.errors import (
    CorruptObjectError,
    InvalidRequestError,
    ObjectNotFoundError,
    PreconditionFailedError,
    RunStoreError,
    UnsupportedValueError,
)
from runstore.places._memory import MemoryBackend
from runstore.store import _stream_file
from runstore.testing import assert_same

ROWS, PIECES = 4_000, 16
NAMES = ["x", "x.parquet"]


class Far(MemoryBackend):
    """Memory that is read as a far place is, and counts the bytes that come from there."""

    guarantees = replace(MemoryBackend.guarantees, mapped=False)

    def __init__(self):
        super().__init__("far-streams")
        self.reads = []

    def get(self, key, **how):
        data, entry = super().get(key, **how)
        self.reads.append(entry.size)
        return bytearray(flat(data)), entry

    def tail(self, key, length):
        data, entry = super().tail(key, length)
        self.reads.append(flat(data).nbytes)
        return data, entry

    def read(self, key, start, length, version):
        self.reads.append(length)
        return super().read(key, start, length, version)


@pytest.fixture(autouse=True)
def pieces_of_any_size(monkeypatch):
    """Let each piece that is written be one in the file."""
    monkeypatch.setattr(_stream_file, "_LEAST", 1)


@pytest.fixture
def far(monkeypatch):
    """Give a view of a store whose backend is `Far`."""
    store = ObjectStore("memory://far-streams")
    monkeypatch.setattr(store._objects, "backend", Far())
    yield store.at(namespace="dev", run="r1")
    store.close()


@pytest.fixture(params=["local", "far"])
def view(request, tmp_path):
    if request.param == "far":
        return request.getfixturevalue("far")
    return ObjectStore(tmp_path / "store").at(namespace="dev", run="r1")


def table(piece, columns=16):
    rng = np.random.default_rng(piece)
    numbers = {f"c{i}": rng.random(ROWS) for i in range(columns - 1)}
    return pa.table({"k": np.arange(piece * ROWS, (piece + 1) * ROWS), **numbers})


def write(view, name, pieces=PIECES, make=table):
    made = [make(piece) for piece in range(pieces)]
    with view.writer(name) as w:
        w.write_all(made)
    return pa.concat_tables(made) if isinstance(made[0], pa.Table) else made


@pytest.mark.parametrize("name", NAMES)
def test_batches_are_the_table(view, name):
    """As they are stored, of a size, of columns, as another type; one version of it."""
    whole = write(view, name, 4)
    found = list(view.iter_batches(name))
    assert [ROWS] * 4 == [batch.num_rows for batch in found]
    assert {pa.RecordBatch} == set(map(type, found))
    assert_same(whole, pa.Table.from_batches(found))
    sized = list(view.iter_batches(name, batch_rows=3_000, columns=["c2", "k"]))
    assert [3_000] * 5 + [1_000] == [batch.num_rows for batch in sized]
    assert_same(whole.select(["c2", "k"]), pa.Table.from_batches(sized))
    frames = list(view.iter_batches(name, as_type=pl.DataFrame, verify=True))
    assert_same(pl.from_arrow(whole), pl.concat(frames))
    for how in ({"columns": ["nope"]}, {"batch_rows": 0}, {"as_type": "list"}):
        with pytest.raises(InvalidRequestError):
            view.iter_batches(name, **how)
    with pytest.raises(ObjectNotFoundError):
        view.iter_batches("nothing")


def test_an_object_that_was_put_whole_is_cut(view):
    """A frame, series, table and array of the libraries, and a .csv; nothing else has rows."""
    frame = pd.DataFrame({"a": np.arange(10), "o": [object] * 10})
    view.put("x", frame)
    batches = list(view.iter_batches("x", batch_rows=4))
    assert [4, 4, 2] == list(map(len, batches))
    assert_same(frame, pd.concat(batches))
    view.put("x", pl.DataFrame({"a": range(5)}))
    assert [3, 2] == [b.height for b in view.iter_batches("x", batch_rows=3)]
    view.put("x.csv", pd.DataFrame({"a": range(5)}))
    assert [3, 2] == [len(b) for b in view.iter_batches("x.csv", batch_rows=3)]
    view.put("x", "text")
    for call in (view.iter_batches, view.scan):
        with pytest.raises(RunStoreError, match="dev/r1/x"):
            call("x")


@pytest.mark.parametrize("name", NAMES)
def test_only_what_is_needed_is_read(far, name, monkeypatch):
    """A filter on a sorted column reads one piece of 16; one column of 16 about a sixteenth."""
    monkeypatch.setattr(_piecewise, "_WHOLE", 1)  # these pieces are small ones
    monkeypatch.setattr(_piecewise, "_GAP", 1 << 10)
    write(far, name)
    size, reads = far.stat(name).size, far.store.backend.reads
    for filters in ([("k", "==", 5 * ROWS + 7)], pc.field("k") >= 15 * ROWS):
        reads.clear()
        assert len(far.get(name, filters=filters)) in (1, ROWS)
        assert sum(reads) < size * 2 / PIECES
    for call in (
        lambda: list(far.iter_batches(name, columns=["c3"])),
        lambda: far.scan(name).to_table(columns=["c3"]),
    ):
        reads.clear()
        call()
        assert sum(reads) < size / 8 + 150_000  # and messages, footers, gaps that are read along
    reads.clear()
    assert PIECES * ROWS == far.scan(name).count_rows()
    assert sum(reads) < 100_000


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", [{}, {"columns": ["c1"]}, {"filters": [("k", ">", ROWS)]}])
def test_a_flipped_bit_is_found(view, name, how):
    """In what is read whole by its digest; with verify=True also in what is read in part."""
    if not isinstance(view.store.backend, MemoryBackend):
        write(view, name, 3)
        path = next(Path(view.store.url.removeprefix("file://")).rglob(f"{name}*"))
        data = bytearray(path.read_bytes())
        found = 0
        for at in range(len(data) // 3 + 777, len(data) - 3000, len(data) // 23):
            data[at] ^= 4
            path.write_bytes(data)
            with pytest.raises(CorruptObjectError, match=r"dev/r1/x"):
                list(view.iter_batches(name, verify=True, **how))
            try:
                list(view.iter_batches(name, **how))
            except CorruptObjectError:
                found += 1
            data[at] ^= 4
        assert found or how
        path.write_bytes(data)
        list(view.iter_batches(name, **how))


def test_a_damaged_list_of_pieces_is_refused(view):
    """It is under the footer's digest; one that was made to fit is read with care."""
    from runstore.containers._pieces import Pieces

    good = {"ends": [10, 20], "rows": [1, 2], "xxh3": ["a" * 32] * 2, "ranges": {"0": [None] * 2}}
    assert [0, 10] == Pieces.from_json(json.dumps(good).encode(), 20, "x").starts
    for wrong in (
        {"ends": [20, 10]}, {"ends": [10, 21]}, {"ends": [10, -1]}, {"ends": [10]}, {"ends": 1},
        {"rows": ["a", 1]}, {"rows": [True, 1]}, {"xxh3": [1, 2]}, {"ranges": {"x": [None, None]}},
        {"ranges": {"0": [[1, 2], None]}}, {"ranges": {"0": [[1, {}, True], None]}},
        {"ranges": []}, {"ranges": {"0": [[10**30, 1, True], None]}},
    ):  # fmt: skip
        with pytest.raises(CorruptObjectError, match="list of pieces"):
            Pieces.from_json(json.dumps(good | wrong).encode(), 20, "x")


@pytest.mark.extended
@pytest.mark.parametrize("name", NAMES)
def test_a_reader_keeps_its_version_or_is_told(view, name):
    """On a disk the old table is read to its end; far away the next batch raises."""
    whole = write(view, name, 6)
    batches, scan = view.iter_batches(name), view.scan(name)
    first = next(batches)
    view.put(name, pa.table({"other": [1]}))
    if view.store.guarantees.mapped:
        assert_same(whole, pa.Table.from_batches([first, *batches]))
        assert_same(whole, scan.to_table())
    else:
        with pytest.raises(PreconditionFailedError):
            list(batches)
        with pytest.raises(PreconditionFailedError):
            scan.to_table()
    with pytest.raises(PreconditionFailedError, match="scan"):
        pickle.loads(pickle.dumps(scan))


@pytest.mark.extended
@pytest.mark.parametrize("name", NAMES)
def test_a_scan_is_a_dataset(view, name):
    """Columns, filters and fragments, again and again; code that goes past its methods is told."""
    whole = write(view, name, 4)
    scan = view.scan(name)
    assert isinstance(scan, ds.Dataset)
    assert whole.schema == scan.schema
    for _ in range(2):
        assert_same(whole, scan.to_table())
    some = scan.to_table(columns=["c1", "k"], filter=pc.field("k") < 5)
    assert_same(whole.select(["c1", "k"]).slice(0, 5), some)
    doubled = scan.to_table(columns={"twice": pc.field("k") * 2})
    assert_same(pc.multiply(whole["k"], 2).to_pylist(), doubled["twice"].to_pylist())
    assert 3 == scan.head(3).num_rows
    assert (4 * ROWS, 7) == (scan.count_rows(), scan.count_rows(pc.field("k") < 7))
    parts = list(scan.get_fragments(pc.field("k") >= 3 * ROWS))
    assert [ROWS] == [part.count_rows() for part in parts]
    assert ROWS == pickle.loads(pickle.dumps(parts[0])).to_table().num_rows
    with pytest.raises(NotImplementedError, match="its own methods"):
        ds.dataset([scan]).to_table()
    with pytest.raises(InvalidRequestError, match="no column 'nope'"):
        scan.to_table(columns=["nope"])


def test_polars_and_duckdb_read_a_scan(view):
    """With the columns and filters that they push down; text of polars, too."""
    duckdb = pytest.importorskip("duckdb")
    text = "long enough for a view"
    frames = [pl.DataFrame({"k": [i, i + 10], "s": [f"t{i}", text]}) for i in (1, 2)]
    with view.writer("x") as w:
        w.write_all(frames)
    scan = view.scan("x")
    lazy = pl.scan_pyarrow_dataset(scan)
    assert 26 == lazy.select(pl.col("k").sum()).collect().item()
    assert [2] == lazy.filter(pl.col("s") == "t2").collect()["k"].to_list()
    assert (26, 4) == duckdb.sql("select sum(k), count(*) from scan").fetchall()[0]
    assert [(2,)] == duckdb.sql("select k from scan where s = 't2'").fetchall()


def test_what_arrow_has_no_type_for_cannot_be_scanned(view):
    """As get(as_type=pyarrow.Table) says it."""
    with view.writer("x") as w:
        w.write_all([pd.DataFrame({"a": [1j]})] * 2)
    with pytest.raises(UnsupportedValueError, match="complex"):
        view.scan("x")
    assert [1j, 1j] == [b["a"].iloc[0] for b in view.iter_batches("x")]


def test_objects_of_parts_are_read_part_by_part(view):
    """In the order of their keys, each in its pieces; filters hold for all."""
    for key in (1, 0):
        view.put("x", iter([table(2 * key, 3), table(2 * key + 1, 3)]), part=key)
    view.seal("x")
    whole = pa.concat_tables([table(i, 3) for i in range(4)])
    assert_same(whole, view.get("x"))
    assert_same(whole, pa.Table.from_batches(list(view.iter_batches("x"))))
    assert_same(whole.slice(ROWS - 1, 2), view.get("x", filters=[("k", "in", [ROWS - 1, ROWS])]))
    scan = view.scan("x")
    assert_same(whole, scan.to_table())
    assert 2 == len(list(scan.get_fragments()))
    assert_same(whole, pickle.loads(pickle.dumps(scan)).to_table())
    assert 5 == scan.to_table(columns=["c1"], filter=pc.field("k") < 5).num_rows


def test_forged_pieces_crash_nobody(tmp_path):
    """Bits flipped under digests that were made to fit: rows, or an error of ours."""
    view = ObjectStore(tmp_path, pickle="deny").at(namespace="dev", run="r1")
    rows = {"s": [f"row {i}" if i % 5 else None for i in range(200)]}
    rows |= {"l": [[i] * (i % 4) for i in range(200)]}
    write(view, "x", 3, lambda piece: pa.table(rows))
    path = next(tmp_path.rglob("x.arrow"))
    good = path.read_bytes()
    start = footer_start(good[-10:], len(good), "x")
    text = pa.ipc.open_file(pa.py_buffer(good)).metadata[b"runstore.pieces"]
    told = json.loads(text)
    dice, refused = random.Random(20261128), 0
    for _ in range(80):
        body = bytearray(good[:start])
        body[dice.randrange(start)] ^= 1 << dice.randrange(8)
        spans = pairwise([0, *told["ends"]])
        told["xxh3"] = [xxhash.xxh3_128_hexdigest(body[a:b]) for a, b in spans]
        forged = json.dumps(told, separators=(",", ":")).encode()
        path.write_bytes(bytes(body) + reseal(good[start:], text, forged))
        for call in (
            lambda: [batch.to_pylist() for batch in view.iter_batches("x")],
            lambda: view.scan("x").to_table(columns=["l"]).to_pylist(),
            lambda: view.get("x", filters=[("s", "==", "row 1")]).to_pylist(),
        ):
            try:
                call()
            except RunStoreError:
                refused += 1
    assert refused > 20


def test_what_the_pieces_raise_comes_out_as_it_is(tmp_path):
    """An error of the code that makes pieces is its own, and the old object is as it was."""
    view = ObjectStore(tmp_path).at(namespace="n", run="r")
    view.put("x", "old")

    def pieces(error):
        yield pa.table({"a": [1]})
        raise error

    for error in (ConnectionResetError("theirs"), ValueError("theirs"), KeyError("theirs")):
        with pytest.raises(type(error), match="theirs") as caught:
            view.put("x", pieces(error))
        assert caught.value is error
    assert "old" == view.get("x")


def test_pieces_may_put_themselves(tmp_path):
    """They are made in the caller's thread and context, and may use the store."""
    with run_context(store=tmp_path):

        def pieces():
            for number in range(3):
                object_store.put(f"seen/{number}", get_run_context().run.name)
                yield pa.table({"a": [number]})

        object_store.put("x", pieces())
        assert 3 == len(object_store.get("x"))
        assert 3 == len(object_store.list("seen/"))


def test_a_scan_is_filtered_where_it_is_read(tmp_path):
    """A dataset that pyarrow would make of it is refused, with the way out."""
    view = ObjectStore(tmp_path).at(namespace="n", run="r")
    view.put("x", pa.table({"a": [1, 2]}))
    with pytest.raises(InvalidRequestError, match="give filter= to scanner"):
        view.scan("x").filter(pc.field("a") == 1)
    assert 1 == len(view.scan("x").to_table(filter=pc.field("a") == 1))

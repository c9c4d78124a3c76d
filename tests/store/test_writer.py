"""writer(): a table that is written piece by piece, and is there when its block has ended well."""

import os
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from tests.places.s3_ import ENGINES, STORES, options

from runstore import ObjectStore
from runstore.context import Lease
from runstore.errors import (
    InvalidRequestError,
    ObjectExistsError,
    PreconditionFailedError,
    StaleRunError,
    StorageError,
    UnsupportedValueError,
)
from runstore.store import _stream_file
from runstore.testing import assert_same

ROWS = 2_000
NAMES = ["events", "events.parquet"]


@pytest.fixture(params=[*STORES, pytest.param("fsspec", marks=pytest.mark.extended)])
def store(request, tmp_path):
    """Give a store on each kind of place."""
    if request.param == "fsspec":
        fsspec = pytest.importorskip("fsspec")
        fs = fsspec.get_filesystem_class("memory")(skip_instance_cache=True)
        return ObjectStore(fs=fs, root=f"/{uuid.uuid4()}")
    if request.param in ENGINES:
        server = request.getfixturevalue("moto_server")
        given = {"engine": request.param, **options(server)}
        return ObjectStore(f"s3://{server.new_bucket()}/p", **given)
    return ObjectStore(f"memory://{uuid.uuid4()}" if request.param == "memory" else tmp_path)


@pytest.fixture
def view(store):
    return store.at(namespace="dev", run="r1")


@pytest.fixture
def local(tmp_path):
    return ObjectStore(tmp_path / "store").at(namespace="dev", run="r1")


def frame(piece, rows=ROWS):
    start = piece * rows
    return pd.DataFrame(
        {
            "x": np.arange(start, start + rows),
            "text": [f"row {i}" for i in range(rows)],
            "time": pd.date_range("2026-01-01", periods=rows, freq="s"),
            "part": pd.Categorical(["a", "b"] * (rows // 2)),
            "maybe": pd.array([None, True] * (rows // 2), dtype="boolean"),
        }
    )


def left_in(folder: Path) -> list[str]:
    """Return the files of a store, but for locks."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(str(f.relative_to(folder)) for f in files if ".runstore-locks" not in str(f))


PIECES = {
    "pandas": lambda: [frame(i) for i in range(3)],
    "polars": lambda: [pl.from_pandas(frame(i).drop(columns="part")) for i in range(3)],
    "arrow": lambda: [pa.Table.from_pandas(frame(i).drop(columns="part")) for i in range(3)],
}
JOINED = {
    "pandas": lambda pieces: pd.concat(pieces, ignore_index=True),
    "polars": pl.concat,
    "arrow": pa.concat_tables,
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", PIECES)
def test_what_is_written_in_pieces_comes_back_as_one(view, kind, name):
    """On every place; of the type of the pieces, with exact dtypes; described as by put."""
    pieces = PIECES[kind]()
    with view.writer(name, metadata={"k": 1}) as w:
        w.write(pieces[0])
        w.write_all(pieces[1:])
        assert not view.exists(name)
    assert 3 * ROWS == w.rows == w.info.rows
    assert w.info == view.stat(name)
    assert {"k": 1} == w.info.metadata
    assert_same(JOINED[kind](pieces), view.get(name, verify=True))
    view.copy(name, to_name=f"copy-{name}")
    assert_same(JOINED[kind](pieces), view.get(f"copy-{name}", verify=True))


def _failing(pieces):
    yield from pieces
    raise ZeroDivisionError


@pytest.mark.parametrize("name", NAMES)
def test_a_block_that_fails_leaves_the_old_object_and_nothing_else(view, name, store):
    """Whatever it raised comes out; a reader sees what it saw before."""
    view.put(name, frame(7))
    w = view.writer(name)
    with pytest.raises(ZeroDivisionError), w:
        w.write_all(_failing(PIECES["pandas"]()))
    assert_same(frame(7), view.get(name))
    with pytest.raises(InvalidRequestError, match="has not been stored"):
        w.info  # noqa: B018
    assert 0 == store.sweep(older_than=0)
    assert [name] == [info.name for info in view.list()]


@pytest.mark.parametrize("large", [False, True])
def test_the_table_is_published_in_one_step(local, large, monkeypatch):
    """Before the end there is one hidden file; after it that file is the object."""
    if not large:
        monkeypatch.setattr(_stream_file, "_LEAST", 1)
    folder = Path(local.store.url.removeprefix("file://"))
    with local.writer("events") as w:
        for piece in PIECES["pandas"]():
            w.write(piece)
        begun = left_in(folder)
        assert 1 == len(begun)
        assert begun[0].startswith(".runstore-tmp/")
    assert ["dev/r1/events.arrow"] == left_in(folder)


def test_conditions_hold_for_the_whole_table(view, store):
    """if_absent and if_match are looked at when it is published, and kept where the place can."""
    if not store.guarantees.create or not store.guarantees.compare_and_swap:
        pytest.skip("this place has no conditions")
    with view.writer("x", if_absent=True) as w:
        w.write(frame(0))
    with pytest.raises(ObjectExistsError), view.writer("x", if_absent=True) as other:
        other.write(frame(1))
    with view.writer("x", if_match=w.info.version) as w2:
        w2.write(frame(2))
    with pytest.raises(PreconditionFailedError), view.writer("x", if_match=w.info.version) as w3:
        w3.write(frame(3))
    assert_same(frame(2), view.get("x"))


REFUSED = {
    "another type": (pd.DataFrame({"a": [1.5]}), "column 'a' is float64, .* int64"),
    "a missing column": (pd.DataFrame({"b": [1]}), "no column 'a'"),
    "one more column": (pd.DataFrame({"a": [1], "b": [1]}), "a column 'b'"),
    "another library": (
        pa.table({"a": [1]}),
        r"pyarrow.lib.Table, .* pandas\.(core\.frame\.)?DataFrame",
    ),
    "another index": (pd.DataFrame({"a": [1]}, index=["x"]), "index"),
    "rows of elsewhere": (pd.DataFrame({"a": [1]}, index=range(7, 8)), "begins at 7"),
    "no table": ([1, 2], "not a pyarrow Table"),
    "objects": (pd.DataFrame({"a": [object()]}), "column 'a' is object"),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", REFUSED)
def test_a_piece_that_does_not_fit_is_refused_and_the_writer_goes_on(local, what, name):
    """The message names the object, the column and the type; the piece counts as not given."""
    piece, said = REFUSED[what]
    with local.writer(name) as w:
        w.write(pd.DataFrame({"a": [1]}))
        with pytest.raises(UnsupportedValueError, match=f"dev/r1/{name}: .*{said}"):
            w.write(piece)
        w.write(pd.DataFrame({"a": [2]}))
    assert_same(pd.DataFrame({"a": [1, 2]}), local.get(name))


def test_other_categories_are_refused(local):
    """An Arrow file has one dictionary for a column."""
    with local.writer("x") as w:
        w.write(pd.DataFrame({"a": pd.Categorical(["x"])}))
        with pytest.raises(UnsupportedValueError, match="'a' has other categories"):
            w.write(pd.DataFrame({"a": pd.Categorical(["y"])}))
    with local.writer("y") as w:
        w.write(pa.table({"a": pa.array(["x"]).dictionary_encode()}))
        with pytest.raises(UnsupportedValueError, match="'a' has other categories"):
            w.write(pa.table({"a": pa.array(["y"]).dictionary_encode()}))


def test_what_only_a_pickle_could_keep_is_refused(local):
    """Also in the first piece; nothing of the table is stored then."""
    refused = pytest.raises(UnsupportedValueError, match="pickle could keep column 'a'")
    with refused, local.writer("x") as w:
        w.write(pd.DataFrame({"a": [object()]}))
    assert [] == local.list()


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_says_what_the_pieces_are(local, name):
    """It is kept, with its metadata; a table without rows has its columns."""
    schema = pa.schema([pa.field("a", pa.int32()), pa.field("b", pa.string())], {"k": "v"})
    refused = pytest.raises(UnsupportedValueError, match=r"'a' is int64, .* given int32")
    with local.writer(name, schema) as w, refused:
        w.write(pa.table({"a": [1], "b": ["x"]}))
    assert_same(schema.empty_table(), local.get(name))
    piece = pa.table({"a": [1], "b": ["x"]}, schema=schema.remove_metadata())
    with local.writer(name, schema) as w:
        w.write_all(piece.to_batches())
    assert_same(piece.replace_schema_metadata({"k": "v"}), local.get(name))


def test_without_a_piece_and_a_schema_there_is_no_table(local):
    """Nobody knows its columns; nothing is stored."""
    refused = pytest.raises(UnsupportedValueError, match="dev/r1/x: nothing was written")
    with refused, local.writer("x"):
        pass
    assert [] == local.list()


@pytest.mark.parametrize("name", NAMES)
def test_the_index_of_pandas_goes_on(local, name):
    """Ranges that begin anew, or go on, are one range; other indexes are joined; empty is empty."""
    with local.writer(name) as w:
        w.write(pd.DataFrame({"a": [1.0, 2.0]}).iloc[:0])
        w.write(pd.DataFrame({"a": [1.0, 2.0]}))
        w.write(pd.DataFrame({"a": [9.0]}).iloc[:0])
        w.write(pd.DataFrame({"a": [3.0, 4.0]}))
    assert_same(pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0]}), local.get(name))
    whole = pd.DataFrame({"a": [1.0, 2.0, 3.0]}, index=pd.RangeIndex(10, 16, 2, name="n"))
    with local.writer(name) as w:
        w.write_all([whole.iloc[:1], whole.iloc[1:]])
    assert_same(whole, local.get(name))
    labelled = pd.DataFrame({"a": [1.0, 2.0]}, index=pd.Index([7, 3], name="id"))
    ranged = pd.DataFrame({"a": [5.0, 6.0]}, index=pd.RangeIndex(2, name="id"))
    with local.writer(name) as w:
        w.write_all([labelled, ranged])
    assert_same(pd.concat([labelled, ranged]), local.get(name))


@pytest.mark.parametrize("rows", [10, 1_200_000])
def test_the_memory_of_a_piece_may_be_used_again(local, rows):
    """Small pieces, which are gathered, and large ones, too: write() is done with them."""
    memory = np.zeros(rows)
    with local.writer("x") as w:
        for piece in range(3):
            memory[:] = piece
            w.write(pd.DataFrame({"a": memory}, copy=False))
        memory[:] = -1
    assert [0.0] * rows + [1.0] * rows + [2.0] * rows == local.get("x", verify=True)["a"].tolist()


@pytest.mark.extended
def test_small_pieces_are_gathered_and_large_ones_are_cut(local):
    """So that a piece of the file is neither a few rows nor all of a table."""
    with local.writer("small") as w:
        for piece in range(2_000):
            w.write(pa.table({"a": np.full(1_000, float(piece))}))
    assert 2 == len(list(local.iter_batches("small")))
    with local.writer("large") as w:
        w.write(pa.table({"a": np.arange(12_000_000.0)}))
    assert [4_000_000] * 3 == [batch.num_rows for batch in local.iter_batches("large")]


def test_metadata_is_what_it_was_when_the_writer_was_made(local):
    """What the caller does to its dict later changes neither what is stored nor what was told."""
    metadata = {"made": {"by": "a"}}
    with local.writer("x", metadata=metadata) as writer:
        metadata["made"]["by"] = object()
        writer.write(frame(0))
    assert {"made": {"by": "a"}} == local.stat("x").metadata
    metadata["made"]["by"] = "b"
    info = local.put("y", 1, metadata=metadata)
    metadata["made"]["by"] = "c"
    assert {"made": {"by": "b"}} == info.metadata == local.stat("y").metadata


@pytest.mark.extended
def test_several_writers_at_once(store):
    """More large ones than a store sends at a time: none waits for another one's block."""
    view = store.at(namespace="dev", run="r1")
    large = pa.table({"a": np.arange(1_300_000.0)})  # larger than one request takes
    with view.writer("a") as a, view.writer("b") as b, view.writer("c") as c:
        for w in (a, b, c, a, b, c):
            w.write(large)
        view.put("d", large)
    for name in "abc":
        assert 2_600_000 == view.stat(name).rows


def test_a_writer_has_one_block(local):
    """Before it, after it, a second one, and with what is no table: one clear error."""
    w = local.writer("x")
    with pytest.raises(InvalidRequestError, match="has not begun"):
        w.write(frame(0))
    with w:
        w.write(frame(0))
        with pytest.raises(InvalidRequestError, match="call write"):
            w.write_all(frame(0))
        with pytest.raises(InvalidRequestError, match="several tables"):
            w.write_all("abc")
    with pytest.raises(InvalidRequestError, match="is over"):
        w.write(frame(0))
    with pytest.raises(InvalidRequestError, match="a second time"), w:
        pass
    with pytest.raises(UnsupportedValueError, match="csv is written whole"):
        local.writer("x.csv")
    with pytest.raises(InvalidRequestError, match=r"a pyarrow.Schema or None"):
        local.writer("x", {"a": "int64"})


def test_a_forked_child_writes_nothing(local):
    """It cannot go on with the writer, and leaving the block there does not end it here."""
    with local.writer("x") as w:
        w.write(frame(0))
        pid = os.fork()
        if not pid:
            status = 1
            try:
                w.write(frame(1))
            except InvalidRequestError:
                w.__exit__(None, None, None)
                status = 0
            finally:
                os._exit(status)
        assert 0 == os.waitpid(pid, 0)[1]
        w.write(frame(1))
    assert 2 * ROWS == len(local.get("x"))


def test_code_that_was_given_up_cannot_publish(local):
    """A writer of an attempt that has ended is refused at its last look."""
    lease = Lease(os.urandom(8).hex(), "attempt 1 of stage 's' of run 'dev/r1'")
    local._lease = lease

    def pieces():
        yield frame(0)
        lease.revoke("it was given up")

    with pytest.raises(StaleRunError), local.writer("x") as w:
        w.write_all(pieces())
    assert [] == local.list()
    assert [] == left_in(Path(local.store.url.removeprefix("file://")))


def test_a_place_that_fails_says_so_at_the_next_piece(local, monkeypatch):
    """As put would: the block ends by the place's error, and the old object is there."""
    from runstore.places import _local_write

    local.put("x", 1)
    real, written = os.write, []

    def failing(fd, data):
        written.append(len(data))
        if sum(written) > 20 << 20:
            raise OSError(28, "No space left on device")
        return real(fd, data)

    monkeypatch.setattr(_local_write.os, "write", failing)
    with pytest.raises(StorageError, match="free some space"), local.writer("x") as w:
        w.write_all(pa.table({"a": np.arange(1_300_000.0)}) for _ in range(100))
    assert len(written) < 60
    monkeypatch.undo()
    assert 1 == local.get("x")
    assert ["dev/r1/x.arrow"] == left_in(Path(local.store.url.removeprefix("file://")))


def test_a_disk_that_is_really_full_leaves_the_old_object(tmp_path):
    """So it is on a real one; there is room again afterwards."""
    disk, mount = tmp_path / "disk", shutil.which("mount")
    disk.mkdir()
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    command = [mount, "-t", "tmpfs", "-o", "size=12m", "tmpfs", disk]
    if subprocess.run(command, check=False).returncode:
        pytest.skip("this machine does not let a disk be mounted")
    try:
        view = ObjectStore(disk).at(namespace="dev", run="r1")
        view.put("x", frame(0))
        full = pytest.raises(StorageError, match="free some space")
        with full, view.writer("x") as w:
            w.write_all(pa.table({"a": np.arange(1_300_000.0)}) for _ in range(9))
        assert_same(frame(0), view.get("x", verify=True))
        assert ["dev/r1/x.arrow"] == left_in(disk)
        with view.writer("x") as w:
            w.write(frame(1))
    finally:
        subprocess.run(["umount", disk], check=True)


_ENDLESS = """
import sys
import numpy as np, pyarrow as pa
from runstore import ObjectStore
view = ObjectStore(sys.argv[1]).at(namespace="dev", run="r1")
with view.writer(sys.argv[2]) as w:
    for i in range(1_000_000):
        w.write(pa.table({"a": np.full(1_200_000, float(i))}))
        if i == 3:
            print("ready", flush=True)
"""


@pytest.mark.extended
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_writer_leaves_the_old_value(tmp_path, sign, name):
    """After Ctrl-C there is nothing else; after kill -9 one hidden file, which sweep removes."""
    store = ObjectStore(tmp_path / "store")
    view = store.at(namespace="dev", run="r1")
    view.put(name, frame(0))
    command = [sys.executable, "-c", _ENDLESS, str(tmp_path / "store"), name]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as writer:
        assert "ready\n" == writer.stdout.readline()
        writer.send_signal(sign)
        said = writer.communicate(timeout=120)[1]
    assert_same(frame(0), view.get(name, verify=True))
    if sign == signal.SIGINT:
        assert "KeyboardInterrupt" in said
    left = 1 if sign == signal.SIGKILL else 0
    assert left == store.sweep(older_than=0)
    assert 1 == len(left_in(tmp_path / "store"))


SOURCES = {
    "iterator": lambda pieces: iter(pieces),
    "generator": lambda pieces: (piece for piece in pieces),
    "map": lambda pieces: map(pl.from_arrow, pieces),
    "reader": lambda pieces: pa.concat_tables(pieces).to_reader(500),
    "dataset": lambda pieces: _dataset(pieces),
    "scanner": lambda pieces: _dataset(pieces).scanner(batch_size=100),
    "relation": lambda pieces: _relation(pa.concat_tables(pieces)),
}


def _dataset(pieces):
    import pyarrow.dataset as ds

    return ds.dataset(pieces)


def _relation(table):
    duckdb = pytest.importorskip("duckdb")
    return duckdb.connect().from_arrow(table)


_STREAMS = hasattr(pl.LazyFrame, "collect_batches")  # since polars 1.34
if _STREAMS:
    SOURCES["query"] = lambda pieces: (
        pl.concat(map(pl.from_arrow, pieces)).lazy().filter(pl.col("x") >= 0)
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("source", SOURCES)
def test_put_streams_what_gives_tables(local, source, name):
    """An iterator, a reader, a query, a relation, a dataset: the rows are stored as they come."""
    pieces = [pa.table({"x": range(i, i + 1_000), "y": ["y"] * 1_000}) for i in (0, 1_000)]
    info = local.put(name, SOURCES[source](pieces), metadata={"k": 1})
    assert info == local.stat(name)
    got = local.get(name)
    assert isinstance(got, pl.DataFrame if source in ("map", "query") else pa.Table)
    assert list(range(2_000)) == got["x"].to_pylist() if hasattr(got, "num_rows") else True
    assert (2_000, 2) == tuple(got.shape)


def test_a_source_without_rows_is_a_table_without_rows(local):
    """Where the source itself knows its columns."""
    empty = pa.schema([("a", pa.int8())]).empty_table()
    local.put("reader", empty.to_reader())
    assert_same(empty, local.get("reader"))
    if _STREAMS:
        local.put("query", pl.LazyFrame({"a": [1]}).filter(pl.col("a") > 1))
        assert_same(pl.DataFrame({"a": [1]}).clear(), local.get("query"))


@pytest.mark.skipif(_STREAMS, reason="this polars gives the result of a query in batches")
def test_a_query_that_an_older_polars_gives_only_whole_is_refused(local):
    """The message has the version that is here, the first that can, and the way out."""
    with pytest.raises(UnsupportedValueError, match=r"polars 1\.\d+.*collect\(\) first.*1\.34"):
        local.put("query", pl.LazyFrame({"a": [1]}))
    assert not local.exists("query")


def test_what_an_iterator_raises_comes_out_and_touches_nothing(local):
    """It is the caller's own error."""

    def pieces():
        yield frame(0)
        raise ZeroDivisionError

    local.put("x", 1)
    with pytest.raises(ZeroDivisionError):
        local.put("x", pieces())
    for wrong, said in ((iter([1]), "no tables"), (iter([]), "gives no table")):
        with pytest.raises(UnsupportedValueError, match=f"dev/r1/x: .*{said}"):
            local.put("x", wrong)
    assert 1 == local.get("x")


def test_signed_tables_are_signed_in_pieces(tmp_path, monkeypatch):
    """The signature is that of the whole file, made on the way."""
    monkeypatch.setenv("RUNSTORE_SIGNING_KEY", "k" * 32)
    view = ObjectStore(tmp_path, pickle="signed").at(namespace="dev", run="r1")
    with view.writer("x") as w:
        w.write_all(PIECES["pandas"]())
    assert w.info.signed
    assert_same(JOINED["pandas"](PIECES["pandas"]()), view.get("x"))
    assert 3 * ROWS == sum(map(len, view.iter_batches("x")))
    assert ROWS == len(view.get("x", filters=[("x", "<", ROWS)]))

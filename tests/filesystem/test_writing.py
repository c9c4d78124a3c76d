"""A file that is written appears as a whole when it is closed, if `get` can read it, or never."""

import dataclasses
import gc
import json
import os
import pickle
import sys
from contextlib import ExitStack, contextmanager, suppress

import fsspec
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runstore import ObjectStore, run_context
from runstore.context import Lease, get_run_context, use_run_context
from runstore.errors import (
    InvalidNameError,
    InvalidRequestError,
    ObjectNotFoundError,
    StaleRunError,
    StorageError,
    UnsafePickleError,
    UnsupportedValueError,
)
from runstore.filesystem import RunstoreFileSystem

PATH = "dev/r1/x.json"


class GoneWrongError(Exception):
    pass


def test_nothing_is_there_before_it_is_closed(fs, view):
    """Readers see the old object until the file is closed, and then the new one."""
    view.put("x.json", "old")
    file = fs.open(PATH, "wb")
    file.write(b'"ne')
    file.flush()
    assert "old" == view.get("x.json")
    assert 4 == file.write(b'w"  ')
    assert 7 == file.tell()
    file.seek(1)
    file.write(b"N")
    file.seek(5)
    file.truncate()
    file.close()
    file.close()
    assert "New" == view.get("x.json")
    assert b'"New"' == fs.cat_file(PATH)
    with pytest.raises(ValueError, match="closed"):
        file.write(b"x")


@contextmanager
def by_generator(fs, path, mode):
    with fs.open(path, mode) as file:
        yield file


@contextmanager
def by_hand(fs, path, mode):
    with ExitStack() as stack:
        file = fs.open(path, mode)
        stack.callback(file.close)
        yield file


WAYS = {
    "the filesystem": lambda fs, mode: fs.open(PATH, mode),
    "fsspec.open": lambda fs, mode: fsspec.open(f"runstore://{PATH}", mode, store=fs.address.url),
    "a generator": lambda fs, mode: by_generator(fs, PATH, mode),
    "an exit stack": lambda fs, mode: by_hand(fs, PATH, mode),
}


@pytest.mark.parametrize("mode", ["wb", "w", "xb"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_an_exception_in_the_block_leaves_nothing(fs, view, way, mode):
    """An exception that leaves the block of a file drops it, however it was opened."""
    if mode != "xb":
        view.put("x.json", "old")
    with pytest.raises(GoneWrongError), way(fs, mode) as file:  # noqa: PT012
        file.write("1" if mode == "w" else b"1")
        raise GoneWrongError
    assert ("old" if mode != "xb" else None) == view.get("x.json", default=None)
    with way(fs, mode) as file:
        file.write("1" if mode == "w" else b"1")
    assert 1 == view.get("x.json")


def test_a_file_that_is_written_because_of_an_exception_is_kept(fs, view):
    """An exception that was there before, as in a handler or an exit, is not the file's."""

    class Report:
        def __enter__(self):
            return self

        def __exit__(self, kind, error, traceback):
            with fs.open("dev/r1/report.json", "w") as file:
                file.write('"left"')

    with pytest.raises(GoneWrongError), Report():
        raise GoneWrongError
    try:
        raise GoneWrongError
    except GoneWrongError:
        with fs.open("dev/r1/handled.json", "w") as file:
            file.write('"handled"')
        with suppress(GoneWrongError), fs.open("dev/r1/dropped.json", "w") as file:
            file.write('"dropped"')
            raise
    assert ["left", "handled"] == [view.get("report.json"), view.get("handled.json")]
    assert not view.exists("dropped.json")


def test_a_writer_of_a_library_that_fails_leaves_nothing(fs, view):
    """pyarrow closes what it has written so far, as a whole Parquet file: it is dropped, too."""
    schema = pa.schema({"a": pa.int64()})
    with (  # noqa: PT012
        pytest.raises(GoneWrongError),
        pq.ParquetWriter("dev/r1/x.parquet", schema, filesystem=fs) as writer,
    ):
        writer.write_table(pa.table({"a": [1]}))
        raise GoneWrongError
    assert [] == view.list()


@pytest.mark.extended
@pytest.mark.parametrize("text", [False, True])
def test_a_file_that_nobody_closes_is_dropped(fs, view, text):
    """What is freed without having been closed is not stored, and says so."""
    openers = [lambda: fs.open(PATH, "w" if text else "wb")]
    if text:
        openers.append(lambda: fsspec.open(f"runstore://{PATH}", "w", store=fs.fsid).open())
    for opener in openers:
        file = opener()
        file.write("1" if text else b"1")
        with pytest.warns(ResourceWarning, match="never closed: nothing was stored"):  # noqa: PT031
            del file
            gc.collect()
    file = fs.open(PATH, "w")
    file.write("1")
    file.buffer.discard()
    file.close()  # which writes what it has kept back: that is dropped, too
    assert [] == view.list()


def test_a_transaction_publishes_at_its_end_or_not_at_all(fs, view):
    """Files of an fsspec transaction appear when it ends; none does if it fails."""
    with fs.transaction:
        for name in "ab":
            with fs.open(f"dev/r1/{name}.json", "wb") as file:
                file.write(b"1")
        assert [] == view.list()
    assert ["a.json", "b.json"] == [info.name for info in view.list()]
    with pytest.raises(GoneWrongError), fs.transaction:  # noqa: PT012
        with fs.open("dev/r1/c.json", "wb") as file:
            file.write(b"1")
        raise GoneWrongError
    assert not view.exists("c.json")


def arrow(table):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write(table)
    return sink.getvalue().to_pybytes()


def saved(save, *args):
    from io import BytesIO

    file = BytesIO()
    save(file, *args)
    return file.getvalue()


TABLE = pa.table({"a": [1, 2], "b": ["x", None]})
FRAME = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
LARGE = pa.table({"a": np.arange(2_000_000)})  # 16 MB: collected in a file

TAKEN = {
    "arrow": ("t", arrow(TABLE), TABLE),
    "large arrow": ("t", arrow(LARGE), LARGE),
    "arrow, by polars": ("t", saved(FRAME.write_ipc), None),
    "parquet": ("t.parquet", saved(lambda f: pq.write_table(TABLE, f)), TABLE),
    "parquet, by polars": ("t.parquet", saved(lambda f: FRAME.write_parquet(f)), None),
    "json": ("t.json", b' { "a" : [1, 2.5, null] }\n', {"a": [1, 2.5, None]}),
    "npy": ("t.npy", saved(np.save, np.arange(6).reshape(2, 3)), np.arange(6).reshape(2, 3)),
    "csv": ("t.csv", b"a,b\n1,x\n2,\n", None),
    "pkl": ("t.pkl", pickle.dumps({1, 2}, protocol=2), {1, 2}),
}  # fmt: skip


@pytest.mark.parametrize(("name", "content", "value"), TAKEN.values(), ids=TAKEN)
def test_files_of_other_programs_are_read_by_get(fs, view, name, content, value):
    """What another program wrote is stored byte for byte, and get() reads it."""
    for given in (content, bytearray(content)):
        fs.pipe(f"runstore://dev/r1/{name}", given)
        assert content == fs.cat_file(f"dev/r1/{name}")
        fs.rm(f"dev/r1/{name}")
    with fs.open(f"dev/r1/{name}", "wb") as file:
        file.write(content)
    assert content == fs.cat_file(f"dev/r1/{name}")
    got = view.get(name)
    if isinstance(got, pd.DataFrame):
        got = pa.Table.from_pandas(got)
    if isinstance(got, pa.Table):
        assert (TABLE if value is None else value).to_pydict() == got.to_pydict()
    else:
        np.testing.assert_equal(got, value)


REFUSED = {
    "text": ("t", b"hello", "holds an Arrow file"),
    "nothing": ("t", b"", "it is empty"),
    "a stream": ("t", pa.ipc.new_stream, "do not end"),
    "cut arrow": ("t", arrow(TABLE)[:-9], "t"),
    "cut parquet": ("t.parquet", saved(lambda f: pq.write_table(TABLE, f))[:-3], "whole .parquet"),
    "arrow as parquet": ("t.parquet", arrow(TABLE), "whole .parquet"),
    "json": ("t.json", b'{"a": ', "whole .json"),
    "npy": ("t.npy", saved(np.save, np.arange(9))[:-1], "whole .npy"),
    "npy of objects": ("t.npy", saved(np.save, np.array([{}], object)), "pickle"),
    "empty csv": ("t.csv", b"", "whole .csv"),
    "safetensors": ("t.safetensors", b"\x05\0\0\0\0\0\0\0{}", "whole .safetensors"),
    "skops": ("t.skops", b"PK", "whole .skops"),
    "pkl": ("t.pkl", pickle.dumps([1])[:-1], "whole .pkl"),
}


@pytest.mark.parametrize(("name", "content", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_get_could_not_read_is_refused(fs, view, name, content, reason):
    """A file that is none of its kind is refused in one sentence, and the old object stays."""
    if not isinstance(content, bytes):
        content = saved(lambda f: content(f, TABLE.schema).close())
    fs.pipe_file("dev/r1/t.json", b"1")
    with pytest.raises(UnsupportedValueError, match=rf"cannot store dev/r1/{name}: .*{reason}"):
        fs.pipe_file(f"dev/r1/{name}", content)
    with (
        pytest.raises(UnsupportedValueError, match=rf"cannot store dev/r1/{name}: .*{reason}"),
        fs.open(f"dev/r1/{name}", "wb") as file,
    ):
        file.write(content)
    assert ["t.json"] == [info.name for info in view.list()]
    assert 1 == view.get("t.json")


def test_names_and_modes_are_refused_before_anything_is_written(fs):
    """A name that cannot be one, and a mode that changes a part, are refused by open()."""
    for path, error in (("dev/r1", InvalidNameError), ("dev/_x/a", InvalidNameError)):
        for call in (lambda p: fs.open(p, "wb"), lambda p: fs.pipe_file(p, b"1")):
            with pytest.raises(error):
                call(path)
    for mode in ("ab", "r+b", "a", "w+"):
        with pytest.raises(InvalidRequestError, match="written whole"):
            fs.open(PATH, mode)
    with pytest.raises(
        InvalidRequestError, match="path must be a str"
    ):  # before the path is part of a message
        fs.open(5, "ab")
    fs.pipe_file(PATH, b"1")
    with fs.open("dev/r1/y.json", "xb") as file:  # created meanwhile by another
        fs.pipe_file("dev/r1/y.json", b"2")
        file.write(b"1")
        with pytest.raises(FileExistsError, match=r"y\.json"):
            file.close()
    assert b"2" == fs.cat_file("dev/r1/y.json")


def test_objects_of_runstore_keep_their_name(fs, view, tmp_path):
    """An object can be saved and restored at its own path; elsewhere it is copied, not written."""
    view.put("x", {1, 2, 3})
    view.put("t.parquet", TABLE)
    fs.get("dev/r1", f"{tmp_path}/saved", recursive=True)
    other = RunstoreFileSystem(f"memory://{tmp_path}")
    other.put(f"{tmp_path}/saved/", "dev/r1/", recursive=True)
    restored = ObjectStore(other.address).at(namespace="dev", run="r1")
    assert {1, 2, 3} == restored.get("x", verify=True)
    assert TABLE.equals(restored.get("t.parquet", verify=True))
    with pytest.raises(UnsupportedValueError, match=r"dev/r1/y: .* object dev/r1/x.*cp"):
        fs.pipe_file("dev/r1/y", fs.cat_file("dev/r1/x"))
    damaged = bytearray(fs.cat_file("dev/r1/x"))
    damaged[len(damaged) // 2] ^= 1
    with pytest.raises(UnsupportedValueError, match="damaged"):
        fs.pipe_file("dev/r1/x", damaged)
    fs.cp_file("dev/r1/x", "dev/r2/y")
    assert {1, 2, 3} == view.get("y", run="r2")


class Boom:
    def __reduce__(self):
        return sys.exit, ("a pickle was loaded",)


@dataclasses.dataclass
class Odd:
    """What only pickle can hold."""

    number: int

    def __reduce__(self):
        return Odd, (self.number,)


def test_pickles_are_never_loaded_and_obey_the_policy(store, monkeypatch):
    """A pickle is stored without being carried out; a policy that forbids it refuses the file."""
    fs = RunstoreFileSystem(store.url)
    fs.pipe_file("dev/r1/x.pkl", pickle.dumps(Boom()))
    view = store.at(namespace="dev", run="r1")
    view.put("odd", Odd(1))
    for policy in ("deny", "signed"):
        monkeypatch.setenv("RUNSTORE_SIGNING_KEY", "k" * 32)
        careful = RunstoreFileSystem(store.url, pickle=policy)
        for path in ("dev/r1/x.pkl", "dev/r1/odd"):
            with pytest.raises(UnsafePickleError, match=path):
                careful.pipe_file(path, fs.cat_file(path))
    signing = ObjectStore(store.address, pickle="signed").at(namespace="dev", run="r1")
    signing.put("odd", Odd(2))
    careful.pipe_file("dev/r1/odd", careful.cat_file("dev/r1/odd"))
    assert Odd(2) == signing.get("odd")


def test_an_attempt_that_was_given_up_writes_nothing(store, fs):
    """A file that a stage has left open is refused when it is closed, as every put is."""
    with run_context(namespace="dev", run="r1", store=store.url):
        ctx = get_run_context()
    lease = Lease(os.urandom(8).hex(), "attempt 1 of stage 's' of run 'dev/r1'")
    with use_run_context(ctx.leased(lease)):
        file = fs.open(PATH, "wb")
        file.write(b"1")
    lease.revoke("it was given up")
    with pytest.raises(StaleRunError, match="given up"):
        file.close()
    with pytest.raises(ObjectNotFoundError):
        store.at(namespace="dev", run="r1").get("x.json")


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_writes_nothing_of_its_parents(fs, view):
    """A file that is open when the process forks is the parent's to close."""
    file = fs.open(PATH, "wb")
    file.write(b"1")
    child = os.fork()
    if child == 0:
        try:
            file.close()
        except StorageError:
            os._exit(7)
        os._exit(8)
    assert 7 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    file.close()
    assert 1 == view.get("x.json")


def test_the_store_is_that_of_the_run_and_has_no_secrets(tmp_path, monkeypatch):
    """Without a store it is the run's, else the default one; it travels without what is secret."""
    monkeypatch.setenv("RUNSTORE_URL", str(tmp_path / "default"))
    default = fsspec.filesystem("runstore")
    assert f"file://{tmp_path}/default" == default.fsid
    with run_context(namespace="dev", run="r1", store=tmp_path / "run"):
        fs = fsspec.filesystem("runstore")
        fs.pipe_file(PATH, b"1")
    assert f"file://{tmp_path}/run" == fs.fsid != default.fsid
    assert fs != default
    assert hash(fs) != hash(default)
    assert b"1" == fs.cat_file(PATH)  # also outside
    assert fs == pickle.loads(pickle.dumps(fs)) == fsspec.AbstractFileSystem.from_json(fs.to_json())
    secret = RunstoreFileSystem("s3://b/p", key="AKIDEXAMPLE", secret="hidden", timeout=7)
    told = f"{secret!r} {secret.to_json()} {secret.to_dict()} {secret.storage_options}"
    told += str(pickle.dumps(secret))
    assert "hidden" not in told
    assert "AKIDEXAMPLE" not in told
    assert 7 == json.loads(secret.to_json())["timeout"]

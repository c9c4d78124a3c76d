"""What damaged and planted objects may do: be found out, and never run."""

import io
import os
import pickle
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xarray as xr
from sklearn.preprocessing import StandardScaler

from runstore import ObjectStore, containers
from runstore.codecs import Pickling
from runstore.codecs._cells import BLOB, blob_batch
from runstore.containers import Header
from runstore.errors import CorruptObjectError, RunStoreError
from runstore.testing import assert_same

# Damage ----------------------------------------------------------------------------------------

_NUMBERS = np.arange(128) / 7
_TEXT = [f"some text {i}" for i in range(64)]
_FRAME = pd.DataFrame({"a": _NUMBERS[:64], "b": _TEXT})


def _objects():
    array = np.empty(64, object)
    array[:] = [{text} for text in _TEXT]
    return array


VALUES = {
    "arrow": pa.table({"a": _NUMBERS[:64], "b": _TEXT}),
    "bytes": _NUMBERS.tobytes(),
    "index": pd.MultiIndex.from_arrays([_TEXT, _NUMBERS[:64]], names=["a", "b"]),
    "json": {"numbers": _NUMBERS.tolist()},
    "nested": {"array": _NUMBERS, "frame": _FRAME, "small": (1, Decimal("1.5"), b"x", {1: 2})},
    "numpy": _NUMBERS,
    "objects": _objects(),
    "pandas": _FRAME.assign(c=[{1}] * 64),
    "pickle": {frozenset({text}) for text in _TEXT},
    "polars": pl.DataFrame({"a": _NUMBERS[:64], "b": _TEXT}),
    "series": pd.Series(_TEXT, name="s", index=pd.date_range("2024", periods=64, tz="UTC")),
    "str": "text " * 200,
    "xarray": xr.Dataset({"a": ("x", _NUMBERS)}, {"x": np.arange(128)}, {"units": "m"}),
    "pandas.parquet": _FRAME,
    "arrow.parquet": pa.table({"a": _NUMBERS[:64], "b": _TEXT}),
    "polars.parquet": pl.DataFrame({"a": _NUMBERS[:64], "b": _TEXT}),
    "array.npy": _NUMBERS,
    "columns.npy": np.asfortranarray(_NUMBERS.reshape(8, 16)),
    "set.pkl": {frozenset({text}) for text in _TEXT},
    "arrays.safetensors": {"a": _NUMBERS, "b": np.arange(64, dtype="i4")},
}

# How many bytes, at most, are nothing but the place of a digest: without it, it is a file as
# another program writes it. Only that of a .skops stands at the end.
_CARRY_NOTHING = {"npy": 257, "pkl": 60, "skops": 60}


def _model():
    return StandardScaler().fit(_NUMBERS.reshape(-1, 2))


@pytest.fixture
def disk(tmp_path):
    """Give an empty view on disk."""
    return ObjectStore(tmp_path / "store").at(namespace="dev", run="r1")


def file_of(view, name):
    """Give the file that a name stands for."""
    path = Path(urlsplit(view.store.url).path) / "dev" / "r1"
    return path / (name if "." in name else f"{name}.arrow")


@pytest.fixture
def loaded(monkeypatch):
    """Give a list of the pickles that were loaded."""
    streams = []
    loads = Pickling.loads

    def noted(self, stream, buffers=None):
        streams.append(stream)
        return loads(self, stream, buffers)

    monkeypatch.setattr(Pickling, "loads", noted)
    return streams


def found(disk, name, value, loaded):
    """Say whether damage was found; else the value is exact. Nothing damaged was unpickled."""
    loaded.clear()
    try:
        actual = disk.get(name)
    except CorruptObjectError:
        # Of a .pkl that ends within the text of its digest there is nothing that could run.
        assert [] == [stream for stream in loaded if len(stream) > 60]
        return True
    same(value, actual)
    return False


def same(expected, actual):
    if isinstance(expected, StandardScaler):
        assert_same(vars(expected), vars(actual))
    elif isinstance(expected, (set, np.ndarray)) and not isinstance(actual, pa.Table):
        assert type(expected) is type(actual)
        assert pickle.dumps(expected, 5) == pickle.dumps(actual, 5) or np.all(expected == actual)
    else:
        assert_same(expected, actual)


@pytest.mark.extended
@pytest.mark.parametrize("name", [*VALUES, "model.skops"])
def test_every_flipped_byte_is_found(disk, loaded, name):
    """Whatever byte of an object is damaged, it is found, before anything is unpickled."""
    value = VALUES[name] if name in VALUES else _model()
    size = disk.put(name, value).size
    assert 1000 < size < 8000
    unseen = 0
    fd = os.open(file_of(disk, name), os.O_RDWR)
    try:
        for at in range(size):
            byte = os.pread(fd, 1, at)
            os.pwrite(fd, bytes([byte[0] ^ (1 << at % 8)]), at)
            unseen += not found(disk, name, value, loaded)
            os.pwrite(fd, byte, at)
    finally:
        os.close(fd)
    assert unseen <= _CARRY_NOTHING.get(name.rpartition(".")[2], 0)
    same(value, disk.get(name))


@pytest.mark.extended
@pytest.mark.parametrize("name", [*VALUES, "model.skops"])
def test_every_truncation_is_found(disk, loaded, name):
    """However much of the end of an object is missing, it is found, and nothing is unpickled."""
    value = VALUES[name] if name in VALUES else _model()
    size = disk.put(name, value).size
    unseen = 0
    for length in reversed(range(size)):
        os.truncate(file_of(disk, name), length)
        unseen += not found(disk, name, value, loaded)
    assert unseen <= (_CARRY_NOTHING["skops"] if name.endswith(".skops") else 0)


@pytest.mark.extended
def test_csv_runs_nothing(disk):
    """A .csv has no digest: damage is either no CSV or another table, and nothing else."""
    size = disk.put("x.csv", _FRAME).size
    path = file_of(disk, "x.csv")
    stored = path.read_bytes()
    changed = 0
    for at in range(0, size, 3):
        damaged = bytearray(stored)
        damaged[at] ^= 1 << at % 8
        for data in (bytes(damaged), stored[:at]):
            path.write_bytes(data)
            try:
                changed += not _FRAME.equals(disk.get("x.csv"))
            except CorruptObjectError:
                continue
    assert changed  # or docs/format.md is wrong to say that it is not found


# Planted pickles -------------------------------------------------------------------------------

_DIRECTORY = "canary"  # made, in the test's own working directory, by whatever is loaded


class Bomb:
    def __reduce__(self):
        return os.mkdir, (_DIRECTORY,)


def header(name, codec, spec, **changes):
    fields = {
        "namespace": "dev",
        "run": "r1",
        "name": name,
        "type": "pandas.DataFrame",
        "codec": codec,
        "codec_version": 1,
        "created_at": datetime(2024, 1, 1, tzinfo=UTC),
        "write_id": secrets.token_hex(8),
        "spec": spec,
    }
    return Header(**fields | changes)


def sealed(table, about):
    """Give the bytes of an object whose digests fit."""
    parquet = about.name.endswith(".parquet")
    write = containers.parquet_file if parquet else containers.arrow_file
    return b"".join(bytes(part) for part in write(table.schema, table.to_batches(), about))


def arrow(table):
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def parquet(table):
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


_BOMB = pickle.dumps(Bomb())
_CELL = pa.array([_BOMB], pa.large_binary())
_BLOB = pa.Table.from_batches([blob_batch(_BOMB)], BLOB)
_COLUMN = pa.table({"a": _CELL})
_FRAME_SPEC = {
    "kind": "frame",
    "columns": [[{"k": "pickle"}, 1]],
    "labels": {"k": "labels", "values": ["a"], "dtype": "object", "name": None},
    "index": {"k": "range", "range": [0, 1, 1], "name": None},
    "attrs": {},
    "duplicates": True,
}
_IN_INDEX = _FRAME_SPEC | {
    "columns": [],
    "labels": {"k": "labels", "values": [], "dtype": "object", "name": None},
    "index": {"k": "flat", "values": {"k": "pickle"}, "name": None},
}


def extension(name):
    """Give a table whose column says it is of an extension type that is a pickle."""
    metadata = {"ARROW:extension:name": name, "ARROW:extension:metadata": _BOMB}
    field = pa.field("a", pa.large_binary(), metadata=metadata)
    return pa.table({"a": _CELL}, schema=pa.schema([field], {"pandas": _BOMB, "bomb": _BOMB}))


_PY = "arrow.py_extension_type"

PLANTED = {
    "raw pickle": ("x", lambda: _BOMB),
    "raw pickle as parquet": ("x.parquet", lambda: _BOMB),
    "pickle and an ending": ("x", lambda: _BOMB + b"\x08\0\0\0ARROW1"),
    "codec pickle": ("x", lambda: sealed(_BLOB, header("x", "pickle", {}, pickle=True))),
    "codec pickle, denied": ("x", lambda: sealed(_BLOB, header("x", "pickle", {}))),
    "column": ("x", lambda: sealed(_COLUMN, header("x", "pandas", _FRAME_SPEC, pickle=True))),
    "column, denied": ("x", lambda: sealed(_COLUMN, header("x", "pandas", _FRAME_SPEC))),
    "index": ("x", lambda: sealed(_COLUMN, header("x", "pandas", _IN_INDEX))),
    "codec pickle in parquet": (
        "x.parquet",
        lambda: sealed(pa.table({"data": _CELL}), header("x.parquet", "pickle", {}, pickle=True)),
    ),
    "column in parquet": (
        "x.parquet",
        lambda: sealed(_COLUMN, header("x.parquet", "pandas", _FRAME_SPEC, pickle=True)),
    ),
    "extension": ("x", lambda: arrow(extension(_PY))),
    "extension in parquet": ("x.parquet", lambda: parquet(extension(_PY))),
    "sealed extension": (
        "x",
        lambda: sealed(extension(_PY), header("x", "arrow", {"kind": "table"})),
    ),
    "sealed extension of polars": ("x", lambda: sealed(extension(_PY), header("x", "polars", {}))),
    "array of objects": ("x.npy", lambda: _npy()),
    "pkl": ("x.pkl", lambda: _BOMB),
    "pickle as json": ("x.json", lambda: _BOMB),
}


def _npy():
    file = io.BytesIO()
    np.save(file, np.array([Bomb()], object), allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize("policy", ["deny", "signed", "signed without a key"])
@pytest.mark.parametrize("case", PLANTED)
def test_planted_pickles_never_run(disk, case, policy, monkeypatch):
    """However a pickle was planted, and however it is read, it is not loaded."""
    name, make = PLANTED[case]
    if policy == "signed":
        monkeypatch.setenv("RUNSTORE_SIGNING_KEY", "0123456789abcdef")
    store = ObjectStore(disk.store.url, pickle=policy.split()[0])
    view = store.at(namespace="dev", run="r1")
    file_of(disk, name).parent.mkdir(parents=True)
    file_of(disk, name).write_bytes(make())
    reads = [lambda: view.get(name), lambda: view.get(name, columns=["a"])]
    kinds = [pa.Table, pa.Array, pl.DataFrame, pd.DataFrame, pd.Series, np.ndarray, bytes, dict]
    reads += [lambda kind=kind: view.get(name, as_type=kind) for kind in kinds]
    reads += [lambda: view.stat(name), lambda: view.stat(name).schema]
    reads += [lambda: view.copy(name, to_name=name.replace("x", "y")), lambda: view.list()]
    for read in reads:
        with suppress(RunStoreError):
            read()
        assert not Path(_DIRECTORY).exists()


@pytest.mark.parametrize("case", ["codec pickle", "column", "pkl"])
def test_planted_pickles_would_run(disk, case):
    """The plants of these tests work: where pickle is allowed they are loaded."""
    name, make = PLANTED[case]
    file_of(disk, name).parent.mkdir(parents=True)
    file_of(disk, name).write_bytes(make())
    with suppress(RunStoreError):  # what it returns is no column
        disk.get(name)
    assert Path(_DIRECTORY).exists()


def test_what_a_mapped_object_holds_as_packed_containers_is_checked(disk):
    """A list is read whole at every get, so its numbers are checked; those of an array are not."""
    value = {
        "array": np.full(1 << 20, 7, "u1"),
        "ids": list(range(1 << 20, (1 << 20) + 70_000)),
        "pairs": {float(i): i % 2 == 0 for i in range(5_000)},
    }
    disk.put("x", value)
    path = file_of(disk, "x")
    data = path.read_bytes()
    places = {
        "ids": data.index(np.arange(1 << 20, (1 << 20) + 70_000, dtype="i4").tobytes()),
        "pairs": data.index(np.arange(5_000, dtype="f8").tobytes()),
    }
    for start in places.values():
        for at in (start, start + 20_000):
            path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            with pytest.raises(CorruptObjectError):
                disk.get("x")
    at = data.index(bytes([7]) * 1000)
    path.write_bytes(data[:at] + bytes([6]) + data[at + 1 :])
    assert 6 == disk.get("x")["array"][0]  # so the file was not read whole
    with pytest.raises(CorruptObjectError):
        disk.get("x", verify=True)
    path.write_bytes(data)
    assert_same(value, disk.get("x"))

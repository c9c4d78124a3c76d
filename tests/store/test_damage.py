"""What damaged and planted objects may do: be found out, and never run."""

import io
import os
import pickle
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runstore import ObjectStore
from runstore import format as containers
from runstore.codecs._cells import BLOB, blob_batch
from runstore.errors import CorruptObjectError, RunStoreError
from runstore.format import Header
from runstore.testing import assert_same

# Damage ----------------------------------------------------------------------------------------

_NUMBERS = np.arange(128) / 7
_TEXT = [f"some text {i}" for i in range(64)]


def values():
    return {
        "arrow": pa.table({"a": _NUMBERS[:64], "b": _TEXT}),
        "bytes": _NUMBERS.tobytes(),
        "json": {"numbers": _NUMBERS.tolist()},
        "numpy": _NUMBERS,
        "pandas": pd.DataFrame({"a": _NUMBERS[:64], "b": _TEXT, "c": [{1}] * 64}),
        "pickle": {1: _TEXT},
        "polars": pl.DataFrame({"a": _NUMBERS[:64], "b": _TEXT}),
        "str": "text " * 200,
        "pandas.parquet": pd.DataFrame({"a": _NUMBERS[:64], "b": _TEXT}),
        "arrow.parquet": pa.table({"a": _NUMBERS[:64], "b": _TEXT}),
        "polars.parquet": pl.DataFrame({"a": _NUMBERS[:64], "b": _TEXT}),
    }


@pytest.fixture
def disk(tmp_path):
    """Give an empty view on disk."""
    return ObjectStore(tmp_path / "store").at(namespace="dev", run="r1")


def file_of(view, name):
    """Give the file that a name stands for."""
    path = Path(urlsplit(view.store.url).path) / "dev" / "r1"
    return path / (name if "." in name else f"{name}.arrow")


@pytest.mark.parametrize("name", values())
def test_every_flipped_byte_is_found(disk, name):
    """Whatever byte of an object is damaged, it is found."""
    size = disk.put(name, values()[name]).size
    assert 1500 < size < 8000
    fd = os.open(file_of(disk, name), os.O_RDWR)
    try:
        for at in range(size):
            byte = os.pread(fd, 1, at)
            os.pwrite(fd, bytes([byte[0] ^ (1 << at % 8)]), at)
            with pytest.raises(CorruptObjectError):
                disk.get(name)
            os.pwrite(fd, byte, at)
    finally:
        os.close(fd)
    assert_same(values()[name], disk.get(name))


@pytest.mark.parametrize("name", values())
def test_every_truncation_is_found(disk, name):
    """However much of the end of an object is missing, it is found."""
    size = disk.put(name, values()[name]).size
    for length in reversed(range(size)):
        os.truncate(file_of(disk, name), length)
        with pytest.raises(CorruptObjectError):
            disk.get(name)


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
_FRAME = {
    "kind": "frame",
    "columns": [[{"k": "pickle"}, 1]],
    "labels": {"k": "labels", "values": ["a"], "dtype": "object", "name": None},
    "index": {"k": "range", "range": [0, 1, 1], "name": None},
    "attrs": {},
    "duplicates": True,
}
_IN_INDEX = _FRAME | {
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
    "column": ("x", lambda: sealed(_COLUMN, header("x", "pandas", _FRAME, pickle=True))),
    "column, denied": ("x", lambda: sealed(_COLUMN, header("x", "pandas", _FRAME))),
    "index": ("x", lambda: sealed(_COLUMN, header("x", "pandas", _IN_INDEX))),
    "codec pickle in parquet": (
        "x.parquet",
        lambda: sealed(pa.table({"data": _CELL}), header("x.parquet", "pickle", {}, pickle=True)),
    ),
    "column in parquet": (
        "x.parquet",
        lambda: sealed(_COLUMN, header("x.parquet", "pandas", _FRAME, pickle=True)),
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

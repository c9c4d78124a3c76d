"""The reproductions of sections B and D that need codecs, for `section_d_damage`."""

import io
import os
import pickle
import random
import time
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from tests.fuzz._kinds import CANARY, LookAlike, file_of
from tests.fuzz._mutate import resealed
from tests.fuzz._use import use
from tests.fuzz.flips import KINDS, flips
from tests.store.test_damage import header, sealed

from runstore import ObjectStore
from runstore.errors import (
    CorruptObjectError,
    RunStoreError,
    UnsafePickleError,
    UnsupportedFormatError,
)


def _raises(error: type[Exception], act: Callable[[], Any]) -> None:
    try:
        act()
    except error:
        return
    raise AssertionError(f"no {error.__name__}")


def any_bit(_folder: Path) -> None:
    for kind in KINDS:
        flips(kind, 12)


def numbers(folder: Path) -> None:
    view = ObjectStore(folder).at(namespace="n", run="r")
    view.put("x", pd.DataFrame(np.arange(1 << 18).reshape(-1, 16) / 7))
    path = file_of(view, "x")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    use(view.get("x"))
    _raises(CorruptObjectError, lambda: view.get("x", verify=True))


def ray(folder: Path) -> None:
    name = "ray.data.arrow_pickled_object"
    try:
        import_module("ray.data")  # registers the type
    except ImportError:
        pa.register_extension_type(LookAlike())

    class Bomb:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(CANARY),)

    metadata = {"ARROW:extension:name": name, "ARROW:extension:metadata": pickle.dumps(Bomb())}
    field = pa.field("a", pa.large_binary(), metadata=metadata)
    table = pa.table([pa.array([pickle.dumps(Bomb())])], schema=pa.schema([field]))
    # Written with the storage's type alone, as by a process that does not know the type.
    os.environ["RUNSTORE_SIGNING_KEY"] = "0123456789abcdef"
    for policy in ("deny", "signed"):
        view = ObjectStore(folder / policy, pickle=policy).at(namespace="dev", run="r1")
        path = folder / policy / "dev" / "r1" / "x.arrow"
        path.parent.mkdir(parents=True)
        path.write_bytes(sealed(table, header("x", "arrow", {"kind": "table"})))
        for read in (lambda: view.get("x"), lambda: view.stat("x").schema):  # noqa: B023
            _raises(UnsafePickleError, read)
            assert not CANARY.exists()
        view.list(details=True)
        assert not CANARY.exists()


def forged(folder: Path) -> None:
    import polars as pl

    view = ObjectStore(folder, pickle="deny").at(namespace="n", run="r")
    text = [f"a text that is not short {i}" for i in range(500)]
    values = {
        "codes": pd.DataFrame({"c": pd.Categorical(["a", "b"] * 250)}),
        "offsets": pd.Series(text, dtype="str"),
        "lists": pa.array([[1, 2, 3]] * 500),
        "views": pl.DataFrame({"a": text}),
        "multi": pd.MultiIndex.from_product([list("abcde"), range(100)]),
    }
    for name, value in values.items():
        view.put(name, value)
        path = file_of(view, name)
        stored = path.read_bytes()
        footer = len(stored) - 10 - int.from_bytes(stored[-10:-6], "little")
        chance = random.Random(name)
        for _ in range(400):
            changed = bytearray(stored)
            at = chance.randrange(8, footer - 8) // 4 * 4
            changed[at : at + 4] = chance.choice(
                (b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\x63\x63\x63\x63", b"\0\0\0\x01")
            )
            path.write_bytes(resealed(stored, bytes(changed)))
            try:
                use(view.get(name))
            except (RunStoreError, ValueError):
                continue


def columns(folder: Path) -> None:
    view = ObjectStore(folder, pickle="deny").at(namespace="dev", run="r1")
    path = folder / "dev" / "r1" / "x.arrow"
    path.parent.mkdir(parents=True)
    spec = {
        "kind": "frame",
        "columns": [[{"k": "np"}, 999_999_999]],
        "labels": {"k": "range", "range": [0, 999_999_999, 1], "name": None},
        "index": {"k": "range", "range": [0, 2, 1], "name": None},
        "attrs": {},
        "duplicates": True,
    }
    path.write_bytes(sealed(pa.table({"a": [1, 2]}), header("x", "pandas", spec)))
    began = time.monotonic()
    _raises(CorruptObjectError, lambda: view.get("x"))
    assert time.monotonic() - began < 60


def skops(folder: Path) -> None:
    from sklearn.preprocessing import StandardScaler

    view = ObjectStore(folder, pickle="deny").at(namespace="n", run="r")
    view.put("x.skops", StandardScaler().fit([[1.0], [2.0]]))
    path, sink = file_of(view, "x.skops"), io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
        new.writestr("more.npy", bytes(256 << 20))
    path.write_bytes(sink.getvalue())
    _raises(UnsupportedFormatError, lambda: view.get("x.skops"))


def zstd(folder: Path) -> None:
    rows = 1_200 << 17  # 1.2 GB, which even a store that trusts its writers refuses
    batch = pa.record_batch({"a": np.zeros(rows)})
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    del batch
    path = folder / "n" / "r" / "x.arrow"
    path.parent.mkdir(parents=True)
    path.write_bytes(sink.getvalue())
    assert path.stat().st_size < 1 << 20
    for policy in ("deny", "allow"):
        view = ObjectStore(folder, pickle=policy).at(namespace="n", run="r")
        _raises(UnsupportedFormatError, lambda: view.get("x"))  # noqa: B023
    os.environ["RUNSTORE_MAX_DECODED"] = "1000000"
    assert rows == len(view.get("x"))


def scopes(folder: Path) -> None:
    os.environ["RUNSTORE_SIGNING_KEY"] = "0123456789abcdef"
    os.environ["RUNSTORE_SIGNING_SCOPE"] = "staging"
    view = ObjectStore(folder, pickle="signed").at(namespace="n", run="r")
    view.put("x", {1, 2})
    os.environ["RUNSTORE_SIGNING_SCOPE"] = "prod"
    _raises(UnsafePickleError, lambda: view.get("x"))


def unsigned(folder: Path) -> None:
    os.environ["RUNSTORE_SIGNING_KEY"] = "0123456789abcdef"
    signed = ObjectStore(folder, pickle="signed").at(namespace="n", run="r")
    loose = ObjectStore(folder).at(namespace="n", run="r")
    for name, value in (("frame", pd.DataFrame({"a": [1]})), ("json", {"a": 1})):
        signed.put(name, value)
        loose.put(name, value)
        _raises(UnsafePickleError, lambda: signed.get(name))  # noqa: B023
        assert signed.get(name, pickle="deny") is not None


def rotation(folder: Path) -> None:
    view = ObjectStore(folder, pickle="signed").at(namespace="n", run="r")
    os.environ["RUNSTORE_SIGNING_KEY"] = "0123456789abcdef"
    view.put("x", {1, 2})
    os.environ["RUNSTORE_SIGNING_KEY"] = "fedcba9876543210"
    _raises(UnsafePickleError, lambda: view.get("x"))
    os.environ["RUNSTORE_SIGNING_KEYS_OLD"] = "0123456789abcdef"
    assert {1, 2} == view.get("x")


def rebuilding(folder: Path) -> None:
    import pandas as pd

    import runstore.codecs._pandas as codec

    view = ObjectStore(folder / "store").at(namespace="n", run="r")
    view.put("x", pd.DataFrame({"a": np.arange(50_000.0)}))

    def fail(*_: Any) -> Any:
        raise TypeError("__init__() takes from 1 to 2 positional arguments but 3 were given")

    codec.decode_index = fail
    for error in (UnsupportedFormatError, CorruptObjectError):
        try:
            view.get("x")
        except error as exc:
            named = str(exc)
        else:
            raise AssertionError("it was rebuilt")
        if error is UnsupportedFormatError:
            assert f"pandas {pd.__version__}" in named, named
            assert "n/r/x" in named, named
        path = folder / "store/n/r/x.arrow"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1  # now the bytes are wrong
        path.write_bytes(data)

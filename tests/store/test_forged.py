"""Files that somebody made on purpose, with digests that fit: refused, before they do harm."""

import io
import json
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from sklearn.preprocessing import StandardScaler
from tests.fuzz._kinds import CANARY, LookAlike
from tests.fuzz._mutate import resealed
from tests.store.test_damage import file_of, header, sealed

from runstore import ObjectStore, containers
from runstore.containers._seal import Seal
from runstore.errors import (
    CorruptObjectError,
    RunStoreError,
    SettingsError,
    UnsafePickleError,
    UnsupportedFormatError,
    UnsupportedValueError,
)

LARGE = 40_000  # rows that make a file which is mapped


@pytest.fixture
def denying(tmp_path):
    """Give an empty view on disk that loads no pickle."""
    return ObjectStore(tmp_path / "store", pickle="deny").at(namespace="dev", run="r1")


def forge(view, name, change):
    """Let *change* have the bytes of a stored object, and make its digests fit again."""
    path = file_of(view, name)
    stored = path.read_bytes()
    data = bytearray(stored)
    change(data)
    assert data != stored
    path.write_bytes(resealed(stored, bytes(data)))


def replacing(old, new):
    """Give a change of the last place of the data where these bytes stand."""

    def change(data):
        at = data.rindex(old, 0, containers.footer_start(data[-10:], len(data), "x"))
        data[at : at + len(new)] = new

    return change


def plant(view, table, codec, spec, name="x"):
    """Put a file there whose description says what it likes."""
    file_of(view, name).parent.mkdir(parents=True, exist_ok=True)
    file_of(view, name).write_bytes(sealed(table, header(name, codec, spec)))


# Where a reader finds its way --------------------------------------------------------------------


def _offsets(first, last):
    return struct.pack("<2q", first, last), struct.pack("<2q", first, 1 << 40)


def _text(rows):
    return [f"text number {i:05}" for i in range(rows)]


@pytest.mark.parametrize("rows", [8, LARGE])
@pytest.mark.parametrize(
    ("make", "old", "new"),
    [
        (lambda rows: pd.Series(_text(rows), dtype="str"), *_offsets(17, 34)),
        (lambda rows: pd.DataFrame({"o": pd.Series(_text(rows), dtype=object)}), *_offsets(17, 34)),
        (
            lambda rows: pa.array([[i % 9] * 3 for i in range(rows)], pa.large_list(pa.int8())),
            *_offsets(3, 6),
        ),
        (lambda rows: pl.DataFrame({"a": _text(rows)}), b"\x11\0\0\0text", b"\xff\xff\xff\x7ftext"),
        (lambda rows: pl.DataFrame({"a": _text(rows)}), b"number", b"num\xff\xffr"),
        (
            lambda rows: pd.Series(pd.Categorical.from_codes([0, 1] * (rows // 2), ["a", "b"])),
            b"\0\1\0\1",
            b"\0\x63\0\1",
        ),
        (
            lambda rows: pd.MultiIndex.from_product([list("abcd"), range(rows // 4)]),
            b"\1\1",
            b"\1\x63",
        ),
        (lambda rows: np.arange(4 * rows) % 2 == 0, b"\1\0\1\0", b"\1\0\xff\0"),
    ],
    ids=["text", "objects", "list", "views", "utf8", "codes", "levels", "truth"],
)
def test_what_leads_astray_is_refused(denying, make, old, new, rows):
    """Offsets, views, codes and text that point nowhere are found, mapped or not."""
    value = make(rows)
    denying.put("x", value)
    denying.get("x")
    forge(denying, "x", replacing(old, new))
    with pytest.raises(CorruptObjectError, match="dev/r1/x"):
        denying.get("x")


def test_damage_of_what_leads_the_way_is_found_in_mapped_objects(denying):
    """Every bit of a large frame that is no number is under a digest; numbers by verify=True."""
    rows = LARGE
    frame = pd.DataFrame({"n": np.arange(rows) / 7, "t": _text(rows)})
    denying.put("x", frame)
    path = file_of(denying, "x")
    stored = path.read_bytes()
    number, text = stored.index(struct.pack("<d", 7777 / 7)), stored.index(b"number 07777")
    for at, mapped in ((number, True), (text, False), (9, False), (700, False)):
        data = bytearray(stored)
        data[at] ^= 1
        path.write_bytes(data)
        if mapped:
            assert frame["t"].equals(denying.get("x")["t"])
            with pytest.raises(CorruptObjectError, match="digest"):
                denying.get("x", verify=True)
        else:
            with pytest.raises(CorruptObjectError, match="dev/r1/x is damaged"):
                denying.get("x")


def test_a_mapped_frame_of_numbers_is_not_read(denying, monkeypatch):
    """The digest of what is not numbers takes in a few kilobytes of a frame of 16 MB."""
    taken = []
    real = xxhash.xxh3_128

    class Counted:
        def __init__(self, *data):
            self._digest = real(*data)

        def update(self, data):
            taken.append(memoryview(data).nbytes)
            self._digest.update(data)

        def hexdigest(self):
            return self._digest.hexdigest()

    denying.put("x", pd.DataFrame(np.zeros((1 << 17, 16))))
    monkeypatch.setattr("runstore.containers._structure.xxhash.xxh3_128", Counted)
    assert (1 << 17, 16) == denying.get("x").shape
    assert 0 < sum(taken) < 32 * 1024


def test_old_files_of_text_are_read_whole(denying, monkeypatch):
    """A large file without the digest of its structure is verified as a whole, or validated."""
    monkeypatch.setattr("runstore.containers._write.Seal", lambda key, structure: Seal(key))
    for name, value in (("t", pd.Series(_text(LARGE))), ("n", np.arange(8.0 * LARGE))):
        denying.put(name, value)
        stored = file_of(denying, name).read_bytes()
        assert b"runstore.structure" not in stored
        data = bytearray(stored)
        data[len(data) // 2] ^= 1
        file_of(denying, name).write_bytes(data)
    with pytest.raises(CorruptObjectError, match="digest"):
        denying.get("t")
    assert 8 * LARGE == len(denying.get("n"))
    with pytest.raises(CorruptObjectError, match="digest"):
        denying.get("n", verify=True)


# Descriptions ---------------------------------------------------------------------------------

_FRAME = {
    "kind": "frame",
    "columns": [[{"k": "np"}, 1]],
    "labels": {"k": "labels", "values": ["a"], "dtype": "object", "name": None},
    "index": {"k": "range", "range": [0, 2, 1], "name": None},
    "attrs": {},
    "duplicates": True,
}
_CODES = pa.table({"a": pa.array(["x", "y"]).dictionary_encode()})
_RANGE = {"k": "flat", "values": {"k": "np"}, "name": None, "range": [0, 1, 1]}
_NUMBERS = pa.table({"a": [1, 2]})

DESCRIPTIONS = {
    "a billion columns": (_NUMBERS, "pandas", _FRAME | {"columns": [[{"k": "np"}, 999_999_999]]}),
    "fewer than no columns": (_NUMBERS, "pandas", _FRAME | {"columns": [[{"k": "np"}, -1]]}),
    "text as numbers": (pa.table({"a": ["x", "y"]}), "pandas", _FRAME),
    "numbers as objects": (
        _NUMBERS, "pandas", _FRAME | {"columns": [[{"k": "np", "char": "O"}, 1]]},
    ),
    "numbers as longer ones": (
        _NUMBERS, "pandas", _FRAME | {"columns": [[{"k": "np", "char": "G"}, 1]]},
    ),
    "numbers as codes": (
        _NUMBERS, "pandas",
        _FRAME | {"columns": [[{"k": "cat", "ordered": False, "categories": _RANGE}, 1]]},
    ),
    "fewer labels than codes": (
        _CODES, "pandas",
        _FRAME | {"columns": [[{"k": "cat", "ordered": False, "categories": _RANGE}, 1]]},
    ),
    "fewer levels than codes": (
        _CODES, "pandas",
        {"kind": "index", "index": {
            "k": "multi", "levels": [_RANGE], "names": ["a"], "sortorder": None}},
    ),
    "an array of objects": (_NUMBERS, "numpy", {"dtype": "|O", "shape": [2], "order": "C"}),
    "an array of nothing": (
        _NUMBERS, "numpy", {"dtype": "<U0", "shape": [1 << 40], "order": "C"},
    ),
    "an array that is too long": (
        _NUMBERS, "numpy", {"dtype": "<i8", "shape": [-2, -1], "order": "C"},
    ),
    "no tree": (_NUMBERS, "nested", {"leaves": []}),
    "leaves that are not there": (
        pa.table({"tree": pa.array(['{"$leaf":0}'], pa.large_string())}), "nested",
        {"leaves": [{"codec": "numpy", "version": 1, "spec": {}, "batches": 1 << 40}]},
    ),
    "nothing": (_NUMBERS, "pandas", {}),
}  # fmt: skip


@pytest.mark.parametrize("case", DESCRIPTIONS)
def test_descriptions_that_do_not_fit_are_refused(denying, case):
    """Whatever a description claims, it costs an error of ours that names the object."""
    table, codec, spec = DESCRIPTIONS[case]
    plant(denying, table, codec, spec)
    with pytest.raises(
        (CorruptObjectError, UnsupportedFormatError), match=r"dev/r1/x|stored frame"
    ):
        denying.get("x")


@pytest.mark.parametrize("dtype", ["|S99999", "<U99999", "V99999", "M8[s]", "i8,i8", "99999i8"])
def test_labels_are_only_of_the_dtypes_that_are_written(denying, dtype):
    """Labels of a wide dtype would take its width each, whatever is stored."""
    spec = _FRAME | {"labels": _FRAME["labels"] | {"values": [1], "dtype": dtype}}
    plant(denying, _NUMBERS, "pandas", spec)
    with pytest.raises(CorruptObjectError, match="column labels of the dtype"):
        denying.get("x")


@pytest.mark.parametrize("dtype", ["|S0", "<U0", "|V0"])
def test_items_of_no_bytes_are_not_made_wider(denying, dtype):
    """NumPy would make an array of any length of a few bytes, and fill it with nothing."""
    file = io.BytesIO()
    about = {"descr": dtype, "fortran_order": False, "shape": (1 << 40,)}
    np.lib.format.write_array_header_1_0(file, about)
    denying.put("x.npy", np.arange(3))
    file_of(denying, "x.npy").write_bytes(file.getvalue())
    with pytest.raises(UnsupportedFormatError, match="items of no bytes"):
        denying.get("x.npy")


@pytest.mark.parametrize(
    "change",
    [
        {"spec": []},
        {"rows": "many"},
        {"versions": {"a": []}},
        {"name": 5},
        {"pickle": 0},
        {"write_id": "\ud800"},
    ],
)
def test_headers_of_wrong_types_are_damage(denying, change):
    """A header whose fields are not what they should be is refused at get and at stat."""
    about = header("x", "arrow", {"kind": "table"})
    fields = {name: getattr(about, name) for name in about.__slots__}
    document = fields | change | {"created_at": about.created_at.isoformat()}
    with pytest.raises(CorruptObjectError, match="header"):
        containers.Header.from_json(json.dumps(document).encode(), b"1", "x")


# What cannot be rebuilt is not damage -------------------------------------------------------------


def test_what_fits_its_digest_and_cannot_be_rebuilt_is_no_damage(denying, monkeypatch):
    """An error of a library names the versions on both sides; of damaged bytes it is damage."""
    frame = pd.DataFrame({"a": np.arange(1.0 * LARGE)})
    denying.put("x", frame)

    def fail(*_):
        raise TypeError("StringDtype.__init__() takes 2 positional arguments")

    monkeypatch.setattr("runstore.codecs._pandas.decode_index", fail)
    versions = rf"written by .*pandas {pd.__version__}.*, the same as here"
    with pytest.raises(UnsupportedFormatError, match=f"dev/r1/x.*TypeError: String.*{versions}"):
        denying.get("x")
    data = bytearray(file_of(denying, "x").read_bytes())
    data[len(data) // 2] ^= 1
    file_of(denying, "x").write_bytes(data)
    with pytest.raises(CorruptObjectError, match="digest"):
        denying.get("x")


def test_running_out_of_memory_is_that(denying, monkeypatch):
    """It is neither damage nor another version."""

    def fail(*_):
        raise MemoryError

    denying.put("x", pd.DataFrame({"a": [1.5]}))
    monkeypatch.setattr("runstore.codecs._pandas.decode_index", fail)
    with pytest.raises(MemoryError):
        denying.get("x")


# Types that run code --------------------------------------------------------------------------


@contextmanager
def registered() -> Iterator[None]:
    """Have a type known whose class executes what a file says, as ray.data's does."""
    pa.register_extension_type(LookAlike())
    try:
        yield
    finally:
        pa.unregister_extension_type("ray.data.arrow_pickled_object")


def posing():
    """Give a table of that type, from a process that does not know it."""

    class Bomb:
        def __reduce__(self):
            return Path.mkdir, (CANARY,)

    metadata = {
        "ARROW:extension:name": "ray.data.arrow_pickled_object",
        "ARROW:extension:metadata": pickle.dumps(Bomb()),
    }
    field = pa.field("a", pa.large_binary(), metadata=metadata)
    inner = pa.field("s", pa.struct([field]))
    cells = pa.array([pickle.dumps(Bomb())], pa.large_binary())
    struct = pa.StructArray.from_arrays([cells], fields=[field])
    return pa.table([struct], schema=pa.schema([inner]))


def _arrow(table):
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _parquet(table):
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


@pytest.mark.parametrize("policy", ["deny", "signed"])
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("x", lambda table: sealed(table, header("x", "arrow", {"kind": "table"}))),
        ("x", lambda table: sealed(table, header("x", "polars", {}))),
        ("x", _arrow),
        ("x.parquet", _parquet),
    ],
    ids=["arrow", "polars", "foreign", "parquet"],
)
def test_registered_types_run_nothing(tmp_path, monkeypatch, name, make, policy):
    """Under deny and signed no class of a registered type is asked, whatever reads the object."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNSTORE_SIGNING_KEY", "0123456789abcdef")
    view = ObjectStore(tmp_path / "store", pickle=policy).at(namespace="dev", run="r1")
    file_of(view, name).parent.mkdir(parents=True)
    file_of(view, name).write_bytes(make(posing()))
    with registered():
        for read in (
            lambda: view.get(name),
            lambda: view.get(name, pickle="deny"),
            lambda: view.get(name, columns=["s"], pickle="deny"),
            lambda: view.get(name, as_type=pa.Table, pickle="deny"),
            lambda: view.stat(name).schema,
            lambda: view.copy(name, to_name=f"new{Path(name).suffix}"),
        ):
            with pytest.raises(UnsafePickleError):
                read()
            assert not CANARY.exists()
        view.stat(name)
        view.list(details=True)
        assert not CANARY.exists()


def test_the_registered_type_would_run(tmp_path, monkeypatch):
    """The plant of these tests works: where pickle is allowed its class is asked."""
    monkeypatch.chdir(tmp_path)
    view = ObjectStore(tmp_path / "store").at(namespace="dev", run="r1")
    file_of(view, "x").parent.mkdir(parents=True)
    file_of(view, "x").write_bytes(_arrow(posing()))
    with registered(), suppress(RunStoreError):
        view.get("x")
    assert CANARY.exists()


class Own(pa.ExtensionType):
    """A type of the user's, as a program registers it."""

    def __init__(self):
        super().__init__(pa.int8(), "tests.own")

    def __arrow_ext_serialize__(self):
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage, serialized):
        return cls()


@pytest.fixture
def own():
    """Give a column of a registered type."""
    pa.register_extension_type(Own())
    yield pa.ExtensionArray.from_storage(Own(), pa.array([1], pa.int8()))
    pa.unregister_extension_type("tests.own")


def test_put_refuses_types_that_get_would_refuse(denying, own):
    """Under deny a type of the user's is refused before the old object is touched."""
    table = pa.table({"a": own})
    frame = pd.DataFrame({"a": pd.array(own, dtype=pd.ArrowDtype(own.type))})
    for name in ("x", "x.parquet"):
        denying.put(name, pa.table({"a": [1]}))
        for value in (table, frame, *([{"f": pa.list_(own.type)}, [table]] if name == "x" else [])):
            with pytest.raises(UnsafePickleError, match=rf"dev/r1/{name}.*'tests\.own'"):
                denying.put(name, value)
        with pytest.raises(UnsafePickleError, match="tests"), denying.writer(name) as writer:
            writer.write(table)
        assert 1 == denying.get(name).num_rows
    trusting = ObjectStore(denying.store.url).at(namespace="dev", run="r1")
    trusting.put("x", table)
    assert table.equals(trusting.get("x"))


def test_harmless_types_are_read(denying):
    """Arrow's own extension types and pandas' are read under deny."""
    table = pa.table(
        {
            "id": pa.array([b"0123456789abcdef"], pa.uuid()),
            "period": pa.array(pd.period_range("2024", periods=1, freq="D")),
        }
    )
    for name in ("x", "x.parquet"):
        value = table if name == "x" else table.select(["id"])
        denying.put(name, value)
        assert value.equals(denying.get(name))
        assert value.schema.equals(denying.stat(name).schema)


# Memory ---------------------------------------------------------------------------------------


def _packed(rows):
    return pd.DataFrame({"a": np.zeros(rows)})


def test_what_decompresses_to_too_much_is_refused(denying, monkeypatch):
    """64 MB from a few kilobytes are refused under deny, until RUNSTORE_MAX_DECODED allows it.

    An empty variable is none.
    """
    monkeypatch.setenv("RUNSTORE_MAX_DECODED", "")
    trusting = ObjectStore(denying.store.url).at(namespace="dev", run="r1")
    rows = 8 << 20
    for name, compression in (("x", "zstd"), ("x.parquet", "zstd")):
        trusting.put(name, _packed(rows), compression=compression)
        with pytest.raises(UnsupportedFormatError, match=rf"dev/r1/{name}.*64 MiB.*MAX_DECODED"):
            denying.get(name)
        assert rows == len(trusting.get(name))
        with monkeypatch.context() as patch:
            patch.setenv("RUNSTORE_MAX_DECODED", "100000")
            assert rows == len(denying.get(name))


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_what_takes_no_room_is_measured_by_put_as_by_get(denying, monkeypatch, compression):
    """Nulls, structs and runs without data: refused by put with the setting, or read."""
    many = 5_000_000
    nulls = pa.nulls(many)
    numbers = pa.array(np.zeros(many, "i1"))
    wide = pa.table({"a": numbers, **{f"n{i}": nulls for i in range(60)}})  # with large data
    for value in (
        nulls,
        pa.table({"a": nulls}),
        [nulls],
        pl.DataFrame({"a": nulls}),
        pd.DataFrame({"a": pd.array(nulls, pd.ArrowDtype(pa.null()))}),
        pa.RunEndEncodedArray.from_arrays([many], [1]),
        pa.array([[]], pa.list_(pa.int8(), 0)).take(pa.array(np.zeros(many, "i4"))),
        *([wide] if compression is None else []),
    ):
        with pytest.raises(UnsupportedValueError, match=r"dev/r1/x.*RUNSTORE_MAX_DECODED"):
            denying.put("x", value, compression=compression)
        assert not denying.exists("x")
    with monkeypatch.context() as patch:
        patch.setenv("RUNSTORE_MAX_DECODED", "1000000")
        denying.put("x", nulls, compression=compression)
        assert many == len(denying.get("x"))
    for value in (nulls[:1_000_000], pa.table({"a": pa.array(np.arange(many)), "n": nulls})):
        denying.put("x", value, compression=compression)
        assert len(value) == len(denying.get("x"))


@pytest.mark.parametrize("limit", ["nan", "inf", "0.5", "-1", "many"])
def test_a_limit_that_is_none_is_refused(denying, monkeypatch, limit):
    """RUNSTORE_MAX_DECODED is a number from 1, as the setting is: nothing else turns it off."""
    denying.put("x", 1)
    monkeypatch.setenv("RUNSTORE_MAX_DECODED", limit)
    with pytest.raises(SettingsError, match=f"RUNSTORE_MAX_DECODED must be .*not '{limit}'"):
        denying.put("x", _packed(8 << 20), compression="zstd")


def test_nothing_is_put_that_would_not_be_read(denying):
    """What get would refuse is refused by put, and the old object is untouched."""
    denying.put("x", 1)
    with pytest.raises(UnsupportedValueError, match=r"dev/r1/x.*RUNSTORE_MAX_DECODED"):
        denying.put("x", _packed(8 << 20), compression="zstd")
    assert 1 == denying.get("x")


def test_rows_that_take_no_room_are_counted(denying):
    """A billion nulls in a file of some hundred bytes are refused."""
    plant(denying, pa.table({"a": pa.nulls(1 << 30)}), "arrow", {"kind": "table"})
    with pytest.raises(UnsupportedFormatError, match="MAX_DECODED"):
        denying.get("x")


def test_texts_that_are_referred_to_often_are_counted(denying):
    """A text of 1 MB to which a thousand rows of a Parquet file refer is as much as it says."""
    table = pa.table({"a": pa.array(["x" * 100_000] * 3000).dictionary_encode()})
    file_of(denying, "x.parquet").parent.mkdir(parents=True)
    file_of(denying, "x.parquet").write_bytes(_parquet(table.cast(pa.schema({"a": pa.string()}))))
    with pytest.raises(UnsupportedFormatError, match="MAX_DECODED"):
        denying.get("x.parquet")


def _bomb(content, name):
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(sink, "w", 8) as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
        new.writestr(name, b"\0" * (80 << 20))
    return sink.getvalue()


def test_archives_that_unpack_to_too_much_are_refused(denying):
    """A .skops of some kilobytes that holds 80 MB is refused before anything of it is unpacked."""
    denying.put("x.skops", StandardScaler().fit([[1.0], [2.0]]))
    file_of(denying, "x.skops").write_bytes(_bomb(file_of(denying, "x.skops").read_bytes(), "y"))
    with pytest.raises(UnsupportedFormatError, match="MAX_DECODED"):
        denying.get("x.skops")


def test_arrays_of_archives_are_as_long_as_they_say(denying):
    """An array in a .skops that says it is longer than it is, is refused."""
    denying.put("x.skops", StandardScaler().fit([[1.0], [2.0]]))
    path, sink = file_of(denying, "x.skops"), io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(sink, "w") as new:
        for member in old.infolist():
            content = old.read(member)
            if member.filename.endswith(".npy"):
                content = content.replace(b"'shape': (1,), }        ", b"'shape': (1000000000,), }")
                content = content.replace(
                    b"'shape': (), }           ", b"'shape': (1000000000,), }"
                )
            new.writestr(member.filename, content)
    assert b"1000000000" in sink.getvalue()
    path.write_bytes(sink.getvalue())
    with pytest.raises(CorruptObjectError, match=r"x\.skops.*shorter than the array"):
        denying.get("x.skops")


def _bits(count):
    return pa.Array.from_buffers(pa.bool_(), count, [None, pa.py_buffer(bytes(count // 8 + 1))])


@pytest.mark.parametrize("kind", ["dict", "tuple"])
def test_objects_of_a_bit_each_are_counted(denying, kind):
    """A megabyte of bits that would be eight million dicts is refused before one is made."""
    column = pa.StructArray.from_arrays([_bits(8 << 20)], ["0"])
    how = {"k": kind, "keys": ["a"], "of": [{"k": "bool"}]}
    plant(denying, pa.table({"item": column}), "packed", {"type": "list", "columns": [how]})
    with pytest.raises(UnsupportedFormatError, match=r"dev/r1/x would take .*MAX_DECODED"):
        denying.get("x")


def test_objects_are_measured_by_put_as_by_get(denying, monkeypatch):
    """Many objects of few bytes are refused by put with the setting; with it they are read."""
    text = pd.DataFrame({"a": pd.Series(["x", ""] * 750_000, dtype=object)})
    for value, name in (
        (text, "x"),
        (text, "x.parquet"),
        (text.set_index("a").index, "x"),
        ([[], {}] * 750_000, "x"),
        ({"of": [[[], {}] * 750_000, np.arange(3)]}, "x"),
    ):
        denying.put("x", 1)
        with pytest.raises(UnsupportedValueError, match=rf"dev/r1/{name}.*RUNSTORE_MAX_DECODED"):
            denying.put(name, value, compression="zstd")
        assert 1 == denying.get("x")
        with monkeypatch.context() as patch:
            patch.setenv("RUNSTORE_MAX_DECODED", "100000000")
            denying.put(name, value, compression="zstd")
            assert len(value) == len(denying.get(name))
        with pytest.raises(UnsupportedFormatError, match="MAX_DECODED"):
            denying.get(name)


def test_dense_objects_are_no_columns_for_careful_readers(denying):
    """Many dicts of a bit each are JSON where readers are careful, and so can be read."""
    value = [{"a": at % 2 == 0} for at in range(200_000)]
    for wrap in (lambda items: items, lambda items: {"of": [items, np.arange(3)]}):
        denying.put("x", wrap(value))
        assert value == (found := denying.get("x")) or value == found["of"][0]
    trusting = ObjectStore(denying.store.url).at(namespace="dev", run="r1")
    assert "packed" == trusting.put("x", value).codec
    with pytest.raises(UnsupportedFormatError, match="MAX_DECODED"):
        denying.get("x")


def test_polars_copies_no_value_for_each_row(denying):
    """A dictionary of lists, of which polars copies one for each code, is refused."""
    codes = pa.array(np.zeros(1000, "i1"))
    for values in (pa.array([[1.0]]), pa.array([b"x"]), pa.array([{"a": 1}])):
        column = pa.DictionaryArray.from_arrays(codes, values)
        for one in (column, pa.ListArray.from_arrays([0, 1000], column)):
            plant(denying, pa.table({"a": one}), "polars", {})
            with pytest.raises(UnsupportedFormatError, match="polars would copy a value"):
                denying.get("x")
    runs = pa.RunEndEncodedArray.from_arrays([1000], ["x"])
    plant(denying, pa.table({"a": runs}), "arrow", {"kind": "table"})
    with pytest.raises(UnsupportedValueError, match="polars would copy a value"):
        denying.get("x", as_type=pl.DataFrame)


# Geometries ---------------------------------------------------------------------------------------


def _deep(levels, code=7, order="<"):
    mark = b"\x01" if order == "<" else b"\0"
    return (mark + struct.pack(f"{order}2I", code, 1)) * levels + (
        b"\x01\x01\0\0\0" + struct.pack("<2d", 1, 2)
    )


@pytest.mark.parametrize("code", [4, 6, 7, 1007, 3005, 7 | 0xC0000000])
def test_geometries_are_not_too_deep(denying, code):
    """Collections within collections, on which GEOS ends the process, are refused before it."""
    geopandas, shapely = pytest.importorskip("geopandas"), pytest.importorskip("shapely")
    from runstore.codecs._geometries import from_wkb

    for order in "<>":
        with pytest.raises(CorruptObjectError, match=r"dev/r1/x is damaged: .*500 levels deep"):
            from_wkb([None, _deep(30_000, code, order)], "dev/r1/x")
    wide = shapely.GeometryCollection([shapely.MultiPoint([(0, 1, 2), (1, 2, 3)])] * 2000)
    (back,) = from_wkb([shapely.to_wkb(wide)], "x")
    assert shapely.equals_identical(wide, back)
    assert "GeometryCollection" == from_wkb([_deep(400)], "x")[0].geom_type
    # The same in a file: what stands there for a point of as many bytes is such a collection.
    long = shapely.LineString(np.arange(2 * 20_000).reshape(-1, 2))
    denying.put("x", geopandas.GeoDataFrame({"n": [1]}, geometry=[long]))
    stored = shapely.to_wkb(long)
    evil = _deep((len(stored) - 21) // 9, code)
    evil = evil + bytes(len(stored) - len(evil))
    forge(denying, "x", replacing(stored, evil))
    with pytest.raises(CorruptObjectError, match=r"dev/r1/x is damaged: .*500 levels deep"):
        denying.get("x")
    with pytest.raises(CorruptObjectError, match="no bytes"):
        from_wkb(["01"], "x")


_NESTS = """
import struct
from runstore.codecs._geometries import from_wkb
from runstore.errors import CorruptObjectError
cases = [(2, 7), (255, 7), (48, 7), (1, 0x10007), (1, 0x1FFF0007)]
cases += [(order, kind) for order in (0, 1) for kind in (9, 10, 11, 12, 2012)]
for mark, code in cases:
    order = ">" if mark == 0 else "<"
    outer = b"\\x01\\x07\\0\\0\\0\\x01\\0\\0\\0"
    deep = outer + (bytes([mark]) + struct.pack(order + "2I", code, 1)) * 200_000
    print(mark, code, end=": ", flush=True)
    try:
        from_wkb([deep + b"\\x01\\x01\\0\\0\\0" + struct.pack("<2d", 1, 2)], "x")
    except CorruptObjectError as exc:
        print(str(exc)[:24], flush=True)
"""


def test_what_geos_takes_for_collections_ends_no_process():
    """Other byte orders, types and flags lead GEOS as deep, and are refused as well."""
    pytest.importorskip("shapely")
    ended = subprocess.run([sys.executable, "-c", _NESTS], capture_output=True, text=True)
    said = ended.stdout.splitlines()
    assert (0, 15) == (ended.returncode, len(said)), said
    assert [] == [line for line in said if not line.endswith(": x is damaged: a geometry")]


def test_geometries_that_geos_would_not_read_are_refused():
    """Cut off, of no byte order, or of a type that there is not."""
    pytest.importorskip("shapely")
    from runstore.codecs._geometries import from_wkb

    line = b"\x01\x02\0\0\0" + struct.pack("<I800d", 400, *range(800))
    assert 400 == len(from_wkb([line], "x")[0].coords)
    for data, why in ((line[:-1], ""), (b"0" + line[1:], "byte order"), (b"", "cut off")):
        with pytest.raises(CorruptObjectError, match=f"x is damaged: .*{why}"):
            from_wkb([data], "x")
    for code in (0, 13, 17, 4002):
        with pytest.raises(CorruptObjectError, match="unknown type"):
            from_wkb([line[:1] + struct.pack("<I", code) + line[5:]], "x")


# Seals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_a_seal_has_no_more_parts_than_fit_into_its_file(denying, compression):
    """A list of parts that unpacks to millions is refused before one of them is made."""
    count = 200_000
    keys = [f'["s", "{at:07}"]' for at in range(count)]
    entries = {
        "part": keys,
        "write_id": ["0" * 16] * count,
        "digest": [""] * count,
        "rows": pa.array([0] * count, pa.int64()),
        "size": [0] * count,
        "more": pa.array([None] * count, pa.string()),
    }
    from runstore import seals

    table = pa.table(entries, schema=seals._SCHEMA)
    spec = {"kind": "parts", "size": 0, "count": count, "extension": "arrow"}
    about = header("x", "sealed", spec)
    written = containers.arrow_file(
        table.schema, table.to_batches(), about, nbytes=table.nbytes, compression=compression
    )
    file_of(denying, "x").parent.mkdir(parents=True)
    file_of(denying, "x").write_bytes(b"".join(map(bytes, written)))
    reason = "room for|MAX_DECODED" if compression else "no seal of parts"
    for read in (denying.get, denying.parts, lambda name: denying.get(name, part="0000001")):
        with pytest.raises((CorruptObjectError, UnsupportedFormatError), match=reason):
            read("x")

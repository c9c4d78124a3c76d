"""Digests of files by extension: no other reader sees them, and a file without one is read."""

import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
import xxhash
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from sklearn.preprocessing import StandardScaler

from runstore import ObjectStore
from runstore.containers import check_file, with_digest
from runstore.errors import CorruptObjectError, InvalidRequestError
from runstore.testing import assert_same

_ARRAY = np.arange(12.0).reshape(3, 4)
VALUES = {
    "x.npy": np.asfortranarray(_ARRAY),
    "x.pkl": {"a": (1, {2}), "b": b"x" * 100_000},
    "x.safetensors": {"b": np.arange(3, dtype="i2"), "a": _ARRAY},
    "x.skops": StandardScaler(copy=False),
}
# As a program that knows nothing of digests writes them.
FOREIGN = {
    "x.npy": lambda path, value: np.save(path, value),
    "x.pkl": lambda path, value: path.write_bytes(pickle.dumps(value)),
    "x.safetensors": lambda path, value: save_file(value, path),
    "x.skops": lambda path, value: skops.io.dump(value, path),
}


@pytest.fixture
def disk(tmp_path):
    """Give an empty view on disk."""
    return ObjectStore(tmp_path / "store").at(namespace="dev", run="r1")


def stored(view, name, value):
    """Put a value and give its file."""
    view.put(name, value)
    return Path(view.store.url.removeprefix("file://")) / "dev" / "r1" / name


def same(expected, actual):
    if isinstance(expected, StandardScaler):
        assert vars(expected) == vars(actual)
    else:
        assert_same(expected, actual)


@pytest.mark.parametrize("name", VALUES)
def test_files_have_a_digest(disk, name):
    """What is put has a digest that fits."""
    stored(disk, name, VALUES[name])
    same(VALUES[name], disk.get(name, verify=True))


@pytest.mark.parametrize("name", VALUES)
def test_files_without_a_digest_are_read(disk, name):
    """A file of another program is read, unless a digest is asked for."""
    FOREIGN[name](stored(disk, name, VALUES[name]), VALUES[name])
    actual = disk.get(name)
    if name == "x.safetensors":  # its own writer orders them anew
        actual = {key: actual[key] for key in VALUES[name]}
    same(VALUES[name], actual)
    with pytest.raises(CorruptObjectError, match=r"dev/r1/x.* no digest.*without verify=True"):
        disk.get(name, verify=True)


@pytest.mark.parametrize("name", VALUES)
def test_damage_is_found_by_all_that_read(disk, name):
    """A damaged file is neither decoded, nor given as bytes, nor copied."""
    path = stored(disk, name, VALUES[name])
    data = bytearray(path.read_bytes())
    data[-60 if name == "x.skops" else -1] ^= 1
    path.write_bytes(data)
    extension = name.partition(".")[2]
    for act in (
        lambda: disk.get(name),
        lambda: disk.get(name, as_type=bytes),
        lambda: disk.copy(name, to_name=f"y.{extension}"),
    ):
        with pytest.raises(CorruptObjectError, match=r"dev/r1/x.*does not fit.*on purpose, "):
            act()
    assert not disk.exists(f"y.{extension}")


@pytest.mark.parametrize("name", VALUES)
def test_copies_keep_the_digest(disk, name):
    """A copy is the same file, byte for byte."""
    path = stored(disk, name, VALUES[name])
    copy = f"y.{name.partition('.')[2]}"
    disk.copy(name, to_name=copy)
    assert path.read_bytes() == path.with_name(copy).read_bytes()
    same(VALUES[name], disk.get(copy, verify=True))


# Other readers ---------------------------------------------------------------------------------


def test_npy_for_others(disk):
    """NumPy reads and maps the file; its header keeps the padding that NumPy's own have."""
    path = stored(disk, "x.npy", VALUES["x.npy"])
    assert_same(VALUES["x.npy"], np.load(path))
    assert_same(VALUES["x.npy"], np.array(np.load(path, mmap_mode="r+"), order="K"))
    data = path.read_bytes()
    assert 0 == (len(data) - _ARRAY.nbytes) % 64
    assert b"\n" == data[-_ARRAY.nbytes - 1 : -_ARRAY.nbytes]


@pytest.mark.parametrize("load", [pickle.loads, pickle._loads, lambda data: pd.read_pickle(data)])
def test_pickle_for_others(disk, load, tmp_path):
    """Every unpickler drops the text, and takes what follows for what it is."""
    path = stored(disk, "x.pkl", VALUES["x.pkl"])
    assert VALUES["x.pkl"] == load(path if load.__name__ == "<lambda>" else path.read_bytes())
    with path.open("rb") as file:  # no more is read than the pickle
        pickle.load(file)
        assert b"" == file.read()


def test_safetensors_for_others(disk):
    """The library reads the tensors, and the digests as metadata."""
    path = stored(disk, "x.safetensors", VALUES["x.safetensors"])
    loaded = load_file(path)
    assert_same(VALUES["x.safetensors"], {key: loaded[key] for key in VALUES["x.safetensors"]})
    with safe_open(path, "np") as file:
        assert {"format", "runstore.body", "runstore.digest"} == set(file.metadata())


def test_skops_for_others(disk):
    """skops loads the model; to a ZIP tool the digest is the archive's comment."""
    path = stored(disk, "x.skops", VALUES["x.skops"])
    assert vars(VALUES["x.skops"]) == vars(skops.io.load(path))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.comment.startswith(b"runstore.body=xxh3_128:")


# Edited by hand ----------------------------------------------------------------------------------


def test_text_files_are_plain(disk):
    """A .json or .csv holds what a person reads, and what they save in it is read."""
    records = [{"a": 1, "b": "é"}, {"a": 2, "b": None}]
    path = stored(disk, "x.json", records)
    assert path.read_bytes().startswith(b'[{"a": 1')
    assert records == pl.read_json(path).to_dicts()
    path.write_text(path.read_text().replace("2", "25"))
    assert 25 == disk.get("x.json")[1]["a"]
    path = stored(disk, "x.csv", pd.DataFrame({"a": [1, 2]}))
    assert b"a\n1\n2\n" == path.read_bytes()
    for name in ("x.json", "x.csv"):
        with pytest.raises(InvalidRequestError, match=f"{name}.* has no digest"):
            disk.get(name, verify=True)


def _json_with_digest(path, value):
    """Write a .json as older versions did, with its digest in blanks on the first line."""
    document = json.dumps(value).encode()
    bits = f"{int(xxhash.xxh3_128_hexdigest(document), 16):0128b}"
    path.write_bytes(bits.translate(str.maketrans("01", " \t")).encode() + b"\n" + document)
    return path


def test_a_json_with_a_digest_is_checked(disk):
    """A .json of an older version, which has a digest, is read and checked as before."""
    path = _json_with_digest(stored(disk, "x.json", 1), {"rate": 0.1})
    assert {"rate": 0.1} == disk.get("x.json", verify=True)
    disk.copy("x.json", to_name="y.json")
    assert {"rate": 0.1} == disk.get("y.json", verify=True)
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    for act in (
        lambda: disk.get("x.json"),
        lambda: disk.get("x.json", as_type=bytes),
        lambda: disk.copy("x.json", to_name="z.json"),
    ):
        with pytest.raises(CorruptObjectError, match=r"dev/r1/x.*does not fit.*on purpose, "):
            act()


def test_an_edited_json_says_what_to_do(disk):
    """The error of an old .json that was edited says how to have it read, and that works."""
    path = _json_with_digest(stored(disk, "x.json", 1), {"rate": 0.1})
    path.write_text(path.read_text().replace("0.1", "0.25"))
    with pytest.raises(CorruptObjectError, match="delete its first line, which is all blanks"):
        disk.get("x.json")
    path.write_text(path.read_text().split("\n", 1)[1])
    assert {"rate": 0.25} == disk.get("x.json")


def test_editors_that_strip_blanks_need_no_help(disk):
    """An editor that strips blanks at line ends, or formats the document, drops the digest."""
    path = _json_with_digest(stored(disk, "x.json", 1), {"rate": 0.1})
    text = path.read_text()
    for edited in ("\n".join(map(str.rstrip, text.split("\n"))), json.dumps(json.loads(text))):
        path.write_text(edited.replace("0.1", "0.25"))
        assert {"rate": 0.25} == disk.get("x.json")


def test_an_array_edited_in_place(disk):
    """An array that another program changed in place is found, and read once it is saved anew."""
    path = stored(disk, "x.npy", _ARRAY)
    array = np.load(path, mmap_mode="r+")
    array[0, 0] = 7
    array.flush()
    with pytest.raises(CorruptObjectError, match=r"np\.save\(path, np\.load\(path\)\)"):
        disk.get("x.npy")
    np.save(path, np.load(path))
    assert 7 == disk.get("x.npy")[0, 0]


def test_tensors_saved_with_the_metadata_of_others(disk):
    """Entries that were carried over to other tensors are found; the error says which to drop."""
    path = stored(disk, "x.safetensors", VALUES["x.safetensors"])
    with safe_open(path, "np") as file:
        metadata = file.metadata()
    save_file({"a": _ARRAY + 1}, path, metadata)
    with pytest.raises(CorruptObjectError, match=r"without the entries runstore\.body"):
        disk.get("x.safetensors")
    save_file({"a": _ARRAY + 1}, path, {"format": "np"})
    assert_same({"a": _ARRAY + 1}, disk.get("x.safetensors"))


# How much is checked -----------------------------------------------------------------------------

_LARGE = np.arange(100_000.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("x.npy", _LARGE), ("x.npy", _LARGE.reshape(100, -1)), ("x.safetensors", {"a": _LARGE})],
)
def test_large_mapped_files(disk, name, value):
    """Of a large file that is mapped the head is checked, and the data if that is asked for."""
    path = stored(disk, name, value)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    disk.get(name)  # the data is not read
    disk.get(name, verify=False)
    with pytest.raises(CorruptObjectError, match="does not fit"):
        disk.get(name, verify=True)
    head = data.index(b"<f8" if name == "x.npy" else b"F64")
    data[head : head + 3] = b"<i8" if name == "x.npy" else b"I64"
    path.write_bytes(data)
    for verify in ("auto", False):
        with pytest.raises(CorruptObjectError, match="does not fit"):
            disk.get(name, verify=verify)


@pytest.mark.parametrize("name", ["x.csv", "x.json", "x.html", "x.unknown"])
def test_no_place_for_a_digest(name):
    """A format whose files have no digest cannot be verified, and says so."""
    extension = name.partition(".")[2]
    parts = [b"a,b\n1,2\n"]
    assert parts is with_digest(extension, parts)
    check_file(extension, parts[0], name)
    with pytest.raises(InvalidRequestError, match=f"{name}.* has no digest"):
        check_file(extension, parts[0], name, verify=True)


def test_several_arrays_are_not_one(disk):
    """A .npy with more in it than an array is not read as its first."""
    path = stored(disk, "x.npy", _ARRAY)
    with path.open("wb") as file:
        np.save(file, _ARRAY)
        np.save(file, _ARRAY)
    with pytest.raises(CorruptObjectError, match="more or less"):
        disk.get("x.npy")

"""Files whose format a name's extension picks: what they hold is kept, the rest is refused."""

import io
import json
import pickle
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runstore import ObjectStore
from runstore.errors import (
    CorruptObjectError,
    InvalidRequestError,
    UnsafePickleError,
    UnsupportedFormatError,
    UnsupportedValueError,
)
from runstore.testing import assert_same

_CUBE = np.arange(24.0).reshape(2, 3, 4)
_LIST = pa.list_(pa.field("element", pa.int64()))
_DAYS = pd.date_range("2024", periods=3, freq="D", name="day")

EXACT: dict[str, dict[str, Callable[[], Any]]] = {
    "x.parquet": {
        "frame": lambda: pd.DataFrame(
            {"a": [1, 2, 3], "b": ["x", None, ""], "c": [True, False, True]}
        ),
        "missing": lambda: pd.DataFrame(
            {
                "a": [1.5, float("nan"), -0.0],
                "b": pd.array([1, None, 3], "Int8"),
                "c": pd.to_datetime(["2024-01-01", None, "2024-01-02"]),
                "d": pd.array([True, None, False], "boolean"),
                "e": pd.to_timedelta([1, None, 2], unit="s"),
                "f": pd.array([1.5, None, 2.5], "Float32"),
            }
        ),
        "kinds of NaN": lambda: pd.DataFrame({"a": _nans()}),
        "nullable NaN": lambda: pd.DataFrame(
            {"a": pd.arrays.FloatingArray(_nans(), np.array([False, True, False, False, False]))}
        ),
        "index": lambda: pd.DataFrame({"a": [1, 2, 3]}, index=_DAYS),
        "zone": lambda: pd.DataFrame(
            {"a": _DAYS.tz_localize(zoneinfo.ZoneInfo("Europe/Paris")).as_unit("us")}
        ),
        "milliseconds": lambda: pd.DataFrame({"a": _DAYS.as_unit("ms")}),
        "labels twice": lambda: pd.DataFrame([[1, 2]], columns=["a", "a"]),
        "small numbers": lambda: pd.DataFrame(
            {"a": np.array([1, 2], "u2"), "b": np.array([1, 2], "f2")}
        ),
        "no rows": lambda: pd.DataFrame({"a": np.array([], "f4"), "b": np.array([], "M8[us]")}),
        "table": lambda: pa.table({"a": [1, None], "b": [["x"], None], "c": [{"d": 1}, None]}),
        "renamed items": lambda: pa.table({"a": pa.array([[1]], _LIST)}),
        "table without rows": lambda: pa.table({"a": pa.array([], pa.int8())}),
        "chunks": lambda: pa.table({"a": pa.chunked_array([[1], [2, 3]])}),
        "polars": lambda: pl.DataFrame({"a": [1, None], "b": ["x", None], "c": [[1], None]}),
    },
    "x.json": {
        "nested": lambda: {"a": [1, 2.5, None, True, "é"], "b": {}},
        "text": lambda: "a",
        "number": lambda: -0.0,
        "large": lambda: 1 << 4000,
        "nothing": lambda: None,
    },
    "x.npy": {
        "floats": lambda: np.arange(3.0),
        "F order": lambda: np.asfortranarray(_CUBE),
        "neither order": lambda: _CUBE.transpose(1, 2, 0),
        "0-d": lambda: np.array(7),
        "empty": lambda: np.empty((3, 0), "i2"),
        "empty F": lambda: np.empty((0, 3), order="F"),
        "text": lambda: np.array(["a", "bc"]),
        "big-endian": lambda: np.arange(3, dtype=">i4"),
        "structured": lambda: np.array([(1, 2.5)], [("a", "i4"), ("b", "f8", (2,))]),
        "days": lambda: np.array(["2024-01-01", "NaT"], "M8[D]"),
    },
    "x.pkl": {
        "tuple": lambda: (1, {2}),
        "frame": lambda: pd.DataFrame({"a": [1, "x"]}),
        "array": lambda: np.arange(10_000),
    },
}

REFUSED: dict[str, dict[str, Callable[[], Any]]] = {
    "x.parquet": {
        "no table": lambda: {"a": 1},
        "array": lambda: np.arange(3),
        "objects": lambda: pd.DataFrame({"a": [(1, 2), {3}]}),
        "mixed labels": lambda: pd.DataFrame([[1, 2]], columns=pd.Index([1, "1"], dtype=object)),
        "categories": lambda: pd.DataFrame({"a": pd.Categorical(["x", "y"])}),
        "levels": lambda: pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_arrays([[1], [2]])),
        "seconds": lambda: pd.DataFrame({"a": _DAYS.as_unit("s")}),
        "seconds in an index": lambda: pd.DataFrame({"a": [1, 2, 3]}, index=_DAYS.as_unit("s")),
        "union": lambda: pa.table(
            {"a": pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])}
        ),
        "series": lambda: pd.Series([1, 2]),
        "text": lambda: "a",
    },
    "x.json": {
        "tuple": lambda: (1, 2),
        "NaN": lambda: [float("nan")],
        "infinity": lambda: {"a": float("-inf")},
        "surrogates": lambda: "\ud83d\ude00",
        "number as key": lambda: {1: 2},
        "frame": lambda: pd.DataFrame({"a": [1]}),
        "scalar": lambda: np.float64(1.5),
    },
    "x.npy": {
        "list": lambda: [1, 2],
        "objects": lambda: np.array([1, "a"], object),
        "masked": lambda: np.ma.array([1], mask=[True]),
        "scalar": lambda: np.float64(1.5),
        "longlong": lambda: np.arange(3, dtype="q"),
    },
    "x.csv": {"frame": lambda: pd.DataFrame({"a": [1]})},
}


def _nans() -> np.ndarray[Any, Any]:
    bits = [0x7FF8000000000001, 0xFFF8 << 48, 0x7FF4 << 48, 1 << 63, 0]
    return np.array(bits, "u8").view("f8")


def _cases(table: dict[str, dict[str, Callable[[], Any]]]) -> list[Any]:
    return [
        pytest.param(name, make, id=f"{name} {case}")
        for name, cases in table.items()
        for case, make in cases.items()
    ]


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    url = "memory://files" if request.param == "memory" else str(tmp_path)
    return ObjectStore(url).at(namespace="tests", run="files")


@pytest.mark.parametrize(("name", "make"), _cases(EXACT))
def test_keeps_the_value(name: str, make: Callable[[], Any], store: Any) -> None:
    """What a format takes comes back the same."""
    store.put(name, make())
    assert_same(make(), store.get(name))


@pytest.mark.parametrize(("name", "make"), _cases(REFUSED))
def test_refuses_what_it_would_change(name: str, make: Callable[[], Any], store: Any) -> None:
    """What a format would change is refused by name, and the old object stays."""
    earlier = {"x.parquet": pa.table({"a": [1]}), "x.json": 1, "x.npy": np.arange(2)}
    if name in earlier:
        store.put(name, earlier[name])
    with pytest.raises((UnsupportedValueError, UnsupportedFormatError), match="x"):
        store.put(name, make())
    if name in earlier:
        assert_same(earlier[name], store.get(name))


def test_parquet_is_parquet(tmp_path: Path) -> None:
    """Every reader of Parquet reads the file as it lies on the disk."""
    frame = pd.DataFrame({"a": [1, 2]}, index=pd.Index([5, 6], name="i"))
    ObjectStore(str(tmp_path)).at(namespace="tests", run="files").put("x.parquet", frame)
    (file,) = tmp_path.rglob("x.parquet")
    pd.testing.assert_frame_equal(frame, pd.read_parquet(file))
    assert ["a", "__index_level_0__"] == pl.read_parquet(file).columns
    assert 2 == pq.read_table(file, page_checksum_verification=True).num_rows


def test_json_npy_and_pkl_are_plain_files(tmp_path: Path) -> None:
    """The standard library and NumPy read the files as they lie on the disk."""
    store = ObjectStore(str(tmp_path)).at(namespace="tests", run="files")
    store.put("x.json", {"a": [1, None]})
    store.put("x.npy", np.asfortranarray(_CUBE))
    store.put("x.pkl", (1, 2))
    found = {path.suffix: path for path in tmp_path.rglob("x.*")}
    assert {"a": [1, None]} == json.loads(found[".json"].read_text())
    assert_same(np.asfortranarray(_CUBE), np.load(found[".npy"]))
    assert (1, 2) == pickle.loads(found[".pkl"].read_bytes())


def test_reads_the_files_of_others(tmp_path: Path) -> None:
    """What another program wrote is read under its name."""
    store = ObjectStore(str(tmp_path)).at(namespace="tests", run="files")
    store.put("x.npy", np.arange(1))
    folder = next(tmp_path.rglob("x.npy")).parent
    np.save(folder / "y.npy", np.arange(5))
    pq.write_table(pa.table({"a": [1]}), folder / "y.parquet")
    (folder / "y.json").write_text('{"a": 1.0}')
    assert_same(np.arange(5), store.get("y.npy"))
    assert_same(pa.table({"a": [1]}), store.get("y.parquet"))
    assert_same({"a": 1.0}, store.get("y.json"))


def test_arrays_from_npy_can_be_written_to(store: Any) -> None:
    """An array read from a file is private to its reader."""
    store.put("x.npy", np.arange(100_000))
    array = store.get("x.npy")
    array += 1
    assert_same(np.arange(100_000), store.get("x.npy"))


def test_frames_from_parquet_can_be_written_to(store: Any) -> None:
    """A frame read from Parquet is writable, missing values included."""
    frame = pd.DataFrame({"a": [1.5, float("nan")], "b": pd.array([1, None], "Int8")})
    store.put("x.parquet", frame)
    mine = store.get("x.parquet")
    mine.iloc[0, 0] = 9.0
    mine.iloc[1, 1] = 9
    assert_same(frame, store.get("x.parquet"))


def test_npy_never_unpickles(tmp_path: Path) -> None:
    """An .npy of Python objects, which holds a pickle, is not loaded."""
    store = ObjectStore(str(tmp_path)).at(namespace="tests", run="files")
    store.put("x.npy", np.arange(1))
    np.save(next(tmp_path.rglob("x.npy")), np.array([{}], object), allow_pickle=True)
    with pytest.raises(UnsupportedFormatError, match="pickle"):
        store.get("x.npy")


def test_pkl_is_under_the_policy(tmp_path: Path) -> None:
    """Under the policy deny a .pkl is neither written nor read."""
    ObjectStore(str(tmp_path)).at(namespace="tests", run="files").put("x.pkl", (1,))
    strict = ObjectStore(str(tmp_path), pickle="deny").at(namespace="tests", run="files")
    with pytest.raises(UnsafePickleError):
        strict.put("y.pkl", 1)
    with pytest.raises(UnsafePickleError):
        strict.get("x.pkl")


@pytest.mark.parametrize("name", ["x.json", "x.npy"])
def test_metadata_needs_room(name: str, store: Any) -> None:
    """A format without room for metadata says so."""
    with pytest.raises(InvalidRequestError, match="no room"):
        store.put(name, np.arange(2), metadata={"a": 1})


def test_damaged_parquet_is_found(tmp_path: Path) -> None:
    """Wherever a byte of a Parquet file is changed, and however it is cut, it is found."""
    store = ObjectStore(str(tmp_path)).at(namespace="tests", run="files")
    store.put("x.parquet", pa.table({"a": [1, 2]}))
    (file,) = tmp_path.rglob("x.parquet")
    stored = file.read_bytes()
    for at in range(len(stored)):
        damaged = bytearray(stored)
        damaged[at] ^= 0xFF
        for data in (bytes(damaged), stored[:at]):
            file.write_bytes(data)
            with pytest.raises(CorruptObjectError):
                store.get("x.parquet")


@pytest.mark.parametrize("name", ["x.json", "x.npy", "x.pkl"])
def test_cut_files_are_found(name: str, tmp_path: Path) -> None:
    """A plain file that lost its end is damage, at whatever length."""
    store = ObjectStore(str(tmp_path)).at(namespace="tests", run="files")
    value = {"x.json": {"a": [1, "b"]}, "x.npy": np.arange(5), "x.pkl": (1, "a")}[name]
    store.put(name, value)
    (file,) = tmp_path.rglob(name)
    stored = file.read_bytes()
    for length in range(len(stored)):
        file.write_bytes(stored[:length])
        with pytest.raises(CorruptObjectError):
            store.get(name)


def test_npy_is_what_numpy_writes(store: Any) -> None:
    """The bytes after the header are those of numpy.save, in either order."""
    for array in (_CUBE, np.asfortranarray(_CUBE), _CUBE.transpose(1, 0, 2)):
        store.put("x.npy", array)
        file = io.BytesIO()
        np.save(file, array)
        assert_same(np.load(io.BytesIO(file.getvalue())), store.get("x.npy"))

"""Files whose format a name's extension picks: what they hold is kept, the rest is refused."""

import io
import json
import pickle
import re
import sys
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import skops.io
from safetensors.numpy import load_file, save_file
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from runstore import ObjectStore
from runstore.errors import (
    CorruptObjectError,
    InvalidRequestError,
    MissingExtraError,
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
    "x.csv": {
        "numbers": lambda: pd.DataFrame(
            {
                "a": [1, -(2**63)],
                "b": [0.1, -0.0],
                "c": [True, False],
                "d": np.array([2**64 - 1, 1], "u8"),
                "e": [5e-324, 1.7976931348623157e308],
            }
        ),
        "text": lambda: pd.DataFrame({'a, "b"': ["x,y", 'q"', "é\nz"], "c": ["1", "b", " d "]}),
        "missing": lambda: pd.DataFrame(
            {"a": [1.5, float("nan"), float("inf")], "b": ["x", float("nan"), "y"]}
        ),
        "empty row": lambda: pd.DataFrame({"a": [1.5, float("nan")]}),
        "random": lambda: pd.DataFrame(np.random.default_rng(1).random((500, 2)), columns=[*"ab"]),
    },
    "x.safetensors": {
        "arrays": lambda: {"b": np.arange(3, dtype="i1"), "a": _CUBE, "é": np.array(True)},
        "empty": dict,
        "no items": lambda: {"a": np.empty((0, 3), "f4"), "b": np.arange(2)},
        "all dtypes": lambda: {
            dtype: np.ones(3, dtype)
            for dtype in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
        },
        "complex": lambda: {"a": np.array([1 + 2j], "c8")},
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
        "objects": lambda: pd.DataFrame({"a": [(1, 2), NormalDist()]}),
        "mixed labels": lambda: pd.DataFrame([[1, 2]], columns=pd.Index([1, "1"], dtype=object)),
        "union": lambda: pa.table(
            {"a": pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])}
        ),
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
        "longlong in a field": lambda: np.zeros(3, [("a", "i4"), ("b", "q", (2,))]),
    },
    "x.csv": {
        "index": lambda: pd.DataFrame({"a": [1]}, index=[5]),
        "named index": lambda: pd.DataFrame({"a": [1]}, index=pd.RangeIndex(1, name="i")),
        "number as label": lambda: pd.DataFrame({1: [1]}),
        "labels twice": lambda: pd.DataFrame([[1, 2]], columns=["a", "a"]),
        "empty label": lambda: pd.DataFrame({"": [1]}),
        "named labels": lambda: pd.DataFrame([[1]], columns=pd.Index(["a"], name="n")),
        "no columns": lambda: pd.DataFrame(index=range(2)),
        "no rows": lambda: pd.DataFrame({"a": np.array([], "i8")}),
        "small integers": lambda: pd.DataFrame({"a": np.array([1], "i1")}),
        "times": lambda: pd.DataFrame({"a": _DAYS}),
        "digits": lambda: pd.DataFrame({"a": ["01", "2"]}),
        "empty text": lambda: pd.DataFrame({"a": ["x", ""]}),
        "text that reads as missing": lambda: pd.DataFrame({"a": ["x", "NA"]}),
        "None": lambda: pd.DataFrame({"a": pd.Series(["x", None], dtype=object)}),
        "surrogate": lambda: pd.DataFrame({"a": pd.Series(["\ud800"], dtype=object)}),
        "categories": lambda: pd.DataFrame({"a": pd.Categorical(["x"])}),
        "nullable": lambda: pd.DataFrame({"a": pd.array([1, None], "Int64")}),
        "kinds of NaN": lambda: pd.DataFrame({"a": _nans()}),
        "attrs": lambda: _with_attrs(pd.DataFrame({"a": [1]})),
        "series": lambda: pd.Series([1]),
        "table": lambda: pa.table({"a": [1]}),
    },
    "x.safetensors": {
        "list": lambda: [np.arange(3)],
        "number as key": lambda: {1: np.arange(3)},
        "a number": lambda: {"a": 1},
        "F order": lambda: {"a": np.asfortranarray(np.ones((2, 3)))},
        "text": lambda: {"a": np.array(["x"])},
        "times": lambda: {"a": np.array([0], "M8[s]")},
        "big-endian": lambda: {"a": np.array([1], ">i4")},
        "longlong": lambda: {"a": np.array([1], "q")},
        "reserved": lambda: {"__metadata__": np.arange(3)},
        "surrogate": lambda: {"\ud800": np.arange(3)},
        "complex": lambda: {"a": np.array([1j])},
    },
    "x.skops": {
        "dict": lambda: {"a": 1},
        "own function": lambda: FunctionTransformer(_nans),
        "object": lambda: _Own(),
    },
}


def _with_attrs(frame: pd.DataFrame) -> pd.DataFrame:
    frame.attrs["a"] = 1
    return frame


class _Own(BaseEstimator):
    """A model of one's own, which skops would have to call."""


def _nans() -> np.ndarray[Any, Any]:
    bits = [0x7FF8000000000001, 0xFFF8 << 48, 0x7FF4 << 48, 1 << 63, 0]
    return np.array(bits, "u8").view("f8")


def _cases(table: dict[str, dict[str, Callable[[], Any]]]) -> list[Any]:
    return [
        pytest.param(name, make, id=f"{name} {case}")
        for name, cases in table.items()
        for case, make in cases.items()
    ]


@pytest.fixture(params=[pytest.param("memory", marks=pytest.mark.extended), "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    url = "memory://files" if request.param == "memory" else str(tmp_path)
    return ObjectStore(url).at(namespace="tests", run="files")


@pytest.mark.parametrize(("name", "make"), _cases(EXACT))
def test_keeps_the_value(name: str, make: Callable[[], Any], store: Any) -> None:
    """What a format takes comes back the same."""
    store.put(name, make())
    assert_same(make(), store.get(name))


def test_line_ends_inside_a_cell(store: Any) -> None:
    """A .csv keeps them, as from Python 3.13 on, or refuses them."""
    value = pd.DataFrame({"a": ["x\r\ny"], "b": ["\r"]})
    try:
        store.put("x.csv", value)
    except UnsupportedValueError:
        assert sys.version_info < (3, 13)
    else:
        assert_same(value, store.get("x.csv"))


@pytest.mark.parametrize(("name", "make"), _cases(REFUSED))
def test_refuses_what_it_would_change(name: str, make: Callable[[], Any], store: Any) -> None:
    """What a format would change is refused by name, and the old object stays."""
    earlier = {
        "x.parquet": pa.table({"a": [1]}),
        "x.json": 1,
        "x.npy": np.arange(2),
        "x.csv": pd.DataFrame({"a": [1]}),
        "x.safetensors": {"a": np.arange(2)},
    }
    if name in earlier:
        store.put(name, earlier[name])
    with pytest.raises(UnsupportedValueError, match="x"):
        store.put(name, make())
    if name in earlier:
        assert_same(earlier[name], store.get(name))


def test_parquet_is_parquet(tmp_path: Path) -> None:
    """Every reader of Parquet reads the file as it lies on the disk."""
    frame = pd.DataFrame({"a": [1, 2]}, index=pd.Index([5, 6], name="i"))
    ObjectStore(str(tmp_path)).at(namespace="tests", run="files").put("x.parquet", frame)
    (file,) = tmp_path.rglob("x.parquet")
    pd.testing.assert_frame_equal(frame, pd.read_parquet(file))
    assert ["a", "i"] == pl.read_parquet(file).columns
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


@pytest.mark.parametrize(
    "kind",
    [pa.decimal128(38, -5), pa.decimal256(60, -2), pa.binary(0), pa.struct([("x", pa.binary(0))])],
    ids=str,
)
def test_what_arrow_reports_as_input_and_output_is_the_columns_type(store: Any, kind: Any) -> None:
    """Parquet's writer raises an OSError for some types; no disk has to do with it."""
    store.put("x.parquet", pa.table({"old": [1]}))
    table = pa.table({"fine": [1], "c": pa.array([None], kind)})
    with pytest.raises(UnsupportedValueError, match=r"x\.parquet.* cannot hold column 'c' of type"):
        store.put("x.parquet", table)
    assert pa.table({"old": [1]}) == store.get("x.parquet")


def test_an_error_of_arrows_writer_is_no_error_of_the_place(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that comes while the file is being written."""

    def write_batch(*_: Any) -> None:
        raise OSError("not of this type")

    monkeypatch.setattr(pq.ParquetWriter, "write_batch", write_batch)
    with pytest.raises(UnsupportedValueError, match="Arrow cannot write it"):
        store.put("x.parquet", pa.table({"a": [1]}))


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


@pytest.mark.extended
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


@pytest.mark.parametrize("name", ["x.json", "x.npy", "x.pkl", "x.safetensors"])
def test_cut_files_are_found(name: str, tmp_path: Path) -> None:
    """A plain file that lost its end is damage, at whatever length."""
    store = ObjectStore(str(tmp_path)).at(namespace="tests", run="files")
    value = {"x.json": {"a": [1, "b"]}, "x.npy": np.arange(5), "x.pkl": (1, "a")}.get(
        name, {"a": np.arange(5), "b": np.arange(2, dtype="u1")}
    )
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


def test_csv_names_the_column() -> None:
    """What a .csv would change is named, and so is the way out."""
    store = ObjectStore("memory://csv").at(namespace="tests", run="files")
    frame = pd.DataFrame({"a": [1], "zip": ["01234"]})
    with pytest.raises(UnsupportedValueError, match=r"column 'zip'.* int64.*\.parquet"):
        store.put("x.csv", frame)
    with pytest.raises(UnsupportedValueError, match="comes back as a pandas"):
        store.put("x.csv", pl.DataFrame({"a": [1]}))


def test_safetensors_of_others(tmp_path: Path) -> None:
    """The library reads our .safetensors, and we read the library's."""
    arrays = {"b": np.arange(3, dtype="i1"), "a": _CUBE, "n": np.empty((0, 2))}
    store = ObjectStore(tmp_path).at(namespace="tests", run="files")
    store.put("x.safetensors", arrays)
    (file,) = tmp_path.rglob("x.safetensors")
    loaded = load_file(file)
    assert_same(arrays, {key: loaded[key] for key in arrays})
    save_file(arrays, file.with_name("y.safetensors"), {"made": "elsewhere"})
    value = store.get("y.safetensors")
    assert_same(arrays, {key: value[key] for key in arrays})


def test_safetensors_can_be_written_to(store: Any) -> None:
    """The arrays are private to their reader, and lie one beside the other."""
    store.put("x.safetensors", {"a": np.arange(100_000), "b": np.ones(3, "u1")})
    mine = store.get("x.safetensors")
    mine["a"] += 1
    mine["b"][:] = 7
    assert_same({"a": np.arange(100_000), "b": np.ones(3, "u1")}, store.get("x.safetensors"))


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        ({"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]}, UnsupportedFormatError),
        ({"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}, CorruptObjectError),
        ({"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}, CorruptObjectError),
        ({"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}, CorruptObjectError),
        ({"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}, CorruptObjectError),
        ({"dtype": "F32", "shape": "x", "data_offsets": [0, 8]}, CorruptObjectError),
        ({"dtype": "F32"}, CorruptObjectError),
        (1, CorruptObjectError),
    ],
)
def test_wrong_safetensors_are_found(entry: Any, error: type[Exception], tmp_path: Path) -> None:
    """A header that does not fit the data is damage; a dtype NumPy lacks is said to be."""
    store = ObjectStore(tmp_path).at(namespace="tests", run="files")
    store.put("x.safetensors", {})
    header = json.dumps({"a": entry}).encode()
    (file,) = tmp_path.rglob("x.safetensors")
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(error):
        store.get("x.safetensors")


def test_models_without_pickle(tmp_path: Path) -> None:
    """A fitted pipeline comes back from a .skops and predicts the same, with pickle denied."""
    x, y = np.random.default_rng(0).random((40, 3)), np.arange(40) % 2
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
    store = ObjectStore(tmp_path, pickle="deny").at(namespace="tests", run="files")
    store.put("x.skops", model)
    loaded = store.get("x.skops")
    assert type(model) is type(loaded)
    assert_same(model.predict_proba(x), loaded.predict_proba(x))


@pytest.mark.parametrize("policy", ["allow", "deny"])
def test_skops_of_others(policy: Any, tmp_path: Path) -> None:
    """A .skops with types that are not known to be harmless is not loaded, under no policy."""
    store = ObjectStore(tmp_path, pickle=policy).at(namespace="tests", run="files")
    store.put("x.skops", StandardScaler())
    (file,) = tmp_path.rglob("x.skops")
    file.write_bytes(skops.io.dumps(FunctionTransformer(_nans)))
    with pytest.raises(UnsafePickleError, match="_nans"):
        store.get("x.skops")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CorruptObjectError):
        store.get("x.skops")


@pytest.mark.parametrize(
    ("name", "library", "extra"),
    [("x.csv", "pandas", "runstore[pandas]"), ("x.skops", "skops.io", "runstore[sklearn]")],
)
def test_missing_library(
    name: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the library of a format, its name and the pip line are in the error."""
    from runstore.codecs import _files

    module = _files._ASLEEP[name.removeprefix("x.")][0]
    monkeypatch.setattr(_files, "_FILES", {})
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    store = ObjectStore("memory://missing").at(namespace="tests", run="files")
    with pytest.raises(MissingExtraError, match=re.escape(extra)):
        store.put(name, 1)

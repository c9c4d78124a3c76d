"""More than 2 GiB, and more than 2^31 items, of every codec that keeps bytes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xarray as xr

from runstore import ObjectStore

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

COUNT = (1 << 31) + 1

# Zeros, which take no memory before they are written to.
LARGE: dict[str, Callable[[], Any]] = {
    "truth": lambda: np.zeros(COUNT, bool),
    "times": lambda: np.zeros(COUNT // 8 + 1, "M8[s]"),
    "complex": lambda: np.zeros(COUNT // 8 + 1, "c8"),
    "structured": lambda: np.zeros(COUNT // 3 + 1, [("a", "i1"), ("b", "i2")]),
    "numbers": lambda: np.zeros(COUNT, "u1"),
    "a weight in a dict": lambda: {"w": np.zeros(COUNT, "u1")},
    "series": lambda: pd.Series(np.zeros(COUNT, "i1")),
    "arrow": lambda: pa.array(np.zeros(COUNT, "u1")),
    "bytes": lambda: bytes(COUNT),
    "chunks of text": lambda: pd.Series(
        pd.arrays.ArrowExtensionArray(pa.chunked_array([["x" * 1000] * 1_100_000] * 2))
    ),
}


@pytest.mark.parametrize("extension", ["", ".npy"])
@pytest.mark.parametrize("name", LARGE)
def test_more_than_two_gib(name: str, extension: str, tmp_path: Any) -> None:
    """The value comes back with as many items, and its last one."""
    value = LARGE[name]()
    if extension and not isinstance(value, np.ndarray):
        pytest.skip("a .npy file holds an array")
    view = ObjectStore(tmp_path).at(namespace="n", run="r")
    view.put(f"x{extension}", value)
    back = view.get(f"x{extension}")
    if isinstance(value, dict):
        value, back = value["w"], back["w"]
    assert (type(value), len(value)) == (type(back), len(back))
    at = len(value) - 1
    last, read = (v.iloc[at] if isinstance(v, pd.Series) else v[at] for v in (value, back))
    assert last == read
    assert getattr(value, "dtype", None) == getattr(back, "dtype", None)


def _text() -> pl.Series:
    """Return two million rows of one text, which polars has once and a column with offsets each."""
    return pl.Series("t", ["x" * 1000]).gather(pl.zeros(2_200_000, pl.UInt32, eager=True))


def _numbers() -> Any:
    """Return what Parquet does not shrink to nothing: its readers would refuse that."""
    return np.resize(np.random.default_rng(1).integers(0, 256, 50_000, "u1"), COUNT)


class Held:
    """Something that can only be pickled."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)


def _sparse() -> Any:
    """Return a matrix of more places than 32 bits count, and of more bytes than 2 GiB."""
    import scipy.sparse

    count = COUNT // 4 + 1
    where = np.zeros(count, "i8"), np.arange(count)
    return scipy.sparse.coo_matrix((np.zeros(count, "i1"), where), shape=(1, COUNT * 4))


def _places() -> Any:
    """Return a few rows whose well-known binary is more than 2 GiB: one long line, many times."""
    gpd, shapely = pytest.importorskip("geopandas"), pytest.importorskip("shapely")
    line = shapely.linestrings(np.zeros((1 << 20, 2)))
    return gpd.GeoDataFrame({"n": range(129)}, geometry=[line] * 129, crs=4326)


# Name in the store, the value, and its last item.
WHOLE: dict[str, tuple[str, Callable[[], Any], Callable[[Any], Any]]] = {
    "polars numbers": ("x", lambda: pl.zeros(COUNT, pl.UInt8, eager=True), lambda v: v[-1]),
    "polars truth": ("x", lambda: pl.repeat(True, COUNT, eager=True), lambda v: v[-1]),
    "polars text": ("x", lambda: _text().to_frame(), lambda v: v["t"][-1]),
    "xarray": (
        "x",
        lambda: xr.Dataset({"a": ("x", np.zeros(COUNT, "u1"))}),
        lambda v: int(v["a"][-1]),
    ),
    "xarray array": (
        "x",
        lambda: xr.DataArray(np.zeros((2, COUNT // 2 + 1), "u1"), dims=["x", "y"]),
        lambda v: int(v[-1, -1]),
    ),
    "safetensors": (
        "x.safetensors",
        lambda: {"a": np.zeros(COUNT, "u1"), "b": np.arange(3)},
        lambda v: (len(v["a"]), v["a"][-1], v["b"].tolist()),
    ),
    "parquet of Arrow": (
        "x.parquet",
        lambda: pa.table({"a": _numbers()}),
        lambda v: v["a"][-1],
    ),
    "parquet of pandas": (
        "x.parquet",
        lambda: pd.DataFrame({"a": _numbers()}),
        lambda v: v["a"].iloc[-1],
    ),
    "parquet of text": ("x.parquet", lambda: _text().to_frame(), lambda v: v["t"][-1]),
    "text": ("x", lambda: "x" * COUNT, lambda v: v[-1]),
    "bytearray": ("x", lambda: bytearray(COUNT), lambda v: v[-1]),
    "bytes in a file": ("x.bin", lambda: bytes(COUNT), lambda v: v[-1]),
    "text in a file": ("x.txt", lambda: "x" * COUNT, lambda v: v[-1]),
    "text in JSON": ("x.json", lambda: ["x" * COUNT], lambda v: v[0][-1]),
    "categories": (
        "x",
        lambda: pd.Series(pd.Categorical.from_codes(np.zeros(COUNT, "i1"), ["a"])),
        lambda v: v.iloc[-1],
    ),
    "index": ("x", lambda: pd.Index(np.zeros(COUNT, "u1")), lambda v: int(v[-1])),
    "pickle": ("x", lambda: [{1}, Held(np.zeros(COUNT, "u1"))], lambda v: int(v[1].data[-1])),
    "pickle in the stream": ("x", lambda: Held(bytes(COUNT)), lambda v: v.data[-1]),
    "pickle in a file": ("x.pkl", lambda: Held(bytes(COUNT)), lambda v: v.data[-1]),
    "packed arrays": (
        "x",
        lambda: list(np.zeros((140_000, 1 << 14), "u1")),
        lambda v: (v[-1].dtype, v[-1].shape, int(v[-1][-1])),
    ),
    "packed bytes": (
        "x",
        lambda: [at.to_bytes(4, "big") + bytes(65_500) for at in range(33_000)],
        lambda v: v[-1][-1],
    ),
    "geometries": ("x", _places, lambda v: (v.crs, int(v["n"].iloc[-1]))),
    "sparse": ("x", _sparse, lambda v: (v.shape, v.nnz, int(v.data[-1]))),
}


@pytest.mark.parametrize("name", WHOLE)
def test_more_than_two_gib_of_others(name: str, tmp_path: Any) -> None:
    """Of polars, xarray, and in files by extension: the same type and size, to the last item."""
    at, make, last = WHOLE[name]
    value = make()
    view = ObjectStore(tmp_path).at(namespace="n", run="r")
    view.put(at, value)
    expected, size = last(value), _size(value)
    kind = type(value)
    del value
    back = view.get(at)
    assert (kind, size, expected) == (type(back), _size(back), last(back))


def _size(value: Any) -> Any:
    return getattr(value, "shape", None) or len(value)

"""xarray datasets and arrays."""

from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from runstore import ObjectStore
from runstore.codecs._nested import encode_tree
from runstore.codecs._pickle import Pickling
from runstore.codecs._trial import _Written
from runstore.codecs._xarray import XarrayCodec
from runstore.errors import CorruptObjectError
from runstore.testing import CodecTests, assert_same


def _dataset() -> Any:
    return xr.Dataset(
        {
            "rain": (("x", "y"), np.arange(6.0).reshape(2, 3), {"unit": "mm"}, {"dtype": "f4"}),
            "count": ("x", np.array([1, 2], "i2")),
            "sum": ((), np.float64(3)),
        },
        coords={
            "x": ("x", [10, 20], {"long_name": "east"}),
            "y": pd.date_range("2024", periods=3, freq="D"),
            "label": ("x", ["a", "bc"]),
        },
        attrs={"title": "t", "levels": np.arange(2)},
    )


class TestXarray(CodecTests):
    codec = "xarray"
    zero_copy = True

    @classmethod
    def values(cls) -> dict[str, Any]:
        dataset = _dataset()
        return {
            "array": xr.DataArray(np.arange(3.0)),
            "dataset": dataset,
            "named array": dataset["rain"],
            "labels": xr.DataArray(np.zeros(2), dims="x", coords={"x": ["a", "b"]}, name=("t", 1)),
            "empty": xr.Dataset(),
            "no items": xr.DataArray(np.zeros((0, 2), "i1"), dims=("a", "b")),
            "0-d": xr.DataArray(1.5, coords={"t": np.datetime64("2024-01-01", "ns")}),
            "F order": xr.DataArray(np.asfortranarray(np.ones((2, 3)))),
            "scalar coordinate": dataset.isel(x=0),
            "encoding": _encoded(),
            "no index": dataset.drop_indexes("x"),
            "times without an index": dataset.drop_indexes("y"),
            "no index of an array": dataset["rain"].drop_indexes(["x", "y"]),
            "a coordinate": dataset["y"],
            "another coordinate": dataset["label"],
            "text as an index": pd.Series([1.5], pd.Index(["a"], name="k")).to_xarray(),
            **_of_pandas(),
            **_of_levels(),
            **_trees(),
        }

    @classmethod
    def inexact(cls) -> dict[str, Any]:
        dataset = _dataset()
        return {
            "objects": xr.DataArray(np.array([NormalDist()], object)),
            "attribute": dataset.assign_attrs(a=NormalDist()),
            "second index": dataset.set_xindex("label"),
        }

    @classmethod
    def large(cls) -> Any:
        return xr.Dataset({"a": ("x", np.zeros(1 << 20)), "b": ("x", np.ones(1 << 20))})

    @classmethod
    def unreadable(cls) -> dict[str, set[str]]:
        return {}

    def change(self, value: Any) -> bool:
        if not isinstance(value, xr.DataArray) or not isinstance(value.data, np.ndarray):
            return False
        if not value.size or isinstance(value.variable, xr.IndexVariable):
            return False
        value[...] = 7
        return True


def _of_levels() -> dict[str, Any]:
    """Datasets and arrays with the coordinates that a MultiIndex of pandas makes."""
    stacked = _dataset().stack(z=["x", "y"])
    stacked["x"].attrs, stacked["z"].encoding = {"long_name": "east"}, {"dtype": "i4"}
    unused = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["k", None])[[0, 1]]
    two = xr.Dataset({"v": (("z", "w"), np.arange(4.0).reshape(2, 2))})
    for dim in "zw":
        two = two.assign_coords(xr.Coordinates.from_pandas_multiindex(unused, dim))
        unused = unused.set_names([f"{dim}2", None])
    return {
        "levels": stacked,
        "levels of an array": stacked["rain"],
        "a coordinate of levels": stacked["z"],
        "a level": stacked["y"],
        "levels that are not used": two,
        "levels with a coordinate before": stacked.assign_coords(a=("z", np.arange(6))),
        "one of its items": stacked.isel(z=0),
        "no rows of levels": stacked.isel(z=slice(0, 0)),
        "levels by hand": stacked.reset_index("z").set_index(z=["y", "x"]),
    }


def _trees() -> dict[str, Any]:
    """Trees of datasets, of which some inherit coordinates."""
    coarse = xr.Dataset({"rain": ("p", [1.5, 2.5])}, {"p": [10, 20]}, {"title": "t"})
    fine = xr.Dataset({"wind": (("p", "t"), np.ones((2, 3)))}, attrs={"unit": "m/s"})
    tree = xr.DataTree.from_dict(
        {"/": coarse, "/z/fine": fine, "/a": _of_levels()["levels"].drop_vars("label")}, name="top"
    )
    tree["z"].attrs, tree.encoding = {"note": "empty"}, {"source": "x.zarr"}
    return {"tree": tree, "an empty tree": xr.DataTree(), "a node": tree["z"].copy()}


def _of_pandas() -> dict[str, Any]:
    """Variables and coordinates that xarray keeps as pandas made them."""
    times = pd.date_range("2024", periods=3, freq="D")
    made = {
        "times": times,
        "times in a zone": times.tz_localize("UTC"),
        "numbers": pd.Index([1, 2, 3]),
        "categories": pd.Categorical(["a", None, "a"], ["b", "a"]),
        "nullable": pd.array([1, None, 3], "Int64"),
        "periods": pd.array(["2024", "2025", "2026"], "period[Y]"),
    }
    values: dict[str, Any] = {name: xr.Dataset({"v": ("x", data)}) for name, data in made.items()}
    values |= {
        f"{name} as a coordinate": xr.DataArray(np.arange(3), {"c": ("x", data)}, "x")
        for name, data in made.items()
    }
    values["frame"] = xr.Dataset.from_dataframe(
        pd.DataFrame({name: made[name] for name in ("times", "categories", "nullable")})
    )
    return values


def _encoded() -> Any:
    dataset = _dataset()
    dataset.encoding = {"source": "x.nc", "unlimited_dims": {}}
    return dataset


def test_without_pickle() -> None:
    """A dataset is kept with pickle denied, also as a part of another value."""
    view = ObjectStore("memory://xarray", pickle="deny").at(namespace="dev", run="r1")
    view.put("x", {"a": [_dataset()]})
    assert_same(_dataset(), view.get("x")["a"][0])


def test_lazy_arrays_are_not_loaded_behind_ones_back() -> None:
    """What xarray has not loaded is not taken for an array."""
    from xarray.core.indexing import LazilyIndexedArray, NumpyIndexingAdapter

    lazy = LazilyIndexedArray(NumpyIndexingAdapter(np.arange(3)))
    suite = TestXarray()
    assert suite.encode(xr.DataArray(xr.Variable("x", lazy))) is None


_VAST = range(1 << 60)
_CELLS = np.arange(2)


@pytest.mark.parametrize(
    "tree",
    [
        ["DataArray", {}, [("x",), _VAST, {}, {}], None],
        ["DataArray", {}, [("x",), [1, 2], {}, {}], None],
        ["DataArray", {}, [_VAST, _CELLS, {}, {}], None],
        ["DataArray", {}, [("x",), _CELLS, _VAST, {}], None],
        ["DataArray", {}, [("x",), _CELLS, {}, _VAST], None],
        ["DataArray", {}, [("x", "y"), _CELLS, {}, {}], None],
        ["DataArray", {"x": [("x",), _VAST, {}, {}]}, [("x",), _CELLS, {}, {}], None],
        ["DataArray", {"x": [("x",), _VAST, {}, {}, "levels", {}]}, [(), _CELLS, {}, {}], None],
        ["DataArray", {"x": [("x",), None, {}, {}, "level", "y"]}, [("x",), _CELLS, {}, {}], None],
        ["Dataset", {}, {"a": [("x",), _VAST, {}, {}]}, {}, {}],
        ["Dataset", {}, {"a": [("x",), _CELLS, {}, {}]}, _VAST, {}],
        ["Dataset", {}, _VAST, {}, {}],
        ["Dataset", _VAST, {}, {}, {}],
        ["Coordinate", {}, "x"],
        ["DataTree", {}, None, _VAST],
        ["DataTree", {}, None, [["Dataset", {}, {"a": [("x",), _VAST, {}, {}]}, {}, {}], {}]],
        _VAST,
        [],
    ],
    ids=str,
)
def test_forged_trees_are_refused(tree: Any) -> None:
    """Data are arrays and indexes alone, and what is about them is of the types that it had."""
    pickling = Pickling("deny", "dev/r1/x")
    encoded = encode_tree(tree, {})
    assert encoded is not None
    with pytest.raises(CorruptObjectError, match="no dataset or array"):
        XarrayCodec().decode(_Written(encoded), encoded.spec, pickling)

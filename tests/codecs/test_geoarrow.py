"""geopandas frames and series under names without an extension: Arrow, exact, without pickle."""

import json
from typing import Any

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pytest

from runstore import ObjectStore
from runstore.testing import CodecTests, assert_same

gpd = pytest.importorskip("geopandas")
shapely = pytest.importorskip("shapely")

_POINTS = [shapely.Point(1, 2), None, shapely.Point()]
_LINES = [
    shapely.LineString([(0, 0, 1), (1, 1, 2)]),
    shapely.Polygon([(0, 0), (1, 0), (1, 1)]),
    None,
]


def _frame(**options: Any) -> Any:
    data = {"a": [1, 2, 3], "b": ["x", None, "z"]}
    return gpd.GeoDataFrame(data, geometry=_POINTS, crs=4326, **options)


def _two() -> Any:
    return _frame().assign(way=gpd.GeoSeries(_LINES, crs=3857))


def _attrs(value: Any) -> Any:
    value.attrs["source"] = {"a": 1}
    return value


class TestGeoarrow(CodecTests):
    codec = "geoarrow"

    @classmethod
    def values(cls) -> dict[str, Any]:
        return {
            "one geometry": _frame(),
            "two": _two(),
            "another active": _two().set_geometry("way"),
            "no active": _two().drop(columns="geometry"),
            "no geometry": gpd.GeoDataFrame({"a": [1]}),
            "no rows": _two().iloc[:0],
            "no crs": gpd.GeoDataFrame({"a": [1]}, geometry=_POINTS[:1]),
            "numbered labels": _two().set_axis([1, 2, 3, 4], axis=1).set_geometry(3),
            "a label twice": _two().set_axis(["a", "a", "g", "w"], axis=1).set_geometry("g"),
            "levels": _frame(index=pd.MultiIndex.from_tuples([(1, "a"), (1, "b"), (2, "a")])),
            "attributes": _attrs(_frame()),
            "no duplicates": _frame().set_flags(allows_duplicate_labels=False),
            "a column named geometry": _two()
            .set_geometry("way")
            .drop(columns="geometry")
            .rename(columns={"b": "geometry"}),
            "series": gpd.GeoSeries(_POINTS, crs=4326, name="here", index=["a", "b", "c"]),
            "series without a name": _attrs(gpd.GeoSeries(_LINES)),
            "empty series": gpd.GeoSeries([], crs=3857),
            "all missing": gpd.GeoSeries([None, None]),
        }

    @classmethod
    def pickled(cls) -> dict[str, Any]:
        return {"objects of a class": _frame().assign(c=[_Own(), _Own(), _Own()])}

    @classmethod
    def inexact(cls) -> dict[str, Any]:
        marked = shapely.set_srid(np.array(_POINTS[:1]), 5)
        return {
            "an SRID of its own": gpd.GeoSeries(marked),
            "an SRID in a frame": gpd.GeoDataFrame({"a": [1]}, geometry=marked),
            "subclass": _Places(_frame()),
        }

    @classmethod
    def unreadable(cls) -> dict[str, set[str]]:
        new = hasattr(polars, "BaseExtension")  # since 1.36; an older one reads no geometries
        return {} if new else {"polars": {*cls.values(), *cls.pickled()} - {"no geometry"}}

    def assert_same(self, expected: Any, actual: Any) -> None:
        assert type(expected) is type(actual)
        assert expected.attrs == actual.attrs
        assert expected.flags == actual.flags
        if isinstance(expected, gpd.GeoSeries):
            _same_geometries(expected, actual)
            assert_same(expected.index, actual.index)
            assert expected.name == actual.name
            return
        assert expected._geometry_column_name == actual._geometry_column_name
        assert_same(expected.columns, actual.columns)
        assert_same(expected.index, actual.index)
        assert list(expected.dtypes) == list(actual.dtypes)
        for at, dtype in enumerate(expected.dtypes):
            one, other = expected.iloc[:, at], actual.iloc[:, at]
            if dtype == "geometry":
                _same_geometries(one, other)
            else:
                assert_same(pd.Series(one), pd.Series(other))


class _Own:
    def __repr__(self) -> str:
        return "_Own()"

    def __eq__(self, other: object) -> bool:
        return type(other) is _Own

    __hash__ = object.__hash__


class _Places(gpd.GeoDataFrame):  # type: ignore[misc]
    pass


def _same_geometries(one: Any, other: Any) -> None:
    assert one.crs == other.crs
    assert list(one.isna()) == list(other.isna())
    some, others = one.dropna().to_numpy(), other.dropna().to_numpy()
    assert shapely.equals_identical(some, others).all()


def test_others_find_geoarrow(tmp_path: Any) -> None:
    """The column says that it is GeoArrow's well-known binary, and in which coordinates."""
    view = ObjectStore(tmp_path, pickle="deny").at(namespace="n", run="r")
    view.put("x", _frame())
    with pa.ipc.open_file(next(tmp_path.rglob("x.arrow"))) as file:
        field = file.schema.field("geometry")
        items = file.read_all().column("geometry")
    assert b"geoarrow.wkb" == field.metadata[b"ARROW:extension:name"]
    assert (
        "EPSG" == json.loads(field.metadata[b"ARROW:extension:metadata"])["crs"]["id"]["authority"]
    )
    assert _POINTS[0] == shapely.from_wkb(items[0].as_py())
    table = view.get("x", as_type=pa.Table)
    assert [1, 2, 3] == table.column("a").to_pylist()


def test_where_geoarrow_is_registered(tmp_path: Any) -> None:
    """A frame is read where a library has registered GeoArrow's type, also under deny."""
    view = ObjectStore(tmp_path, pickle="deny").at(namespace="n", run="r")
    view.put("x", _frame())

    class Wkb(pa.ExtensionType):  # type: ignore[misc]
        def __init__(self, storage: Any) -> None:
            super().__init__(storage, "geoarrow.wkb")

        def __arrow_ext_serialize__(self) -> bytes:
            return b"{}"

        @classmethod
        def __arrow_ext_deserialize__(cls, storage: Any, told: bytes) -> Any:
            return cls(storage)

    pa.register_extension_type(Wkb(pa.binary()))
    try:
        TestGeoarrow().assert_same(_frame(), view.get("x"))
        TestGeoarrow().assert_same(_frame()[["geometry"]], view.get("x", columns=["geometry"]))
        view.put("y", _frame())
        TestGeoarrow().assert_same(_frame(), view.get("y"))
    finally:
        pa.unregister_extension_type("geoarrow.wkb")


def test_plain_frames_of_the_same_columns_stay_plain(tmp_path):
    """What describes a frame of numbers is not marked by a GeoDataFrame without geometry."""
    view = ObjectStore(tmp_path).at(namespace="n", run="r")
    values = {"a": [1.0, 2.0]}
    for value in (pd.DataFrame(values), pd.DataFrame(values), gpd.GeoDataFrame(values)) * 2:
        view.put("x", value)
        assert_same(value, view.get("x"))
        assert type(value) is type(view.get("x"))

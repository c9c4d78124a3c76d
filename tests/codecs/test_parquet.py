"""What the libraries' own writers of Parquet take is kept exactly, and read by them as theirs."""

import datetime as dt
import io
import sys
import uuid
import zoneinfo
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runstore import ObjectStore
from runstore.errors import CorruptObjectError, InvalidRequestError, UnsupportedValueError
from runstore.testing import assert_same

_DAYS = pd.date_range("2024", periods=4, freq="D", name="day")
_LEVELS = pd.MultiIndex.from_product([["b", "a"], [1, 2]], names=["k", None])
_WITH_UUID = True  # old pyarrow, and so pandas' own writer, does not take them
try:
    pa.array([uuid.UUID(int=7)])
except pa.ArrowInvalid:
    _WITH_UUID = False
_MONTHS = pd.period_range("2024", periods=4, freq="M", name="month")


def _column(values: Any, **more: Any) -> pd.DataFrame:
    return pd.DataFrame({"x": pd.Series(values, **more)})


def _objects(*values: Any) -> pd.DataFrame:
    return _column(list(values), dtype=object)


def _noted() -> pd.DataFrame:
    frame = pd.DataFrame({"x": [1, 2]})
    frame.attrs = {"unit": "m", "parts": [1, None]}
    return frame


def _labels(values: list[Any], labels: Any, **more: Any) -> pd.DataFrame:
    return pd.DataFrame({"x": pd.Categorical(values, labels, **more)})


PANDAS: dict[str, Callable[[], Any]] = {
    "categories": lambda: _labels(["z", "a", None], ["z", "unused", "a"]),
    "ordered categories": lambda: _labels(["z", "a"], ["z", "unused", "a"], ordered=True),
    "categories of numbers": lambda: _labels([3, 1, None], [3, 2, 1]),
    "categories of floats": lambda: _labels([0.5, -0.0], [0.5, -0.0, np.inf]),
    "categories of seconds": lambda: _labels([_DAYS[1]], _DAYS[::-1].as_unit("s")),
    "categories with a zone": lambda: _labels([], _DAYS.tz_localize("UTC")),
    "categories of truth": lambda: _labels([True, False], [True, False]),
    "many categories": lambda: _column(np.arange(40_000).astype(str)[::-1]).astype("category"),
    "seconds": lambda: _column(pd.to_datetime(["2024", None]).as_unit("s")),
    "seconds with a zone": lambda: _column(
        _DAYS.tz_localize(zoneinfo.ZoneInfo("Europe/Paris")).as_unit("s")
    ),
    "offset": lambda: _column(pd.to_datetime(["2024-01-01T00:00+01:00", None])),
    "negative offset": lambda: _column(pd.to_datetime(["2024-01-01T00:00-03:30"])),
    "offset in the index": lambda: pd.DataFrame(
        {"x": range(4)}, index=_DAYS.tz_localize(dt.timezone(dt.timedelta(hours=2)))
    ),
    "periods": lambda: _column(pd.PeriodIndex(["2024-01", None], freq="M")),
    "periods in the index": lambda: pd.DataFrame({"x": range(4)}, index=_MONTHS),
    "weeks": lambda: _column(pd.period_range("2024", periods=2, freq="W-WED")),
    "intervals": lambda: _column(pd.interval_range(0, 3)),
    "open intervals": lambda: _column(pd.arrays.IntervalArray.from_breaks([0.5, 2], closed="left")),
    "intervals of days": lambda: _column(pd.interval_range(_DAYS[0], periods=2)),
    "intervals in the index": lambda: pd.DataFrame({"x": [1]}, index=pd.interval_range(0, 1)),
    "decimals": lambda: _objects(Decimal("1.0"), Decimal("-2.5"), None),
    "dates": lambda: _objects(dt.date(2024, 1, 1), None),
    "dates with NaT": lambda: _objects(dt.date(2024, 1, 1), pd.NaT),
    "dates in the index": lambda: pd.DataFrame({"x": [1]}, index=[dt.date(2024, 1, 1)]),
    "times of the day": lambda: _objects(dt.time(1), dt.time(2, 3, 4, 5)),
    "lists": lambda: _objects([1, 2], None, []),
    "lists of text": lambda: _objects(["a", None], [], [""]),
    "dicts": lambda: _objects({"a": 1, "b": ["x"]}, None, {"a": 2, "b": []}),
    "arrays": lambda: _objects(np.array([1, 2], "i4"), np.array([], "i4")),
    "text and NaN": lambda: _objects("a", float("nan"), "b"),
    "truth and None": lambda: _objects(True, None),
    "numbers and NA": lambda: _objects(1, pd.NA),
    "floats as objects": lambda: _objects(1.5, float("nan"), None),
    "nothing": lambda: _objects(None, None),
    "no rows": lambda: _column([], dtype=object),
    **({"uuid": lambda: _objects(uuid.UUID(int=7))} if _WITH_UUID else {}),
    "levels": lambda: pd.DataFrame({"x": range(4)}, index=_LEVELS),
    "unused levels": lambda: pd.DataFrame({"x": range(4)}, index=_LEVELS)[1:3],
    "levels of days and gaps": lambda: pd.DataFrame(
        {"x": range(8)}, index=pd.MultiIndex.from_product([_DAYS, [0.5, None]])
    ),
    "levels of dates": lambda: pd.DataFrame(
        {"x": [1, 2]}, index=pd.MultiIndex.from_product([[dt.date(2024, 1, 1)], ["a", "b"]])
    ),
    "range": lambda: pd.DataFrame({"x": [1, 2]}, index=pd.RangeIndex(10, 14, 2, name="r")),
    "named as a column": lambda: pd.DataFrame({"x": [1]}, index=pd.Index([5], name="x")),
    "categories in the index": lambda: pd.DataFrame(
        {"x": [1]}, index=pd.CategoricalIndex(["b"], ["a", "unused", "b"])
    ),
    "index alone": lambda: pd.DataFrame(index=[1, 2, 3]),
    "numbers as labels": lambda: pd.DataFrame([[1, 2.5]]),
    "labels of an aggregation": lambda: (
        pd.DataFrame({"g": ["a", "b", "a"], "v": [1, 2, 3]}).groupby("g").agg({"v": ["sum", "max"]})
    ),
    "attrs": _noted,
    "no truth": lambda: pd.DataFrame({"a": [True], "b": [[True]]}, index=[False])[:0],
    "no truth in a series": lambda: pd.Series([], dtype=pd.ArrowDtype(pa.bool_())),
    "nullable": lambda: pd.DataFrame(
        {"a": pd.array([1, None], "Int8"), "b": pd.array(["x", None], "string")}
    ),
    "series": lambda: pd.Series([1, 2], name="s", index=_DAYS[:2]),
    "series without a name": lambda: pd.Series([1.5, None]),
    "series of categories": lambda: pd.Series(pd.Categorical(["x"] * 4), index=_LEVELS, name=3),
}


def _listed(label: str) -> pl.DataFrame:
    return pl.DataFrame({"x": [[label], [label, None]]}, schema={"x": pl.List(pl.Categorical)})


POLARS: dict[str, Callable[[], Any]] = {
    "categories": lambda: pl.DataFrame({"x": ["z", "a", None]}, schema={"x": pl.Categorical}),
    "enum": lambda: pl.DataFrame({"x": ["z", None]}, schema={"x": pl.Enum(["z", "u", "a"])}),
    "enum in lists": lambda: pl.DataFrame(
        {"x": [["a"]]}, schema={"x": pl.List(pl.Enum(["b", "a"]))}
    ),
    "decimals": lambda: pl.DataFrame({"x": [Decimal("1.5"), None]}, schema={"x": pl.Decimal(9, 2)}),
    "many categories": lambda: pl.DataFrame(
        {"x": [str(n % 70_000) for n in range(1_100_000)]}, schema={"x": pl.Categorical}
    ),
    "times": lambda: pl.DataFrame(
        {"x": [dt.time(1)], "y": [dt.timedelta(1)], "z": [dt.date(1, 1, 1)]}
    ),
    "struct": lambda: pl.DataFrame({"x": [{"a": 1, "b": ["x"]}, None]}),
    "chunks of lists of categories": lambda: pl.concat([_listed("a"), _listed("b")]),
    "chunks of structs of categories": lambda: pl.concat([_listed("a"), _listed("b")]).select(
        x=pl.struct("x")
    ),
    "filtered structs of text": lambda: pl.DataFrame({"x": [{"a": "a"}, {"a": "b"}]}).filter(
        pl.Series([False, True])
    ),
    "cut lists of structs of bytes": lambda: pl.DataFrame({"x": [[{"a": b"a"}], [{"a": b"b"}]]})[
        1:
    ],
    "series": lambda: pl.Series("s", ["b", None], dtype=pl.Enum(["b", "a"])),
    "series without a name": lambda: pl.Series([1, None]),
}


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "kinds": (lambda: _objects({1}, [2]), r"column 'x' of Python objects .*mixes list and set"),
    "gaps": (lambda: _objects("a", None, float("nan")), r"column 'x'.* mixes NaN and None"),
    "tuple": (lambda: _objects((1, 2)), r"column 'x'.*row 0 would come back as a list"),
    "digits": (lambda: _objects(Decimal("1"), Decimal("1.0")), r"'x'.*row 0 .* back as 1\.0"),
    "keys": (lambda: _objects({"a": 1}, {"b": 1}), r"column 'x'.*row 0"),
    **({} if _WITH_UUID else {"uuid": (lambda: _objects(uuid.UUID(int=7)), "Arrow has no type")}),
    "large": (lambda: _objects(1 << 70), r"column 'x'.*Arrow has no type"),
    "cut": (lambda: _column(pd.cut([1, 2, 3], 2)), r"column 'x' of interval.* categories"),
    "sparse": (lambda: _column(pd.arrays.SparseArray([0, 1])), r"column 'x' of Sparse"),
    "complex": (lambda: _column([1j]), r"column 'x' of complex128"),
    "seconds far away": (lambda: _column(np.array([1 << 60], "M8[s]")), r"column 'x' is out of"),
    "labels of floats": (
        lambda: pd.DataFrame([[1]], columns=[0.5]),
        "the column labels, which are an Index of float64",
    ),
    "labels": (
        lambda: pd.DataFrame([[1]], columns=_DAYS[:1]),
        "the column labels, which are a Date",
    ),
    "level": (
        lambda: pd.DataFrame(
            {"x": [1]}, index=pd.MultiIndex.from_tuples([(1, 1j)], names=["a", "b"])
        ),
        r"MultiIndex with Python objects \(complex\) as level 'b'",
    ),
    "attrs": (lambda: _noted().assign(x=1).pipe(_spoilt), r"attrs\['bad'\] is a set"),
    "rows alone": (lambda: pd.DataFrame(index=range(3)), "without a column"),
    "wide": (
        lambda: pl.DataFrame({"x": [1 << 100]}, schema={"x": pl.Int128}),
        "column 'x' of Int128",
    ),
    "months": (
        lambda: _column([1]).set_index(
            pd.date_range("2020", periods=1, freq=pd.DateOffset(months=1))
        ),
        "the index, whose frequency <DateOffset: months=1> has no name",
    ),
    "Easter": (
        lambda: _column([1]).set_index(pd.date_range("2020", periods=1, freq=pd.offsets.Easter())),
        "the index, whose frequency <Easter",
    ),
    "name": (
        lambda: pd.Series([1], name="\ud800"),
        "name of the series, .* text that is not UTF-8",
    ),
    "name of the index": (
        lambda: pd.DataFrame({"x": [1]}, index=pd.Index([1], name="\ud800")),
        "name of the index, which is text that is not UTF-8",
    ),
    "lists of nothing": (
        lambda: pa.table({"c": pa.array([None, []], pa.list_(pa.int8(), 0))}),
        "column 'c'",
    ),
    "no table": (lambda: {"x": 1}, "not a dict"),
    "array": (lambda: np.arange(3), r"not a numpy\.ndarray"),
}


def _spoilt(frame: pd.DataFrame) -> pd.DataFrame:
    frame.attrs = {"bad": {1}}
    return frame


@pytest.fixture
def view(tmp_path: Path) -> Any:
    return ObjectStore(tmp_path, pickle="deny").at(namespace="n", run="r")


def _file(tmp_path: Path, name: str = "x") -> Path:
    return tmp_path / "n" / "r" / f"{name}.parquet"


@pytest.mark.parametrize("name", PANDAS)
def test_pandas(name: str, view: Any, tmp_path: Path) -> None:
    """It comes back exactly, and pandas reads of the file what it reads of its own."""
    value = PANDAS[name]()
    info = view.put("x.parquet", value)
    assert_same(value, view.get("x.parquet"))
    frame = value.to_frame() if isinstance(value, pd.Series) else value
    assert (len(value), frame.shape[1]) == (info.rows, info.columns)
    own = io.BytesIO()
    frame.to_parquet(own)
    expected, actual = pd.read_parquet(own), pd.read_parquet(_file(tmp_path))
    if name == "categories with a zone" and expected["x"].dt.tz is None:  # old pyarrow loses it
        expected["x"] = expected["x"].dt.tz_localize(actual["x"].dt.tz)
    assert (expected.dtypes.tolist(), expected.attrs) == (actual.dtypes.tolist(), actual.attrs)
    assert_same(expected.index, actual.index)
    assert repr(expected.to_dict("tight")) == repr(actual.to_dict("tight"))


@pytest.mark.extended
@pytest.mark.parametrize("name", POLARS)
def test_polars(name: str, view: Any, tmp_path: Path) -> None:
    """It comes back exactly, and polars reads of the file what it reads of its own."""
    value = POLARS[name]()
    view.put("x.parquet", value)
    back = view.get("x.parquet")
    frame = value.to_frame() if isinstance(value, pl.Series) else value
    own = io.BytesIO()
    frame.write_parquet(own)
    expected, actual = pl.read_parquet(own.getvalue()), pl.read_parquet(_file(tmp_path))
    if frame.height < 1000:
        assert_same(value, back)
    else:
        assert (type(value), value.dtypes) == (type(back), back.dtypes)
        assert value.equals(back)
    actual = actual.rename(dict(zip(actual.columns, expected.columns, strict=True)))
    assert expected.dtypes == actual.dtypes
    if name == "many categories":  # old polars compares no categories with others
        expected, actual = expected.cast(pl.String), actual.cast(pl.String)
    assert expected.equals(actual)


@pytest.mark.parametrize("name", REFUSED)
def test_what_parquet_would_change_is_named(name: str, view: Any) -> None:
    """The part, the reason and the way out; and the old object is still there."""
    make, said = REFUSED[name]
    view.put("x.parquet", pa.table({"old": [1]}))
    with pytest.raises(UnsupportedValueError, match=f"n/r/x.parquet.*{said}.* without .parquet"):
        view.put("x.parquet", make())
    assert pa.table({"old": [1]}) == view.get("x.parquet")


def test_parts_and_other_types(view: Any) -> None:
    """Columns alone, of a frame with levels and categories; and all of it as a table."""
    frame = pd.DataFrame(
        {"a": pd.Categorical(["x", "y", None, "x"]), "b": range(4), "c": [[1], None, [], [2]]},
        index=_LEVELS,
    )
    view.put("x.parquet", frame)
    assert_same(frame[["c", "a"]], view.get("x.parquet", columns=["c", "a"]))
    assert_same(frame, view.get("x.parquet", as_type=pd.DataFrame))
    table = view.get("x.parquet", as_type=pa.Table)
    assert ["x", "y", None, "x"] == table["a"].to_pylist()
    assert [*"abc", "k", "__index_level_1__"] == table.column_names
    with pytest.raises(InvalidRequestError, match="no column 'd'"):
        view.get("x.parquet", columns=["d"])
    view.put("s.parquet", frame["b"])
    with pytest.raises(InvalidRequestError, match="no table"):
        view.get("s.parquet", columns=["b"])


def test_types_of_which_pyarrow_makes_no_empty_table(view: Any) -> None:
    """What Parquet keeps of a type is tried without one."""
    items = pa.array([uuid.UUID(int=7).bytes, None], pa.binary(16)).cast(pa.uuid())
    table = pa.table({"x": pa.ListArray.from_arrays([0, 2, 2], items)})
    view.put("x.parquet", table)
    assert_same(table, view.get("x.parquet"))


def test_a_copy_under_a_long_name_is_the_same(view: Any) -> None:
    """Also where the file has to be written anew."""
    value = pd.DataFrame({"x": pd.Categorical([3, 1], [3, 2, 1]), "t": _DAYS[:2].as_unit("s")})
    view.put("x.parquet", value)
    long = f"{'y' * 400}.parquet"
    view.copy("x.parquet", to_name=long)
    assert_same(value, view.get(long))


def test_a_polars_that_reads_other_labels_is_named(view: Any, monkeypatch: Any) -> None:
    """One from before or after the one that wrote: both are in the message."""
    from runstore.codecs import _parquet_polars

    view.put("x.parquet", POLARS["enum"]())
    monkeypatch.setattr(_parquet_polars, "frame_of", lambda _: pl.DataFrame({"x": ["z", None]}))
    with pytest.raises(UnsupportedValueError, match=rf"'x' is of Enum.*{pl.__version__}.*String"):
        view.get("x.parquet")


def test_labels_that_do_not_fit_are_damage() -> None:
    """Codes are looked up, so a file that is forged cannot lead beyond the labels."""
    from runstore.codecs._parquet_labels import decode_codes, labels_back

    class Opened:
        ref = "n/r/x"
        schema = pa.schema([])

    column = pa.chunked_array([["a", "c"]])
    spec = {"labels": {"type": "large_string", "values": ["a", "b"]}, "codes": "|i1"}
    with pytest.raises(CorruptObjectError, match="labels that it does not know"):
        decode_codes(Opened(), column, spec)  # type: ignore[arg-type]
    for listed in (
        {"type": "object", "values": ["a"]},
        {"type": "int8", "values": ["a"]},
        {"type": "int8", "values": [1000]},
        {"type": "timestamp", "values": [1], "unit": "x", "tz": None},
    ):
        with pytest.raises(CorruptObjectError, match="labels"):
            labels_back(Opened(), {"labels": listed, "index": {}})  # type: ignore[arg-type]


def test_what_is_taken_can_be_read_however_small_it_is(view: Any) -> None:
    """Where readers would take a file for one that is made to exhaust memory, put refuses it."""
    outcomes = set()
    for kind, rows in (("u1", 3_000_000), ("i2", 8_000_000), ("f8", 8_000_000), ("M8[s]", 10_000)):
        try:
            view.put("x.parquet", pd.DataFrame({"a": np.zeros(rows, kind)}))
        except UnsupportedValueError as exc:
            assert "RUNSTORE_MAX_DECODED" in str(exc)  # noqa: PT017 - some are taken
            outcomes.add("refused")
        else:
            assert rows == len(view.get("x.parquet"))
            outcomes.add("read")
    assert {"refused", "read"} == outcomes


def test_many_row_groups_are_one_table(view: Any, tmp_path: Path) -> None:
    """Another program's file of hundreds of them, with labels that differ from one to the next."""
    labels = pa.array([f"{n // 7}" for n in range(1000)]).dictionary_encode()
    table = pa.table({"a": pa.array(range(1000), pa.int16()), "b": labels})
    view.put("x.parquet", pa.table({"a": [1]}))
    pq.write_table(table, _file(tmp_path), row_group_size=10)
    back = view.get("x.parquet")
    assert (1000, table.schema.names) == (back.num_rows, back.schema.names)
    assert table.to_pydict() == back.to_pydict()
    assert table.select(["b"]).to_pydict() == view.get("x.parquet", columns=["b"]).to_pydict()


# geopandas ----------------------------------------------------------------------------------------


def _places() -> Any:
    gpd = pytest.importorskip("geopandas")
    from shapely.geometry import LineString, Point

    points = [Point(1, 2), None, Point()]
    lines = gpd.GeoSeries([LineString([(0, 0, 1), (1, 1, 2)])] * 3, crs=3857)
    data = {
        "a": [1, 2, 3],
        "c": pd.Categorical(["x", None, "y"], ["y", "z", "x"]),
        "way": lines.array,
    }
    index = pd.MultiIndex.from_tuples([(1, "a"), (1, "b"), (2, "a")], names=["i", "j"])
    return gpd.GeoDataFrame(data, geometry=points, crs=4326, index=index)


def test_geopandas(view: Any, tmp_path: Path) -> None:
    """Geometries, coordinate systems, index and categories; and geopandas reads it as its own."""
    frame = _places()
    import geopandas as gpd
    from geopandas.testing import assert_geodataframe_equal

    view.put("x.parquet", frame)
    back = view.get("x.parquet")
    assert_geodataframe_equal(frame, back)
    assert_same(pd.DataFrame(frame[["a", "c"]]), pd.DataFrame(back[["a", "c"]]))
    assert [4326, 3857] == [back.crs.to_epsg(), back["way"].crs.to_epsg()]
    own = io.BytesIO()
    frame.to_parquet(own)
    assert_geodataframe_equal(gpd.read_parquet(own), gpd.read_parquet(_file(tmp_path)))
    empty = frame.iloc[:0]
    view.put("x.parquet", empty)
    assert_geodataframe_equal(empty, view.get("x.parquet"))


def test_columns_of_places(tmp_path: Path) -> None:
    """As geopandas gives them: with a geometry a GeoDataFrame; also where it was pickled."""
    frame = _places()
    view = ObjectStore(tmp_path).at(namespace="n", run="r")
    for name in ("x.parquet", "x"):
        view.put(name, frame)
        for columns in (["a"], ["geometry", "a"], ["way"]):
            back = view.get(name, columns=columns)
            assert type(frame[columns]) is type(back), (name, columns)
            assert columns == list(back.columns)
        assert frame.crs == view.get(name, columns=["geometry"]).crs


def test_places_that_parquet_would_change(view: Any) -> None:
    """A column of objects, an SRID of its own, no active geometry."""
    frame = _places()
    import shapely

    with pytest.raises(UnsupportedValueError, match="column 'a' of Python objects"):
        view.put("x.parquet", frame.assign(a=[{1}, {2}, [3]]))
    marked = frame.assign(way=shapely.set_srid(frame["way"].to_numpy(), 5))
    with pytest.raises(UnsupportedValueError, match=r"'way' of .*(SRID|Python objects)"):
        view.put("x.parquet", marked)
    with pytest.raises(UnsupportedValueError, match="without an active geometry"):
        view.put("x.parquet", frame.drop(columns="geometry"))


@pytest.mark.extended
def test_cells_are_compared_in_bulk(view: Any) -> None:
    """Lists, records, dates and times take no call for each cell to be put."""

    def made(count: int) -> dict[str, Any]:
        some = range(count)
        return {
            "lists": [[i, i + 1] for i in some],
            "lists with None": [[None, i / 2, float("nan")] for i in some],
            "lists of text": [[f"t{i}"] for i in some],
            "lists of lists": [[[i], []] for i in some],
            "dates": [dt.date.fromordinal(700_000 + i) for i in some],
            "times": [dt.time(i % 24, i % 60) for i in some],
            "records": [{"a": i, "b": "x"} for i in some],
        }

    calls: list[dict[str, int]] = []
    for count in (2000, 4000):
        counted = {}
        for name, cells in made(count).items():
            frame = pd.DataFrame({"a": pd.Series(cells, dtype=object)})
            view.put("x.parquet", frame)
            counted[name] = _calls(lambda: view.put("x.parquet", frame))  # noqa: B023
            assert repr(cells) == repr(view.get("x.parquet")["a"].tolist())
        calls.append(counted)
    few, many = calls
    assert {} == {name: many[name] for name in many if many[name] > few[name] + 500}


def _calls(do: Any) -> int:
    count = 0

    def profile(frame: Any, event: str, arg: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        do()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "cells",
    [
        [[1], [2.5]],
        [[1, 2.5]],
        [[True], [1]],
        [(1,), [1]],
        [np.array([1]), np.array([1.5])],
        [np.array([[1]])],
        [[dt.date(2024, 1, 1), dt.datetime(2024, 1, 1)]],
        [Decimal("1.50"), Decimal("1.5")],
        [dt.datetime(2024, 1, 1, fold=1)],
    ],
)
def test_cells_that_parquet_would_change(view: Any, cells: list[Any]) -> None:
    """Cells of which one comes back different are refused, whatever the others are."""
    series = pd.Series([*cells, *cells], dtype=object)
    with pytest.raises(UnsupportedValueError, match="column 'a'"):
        view.put("x.parquet", pd.DataFrame({"a": series}))

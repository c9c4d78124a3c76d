"""polars frames and series of every dtype."""

import datetime as dt
import decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from runstore import ObjectStore
from runstore.codecs import Pickling
from runstore.errors import UnsupportedValueError
from runstore.testing import CodecTests, assert_same

_MOMENT = dt.datetime(2024, 2, 29, 12, 30)
_INTS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)


def _series() -> dict[str, pl.Series]:
    return {
        **{str(kind): pl.Series("a", [1, None, 3], kind) for kind in _INTS},
        "Float32": pl.Series("a", [1.5, None, float("nan"), -0.0], pl.Float32),
        "Float64": pl.Series("a", [1.5, None, float("nan"), -0.0, float("inf")]),
        "Boolean": pl.Series("a", [True, None, False]),
        "String": pl.Series("a", ["x", None, "", "longer than twelve bytes ☃"]),
        "Binary": pl.Series("a", [b"\xff", None, b""]),
        "Null": pl.Series("a", [None, None]),
        "Date": pl.Series("a", [dt.date(2024, 2, 29), None]),
        "Time": pl.Series("a", [dt.time(1, 2, 3, 4), None]),
        **{
            f"Datetime {unit}": pl.Series("a", [_MOMENT, None], pl.Datetime(unit))
            for unit in _UNITS
        },
        **{
            f"Datetime in {zone}": pl.Series("a", [_MOMENT, None], pl.Datetime("us", zone))
            for zone in ("UTC", "Europe/Paris", "Etc/GMT+5")
        },
        **{
            f"Duration {unit}": pl.Series("a", [dt.timedelta(1, 2), None], pl.Duration(unit))
            for unit in _UNITS
        },
        "List": pl.Series("a", [[1, None], None, []]),
        "List of List": pl.Series("a", [[["x"], None], None, [[]]]),
        "Array": pl.Series("a", [[1, 2], None], pl.Array(pl.Int8, 2)),
        "Array of two dimensions": pl.Series(
            "a", [[[1, 2], [3, 4]]], pl.Array(pl.Array(pl.Int8, 2), 2)
        ),
        "Struct": pl.Series("a", [{"x": 1, "y": "b"}, None, {"x": None, "y": None}]),
        "List of Struct": pl.Series("a", [[{"x": 1}], None]),
        "Struct of nothing": pl.Series("a", [{}, None], pl.Struct([])),
        "Struct with an empty name": pl.Series("a", [{"": 1}, None]),
        "no name": pl.Series([1]),
        "empty": pl.Series("a", [], pl.Int64),
        "empty struct column": pl.Series("a", [], pl.Struct({"x": pl.Int8})),
        "sliced": pl.Series("a", ["x", "y", "z"])[1:2],
        "chunks": pl.Series("a", [1]).append(pl.Series("a", [2, None])),
    }


_UNITS = ("ms", "us", "ns")


class TestPolars(CodecTests):
    codec = "polars"
    zero_copy = True

    @classmethod
    def unreadable(cls) -> dict[str, set[str]]:
        inside = ("categories inside", "enum inside", "enum in a struct")
        old = int(pa.__version__.split(".")[0]) < 26  # which has no unsigned codes in pandas
        return {"pandas": {"List of List", *(_everyday() if old else inside)}}  # of string_view

    @classmethod
    def values(cls) -> dict[str, Any]:
        frame = pl.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]})
        return {
            "frame": frame,
            "no rows": frame.clear(),
            "odd names": pl.DataFrame({"": [1], "a.b": [2], "value": [3], "é": [4]}),
            "several chunks": pl.concat([frame, frame], rechunk=False),
            "sliced frame": frame[1:2],
            **_series(),
            **_everyday(),
        }

    @classmethod
    def inexact(cls) -> dict[str, Any]:
        return _left_to_pickle()

    @classmethod
    def large(cls) -> Any:
        return pl.DataFrame({"a": pl.arange(0, 1 << 20, eager=True)})


def _left_to_pickle() -> dict[str, Any]:
    return {
        "wide integer": pl.Series("a", [1 << 100], pl.Int128),
    }


def _everyday() -> dict[str, Any]:
    half: Any = getattr(pl, "Float16", None)  # since polars 1.36
    kinds: Any = getattr(pl, "Categories", None)  # since polars 1.32
    categories = pl.Series("a", ["x", None, "y"], pl.Categorical)
    values = {
        "nothing": pl.DataFrame(),
        "categorical": categories,
        "no categories": categories.clear(),
        "categories in chunks": pl.concat([categories, categories[::-1]], rechunk=False),
        "categories alone missing": pl.Series("a", [None, None], pl.Categorical),
        "categories sliced": pl.Series("a", ["u", "v", "w"], pl.Categorical)[1:],
        "categories inside": pl.Series("a", [["x"], None, []], pl.List(pl.Categorical)),
        "enum": pl.Series("a", ["x", None], pl.Enum(["y", "x"])),
        "enum, empty": pl.Series("a", [], pl.Enum(["y", "x"])),
        "enum of nothing": pl.Series("a", [None], pl.Enum([])),
        "enum inside": pl.DataFrame({"a": [["x"]]}, schema={"a": pl.List(pl.Enum(["x", "y"]))}),
        "enum in a struct": pl.Series("a", [{"e": "x"}, None], pl.Struct({"e": pl.Enum(["x"])})),
        "decimal": pl.Series("a", [decimal.Decimal("1.50"), None], pl.Decimal(10, 2)),
        "decimals inside": pl.Series(
            "a", [[decimal.Decimal("1.5")], None], pl.List(pl.Decimal(9, 1))
        ),
        "many": pl.DataFrame({"a": categories, "b": categories.cast(pl.Enum(["y", "x"]))}),
    }
    if half is not None:
        values["half"] = pl.Series("a", [1.5, None], half)
    if kinds is not None:
        values["own categories"] = pl.Series(
            "a", ["x", None], pl.Categorical(kinds("mine", "tests", pl.UInt8))
        )
    return values


@pytest.mark.parametrize("name", _left_to_pickle())
def test_what_is_declined_is_pickled(name: str) -> None:
    """What the codec declines comes back by pickle all the same."""
    store = ObjectStore("memory://codecs").at(namespace="tests", run="polars")
    value = _left_to_pickle()[name]
    store.put("x", value)
    assert_same(value, store.get("x"))


@pytest.mark.parametrize(
    "value",
    [
        pl.Series("a", [object()], pl.Object),
        pl.Series("a", [[], []], pl.Array(pl.Int8, 0)),
        pl.DataFrame({"a": [{"x": []}]}, schema={"a": pl.Struct({"x": pl.Array(pl.Int8, 0)})}),
    ],
    ids=["objects", "arrays of width 0", "arrays of width 0, inside"],
)
def test_what_polars_cannot_read_is_refused(value: Any) -> None:
    """What polars could not read again is not stored in the first place."""
    store = ObjectStore("memory://codecs").at(namespace="tests", run="polars")
    with pytest.raises(UnsupportedValueError, match=r"Object|Array"):
        store.put("refused", value)
    assert not store.exists("refused")


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_is_the_same(compression: str) -> None:
    """Compression changes the size and nothing else."""
    store = ObjectStore("memory://codecs").at(namespace="tests", run="polars")
    for value in TestPolars.values().values():
        store.put("x", value, compression=compression)
        assert_same(value, store.get("x"))


@pytest.mark.parametrize("deep", [False, True])
def test_dtypes_that_an_older_polars_loses_come_back(deep: bool, monkeypatch: Any) -> None:
    """polars 1.20 reads a newer one's Enum as a Categorical; the pickle says that it is one."""
    dtype = pl.Enum(["x", "y"])
    frame = pl.DataFrame({"e": pl.Series(["y", None], dtype=dtype), "t": ["a", "b"]})
    values = [frame, frame["e"]]
    dumped = [pickle_of((one,) if deep else one) for one in values]
    for kind in (pl.DataFrame, pl.Series):

        def lose(self: Any, state: Any, own: Any = kind.__setstate__) -> None:
            own(self, state)
            if isinstance(self, pl.DataFrame):
                self._df = self.with_columns(pl.col(dtype).cast(pl.Categorical))._df
            elif self.dtype == dtype:
                self._s = self.cast(pl.Categorical)._s

        monkeypatch.setattr(kind, "__setstate__", lose)
    for value, stream in zip(values, dumped, strict=True):
        loaded = Pickling("allow", "x").loads(stream)
        assert_same(value, loaded[0] if deep else loaded)


def test_categories_that_another_polars_reads_as_something_else() -> None:
    """Both versions are named, and the column."""
    suite = TestPolars()
    encoded = suite.encode(pl.Series("a", ["x", None], pl.Enum(["y", "x"])))
    assert encoded is not None
    encoded.spec |= {"dtypes": {"value": "Enum(categories=['z'])"}, "polars": "9.9"}
    with pytest.raises(UnsupportedValueError, match=r"'value' of Enum.*polars 9\.9.*polars \d"):
        suite.read(suite.file(encoded))


def pickle_of(value: Any) -> bytes:
    return Pickling("allow", "x").dumps(value)

"""What docs/api.md says becomes of each value is what becomes of it."""

import array
import dataclasses
import datetime as dt
import decimal
import enum
import ipaddress
import os
import random
import re
import threading
import uuid
import zoneinfo
from collections import (
    ChainMap,
    Counter,
    OrderedDict,
    UserDict,
    UserList,
    UserString,
    defaultdict,
    deque,
    namedtuple,
)
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from statistics import NormalDist
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlparse

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pydantic
import pytest
import pytz
import scipy.sparse as sp
import xarray as xr
from packaging.version import Version
from sklearn.linear_model import LinearRegression

from runstore.codecs import by_fields
from runstore.errors import UnsupportedValueError

API = Path(__file__).parents[2] / "docs" / "api.md"
_DAY = pd.Timestamp("2024-01-01")
_DAYS = pd.to_datetime(["2024-01-01", "2024-01-03"])
_PATTERN = NormalDist()
_OFFSET = dt.timezone(dt.timedelta(hours=1))
_PERIODS = pd.period_range("2024-01", periods=2, freq="M")
_Pair = namedtuple("_Pair", "a b")


@dataclasses.dataclass
class _Data:
    a: int


class _Model(pydantic.BaseModel):
    a: int


@by_fields
@dataclasses.dataclass
class _Marked:
    a: int
    b: Any


@by_fields
class _MarkedModel(pydantic.BaseModel):
    a: set[int]


class _Color(enum.Enum):
    RED = 1


class _Stream:
    """A table of another library."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return pa.table({"a": [1]}).__arrow_c_stream__(requested_schema)


class _Subclass(pd.DataFrame):
    @property
    def _constructor(self) -> Any:
        return _Subclass


def objects(*cells: Any) -> Any:
    array = np.empty(len(cells), object)
    array[:] = cells
    return array


def _places() -> list[Any]:
    try:
        import geopandas
        from shapely import Point
    except ModuleNotFoundError:
        return []
    places = geopandas.GeoSeries([Point(1, 2)], crs=4326)
    return [geopandas.GeoDataFrame({"a": [1]}, geometry=places), places]


def _of_libraries() -> list[Any]:
    from PIL import Image
    from scipy.optimize import OptimizeResult
    from sklearn.utils import Bunch

    found = [Image.new("L", (2, 2)), OptimizeResult(x=1), Bunch(a=1)]
    try:
        from networkx import Graph
        from pyproj import CRS
        from shapely import Point
    except ModuleNotFoundError:
        return found
    return [*found, Graph([(1, 2)]), Point(1, 2), CRS(4326)]


def rows(title: str) -> dict[str, list[str]]:
    """Give the rows of the table under these titles, by their first cell."""
    lines = API.read_text().split("\n")
    at = lines.index(title) + 2
    found = {}
    while lines[at].startswith("| "):
        first, *others = (cell.strip() for cell in lines[at][1:-1].split("|"))
        found[first] = others
        at += 1
    return found


VALUES = rows("| value | codec | kept as | pickled |")

# For each row of the first table, some values; torch is not in the test group.
EXAMPLES: dict[str, list[Any]] = {
    "pandas frame, series, index, extension array": [
        pd.DataFrame({"a": [1]}), pd.Series([1]), pd.Index([1]), pd.array([1]), _PERIODS.array,
    ],
    "pyarrow table, batch, array, scalar, schema, extension array": [
        pa.table({"a": [1]}), pa.record_batch({"a": [1]}), pa.array([1]), pa.chunked_array([[1]]),
        pa.scalar(1), pa.schema({"a": "int8"}),
        pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"x" * 16], pa.binary(16))),
    ],
    "polars frame, series, with categoricals, enums, decimals": [
        pl.DataFrame({"a": [1, None], "b": [["x"], []]}), pl.Series([1]),
        pl.DataFrame({"a": [decimal.Decimal("1.5")]}, {"a": pl.Decimal(9, 1)}),
    ] + [
        pl.DataFrame({"a": pl.Series(["a"], dtype=kind)})
        for kind in (pl.Categorical, pl.Enum(["a"]))
    ],
    "polars frame with integers of 128 bits": [pl.DataFrame({"a": [1]}, {"a": pl.Int128})],
    "NumPy array without objects, also of `ml_dtypes` and `StringDType`": [
        np.arange(3), np.array(["a"]), np.array(["2024"], "M8[Y]"), np.array([1j]),
        np.zeros(1, [("a", "i4")]), np.asfortranarray(np.ones((2, 2))), np.array(1),
        *([np.array(["a"], np.dtypes.StringDType())] if hasattr(np.dtypes, "StringDType") else []),
    ],
    "NumPy scalar": [np.float64(1.5), np.datetime64("2024", "D"), np.str_("a")],
    "NumPy array of objects": [objects(1, {}), objects()],
    "NumPy masked array": [np.ma.array([1]), np.ma.array([1.5], mask=[True], fill_value=9.0)],
    (
        "NumPy record array, matrix, polynomial; `Generator`, `RandomState` of MT19937, "
        "`random.Random`"
    ): [
        np.rec.array([(1,)], dtype=[("a", "i4")]), np.eye(2).view(np.matrix), np.poly1d([1, 2]),
        np.polynomial.Polynomial([1, 2]), np.random.default_rng(1), np.random.RandomState(1),
        random.Random(1),
    ],
    "NumPy array of a dtype of another package, of aligned records": [
        np.zeros(1, np.dtype([("a", "i1"), ("b", "f8")], align=True)),
    ],
    (
        "`...`, zones, `array.array`, `SimpleNamespace`, `ChainMap`, `UserDict`, `UserList`, "
        "`UserString`; Python's plain types and NumPy's scalar types; `re.Pattern` of up to 16,384 "
        "characters and 32,768 characters in its ranges; `packaging.version.Version`"
    ): [
        ..., zoneinfo.ZoneInfo("UTC"), _OFFSET, array.array("d", [1.5]), SimpleNamespace(a=1),
        ChainMap({"a": 1}), UserDict(a=1), UserList([1]), UserString("a"), int, np.float32,
        re.compile("a+"), Version("1.2"),
    ],
    (
        "shapely geometry, pyproj `CRS`, networkx `Graph` and the like, PIL image that was not "
        "read from a file, `OptimizeResult` of SciPy, `Bunch` of scikit-learn, quantity and unit "
        "of pint's application registry, date, time, duration, interval and zone of pendulum"
    ): _of_libraries(),
    "offset and dtype of pandas, type and field of Arrow": [
        pd.offsets.MonthEnd(2), pd.Int64Dtype(), pd.CategoricalDtype(["a"]), pa.int8(),
        pa.field("a", pa.list_(pa.int8())),
    ],
    "SciPy sparse array or matrix of any format": [
        kind(np.eye(2))
        for kind in (
            sp.bsr_array, sp.coo_array, sp.csc_matrix, sp.csr_array, sp.dia_array, sp.dok_array,
            sp.lil_matrix,
        )
    ],
    "geopandas `GeoDataFrame`, `GeoSeries`": _places(),
    (
        "xarray dataset, array or `DataTree` of NumPy arrays or of what pandas made (times, "
        "categories, nullable), one index per dimension at most, also a MultiIndex with its levels"
    ): [
        xr.DataTree.from_dict({"a": xr.Dataset({"b": ("x", [1.5])})}),
        xr.Dataset({"a": (("x", "y"), [[1.5]])}, {"x": [1], "y": [2]}).stack(z=("x", "y")),
        xr.Dataset({"a": ("x", [1.5])}), xr.DataArray([1.5], {"x": ["a"]}),
        xr.Dataset({"a": ("x", pd.date_range("2024", periods=2))}),
        xr.Dataset({"a": ("x", pd.array([1, None]))}),
        xr.Dataset({"a": ("x", pd.Categorical(["a"]))}),
    ],
    "`bytes`, `bytearray`": [b"a", bytearray(b"a")],
    "`str`": ["a"],
    "JSON-like Python": [None, True, 1, 1.5, [1, "a"], {"a": None}],
    "large `list`, `tuple`, `set`, `frozenset`, `dict` of items, keys and values of one type": [
        list(range(1024)), dict.fromkeys(range(256), 1.5), {*range(256)}, ((1, "a"),) * 256,
        frozenset(map(str, range(256))), [np.arange(3) + i for i in range(256)],
    ],
    "`datetime`, `date`, `time`, `timedelta`, `Decimal`, `UUID`, `complex`": [
        dt.datetime(2024, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")), dt.date(2024, 1, 1),
        dt.time(1, tzinfo=_OFFSET), dt.timedelta(1), decimal.Decimal("1.5"), uuid.UUID(int=1), 1j,
    ],
    (
        "`range`, `slice`, `Fraction`, `numpy.dtype`, `PurePosixPath`, `PureWindowsPath`, "
        "addresses and networks of `ipaddress`"
    ): [
        range(3), slice(1), Fraction(1, 3), np.dtype(">i4"), PurePosixPath("a"),
        PureWindowsPath("a"), ipaddress.ip_address("::1"), ipaddress.ip_network("10.0.0.0/8"),
    ],
    "pandas `Timestamp`, `Timedelta`, `Period`, `Interval`, `NaT`, `NA`": [
        _DAY, pd.Timedelta(1, "D"), _PERIODS[0], pd.Interval(0, 1), pd.NaT, pd.NA,
    ],
    "dataclass, pydantic model or attrs class marked with [`by_fields`](#classes-by-name)": [
        _Marked(1, _DAY), _MarkedModel(a={1}),
    ],
    (
        "member of an Enum, named tuple, also of a class derived from one without attributes of "
        "its own (`urllib.parse.ParseResult`)"
    ): [_Color.RED, _Pair(1, 2), urlparse("http://a/b")],
    (
        "`dict`, `list`, `tuple`, `set`, `frozenset`, `OrderedDict`, `defaultdict` of a built-in "
        "type, `Counter`, `deque` of all these, nested; a torch state dict"
    ): [
        {"a": np.arange(3)}, [pd.Series([1])], (1, 2), OrderedDict(a=(1,)), {1: b"x"}, {1},
        frozenset(), defaultdict(list, a=[1]), Counter("ab"), deque([1], 3),
    ],
    "the same with one part that has to be pickled": [
        {"a": np.arange(3), "b": _PATTERN}, [({_PATTERN},)],
    ],
    (
        "other dataclass, pydantic model or attrs class, class or function, combination of flags, "
        "scikit-learn model, matplotlib figure, sympy expression (to read its text is to execute "
        "it)"
    ): [_Data(1), _Model(a=1), _Data, len, re.A | re.I, LinearRegression()],
    "another library's table (`__arrow_c_stream__`)": [_Stream()],
    "anything else": [_PATTERN, ValueError(1)],
    "`pathlib.Path`, polars frame of objects": [
        Path("x"), pl.DataFrame({"a": pl.Series([{1}], dtype=pl.Object)}),
    ],
    (
        "a handle: open or temporary file, mapped file, `memoryview`, lock, connection, generator "
        "or iterator of no tables, `os.environ`, future, dask collection, lazily opened xarray, "
        "Ray reference; also deep in a value"
    ): [
        iter([1]), os.environ, memoryview(b"a"), [memoryview(b"a")], (n for n in range(3)),
        threading.Lock(), [pl.LazyFrame({"a": [1]})],
    ],
}  # fmt: skip
_ELSEWHERE = {"torch tensor (CPU, strided, no computed gradient)"}


def test_every_row_has_examples():
    """Each row of the table is tried."""
    assert set(VALUES) == set(EXAMPLES) | _ELSEWHERE


@pytest.mark.parametrize("row", EXAMPLES)
def test_values(view, row):
    """Each kind of value is kept by the codec that the table names, pickled or not."""
    codec, _, pickled = VALUES[row]
    for value in EXAMPLES[row]:
        if not codec:
            with pytest.raises(UnsupportedValueError):
                view.put("x", value)
            continue
        view.put("x", value)
        info = view.stat("x")
        assert codec.strip("`") == info.codec, value
        assert {"no": False, "whole": True}.get(pickled, False) == info.pickled, value


# pandas ------------------------------------------------------------------------------------------


def _array(values: Any, dtype: Any = None) -> Any:
    return pd.array(values, dtype=dtype) if dtype else pd.Series(values)._values


COLUMNS: dict[str, list[Any]] = {
    "int8 to int64": [np.array([1], f"i{n}") for n in (1, 2, 4, 8)],
    "uint8 to uint64": [np.array([1], f"u{n}") for n in (1, 2, 4, 8)],
    "float16": [np.array([1], "f2")],
    "float32": [np.array([1], "f4")],
    "float64": [np.array([1.5, np.nan])],
    "bool": [np.array([True])],
    "datetime64 of every unit": [np.array([1], f"M8[{unit}]") for unit in ("s", "ms", "us", "ns")],
    "timedelta64": [np.array([1], f"m8[{unit}]") for unit in ("s", "ms", "us", "ns")],
    "zoneinfo zone": [_DAYS.tz_localize(zoneinfo.ZoneInfo("Europe/Paris")).array],
    "UTC": [_DAYS.tz_localize("UTC").array],
    "nullable": [_array([1, None], kind) for kind in ("Int8", "UInt64", "Float32", "boolean")],
    "every string storage": [
        pd.Series(["a", None], dtype=kind)._values
        for kind in ("str", "string[python]", "string[pyarrow]")
    ],
    "object text": [objects("a", None)],
    "object bytes": [objects(b"a", None)],
    "Arrow-backed": [
        _array([1, None], "int8[pyarrow]"),
        pd.arrays.ArrowExtensionArray(pa.chunked_array([[[1]]])),
    ],
    "categories of text": [pd.Categorical(["a", None])],
    "ordered categories": [pd.Categorical([2, 1], [2, 1], ordered=True)],
    "unused categories": [pd.Categorical([_DAY], [_DAY, _DAY + pd.Timedelta(1, "D")])],
    "complex": [np.array([1j]), np.array([1j], "c8")],
    "pytz zone": [
        _DAYS.tz_localize(zone).array
        for zone in (pytz.timezone("Europe/Paris"), pytz.utc, pytz.FixedOffset(60))
    ],
    "object dates": [objects(dt.date(2024, 1, 1), None)],
    "object decimals": [objects(decimal.Decimal("1.50"), np.nan)],
    "object lists": [objects([1, 2], []), objects(["a"], None)],
    "object arrays": [objects(np.arange(3), np.arange(2))],
    "object of classes of your own": [objects(_Data(1), 1)],
    "long double": [np.array([1], "g")],
    "Period": [_PERIODS.array],
    "Interval": [pd.interval_range(0, 2).array],
    "Sparse": [pd.arrays.SparseArray([0, 1.5])],
    "fixed offset": [_DAYS.tz_localize(_OFFSET).array],
    "categories of Interval": [pd.Categorical(pd.interval_range(0, 2))],
    "object of other types": [objects({}, 1), objects(dt.date(2024, 1, 1))],
    "None beside NaN": [objects("a", None, np.nan)],
}
INDEXES: dict[str, list[Any]] = {
    "range": [pd.RangeIndex(2), pd.RangeIndex(5, 1, -2)],
    "numbers": [pd.Index([2, 1]), pd.Index([1.5, 2]), pd.Index([1, 2], dtype="u1")],
    "duplicates": [pd.Index([1, 1])],
    "bool": [pd.Index([True, False])],
    "text": [pd.Index(["a", "b"]), pd.Index(["a", None], dtype=object)],
    "datetime with freq": [pd.date_range("2024", periods=2, freq=f) for f in ("D", "ME", "B")],
    "time zone": [_DAYS.tz_localize(zoneinfo.ZoneInfo("Europe/Paris"))],
    "timedelta with freq": [pd.timedelta_range("1D", periods=2, freq="7min")],
    "nullable": [pd.Index([1, None], dtype="Int64")],
    "Arrow-backed": [pd.Index([1, None], dtype="int8[pyarrow]")],
    "categories": [pd.CategoricalIndex(["a", "b"])],
    "MultiIndex": [pd.MultiIndex.from_product([[1], ["a", "b"]], names=["x", None])],
    "Period": [_PERIODS],
    "Interval": [pd.interval_range(0, 2)],
    "complex": [pd.Index([1j, 2])],
    "fixed offset": [_DAYS.tz_localize(_OFFSET)],
    "object of mixed types": [pd.Index([1, "a"], dtype=object)],
    "MultiIndex with a Period level": [pd.MultiIndex.from_arrays([[1, 2], _PERIODS])],
    "custom calendar as freq": [
        pd.date_range("2024", periods=2, freq=pd.offsets.CustomBusinessDay(holidays=["2024-01-01"]))
    ],
}
LABELS: dict[str, list[Any]] = {
    **{name: INDEXES[name] for name in ("range", "bool", "categories", "Period", "MultiIndex")},
    "text": [pd.Index(["a", "b"])],
    "duplicate text": [pd.Index(["a", "a"])],
    "int": [pd.Index([2, 1])],
    "float": [pd.Index([1.5, 2])],
    "datetime": [_DAYS],
    "tuple": [pd.Index([("a", 1), "b"], tupleize_cols=False)],
    "None": [pd.Index(["a", None], dtype=object)],
    "mixed": [pd.Index([1, "a"], dtype=object)],
}
NAMES: dict[str, Any] = {
    "text": "a", "int": 1, "bool": True, "None": None, "tuple": ("a", 1), "float": 1.5,
    "Timestamp": _DAY, "NaN": float("nan"),
}  # fmt: skip
ATTRS: dict[str, Any] = {
    "JSON-like": {"a": [1, None]},
    "tuple as value": {"a": (1,)},
    "array as value": {"a": np.arange(2)},
}
FRAMES: dict[str, Any] = {
    "no rows": pd.DataFrame({"a": [1]}).iloc[:0],
    "index without columns": pd.DataFrame(index=["a"]),
    "no duplicates allowed": pd.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False),
    "neither columns nor index": pd.DataFrame(),
    "subclass": _Subclass({"a": [1]}),
}


def _with_attrs(attrs: Any) -> pd.DataFrame:
    frame = pd.DataFrame({"a": [1]})
    frame.attrs = attrs
    return frame


def _series(values: Any) -> pd.Series:
    return pd.Series(values, dtype=values.dtype)


# For each row of the second table: of each of its words, values that have it.
PARTS: dict[str, dict[str, list[Any]]] = {
    "column, series": {
        word: [part for a in arrays for part in (pd.DataFrame({"x": _series(a)}), _series(a))]
        for word, arrays in COLUMNS.items()
    },
    "index": {
        word: [pd.DataFrame({"a": [1, 2]}, index=index) for index in indexes]
        for word, indexes in INDEXES.items()
    },
    "index alone": {
        word: INDEXES[word]
        for word in ("numbers", "text", "datetime with freq", "MultiIndex", "range", "Period")
    },
    "column labels": {
        word: [pd.DataFrame([[1, 2]], columns=labels) for labels in indexes]
        for word, indexes in LABELS.items()
    },
    "name of index, labels or series": {
        word: [
            pd.DataFrame({"a": [1]}, index=pd.Index([1], name=name)),
            pd.DataFrame([[1]], columns=pd.Index(["a"], name=name)),
            pd.Series([1], name=name),
        ]
        for word, name in NAMES.items()
    },
    "attrs": {word: [_with_attrs(attrs)] for word, attrs in ATTRS.items()},
    "frame": {word: [frame] for word, frame in FRAMES.items()},
}
_KEPT = (("pandas", False), ("pandas", True), ("pickle", True))  # codec and pickled, by column


def claims() -> list[tuple[str, str, tuple[str, bool]]]:
    """Give part, word, and what the table says of it."""
    table = rows("| part | Arrow | pickled column | pickled whole |")
    return [
        (part, word, kept)
        for part, cells in table.items()
        for cell, kept in zip(cells, _KEPT, strict=True)
        for word in cell.split(", ")
        if word
    ]


def test_every_word_has_examples():
    """Each word of the table is tried, and nothing that is not in it."""
    expected = sorted((part, word) for part, word, _ in claims())
    assert expected == sorted((part, word) for part, words in PARTS.items() for word in words)


@pytest.mark.parametrize(("part", "word", "kept"), claims())
def test_parts_of_pandas(view, part, word, kept):
    """Each part of a frame is kept as the table says."""
    for value in PARTS[part][word]:
        view.put("x", value)
        info = view.stat("x")
        assert kept == (info.codec, info.pickled), value

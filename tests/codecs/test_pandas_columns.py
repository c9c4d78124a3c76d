"""Every kind of pandas column: as a Series, and as a column between others in a frame."""

import datetime as dt
import decimal
import io
import struct
import zoneinfo
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from runstore.errors import UnsafePickleError
from runstore.testing import CodecTests

_NAN = float("nan")
_NUMPY = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"]
_NULLABLE = ["Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"]
_UNITS = ["s", "ms", "us", "ns"]
_PARIS = zoneinfo.ZoneInfo("Europe/Paris")
# The smallest time zone file: one offset of 0 called UTC.
_UTC_FILE = b"TZif" + bytes(16) + struct.pack(">6llbb", 0, 0, 0, 0, 1, 4, 0, 0, 0) + b"UTC\0"
_OFFSET = dt.timezone(dt.timedelta(hours=5, minutes=30))
_DAYS = ["2024-02-29", "1969-12-31 23:59:59", None, "2024-10-27 01:30"]
_STRINGS = {
    "str": "str",
    "string": "string",
    "python string": "string[python]",
    "pyarrow string": "string[pyarrow]",
}


def _arrow_values() -> dict[str, Any]:
    day = dt.datetime(2024, 2, 29)
    return {
        "int8": pa.array([1, None], pa.int8()),
        "double": pa.array([1.5, None, _NAN, -0.0]),
        "bool": pa.array([True, None]),
        "null": pa.nulls(2),
        "string": pa.array(["a", None]),
        "large string": pa.array(["a", None], pa.large_string()),
        "binary": pa.array([b"a", None]),
        "fixed binary": pa.array([b"ab", None], pa.binary(2)),
        "decimal": pa.array([decimal.Decimal("1.50"), None], pa.decimal128(8, 2)),
        "date": pa.array([day.date(), None]),
        "time": pa.array([dt.time(1, 2), None], pa.time64("us")),
        "timestamp": pa.array([day, None], pa.timestamp("s")),
        "zoned": pa.array([day, None], pa.timestamp("us", "Europe/Paris")),
        "duration": pa.array([dt.timedelta(1), None], pa.duration("ms")),
        "list": pa.array([[1, None], None, []]),
        "struct": pa.array([{"a": 1, "b": None}, None]),
        "map": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int8())),
        "dictionary": pa.array(["b", None, "a"]).dictionary_encode(),
        "chunks": pa.chunked_array([[1], [], [2, None]]),
        "dictionaries in chunks": pa.chunked_array(
            [pa.array(["a"]).dictionary_encode(), pa.array(["b"]).dictionary_encode()]
        ),
        "empty": pa.array([], pa.int8()),
        "no chunks": pa.chunked_array([], pa.string()),
        "sliced": pa.array([1, None, 3])[1:],
    }


def _categoricals() -> dict[str, Any]:
    category = pd.CategoricalDtype
    return {
        "words": pd.Categorical(["b", "a", None, "b"]),
        "ordered": pd.Categorical(["lo", "hi"], ["lo", "mid", "hi"], ordered=True),
        "ints": pd.Categorical([3, 1, 3]),
        "floats": pd.Categorical([1.5, None, -0.0]),
        "moments": pd.Categorical(pd.to_datetime(["2024-01-01", None])),
        "zoned": pd.Categorical(pd.to_datetime(["2024-01-01"]).tz_localize(_PARIS)),
        "days in a row": pd.Categorical.from_codes([1, -1], pd.date_range("2024", periods=2)),
        "range": pd.Categorical.from_codes([1, -1], pd.RangeIndex(2)),
        "named": pd.Categorical.from_codes([0], pd.Index(["a"], name="letters")),
        "named 1": pd.Categorical.from_codes([0], pd.Index(["a"], name=1)),
        "bools": pd.Categorical.from_codes([0, 1], pd.Index([False, True])),
        "objects": pd.Categorical.from_codes([0, 1], pd.Index(["a", "b"], dtype=object)),
        "python strings": pd.Categorical.from_codes([0], pd.Index(["a"], dtype="string[python]")),
        "nullable": pd.Categorical.from_codes([0, 1], pd.Index([1, 2], dtype="Int8")),
        "many": pd.Categorical.from_codes([300, -1, 0], pd.Index([f"c{i}" for i in range(301)])),
        "of categories": pd.Categorical.from_codes([1, 0], pd.CategoricalIndex(["a", "b"])),
        "none used": pd.Categorical([None, None], ["a"]),
        "no categories": pd.Categorical([None, None], []),
        "empty": pd.Categorical([], ["a", "b"]),
        "order unsaid": pd.Categorical(["a"], dtype=category(["a"], ordered=None)),
        "sliced": pd.Categorical(["a", "b", None])[1:],
    }


def _plain() -> dict[str, Any]:
    values: dict[str, Any] = {name: np.array([0, 1, 100], name) for name in _NUMPY}
    values |= {f"{name} nullable": pd.array([1, None, 3], name) for name in _NULLABLE}
    values |= {
        f"{kind}8[{unit}]": np.array([0, -1, "NaT", 10**9], f"{kind}8[{unit}]")
        for kind in "Mm"
        for unit in _UNITS
    }
    values |= {
        f"{unit} in Paris": pd.to_datetime(_DAYS, format="mixed")
        .as_unit(unit)
        .tz_localize("UTC")
        .tz_convert(_PARIS)
        .array
        for unit in _UNITS
    }
    for name, dtype in _STRINGS.items():
        values[name] = pd.array(["a", None, "", "☃ and more"], dtype=dtype)
        values[f"{name}, empty"] = pd.array([], dtype=dtype)
        values[f"{name}, sliced"] = pd.array(["a", None, "b"], dtype=dtype)[1:]
        values[f"{name}, all missing"] = pd.array([None, None], dtype=dtype)
    arrow = _arrow_values()
    values |= {
        f"arrow {name}": pd.arrays.ArrowExtensionArray(_chunked(a)) for name, a in arrow.items()
    }
    return values


def _chunked(array: Any) -> Any:
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def _missing() -> dict[str, Any]:
    """Where NaN, None, NaT and NA stand side by side."""
    return {
        "all zeros": np.array([0.0, -0.0]),
        "infinite": np.array([np.inf, -np.inf]),
        "kinds of NaN": np.array([0x7FF8000000000001, 0xFFF8 << 48, 0x7FF4 << 48], "u8").view("f8"),
        "NaN is not NA": pd.arrays.FloatingArray(
            np.array([_NAN, 1.5, 2.5]), np.array([False, False, True])
        ),
        "Float32": pd.array([1.5, None], "Float32"),
        "boolean": pd.array([True, None, False]),
        "bool": np.array([True, False]),
        "no bool": np.array([], bool),
        "year 1": np.array(["0001-01-01", "9999-12-31"], "M8[s]"),
        "UTC": pd.to_datetime(["2024-01-01", None]).tz_localize(dt.UTC).array,
        "zone UTC": pd.to_datetime(["2024-01-01"]).tz_localize(zoneinfo.ZoneInfo("UTC")).array,
        "texts": np.array(["a", None, ""], object),
        "texts alone": np.array(["a", "b"], object),
        "bytes": np.array([b"a", None, b"\xff"], object),
        "Nones": np.array([None, None], object),
        "no objects": np.array([], object),
    }


def _exact() -> dict[str, Any]:
    categoricals = {f"{name}, categorical": c for name, c in _categoricals().items()}
    return _plain() | _missing() | categoricals | _everyday()


def _everyday() -> dict[str, Any]:
    """What is of Python's types, or of types that are pandas' alone."""
    day = pd.Timestamp("2024-02-29")
    cells: dict[str, list[Any]] = {
        "None and NaN": ["a", None, _NAN],
        "NaN and NA": [_NAN, pd.NA],
        "NaT": [pd.NaT, None],
        "numbers": [1, 2],
        "number kinds": [1, 1.0, True],
        "ints over 64 bits": [1 << 70, -(1 << 70)],
        "mixed": [1, "a", b"b", None],
        "bools": [True, False],
        "bools and None": [True, None],
        "dicts": [{"a": 1}, {"b": None}],
        "lists": [[1], [], None],
        "tuples": [(1, "a"), ()],
        "sets": [{1, 2}, frozenset()],
        "arrays": [np.arange(2), None, np.arange(3), np.arange(0)],
        "moments": [day, day],
        "moments in zones": [day.tz_localize("UTC"), day.tz_localize(_PARIS)],
        "days": [dt.date(2024, 2, 29), None],
        "decimals": [decimal.Decimal("1.50"), decimal.Decimal("NaN")],
        "text of numpy": [np.str_("a"), "a"],
        "lists of text": [["a", None], None, []],
        "lists of several types": [[1, "a"], [dt.date(2024, 2, 29)]],
        "tuples of numbers": [(1.5, np.nan), (2.5,)],
        "times of day": [dt.time(1, 2), _NAN],
        "times of day in zones": [dt.time(1, 2, tzinfo=dt.UTC)],
        "datetimes": [dt.datetime(2024, 2, 29), None],
        "datetimes twice": [dt.datetime(2024, 2, 29, fold=1)],
        "durations": [dt.timedelta(1), dt.timedelta.max],
        "all kinds of missing": ["a", None, _NAN, pd.NA, pd.NaT],
        "floats": [1.5, _NAN, None],
        "NaN": [_NAN, _NAN],
        "bytes and NaN": [b"a", _NAN],
        "scaled decimals": [decimal.Decimal("1.50"), None, decimal.Decimal("-2.25")],
        "small decimals": [decimal.Decimal("0.00"), decimal.Decimal("0.01")],
        "decimals of zero": [decimal.Decimal("-0.0")],
        "large decimals": [decimal.Decimal("1E+5"), decimal.Decimal("1" * 80)],
        "nested": [{"a": [(1, {2})]}, {1: None}],
    }
    return {name: _objects(values) for name, values in cells.items()} | {
        "complex": np.array([1j, complex(_NAN, -0.0)]),
        "complex64": np.array([1j], "c8"),
        "period": pd.period_range("2024-01", periods=2, freq="M").array,
        "interval": pd.interval_range(0, 2, closed="both").array,
        "interval of days": pd.interval_range(day, periods=2).array,
        "interval categories": pd.Categorical(pd.interval_range(0, 2)),
        "mixed categories": pd.Categorical.from_codes([0, 1], pd.Index([1, "a"], dtype=object)),
        "fixed offset": pd.to_datetime(["2024-01-01"]).tz_localize(_OFFSET).array,
        "offset and missing": pd.to_datetime(["2024-01-01T00:00:00-03:30", None]).array,
        "named offset": pd.to_datetime(["2024"])
        .tz_localize(dt.timezone(dt.timedelta(seconds=61), "X"))
        .array,
        "period and missing": pd.PeriodIndex(["2024-01-01", None], freq="D").array,
        "period of 2 hours": pd.period_range("2024", periods=2, freq="2h").array,
        "interval and missing": pd.arrays.IntervalArray.from_tuples([(0.5, 1), _NAN]),
        "interval in Paris": pd.interval_range(day.tz_localize(_PARIS), periods=2).array,
        "no intervals": pd.interval_range(0, 0).array,
        "bins": pd.cut([1, 2, 3, _NAN], 2),
        "period categories": pd.Categorical(pd.period_range("2024", periods=2, freq="M")),
        "date categories": pd.Categorical(_objects([dt.date(2024, 2, 29), None])),
    }


def _pickled() -> dict[str, Any]:
    cells: dict[str, list[Any]] = {
        "lone surrogate": ["\ud800", "a"],
        "arrays of two dimensions": [np.arange(2), np.zeros((2, 2))],
        "patterns": [NormalDist(), 1],
    }
    return {name: _objects(values) for name, values in cells.items()} | {
        "long double": np.array([1, 2], "g"),
        "sparse": pd.arrays.SparseArray([0, 0, 1.5]),
        "sparse ints": pd.arrays.SparseArray([7, 7, 1], fill_value=7),
        "python strings of numpy": pd.array([np.str_("a"), pd.NA], "string[python]"),
        # To pandas 3 its dtype says "pyarrow", for all that it is not.
        "python strings of either kind": pd.arrays.StringArray(_objects([np.str_("a"), pd.NA])),
    }


def _objects(cells: list[Any]) -> np.ndarray[Any, Any]:
    array = np.empty(len(cells), object)
    array[:] = cells
    return array


def _series(values: Any) -> pd.Series:
    return pd.Series(values, name="s", dtype=values.dtype)


def _frame(values: Any) -> pd.DataFrame:
    """The column between others, so that neither is taken for the other."""
    around = np.arange(len(values), dtype="f8")
    columns = {"a": around, "b": _series(values), "c": around, "d": _series(values)}
    return pd.DataFrame(columns)


class _ColumnTests(CodecTests):
    codec = "pandas"

    def change(self, value: Any) -> bool:
        if not len(value):
            return False
        if isinstance(value, pd.DataFrame):
            value.iloc[0, 0] = 99.0
            value.iloc[-1, 2] = -1.0
        elif isinstance(value.dtype, (pd.SparseDtype, pd.ArrowDtype)):
            return False  # pandas has no way to write some of these
        else:
            value.iloc[0] = None if value.dtype == object else value.iloc[-1]
        return True


class TestSeries(_ColumnTests):
    @classmethod
    def values(cls) -> dict[str, Any]:
        return {name: _series(values) for name, values in _exact().items()}

    @classmethod
    def pickled(cls) -> dict[str, Any]:
        metadata = np.zeros(2, np.dtype("f8", metadata={"unit": "m"}))
        return {name: _series(values) for name, values in _pickled().items()} | {
            "dtype metadata": _series(metadata)
        }

    @classmethod
    def unreadable(cls) -> dict[str, set[str]]:
        return {"polars": {"arrow map"}}


class TestFrames(_ColumnTests):
    zero_copy = True

    @classmethod
    def values(cls) -> dict[str, Any]:
        return {name: _frame(values) for name, values in _exact().items()}

    @classmethod
    def pickled(cls) -> dict[str, Any]:
        return {name: _frame(values) for name, values in _pickled().items()}

    @classmethod
    def large(cls) -> Any:
        return pd.DataFrame(
            np.zeros((1 << 17, 16), order="F"), columns=[f"c{i}" for i in range(16)]
        )

    @classmethod
    def unreadable(cls) -> dict[str, set[str]]:
        return {"polars": {"arrow map"}}


@pytest.mark.parametrize("key", ["Europe/Paris", "No/Such"])
def test_zones_that_a_name_does_not_lead_to(key: str) -> None:
    """A zone outside Python's cache is not taken for the one of its name."""
    if key == "Europe/Paris":
        zone = zoneinfo.ZoneInfo.no_cache(key)
    else:
        zone = zoneinfo.ZoneInfo.from_file(io.BytesIO(_UTC_FILE), key)
    frame = pd.DataFrame({"a": pd.to_datetime(["2024-01-01"]).tz_localize(zone)})
    with pytest.raises(UnsafePickleError):
        TestFrames().encode(frame, "deny")

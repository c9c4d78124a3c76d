"""The values that are written by one version and read by another, and how to make them."""

import datetime as dt
import fractions
import random
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import xarray as xr

__all__ = ["VALUES", "Absent", "Result"]

VALUES: dict[str, Callable[[], Any]] = {}
"""Name to what makes the value. A name with an extension is stored in that file's own format."""


class Absent(Exception):
    """The library that is installed cannot make the value: it is too old or too new for it."""


@dataclass
class Result:
    """An object of a user's own class, which is pickled with what is in it."""

    frame: pd.DataFrame
    weights: Any


def _value(name: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    def listed(make: Callable[[], Any]) -> Callable[[], Any]:
        VALUES[name] = make
        return make

    return listed


def _same(**values: Any) -> None:
    """List values that are made alike by every version, each by a call without arguments."""
    VALUES.update({name.replace("_", "-"): make for name, make in values.items()})


_MOMENT = dt.datetime(2024, 2, 29, 12, 30, 1, 5)
_TEXT = ["a", None, "é 🦆", ""]
_DAYS = ["2013-01-01", "2013-01-02", None]


# Python ------------------------------------------------------------------------------------------

_same(
    python_json=lambda: {"a": [1, 2.5, None, True, 2**70], "b": {"c": "d"}},
    python_bytes=lambda: bytes(range(256)),
    python_set=lambda: {1, 2, "x"},
    python_ordered=lambda: OrderedDict(b=1, a=fractions.Fraction(1, 3)),
    python_nested=lambda: {
        "arrays": (np.arange(3.0), np.array(["a", "bc"])),
        "frames": [pd.DataFrame({"a": [1, None]}), pl.DataFrame({"a": ["x", None]})],
        "small": [Decimal("1.50"), UUID(int=7), 1j, dt.timedelta(1, 2, 3), np.float32(1.5)],
        "time": _MOMENT,
    },
    python_own_class=lambda: Result(
        pd.DataFrame({"a": [1.5, 2.5], "b": [1, 2]}, index=["x", "y"]), np.arange(4)
    ),
    python_own_class_text=lambda: Result(pd.DataFrame({"a": ["x", None]}), np.arange(4000.0)),
    python_random=lambda: random.Random(7).getstate(),
)

# NumPy -------------------------------------------------------------------------------------------

_same(
    numpy_floats=lambda: np.array([[1.5, np.nan, -0.0], [np.inf, 2.0, 3.0]]),
    numpy_fortran=lambda: np.asfortranarray(np.arange(12, dtype=">i4").reshape(3, 4)),
    numpy_text=lambda: np.array(["a", "bcd", ""]),
    numpy_times=lambda: np.array(_DAYS, "M8[ns]"),
    numpy_structured=lambda: np.array([(1, 2.5), (3, 4.5)], dtype=[("a", "i4"), ("b", "f8")]),
    numpy_objects=lambda: np.array([1, "a", None, (1, 2)], dtype=object),
    numpy_masked=lambda: np.ma.array([1.5, 2.5, 3.5], mask=[False, True, False]),
    numpy_scalar=lambda: np.float32(1.5),
    numpy_complex=lambda: np.array([1 + 2j, np.nan], "c8"),
    numpy_record=lambda: np.rec.array([(1, "a"), (2, "b")], dtype=[("n", "i8"), ("t", "U2")]),
    numpy_generator_state=lambda: np.random.default_rng(7).bit_generator.state,
)
_same(**{"numpy.npy": lambda: np.arange(12.0).reshape(3, 4)})
_same(**{"numpy.safetensors": lambda: {"b": np.arange(3, dtype="i2"), "a": np.ones((2, 2))}})


@_value("numpy-string-dtype")
def _string_dtype() -> Any:
    kind: Any = getattr(np.dtypes, "StringDType", None)
    if kind is None:
        raise Absent
    return np.array(["a", "é 🦆", ""], kind())


# pandas ------------------------------------------------------------------------------------------


def _pandas(**values: Callable[[], Any]) -> None:
    _same(**{f"pandas_{name}": make for name, make in values.items()})


def _column(values: Any, dtype: Any) -> Callable[[], Any]:
    return lambda: pd.DataFrame({"a": pd.array(values, dtype=dtype), "b": range(len(values))})


_pandas(
    numbers=lambda: pd.DataFrame({"f": [1.5, float("nan"), -0.0], "i": np.arange(3, dtype="i4")}),
    text=lambda: pd.DataFrame({"a": _TEXT, "b": ["x", "y", "z", ""]}),
    text_object=lambda: pd.DataFrame({"a": pd.Series(_TEXT, dtype=object)}),
    text_python=_column(_TEXT, "string[python]"),
    text_arrow=_column(_TEXT, "string[pyarrow]"),
    nullable_integers=_column([1, None, 3], "Int64"),
    nullable_floats=_column([1.5, None, 3], "Float32"),
    nullable_booleans=_column([True, None, False], "boolean"),
    categories=lambda: pd.DataFrame({"a": pd.Categorical(["b", None, "a"])}),
    categories_ordered=_column([3, None, 1], pd.CategoricalDtype([3, 2, 1], ordered=True)),
    times=lambda: pd.DataFrame({"a": pd.to_datetime(_DAYS), "s": np.array(_DAYS, "M8[s]")}),
    zoned=lambda: pd.DataFrame({"a": pd.date_range("2013-03-30", periods=3, tz="Europe/Prague")}),
    durations=lambda: pd.DataFrame({"a": pd.to_timedelta([1, None, 3], unit="h")}),
    periods=_column(["2013-01", None, "2013-03"], "period[M]"),
    intervals=lambda: pd.DataFrame({"a": pd.interval_range(0, 3)}),
    sparse=lambda: pd.DataFrame({"a": pd.arrays.SparseArray([0.0, 0.0, 1.5])}),
    objects=lambda: pd.DataFrame({"a": pd.Series([1, "a", None, (1, 2)], dtype=object)}),
    arrow_list=_column([[1, 2], None, []], pd.ArrowDtype(pa.list_(pa.int64()))),
    arrow_decimal=_column([Decimal("1.5"), None], pd.ArrowDtype(pa.decimal128(10, 2))),
    multi_index=lambda: pd.DataFrame(
        {"v": [1, 2, 3]},
        index=pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["k", None]),
    ),
    multi_columns=lambda: pd.DataFrame([[1, 2]], columns=[["a", "a"], ["x", "y"]]),
    text_index=lambda: pd.DataFrame({"v": [1, 2]}, index=pd.Index(["x", "y"], name="id")),
    monthly=lambda: pd.DataFrame({"v": [1, 2]}, index=pd.date_range("2013", periods=2, freq="ME")),
    hourly=lambda: pd.Series([1, 2], index=pd.date_range("2013", periods=2, freq="h"), name="v"),
    series_text=lambda: pd.Series(_TEXT, name="t"),
    index_text=lambda: pd.Index(["a", "b"], name="n"),
    attrs=lambda: _with_attrs(),
    empty=lambda: pd.DataFrame({"a": [], "b": pd.Series([], dtype="M8[ns]")}),
    mixed_labels=lambda: pd.DataFrame([[1, 2.5]], columns=["a", 1]),
    timestamps=lambda: {"at": pd.Timestamp(_MOMENT, tz="UTC"), "for": pd.Timedelta(1, "s")},
)
_same(**{"pandas-frame.parquet": lambda: pd.DataFrame({"a": [1.5, None], "b": ["x", None]})})
_same(**{"pandas-frame.csv": lambda: pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y z"]})})
_same(**{"pandas-frame.pkl": lambda: pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]})})


def _with_attrs() -> pd.DataFrame:
    frame = pd.DataFrame({"a": [1, 2]}).set_flags(allows_duplicate_labels=False)
    frame.attrs = {"unit": "m", "steps": [1, 2]}
    return frame


# Arrow -------------------------------------------------------------------------------------------


def _arrow(**values: Callable[[], Any]) -> None:
    _same(**{f"arrow_{name}": make for name, make in values.items()})


_arrow(
    table=lambda: pa.table(
        {
            "n": pa.array([1, None, 3], pa.int16()),
            "t": _TEXT[:3],
            "at": pa.array([_MOMENT, None, _MOMENT], pa.timestamp("us", "Europe/Prague")),
            "d": pa.array([Decimal("1.50"), None, Decimal("-2")], pa.decimal128(10, 2)),
        },
        metadata={"unit": "m"},
    ),
    nested=lambda: pa.table({"a": [[{"x": 1, "y": ["z"]}], None, []], "m": [1, 2, 3]}),
    dictionary=lambda: pa.table({"a": pa.array(["x", None, "x"]).dictionary_encode()}),
    views=lambda: pa.table({"a": pa.array(["x", None, "longer than twelve"], pa.string_view())}),
    run_ends=lambda: pa.table({"a": pa.array([1, 1, 2], pa.run_end_encoded(pa.int32(), "i8"))}),
    extension=lambda: pa.table({"a": pa.array([UUID(int=7).bytes, None], pa.uuid())}),
    small_decimals=lambda: pa.table({"a": pa.array([Decimal("1.5")], pa.decimal32(5, 2))}),
    list_views=lambda: pa.table({"a": pa.array([[1], None, []], pa.list_view(pa.int64()))}),
    array=lambda: pa.array([1.5, None]),
    batch=lambda: pa.record_batch({"a": [1, None]}),
)
_same(**{"arrow-table.parquet": lambda: pa.table({"a": [1, None], "b": ["x", "y"]})})


# polars ------------------------------------------------------------------------------------------


def _polars(**values: Callable[[], Any]) -> None:
    _same(**{f"polars_{name}": make for name, make in values.items()})


_polars(
    frame=lambda: pl.DataFrame({"n": [1, None], "t": ["x", None], "f": [1.5, float("nan")]}),
    times=lambda: pl.DataFrame(
        {
            "at": pl.Series([_MOMENT, None], dtype=pl.Datetime("ms", "Europe/Prague")),
            "d": [dt.timedelta(1), None],
            "t": [dt.time(1, 2, 3), None],
        }
    ),
    nested=lambda: pl.DataFrame({"a": [[1, 2], None], "s": [{"x": 1, "y": "z"}, None]}),
    array=lambda: pl.DataFrame({"a": pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int8, 2))}),
    series=lambda: pl.Series("s", ["x", None]),
    categories=lambda: pl.DataFrame({"a": pl.Series(["x", None, "y"], dtype=pl.Categorical)}),
    enum=lambda: pl.DataFrame({"a": pl.Series(["x", None], dtype=pl.Enum(["x", "y"]))}),
    decimals=lambda: pl.DataFrame({"a": pl.Series([Decimal("1.50")], dtype=pl.Decimal(10, 2))}),
    binary=lambda: pl.DataFrame({"a": [b"\x00", None]}),
)
_same(**{"polars-frame.parquet": lambda: pl.DataFrame({"a": [1, None], "b": ["x", "y"]})})


def _of_dtype(name: str, values: list[Any]) -> Callable[[], Any]:
    def make() -> Any:
        if not hasattr(pl, name):
            raise Absent
        return pl.DataFrame({"a": pl.Series(values, dtype=getattr(pl, name))})

    return make


_polars(
    int128=_of_dtype("Int128", [2**100, None]),
    uint128=_of_dtype("UInt128", [2**100, None]),
    float16=_of_dtype("Float16", [1.5, None]),
)


# xarray ------------------------------------------------------------------------------------------

_same(
    xarray_dataset=lambda: xr.Dataset(
        {"a": ("x", [1, 2]), "b": (("x", "y"), np.ones((2, 3)))},
        coords={"x": [10, 20], "at": ("x", np.array(_DAYS[:2], "M8[ns]"))},
        attrs={"unit": "m"},
    ),
    xarray_text=lambda: xr.DataArray([1.5, 2.5], dims="x", coords={"x": ["a", "b"]}, name="n"),
)

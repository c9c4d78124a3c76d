"""`assert_same` tells apart what other comparisons take for equal."""

import datetime as dt
import zoneinfo
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from runstore.testing import assert_same

_DAYS = pd.date_range("2024", periods=2)


def _cells(*cells: Any) -> pd.Series:
    array = np.empty(len(cells), object)
    array[:] = cells
    return pd.Series(array, dtype=object)


def _with_attrs(frame: pd.DataFrame) -> pd.DataFrame:
    frame.attrs = {"a": 1}
    return frame


def _ordered(ordered: bool) -> pd.Series:
    return pd.Series(pd.Categorical(["a"], ["a"], ordered=ordered))


_FRAME = pd.DataFrame({"a": [1]})
_CHUNKS = [pa.array(["a"]).dictionary_encode(), pa.array(["b"]).dictionary_encode()]

DIFFERENT = {
    "int and float": (1, 1.0),
    "true and one": (True, 1),
    "zeros": (0.0, -0.0),
    "inside a list": ([0.0], [-0.0]),
    "list and tuple": ([1], (1,)),
    "order of keys": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "zones of a moment": (
        dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        dt.datetime(2024, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")),
    ),
    "width": (np.arange(2, dtype="i4"), np.arange(2, dtype="i8")),
    "byte order": (np.arange(2, dtype="<i4"), np.arange(2, dtype=">i4")),
    "same size, other type": (np.arange(2, dtype="l"), np.arange(2, dtype="q")),
    "memory order": (np.ones((2, 2)), np.ones((2, 2), order="F")),
    "shape": (np.empty((0, 1)), np.empty((0, 2))),
    "payload of NaN": (np.array([0x7FF8 << 48], "u8").view("f8"), np.array([-np.nan])),
    "mask": (np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 2], mask=[1, 0])),
    "dtype metadata": (np.zeros(1), np.zeros(1, np.dtype("f8", metadata={"a": 1}))),
    "None and NaN": (_cells(None), _cells(np.nan)),
    "NaT and NA": (_cells(pd.NaT), _cells(pd.NA)),
    "int cell and float cell": (_cells(1), _cells(1.0)),
    "objects and text": (_cells("a"), pd.Series(["a"], dtype="string")),
    "NaN and NA": (
        pd.Series(pd.arrays.FloatingArray(np.array([np.nan]), np.array([False]))),
        pd.Series(pd.arrays.FloatingArray(np.array([np.nan]), np.array([True]))),
    ),
    "storage": (
        pd.Series(["a"], dtype="string[python]"),
        pd.Series(["a"], dtype="string[pyarrow]"),
    ),
    "unit": (pd.Series(_DAYS.as_unit("s")), pd.Series(_DAYS.as_unit("ms"))),
    "zone type": (
        pd.Series(_DAYS.tz_localize(dt.UTC)),
        pd.Series(_DAYS.tz_localize(zoneinfo.ZoneInfo("UTC"))),
    ),
    "zero in a column": (pd.Series([0.0]), pd.Series([-0.0])),
    "order of categories": (_ordered(False), _ordered(True)),
    "unused categories": (
        pd.Series(pd.Categorical(["a"], ["a"])),
        pd.Series(pd.Categorical(["a"], ["a", "b"])),
    ),
    "freq": (_DAYS, pd.DatetimeIndex(_DAYS, freq=None)._with_freq(None)),
    "range and numbers": (pd.RangeIndex(2), pd.Index([0, 1])),
    "stop of a range": (pd.RangeIndex(0, 5, 3), pd.RangeIndex(0, 6, 3)),
    "name": (pd.Index([1], name=1), pd.Index([1], name=True)),
    "unused levels": (
        pd.MultiIndex([["a"]], [[0]]),
        pd.MultiIndex([["a", "b"]], [[0]]),
    ),
    "labels": (_FRAME.set_axis([1], axis=1), _FRAME.set_axis([1.0], axis=1)),
    "label objects": (
        _FRAME.set_axis(pd.Index(["a"], dtype=object), axis=1),
        _FRAME.set_axis(pd.Index(["a"], dtype="string[python]"), axis=1),
    ),
    "attrs": (_FRAME, _with_attrs(_FRAME.copy())),
    "flags": (_FRAME, _FRAME.set_flags(allows_duplicate_labels=False)),
    "index without rows": (_FRAME[:0], _FRAME[:0].set_axis(pd.Index([], dtype="f8"))),
    "Arrow type": (pa.array(["a"]), pa.array(["a"], pa.large_string())),
    "Arrow null and NaN": (pa.array([None], pa.float64()), pa.array([np.nan])),
    "Arrow metadata": (
        pa.table({"a": [1]}),
        pa.table({"a": [1]}).replace_schema_metadata({"k": "v"}),
    ),
    "Arrow dictionaries": (
        pa.chunked_array(_CHUNKS),
        pa.table({"a": pa.chunked_array(_CHUNKS)}).unify_dictionaries()["a"],
    ),
    "polars dtype": (pl.Series([1], dtype=pl.Int8), pl.Series([1], dtype=pl.Int16)),
    "polars name": (pl.DataFrame({"": [1]}), pl.DataFrame({"column_0": [1]})),
    "polars null and NaN": (pl.Series([None], dtype=pl.Float64), pl.Series([np.nan])),
}


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT)
def test_tells_apart(one: Any, other: Any) -> None:
    """What differs in anything a program can see is not the same, and everything is like itself."""
    assert_same(one, one)
    assert_same(other, other)
    with pytest.raises(AssertionError):
        assert_same(one, other)
    with pytest.raises(AssertionError):
        assert_same(other, one)

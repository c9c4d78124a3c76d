"""Every kind of pandas index: alone, under rows, above columns; and every kind of name."""

import datetime as dt
import zoneinfo
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from runstore.testing import CodecTests

_PARIS = zoneinfo.ZoneInfo("Europe/Paris")


def _flat() -> dict[str, pd.Index]:
    days = pd.date_range("2024-01-31", periods=3)
    return {
        **{kind: pd.Index(np.array([3, 1, 2], kind)) for kind in ("i1", "i8", "u8", "f4", "f8")},
        "words": pd.Index(["a", "b", "a"]),
        "words and None": pd.Index(["a", None], dtype=object),
        "object words": pd.Index(["a", "b"], dtype=object),
        "python strings": pd.Index(["a", None], dtype="string[python]"),
        "arrow strings": pd.Index(["a", None], dtype="string[pyarrow]"),
        "arrow-backed": pd.Index([1, None], dtype=pd.ArrowDtype(pa.int16())),
        "bytes": pd.Index([b"a", b"b"], dtype=object),
        "bools": pd.Index([True, False]),
        "nullable": pd.Index([1, None], dtype="Int32"),
        "nullable bools": pd.Index([True, None], dtype="boolean"),
        "NaN": pd.Index([1.0, np.nan, -0.0]),
        "duplicates": pd.Index([1, 1, 1]),
        "days": pd.DatetimeIndex(["2024-01-31", None]),
        "days of freq": days,
        "days of freq, backwards": days[::-1],
        "days of freq, every other": days[::2],
        "days without freq": days._with_freq(None),
        "month ends": pd.date_range("2024", periods=3, freq="ME"),
        "weeks": pd.date_range("2024", periods=3, freq="W-WED"),
        "business days": pd.date_range("2024", periods=3, freq="B"),
        "quarters": pd.date_range("2024", periods=3, freq="QS-FEB"),
        "hours in Paris": pd.date_range("2024-03-31", periods=4, freq="h", tz=_PARIS),
        "days in Paris": pd.date_range("2024-03-30", periods=4, tz=_PARIS),
        "UTC": pd.date_range("2024", periods=2, tz=dt.UTC),
        "seconds": pd.DatetimeIndex(np.array(["0001-01-01", "9999-01-01"], "M8[s]")),
        "one day of freq": days[:1],
        "no days of freq": days[:0],
        "durations": pd.TimedeltaIndex([1, None], name="d"),
        "durations of freq": pd.timedelta_range("1h", periods=3, freq="90min"),
        "categories": pd.CategoricalIndex(["b", "a", None], ["b", "a", "unused"], ordered=True),
        "categories of days": pd.CategoricalIndex(days),
        "empty": pd.Index([], dtype="i8"),
        "empty objects": pd.Index([], dtype=object),
        "empty words": pd.Index([], dtype="str"),
        "sliced": pd.Index(["a", "b", "c"])[1:],
        "named": pd.Index([1, 2], name="n"),
        "named by a number": pd.Index([1, 2], name=7),
        "named by a truth": pd.Index([1, 2], name=False),
        "named by nothing": pd.Index([1, 2], name=""),
    }


def _ranges() -> dict[str, pd.Index]:
    return {
        "range": pd.RangeIndex(3),
        "range from, to, by": pd.RangeIndex(10, 1, -4, name="r"),
        "range that ends between": pd.RangeIndex(0, 5, 3),
        "empty range": pd.RangeIndex(5, 5, 2),
    }


def _multi() -> dict[str, pd.MultiIndex]:
    product = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["x", None])
    return {
        "multi": product,
        "multi with unused levels": product[product.get_level_values(1) == 2],
        "multi with missing": pd.MultiIndex.from_arrays([["a", None], [np.nan, 1.0]]),
        "multi of days": pd.MultiIndex.from_product(
            [pd.date_range("2024", periods=2, tz=_PARIS), pd.timedelta_range("1h", periods=2)]
        ),
        "multi named alike": pd.MultiIndex.from_arrays([[1], [2]], names=["x", "x"]),
        "multi of numbers as names": pd.MultiIndex.from_arrays([[1], [2]], names=[0, 1]),
        "multi of one": pd.MultiIndex.from_arrays([["a", "b"]]),
        "multi with repeats": pd.MultiIndex.from_tuples([(1, 2), (1, 2)]),
        "multi of nothing": product[:0],
        "multi sorted so far": pd.MultiIndex([["a"], [1, 2]], [[0, 0], [1, 0]], sortorder=1),
        "multi of 300": pd.MultiIndex.from_product([range(300), ["a"]]),
    }


def _everyday() -> dict[str, pd.Index]:
    """What is of Python's types, or of types that are pandas' alone."""
    paris = dt.timezone(dt.timedelta(hours=1))
    return {
        "mixed": pd.Index([1, "a", None], dtype=object),
        "tuples": pd.Index([(1, 2), (3, 4)], tupleize_cols=False),
        "object numbers": pd.Index([1, 2], dtype=object),
        "moments as objects": pd.Index([pd.Timestamp("2024-01-01")], dtype=object),
        "periods": pd.period_range("2024-01", periods=3, freq="M"),
        "periods and missing": pd.PeriodIndex(["2024-01", None], freq="D"),
        "no periods": pd.period_range("2024-01", periods=0, freq="2h"),
        "intervals": pd.interval_range(0, 2, closed="left", name="i"),
        "complex": pd.Index([1j, 2.0]),
        "fixed offset": pd.date_range("2024", periods=2, tz=paris),
        "named by a tuple": pd.Index([1], name=("a", 1)),
        "named by a moment": pd.Index([1], name=pd.Timestamp("2024-01-01")),
        "bins": pd.CategoricalIndex(pd.cut([1, 2, 3], 2)),
    }


def _everyday_multi() -> dict[str, pd.MultiIndex]:
    return {
        "multi of categories": pd.MultiIndex.from_product([pd.CategoricalIndex(["u", "v"]), [1]]),
        "multi with mixed": pd.MultiIndex.from_arrays([[1, "a"], [1, 2]]),
        "multi of periods": pd.MultiIndex.from_product([pd.period_range("2024", periods=2)]),
        "multi of intervals": pd.MultiIndex.from_arrays([pd.interval_range(0, 2), [1, 2]]),
        "multi named by a tuple": pd.MultiIndex.from_arrays([[1], [2]], names=[("a", 1), None]),
    }


def _whole() -> dict[str, pd.Index]:
    """What makes runstore pickle the whole value."""
    day = pd.offsets.CustomBusinessDay(holidays=["2024-01-02"])
    return {
        "surrogates": pd.Index(["\ud83d\ude00", "\ud800"], dtype=object),
        "custom calendar": pd.date_range("2024", periods=3, freq=day),
        "offset without a name": pd.date_range(
            "2024", periods=3, freq=pd.DateOffset(months=1, days=2)
        ),
        "named by NaN": pd.Index([1], name=float("nan")),
        "named by a surrogate": pd.Index([1], name="\ud800"),
    }


def _under_rows(index: pd.Index) -> pd.DataFrame:
    return pd.DataFrame({"a": np.arange(len(index)), "b": 1.5}, index=index)


def _above_columns(index: pd.Index) -> pd.DataFrame:
    return pd.DataFrame(np.arange(2.0 * len(index)).reshape(2, -1), columns=index)


class _IndexTests(CodecTests):
    codec = "pandas"


class TestIndex(_IndexTests):
    @classmethod
    def values(cls) -> dict[str, Any]:
        return _flat() | _ranges() | _multi() | _everyday() | _everyday_multi()

    @classmethod
    def inexact(cls) -> dict[str, Any]:
        return _whole()


class TestRows(_IndexTests):
    @classmethod
    def values(cls) -> dict[str, Any]:
        return {
            name: _under_rows(index)
            for name, index in (
                _flat() | _ranges() | _multi() | _everyday() | _everyday_multi()
            ).items()
        }

    @classmethod
    def inexact(cls) -> dict[str, Any]:
        return {name: _under_rows(index) for name, index in _whole().items()}


class TestLabels(_IndexTests):
    # None of these is usual above columns.
    declined = ("arrow-backed", "nothing")

    @classmethod
    def values(cls) -> dict[str, Any]:
        indexes = _flat() | _ranges() | _multi() | _everyday() | _everyday_multi()
        return {name: _above_columns(i) for name, i in indexes.items() if name not in cls.declined}

    @classmethod
    def inexact(cls) -> dict[str, Any]:
        return {name: _above_columns(i) for name, i in _whole().items()}


class TestWhole(CodecTests):
    """What the pandas codec leaves to pickle is kept by pickle."""

    codec = "pickle"

    @classmethod
    def values(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def pickled(cls) -> dict[str, Any]:
        whole = _whole()
        named = {"named by NaN": whole.pop("named by NaN")}
        others = whole
        return {
            **{f"{name}, alone": index for name, index in (others | named).items()},
            **{f"{name}, rows": _under_rows(index) for name, index in others.items()},
            **{f"{name}, labels": _above_columns(index) for name, index in others.items()},
        }

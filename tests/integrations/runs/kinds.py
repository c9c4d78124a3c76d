"""Twelve kinds of value that pass between orchestrators, and whether one has come back."""

import datetime
import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

__all__ = ["KINDS", "Point", "check"]


class Point:
    """A class of the user's own, which can only be pickled."""

    def __init__(self, x, y):
        self.at = (x, y)

    def __eq__(self, other):
        return type(other) is Point and self.at == other.at

    def __hash__(self):
        return hash(self.at)


def _frame():
    return pd.DataFrame(
        {
            "n": pd.array([1, None, 3], dtype="Int64"),
            "at": pd.date_range("2026-01-01", periods=3, freq="D", tz="Europe/Berlin"),
            "kind": pd.Categorical(["a", "b", "a"], categories=["b", "a"], ordered=True),
            "text": ["ä", None, ""],
        },
        index=pd.Index([2, 1, 0], name="key"),
    )


def _array():
    return np.asfortranarray(np.arange(12, dtype=">f4").reshape(3, 4))


KINDS = {
    "pandas frame": _frame(),
    "pandas series": pd.Series([1.5, np.nan, -0.0], name="s", dtype="float32"),
    "polars frame": pl.DataFrame({"x": [1, None], "y": [["a"], []], "z": [b"\x00", None]}),
    "arrow table": pa.table({"d": pa.array(["a", "b", "a"]).dictionary_encode(), "n": [1, 2, 3]}),
    "array": _array(),
    "structured array": np.array([(1, b"x"), (2, b"yz")], dtype=[("n", "<i8"), ("b", "S2")]),
    "json": {"a": [1, None, 2.5, True], "deep": {"ü": ["x" * 5000]}, "big": 2**80},
    "python": [
        {1, 2},
        (1, (2, [3])),
        {1: "one", (2, 3): None},
        frozenset({"a"}),
        1 + 2j,
        range(5000),
    ],
    "text": "line\n" * 2000 + "\U0001f600",
    "bytes": bytes(range(256)) * 40,
    "times": [
        datetime.datetime(2026, 11, 28, 12, tzinfo=datetime.UTC),
        datetime.timedelta(days=1, microseconds=1),
        decimal.Decimal("1.10"),
    ],
    "own class": [Point(1, 2), Point("a", None)],
}


def check(kind, value):
    """Raise unless *value* is exactly that of *kind*."""
    wanted = KINDS[kind]
    assert type(wanted) is type(value), (kind, type(value))
    if isinstance(wanted, pd.DataFrame):
        pd.testing.assert_frame_equal(wanted, value, check_exact=True, check_freq=True)
    elif isinstance(wanted, pd.Series):
        pd.testing.assert_series_equal(wanted, value, check_exact=True)
        assert list(np.signbit(wanted)) == list(np.signbit(value))
    elif isinstance(wanted, pl.DataFrame):
        assert wanted.schema == value.schema
        assert wanted.equals(value, null_equal=True)
    elif isinstance(wanted, np.ndarray):
        assert (wanted.dtype, wanted.shape, wanted.strides) == (
            *(value.dtype, value.shape),
            value.strides,
        )
        assert wanted.tobytes() == value.tobytes()
    elif isinstance(wanted, pa.Table):
        assert wanted.schema.equals(value.schema, check_metadata=True)
        assert wanted.equals(value)
    else:
        assert wanted == value, kind
        assert repr(wanted) == repr(value) or kind == "own class", kind

"""Lists, tuples and dicts of arrays and frames, and Python's small values."""

import pickle
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from pathlib import Path
from statistics import NormalDist
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore import ObjectStore
from runstore.codecs import Pickling, encode
from runstore.errors import UnsafePickleError, UnsupportedValueError
from runstore.testing import CodecTests, assert_same

_PARIS = ZoneInfo("Europe/Paris")
_PATTERN = NormalDist()  # a value that nothing but pickle keeps


class TestNested(CodecTests):
    codec = "nested"
    zero_copy = True

    @classmethod
    def values(cls) -> dict[str, Any]:
        return {
            "mixed": {"x": np.arange(5), "n": 1, "t": (1.5, [None, "é"])},
            "tuple": (1, (2, ()), [(3,)]),
            "empty tuple": (),
            "list of arrays": [np.arange(3), np.asfortranarray(np.ones((2, 3))), np.array(7)],
            "frames": {
                "pandas": pd.DataFrame(
                    {"a": [1.5, None], "b": ["x", None], "c": pd.Categorical(["u", "v"])},
                    index=pd.date_range("2024", periods=2, freq="D", tz=ZoneInfo("Europe/Paris")),
                ),
                "series": pd.Series([1, 2], name="s"),
                "polars": pl.DataFrame({"a": [1, None], "b": [["x"], None]}),
                "table": pa.table({"a": [1, 2]}, metadata={"k": "v"}),
                "chunks": pa.table({"a": pa.chunked_array([[1], [2, 3]])}),
                "no rows": pa.table({"a": pa.array([], pa.int8())}),
            },
            "same names": {"a": {"b": np.arange(2)}, "a.b": np.arange(3), "tree": np.arange(4)},
            "keys": {1: "a", (2, 3): "b", None: "c", 1.5: "d", date(2024, 1, 2): np.arange(2)},
            "looks like a tag": [{"$tuple": [1]}, {"$": 1}, {"$a": 1, "$b": 2}, {"$leaf": 0}],
            "ordered": OrderedDict(b=np.arange(2), a=1),
            "bytes": [b"", b"\xff\x00", bytearray(b"x"), b"x" * 10_000, bytearray(5000)],
            "times": [
                date(1, 1, 1),
                datetime(2024, 10, 27, 2, 30, 15, 999_999, _PARIS, fold=1),
                datetime(2024, 1, 1),
                datetime(2024, 1, 1, tzinfo=UTC),
                datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=-3, microseconds=1))),
                datetime(2024, 1, 1, tzinfo=timezone(timedelta(0), "Z")),
                time(1, 2, 3, 4, tzinfo=UTC, fold=1),
                timedelta(-1, 5, 7),
            ],
            "numbers": [
                *(Decimal(text) for text in ("1.50", "-0", "NaN12", "-Infinity", "1E+400")),
                *(complex(-0.0, 1.5), complex(float("inf"), float("nan"))),
            ],
            "uuid": UUID("12345678-1234-5678-1234-567812345678"),
            "numpy scalars": [
                *(np.float64(1.5), np.int8(-1), np.float32("nan"), np.bool_(True)),
                *(np.complex64(1j), np.datetime64("2024-01-01", "D"), np.timedelta64("NaT", "ns")),
                *(np.str_("aé"), np.bytes_(b"ab"), np.longlong(3), np.float16(-0.0)),
                np.array([(1, 2.5)], [("a", "i4"), ("b", "f8")])[0],
            ],
            "arrow scalars": [pa.scalar(1.5), pa.scalar(None, pa.int8()), pa.schema({"a": "int8"})],
            "deep": _nested(60),
        }

    @classmethod
    def inexact(cls) -> dict[str, Any]:
        loop: list[Any] = [np.arange(2)]
        loop.append(loop)
        return {
            "pattern": (_PATTERN,),
            "pattern in a set": {_PATTERN},
            "objects": {"a": np.array([_PATTERN], object)},
            "frame of objects": {"a": pd.DataFrame({"a": [1, _PATTERN]})},
            "path": {"path": Path("x")},
            "surrogate": ("\ud800",),
            "own time zone": datetime(2024, 1, 1, tzinfo=_Zone()),
            "too deep": (_nested(200),),
            "in itself": loop,
            "an array as part of a key": {(1, _PATTERN): 1},
            "np.str_ with a NUL at its end": np.str_("a\0"),
        }

    @classmethod
    def unreadable(cls) -> dict[str, set[str]]:
        return {"pandas": {"frames"}}  # polars writes string views

    @classmethod
    def large(cls) -> Any:
        return {"a": np.zeros(1 << 20), "b": [pd.DataFrame({"x": np.zeros(1 << 20)})]}

    def change(self, value: Any) -> bool:
        if type(value) is not dict or "x" not in value:
            return False
        value["x"] += 1
        return True


class _Zone(tzinfo):
    """A time zone of one's own."""


def _nested(depth: int) -> Any:
    value: Any = ()
    for _ in range(depth):
        value = (value,)
    return value


_SMALL = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(),
    st.decimals(allow_nan=False),
    st.datetimes(timezones=st.sampled_from([None, UTC, _PARIS])),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.uuids(),
    st.complex_numbers(allow_nan=False),
    st.integers(-5, 5).map(np.int16),
    st.lists(st.floats()).map(np.array),
)
_KEYS = st.one_of(st.text("$ab"), st.integers(), st.tuples(st.integers()), st.dates())
_TREES = st.recursive(
    _SMALL,
    lambda inner: st.one_of(
        st.lists(inner), st.lists(inner).map(tuple), st.dictionaries(_KEYS, inner)
    ),
    max_leaves=12,
)


@pytest.mark.extended
@given(value=_TREES)
def test_any_tree_comes_back(value: Any) -> None:
    """Whatever is built of these parts comes back the same, without pickle."""
    store = ObjectStore("memory://trees", pickle="deny").at(namespace="tests", run="trees")
    store.put("x", value)
    assert_same(value, store.get("x"))


def test_what_occurs_twice_is_stored_once(store: Any) -> None:
    """An array that stands in two places is one array again, written once."""
    view = store.at(namespace="dev", run="r1")
    array = np.arange(10_000)
    info = view.put("x", {"a": array, "b": [array]})
    assert info.size < 1.5 * array.nbytes
    value = view.get("x")
    assert value["a"] is value["b"][0]


def test_one_part_that_needs_pickle(store: Any) -> None:
    """A part without an exact codec makes the whole value a visible pickle, still mapped."""
    view = store.at(namespace="dev", run="r1")
    value = {"a": np.arange(100_000), "b": _PATTERN}
    info = view.put("x", value)
    assert ("pickle", True) == (info.codec, info.pickled)
    assert_same(value, view.get("x"))


def test_parts_are_columns_to_others(tmp_path: Path) -> None:
    """Another reader finds the parts under their names."""
    ObjectStore(tmp_path).at(namespace="dev", run="r1").put(
        "x", {"w": {"bias": np.arange(3)}, "t": pa.table({"a": ["u", "v"]})}
    )
    frame = pl.read_ipc(next(tmp_path.rglob("x.arrow")))
    assert ["tree", "w.bias", "t"] == frame.columns
    assert [{"a": "u"}, {"a": "v"}] == frame["t"].to_list()[0]


def test_unknown_zone_at_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time zone that is not known where the value is loaded is named, with the way out."""
    store = ObjectStore("memory://zones").at(namespace="tests", run="zones")
    store.put("x", datetime(2024, 1, 1, tzinfo=_PARIS))

    def unknown(key: str) -> Any:
        from zoneinfo import ZoneInfoNotFoundError

        raise ZoneInfoNotFoundError(key)

    monkeypatch.setattr("runstore.codecs._zones.ZoneInfo", unknown)
    with pytest.raises(UnsupportedValueError, match=r"Europe/Paris.*tzdata"):
        store.get("x")


@pytest.mark.parametrize("value", [Path("x"), pl.LazyFrame({"a": [1]}), [pl.LazyFrame()]])
def test_what_is_no_value_is_refused(value: Any) -> None:
    """Paths and queries are refused with a word on what to store instead."""
    with pytest.raises(UnsupportedValueError, match=r"read_bytes\(\)|\.collect\(\)"):
        encode(value, Pickling("allow", "x"))


class _Stream:
    """A table that is neither of a known type nor can be pickled."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return pa.table({"a": [1]}).__arrow_c_stream__(requested_schema)

    def __reduce__(self) -> Any:
        raise pickle.PicklingError("no")


def test_foreign_tables_are_not_turned_into_others() -> None:
    """A table of an unknown type is never stored as another; the error says how to make one."""
    with pytest.raises(UnsupportedValueError, match=r"pyarrow\.table\(value\)"):
        encode(_Stream(), Pickling("allow", "x"))
    with pytest.raises(UnsafePickleError):
        encode(_Stream(), Pickling("deny", "x"))

"""Large containers of items of one type are Arrow columns, and come back exactly."""

import operator
import pickle
import sys
from collections import OrderedDict, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import IntEnum
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runstore import ObjectStore
from runstore.codecs import Pickling, encode
from runstore.errors import UnsupportedValueError
from runstore.testing import CodecTests, assert_same

_RECORD = np.dtype([("a", "i4"), ("b", "c8")])
_PARIS = ZoneInfo("Europe/Paris")
_Pair = namedtuple("_Pair", "a b")
_MANY = 1024
_NOON = datetime(2024, 10, 27, 0, 30)


class _Color(IntEnum):
    RED = 1


def _times(zone: Any, fold: int = 0) -> list[datetime]:
    return [
        (_NOON + timedelta(minutes=i)).replace(tzinfo=zone, fold=fold * (i % 3 == 0))
        for i in range(_MANY)
    ]


def _arrays(make: Any, count: int = 300) -> list[Any]:
    return [make(i) for i in range(count)]


class TestPacked(CodecTests):
    codec = "packed"

    @classmethod
    def values(cls) -> dict[str, Any]:
        some = range(_MANY)
        return {
            "ints": list(some),
            "dict of ints": {i: -i for i in some},
            "ints of all widths": [*some, *(2**31 + i for i in some), *(-(2**40) - i for i in some)]
            * 9,
            "dict of floats": {float(i): i for i in range(9000)},
            "dict of wide ints": {2**40 + i: i for i in some},
            "few large ints": [2**40 * (i % 50 == 0) + i % 200 for i in some],
            "few negative ints": tuple(-(2**20) * (i % 50 == 0) - i % 100 for i in some),
            "few very large ints": [(-(3**400)) ** (i % 99 == 0) * (i % 300 - 50) for i in some],
            "few large keys": {
                2**40 * (i % 99 == 0) + i: i % 5 == 0 for i in range(60_000, 62_000)
            },
            "few large values": {f"k{i}": 2**63 * (i % 99 == 0) + i % 9 for i in some},
            "large and small in both": {
                2**32 * (i % 50 == 0) + i % 250 * 200 + i // 250: 2**40 ** (i % 50 == 1)
                for i in some
            },
            "wide ints": [(-1) ** i * 2 ** (i % 63) for i in some],
            "unsigned": [2**64 - 1 - i for i in some],
            "large ints": tuple((-7) ** (i % 400) for i in some),
            "int32": [2**31 + i for i in some],
            "floats": [float("nan"), -0.0, float("inf"), 5e-324, *map(float, some)],
            "truths": [i % 3 == 0 for i in some],
            "none": [None] * _MANY,
            "with None": [None if i % 3 == 0 else i / 3 for i in some],
            "text": [f"é{i}\0" for i in some],
            "repeated text": ["", "a", "é🦆"] * _MANY,
            "text with None": [None, "a", "b"] * _MANY,
            "bytes": {bytes([i % 256] * (i % 5)) + b"\xff%d" % i for i in some},
            "repeated bytes": [b"", b"a"] * _MANY,
            "complex": [complex(-0.0, i) for i in some],
            "decimals": [Decimal(i) / 7 for i in some] + [Decimal("-0"), Decimal("NaN12")],
            "dates": [date.min, date.max, *(date.fromordinal(700_000 + i) for i in some)],
            "times": [time(i % 24, i % 60, i % 59, i) for i in some],
            "spans": frozenset(timedelta(i - 500, i, i) for i in some),
            "datetimes": [datetime.min, datetime.max, *_times(None)],
            "in UTC": _times(UTC),
            "in Paris": _times(_PARIS, fold=1),
            "at offsets": [
                datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=-3), "x")) + timedelta(i)
                for i in some
            ],
            "parsed": [datetime.fromisoformat("2024-01-01T00:00:00+01:00") for _ in some],
            "one object": [_NOON] * _MANY,
            "numpy": [np.float64(i / 3) for i in some],
            "numpy bool": [np.bool_(i % 2) for i in some],
            "numpy twins": [np.longlong(i) for i in some],
            "numpy complex": [np.complex64(1j * i) for i in some],
            "numpy times": [np.datetime64(i, "D") for i in some],
            "tuples": [(i, i / 3, f"t{i}", None, (i, b"x")) for i in some],
            "ragged tuples": {(0,) * (i % 9) + (i,): i for i in some},
            "empty tuples": [()] * _MANY,
            "lists": [list(range(i % 5)) for i in some],
            "lists of lists": [[[i, None], []] for i in some],
            "records": [{"a": i, "$b": None if i % 2 else f"{i}"} for i in some],
            "dict of records": {date.fromordinal(i + 1): {"x": [i], "y": (i, 0.5)} for i in some},
            "arrays": _arrays(lambda i: np.arange(10.0) + i),
            "arrays of lengths": {f"a{i}": np.arange(i % 7, dtype="u2") for i in range(300)},
            "arrays without dimension": _arrays(lambda i: np.array(i)),
            "matrices": _arrays(lambda i: np.full((2, 3), i, "f4")),
            "matrices of shapes": _arrays(lambda i: np.full((i % 3, 2), i, ">i4")),
            "arrays of text": _arrays(lambda i: np.array(["é", str(i)], "U4")),
            "arrays of times": _arrays(lambda i: np.array([i], "M8[D]")),
            "truth arrays": _arrays(lambda i: np.array([True, False])),
            "structured": _arrays(lambda i: np.array([(i, 1j)], _RECORD)),
            "no items": _arrays(lambda i: np.zeros((3, 0))),
            "arrays in tuples": [(i, np.arange(3) + i) for i in range(300)],
            "arrays or None": [None if i % 2 else np.arange(3) + i for i in range(600)],
        }

    @classmethod
    def inexact(cls) -> dict[str, Any]:
        shared = np.arange(3)
        loop: list[Any] = [[i] for i in range(_MANY)]
        loop[0][0] = loop
        return {
            "short": list(range(1000)),
            "short with tuples": [(1, 2)] * 255,
            "several types": [*range(_MANY), 1.5],
            "True among ints": [*range(_MANY), True],
            "True among many ints": [*range(9000), True, *range(9000)],
            "a subclass among floats": [*map(float, range(9000)), np.float64(1.5), 1.0],
            "True among values": {**dict.fromkeys(range(_MANY), 1), "a": True},
            "True among keys": {**dict.fromkeys(range(2, _MANY), 1.5), True: 2.5},
            "members of an enum": [_Color.RED] * _MANY,
            "named tuples": [_Pair(1, 2)] * _MANY,
            "several zones": [*_times(UTC), *_times(_PARIS)],
            "zones by name": _times(timezone(timedelta(0), "a")) + _times(timezone(timedelta(0))),
            "surrogates": ["\ud800"] * _MANY,
            "longest span": [timedelta.max] * _MANY,
            "dtypes": [np.float64(1.5), np.float32(1.5)] * _MANY,
            "twins": [np.longlong(1), np.int64(1)] * _MANY,
            "an array twice": [shared] * 300,
            "arrays of dtypes": [np.arange(2), np.arange(2.0)] * 300,
            "twins as arrays": [*_arrays(lambda i: np.array([i], "q")), np.array([1], "l")],
            "in Fortran's order": _arrays(lambda i: np.asfortranarray(np.ones((2, 3)))),
            "large arrays": _arrays(lambda i: np.zeros(1 << 13)),
            "subclasses": _arrays(lambda i: np.array([i]).view(np.matrix)),
            "objects": _arrays(lambda i: np.array([{}])),
            "one list many times": [[1]] * _MANY,
            "in itself": loop,
            "keys by type": [{1: "a"}] * 300 + [{True: "a"}] * 300,
            "other keys": [{"a": 1}] * _MANY + [{"b": 1}],
            "other order": [{"a": 1, "b": 2} for _ in range(_MANY)] + [{"b": 1, "a": 2}],
        }

    @classmethod
    def unreadable(cls) -> dict[str, set[str]]:
        return {"polars": {"repeated bytes", "one object", "parsed"}}  # dictionaries of text only

    def assert_same(self, expected: Any, actual: Any) -> None:
        """Sets have no order; their items are compared sorted, as are their types."""
        if isinstance(expected, (set, frozenset)):
            assert type(expected) is type(actual)
            expected, actual = sorted(expected), sorted(actual)
        assert_same(expected, actual)

    def change(self, value: Any) -> bool:
        if type(value) is not list or type(value[0]) is not np.ndarray or not value[0].size:
            return False
        value[0][...] = 0
        return True


@pytest.fixture
def view() -> Any:
    """Give a view on memory."""
    return ObjectStore("memory://packed", pickle="deny").at(namespace="tests", run="packed")


def test_inside_other_values(view: Any) -> None:
    """Large containers in a value are columns of it, sets included; the others stay a tree."""
    value = {
        "ids": list(range(5000)),
        "names": {f"n{i}" for i in range(5000)},
        "by id": {i: np.arange(3) + i for i in range(300)},
        "more": [1, "a", (2, {"x": [0.5] * 2000})],
        "model": np.zeros(10),
    }
    info = view.put("x", value)
    assert "nested" == info.codec
    assert info.size < 45 * 5000
    back = view.get("x")
    assert value["names"] == back.pop("names")
    value.pop("names")
    assert_same(value, back)


def test_json_with_large_lists_is_columns(view: Any) -> None:
    """Lists and dicts of text as keys are JSON where they are small or mixed, else columns."""
    assert "json" == view.put("x", {"a": [1, 2]}).codec
    assert "json" == view.put("x", {"a": [1, 2.5] * _MANY}).codec
    assert "nested" == view.put("x", {"a": [1, 2] * _MANY}).codec
    assert "nested" == view.put("x", {"a": [{"b": 1, "c": "d"} for _ in range(_MANY)]}).codec
    assert_same({"a": [{"b": 1, "c": "d"} for _ in range(_MANY)]}, view.get("x"))


def test_an_array_in_two_places_is_one_again(view: Any) -> None:
    """An array that stands twice is one array again, wherever the two places are."""
    for value in (
        lambda a, arrays: [*arrays, a],
        lambda a, arrays: {"all": arrays, "first": a},
        lambda a, arrays: [a, arrays],
        lambda a, arrays: [(x, x) for x in arrays],
        lambda a, arrays: [arrays, {f"a{i}": x for i, x in enumerate(arrays)}],
    ):
        arrays = [np.arange(3) + i for i in range(300)]
        put = value(arrays[0], arrays)
        view.put("x", put)
        back = view.get("x")
        assert_same(put, back)
        assert _sharing(put) == _sharing(back)


def _sharing(value: Any) -> list[int]:
    """Return for each array which one it is, in the order of their first places."""
    found: list[Any] = []

    def walk(part: Any) -> None:
        if isinstance(part, np.ndarray):
            found.append(part)
        elif isinstance(part, (list, tuple)):
            for item in part:
                walk(item)
        elif isinstance(part, dict):
            walk(list(part.values()))

    walk(value)
    order: dict[int, int] = {}
    return [order.setdefault(id(array), len(order)) for array in found]


def test_a_list_in_two_places_becomes_two(view: Any) -> None:
    """A large list that stands twice comes back as two, as small ones do."""
    numbers = list(range(5000))
    view.put("x", {"a": numbers, "b": [numbers]})
    back = view.get("x")
    assert_same({"a": numbers, "b": [numbers]}, back)
    assert back["a"] is not back["b"][0]


def test_what_would_fill_memory_is_left_to_pickle() -> None:
    """A large list in very many places is not written for each of them."""
    many = [[list(range(100_000)), "x"]] * 2000
    codec, _ = encode(many, Pickling("allow", "x"))
    assert "pickle" == codec.name


def test_numbers_before_a_value_that_holds_itself_many_times() -> None:
    """What stands among numbers is not written once for each place that it has in itself."""
    deep: Any = []
    for _ in range(60):
        deep = [deep, deep]
    for value in (
        [*range(300), deep],
        [*range(9000), deep],
        {**dict.fromkeys(range(300), 1), 0: deep},
    ):
        codec, _ = encode(value, Pickling("allow", "x"))
        assert "pickle" == codec.name


def test_others_read_the_items(tmp_path: Any) -> None:
    """Another reader finds the items, or keys and values, as columns of their types."""
    there = ObjectStore(tmp_path).at(namespace="dev", run="r1")
    there.put("list", [(i, f"t{i}") for i in range(_MANY)])
    there.put("dict", {date(2024, 1, 1) + timedelta(i): [i] for i in range(_MANY)})
    frame = pl.read_ipc(next(tmp_path.rglob("list.arrow")))
    assert [{"0": 0, "1": "t0"}, {"0": 1, "1": "t1"}] == frame["item"].head(2).to_list()
    frame = pl.read_ipc(next(tmp_path.rglob("dict.arrow")))
    assert [(date(2024, 1, 1), [0]), (date(2024, 1, 2), [1])] == frame.head(2).rows()


def test_unknown_zone_at_load(view: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A time zone that is not known where the value is loaded is named, with the way out."""
    from zoneinfo import ZoneInfoNotFoundError

    def unknown(key: str) -> Any:
        raise ZoneInfoNotFoundError(key)

    view.put("x", _times(_PARIS))
    monkeypatch.setattr("runstore.codecs._zones.ZoneInfo", unknown)
    with pytest.raises(UnsupportedValueError, match=r"Europe/Paris.*tzdata"):
        view.get("x")


@pytest.mark.extended
@pytest.mark.parametrize(
    "make",
    [
        lambda n: {i: i / 3 for i in range(n)},
        lambda n: [(i, f"t{i}", None) for i in range(n)],
        lambda n: {_NOON + timedelta(i) for i in range(n)},
        lambda n: [{"a": b"x%d" % i, "b": [i, i]} for i in range(n)],
        lambda n: {f"a{i}": np.arange(i % 5) for i in range(n)},
        lambda n: {"a": [i % 7 == 0 for i in range(n)], "b": [Decimal(i) for i in range(n)]},
    ],
)
def test_python_takes_no_step_per_item(view: Any, make: Any) -> None:
    """Neither put nor get calls a function of Python's, or of C's, once for each item."""
    calls = []
    for count in (20_000, 40_000):
        value = make(count)
        for name in ("warm", "x"):
            view.put(name, value)
            view.get(name)
        calls.append((_calls(lambda: view.put("x", value)), _calls(lambda: view.get("x"))))  # noqa: B023
    for few, many in zip(*calls, strict=True):
        assert many < few + 1000


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


_ITEMS: list[st.SearchStrategy[Any]] = [
    st.integers(),
    st.integers(-300, 300),
    st.floats(),
    st.booleans(),
    st.text(st.characters(codec="utf-8"), max_size=5),
    st.binary(max_size=5),
    st.decimals(allow_nan=False),
    st.complex_numbers(),
    st.datetimes(timezones=st.sampled_from([None, UTC, _PARIS])),
    st.datetimes(timezones=st.just(_PARIS)),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.integers(-5, 5).map(np.int16),
    st.floats(width=32).map(np.float32),
    st.tuples(st.integers(), st.text("ab", max_size=2)),
    st.lists(st.integers(0, 5), max_size=3).map(tuple),
]
_UNHASHABLE: list[st.SearchStrategy[Any]] = [
    st.lists(st.integers(0, 5) | st.none(), max_size=3),
    st.fixed_dictionaries({"a": st.integers(), "b": st.none() | st.text("ab")}),
    st.dictionaries(st.text("ab", max_size=1), st.integers(), max_size=2),
    st.lists(st.floats(), max_size=3).map(np.array),
]


@st.composite
def _containers(draw: Any) -> Any:
    """Give a large container of items of one kind, or of one kind and some of another."""
    kind = draw(st.sampled_from(["list", "tuple", "set", "frozenset", "dict"]))
    hashable = kind in ("set", "frozenset")
    items = st.sampled_from(_ITEMS if hashable else _ITEMS + _UNHASHABLE)
    some = draw(st.lists(draw(items), min_size=1, max_size=20))
    if draw(st.booleans()):
        some += draw(st.lists(draw(items) | st.none(), max_size=2))
    many = [some[i % len(some)] for i in range(_MANY)]
    if kind == "dict":
        keys = draw(st.lists(draw(st.sampled_from(_ITEMS)), min_size=1, max_size=20))
        # Made different by their number, where that can be; of an object that repeats one stays.
        distinct = [(i, key) for i, key in zip(range(_MANY), keys * _MANY, strict=False)]
        return dict(zip(draw(st.sampled_from([range(_MANY), distinct, keys])), many, strict=False))
    made: Any = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[kind]
    return made(many if not hashable else [(i, item) for i, item in enumerate(many)])


@pytest.mark.extended
@settings(max_examples=150)
@given(value=_containers(), wrapped=st.booleans())
def test_any_container_comes_back(value: Any, wrapped: bool) -> None:
    """Items of one type or of several come back equal, of the same types and in the same order."""
    store = ObjectStore("memory://containers").at(namespace="tests", run="packed")
    store.put("x", [value, 1] if wrapped else value)
    back = store.get("x")[0] if wrapped else store.get("x")
    if isinstance(value, (set, frozenset)):
        assert type(value) is type(back)
        by = operator.itemgetter(0)
        value, back = sorted(value, key=by), sorted(back, key=by)
    assert_same(value, back)


def test_ordered_dicts_are_gone_through(view: Any) -> None:
    """An OrderedDict is no dict, however large it is."""
    value = OrderedDict((i, i) for i in range(_MANY))
    view.put("x", value)
    assert_same(value, view.get("x"))


@pytest.mark.parametrize("change", ["numbers", "flags", "rows"])
def test_forged_parts_of_split_integers_are_refused(change: str) -> None:
    """Small and large integers that do not fit each other are damage."""
    from runstore.codecs._trial import _Written
    from runstore.errors import CorruptObjectError

    codec, encoded = encode(
        [i % 9 + 2**40 * (i % 50 == 0) for i in range(_MANY)], Pickling("deny", "x")
    )
    (batch,) = encoded.batches
    assert ["item.small", "item.is_large", "item.large"] == batch.schema.names
    columns = batch.columns
    if change == "numbers":
        columns[2] = pa.array([[1]], columns[2].type)
    elif change == "flags":
        columns[1] = pa.array([[True] * 3], columns[1].type)
    else:
        columns = [pa.concat_arrays([column, column]) for column in columns]
    encoded.batches = [pa.RecordBatch.from_arrays(columns, schema=batch.schema)]
    with pytest.raises(CorruptObjectError, match="damaged"):
        codec.decode(_Written(encoded), encoded.spec, Pickling("deny", "x"))


@pytest.mark.parametrize("change", ["type", "length", "kind", "dictionary"])
def test_forged_descriptions_are_refused(change: str) -> None:
    """A column that is not what its description says is damage, not a crash."""
    from runstore.codecs import codec_named
    from runstore.errors import CorruptObjectError
    from runstore.testing.codecs import CodecTests as Tests

    assert Tests
    codec, encoded = encode([(i, "a") for i in range(_MANY)], Pickling("deny", "x"))
    assert "packed" == codec.name == codec_named("packed").name
    spec = pickle.loads(pickle.dumps(encoded.spec))
    column = spec["columns"][0]
    if change == "type":
        column["of"][0] = {"k": "str"}
    elif change == "length":
        column["of"].pop()
    elif change == "kind":
        column["of"][0] = {"k": "object"}
    else:
        column["of"][1] = {"k": "datetime", "zone": None}
    from runstore.codecs._trial import _Written

    with pytest.raises(CorruptObjectError):
        codec.decode(_Written(encoded), spec, Pickling("deny", "x"))
    assert pa.types.is_struct(encoded.schema.field(0).type)


def test_cells_of_a_frame_are_packed(tmp_path: Any) -> None:
    """Many tuples, lists or dicts in a column are columns of their parts, whatever is missing."""
    view = ObjectStore(tmp_path, pickle="deny").at(namespace="dev", run="r1")
    tuples: list[Any] = [(i, f"t{i}", None) for i in range(_MANY)]
    frame = pd.DataFrame({"n": range(_MANY)})
    for name, cells in {
        "tuples": tuples,
        "missing": [None, np.nan, *tuples[2:]],
        "lists": [[(i, "a")] * (i % 3) for i in range(_MANY)],
        "dicts": [{"a": i, "b": [1.5, None]} for i in range(_MANY)],
    }.items():
        column = np.empty(_MANY, object)
        for at, cell in enumerate(cells):
            column[at] = cell
        frame[name] = pd.Series(column, dtype=object)
    info = view.put("x", frame)
    assert not info.pickled
    assert info.size < 1.2 * len(pickle.dumps(frame, 5)) + 8192
    assert_same(frame, view.get("x"))
    assert_same(frame[["dicts"]], view.get("x", columns=["dicts"]))
    with pytest.raises(UnsupportedValueError):
        view.get("x", as_type=pa.Table)


@pytest.mark.parametrize("side", [1 << 50, 1 << 32])
def test_arrays_without_items_are_no_large_lists(side: int) -> None:
    """One with a long side is a leaf of its own; a forged one would fill memory, and is damage."""
    from runstore.codecs._trial import _Written
    from runstore.errors import CorruptObjectError

    value = [np.zeros((i % 3, 0)) for i in range(300)]
    codec, encoded = encode(value, Pickling("deny", "x"))
    assert "packed" == codec.name
    assert_same(value, codec.decode(_Written(encoded), encoded.spec, Pickling("deny", "x")))
    sides, items = encoded.batches[0].column(0).flatten()
    forged = sides.values.to_numpy().copy()
    forged[:2] = side, 0 if side == 1 << 50 else side
    column = pa.StructArray.from_arrays(
        [pa.FixedSizeListArray.from_arrays(pa.array(forged), 2), items], ["shape", "items"]
    )
    encoded.batches = [pa.record_batch([column], schema=encoded.schema)]
    with pytest.raises(CorruptObjectError):
        codec.decode(_Written(encoded), encoded.spec, Pickling("deny", "x"))
    codec, encoded = encode([*value, np.zeros((side, 0))], Pickling("deny", "x"))
    assert "nested" == codec.name

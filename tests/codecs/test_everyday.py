"""Everyday values round trip exactly in a store that denies pickle."""

import dataclasses
import datetime as dt
import enum
import http
import ipaddress
import itertools
import os
import re
import signal
import subprocess
import sys
import types
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from statistics import NormalDist
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pydantic
import pytest
import pytz
import scipy.sparse as sp

from runstore import ObjectStore
from runstore.codecs import by_fields
from runstore.errors import (
    CorruptObjectError,
    InvalidRequestError,
    UnsafePickleError,
    UnsupportedValueError,
)
from runstore.testing import assert_same

_DAY = dt.date(2024, 2, 29)
_NAN = np.nan


class Side(enum.Enum):
    BUY = 1
    SELL = 2
    PURCHASE = 1  # noqa: PIE796 - another name of the same


class Level(enum.IntEnum):
    LOW = 1


@by_fields
@dataclasses.dataclass(frozen=True)
class Settings:
    rate: float
    day: Any
    parts: list[Any] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise ValueError("a rate is positive")


@by_fields
@dataclasses.dataclass(slots=True)
class Slots:
    a: Any
    b: Any = None


@by_fields
class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", arbitrary_types_allowed=True)
    n: int = 1
    inner: "Model | None" = None
    frame: Any = None
    _hidden: int = pydantic.PrivateAttr(default=7)


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: float = 0.0


Pair = namedtuple("Pair", "a b")


def objects(*cells: Any) -> Any:
    array = np.empty(len(cells), object)
    for at, cell in enumerate(cells):
        array[at] = cell
    return array


def column(*cells: Any) -> pd.DataFrame:
    """A column of objects between two others."""
    return pd.DataFrame(
        {"a": 1.5, "x": pd.Series(objects(*cells), dtype=object), "b": range(len(cells))}
    )


def of(values: Any) -> pd.DataFrame:
    return pd.DataFrame({"x": pd.Series(values)})


def noted(frame: pd.DataFrame) -> pd.DataFrame:
    frame.attrs = {"unit": ("m", 1), 2: {3}, "day": _DAY}
    return frame


def grouped() -> Any:
    return pd.DataFrame({"k": ["a", "a", "b"], "v": [1, 2, 3.5]}).groupby("k")


def under(index: Any) -> pd.DataFrame:
    return pd.DataFrame({"v": range(len(index))}, index=index)


def above(labels: Any) -> pd.DataFrame:
    return pd.DataFrame([range(len(labels))], columns=labels)


# Name to how it is made; each is put and got again under pickle="deny".
EVERYDAY: dict[str, Callable[[], Any]] = {
    # frames that hold little
    "an empty frame": pd.DataFrame,
    "a frame of rows alone": lambda: pd.DataFrame(index=range(3)),
    "an empty series": lambda: pd.Series(dtype=object),
    "an index that is a range": lambda: pd.RangeIndex(2, 9, 3, name=("a", 1)),
    # columns of objects
    "dates": lambda: column(_DAY, None, dt.date(1, 1, 1)),
    "dates and NaT": lambda: column(_DAY, pd.NaT),
    "decimals of one scale": lambda: column(Decimal("1.50"), Decimal("-2.25"), None),
    "decimals of several scales": lambda: column(Decimal("1.5"), Decimal("1.50"), Decimal("NaN")),
    "zero decimals": lambda: column(Decimal("-0.0"), Decimal("0E+3")),
    "lists": lambda: column([1, 2], [], None),
    "lists of floats": lambda: column([1.5, _NAN, None], [-0.0]),
    "lists of lists": lambda: column([[1], []], [[None]]),
    "lists of several types": lambda: column([1, "a", None, 2.5]),
    "tuples in cells": lambda: column((1, 2), (), _NAN),
    "times of day": lambda: column(dt.time(1, 2, 3, 4), None),
    "times of day with a zone": lambda: column(dt.time(1, tzinfo=dt.UTC), dt.time(2, fold=1)),
    "bytes and NaN": lambda: column(b"a", b"", _NAN),
    "dicts": lambda: column({"a": 1}, {"a": None, "b": [1]}, {}),
    "dicts of odd keys": lambda: column({1: "a", (2, 3): {"$tuple": []}}),
    "text and None": lambda: column("a", None, ""),
    "text and NaN": lambda: column("a", _NAN, ""),
    "text and NA": lambda: column("a", pd.NA),
    "text and each kind of missing": lambda: column("a", None, _NAN, pd.NA, pd.NaT),
    "nothing but NaN": lambda: column(_NAN, _NAN),
    "None and NaN alone": lambda: column(None, _NAN),
    "truths and None": lambda: column(True, None, False),
    "integers as objects": lambda: column(1, None, 1 << 80),
    "floats as objects": lambda: column(1.5, _NAN, None, -0.0),
    "mixed cells": lambda: column(1, "a", 2.5, None, _NAN, True, b"x"),
    "moments as objects": lambda: column(pd.Timestamp("2024"), pd.NaT, dt.datetime(2024, 1, 1)),
    "arrays in cells": lambda: column(np.arange(3), np.arange(0), None),
    "sets in cells": lambda: column({1, 2}, frozenset()),
    "members in cells": lambda: column(Side.BUY, Side.SELL, None),
    "no cells": lambda: column(),
    # times with zones
    "what to_datetime makes of ISO text": lambda: of(
        pd.to_datetime(["2024-01-01T00:00:00+01:00", None])
    ),
    "an offset of half an hour": lambda: of(pd.to_datetime(["2024-01-01T00:00:00-03:30"])),
    "a named offset": lambda: of(
        pd.to_datetime(["2024"]).tz_localize(dt.timezone(dt.timedelta(seconds=61), "X"))
    ),
    "zones of zoneinfo": lambda: of(pd.to_datetime(["2024", None]).tz_localize("Europe/Paris")),
    "zones of pytz": lambda: of(
        pd.to_datetime(["2024-07-01", None]).tz_localize(pytz.timezone("Europe/Paris"))
    ),
    "offsets of pytz": lambda: of(pd.to_datetime(["2024"]).tz_localize(pytz.FixedOffset(90))),
    "UTC of pytz": lambda: of(pd.to_datetime([]).tz_localize(pytz.utc)),
    # labels
    "labels of agg": lambda: grouped().agg({"v": ["sum", "mean"]}),
    "labels of agg, for one column": lambda: grouped()["v"].agg(["min", "max"]),
    "labels that are tuples": lambda: above(pd.Index([("a", 1), "b"], tupleize_cols=False)),
    "labels of several levels": lambda: above(
        pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=[("n", 1), None])
    ),
    "labels of several levels, none": lambda: above(pd.MultiIndex.from_product([["a"], [1]])).iloc[
        :, :0
    ],
    "labels that are numbers, NaN and None": lambda: above(
        pd.Index([1.5, _NAN, None, 1, "a"], dtype=object)
    ),
    "labels that are floats": lambda: above(pd.Index([0.5, _NAN, -0.0])),
    "labels that are days": lambda: above(pd.date_range("2024", periods=2, name=dt.date(1, 1, 1))),
    "labels that are bins": lambda: pd.crosstab([1, 2, 3], pd.cut([1, 2, 3], 2)),
    "a row of a frame by day": lambda: under(pd.date_range("2024", periods=2)).iloc[0],
    "names that are numbers": lambda: under(pd.Index([1, 2], name=7)).rename_axis(columns=1.5),
    "names that are tuples": lambda: under(pd.Index([1], name=("a", 1))).rename_axis(
        columns=[("b", None)]
    ),
    "a series named by a tuple": lambda: pd.Series([1], name=("a", _DAY)),
    "attrs": lambda: noted(pd.DataFrame({"a": [1]})),
    # types of pandas' own
    "cut": lambda: pd.cut([1, 2, 3, _NAN], 2),
    "cut, as a column": lambda: of(pd.cut([1.5, 2, 3], [0, 2, 4], right=False)),
    "cut, counted": lambda: pd.Series(pd.cut([1, 2, 3], 2)).value_counts(),
    "qcut of no rows": lambda: of(pd.qcut([1, 2, 3, 4.0], 2)).iloc[:0],
    "periods as a column": lambda: of(pd.PeriodIndex(["2024-01", None], freq="M")),
    "periods as an index": lambda: under(pd.period_range("2024", periods=3, freq="2h")),
    "periods as an array": lambda: pd.period_range("2024", periods=2, freq="W-TUE").array,
    "periods, none": lambda: pd.period_range("2024", periods=0, freq="D"),
    "a period": lambda: pd.Period("2024-02", "Q-NOV"),
    "intervals as a column": lambda: of(pd.arrays.IntervalArray.from_tuples([(0.5, 1), _NAN])),
    "intervals as an index": lambda: under(
        pd.interval_range(pd.Timestamp("2024", tz="Europe/Paris"), periods=2, closed="both")
    ),
    "intervals as an array": lambda: pd.interval_range(0, 2).array,
    "intervals as a level": lambda: under(
        pd.MultiIndex.from_arrays([pd.interval_range(0, 2), ["a", None]])
    ),
    "an interval": lambda: pd.Interval(pd.Timestamp("2024"), pd.Timestamp("2025"), "neither"),
    "complex numbers": lambda: of(np.array([1j, complex(_NAN, -0.0)])),
    "an array of nullable integers": lambda: pd.array([1, None]),
    "a timestamp": lambda: pd.Timestamp("2024-02-29 01:02:03.123456789"),
    "a timestamp with a zone": lambda: pd.Timestamp("2024-10-27 00:30", tz="UTC").tz_convert(
        "Europe/Paris"
    ),
    "a timestamp of pytz": lambda: pd.Timestamp("2024", tz=pytz.timezone("Europe/Paris")),
    "a timedelta": lambda: pd.Timedelta(-1, "ns"),
    "NA and NaT": lambda: [pd.NA, pd.NaT, {"x": pd.NaT}],
    # polars
    "a polars Enum": lambda: pl.DataFrame({"e": pl.Series(["b", None], dtype=pl.Enum(["a", "b"]))}),
    "a polars Categorical": lambda: pl.Series("c", ["b", None, "a"], dtype=pl.Categorical),
    "polars categories of no rows": lambda: pl.Series("c", [], dtype=pl.Enum(["a"])),
    "a polars Decimal": lambda: pl.DataFrame(
        {"d": [Decimal("1.50"), None]}, {"d": pl.Decimal(10, 2)}
    ),
    "an empty polars frame": pl.DataFrame,
    # Python
    "a set": lambda: {1, "a", (2, None), 2.5, b"x"},
    "a frozenset and an empty set": lambda: (frozenset([frozenset([1])]), set()),
    "a set of NaN, NaT and None": lambda: {_NAN, pd.NaT, None},
    "a range and slices": lambda: [range(10, 1, -3), slice(None, 3), slice("a", None, 0.5)],
    "numbers": lambda: [1j, complex(_NAN, -0.0), Decimal("1E+400"), Fraction(-1, 3), 1 << 200],
    "a UUID": lambda: UUID(int=7),
    "a datetime with a zone": lambda: dt.datetime(
        2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Paris"), fold=1
    ),
    "a datetime of pytz": lambda: pytz.timezone("Europe/Paris").localize(dt.datetime(2024, 7, 1)),
    "a time and a timedelta": lambda: (dt.time(1, 2, tzinfo=dt.UTC), dt.timedelta.max, _DAY),
    "pure paths": lambda: [PurePosixPath("a/../b"), PureWindowsPath("c:\\x"), PurePosixPath()],
    "addresses": lambda: [
        *(ipaddress.ip_address("::1"), ipaddress.ip_network("10.0.0.0/8")),
        *(ipaddress.ip_interface("10.0.0.1/8"), ipaddress.ip_address("fe80::1%eth0")),
    ],
    "members of Enums": lambda: [Side.BUY, Side.PURCHASE, Level.LOW, http.HTTPStatus.OK],
    "a flag": lambda: {"rights": Rights.READ, "signal": signal.SIGTERM},
    "named tuples": lambda: [Point(1), Pair(np.arange(2), [Point(2, _NAN)])],
    "dataclasses by fields": lambda: [
        Settings(0.5, _DAY, [Side.BUY, {_NAN}]),
        Slots(np.arange(3), Slots(pd.NaT)),
    ],
    "pydantic models by fields": lambda: [
        Model(),
        Model(n=2, inner=Model(more={1}), frame=column(_DAY, None)),
    ],
    "an OrderedDict": lambda: OrderedDict(b=1, a=pd.Timestamp("2024")),
    "defaultdicts": lambda: [defaultdict(list, {(1, 2): [3]}), defaultdict(None, a=1)],
    "a Counter": lambda: Counter("abracadabra"),
    "deques": lambda: [deque([1, {2}], 3), deque()],
    "all of it nested": lambda: {
        "a": {Side.SELL, 1},
        "b": [Point(1), {"c": {pd.Timestamp("2024"): np.arange(3)}}],
        "frame": column(_DAY, None),
        "empty": [pd.DataFrame(), pl.DataFrame(), np.array([])],
    },
    # NumPy and SciPy
    "a masked array": lambda: np.ma.array([1.5, 2], mask=[True, False], fill_value=9.0),
    "masked arrays without a mask": lambda: [
        np.ma.array([1]),
        np.ma.array([], mask=[]),
        np.ma.masked,
    ],
    "a masked array of two dimensions": lambda: np.ma.array(
        np.asfortranarray(np.eye(3)), mask=np.eye(3) > 0, hard_mask=True
    ),
    "NumPy scalars": lambda: [
        *(np.float32("nan"), np.int8(-1), np.datetime64("NaT", "s"), np.str_(), np.bytes_()),
    ],
    "an array of objects": lambda: objects(1, "a", None, {2}, [np.arange(2)]),
    "no objects, and a table of them": lambda: [
        objects(),
        objects(1, "a", 2, None).reshape(2, 2).T,
    ],
    "states of random generators": lambda: [
        np.random.default_rng(1).bit_generator.state,
        np.random.RandomState(1).get_state(legacy=False),
    ],
    **{
        f"a sparse {kind.__name__}": (lambda kind=kind: _sparse(kind))
        for how in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
        for kind in (getattr(sp, f"{how}_array"), getattr(sp, f"{how}_matrix"))
    },
}


def _sparse(kind: Any) -> list[Any]:
    """One of each dtype that matters, an empty one, and one without a row."""
    parts = [np.array([[0, 1.5], [_NAN, 0]]), np.array([[1j, 0]]), np.array([[True], [False]])]
    return [kind(part) for part in (*parts, np.zeros((3, 2)), np.zeros((0, 2)))]


@pytest.fixture
def strict() -> Any:
    return ObjectStore("memory://everyday", pickle="deny").at(namespace="tests", run="r")


def test_there_are_many() -> None:
    """The list is as long as was promised."""
    assert len(EVERYDAY) >= 60


@pytest.mark.parametrize("name", EVERYDAY)
def test_everyday_values(strict: Any, name: str) -> None:
    """It comes back exactly, is not pickled, and so does it as a part of another value."""
    for wrap in (lambda value: value, lambda value: {"of": [value]}):
        expected = wrap(EVERYDAY[name]())
        assert not strict.put("x", expected).pickled
        assert_same(wrap(EVERYDAY[name]()), strict.get("x", verify=True))


# Classes by name ---------------------------------------------------------------------------------

_READ = """
import sys
from runstore import ObjectStore
from runstore.errors import RunStoreError

where, policy, *before = sys.argv[1:]
for module in before:
    __import__(module)
view = ObjectStore(where, pickle=policy).at(namespace="tests", run="r")
for name in ("member", "tuple", "cells"):
    try:
        print(name, type(view.get(name)).__name__)
    except RunStoreError as exc:
        print(name, type(exc).__name__, exc)
    print("everyday_classes" in sys.modules)
"""
_CLASSES = """
import enum
from collections import namedtuple

class Side(enum.Enum):
    BUY = 1

Pair = namedtuple("Pair", "a b")
"""


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A store with values of classes of a module that other processes can import, too."""
    (tmp_path / "everyday_classes.py").write_text(_CLASSES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    import everyday_classes as classes  # type: ignore[import-not-found]

    view = ObjectStore(tmp_path / "store", pickle="deny").at(namespace="tests", run="r")
    view.put("member", {"side": classes.Side.BUY})
    view.put("tuple", classes.Pair(1, [2]))
    view.put("cells", column(classes.Side.BUY, None))
    yield view, classes
    del sys.modules["everyday_classes"]


def _read(view: Any, policy: str, *before: str) -> list[str]:
    command = [sys.executable, "-c", _READ, view.store.url, policy, *before]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    return ended.stdout.splitlines()


@pytest.mark.extended
def test_a_fresh_process_imports_nothing_under_deny(stored: Any) -> None:
    """A class of a module that is not imported is named, and its module stays not imported."""
    view, _ = stored
    told = _read(view, "deny")
    assert ["False"] * 3 == told[1::2]
    for name, line in zip(("member", "tuple", "cells"), told[::2], strict=True):
        assert re.match(rf"{name} UnsafePickleError .*{name}.*'everyday_classes'.*[Ii]mport", line)
    assert ["member dict", "tuple Pair", "cells DataFrame"] == _read(
        view, "deny", "everyday_classes"
    )[::2]


def test_a_fresh_process_imports_where_it_would_unpickle(stored: Any) -> None:
    """Where a pickle would be loaded, a class is imported as a pickle would import it."""
    assert ["member dict", "tuple Pair", "cells DataFrame"] == _read(stored[0], "allow")[::2]


def test_classes_that_have_changed(stored: Any) -> None:
    """A member, field or class that is gone is named."""
    view, classes = stored
    classes.Side = enum.Enum("Side", "SELL", module="everyday_classes")
    with pytest.raises(UnsupportedValueError, match=r"Side has no member 'BUY'"):
        view.get("member")
    classes.Pair = namedtuple("Pair", "b a", module="everyday_classes")
    with pytest.raises(UnsupportedValueError, match=r"Pair has the fields b, a here.*with a, b"):
        view.get("tuple")
    classes.Pair = types.SimpleNamespace
    with pytest.raises(CorruptObjectError, match="no named tuple"):
        view.get("tuple")
    del classes.Side
    with pytest.raises(UnsupportedValueError, match="'everyday_classes' has no class Side"):
        view.get("member")


def test_no_code_of_a_class_runs(strict: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the module's nor the class's own code is called to find a member or make a tuple."""

    def fail(*args: Any) -> Any:
        raise AssertionError("was called")

    value = [Side.BUY, Point(1, 2.0)]
    strict.put("x", value)
    monkeypatch.setattr(sys.modules[__name__], "__getattr__", fail, raising=False)
    monkeypatch.setattr(Point, "__new__", fail)
    monkeypatch.setattr(Point, "_make", fail)
    monkeypatch.setattr(Side, "_missing_", fail)
    back = strict.get("x")
    assert back[0] is Side.BUY
    assert (Point, 1, 2.0) == (type(back[1]), back[1][0], back[1][1])


def test_fields_are_not_checked_again(strict: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance is made of its fields, and neither __init__ nor a validator is called."""
    strict.put("x", [Settings(0.5, _DAY), Model(n=3)])
    for kind in (Settings, Model):
        for name in ("__init__", "__setattr__", "__setstate__", "model_post_init"):
            monkeypatch.setattr(kind, name, None, raising=False)
    settings, model = strict.get("x")
    assert (0.5, _DAY, []) == (settings.rate, settings.day, settings.parts)
    assert (3, {"n"}, 7) == (model.n, model.model_fields_set, model._hidden)


def _made(name: str, fields: list[Any], **more: Any) -> Any:
    """A frozen dataclass that says it is of this module."""
    kind = dataclasses.make_dataclass(name, fields, frozen=True, **more)
    kind.__module__ = __name__
    return kind


def test_what_is_more_than_its_fields(strict: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attributes that are no fields, unmarked subclasses and changed fields are refused."""
    more = Settings(1.0, _DAY)
    vars(more)["cached"] = 1
    marked = _made("Sub", [], bases=(Settings,))
    for value in (more, marked(1.0, _DAY)):
        with pytest.raises(UnsafePickleError):
            strict.put("x", value)
    strict.put("x", Settings(1.0, _DAY))
    monkeypatch.delattr(Settings, "__runstore_by_fields__")
    with pytest.raises(UnsupportedValueError, match=r"Settings is not marked with .*by_fields"):
        strict.get("x")
    other = by_fields(_made("Settings", ["rate"]))
    monkeypatch.setattr(sys.modules[__name__], "Settings", other)
    with pytest.raises(
        UnsupportedValueError, match=r"Settings has the fields rate here.*rate, day"
    ):
        strict.get("x")
    for wrong in (1, int, object()):
        with pytest.raises(InvalidRequestError, match="dataclass, pydantic model or attrs class"):
            by_fields(wrong)  # type: ignore[type-var]


class _Local:
    class Kind(enum.Enum):
        ONE = 1


def test_members_of_classes_without_a_name_of_their_own(strict: Any) -> None:
    """Classes inside others are found; those of a function, and combinations, are refused."""
    strict.put("x", _Local.Kind.ONE)
    assert strict.get("x") is _Local.Kind.ONE
    inner = enum.Enum("inner", "ONE")
    for value in (inner.ONE, Rights.READ | Rights.WRITE, [namedtuple("inner", "a")(1)]):
        with pytest.raises(UnsafePickleError):
            strict.put("x", value)


# What cannot be kept --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        defaultdict(lambda: 1),
        np.ma.array([object()]),
        column(NormalDist()),
        {"x": column(NormalDist())},
        pd.DataFrame({"x": pd.arrays.SparseArray([0, 1])}),
    ],
    ids=["a factory of one's own", "masked objects", "patterns", "patterns inside", "sparse"],
)
def test_others_are_refused(strict: Any, value: Any) -> None:
    """What has no exact form without pickle is refused, and nothing is written."""
    with pytest.raises(UnsafePickleError, match="deny"):
        strict.put("refused", value)
    assert not strict.exists("refused")


def test_sparse_coordinates_known_to_be_sorted(strict: Any) -> None:
    """What is known of coordinates is known again, and an older runstore says that it is new."""
    sparse = sp.coo_array(([1.0, 2.0, 3.0], ([1, 0, 1], [0, 1, 0])), shape=(2, 2))
    strict.put("x", {"a": sparse})
    assert strict.get("x")["a"].has_canonical_format is False
    assert_same({"a": sparse}, strict.get("x"))
    for kind in (sp.coo_array, sp.coo_matrix):
        summed = kind(sparse)
        summed.sum_duplicates()
        strict.put("x", {"a": summed})
        assert strict.get("x")["a"].has_canonical_format is True
        assert_same({"a": summed}, strict.get("x"))
    from runstore.codecs import Pickling, encode

    assert 3 == encode(summed, Pickling("deny", "x"))[1].version
    assert 2 == encode(sparse, Pickling("deny", "x"))[1].version


def test_sparse_indices_are_checked(strict: Any) -> None:
    """Indices that lead out of the array are neither stored nor read."""
    bad = sp.csr_array(np.eye(3))
    bad.indices[1] = 99
    with pytest.raises(UnsafePickleError):
        strict.put("x", bad)
    from runstore.codecs._sparse import sparse_of, sparse_parts

    for kind in (
        sp.csr_array,
        sp.csc_matrix,
        sp.bsr_array,
        sp.coo_array,
        sp.lil_array,
        sp.dok_array,
    ):
        name, shape, shown, data, *rest = sparse_parts(kind(np.eye(4)))  # type: ignore[misc]
        for at, part in enumerate(rest):
            if isinstance(part, np.ndarray):
                forged = [*rest[:at], part + 7, *rest[at + 1 :]]
                with pytest.raises(CorruptObjectError, match="x is damaged"):
                    sparse_of([name, shape, shown, data, *forged], "x")


def test_other_readers_see_plain_columns(tmp_path: Path) -> None:
    """Dates, decimals, lists and text are what they are to polars, times with an offset in UTC."""
    frame = pd.DataFrame(
        {
            "date": objects(_DAY, None),
            "price": objects(Decimal("1.50"), _NAN),
            "ids": objects([1, 2], []),
            "text": objects("a", _NAN),
            "at": pd.to_datetime(["2024-01-01T00:00:00+01:00", None]),
            "bin": pd.cut([1, 2], 2),
            "month": pd.period_range("2024", periods=2, freq="M"),
        }
    )
    ObjectStore(tmp_path, pickle="deny").at(namespace="tests", run="r").put("x", frame)
    read = pl.read_ipc(next(tmp_path.rglob("x.arrow")))
    assert {
        "date": [_DAY, None],
        "price": [Decimal("1.50"), None],
        "ids": [[1, 2], []],
        "text": ["a", None],
        "at": [dt.datetime(2023, 12, 31, 23, tzinfo=ZoneInfo("UTC")), None],
        "bin": ["(0.999, 1.5]", "(1.5, 2.0]"],
        "month": [648, 649],
    } == read.select(list(frame.columns)).to_dict(as_series=False)


# What only a pickle could keep ----------------------------------------------------------------


class Ticket(int):
    """Whole numbers of a class."""


def _cyclic() -> Any:
    one: list[Any] = []
    one.append(one)
    return one


def _with_attrs() -> pd.Series:
    series = pd.Series([1])
    series.attrs = {"x": [Ticket(1)]}
    return series


def _of_netcdf() -> Any:
    xr = pytest.importorskip("xarray")
    array = xr.DataArray([1, 2], dims="a")
    array.encoding["source"] = Ticket(1)
    return xr.Dataset({"v": array})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": {"b": [1, Ticket(2)]}}, r"value\['a'\]\['b'\]\[1\] is a .*Ticket.* from int"),
        (["x", "\ud800"], r"value\[1\] is text with half of a surrogate pair"),
        (_cyclic(), r"value\[0\] contains itself"),
        ({(1, Ticket(2)): 1}, "a key of value is of the type tuple"),
        ((1, [{Ticket(3)}]), r"value\[1\]\[0\]\{…\} is a .*Ticket"),
        (np.array([1, Ticket(2)], object), r"value\[1\] is a .*Ticket"),
        (pd.DataFrame({"c": ["x", Ticket(2)]}), r"column 'c'.*value\[1\] is a .*Ticket"),
        ([pd.DataFrame({"c": ["x", Ticket(2)]})], r"value\[0\]\['c'\]\.iloc\[1\] is a .*Ticket"),
        (pd.Series([1], name=_NAN), "value.name is nan"),
        (_with_attrs(), r"value\.attrs\['x'\]\[0\] is a .*Ticket"),
        (
            pd.date_range("2024", "2025", freq=pd.offsets.CustomBusinessDay(weekmask="Mon Tue")),
            "has the freq <CustomBusinessDay>",
        ),
        (pl.DataFrame({"z": pl.Series([1], dtype=pl.Int128)}), r"value\['z'\] is a .* of Int128"),
        (_of_netcdf(), r"value\['v'\]\.encoding\['source'\] is a .*Ticket"),
    ],
)
def test_a_refused_pickle_names_the_part_that_needs_it(strict: Any, value: Any, said: str) -> None:
    """The way to it, its type and why."""
    with pytest.raises(UnsafePickleError, match=said):
        strict.put("x", value)


@pytest.fixture
def allowing() -> Any:
    return ObjectStore("memory://everyday", pickle="allow").at(namespace="tests", run="r")


def test_what_belongs_to_the_process_or_is_read_once_is_refused(allowing: Any) -> None:
    """The environment, which holds secrets, and iterators."""
    for value in (
        os.environ,
        iter({1: 2}),
        iter([1]),
        map(str, [1]),
        zip([1], [2], strict=False),
        filter(None, []),
    ):
        for held in (value, {"a": [value]}):
            with pytest.raises(
                UnsupportedValueError, match=r"environment|gives its items once|no table"
            ):
                allowing.put("x", held)
    for value in (enumerate([1]), reversed([1]), itertools.chain([1]), iter({1})):
        with pytest.raises(UnsupportedValueError, match="gives its items once"):
            allowing.put("x", value)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="Python 3.14 pickles no counters")
@pytest.mark.filterwarnings("ignore:Pickle, copy, and deepcopy support:DeprecationWarning")
def test_a_counter_is_kept(allowing: Any) -> None:
    """An iterator without an end has a state that can be kept, as long as Python pickles it."""
    allowing.put("x", itertools.count(3))
    assert 3 == next(allowing.get("x"))


def test_zeros_at_the_end_of_numpys_bytes_are_kept(allowing: Any) -> None:
    """NumPy's own pickle loses them."""
    value = np.bytes_(b"a\0")
    for held in (value, [value], (1, value), {"a": value, "b": Ticket(1)}, [value] * 3000):
        allowing.put("x", held)
        back = allowing.get("x")
        while type(back) in (list, tuple, dict):
            back = back["a"] if type(back) is dict else back[-1]
        assert (np.bytes_, b"a\0") == (type(back), bytes(back))


def test_attributes_of_a_masked_array_are_refused_also_in_a_pickle(allowing: Any) -> None:
    """NumPy's own pickle loses them; what a masked array has of its own is kept."""
    array = np.ma.array([1, 2], mask=[0, 1])
    for held in (array, [array, Ticket(1)]):
        allowing.put("x", held)
        assert_same(allowing.get("x"), held)
    array.unit = "m"
    for held in (array, [array], [array, Ticket(1)]):
        with pytest.raises(UnsupportedValueError, match="it has the attribute 'unit'"):
            allowing.put("x", held)


@pytest.mark.parametrize(
    "array",
    [
        np.array([0, 2], "u1").view("?"),
        np.array([0x7FFFFFFF], "u4").view("U1"),
        np.array([(1, 2)], [("a", "u1"), ("b", "u1")]).view([("a", "u1"), ("b", "?")]),
    ],
)
def test_bits_that_are_no_value_are_refused_by_put(strict: Any, array: Any) -> None:
    """Not taken, and called damage by get: by themselves, in containers and in files."""
    for name, value in (("x", [array.copy() for _ in range(2000)]), ("b.npy", array)):
        possible = [np.zeros_like(array)] * 2 if name == "x" else np.zeros_like(array)
        strict.put(name, possible)  # such a kind of value has been read
        with pytest.raises(UnsupportedValueError, match="that cannot be"):
            strict.put(name, value)
    for name, value in (("x", array), ("x", {"a": [array]}), ("x", array[::-1])):
        with pytest.raises(UnsupportedValueError, match="that cannot be"):
            strict.put(name, value)
    if array.dtype.kind == "b":
        with pytest.raises(UnsupportedValueError, match="truth values that cannot be"):
            strict.put("x.safetensors", {"a": array})


@pytest.mark.parametrize(
    "kind",
    [
        *("i4", ">f8", "q", "l", "?", "O", "M8[3D]", "m8", "U3", "S2", "V5", "g"),
        [("a", "i2"), ("b", "U2", (2, 3))],
        {"names": ["a"], "formats": ["i1"], "offsets": [3], "itemsize": 8},
    ],
)
def test_a_dtype_is_kept_without_pickle(strict: Any, kind: Any) -> None:
    """By itself and in an encoding of xarray, where reading a netCDF file puts one."""
    xr = pytest.importorskip("xarray")
    dtype = np.dtype(kind)
    array = xr.DataArray([1, 2], dims="a")
    array.encoding["dtype"] = dtype
    strict.put("x", [dtype, xr.Dataset({"v": array})])
    back, dataset = strict.get("x")
    for one in (back, dataset["v"].encoding["dtype"]):
        assert (dtype, repr(dtype), dtype.char) == (one, repr(one), one.char)
        assert dtype.isalignedstruct == one.isalignedstruct


@pytest.mark.parametrize(
    "dtype",
    [
        np.dtype("i4", metadata={"a": 1}),
        np.dtype(("i4", (2,))),
        np.dtype([("a", "i1"), ("b", "i8")], align=True),
    ],
)
def test_a_dtype_of_more_than_a_description_is_refused_under_deny(strict: Any, dtype: Any) -> None:
    """What only a pickle would keep."""
    with pytest.raises(UnsafePickleError):
        strict.put("x", dtype)


def test_numbers_of_any_length_are_kept_without_pickle(strict: Any) -> None:
    """By themselves, in short lists as in long ones, and as keys."""
    for number in (10**5000, -(10**5000), 1 << 4096, (1 << 4096) - 1):
        for value in (number, [number, 1], [number] * 1100, {"a": (number,)}, {number: 1}):
            strict.put("x", value)
            same = strict.get("x") == value
            assert same  # not compared by assert, which would print the digits


class _Asked:
    """An object that is not to be asked anything."""

    @property
    def freq(self) -> Any:
        raise ValueError("asked")

    dtype = freq


def test_a_refusal_asks_nothing_of_a_class_of_the_users(strict: Any) -> None:
    """Its attributes are code of the user's."""
    with pytest.raises(UnsafePickleError, match=r"value\['a'\] is a .*_Asked"):
        strict.put("x", {"a": _Asked()})

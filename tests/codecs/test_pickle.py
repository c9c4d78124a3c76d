"""Pickle: the last resort, visible and lockable."""

import datetime as dt
import decimal
import fractions
import threading
from dataclasses import dataclass, replace
from pickle import PickleBuffer
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from runstore import ObjectStore
from runstore.codecs import PickleWarning, Pickling, encode
from runstore.codecs._cells import blob_batch
from runstore.errors import CorruptObjectError, UnsafePickleError, UnsupportedValueError
from runstore.testing import CodecTests, assert_same


@dataclass
class Model:
    weights: Any
    name: str = "m"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Model):
            assert_same(self.weights, other.weights)
        return isinstance(other, Model) and self.name == other.name

    __hash__ = None  # type: ignore[assignment]


class TestPickle(CodecTests):
    codec = "pickle"
    zero_copy = True

    @classmethod
    def values(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def pickled(cls) -> dict[str, Any]:
        return {
            "tuple": (1, "a", None),
            "set": {1, 2},
            "decimal": decimal.Decimal("1.50"),
            "fraction": fractions.Fraction(1, 3),
            "moment": dt.datetime(2024, 2, 29, fold=1, tzinfo=dt.UTC),
            "complex": complex(-0.0, float("inf")),
            "surrogates": "\ud83d\ude00",
            "type": dict,
            "array": np.arange(3, dtype=object),
            "arrays in a dict": {"w": np.arange(2000.0), "b": np.zeros(3)},
            "F order": [np.asfortranarray(np.arange(4000.0).reshape(40, 100))],
            "frames in a list": [pd.DataFrame({"a": range(1000), "b": "x"})],
            "tables in a tuple": (pa.table({"a": range(2000)}),),
            "instance": Model(np.arange(1000)),
            "scalar": pa.scalar(1),
            "schema": pa.schema([("a", pa.int8())]),
        }

    @classmethod
    def large(cls) -> Any:
        return Model(np.arange(1 << 20, dtype="f8"))

    def change(self, value: Any) -> bool:
        if isinstance(value, dict):
            value["w"] += 1
        elif isinstance(value, Model):
            value.weights += 1
        else:
            return False
        return True


def test_shared_parts_stay_shared() -> None:
    """What was one object twice is one object twice again."""
    suite = TestPickle()
    part = np.arange(1000)
    first, second = suite.read(suite.written((part, part)))
    assert first is second


@pytest.mark.parametrize(
    "value", [threading.Lock(), (i for i in range(3)), {"a": threading.Lock()}]
)
def test_the_unpicklable_is_refused(value: Any) -> None:
    """What cannot be pickled is refused by name, and what stood there stays."""
    store = ObjectStore("memory://codecs").at(namespace="tests", run="pickle")
    store.put("x", 1)
    with pytest.raises(UnsupportedValueError, match=r"only: leave it out|list.value"):
        store.put("x", value)
    assert 1 == store.get("x")


def test_denied_before_it_is_loaded() -> None:
    """Under the policy deny, nothing of a pickle is executed."""
    suite = TestPickle()
    stored = suite.written(_Bomb())
    _Bomb.exploded = False
    with pytest.raises(UnsafePickleError, match="deny"):
        suite.read(stored, "deny")
    assert not _Bomb.exploded
    suite.read(stored)
    assert _Bomb.exploded


def test_what_only_comes_back_as_something_else_is_refused() -> None:
    """A reduction to another type is seen when it is put."""
    store = ObjectStore("memory://codecs").at(namespace="tests", run="pickle")
    with pytest.raises(UnsupportedValueError, match=r"comes back as a builtins\.int"):
        store.put("x", _Number())


class _Number:
    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("7",)


class _Bomb:
    exploded = False

    def __reduce__(self) -> tuple[Any, ...]:
        return _explode, ()


def _explode() -> _Bomb:
    _Bomb.exploded = True
    return _Bomb()


def test_warns_both_ways() -> None:
    """Under the policy warn, storing and loading a pickle each warn and work."""
    suite = TestPickle()
    with pytest.warns(PickleWarning, match="stored as a pickle"):
        stored = suite.written((1, 2), "warn")
    with pytest.warns(PickleWarning, match="execute code"):
        assert (1, 2) == suite.read(stored, "warn")


def test_only_what_is_pickled_is_said_to_be() -> None:
    """The object is marked as pickled if, and only if, a part of it is."""
    for value, expected in [(1, False), ({"a": ValueError(1)}, True), (np.arange(3), False)]:
        pickling = Pickling("allow", "x")
        encode(value, pickling)
        assert expected is pickling.used


def test_garbage_is_damage() -> None:
    """An intact object whose pickle is none is reported as damaged."""
    suite = TestPickle()
    encoded = suite.encode((1, 2))
    assert encoded is not None
    garbage = replace(encoded, batches=[blob_batch(b"\x80\x05garbage")])
    with pytest.raises(CorruptObjectError, match="pickle"):
        suite.read(suite.file(garbage))


class _Strided:
    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return bytes, (PickleBuffer(memoryview(bytes(10_000))[::2]),)


def test_buffers_with_gaps_are_refused() -> None:
    """A buffer that does not lie in one piece cannot be pickled, and that is what is said."""
    with pytest.raises(UnsupportedValueError, match="cannot be pickled"):
        TestPickle().encode(_Strided())

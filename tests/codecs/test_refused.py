"""Handles are refused, what is taken can be read, and a refusal says why."""

import asyncio
import concurrent.futures
import io
import os
import queue
import subprocess
import sys
import tempfile
import threading
import types
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from runstore import ObjectStore
from runstore.codecs._parts import unpicklable, where
from runstore.codecs._reasons import why_no_json
from runstore.errors import UnsafePickleError, UnsupportedValueError
from runstore.testing import assert_same


@pytest.fixture
def view() -> Any:
    """Give a view with an old object under the name ``x``."""
    at = ObjectStore("memory://refused").at(namespace="tests", run="r")
    at.put("x", "old")
    return at


def _refused(view: Any, value: Any, said: str, **how: Any) -> None:
    with pytest.raises(UnsupportedValueError, match=said):
        view.put("x", value, **how)
    assert "old" == view.get("x")


class Holder:
    def __init__(self, value: Any) -> None:
        self.value = value


def _future() -> Any:
    loop = asyncio.new_event_loop()
    try:
        return asyncio.Future(loop=loop)
    finally:
        loop.close()


HANDLES: dict[str, Any] = {
    "buffered file": lambda: io.BufferedReader(io.BytesIO(b"x")),  # type: ignore[arg-type]
    "text file": lambda: io.TextIOWrapper(io.BytesIO(b"x")),
    "archive": lambda: zipfile.ZipFile(io.BytesIO(), "w"),
    "spooled": tempfile.SpooledTemporaryFile,
    "condition": threading.Condition,
    "event": threading.Event,
    "queue": queue.Queue,
    "simple queue": queue.SimpleQueue,
    "future": concurrent.futures.Future,
    "thread": threading.Thread,
    "loop future": _future,
    "view": lambda: memoryview(b"x"),
    "arrow file": lambda: pa.BufferReader(b"x"),
}
STREAMED: dict[str, Any] = {
    "in-memory dataset": lambda: ds.dataset(pa.table({"a": [1]})),
    "scanner": lambda: ds.dataset(pa.table({"a": [1]})).scanner(),
    "arrow reader": lambda: pa.table({"a": [1]}).to_reader(),
    "lazy frame": lambda: pl.LazyFrame({"a": [1]}),
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("name", HANDLES)
def test_a_handle_is_refused_wherever_it_is(name: str, view: Any) -> None:
    """Alone, in a list, and as an attribute; also where pickles are denied."""
    handle = HANDLES[name]()
    _refused(view, handle, "cannot store tests/r/x: ")
    _refused(view, {"parts": [handle]}, r"value\['parts'\]\[0\]")
    _refused(view, Holder(handle), "value.value")
    _refused(view, handle, "cannot store tests/r/x: ", pickle="deny")


@pytest.mark.parametrize("name", STREAMED)
def test_what_is_streamed_by_itself_is_refused_inside_of_something(name: str, view: Any) -> None:
    """In a list and as an attribute, a query or a reader stands for something outside."""
    handle = STREAMED[name]()
    _refused(view, {"parts": [handle]}, r"value\['parts'\]\[0\]")
    _refused(view, Holder(handle), "value.value")


def test_what_only_looks_like_a_handle_is_kept(view: Any) -> None:
    """Files in memory, frames of pandas that are views, a fraction, bytes."""
    for value in (Fraction(1, 3), bytearray(b"x"), pd.DataFrame({"a": [1, 2]})[:1]):
        view.put("y", value)
        assert_same(value, view.get("y"))
    view.put("y", [io.BytesIO(b"x"), io.StringIO("y")])
    assert b"x" == view.get("y")[0].getvalue()


def test_a_parquet_file_that_is_open_is_refused(view: Any, tmp_path: Path) -> None:
    """It is read with .read(); what that gives is stored."""
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    with pq.ParquetFile(tmp_path / "a.parquet") as file:
        _refused(view, file, r"call \.read\(\) first")
        view.put("y", file.read())


class Counted:
    loaded = 0

    def __init__(self, value: int) -> None:
        self.value = value

    def __setstate__(self, state: dict[str, Any]) -> None:
        type(self).loaded += 1
        vars(self).update(state)


def test_a_class_is_tried_once(view: Any) -> None:
    """The first object of a class is loaded when it is put, and no other."""
    for value in range(3):
        view.put("y", Counted(value))
    assert 1 == Counted.loaded


class WritesInPlace:
    def __init__(self, array: Any) -> None:
        self.array = array

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.array += 1


def test_a_trial_does_not_change_the_value(view: Any) -> None:
    """A class that changes its arrays when it is loaded changes a copy."""
    value = WritesInPlace(np.zeros(10_000))
    view.put("y", value)
    assert not value.array.any()


def test_nothing_is_tried_where_pickles_are_denied(view: Any) -> None:
    """Under deny no class is loaded, as none is stored."""
    before = Counted.loaded
    with pytest.raises(UnsafePickleError):
        view.put("y", Counted(1), pickle="deny")
    assert before == Counted.loaded


def test_where_a_part_is() -> None:
    """The way to a part goes through lists, dicts and attributes."""
    part = object()
    assert "value['a'][1].value is " == where({"a": [0, Holder(part)]}, part)
    assert "it is " == where(part, part)
    assert "it holds " == where([1], part)
    assert "; it is value['a'].value" == unpicklable({"b": 1, "a": Holder(sys._getframe())})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": [1, (2,)]}, "value['a'][1] is a tuple"),
        ({"a": {None: 1}}, "the key None of value['a'] is of the type NoneType"),
        ({"a": float("inf")}, "value['a'] is inf"),
        (["\ud800"], "value[0] is text with half of a surrogate pair"),
        ([1 << 5000], "value[0] is an integer of 5001 bits"),
    ],
)
def test_why_it_is_no_json(value: Any, said: str) -> None:
    """The first part that is none is named, and what it is."""
    assert said == why_no_json(value, strict=True)


def test_why_it_is_no_json_is_found_in_time_that_grows_with_the_value() -> None:
    """What stands in a value many times is gone through once."""
    value: list[Any] = []
    for _ in range(60):
        value = [value, value]
    assert "it is too large to be written" == why_no_json(value, strict=True)


def test_text_that_is_not_utf_8_is_refused(view: Any) -> None:
    """Of Arrow, also in a list and behind pandas; as binary it is kept."""
    offsets = pa.py_buffer(np.array([0, 2], "i4"))
    bad = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"\xff\xfe")])
    _refused(view, pa.table({"t": bad}), "column 't'.*Cast it")
    _refused(view, pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), bad), "UTF-8")
    view.put("y", bad.cast(pa.binary()))


_TWICE = """
import enum, sys
from runstore import ObjectStore

class Color(enum.Enum):
    RED = 1

class Outer:
    class Color:
        def __eq__(self, other): return type(other) is type(self)

class Pair(tuple):
    __slots__ = ()

view = ObjectStore("store").at(namespace="n", run="r")
if sys.argv[1] == "put":
    view.put("x", [Color.RED, Outer.Color(), Pair((1, 2)), Color])
else:
    color, inner, pair, kind = view.get("x")
    assert color is Color.RED and kind is Color
    assert inner == Outer.Color()
    assert type(pair) is Pair and pair == (1, 2)
"""


def test_classes_of_a_script_are_those_of_its_next_start(tmp_path: Path) -> None:
    """By their qualified names: an inner class is not taken for an outer one of that name."""
    (tmp_path / "script.py").write_text(_TWICE)
    for step in ("put", "get"):
        subprocess.run([sys.executable, "script.py", step], cwd=tmp_path, check=True)


@pytest.mark.parametrize("package", ["rs_mine", "rs_other"])
def test_the_function_that_a_class_names_is_tried(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it makes a value of the pickle is seen before the old object is replaced, once."""
    mine, called = types.ModuleType("rs_mine"), []
    other = mine if package == "rs_mine" else types.ModuleType(package)

    def made(works: bool) -> Any:
        called.append(works)
        if not works:
            raise ValueError("no such thing")
        return Works()

    class Thing:
        def __reduce__(self) -> Any:
            return made, (False,)

    class Works:
        def __reduce__(self) -> Any:
            return made, (True,)

    defined = (other, "made", made), (mine, "Thing", Thing), (mine, "Works", Works)
    for module, name, value in defined:
        value.__module__, value.__qualname__ = module.__name__, name  # type: ignore[attr-defined]
        setattr(module, name, value)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    view = ObjectStore(tmp_path).at(namespace="n", run="r")
    view.put("x", "old")
    with pytest.raises(UnsupportedValueError, match=r"loaded again \(ValueError: no such thing"):
        view.put("x", [Thing()])
    assert "old" == view.get("x")
    assert [False] == called
    view.put("x", Works())
    view.put("x", Works())
    assert [False, True] == called


class _Command:
    def __init__(self, call: Any, text: str) -> None:
        self.call = call, (text,)

    def __reduce__(self) -> Any:
        return self.call


def test_no_command_is_run_by_put(tmp_path: Path) -> None:
    """A class whose pickle starts a program, or executes text, is stored without doing it."""
    view, left = ObjectStore(tmp_path).at(namespace="n", run="r"), tmp_path / "left"
    for call, text in (
        (os.system, f"touch {left}"),
        (exec, f"open({str(left)!r}, 'w').close()"),
        (eval, f"open({str(left)!r}, 'w').close()"),
        (subprocess.check_output, f"touch {left}"),
    ):
        view.put("x", {"a": _Command(call, text)})
        assert not left.exists()

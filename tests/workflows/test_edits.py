"""Edits between a run and the one that goes on with it: which stages run again, and no others."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from runstore import ObjectStore, run_workflow

STAGES = '''\
"""Stages of a small workflow."""

import json
import statistics
from dataclasses import dataclass

import helper
import thirdparty
from helper import scaled
from runstore import get_run_context, object_store

FACTOR = 2
TABLE = {"a": 1, "b": 2}
UNUSED = 1


@dataclass
class Point:
    """A point."""

    x: int
    y: int = 3

    def total(self):
        return self.x + self.y


def load(rows):
    """Put the rows."""
    object_store.put("rows", rows)
    return len(rows)


def double(count):
    values = object_store.get("rows")
    object_store.put("doubled", [FACTOR * value for value in values])
    return count


def scale(_):
    depth = get_run_context().config["depth"]
    object_store.put("scaled", [scaled(value, depth) for value in object_store.get("doubled")])


def points(_):
    return Point(1).total() + TABLE["a"] + thirdparty.one()


def late(_):
    import lazy

    return lazy.value() + helper.shift(1)


def shared(_):
    return object_store.get("rates", scope="namespace")["x"]


def report(*parts):
    return [sum(object_store.get("scaled")), *parts[1:]]


def unused():
    return UNUSED
'''
HELPER = """\
def scaled(value, depth):
    return inner(value) * depth


def inner(value):
    return value + 1


def shift(value):
    return value - 1


def untouched():
    return 0
"""
FLOW = """\
metadata: {name: flow}
spec:
  stages:
    - {name: load, target: stages.load}
    - {name: double, target: stages.double, depends_on: load}
    - {name: scale, target: stages.scale, depends_on: double}
    - {name: points, target: stages.points, depends_on: load}
    - {name: late, target: stages.late, depends_on: load}
    - {name: shared, target: stages.shared, depends_on: load}
    - {name: report, target: stages.report, depends_on: [scale, points, late, shared]}
"""
FILES = {
    "stages.py": STAGES,
    "helper.py": HELPER,
    "lazy.py": "def value():\n    return 5\n",
    "flow.yaml": FLOW,
}
SCALE, POINTS, LATE = {"scale", "report"}, {"points", "report"}, {"late", "report"}
DOUBLE = {"double"} | SCALE
ALL = {"load", "double", "scale", "points", "late", "shared", "report"}


class Edit(NamedTuple):
    """An edit of one file, by replacing text, or of what the run is given."""

    what: str
    again: set[str]
    file: str = "stages.py"
    old: str = ""
    new: str = ""
    given: dict[str, Any] = {}  # noqa: RUF012 - never changed


EDITS = [
    Edit("nothing", set()),
    Edit("a comment", set(), old="    values = ", new="    # why\n    values = "),
    Edit("blank lines", set(), old="def double", new="\n\n\ndef double"),
    Edit("a docstring", set(), old='"""Put the rows."""', new='"""Keep the rows, all of them."""'),
    Edit("the module's docstring", set(), old="a small workflow", new="a workflow"),
    Edit("the docstring of a class", set(), old='"""A point."""', new='"""Two numbers."""'),
    Edit("a line broken in two", set(), old="x + self.y", new="x + (\n            self.y)"),
    Edit("a function that no stage uses", set(), old="return UNUSED", new="return -UNUSED"),
    Edit("a value that no stage uses", set(), old="UNUSED = 1", new="UNUSED = 2"),
    Edit("an import that no stage uses", set(), old="import json", new="import json, os"),
    Edit("a helper that no stage uses", set(), "helper.py", "return 0", "return 1"),
    Edit("a comment in a helper", set(), "helper.py", "def inner", "# inner\ndef inner"),
    Edit("a description", set(), "flow.yaml", "stages.double,", "stages.double, description: d,"),
    Edit("retries and a timeout", set(), "flow.yaml", "s.load}", "s.load, retries: 1, timeout: 9}"),
    Edit("a config key that no stage reads", set(), given={"config": {"depth": 3, "new": 1}}),
    Edit("an input that no stage reads", set(), given={"input": {"rows": [1, 2, 3], "more": 1}}),
    Edit("the order of functions", set(), "helper.py", HELPER, HELPER[HELPER.index("def inner") :]
         + "\n\n" + HELPER[: HELPER.index("def inner")]),
    Edit("a constant", DOUBLE, old="FACTOR = 2", new="FACTOR = 5"),
    Edit("an expression", DOUBLE, old="FACTOR * value", new="FACTOR * value + 1"),
    Edit("a value in a table", POINTS, old='"a": 1', new='"a": 7'),
    Edit("a method of a class", POINTS, old="self.x + self.y", new="self.x - self.y"),
    Edit("a default of a class", POINTS, old="y: int = 3", new="y: int = 4"),
    Edit("a helper", SCALE, "helper.py", "inner(value) * depth", "inner(value) - depth"),
    Edit("what a helper uses", SCALE, "helper.py", "value + 1", "value + 2"),
    Edit("another helper", LATE, "helper.py", "value - 1", "value - 2"),
    Edit("a module that a function imports", LATE, "lazy.py", "return 5", "return 6"),
    Edit("a config key that is read", SCALE, given={"config": {"depth": 4}}),
    Edit("one cell of the input", ALL, given={"input": {"rows": [1, 2, 4]}}),
    Edit("the version of a library", POINTS, "thirdparty"),
    Edit("a shared object", {"shared", "report"}, "rates"),
    Edit("what a stage depends on", {"report"}, "flow.yaml", "late, shared]", "shared, late]"),
    Edit("the target of a stage", POINTS, "flow.yaml", "stages.points", "stages.late"),
    Edit("the version of a stage", POINTS, "flow.yaml", "points, dep", "points, version: '2', dep"),
    Edit("what a module does on import", ALL, old="UNUSED = 1", new="TABLE.update(b=3)"),
]  # fmt: skip


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install a library of one module."""
    site = tmp_path / "site-packages"
    site.mkdir()
    (site / "thirdparty.py").write_text("def one():\n    return 1\n")
    _release(site, "1.0")
    monkeypatch.syspath_prepend(str(site))
    yield site
    sys.modules.pop("thirdparty", None)


def _release(site: Path, version: str) -> None:
    for old in site.glob("*.dist-info"):
        (old / "METADATA").unlink()
        old.rmdir()
    about = site / f"thirdparty-{version}.dist-info"
    about.mkdir()
    text = f"Metadata-Version: 2.1\nName: thirdparty\nVersion: {version}\n"
    (about / "METADATA").write_text(text)
    importlib.invalidate_caches()


def _run(folder: Path, **more: Any) -> Any:
    return run_workflow(folder / "flow.yaml", store=folder / "store", **more)


def _ran(record: Any) -> set[str]:
    return {stage.name for stage in record.stages if stage.attempts}


@pytest.mark.extended
def test_edits(tmp_path: Path, library: Path) -> None:
    """Of each edit exactly the stages run again whose result it may change."""
    given = {"input": {"rows": [1, 2, 3]}, "config": {"depth": 3}}
    shared = ObjectStore(str(tmp_path / "store")).at(namespace="default")
    shared.put("rates", {"x": 1}, scope="namespace")
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    first = _run(tmp_path, run="first", **given)
    assert ALL == _ran(first)
    wrong = {}
    for number, edit in enumerate(EDITS):
        path = tmp_path / edit.file
        if edit.file == "thirdparty":
            _release(library, "2.0")
        elif edit.file == "rates":
            shared.put("rates", {"x": 2}, scope="namespace")
        elif edit.old:
            assert edit.old in FILES[edit.file], edit.what
            path.write_text(FILES[edit.file].replace(edit.old, edit.new, 1))
        record = _run(tmp_path, run=f"edit-{number}", resume="first", **{**given, **edit.given})
        if _ran(record) != edit.again:
            why = {one.name: one.why for one in record.stages if one.why}
            wrong[edit.what] = (edit.again, _ran(record), why)
        fresh = _run(tmp_path, run=f"fresh-{number}", **{**given, **edit.given})
        assert fresh.result == record.result, edit.what
        if edit.file in FILES:
            path.write_text(FILES[edit.file])
        _release(library, "1.0")
        shared.put("rates", {"x": 1}, scope="namespace")
    assert {} == wrong

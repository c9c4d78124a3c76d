"""diff(): what differs between two objects or two runs, as data."""

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from runstore import ObjectStore
from runstore.context import StageRecord, new_run
from runstore.errors import (
    InvalidNameError,
    InvalidRequestError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from runstore.store import Change, ColumnDiff, TableDiff, _stream_file
from runstore.store._changes import changes


@pytest.fixture
def two(store):
    """Give a function that stores two values and returns what differs."""

    def differ(one, other, name="x"):
        store.at(namespace="dev", run="one").put(name, one)
        store.at(namespace="dev", run="other").put(name, other)
        return store.diff(f"dev/one/{name}", f"dev/other/{name}")

    return differ


FRAME = pd.DataFrame(
    {
        "a": [1, 2, 3],
        "f": [1.5, np.nan, np.nan],
        "t": ["x", None, "y"],
        "l": [["p"], None, ["q"]],
        "c": pd.Categorical(["u", "v", "u"]),
    }
)


def test_equal_values_are_equal_by_their_digests(two):
    """No value is read, and neither place nor time of the two objects counts."""
    for value in (FRAME, [1, 2], np.arange(3), "text", lambda: 1):
        found = two(value, value)
        assert (True, "digest", None) == (found.equal, found.by, found.table)
    assert two("<p>", "<p>", "x.html").equal
    assert not two("<p>", "<q>", "x.html").equal
    assert not two("<p>", "<p></p>", "y.html").equal


def test_tables_are_compared_by_column_and_row(two):
    """Each column with other values, how many rows, and the first of them; NaN is NaN."""
    other = FRAME.assign(a=[1, 7, 8], f=[1.5, np.nan, 2.0], t=["x", "z", "y"])
    other["l"] = [["p"], None, ["r"]]
    other["c"] = pd.Categorical(["u", "u", "u"])
    found = two(FRAME, other)
    assert (False, "table") == (found.equal, found.by)
    told = {column.name: (column.differing, column.first) for column in found.table.columns}
    assert {
        "a": (2, (1, "2", "7")),
        "f": (1, (2, "nan", "2.0")),
        "t": (1, (1, "None", "'z'")),
        "l": (1, (2, "['q']", "['r']")),
        "c": (1, (1, "'v'", "'u'")),
    } == told
    assert ((3, 3), 2, True) == (found.table.rows, found.table.differing, found.table.same_order)


def test_columns_types_and_rows_that_only_one_has(two):
    """Added, removed, moved and retyped columns, and more rows."""
    one = pa.table({"a": [1, 2], "b": [1, 2], "gone": [0, 0], "odd": ["x", "y"]})
    other = pa.table(
        {"b": [1, 2, 3], "a": [1.0, 2.5, 3.0], "new": [0, 0, 0], "odd": [[1], [2], [3]]}
    )
    assert (
        TableDiff(
            (
                ColumnDiff("a", "int64", "double", 1, (1, "2", "2.5")),
                ColumnDiff("gone", "int64", None, None, None),
                ColumnDiff("odd", "string", "list<item: int64>", None, None),
                ColumnDiff("new", None, "int64", None, None),
            ),
            same_order=False,
            rows=(2, 3),
            differing=1,
        )
        == two(one, other).table
    )


def test_tables_without_rows_and_other_libraries(two):
    """An empty table has columns, too; a frame of polars with equal columns is another type."""
    found = two(FRAME[["a"]].iloc[:0], FRAME[["a"]])
    assert ((), (0, 3), False) == (found.table.columns, found.table.rows, found.equal)
    found = two(pl.DataFrame({"a": [1]}), pd.DataFrame({"a": [1]}))
    assert ((), False) == (found.table.columns, found.equal)


def test_what_is_kept_beside_the_columns_counts(two):
    """Frames with the same columns and other attributes are not equal."""
    named = FRAME.copy()
    named.attrs["unit"] = "km"
    found = two(FRAME, named)
    assert (False, True, ()) == (found.equal, found.beside, found.table.columns)


def test_other_categories_are_a_difference(two):
    """Their values and their order count, also of frames without rows and below lists."""
    of = pd.Categorical
    frame = pd.DataFrame({"c": of(["u", "v"], ["u", "v"])})
    for other in (["v", "u"], ["u", "v", "w"]):
        found = two(frame, frame.assign(c=of(["u", "v"], other)))
        assert (False, True, ()) == (found.equal, found.beside, found.table.columns)
    assert not two(frame.iloc[:0], frame.iloc[:0].assign(c=of([], ["v", "u"]))).equal
    assert not two(frame.c, frame.c.cat.add_categories(["w"])).equal
    kinds = [{"c": pl.List(pl.Enum(names))} for names in (["u", "v"], ["v", "u"])]
    assert not two(*(pl.DataFrame({"c": [["u"]]}, schema=kind) for kind in kinds)).equal
    spans = pd.interval_range(0, 2)
    parts = [pd.DataFrame({"c": of([spans[0]], names)}) for names in (spans, spans[::-1])]
    assert (False, True) == (two(*parts).equal, two(*parts).beside)
    assert two(frame, frame.assign(c=of(["u", "v"], ["v", "u"])), "x.parquet").beside


def test_categories_may_be_views(two):
    """Polars has the texts of categories in a form that Arrow takes nothing out of."""
    kind = {"c": pl.Categorical}
    one, other = (pl.DataFrame({"c": list(texts)}, schema=kind) for texts in ("uv", "uu"))
    (column,) = two(one, other).table.columns
    assert ("c", 1, (1, "'v'", "'u'")) == (column.name, column.differing, column.first)


def test_the_schema_of_an_arrow_table_counts(two):
    """Whether a column may be null, and the metadata of the schema and of its fields."""
    table = pa.table({"a": [1, 2]})
    required = table.cast(pa.schema([pa.field("a", pa.int64(), nullable=False)]))
    noted = table.cast(pa.schema([pa.field("a", pa.int64(), metadata={"unit": "km"})]))
    inner = [
        pa.list_(pa.field("item", pa.int64(), metadata={"unit": unit})) for unit in ("km", "m")
    ]
    for name in ("x", "x.parquet"):
        found = two(table, required, name)
        assert (ColumnDiff("a", "int64", "int64 not null", 0, None),) == found.table.columns
        for other in (table.replace_schema_metadata({"unit": "km"}), noted):
            found = two(table, other, name)
            assert (False, True, ()) == (found.equal, found.beside, found.table.columns)
    assert two(*(pa.table({"a": pa.array([[1]], kind)}) for kind in inner)).beside


def test_parquet_files_with_other_columns_are_not_equal(two):
    """A name or a type stands in the footer of such a file alone."""
    table = pa.table({"a": ["u", "v"]})
    found = two(table, table.rename_columns(["b"]), "x.parquet")
    assert (False, ["a", "b"]) == (found.equal, [one.name for one in found.table.columns])
    found = two(table, table.cast(pa.schema({"a": pa.binary()})), "x.parquet")
    assert (False, "binary") == (found.equal, found.table.columns[0].other)
    found = two(table, table, "x.parquet")
    assert (True, "digest") == (found.equal, found.by)


def test_pieces_of_other_sizes_are_brought_together(store, monkeypatch):
    """Tables that were written in other pieces, or as parts, are compared row by row."""
    monkeypatch.setattr(_stream_file, "_LEAST", 1)
    views = [store.at(namespace="dev", run=run) for run in ("one", "other")]
    rows = np.arange(10_000)
    for view, size in zip(views, (700, 1_300), strict=True):
        with view.writer("t") as writer:
            for start in range(0, len(rows), size):
                changed = np.where(rows == 9_001, -1, rows) if view is views[1] else rows
                writer.write(pa.table({"n": changed[start : start + size]}))
        for part, start in enumerate(range(0, len(rows), size)):
            view.put("p", pa.table({"n": rows[start : start + size]}), part=part)
        view.seal("p")
    (column,) = store.diff("dev/one/t", "dev/other/t").table.columns
    assert (1, (9_001, "9001", "-1")) == (column.differing, column.first)
    found = store.diff("dev/one/p", "dev/other/p")
    assert (True, "table") == (found.equal, found.by)
    assert "digest" == store.diff("dev/one/p", "dev/one/p").by


def test_a_large_table_is_compared_in_bounded_memory(tmp_path, monkeypatch):
    """Arrow holds a few pieces of each table, not the tables."""
    monkeypatch.setattr(_stream_file, "_LEAST", 1)
    store = ObjectStore(tmp_path / "store")
    monkeypatch.setattr(
        type(store.backend), "guarantees", replace(store.backend.guarantees, mapped=False)
    )
    for run in ("one", "other"):
        with store.at(namespace="dev", run=run).writer("t") as writer:
            for piece in range(40):
                writer.write(pa.table({"n": np.full(100_000, piece + (run == "other") * 0.5)}))
    size = store.at(namespace="dev", run="one").stat("t").size
    before = pa.total_allocated_bytes()
    most = 0
    from runstore.store import _diff_tables

    compare = _diff_tables._compared

    def watched(*what):
        nonlocal most
        most = max(most, pa.total_allocated_bytes() - before)
        return compare(*what)

    monkeypatch.setattr(_diff_tables, "_compared", watched)
    assert 4_000_000 == store.diff("dev/one/t", "dev/other/t").table.differing
    assert most < size / 2


def test_plain_data_is_compared_by_value(two):
    """Each value that was added, removed or changed, with the way to it."""
    one = {"a": [1, {"b": 2}], "gone": None, "n": float("nan"), "same": [1.5, "x"]}
    other = {"a": [1, {"b": True}, 3], "new": 1, "n": float("nan"), "same": [1.5, "x"]}
    expected = (
        Change("a[1].b", "changed", 2, True),
        Change("a[2]", "added", None, 3),
        Change("gone", "removed", None, None),
        Change("new", "added", None, 1),
    )
    assert expected == two(one, other).changes
    del one["n"], other["n"]
    assert expected == two(one, other, "x.json").changes
    assert (Change("[0]", "changed", 1, "1"),) == two([1], ["1"]).changes
    assert not two({"a": (1,)}, {"a": [1]}).equal
    assert (Change("a", "changed", (1,), [1]),) == changes({"a": (1,)}, {"a": [1]})


def test_arrays_are_compared_by_item(two):
    """Of arrays of one shape the number of items that differ; others differ as a whole."""
    one = np.array([0.0, np.nan, 2.0, 3.0])
    found = two(one, np.array([0.0, np.nan, 2.5, 3.5]))
    assert (False, "array", 2) == (found.equal, found.by, found.items)
    assert (False, None) == (two(one, one[:3]).equal, two(one, one[:3]).items)
    assert not two(np.arange(3, dtype="i4"), np.arange(3, dtype="i8")).equal


def test_pickles_are_not_loaded(two):
    """They are compared by their digests; what is in them is not looked at."""
    found = two(Bomb(1), Bomb(2))
    assert (False, "digest") == (found.equal, found.by)


class Bomb:
    """A value whose loading fails, but for the trial that `put` makes."""

    def __init__(self, number):
        self.number = number

    def __setstate__(self, state):
        assert "diff" not in _calls(), "it was loaded"
        self.__dict__ = state


def _calls():
    import inspect

    return [frame.function for frame in inspect.stack()]


def test_metadata_and_csv(store):
    """Metadata is told beside the value; a CSV file is a table."""
    views = [store.at(namespace="dev", run=run) for run in ("one", "other")]
    for number, view in enumerate(views):
        view.put("x", [1], metadata={"owner": number})
        view.put("t.csv", pd.DataFrame({"a": [1, 2 + number]}))
    found = store.diff("dev/one/x", "dev/other/x")
    assert (True, (Change("owner", "changed", 0, 1),)) == (found.equal, found.metadata)
    (column,) = store.diff("dev/one/t.csv", "dev/other/t.csv").table.columns
    assert ("a", 1) == (column.name, column.differing)


def test_references_name_a_version(store):
    """A reference is what it names, or an error once that was replaced."""
    view = store.at(namespace="dev", run="one")
    view.put("x", [1])
    ref = view.ref("x")
    assert store.diff(ref, "dev/one/x").equal
    view.put("x", [2])
    with pytest.raises(PreconditionFailedError):
        store.diff(ref, "dev/one/x")


def test_two_runs_are_compared(store):
    """Which objects only one has, which differ, how the stages went."""
    views = [store.at(namespace="dev", run=run) for run in ("one", "other")]
    for number, view in enumerate(views):
        view.put_many({"same": 1, "changed": number, f"only-{number}": 1, "x.html": f"<{number}>"})
        view.put("p", [1], part=1)
        view.seal("p")
        stages = (StageRecord(name="s", state="finished" if number else "failed"),)
        run = new_run("w", namespace="dev", name=view.run)
        store.write_run(run.model_copy(update={"stages": stages}))
    found = store.diff("dev/one", "dev/other")
    assert [
        ("changed", "changed"),
        ("only-0", "removed"),
        ("only-1", "added"),
        ("x.html", "changed"),
    ] == [(one.name, one.kind) for one in found.objects]
    assert (2, False) == (found.same, found.equal)
    assert Change("stages.s.state", "changed", "failed", "finished") in found.stages
    assert () == found.input + found.config + found.code
    assert store.diff("dev/one", "dev/one").equal


def test_what_two_runs_were_given_is_compared(store):
    """Input, config, sources of the stages, commits and libraries, each value by its path."""
    for name, year, source in (("one", 2013, "a" * 32), ("other", 2014, "b" * 32)):
        told = {
            "input": {"year": year, "same": 1},
            "config": {"model": {"rates": [0.1, year]}},
            "stages": (StageRecord(name="s", target="m.s", source=source),),
            "commit": "c0ffee",
            "versions": {"pandas": f"2.{year}"},
        }
        store.write_run(new_run("w", namespace="dev", name=name).model_copy(update=told))
    found = store.diff("dev/one", "dev/other")
    assert (Change("year", "changed", 2013, 2014),) == found.input
    assert (Change("model.rates[1]", "changed", 2013, 2014),) == found.config
    assert (Change("stages.s.source", "changed", "a" * 32, "b" * 32),) == found.code
    assert (Change("pandas", "changed", "2.2013", "2.2014"),) == found.versions
    assert (False, 0, ()) == (found.equal, found.same, found.objects)


def test_a_run_without_a_record_has_objects(store):
    """Interactive runs can be compared; a run that is nowhere is an error."""
    store.at(namespace="dev", run="one").put("x", 1)
    store.at(namespace="dev", run="other").put("x", 1)
    found = store.diff("dev/one", "dev/other")
    assert (True, None, 1) == (found.equal, found.one, found.same)
    for sides in (("dev/one", "dev/none"), ("dev/none", "dev/one")):
        with pytest.raises(ObjectNotFoundError, match="'none'"):
            store.diff(*sides)


def test_wrong_names_are_refused(store):
    """What is no name, or one object and one run, is refused before anything is read."""
    store.at(namespace="dev", run="one").put("x", 1)
    for one in ("x", "dev", "dev/", "/r/x", "dev/_shared", "dev/r/../x", "runstore://x"):
        with pytest.raises(InvalidNameError):
            store.diff(one, "dev/one/x")
    with pytest.raises(InvalidRequestError, match="two objects or two runs"):
        store.diff("dev/one", "dev/one/x")
    with pytest.raises(ObjectNotFoundError):
        store.diff("dev/one/x", "dev/one/y")

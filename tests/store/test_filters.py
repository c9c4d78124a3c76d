"""get(filters=…): the rows that a filter selects, the same as from the whole table."""

import datetime as dt
import operator as op
import re
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runstore import ObjectStore
from runstore.errors import InvalidRequestError, UnsupportedValueError
from runstore.places import Wrapper
from runstore.store import _stream_file
from runstore.store._objects import Objects
from runstore.testing import assert_same

field = pc.field
DAY, UTC = dt.date(2026, 1, 1), dt.UTC
VALUES = {
    "int8": (pa.int8(), st.integers(-5, 5)),
    "uint64": (pa.uint64(), st.integers(0, 2**64 - 1)),
    "float32": (pa.float32(), st.sampled_from([-1.5, 0.0, -0.0, 2.5, float("nan"), float("inf")])),
    "float64": (pa.float64(), st.sampled_from([-1.5, 0.0, 7.25, float("nan"), float("-inf")])),
    "bool": (pa.bool_(), st.booleans()),
    "string": (pa.string(), st.sampled_from(["", "a", "b", "zz", "é", "\U0001f600"])),
    "string_view": (pa.string_view(), st.sampled_from(["", "a", "longer than twelve bytes"])),
    "binary": (pa.binary(), st.sampled_from([b"", b"a", b"\xff"])),
    "date": (pa.date32(), st.integers(0, 5).map(lambda n: DAY + dt.timedelta(n))),
    "timestamp": (
        pa.timestamp("us"),
        st.integers(0, 5).map(lambda n: dt.datetime(2026, 1, 1 + n)),
    ),
    "zoned": (
        pa.timestamp("ns", "UTC"),
        st.integers(0, 5).map(lambda n: dt.datetime(2026, 1, 1 + n, tzinfo=UTC)),
    ),
    "duration": (pa.duration("s"), st.integers(0, 5).map(lambda n: dt.timedelta(seconds=n))),
    "time": (pa.time64("us"), st.integers(0, 5).map(lambda n: dt.time(n))),
    "decimal": (pa.decimal128(5, 2), st.integers(-3, 3).map(lambda n: Decimal(n).scaleb(-1))),
    "labels": (pa.dictionary(pa.int8(), pa.string()), st.sampled_from(["a", "b"])),
}
OPERATORS = ["==", "!=", "<", "<=", ">", ">=", "in", "not in"]


@st.composite
def cases(draw):
    """Pieces of a table of one column and its row numbers, and a filter of that column."""
    name = draw(st.sampled_from(sorted(VALUES)))
    kind, values = VALUES[name]
    cells = st.lists(st.none() | values, min_size=1, max_size=4)
    pieces = draw(st.lists(cells, min_size=1, max_size=7))
    if draw(st.booleans()):  # clustered, as sorted tables are: then there are ranges
        flat = [cell for piece in pieces for cell in piece]
        flat.sort(key=lambda cell: (cell is None, str(cell) if cell is None else cell))
        sizes = np.cumsum([0, *map(len, pieces)])
        pieces = [flat[a:b] for a, b in pairwise(sizes)]
    operator = draw(st.sampled_from(OPERATORS))
    if name == "labels":
        operator = draw(st.sampled_from(["==", "!=", "in", "not in"]))
    value = draw(values)
    if operator in ("in", "not in"):
        value = [value, draw(st.none() | values)]
    how = draw(st.sampled_from(["lists", "expression", "inverted"]))
    return name, kind, pieces, operator, value, how


def _filter(column, kind, operator, value, how):
    if how == "lists":
        return [(column, operator, value)]
    at = field(column)
    of = kind.value_type if pa.types.is_dictionary(kind) else kind
    of = pa.string() if of == pa.string_view() else of
    if operator in ("in", "not in"):
        found = at.isin(pa.array(value, of))
        found = ~found if operator == "not in" else found
    else:
        value = pa.scalar(value, of)
        compared = {
            "==": at == value, "!=": at != value, "<": at < value,
            "<=": at <= value, ">": at > value, ">=": at >= value,
        }  # fmt: skip
        found = compared[operator]
    return ~found if how == "inverted" else found


def _selected(table, expression):
    """Select without anything of runstore: by the compute functions, from the whole table."""
    plain = table.set_column(0, "c", _plain(table["c"]))
    kept = plain.filter(expression)["row"].to_pylist()
    # Not by take(), which knows no views of text.
    return pa.concat_tables([table.slice(0, 0), *(table.slice(row, 1) for row in kept)])


def _plain(column):
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    return column.cast(pa.string()) if column.type == pa.string_view() else column


@pytest.fixture(scope="module")
def view():
    return ObjectStore("memory://filters").at(namespace="dev", run="r1")


@pytest.mark.parametrize("name", ["x", "x.parquet"])
@given(case=cases())
@example(case=("uint64", pa.uint64(), [[2**63]], "==", 0, "lists"))
@example(case=("uint64", pa.uint64(), [[2**63, 1], [None]], "not in", [0, None], "lists"))
def test_a_filter_selects_what_it_selects_of_the_whole(name, view, case):
    """For every type, operator and missing value; in pieces that can be left out, or as one."""
    import pyarrow.parquet as pq

    of, kind, pieces, operator, value, how = case
    if name.endswith("parquet") and of in ("labels", "string_view"):
        return
    labels = pa.array(["a", "b"]) if of == "labels" else None
    tables, row = [], 0
    for cells in pieces:
        column = pa.array(cells, pa.string() if labels is not None else kind)
        if labels is not None:
            column = pa.DictionaryArray.from_arrays(
                pa.array([None if c is None else "ab".index(c) for c in cells], pa.int8()), labels
            )
        tables.append(pa.table({"c": column, "row": pa.array(range(row, row + len(cells)))}))
        row += len(cells)
    whole = pa.concat_tables(tables)
    wanted = _filter("c", kind, operator, value, how)
    expression = pq.filters_to_expression(wanted) if isinstance(wanted, list) else wanted
    try:
        expected = _selected(whole, expression)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        if of != "uint64" or how != "lists":  # no such comparison in Arrow
            view.put("all", whole)
            with pytest.raises(InvalidRequestError, match="cannot be filtered"):
                view.get("all", filters=wanted)
            return
        # Arrow takes the number for an int64, which large numbers of the column are not.
        expression = _filter("c", kind, operator, value, "expression")
        expected = _selected(whole, expression)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_stream_file, "_LEAST", 1)
        with view.writer(name) as w:
            w.write_all(tables)
    got = view.get(name, filters=wanted)
    assert expected["row"].to_pylist() == got["row"].to_pylist()
    assert expected.schema == got.schema
    view.put(f"all-{name}", whole)
    again = view.get(f"all-{name}", filters=wanted, columns=["row"])
    assert expected["row"].to_pylist() == again["row"].to_pylist()
    assert (
        expected["row"].to_pylist()
        == view.scan(name).to_table(columns=["row"], filter=expression)["row"].to_pylist()
    )


def frame(rows=30):
    values = np.arange(rows)
    data = {
        "x": values,
        "f": np.where(values % 5 == 0, np.nan, values / 2),
        "s": [None if v % 4 == 0 else f"t{v % 3}" for v in values],
        "t": pd.to_datetime([None if v % 7 == 0 else f"2026-01-{v % 28 + 1:02}" for v in values]),
        "i": pd.array([None if v % 6 == 0 else v for v in values], dtype="Int32"),
        "c": pd.Categorical([None if v % 9 == 0 else "ab"[v % 2] for v in values]),
        "z": pd.date_range("2026-01-01", periods=rows, freq="h", tz="Europe/Berlin"),
        "d": pd.array([f"w{v}" for v in values], dtype="string"),
    }
    return pd.DataFrame(data)


MASKS = {
    "equal": ([("x", "==", 7)], lambda d: d.x == 7),
    "none": ([("x", ">", 100)], lambda d: d.x > 100),
    "all": ([("x", ">=", 0)], lambda d: d.x >= 0),
    "or": ([[("x", "<", 2)], [("s", "in", ["t1"]), ("x", ">", 20)]],
           lambda d: (d.x < 2) | ((d.s == "t1") & (d.x > 20))),
    "nan": (~(field("f") > 3), lambda d: ~(d.f > 3)),
    "text": (field("s") == "t2", lambda d: d.s == "t2"),
    "time": ([("t", ">", pd.Timestamp("2026-01-20"))], lambda d: d.t > pd.Timestamp("2026-01-20")),
    "nullable": ([("i", "<", 8)], lambda d: (d.i < 8).fillna(False)),
    "labels": ([("c", "=", "b")], lambda d: d.c == "b"),
    "valid": (field("i").is_valid(), lambda d: d.i.notna()),
    "zoned": ([("z", "<", pd.Timestamp("2026-01-01 05:00", tz="UTC"))],
              lambda d: d.z < pd.Timestamp("2026-01-01 05:00", tz="UTC")),
}  # fmt: skip


@pytest.mark.extended
@pytest.mark.parametrize("pieces", [1, 4])
@pytest.mark.parametrize("name", ["x", "x.parquet"])
@pytest.mark.parametrize("index", ["range", "labels", "times"])
def test_frames_of_pandas_are_as_by_a_mask(view, name, pieces, index, monkeypatch):
    """Index, dtypes and order; whole and with columns; put whole, and written in pieces."""
    whole = frame()
    if index == "labels":
        whole.index = pd.Index([f"r{i}" for i in range(len(whole))], name="id")
    elif index == "times":
        whole.index = pd.DatetimeIndex(whole.z, freq=None, name="at")
    monkeypatch.setattr(_stream_file, "_LEAST", 1)
    if pieces == 1:
        view.put(name, whole)
    else:
        rows = len(whole) // pieces + 1
        with view.writer(name) as w:
            w.write_all(whole.iloc[at : at + rows] for at in range(0, len(whole), rows))
    for wanted, mask in MASKS.values():
        expected = whole[mask(whole)]
        assert_same(expected, view.get(name, filters=wanted))
        assert_same(expected[["s", "f"]], view.get(name, filters=wanted, columns=["s", "f"]))
        got, info = view.get_with_info(name, filters=wanted)
        assert_same(expected, got)
        assert info == view.stat(name)
        batches = list(view.iter_batches(name, filters=wanted, batch_rows=4))
        assert [4] * (len(expected) // 4) == [len(b) for b in batches if len(b) == 4]
        assert_same(expected, pd.concat([expected.iloc[:0], *batches]))


@pytest.mark.parametrize("stored", ["whole", "pieces", "sealed"])
@pytest.mark.parametrize("kind", [pd.DataFrame, pa.Table, pl.DataFrame])
def test_rows_are_counted_without_columns(view, kind, stored, monkeypatch):
    """`columns=[]` gives as many rows as there are, or as the filter selects."""
    whole = pd.DataFrame({"x": np.arange(10)})
    if kind is not pd.DataFrame:
        whole = pa.table({"x": np.arange(10)}) if kind is pa.Table else pl.DataFrame(whole)
    parts = [whole[:5], whole[5:]]
    monkeypatch.setattr(_stream_file, "_LEAST", 1)
    view.delete("n", missing_ok=True)
    if stored == "whole":
        view.put("n", whole)
    elif stored == "pieces":
        with view.writer("n") as w:
            w.write_all(parts)
    else:
        for key, part in enumerate(parts):
            view.put("n", part, part=key)
        view.seal("n")
    for filters, count in ((None, 10), ([("x", ">", 2)], 7)):
        assert (count, 0) == view.get("n", columns=[], filters=filters).shape
        for how in ({}, {"batch_rows": 3}, {"as_type": pa.Table}, {"as_type": pa.RecordBatch}):
            batches = list(view.iter_batches("n", columns=[], filters=filters, **how))
            assert count == sum(_rows(batch) for batch in batches)
            assert all(_rows(batch) <= how.get("batch_rows", 10) for batch in batches)


def _rows(batch):
    return batch.num_rows if isinstance(batch, (pa.RecordBatch, pa.Table)) else len(batch)


@pytest.mark.parametrize("name", ["x", "x.parquet"])
def test_a_type_that_rows_cannot_have_is_no_damage(view, name, monkeypatch):
    """What is no class of tables is refused at once; another one is named when it is read."""
    monkeypatch.setattr(_stream_file, "_LEAST", 1)
    with view.writer(name) as w:
        w.write_all([frame().iloc[:20], frame().iloc[20:]])
    for kind in (pl.LazyFrame, dict, list, bytes, int):
        with pytest.raises(InvalidRequestError, match="as_type must be a class of tables"):
            view.iter_batches("not there", as_type=kind)
    wanted = [("x", ">", 7)]
    for kind in (pl.Series, pa.Array, pd.Series, np.ndarray):
        with pytest.raises(UnsupportedValueError, match="cannot be read exactly as"):
            list(view.iter_batches(name, as_type=kind))
        with pytest.raises(UnsupportedValueError, match="cannot be read exactly as"):
            list(view.iter_batches(name, filters=wanted, as_type=kind))
        with pytest.raises(UnsupportedValueError, match="cannot be read exactly as"):
            view.get(name, filters=wanted, as_type=kind)
    with pytest.raises(UnsupportedValueError, match="cannot be read exactly as"):
        view.get(name, filters=wanted, as_type=pl.LazyFrame)
    assert [12, 10] == [
        len(b) for b in view.iter_batches(name, filters=wanted, as_type=pl.DataFrame)
    ]


def test_frames_of_polars_and_series_and_files(view):
    """polars selects alike; a .csv is filtered, too; what has no rows is refused."""
    frame = pl.DataFrame({"x": [1, None, 3], "s": ["a", "b", None]})
    view.put("p", frame)
    assert_same(frame.filter(pl.col("x") > 1), view.get("p", filters=[("x", ">", 1)]))
    assert_same(frame.filter(pl.col("s") == "b"), view.get("p", filters=field("s") == "b"))
    as_type = view.get("p", filters=[("x", ">", 1)], as_type=pa.Table)
    assert [3] == as_type["x"].to_pylist()
    view.put("t.csv", pd.DataFrame({"x": [1, 2, 3], "y": ["a", "b", "c"]}))
    got = view.get("t.csv", filters=[("x", ">", 1)], columns=["y"])
    assert ["b", "c"] == got["y"].tolist()
    view.put("pickled", pd.DataFrame({"x": [1, 2], "o": [object(), 1]}))
    assert 1 == len(view.get("pickled", filters=[("x", "==", 2)]))
    for name, value in (("text", "abc"), ("list", [1, 2]), ("j.json", {"a": 1})):
        view.put(name, value)
        with pytest.raises(InvalidRequestError, match=name):
            view.get(name, filters=[("x", ">", 1)])


@pytest.mark.parametrize("labels", [[1, 2], [("a", 1), ("b", 2)]])
def test_columns_go_by_their_labels(view, labels):
    """Also those that are no text, in the lists."""
    whole = pd.DataFrame([[1, 2], [3, 4]], columns=pd.Index(labels, tupleize_cols=False))
    view.put("x", whole)
    assert_same(whole.iloc[1:], view.get("x", filters=[(labels[0], ">", 1)]))


def test_missing_values_and_large_numbers_in_lists(view):
    """`in` and `not in` look up missing values as well; no list and no number is too much."""
    view.put("x", pd.DataFrame({"i": [1, 2, 3], "s": ["a", None, "b"], "f": [1.0, 2.0, 2.0**70]}))
    view.put("u", pa.table({"u": pa.array([1, 2**63, 2**64 - 1], pa.uint64())}))
    for name, wanted, expected in (
        ("x", ("s", "not in", ["a"]), [1, 2]),
        ("x", ("s", "not in", ["a", None]), [2]),
        ("x", ("s", "in", ["a", None]), [0, 1]),
        ("x", ("s", "!=", "a"), [2]),
        ("x", ("s", "in", []), []),
        ("x", ("s", "not in", []), [0, 1, 2]),
        ("x", ("f", "<", 2**70), [0, 1]),
        ("x", ("f", "in", [1, 2**70]), [0, 2]),
        ("u", ("u", ">=", 2**63), [1, 2]),
        ("u", ("u", "in", [1, 2**64 - 1]), [0, 2]),
    ):
        got = view.get(name, filters=[wanted])
        whole = view.get(name)
        if name == "x":
            assert_same(whole.iloc[expected], got)
        else:
            assert whole.take(expected).equals(got)
    with pytest.raises(InvalidRequestError, match=r"a very large int\): .* column 's'"):
        view.get("x", filters=[("s", "==", 2**70)])


_INTS = st.sampled_from(
    [0, 1, -1, 2, 127, 255, 256, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)]
)
_FLOATS = st.sampled_from([0.0, 0.5, 1.0, -1.5, 2.0**53, 2.0**63, -(2.0**63), 2.0**70])
_WIDE = st.sampled_from([-(2**64), 2**70, float("inf"), float("-inf"), float("nan"), 10**400])
_NUMBERS = _INTS | _FLOATS | _WIDE
_KINDS = {"i": pa.int64(), "u": pa.uint64(), "b": pa.int8(), "f": pa.float64()}


@given(
    kind=st.sampled_from(sorted(_KINDS)),
    cells=st.lists(st.none() | _INTS | _FLOATS, min_size=1, max_size=5),
    operator=st.sampled_from(OPERATORS),
    numbers=st.lists(_NUMBERS, min_size=1, max_size=3),
)
def test_numbers_are_compared_as_in_python(kind, cells, operator, numbers):
    """Exactly, whatever the type of the column holds: no filter is refused for its number."""
    held = []
    for cell in cells:
        try:
            pa.array([cell], _KINDS[kind])
        except (pa.ArrowInvalid, OverflowError):
            continue
        held.append(cell)
    table = pa.table({kind: pa.array(held, _KINDS[kind])})
    view = ObjectStore("memory://").at(namespace="n", run="r")
    view.put("x", table)
    compare = {"==": op.eq, "!=": op.ne, "<": op.lt, "<=": op.le, ">": op.gt, ">=": op.ge}
    if operator in ("in", "not in"):
        given_, keep = numbers, lambda cell: (cell in numbers) == (operator == "in")
    else:
        given_ = numbers[0]
        keep = lambda cell: cell is not None and compare[operator](cell, numbers[0])  # noqa: E731
    expected = [cell for cell in table[kind].to_pylist() if keep(cell)]
    assert expected == view.get("x", filters=[(kind, operator, given_)])[kind].to_pylist()


def test_the_condition_that_does_not_fit_is_named(view):
    """Of several, whether that is seen by the types or by a value."""
    view.put("x", pa.table({"i": [1, 2], "s": ["a", "b"]}))
    for wrong in (("s", ">", 1), ("i", "==", "x"), ("i", "in", [1, "x"])):
        with pytest.raises(InvalidRequestError, match=re.escape(repr(wrong))):
            view.get("x", filters=[("i", ">", 0), wrong])
    with pytest.raises(InvalidRequestError, match=r"\('s', '==', a very large int\)"):
        view.get("x", filters=[("s", "==", 10**5000)])


@pytest.mark.parametrize("name", ["x", "x.parquet"])
def test_no_piece_is_left_out_by_a_comparison_with_nan(view, name, monkeypatch):
    """That a number is not less than NaN is true for every number."""
    monkeypatch.setattr(_stream_file, "_LEAST", 1)
    table = pa.table({"f": pa.array([None, -1.5], pa.float32())})
    with view.writer(name) as w:
        w.write_all([table.slice(0, 1), table.slice(1)])
    for wanted in (~(field("f") < float("nan")), [("f", "!=", float("nan"))]):
        assert [-1.5] == view.get(name, filters=wanted)["f"].to_pylist()


@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize("name", ["x", "x.parquet"])
def test_an_index_is_filtered_by_its_name(view, name, pieces, monkeypatch):
    """Each level of a stored index has a name; one that counts the rows is not stored."""
    monkeypatch.setattr(_stream_file, "_LEAST", 1)

    def put(frame):
        if pieces == 1:
            view.put(name, frame)
        else:
            with view.writer(name) as w:
                w.write_all([frame.iloc[:2], frame.iloc[2:]])

    flat = pd.DataFrame({"v": [1, 2, 3, 4]}, index=pd.Index([10, 20, 30, 40], name="id"))
    put(flat)
    assert_same(flat.iloc[1:3], view.get(name, filters=[("id", ">", 10), ("v", "<", 4)]))
    if name == "x":  # Parquet has no labels of levels
        levels = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["k", "n"])
        deep = flat.set_index(levels)
        put(deep)
        got = view.get(name, filters=[("k", "==", "b"), ("n", "==", 2)])
        assert [("b", 2)] == got.index.tolist()
    counted = flat.reset_index(drop=True).rename_axis("row")
    put(counted)
    with pytest.raises(InvalidRequestError, match=r"'row'"):
        view.get(name, filters=[("row", ">", 1)])


WRONG = {
    "no column": (
        [("nope", ">", 1)],
        r"^\S+ cannot be filtered so: \(.*\): it has no column 'nope'; ",
    ),
    "no column of an expression": (field("nope") > 1, "no column 'nope'"),
    "of another type": ([("x", ">", "a")], "cannot be filtered"),
    "not true or false": (field("x") + 1, "not true or false"),
    "an unknown operator": ([("x", "~", 1)], "'~' is no operator"),
    "half a condition": ([("x", ">")], "a column, an operator and a value, .* not a tuple of 2"),
    "a text": ("x > 1", "filters must be a pyarrow"),
    "a dict": ({"x": 1}, "filters must be a pyarrow"),
    "no list of values": ([("x", "in", 3)], "takes a list of values"),
    "an empty list in a list": ([[]], "filters must be a pyarrow"),
}


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("pieces", [1, 3])
def test_a_filter_that_cannot_be_used_is_refused(view, what, pieces, monkeypatch):
    """One error of ours, which names the object or the argument."""
    wanted, said = WRONG[what]
    monkeypatch.setattr(_stream_file, "_LEAST", 1)
    with view.writer("x") as w:
        w.write_all([pd.DataFrame({"x": [1, 2]})] * pieces)
    for call in (view.get, view.get_with_info, view.iter_batches):
        with pytest.raises(InvalidRequestError, match=said):
            call("x", filters=wanted)
    assert 2 * pieces == len(view.get("x", filters=[]))


# Far away ----------------------------------------------------------------------------------------


class _Counted(Wrapper):
    """A place whose bytes are read over a network, counted."""

    def __init__(self, backend):
        super().__init__(backend)
        self.moved = self.calls = 0

    @property
    def guarantees(self):
        return replace(super().guarantees, mapped=False, versions="write")

    def _count(self, data):
        self.moved, self.calls = self.moved + memoryview(data).nbytes, self.calls + 1
        return data

    def get(self, key, **how):
        data, entry = super().get(key, **how)
        return self._count(data), entry

    def tail(self, key, length):
        data, entry = super().tail(key, length)
        return self._count(data), entry

    def read(self, key, start, length, version):
        return self._count(super().read(key, start, length, version))


@pytest.mark.parametrize("policy", ["allow", "deny"])
@pytest.mark.parametrize("make", [lambda frame: frame, pa.table, pl.DataFrame])
def test_of_one_batch_far_away_only_what_is_asked_for_is_read(tmp_path, make, policy):
    """Columns and filters of a table that is one batch cost the ranges of these columns."""
    numbers = np.random.default_rng(1).random((16, 100_000))
    frame = pd.DataFrame({f"c{at}": row for at, row in enumerate(numbers)})
    store = ObjectStore(tmp_path / "store", pickle=policy)
    place = _Counted(store.backend)
    store._now = Objects(place, store.address.pickle)
    view = store.at(namespace="dev", run="r")
    info = view.put("x", make(frame))
    for how, columns in (
        ({"columns": ["c3"]}, 1),
        ({"columns": ["c3"], "filters": [("c3", ">", 0.5)]}, 1),
        ({"columns": ["c3"], "filters": [("c7", ">", 0.5)]}, 2),
        ({"columns": ["c3", "c1"], "filters": pc.field("c7") > 0.5}, 3),
    ):
        place.moved = place.calls = 0
        found = view.get("x", **how)
        assert place.moved < (columns / 16 + 0.02) * info.size + 100_000
        assert place.calls <= 5
        rows = numbers[7] > 0.5 if columns > 1 else numbers[3] > 0.5
        expected = numbers[3][rows] if "filters" in how else numbers[3]
        assert expected.tolist() == found["c3"].to_numpy().tolist()
    with pytest.raises(InvalidRequestError, match="no column 'c99'"):
        view.get("x", columns=["c3"], filters=[("c99", ">", 1)])
    store.close()

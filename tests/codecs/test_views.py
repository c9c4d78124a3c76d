"""A view is stored without its parent: nothing that it does not show is in the file."""

import datetime as dt
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from runstore import ObjectStore
from runstore.codecs._numpy_dtypes import without_gaps
from runstore.containers import Header, arrow_file
from runstore.referred import nbytes_of, referred_array, referred_batches
from runstore.testing import assert_same

MARKER = "FILTERED-OUT-"
NUMBER = 0x4445524554_4C4946  # eight letters of it
ROWS = 60

TEXT = [None if n % 7 == 3 else f"{MARKER}{n}" if n % 3 else f"kept {n}" for n in range(ROWS)]
LONG = [None if t is None else t.ljust(40, "_") for t in TEXT]
LISTS = [None if n % 11 == 1 else [t, t] for n, t in enumerate(LONG)]
FIXED = [None if t is None else t.encode().ljust(16, b"_")[:16] for t in TEXT]
NUMBERS = [NUMBER if n % 3 else n for n in range(ROWS)]
STRUCT = [None if n % 11 == 1 else {"t": t, "n": n} for n, t in enumerate(LONG)]


def _text(kind: pa.DataType, texts: list[str | None] = LONG) -> Callable[[], pa.Array]:
    return lambda: pa.array(texts).cast(kind)


def _sparse() -> pa.Array:
    codes = pa.array([0, 1] * (ROWS // 2), pa.int8())
    return pa.UnionArray.from_sparse(codes, [pa.array(LONG), pa.array(range(ROWS))])


def _dense() -> pa.Array:
    codes = pa.array([0, 1] * (ROWS // 2), pa.int8())
    offsets = pa.array(np.repeat(np.arange(ROWS // 2), 2), pa.int32())
    children = [pa.array(LONG[: ROWS // 2]), pa.array(range(ROWS // 2))]
    return pa.UnionArray.from_dense(codes, offsets, children)


# Arrow arrays, of which slices are taken.
ARRAYS: dict[str, Callable[[], pa.Array]] = {
    "string": _text(pa.string()),
    "large string": _text(pa.large_string()),
    "string view": _text(pa.string_view()),
    "short string view": _text(pa.string_view(), TEXT),
    "binary": _text(pa.binary()),
    "large binary": _text(pa.large_binary()),
    "binary view": _text(pa.binary_view()),
    "list": lambda: pa.array(LISTS, pa.list_(pa.string())),
    "large list of views": lambda: pa.array(LISTS, pa.large_list(pa.string_view())),
    "list view": lambda: pa.array(LISTS, pa.list_view(pa.string())),
    "large list view": lambda: pa.array(LISTS, pa.large_list_view(pa.string())),
    "fixed size list": lambda: pa.array([[t, t] for t in LONG], pa.list_(pa.string(), 2)),
    "struct": lambda: pa.array(STRUCT, pa.struct([("t", pa.string_view()), ("n", pa.int8())])),
    "map": lambda: pa.array([[("k", t)] for t in LONG], pa.map_(pa.string(), pa.string())),
    "sparse union": _sparse,
    "dense union": _dense,
    "run ends": lambda: pc.run_end_encode(pa.array(LONG)),
    "numbers": lambda: pa.array(NUMBERS),
    "times": lambda: pa.array(NUMBERS, pa.timestamp("ns")),
    "decimals": lambda: pa.array(NUMBERS).cast(pa.decimal128(25)),
    "fixed size binary": lambda: pa.array(FIXED, pa.binary(16)),
    "numbers in lists": lambda: pa.array([[n] for n in NUMBERS], pa.large_list(pa.int64())),
    "truth": lambda: pa.array([None if n % 7 == 1 else n % 2 == 0 for n in range(ROWS)]),
}


def _frame() -> pl.DataFrame:
    return pl.DataFrame({"t": LONG, "short": TEXT, "lists": LISTS, "n": range(ROWS)})


def _kept() -> pl.Expr:
    return ~pl.col("t").str.starts_with(MARKER)


def _pandas() -> pd.DataFrame:
    return pd.DataFrame({"t": LONG, "n": NUMBERS, "m": NUMBERS}, index=range(ROWS))


def _records() -> Any:
    array = np.zeros(ROWS, [("n", "i4"), ("t", "S20"), ("f", "f8")])
    array["t"] = MARKER
    return array


def _numbers() -> Any:
    return np.array(NUMBERS).reshape(-1, 3)


class Holder:
    """Something that can only be pickled."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Holder):
            assert_same(self.value, other.value)
        return isinstance(other, Holder)

    def __repr__(self) -> str:
        return "a holder"

    __hash__ = None  # type: ignore[assignment]


# Views of other libraries, of which none shows the marker.
VIEWS: dict[str, Callable[[], Any]] = {
    "polars filter": lambda: _frame().filter(_kept()),
    "polars head": lambda: _frame().head(1),
    "polars slice": lambda: _frame().slice(3, 1),
    "polars gather": lambda: _frame()[[0, 6, 6, 0]],
    "polars sample": lambda: _frame().filter(_kept()).sample(3, seed=1),
    "polars join": lambda: pl.DataFrame({"n": [0, 6, 6]}).join(_frame(), on="n"),
    "polars partition": lambda: _frame().with_columns(k=_kept()).partition_by("k")[0][:1],
    "polars series": lambda: _frame()["t"].filter(_frame().select(_kept()).to_series()),
    "polars list series": lambda: _frame()["lists"].slice(6, 1),
    "polars nulled": lambda: _frame().select(pl.when(_kept()).then(pl.col("t"))),
    "polars categorical": lambda: _frame().select(pl.col("t").cast(pl.Categorical))[:1],
    "polars beside categories": lambda: (
        _frame().with_columns(c=pl.lit("c").cast(pl.Categorical)).filter(_kept())
    ),
    "polars in a dict": lambda: {"a": _frame().filter(_kept())},
    "polars in an object": lambda: Holder(_frame().filter(_kept())),
    "arrow filter": lambda: pa.table({"t": LONG}).filter(pc.equal(pa.array(LONG), LONG[0])),
    "arrow table slice": lambda: pa.table({"t": LONG, "n": NUMBERS}).slice(6, 1),
    "arrow batch slice": lambda: pa.record_batch({"t": LONG, "n": NUMBERS}).slice(6, 1),
    "arrow chunks": lambda: pa.chunked_array([LONG, LONG]).slice(6, 1),
    "arrow in an object": lambda: Holder(pa.table({"t": LONG}).slice(6, 1)),
    "arrow array in an object": lambda: Holder(pa.array(LONG).slice(6, 1)),
    "pandas rows": lambda: _pandas().iloc[6:7],
    "pandas filter": lambda: _pandas()[_pandas().n < 100],
    "pandas column": lambda: _pandas()["n"].iloc[::3],
    "pandas arrow column": lambda: pd.Series(LONG, dtype=pd.ArrowDtype(pa.string())).iloc[6:7],
    "pandas string column": lambda: pd.Series(LONG, dtype="string[pyarrow]").iloc[6:7],
    "pandas index": lambda: pd.Index(LONG)[6:7],
    "pandas in an object": lambda: Holder(_pandas().iloc[6:7]),
    "pandas arrow in an object": lambda: Holder(
        pd.Series(LONG, dtype=pd.ArrowDtype(pa.string())).iloc[6:7]
    ),
    "numpy column": lambda: _numbers()[:, 0],
    "numpy rows": lambda: _numbers()[:, :1].T,
    "numpy reversed": lambda: np.array(NUMBERS)[57::-3],
    "numpy fields": lambda: _records()[["n", "f"]],
    "numpy record of fields": lambda: [_records()[["n"]][0], 1],
    "numpy record in an object": lambda: Holder(_records()[["n", "f"]][0]),
    "numpy fields in a dict": lambda: {"a": _records()[["n"]]},
    "numpy fields in an object": lambda: Holder(_records()[["n", "f"]]),
    "numpy strides in an object": lambda: Holder(_numbers()[:, 0]),
    "bytes of a view": lambda: bytes(memoryview(MARKER.encode() * 9 + b"kept")[-4:]),
}


@cache
def _made(name: str) -> pa.Array:
    return ARRAYS[name]()


def _written(array: pa.Array) -> bytes:
    batch = pa.record_batch([array], names=["x"])
    header = Header("n", "r", "x", "t", "arrow", 1, dt.datetime.now(dt.UTC), "w")
    return b"".join(map(bytes, arrow_file(batch.schema, [batch], header, nbytes=1 << 20)))


def _hidden(data: bytes) -> bool:
    return MARKER.encode() in data or NUMBER.to_bytes(8, "little") in data


def _shown(items: list[Any]) -> bool:
    text = str(items)
    return MARKER in text or str(NUMBER) in text or "Timestamp" in text


@pytest.mark.parametrize("name", ARRAYS)
@given(data=st.data())
def test_a_slice_of_an_array_is_all_there_is(name, data):
    """Of any slice: the same items, valid, nothing else in its buffers, and nothing to do twice."""
    start = data.draw(st.integers(0, ROWS))
    part = _made(name).slice(start, data.draw(st.integers(0, 12)))
    own = referred_array(part)
    own.validate(full=True)
    # Not the list of the slice: pyarrow 21 gives other items of a slice of a union.
    shown = _made(name).to_pylist()[start : start + len(part)]
    assert (part.type, shown) == (own.type, own.to_pylist())
    assert _hidden(_written(part)) <= _shown(shown)
    assert referred_array(own).to_pylist() == shown


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_stored_without_its_parent(name, tmp_path):
    """Neither the text nor the numbers that the parent has beside it are in the file."""
    value = VIEWS[name]()
    view = ObjectStore(tmp_path).at(namespace="n", run="r")
    info = view.put("x", value)
    data = (tmp_path / "n" / "r" / "x.arrow").read_bytes()
    if name != "polars categorical" or hasattr(pl, "Categories"):
        assert not _hidden(data)  # of an older polars, all categories are part of each column
    assert info.size < 8_000
    assert_same(value, view.get("x"))


def _sliced(value: Any) -> Callable[[slice], Any]:
    return lambda rows: value[rows]


def _strings() -> Any:
    return np.array(["" if t is None else t for t in LONG], np.dtypes.StringDType())


def _dataset() -> Any:
    data = {"t": ("x", np.array(LONG, object)), "n": ("x", np.array(NUMBERS))}
    return xr.Dataset(data, {"x": NUMBERS})


def _arrow(kind: Any) -> Any:
    return pd.Series(LONG, dtype=kind)


# Rows of parents of which two in three have the marker, and what is kept in which file.
DRAWN: dict[str, tuple[Callable[[slice], Any], str]] = {
    **{f"arrow {name}": (lambda r, of=name: _made(of)[r], "x.arrow") for name in ARRAYS},
    "arrow table": (_sliced(pa.table({"t": LONG, "n": NUMBERS})), "x.arrow"),
    "arrow batch": (_sliced(pa.record_batch({"t": LONG, "l": LISTS})), "x.arrow"),
    "arrow chunks": (_sliced(pa.chunked_array([LONG[:31], LONG[31:]])), "x.arrow"),
    "arrow scalars": (lambda r: list(pa.array(LONG)[r]), "x.arrow"),
    "arrow in a set": (lambda r: [{1}, pa.table({"t": LONG})[r]], "x.arrow"),
    "polars frame": (_sliced(_frame()), "x.arrow"),
    "polars rows": (lambda r: _frame()[[*range(*r.indices(ROWS))][::-1]], "x.arrow"),
    "polars series": (_sliced(_frame()["short"]), "x.arrow"),
    "polars lists": (_sliced(_frame()["lists"]), "x.arrow"),
    "polars group": (lambda r: _frame()[r].group_by("n").agg("t").sort("n"), "x.arrow"),
    "polars in a dict": (lambda r: {"a": _frame()[r], "b": _frame()["t"][r]}, "x.arrow"),
    "polars in an object": (lambda r: Holder(_frame()[r]), "x.arrow"),
    "pandas frame": (lambda r: _pandas().iloc[r], "x.arrow"),
    "pandas columns": (lambda r: _pandas()[["n"]].iloc[r], "x.arrow"),
    "pandas objects": (lambda r: _arrow(object).iloc[r], "x.arrow"),
    "pandas text": (lambda r: _arrow("string[pyarrow]").iloc[r], "x.arrow"),
    "pandas of Arrow": (lambda r: _arrow(pd.ArrowDtype(pa.large_string())).iloc[r], "x.arrow"),
    "pandas index": (_sliced(pd.Index(NUMBERS)), "x.arrow"),
    "pandas levels": (
        lambda r: _pandas().set_index("n", append=True)[[]].iloc[r].reset_index(),
        "x.arrow",
    ),
    "pandas in an object": (lambda r: Holder(_pandas().iloc[r]), "x.arrow"),
    "numpy numbers": (_sliced(np.array(NUMBERS)), "x.arrow"),
    "numpy column": (lambda r: np.array([NUMBERS, range(ROWS)]).T[r, 0], "x.arrow"),
    "numpy text": (_sliced(np.array(FIXED, "S16")), "x.arrow"),
    "numpy strings": (lambda r: _strings()[r], "x.arrow"),
    "numpy objects": (_sliced(np.array(LONG, object)), "x.arrow"),
    "numpy masked": (_sliced(np.ma.array(NUMBERS, mask=False)), "x.arrow"),
    "numpy in a tuple": (lambda r: (np.array(NUMBERS)[r], "a"), "x.arrow"),
    "numpy in an object": (lambda r: Holder(np.array(NUMBERS)[r]), "x.arrow"),
    "numpy file": (_sliced(np.array(NUMBERS)), "x.npy"),
    "arrays in a file": (lambda r: {"a": np.array(NUMBERS)[r]}, "x.safetensors"),
    "pickle in a file": (lambda r: Holder(pa.array(LONG)[r]), "x.pkl"),
    "text in a file": (lambda r: LONG[r], "x.json"),
    "xarray": (lambda r: _dataset().isel(x=r), "x.arrow"),
    "xarray variable": (lambda r: _dataset()["n"][r], "x.arrow"),
    "list": (_sliced(LONG), "x.arrow"),
    "dict": (lambda r: dict(enumerate(LONG[r])), "x.arrow"),
    "bytes": (lambda r: b"".join(FIXED[n] or b"" for n in range(*r.indices(ROWS))), "x.arrow"),
}
if not hasattr(np.dtypes, "StringDType"):  # before NumPy 2
    del DRAWN["numpy strings"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("drawn")


@pytest.mark.parametrize("name", DRAWN)
@settings(max_examples=8)
@given(start=st.integers(0, ROWS), count=st.integers(0, 5))
def test_rows_are_stored_without_their_parent(name, folder, start, count):
    """Of any rows of any kind: the marker is in the file only if one of these rows has it."""
    view_of, file = DRAWN[name]
    rows = slice(start, start + count)
    value = view_of(rows)
    shown = any(n % 3 for n in range(*rows.indices(ROWS)))
    view = ObjectStore(folder).at(namespace="n", run="r")
    at = file.removesuffix(".arrow")
    view.put(at, value)
    assert _hidden((folder / "n" / "r" / file).read_bytes()) <= shown
    if name == "arrow sparse union":  # old pyarrow takes a slice's nulls from other rows
        value = value.take(pa.array(range(len(value)), pa.int64()))
    assert_same(value, view.get(at))


@given(
    rows=st.lists(st.integers(0, ROWS - 1), max_size=20),
    column=st.sampled_from(["t", "short", "lists"]),
)
def test_rows_of_a_polars_frame_in_any_order(rows, column):
    """Gathered, repeated and reordered rows: only those are stored, and each text once."""
    (batch,) = _frame().select(column)[rows].to_arrow(
        compat_level=pl.CompatLevel.newest()
    ).to_batches() or [pa.RecordBatch.from_pylist([], pa.schema([("x", pa.string())]))]
    (own,) = referred_batches([batch])
    own.validate(full=True)
    assert batch.to_pydict() == own.to_pydict()
    wanted = {n for n in rows if column != "lists" or n % 11 != 1}
    file = _written(own.column(0))
    for n, text in enumerate(TEXT):
        if text is not None and n >= 10:  # others begin like them
            assert (text.encode() in file) <= (n in wanted)
    assert sum(buffer.size for buffer in own.column(0).buffers() if buffer) < 8_000


def test_fields_of_an_npy_file_leave_their_array_behind(tmp_path):
    """The file of the fields that are shown has not those that are left out."""
    view = ObjectStore(tmp_path).at(namespace="n", run="r")
    view.put("x.npy", _records()[["n", "f"]])
    assert not _hidden((tmp_path / "n" / "r" / "x.npy").read_bytes())
    assert_same(_records()[["n", "f"]], view.get("x.npy"))


@pytest.mark.parametrize("order", ["C", "F", "neither"])
@pytest.mark.parametrize("kind", [np.ndarray, np.recarray, np.ma.MaskedArray])
def test_between_fields_is_nothing_of_other_memory(order, kind):
    """Padding is zero, whatever was in the memory that the copy was made in."""
    fields = _records()[:24].reshape(2, 3, 4)[["n", "f"]]
    fields["n"], fields["f"] = 7, 1.5
    value = (fields.transpose(1, 0, 2) if order == "neither" else fields.copy(order)).view(kind)
    for _ in range(9):
        used = np.full(value.nbytes, 0xFF, "u1")
        del used  # NumPy gives small memory to the next array as it is
        copied = without_gaps(value)
        assert kind is type(copied)
        assert value.tolist() == copied.tolist()
        assert b"\xff" not in np.asarray(copied).tobytes("A")


def test_what_fits_is_shared():
    """An array that fills its buffers is given back itself."""
    for name in ("string view", "large string", "numbers", "struct", "list", "truth"):
        own = referred_array(_made(name))
        assert referred_array(own) is own, name


def test_slots_of_nulls_are_blank():
    """What was in a slot before it became null is not stored; NaT stays."""
    bits = pa.py_buffer(b"\x01")
    secret = pa.py_buffer(np.array([1, NUMBER]))
    for kind in (pa.int64(), pa.timestamp("us"), pa.duration("s"), pa.float64(), pa.uint64()):
        own = referred_array(pa.Array.from_buffers(kind, 2, [bits, secret]))
        assert [0] == np.frombuffer(own.buffers()[1], "i8")[1:].tolist(), kind
    missing = pa.py_buffer(np.array([1, np.iinfo("i8").min]))
    times = pa.Array.from_buffers(pa.timestamp("ns"), 2, [bits, missing])
    assert referred_array(times) is times
    text = pa.array(["kept", MARKER])
    own = referred_array(pa.Array.from_buffers(pa.string(), 2, [bits, *text.buffers()[1:]]))
    assert ["kept", None] == own.to_pylist()
    assert b"kept" == own.buffers()[2].to_pybytes()


def test_masked_values_of_pandas_are_not_stored(tmp_path):
    """A number that was set to NA is gone."""
    series = pd.Series(NUMBERS, dtype="Int64")
    series[series > 100] = pd.NA
    view = ObjectStore(tmp_path).at(namespace="n", run="r")
    view.put("x", series)
    assert not _hidden((tmp_path / "n" / "r" / "x.arrow").read_bytes())
    assert_same(series, view.get("x"))


def test_text_that_many_rows_share_stays_shared():
    """A thousand rows of one long text take it once."""
    series = pl.Series(["x" * 100_000]).gather([0] * 1000)
    batches = series.to_frame("t").to_arrow(compat_level=pl.CompatLevel.newest()).to_batches()
    assert nbytes_of(batches) < 200_000
    own = list(referred_batches(batches, cut=True))
    assert nbytes_of(own) < 200_000


def test_a_large_filtered_table_comes_in_parts():
    """Text that has to be copied is copied some megabytes at a time, where batches may be cut."""
    frame = pl.DataFrame({"t": ["x" * 1000] * 20_000}).with_columns(
        pl.col("t") + pl.int_range(20_000).cast(pl.String)
    )
    batches = frame[::2].to_arrow(compat_level=pl.CompatLevel.newest()).to_batches()
    parts = list(referred_batches(batches, cut=True))
    assert len(parts) > 1
    assert 1 == len(list(referred_batches(batches)))
    assert pa.Table.from_batches(parts).equals(pa.Table.from_batches(batches))


# Ways in that are not one put of one value --------------------------------------------------------


def _by_writer(view: Any, name: str, pieces: Any) -> Any:
    with view.writer(name) as writer:
        for piece in pieces:
            writer.write(piece)
    return view.get(name)


def _by_parts(view: Any, name: str, pieces: Any) -> Any:
    for at, piece in enumerate(pieces):
        view.put(name, piece, part=at)
    view.seal(name)
    return view.get(name)


def _kept_rows() -> Any:
    return _pandas()[lambda frame: frame["n"] < 100]


def _by_delta(view: Any, name: str, value: Any) -> Any:
    view.put(name, _pandas().iloc[:0])
    view.put(name, value, delta=True)
    return view.get(name)


def _duckdb() -> Any:
    duckdb = pytest.importorskip("duckdb")
    table = pa.table({"t": LONG, "n": NUMBERS})
    connection = duckdb.connect()
    connection.register("parent", table)
    return connection.sql("select * from parent where n < 100 order by n")


def _dataset_of(folder: Any) -> Any:
    import pyarrow.dataset as ds

    table = pa.table({"t": LONG, "n": NUMBERS})
    return ds.dataset(table).scanner(filter=pc.field("n") < 100)


def _grouped() -> dict[str, Any]:
    frame = _pandas().assign(k=["kept" if n < 100 else "left out" for n in NUMBERS])
    return {"pandas": frame.groupby("k").get_group("kept"), "polars": _frame().filter(_kept())}


# Each puts, by one of the ways, views that do not show the marker, and gets them.
WAYS: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "writer, pandas": lambda v: (
        _kept_rows().reset_index(drop=True),
        _by_writer(v, "x", [_kept_rows().reset_index(drop=True)]),
    ),
    "writer, polars": lambda v: (
        pl.concat([_frame().filter(_kept())] * 2),
        _by_writer(v, "x", [_frame().filter(_kept())] * 2),
    ),
    "writer, Arrow": lambda v: (
        pa.table({"t": LONG}).slice(6, 1),
        _by_writer(v, "x", [pa.table({"t": LONG}).slice(6, 1)]),
    ),
    "writer, batches": lambda v: (
        pa.table({"t": _text(pa.string_view())()}).slice(6, 1),
        _by_writer(v, "x", pa.table({"t": _text(pa.string_view())()}).slice(6, 1).to_batches()),
    ),
    "writer, Parquet": lambda v: (
        pa.table({"t": LONG}).slice(6, 1),
        _by_writer(v, "x.parquet", [pa.table({"t": LONG}).slice(6, 1)]),
    ),
    "parts, pandas": lambda v: (_kept_rows(), _by_parts(v, "x", [_kept_rows()])),
    "parts, polars": lambda v: (
        pl.concat([_frame().filter(_kept())] * 2),
        _by_parts(v, "x", [_frame().filter(_kept())] * 2),
    ),
    "parts, arrays": lambda v: (
        np.array(NUMBERS)[::3],
        _by_parts(v, "x", [np.array(NUMBERS)[:30:3], np.array(NUMBERS)[30::3]]),
    ),
    "parts, a group": lambda v: (_grouped()["pandas"], _by_parts(v, "x", [_grouped()["pandas"]])),
    "parts, a group of polars": lambda v: (
        _grouped()["polars"],
        _by_parts(v, "x", [_grouped()["polars"]]),
    ),
    "changes": lambda v: (_kept_rows(), _by_delta(v, "x", _kept_rows())),
    "a lazy frame": lambda v: (
        _frame().filter(_kept()),
        (v.put("x", _frame().lazy().filter(_kept())), v.get("x"))[1],
    ),
    "an iterator": lambda v: (
        pl.concat([_frame()[0], _frame()[6]]),
        (v.put("x", iter([_frame()[0], _frame()[6]])), v.get("x"))[1],
    ),
    "a reader": lambda v: (
        pa.table({"t": LONG}).slice(6, 1),
        (v.put("x", pa.table({"t": LONG}).slice(6, 1).to_reader()), v.get("x"))[1],
    ),
    "duckdb": lambda v: (
        _duckdb().to_arrow_table(),
        (v.put("x", _duckdb()), v.get("x"))[1],
    ),
    "a scanner": lambda v: (
        _dataset_of(v).to_table(),
        (v.put("x", _dataset_of(v)), v.get("x"))[1],
    ),
    "batches that were read": lambda v: (
        pa.table({"t": LONG}).slice(6, 1),
        (
            v.put("y", _frame().select("t").filter(_kept())),
            _by_writer(v, "x", [b.slice(2, 1) for b in v.iter_batches("y", as_type=pa.Table)]),
            pa.table({"t": LONG}).slice(6, 1),
        )[2],
    ),
    "tags": lambda v: (
        [np.matrix(np.array(NUMBERS)[::3]), np.rec.fromrecords([(1, "a")])],
        (
            v.put("x", [np.matrix(np.array(NUMBERS))[:, ::3], np.rec.fromrecords([(1, "a")])]),
            v.get("x"),
        )[1],
    ),
}
if not hasattr(pl.LazyFrame, "collect_batches"):  # before polars 1.34 a query is refused
    del WAYS["a lazy frame"]


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("way", WAYS)
def test_every_way_in_leaves_the_parent_behind(way, tmp_path):
    """Writers, parts, changes and whatever is streamed: no file of the store has the marker."""
    view = ObjectStore(tmp_path).at(namespace="n", run="r")
    expected, actual = WAYS[way](view)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert not _hidden(path.read_bytes()), path
    assert_same(expected, actual)

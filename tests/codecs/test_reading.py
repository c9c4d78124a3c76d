"""Values read in part, and as another type than they were put as."""

import subprocess
import sys
from statistics import NormalDist

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from runstore import ObjectStore
from runstore.errors import (
    InvalidRequestError,
    UnsafePickleError,
    UnsupportedValueError,
)
from runstore.testing import assert_same

_DAYS = pd.date_range("2024", periods=3, freq="D", name="day", tz="UTC")

_PATTERN = NormalDist()  # a value that nothing but pickle keeps


def frame():
    return pd.DataFrame(
        {
            "a": [1, 2, 3],
            "b": [1.5, np.nan, -0.0],
            "c": pd.Series(["x", None, "é"], dtype="str"),
            "d": pd.Categorical(["u", None, "v"], ["w", "v", "u"]),
            "e": pd.array([1, None, 3], "Int8"),
            "f": [True, False, True],
            "g": _DAYS,
        }
    )


# columns= ----------------------------------------------------------------------------------------


FRAMES = {
    "x": frame,
    "index": lambda: frame().set_index("g"),
    "levels": lambda: frame().set_index(["d", "g"]),
    "objects": lambda: frame().assign(a=[{1}, 2, "x"]),
}


@pytest.mark.parametrize("compression", [None, "zstd"])
@pytest.mark.parametrize("case", FRAMES)
@pytest.mark.parametrize("columns", [["b"], ["e", "a"], ["a", "b", "a"], []])
def test_columns_of_frames(view, case, columns, compression):
    """A part of a frame is what indexing the whole gives: dtypes, index and order."""
    view.put("x", FRAMES[case](), compression=compression)
    assert_same(FRAMES[case]()[columns], view.get("x", columns=columns))


@pytest.mark.parametrize("columns", [["b"], ["g", "a"], ["a", "a"]])
def test_columns_of_parquet(view, columns):
    """A part of a Parquet file has its dtypes and index, too."""
    whole = frame().drop(columns="d").set_index("c")
    view.put("x.parquet", whole)
    assert_same(whole[columns], view.get("x.parquet", columns=columns))


@pytest.mark.parametrize(
    ("labels", "columns"),
    [
        ([5, 7, 9], [9, 5]),
        (pd.RangeIndex(3, name="i"), [2, 0]),
        (["a", "b", "a"], ["a"]),
        (["1", "a.b", ""], ["", "a.b"]),
        (pd.Index(["x", "y", "z"], dtype="string", name="n"), ["z"]),
        (pd.MultiIndex.from_product([["x"], [1, 2, 3]]), [("x", 2)]),  # pickled as a whole
    ],
)
def test_labels_of_columns(view, labels, columns):
    """Columns are named by their labels, whatever these are, once or several times."""
    whole = pd.DataFrame(np.arange(6.0).reshape(2, 3), columns=labels)
    view.put("x", whole)
    pd.testing.assert_frame_equal(
        whole[columns], view.get("x", columns=columns), check_column_type="equiv"
    )


def tables():
    table = pa.table({"a": [1, None], "b": ["x", "y"], "a.b": [{"c": 1}, None]})
    return {
        "table": table.replace_schema_metadata({"k": "v"}),
        "batch": table.to_batches()[0],
        "polars": pl.DataFrame({"a": [1, None], "b": ["x", "y"], "a.b": [[1], None]}),
        "table.parquet": table,
        "polars.parquet": pl.DataFrame({"a": [1, None], "b": ["x", "y"], "a.b": [[1], None]}),
    }


@pytest.mark.parametrize("name", tables())
@pytest.mark.parametrize("columns", [["b"], ["a.b", "a"], ["a"]])
def test_columns_of_tables(view, name, columns):
    """A part of an Arrow or polars table is what select gives."""
    view.put(name, tables()[name])
    assert_same(tables()[name].select(columns), view.get(name, columns=columns))


def test_columns_with_dictionaries(view):
    """A dictionary column is found behind others that are left away."""
    table = pa.table(
        {
            "a": pa.array(["x", "y"]).dictionary_encode(),
            "b": pa.array(["u", "v"]).dictionary_encode(),
            "c": [1, 2],
        }
    )
    view.put("x", table)
    for columns in (["b"], ["c", "b"], ["c"]):
        assert_same(table.select(columns), view.get("x", columns=columns))


def test_other_columns_are_not_decoded(view, tmp_path):
    """Of a compressed frame only the columns asked for are unpacked, and no pickle is loaded."""
    numbers = {f"n{i}": np.arange(1 << 18) for i in range(8)}
    view.put("x", pd.DataFrame(numbers | {"p": [_PATTERN] * (1 << 18)}), compression="zstd")
    before = pa.total_allocated_bytes()
    part = view.get("x", columns=["n3"], pickle="deny", as_type=pa.Table)
    assert 3 << 20 > pa.total_allocated_bytes() - before
    assert (1 << 18, ["n3"]) == (part.num_rows, part.column_names)
    with pytest.raises(UnsafePickleError):
        view.get("x", columns=["p"], pickle="deny")


@pytest.mark.parametrize("value", [frame(), pa.table({"abc": [1]}), pl.DataFrame({"abc": [1]})])
def test_columns_that_are_not_there(view, value):
    """A column that is missing is named, and those that are there."""
    view.put("x", value)
    with pytest.raises(InvalidRequestError, match=r"dev/r1/x has no column 'abd'.*'a"):
        view.get("x", columns=["abd"])


@pytest.mark.parametrize(
    ("name", "value"),
    [("x", {"a": 1}), ("x", np.arange(3)), ("x", pd.Series([1])), ("x.json", [1]), ("x", {1})],
)
def test_no_columns(view, name, value):
    """Asking columns of what has none is an error, not the whole value."""
    view.put(name, value)
    with pytest.raises(InvalidRequestError, match="no table"):
        view.get(name, columns=["a"])


# as_type= ----------------------------------------------------------------------------------------


def pairs():
    """Give what is put, as which type it is read, and what has to come."""
    plain = frame()
    table = pa.Table.from_pandas(plain.drop(columns="b")).replace_schema_metadata(None)
    arrow = pa.table({"a": [1, None], "b": ["x", "y"]})
    numbers = pa.array([1.5, 2.5])
    polars = pl.DataFrame({"a": [1, None], "b": ["x", "y"]})
    array = np.arange(6.0).reshape(2, 3)
    return {
        "itself": (plain, pd.DataFrame, plain),
        "subclass": (True, int, True),
        "dict": ({"a": 1}, dict, {"a": 1}),
        "pickled": ({1, 2}, set, {1, 2}),
        "text": ("é", str, "é"),
        "bytes": (b"ab", bytes, b"ab"),
        "bytearray": (b"ab", bytearray, bytearray(b"ab")),
        "frame to polars": (
            pd.DataFrame({"a": [1, 2], "b": [1.5, np.nan]}, index=[7, 8]),
            pl.DataFrame,
            pl.DataFrame({"a": [1, 2], "b": [1.5, np.nan], "__index_level_0__": [7, 8]}),
        ),
        "frame to array": (pd.DataFrame(array), np.ndarray, np.asfortranarray(array)),
        "series to array": (pd.Series([1.5, np.nan]), np.ndarray, np.array([1.5, np.nan])),
        "series to pyarrow": (
            pd.Series([1, None], dtype="Int64"),
            pa.Array,
            pa.array([1, None], pa.int64()),
        ),
        "series to polars": (pd.Series([1, 2], name="n"), pl.Series, pl.Series("n", [1, 2])),
        "table to polars": (arrow, pl.DataFrame, polars),
        "table to pandas": (
            arrow,
            pd.DataFrame,
            pd.DataFrame(
                {
                    "a": pd.array([1, None], pd.ArrowDtype(pa.int64())),
                    "b": pd.array(["x", "y"], pd.ArrowDtype(pa.string())),
                }
            ),
        ),
        "table to batch": (arrow, pa.RecordBatch, arrow.to_batches()[0]),
        "batch to table": (arrow.to_batches()[0], pa.Table, arrow),
        "numbers to array": (numbers, np.ndarray, np.array([1.5, 2.5])),
        "numbers to chunks": (numbers, pa.ChunkedArray, pa.chunked_array([numbers])),
        "numbers to pandas": (
            numbers,
            pd.Series,
            pd.Series(pd.array([1.5, 2.5], pd.ArrowDtype(pa.float64()))),
        ),
        "polars to pandas": (
            pl.DataFrame({"a": [1, None]}),
            pd.DataFrame,
            pd.DataFrame({"a": pd.array([1, None], pd.ArrowDtype(pa.int64()))}),
        ),
        "polars to array": (pl.Series("s", [1, 2]), np.ndarray, np.array([1, 2])),
        "array to series": (np.arange(3, dtype="i2"), pd.Series, pd.Series([0, 1, 2], dtype="i2")),
        "no nulls": (table, pa.Table, table),
    }


@pytest.mark.parametrize("case", pairs())
def test_reads_as_another_type(view, case):
    """A value comes as the type that is asked for, exactly."""
    value, kind, expected = pairs()[case]
    view.put("x", value)
    actual = view.get("x", as_type=kind)
    assert isinstance(actual, kind)
    assert_same(expected, actual)


@pytest.mark.parametrize(
    ("value", "kind", "why"),
    [
        (frame(), np.ndarray, "one NumPy dtype"),
        (frame(), dict, "DataFrame"),
        (frame(), pl.Series, "DataFrame"),
        (pd.DataFrame({"a": [_PATTERN, 2]}), pa.Table, "'a' is pickled"),
        (pd.DataFrame({"a": [{1}, 2]}), pl.DataFrame, "'a' is of objects"),
        (pd.DataFrame({"a": pd.period_range("2024", periods=1)}), pa.Table, "'a' has periods"),
        (pd.DataFrame([[1, 2]], columns=pd.Index([1, "1"])), pa.Table, "one name"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), pa.Table, "one name"),
        (pd.DataFrame({"a": pd.Categorical(["x"], ordered=True)}), pl.DataFrame, "ordered"),
        (pd.Series(["x", None], dtype="string"), np.ndarray, "dtype is string"),
        (pa.table([[1], [2]], ["a", "a"]), pl.DataFrame, "more than once"),
        (pa.table([[1], [2]], ["a", "a"]), pd.DataFrame, "one name"),
        (pa.array([1, None]), np.ndarray, "nulls"),
        (pl.Series([1, None]), np.ndarray, "nulls"),
        (np.arange(3), pd.DataFrame, "ndarray"),
        (pd.MultiIndex.from_arrays([[1], [2]]), pa.Array, "MultiIndex"),
        (pd.MultiIndex.from_arrays([[1], [2]]), pl.Series, "MultiIndex"),
        (np.arange(6).reshape(2, 3), pd.Series, "ndarray"),
        (np.array(["a"]), pd.Series, "ndarray"),
        ({1}, pd.DataFrame, "set"),
        ("text", bytes, "str"),
    ],
)
def test_refuses_what_is_not_exact(view, value, kind, why):
    """What another type cannot hold is refused by name and with the reason."""
    view.put("x", value)
    with pytest.raises(UnsupportedValueError, match=rf"dev/r1/x cannot be read exactly.*{why}"):
        view.get("x", as_type=kind)


def test_tables_restore_the_frame(view):
    """A frame's columns as an Arrow table are a frame again to pyarrow, index and all."""
    expected = frame().set_index("g")
    view.put("x", expected)
    table = view.get("x", as_type=pa.Table)
    back = table.to_pandas()  # by old pyarrow with a zone of pytz, where that is installed
    back.index = back.index.tz_convert(expected.index.tz)
    pd.testing.assert_frame_equal(expected, back, check_freq=False, check_dtype=False)


def test_arrow_is_read_without_pandas(tmp_path):
    """A stored frame becomes a table or polars frame in a process that never imports pandas."""
    store = ObjectStore(tmp_path)
    store.at(namespace="dev", run="r1").put("x", pd.DataFrame({"a": [1.5, 2.5]}))
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        "import pyarrow as pa; from runstore import ObjectStore\n"
        "view = ObjectStore(sys.argv[1]).at(namespace='dev', run='r1')\n"
        "print(view.get('x', as_type=pa.Table).column('a').to_pylist())\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, store.url], check=False, capture_output=True, text=True
    )
    assert ("[1.5, 2.5]\n", "") == (ran.stdout, ran.stderr)


@pytest.mark.parametrize("kind", [pa.Table, pl.DataFrame, np.ndarray, pd.DataFrame])
def test_shares_memory(tmp_path, kind):
    """Reading a large frame as another type allocates next to nothing."""
    view = ObjectStore(tmp_path).at(namespace="dev", run="r1")
    view.put("x", pd.DataFrame(np.zeros((1 << 18, 4)), columns=list("abcd")))
    import tracemalloc

    before = pa.total_allocated_bytes()
    tracemalloc.start()
    value = view.get("x", as_type=kind)
    peak = tracemalloc.get_traced_memory()[1] + pa.total_allocated_bytes() - before
    tracemalloc.stop()
    assert (1 << 18, True) == (len(value), peak < 1 << 20)


def test_arrays_are_writable(view):
    """An array made of a frame, series or Arrow array is the caller's own."""
    for value in (pd.DataFrame({"a": [1, 2]}), pd.Series([1, 2]), pa.array([1, 2])):
        view.put("x", value)
        mine = view.get("x", as_type=np.ndarray)
        mine += 1
        assert_same(value, view.get("x"))


def test_files_as_bytes(view):
    """The bytes of a plain file can be had, whatever is in it."""
    view.put("x.json", {"a": 1})
    assert b'{"a": 1}' == view.get("x.json", as_type=bytes)
    assert {"a": 1} == view.get("x.json", as_type=dict)
    with pytest.raises(UnsupportedValueError, match="dict"):
        view.get("x.json", as_type=list)


def test_columns_as_another_type(view):
    """Both together: a few columns, as an array."""
    view.put("x", frame().assign(h=[{1}, 2, 3]))
    assert_same(np.array([[1], [2], [3]]), view.get("x", columns=["a"], as_type=np.ndarray))
    assert ["b", "a"] == view.get("x", columns=["b", "a"], as_type=pl.DataFrame).columns


def test_default_stands_for_what_is_missing(view):
    """The default is returned as it is."""
    assert view.get("x", as_type=pd.DataFrame, default=None) is None


def test_pickles_as_bytes(view):
    """The stream of a pickle is reached without loading it."""
    view.put("x", {"array": np.arange(10_000), 1: _PATTERN})
    stream = view.get("x", as_type=bytes, pickle="deny")
    assert (b"\x80\x05", b".") == (stream[:2], stream[-1:])
    with pytest.raises(UnsafePickleError):
        view.get("x", as_type=dict, pickle="deny")

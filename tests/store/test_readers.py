"""Other tools read our files with no runstore installed."""

import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from runstore import ObjectStore

# The zones of pandas 2 are those of pytz, which come back as others: they are pickled.
ZONE = "UTC" if pd.__version__.startswith("2.") else "America/New_York"
FRAME = pd.DataFrame(
    {
        "float": [1.5, np.nan, -2.0],
        "int": [1, 2, 3],
        "text": ["a", None, "é"],
        "bool": [True, False, True],
        "time": pd.to_datetime(["2013-01-01", None, "2013-01-03"]),
        "zoned": pd.date_range("2013-01-01", periods=3, tz=ZONE),
        "category": pd.Categorical(["x", None, "y"]),
    }
)


@pytest.fixture
def put(tmp_path):
    """Put a value and give the path of its file."""
    view = ObjectStore(tmp_path).at(namespace="dev", run="r1")

    def put(value, name="x"):
        view.put(name, value)
        path = tmp_path / "dev" / "r1" / name
        return path if path.suffix == ".parquet" else path.with_name(f"{name}.arrow")

    return put


def test_pandas_reads_a_frame_with_its_index(put):
    """pandas.read_feather gives the same frame, row index and all."""
    pd.testing.assert_frame_equal(FRAME, pd.read_feather(put(FRAME)))
    indexed = FRAME.set_index("int")
    pd.testing.assert_frame_equal(indexed, pd.read_feather(put(indexed)))
    many = FRAME.set_index(["int", "text"])  # its levels are categories to others
    read = pd.read_feather(put(many))
    assert many.index.tolist() == read.index.tolist()
    assert many.index.names == read.index.names


def test_polars_reads_and_scans_a_frame(put):
    """polars.read_ipc and scan_ipc give every column with its values."""
    path = put(FRAME)
    frame = pl.read_ipc(path)
    assert list(FRAME.columns) == frame.columns
    assert [1, 2, 3] == frame["int"].to_list()
    assert ["a", None, "é"] == frame["text"].to_list()
    assert ["x", None, "y"] == frame["category"].cast(pl.String).to_list()
    assert frame["float"].is_nan().to_list() == [False, True, False]
    assert 6 == pl.scan_ipc(path).select(pl.col("int").sum()).collect().item()


def test_pyarrow_reads_a_frame(put):
    """pyarrow.feather.read_table and pyarrow.ipc give the columns as a table."""
    path = put(FRAME)
    table = pa.feather.read_table(path)
    assert list(FRAME.columns) == table.column_names
    with pa.memory_map(str(path)) as source:
        again = pa.ipc.open_file(source).read_all()
        assert table.drop_columns("float").equals(again.drop_columns("float"))  # NaN is not NaN


def test_everyone_reads_parquet(put):
    """A name that ends in .parquet is a Parquet file to pandas, polars and pyarrow."""
    frame = FRAME.drop(columns="category")
    path = put(frame, "x.parquet")
    pd.testing.assert_frame_equal(frame, pd.read_parquet(path))
    assert 6 == pl.scan_parquet(path).select(pl.col("int").sum()).collect().item()
    assert frame.columns.tolist() == pa.parquet.read_table(path).column_names


@pytest.mark.parametrize(
    ("value", "column", "expected"),
    [
        (np.arange(3.0), "value", [0.0, 1.0, 2.0]),
        (b"abc", "data", [b"abc"]),
        ("text", "text", ["text"]),
        ({"a": 1}, "json", ['{"a":1}']),
        (pl.DataFrame({"a": [1, 2]}), "a", [1, 2]),
        (pa.table({"a": [1, None]}), "a", [1, None]),
        (pd.Series([1, 2], name="s"), "s", [1, 2]),
    ],
)
def test_other_values_are_columns_too(put, value, column, expected):
    """Arrays, bytes, text and JSON are columns of a file that every reader opens."""
    path = put(value)
    assert expected == pl.read_ipc(path)[column].to_list()
    assert expected == pa.feather.read_table(path)[column].to_pylist()


def test_a_process_without_runstore_reads_our_files(put):
    """Where runstore cannot be imported, pandas still reads the file."""
    code = (
        "import sys; sys.modules['runstore'] = None\n"
        "import pandas as pd\n"
        "print(pd.read_feather(sys.argv[1])['int'].sum())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(put(FRAME))], capture_output=True, text=True, check=True
    )
    assert "6" == done.stdout.strip()

"""`get`: a stored value as a file, whole and never silently changed."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture
def here(disk):
    """Give the view of dev/r in the default store."""
    return disk.at(namespace="dev", run="r")


TABLES = [
    pd.DataFrame({"a": [1, 2], "b": ["x", None]}),
    pl.DataFrame({"a": [1, 2], "b": ["x", None]}),
    pa.table({"a": [1, 2], "b": ["x", None]}),
    pa.record_batch({"a": [1, 2], "b": ["x", None]}),
]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: type(table).__module__)
def test_tables_become_any_table_file(cli, here, table):
    """A table of any library is the same rows in each format."""
    here.put("t", table)
    for extension in ("parquet", "csv", "arrow", "json"):
        assert 0 == cli("get", "dev/r/t", "-o", f"t.{extension}").code
    rows = [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    assert rows == pq.read_table("t.parquet").to_pylist()
    assert rows == pa.ipc.open_file("t.arrow").read_all().to_pylist()
    assert rows == json.loads(Path("t.json").read_text())
    assert '"a","b"\n1,"x"\n2,\n' == Path("t.csv").read_text()


def test_an_index_that_means_something_is_kept(cli, here):
    """Labels become columns; counting rows does not."""
    here.put("named", pd.DataFrame({"a": [1]}, index=pd.Index(["k"], name="key")))
    here.put("plain", pd.DataFrame({"a": [1]}, index=["k"]))
    here.put("range", pd.DataFrame({"a": [1]}, index=pd.RangeIndex(5, 6)))
    here.put("counts", pd.DataFrame({"a": [1]}))
    headers = {"named": "a,key", "plain": "a,index", "range": "a,index", "counts": "a"}
    for name, header in headers.items():
        for extension in ("csv", "parquet"):
            assert 0 == cli("get", f"dev/r/{name}", "-o", f"{name}.{extension}").code
        assert header == Path(f"{name}.csv").read_text().splitlines()[0].replace('"', "")
        pd.testing.assert_frame_equal(
            here.get(name), pd.read_parquet(f"{name}.parquet"), check_index_type=False
        )


@pytest.mark.parametrize(
    ("value", "extension", "expected"),
    [
        ({"a": [1, None]}, "json", b'{\n  "a": [\n    1,\n    null\n  ]\n}\n'),
        ("ä\r\n", "txt", "ä\r\n".encode()),
        ("<p>", "html", b"<p>"),
        ("text", "json", b'"text"\n'),
        (b"\x00\x01", "bin", b"\x00\x01"),
        (b"\x89PNG", "png", b"\x89PNG"),
        (pl.Series("q", [1]), "csv", b'"q"\n1\n'),
        (pa.array([1]), "csv", b'"value"\n1\n'),
    ],
)
def test_other_values_as_files(cli, here, value, extension, expected):
    """Plain data is JSON; text and bytes go as they are, under any other extension."""
    here.put("v", value)
    assert 0 == cli("get", "dev/r/v", "-o", f"v.{extension}").code
    assert expected == Path(f"v.{extension}").read_bytes()


def test_arrays_become_npy(cli, here):
    """An array is read back by NumPy, with its shape and type."""
    array = np.arange(6, dtype="int16").reshape(2, 3)
    here.put("a", array)
    assert 0 == cli("get", "dev/r/a", "-o", "a.npy").code
    np.testing.assert_array_equal(array, np.load("a.npy"))


@pytest.mark.parametrize(
    ("value", "extension", "hint"),
    [
        (np.arange(3), "csv", ".npy"),
        ({"a": 1}, "parquet", ".json"),
        ("text", "npy", ".txt"),
        (pd.DataFrame({"a": [1]}), "npy", ".parquet"),
        (pd.DataFrame({"a": [1]}), "xyz", ".parquet"),
        ({1, 2}, "json", "get()"),
        (pa.table({"a": [[1]]}), "csv", ".parquet"),
        (pa.table({"a": pa.array([1], pa.duration("s"))}), "csv", ".parquet"),
        (pa.table({"a": [float("inf")]}), "json", ".parquet"),
        ({"a": float("nan")}, "json", "NaN"),
        (pd.DataFrame({"a": [1, "x"]}, dtype=object), "parquet", "get()"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "csv", "get()"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(cli, here, value, extension, hint):
    """One error names the object and the way out, and no file is left behind."""
    here.put("v", value)
    ended = cli("get", "dev/r/v", "-o", f"v.{extension}")
    assert 7 == ended.code
    assert "dev/r/v" in ended.err
    assert hint in ended.err
    assert [Path(".runstore")] == list(Path().iterdir())


@pytest.mark.parametrize(
    ("table", "refused", "good"),
    [
        (pa.table({"a": pa.array([1], pa.duration("s"))}), ["csv", "json"], ["parquet", "arrow"]),
        (pa.table({"a": [[1]]}), ["csv"], ["parquet", "arrow", "json"]),
        (pa.table({"a": [[float("inf")]]}), ["csv", "json"], ["parquet", "arrow"]),
        (
            pa.table({"a": pa.array([(1, 2, 3)], pa.month_day_nano_interval())}),
            ["csv", "parquet"],
            ["arrow"],
        ),
    ],
)
def test_only_formats_that_hold_the_table_are_named(cli, here, table, refused, good):
    """What a refusal names can be written."""
    here.put("t", table)
    for extension in refused:
        ended = cli("get", "dev/r/t", "-o", "-", "--as", extension)
        assert 7 == ended.code
        named = re.findall(r"\.(\w+)", ended.err.rpartition("write it as ")[2])
        assert set(good) <= set(named), ended.err
        assert not set(refused) & set(named), ended.err
    for extension in good:
        assert 0 == cli("get", "dev/r/t", "-o", f"t.{extension}").code


def test_files_are_not_replaced_unasked(cli, here):
    """An existing file stays as it is, unless --force is given; a failure leaves it, too."""
    here.put("v", "new")
    Path("v.txt").write_text("old")
    assert 4 == cli("get", "dev/r/v", "-o", "v.txt").code
    assert 3 == cli("get", "dev/r/none", "-o", "v.txt", "--force").code
    assert "old" == Path("v.txt").read_text()
    assert 0 == cli("get", "dev/r/v", "-o", "v.txt", "--force").code
    assert "new" == Path("v.txt").read_text()
    assert ["v.txt"] == [path.name for path in Path().iterdir() if path.is_file()]


def test_where_no_file_can_be(cli, here):
    """A folder, a name without an extension and a missing folder are told apart."""
    here.put("v", "x")
    Path("folder.txt").mkdir()
    assert 2 == cli("get", "dev/r/v", "-o", "folder.txt", "--force").code
    assert 2 == cli("get", "dev/r/v", "-o", "v").code
    assert 5 == cli("get", "dev/r/v", "-o", "no/such/folder/v.txt").code


@pytest.mark.extended
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (pd.DataFrame({"a": [1]}), b'"a"\n1\n'),
        ({"a": 1}, b'{\n  "a": 1\n}\n'),
        ("text", b"text"),
        (b"\x00", b"\x00"),
    ],
)
def test_stdout_is_the_value_alone(here, value, expected):
    """``-o -`` prints tables as CSV, plain data as JSON, text and bytes as they are."""
    here.put("v", value)
    ended = subprocess.run(
        [sys.executable, "-m", "runstore", "get", "dev/r/v", "-o", "-"],
        capture_output=True,
        timeout=300,
        check=True,
    )
    assert (expected, b"") == (ended.stdout, ended.stderr)


def test_the_json_answer(cli, here):
    """--json says where the file is and how large; it cannot share stdout with the value."""
    here.put("v", "text")
    document = json.loads(cli("get", "dev/r/v", "-o", "v.txt", "--json").out)
    assert {"ref": "dev/r/v", "file": str(Path("v.txt").absolute()), "size": 4} == document
    assert 2 == cli("get", "dev/r/v", "-o", "-", "--json").code


def test_put_and_get_are_each_others_reverse(cli, here):
    """A frame that left as parquet or Arrow comes back equal, index and all."""
    frame = pd.DataFrame({"a": [1.5, 2.5]}, index=pd.Index(["k", "l"], name="key"))
    here.put("t", frame)
    for extension in ("parquet", "arrow"):
        assert 0 == cli("get", "dev/r/t", "-o", f"t.{extension}").code
        assert 0 == cli("put", f"dev/r/{extension}", f"t.{extension}").code
        pd.testing.assert_frame_equal(frame, here.get(extension))


def test_as_names_the_format(cli, disk, tmp_path):
    """`--as` decides, for a file without an extension and on stdout."""
    disk.at(namespace="n", run="r").put("t", pd.DataFrame({"a": [1, 2]}))
    assert 0 == cli("get", "n/r/t", "-o", "plain", "--as", "parquet").code
    assert [1, 2] == pd.read_parquet("plain")["a"].tolist()
    assert [{"a": 1}, {"a": 2}] == json.loads(cli("get", "n/r/t", "-o", "-", "--as", "json").out)
    assert 2 == cli("get", "n/r/t", "-o", "-", "--as", "xls").code
    assert 7 == cli("get", "n/r/t", "-o", "-", "--as", "npy").code


_WITHOUT_PANDAS = """
import sys
from importlib.abc import MetaPathFinder
class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pandas":
            raise ModuleNotFoundError("No module named 'pandas'", name="pandas")
sys.meta_path.insert(0, Missing())
from runstore.cli import main
codes = [main(line.split()) for line in sys.argv[1:]]
sys.exit(str(codes))
"""


@pytest.mark.extended
def test_a_pandas_frame_is_shown_without_pandas(disk):
    """Tables and columns of pandas are shown and written as Arrow has them."""
    view = disk.at(namespace="n", run="r")
    frame = pd.DataFrame({"number": [1, 2], "text": ["first", "second"]}, index=["i", "j"])
    view.put("frame", frame)
    view.put("column", frame["text"])
    view.put("file.csv", pd.DataFrame({"csv": [7]}))
    view.put("file.parquet", frame)
    view.put("nested", {"frame": frame})
    shown = [f"{verb} n/r/{name}" for verb in ("show", "head") for name in ("frame", "column")]
    shown += ["show n/r/file.csv", "show n/r/file.parquet", "get n/r/frame -o -"]
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_PANDAS, *shown, "show n/r/nested"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert str([0] * 7 + [7]) == done.stderr.splitlines()[-1]
    assert "pip install 'runstore[pandas]'" in done.stderr
    assert 6 == done.stdout.count("second")
    assert "csv" in done.stdout


def test_pickle_files_are_written_as_they_are(cli, disk):
    """An object that is a .pkl file is that file; for any other the message says the way out."""
    view = disk.at(namespace="n", run="r")
    view.put("model.pkl", {1: {2, 3}})
    view.put("model", {1: {2, 3}})
    assert 0 == cli("get", "n/r/model.pkl", "-o", "copy.pkl").code
    assert {1: {2, 3}} == pd.read_pickle("copy.pkl")
    ended = cli("get", "n/r/model", "-o", "m.pkl")
    assert (7, True) == (ended.code, "put it under a name that ends in .pkl" in ended.err)


def test_a_value_under_the_name_of_a_file_is_not_given_out_as_that_file(cli, disk, tmp_path):
    """A dict called c.yaml is an Arrow object: it is refused as YAML, and written as JSON."""
    disk.at(namespace="dev", run="r1").put("c.yaml", {"a": 1})
    goal = tmp_path / "out.yaml"
    ended = cli("get", "dev/r1/c.yaml", "-o", str(goal))
    assert 0 != ended.code
    assert not goal.exists()
    assert "ARROW1" not in cli("get", "dev/r1/c.yaml", "-o", "-").out
    assert 0 == cli("get", "dev/r1/c.yaml", "-o", str(tmp_path / "out.json")).code
    assert '"a"' in (tmp_path / "out.json").read_text()
    assert "ARROW1" not in cli("head", "dev/r1/c.yaml").out


def test_a_folder_without_recursive(cli, disk, tmp_path):
    """The first answer is the right one, and a usage error."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.txt").write_text("a")
    disk.at(namespace="dev", run="r1").put_dir("d", tmp_path / "d")
    for goal in ("outd", "out.csv", "-"):
        ended = cli("get", "dev/r1/d", "-o", goal)
        assert 2 == ended.code
        assert "dev/r1/d is a folder: write its files with `runstore get --recursive`" in ended.err

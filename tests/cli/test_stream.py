"""Files, folders, pipes: `put -`, `put DIR`, `get -o -`, `get --recursive`, `cat`, `head`."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from runstore.cli._transfer import transfer

PNG = b"\x89PNG\r\n" + bytes(range(256))


@pytest.fixture
def here(disk):
    """Give the view of dev/r in the default store."""
    return disk.at(namespace="dev", run="r")


def run(*words, data=b""):
    """Run the command line in a process of its own, with a pipe on both sides."""
    done = subprocess.run(
        [sys.executable, "-m", "runstore", *words], input=data, capture_output=True, check=False
    )
    return done.returncode, done.stdout, done.stderr.decode()


def test_files_are_stored_and_written_as_they_are(cli, here):
    """A file under a name of its kind is that file, and comes back byte for byte."""
    files = {"report.html": "<h1>é</h1>\r\n".encode(), "plot.png": PNG, "m.onnx": b"", "x.v2": PNG}
    for name, data in files.items():
        Path(name).write_bytes(data)
        assert 0 == cli("put", f"dev/r/{name}", name).code
        assert data == here.get_file(name).read_bytes()
        goal = f"out-{name}"
        if name != "x.v2":
            assert 0 == cli("get", f"dev/r/{name}", "-o", goal).code
            assert data == Path(goal).read_bytes()
            assert 4 == cli("get", f"dev/r/{name}", "-o", goal).code
            assert 0 == cli("get", f"dev/r/{name}", "-o", goal, "--force").code
    assert "<h1>é</h1>\r\n" == here.get("report.html")
    assert 4 == cli("put", "dev/r/plot.png", "plot.png", "--if-absent").code


def test_values_are_read_as_before(cli, here):
    """Under a name without such an extension a file is read as its extension says."""
    pd.DataFrame({"a": [1]}).to_csv("t.csv", index=False)
    Path("notes.txt").write_text("text")
    Path("x.png").write_bytes(PNG)
    for name, file in [("t", "t.csv"), ("t.parquet", "t.csv"), ("n", "notes.txt"), ("p", "x.png")]:
        assert 0 == cli("put", f"dev/r/{name}", file).code
    assert [1] == here.get("t")["a"].to_list() == here.get("t.parquet")["a"].to_list()
    assert ("text", PNG) == (here.get("n"), here.get("p"))


@pytest.mark.extended
def test_pipes(here):
    """`put -` stores what comes from a pipe, `get -o -` and `cat` write into one."""
    large = os.urandom(12 << 20)
    assert 0 == run("put", "dev/r/x.bin", "-", data=large)[0]
    assert large == here.get("x.bin")
    assert (0, large) == run("get", "dev/r/x.bin", "-o", "-")[:2]
    assert (0, large) == run("cat", "dev/r/x.bin")[:2]
    assert 4 == run("put", "dev/r/x.bin", "-", "--if-absent", data=b"new")[0]
    assert 0 == run("put", "dev/r/c.csv", "-", data=b"a\n1\n")[0]
    assert [1] == here.get("c.csv")["a"].to_list()
    code, _, error = run("put", "dev/r/c.json", "-", data=b'{"a": ')
    assert (7, True) == (code, "get() could not read this file" in error)
    assert 0 == run("put", "dev/r/raw", "-", data=b"bytes")[0]
    assert b"bytes" == here.get("raw")
    here.put("table", pa.table({"a": [1, 2]}))
    code, arrow, _ = run("cat", "dev/r/table")
    assert (0, [1, 2]) == (code, pa.ipc.open_file(arrow).read_all()["a"].to_pylist())
    with pa.ipc.new_file("t.arrow", pa.schema({"b": pa.int64()})) as writer:
        writer.write_table(pa.table({"b": [3]}))
    assert 0 == run("put", "dev/r/copy", "-", data=Path("t.arrow").read_bytes())[0]
    assert [3] == here.get("copy")["b"].to_pylist()


def test_folders(cli, here):
    """`put DIR` stores a folder, `get --recursive` writes it to a new one."""
    for name in ("m/a.txt", "m/b/c.bin", "m/x.tmp"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    (Path("m") / "link").symlink_to("a.txt")
    assert 2 == cli("put", "dev/r/model", "m").code
    assert 0 == cli("put", "dev/r/model", "m", "--exclude", "*.tmp", "--follow-links").code
    assert ["a.txt", "b/c.bin", "link"] == [info.part for info in here.parts("model")]
    assert ["model", "folder"] == cli("ls", "dev/r").out.splitlines()[1].split()[:2]
    shown = cli("show", "dev/r/model", "--rows", "2")
    assert (0, True) == (shown.code, shown.out.endswith("… 1 more row\n"))
    files = [
        {"path": "a.txt", "size": 7},
        {"path": "b/c.bin", "size": 9},
        {"path": "link", "size": 7},
    ]
    assert files == json.loads(cli("show", "dev/r/model", "--json").out)["preview"]
    assert "get --recursive" in cli("head", "dev/r/model").err
    ended = cli("get", "dev/r/model", "--recursive", "-o", "out", "--json")
    assert (0, 3) == (ended.code, json.loads(ended.out)["files"])
    assert "m/b/c.bin" == Path("out/b/c.bin").read_text()
    assert 2 == cli("get", "dev/r/model", "-r", "-o", "out").code
    assert 2 == cli("get", "dev", "-r", "-o", "new").code
    assert 3 == cli("get", "dev/r/none", "-r", "-o", "new").code
    assert not Path("new").exists()


def test_all_below_a_name_or_of_a_run(cli, here, tmp_path):
    """`get --recursive` writes the stored files of many objects, under their keys."""
    here.put("train/a", 1)
    here.put("train/report.html", "text")
    here.put("training", 2)
    here.put("x.json", {"a": 1})
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "f").write_text("file")
    here.put_dir("train/folder", tmp_path / "m")
    assert 0 == cli("get", "dev/r/train/", "-r", "-o", "some").code
    found = sorted(str(p.relative_to("some")) for p in Path("some").rglob("*") if p.is_file())
    assert ["train/a.arrow", "train/folder.arrow/f", "train/report.html"] == found
    assert 0 == cli("get", "dev/r", "-r", "-o", "all").code
    assert {"train", "training.arrow", "x.json"} == set(os.listdir("all"))


def test_an_object_of_parts_is_written_part_by_part(cli, here):
    """`get --recursive` writes the files of the parts; `cat` and `get_file` say what to do."""
    for part in (1, 2):
        here.put("days", pa.table({"a": [part]}), part=part)
    here.seal("days")
    here.put("other", 1)
    ended = cli("get", "dev/r", "-r", "-o", "all", "--json")
    assert (0, 3) == (ended.code, json.loads(ended.out)["files"])
    files = sorted(Path("all/days.arrow").iterdir())
    assert [[1], [2]] == [pa.ipc.open_file(file).read_all()["a"].to_pylist() for file in files]
    code, out, error = run("cat", "dev/r/days")
    assert (2, b"", True) == (code, out, "iter_batches(name)" in error)


def test_head_begins_an_object(cli, here):
    """`head` prints rows of a table as csv, lines of a text, and loads no pickle."""
    here.put("t", pd.DataFrame({"a": range(100), "b": "x"}))
    here.put("long.txt", "\n".join(map(str, range(1000))))
    here.put("text", "one\ntwo")
    here.put("odd", lambda: 1)
    assert '"a","b"\n0,"x"\n1,"x"\n' == cli("head", "dev/r/t", "-n", "2").out
    assert "0\n1\n2\n" == cli("head", "dev/r/long.txt", "-n", "3").out
    assert "one\ntwo\n" == cli("head", "dev/r/text").out
    refused = cli("head", "dev/r/odd")
    assert (7, False) == (refused.code, "policy is" in refused.err)
    assert "`runstore show --load dev/r/odd`" in refused.err
    assert 0 == cli("show", "--load", "dev/r/odd").code
    assert 3 == cli("head", "dev/r/none").code
    assert 2 == cli("head", "dev/r/t", "-n", "0").code


def test_head_gives_the_format_that_is_asked_for(cli, here):
    """`--as` is of tables: as csv, as JSON records, as files of Arrow and Parquet."""
    here.put("t", pa.table({"a": range(100), "b": ["x"] * 100}))
    here.put("t.csv", pd.DataFrame({"a": [1, 2, 3]}))
    head = ("head", "dev/r/t", "-n", "2", "--as")
    assert '"a","b"\n0,"x"\n1,"x"\n' == cli(*head, "csv").out
    assert [{"a": 0, "b": "x"}, {"a": 1, "b": "x"}] == json.loads(cli(*head, "json").out)
    assert [{"a": 1}] == json.loads(cli("head", "dev/r/t.csv", "-n", "1", "--as", "json").out)
    refused = cli(*head, "xml")
    assert (2, "") == (refused.code, refused.out)
    assert "csv, json, arrow, parquet" in refused.err
    here.put("text", "one")
    assert 2 == cli("head", "dev/r/text", "--as", "csv").code


@pytest.mark.parametrize("name", ["t", "frame"])
def test_head_pipes_files_of_some_rows(here, name):
    """What is piped is a whole file of Parquet with the first rows."""
    value = pa.table({"a": range(100)})
    here.put(name, value if name == "t" else value.to_pandas())
    url = str(here.store.url)
    command = [sys.executable, "-m", "runstore", "head", f"dev/r/{name}", "--as", "parquet"]
    done = subprocess.run([*command, "-n", "3", "--store", url], capture_output=True, check=True)
    assert [0, 1, 2] == pq.read_table(io.BytesIO(done.stdout))["a"].to_pylist()


@pytest.mark.parametrize("form", ["arrow", "parquet"])
@pytest.mark.parametrize("value", [pd.Index([5, 6, 7], name="k"), pd.Series([5, 6, 7], name="k")])
def test_head_pipes_an_index(here, value, form):
    """An index of pandas is one column, as a series is."""
    here.put("index", value)
    command = [sys.executable, "-m", "runstore", "head", "dev/r/index", "--as", form]
    done = subprocess.run(
        [*command, "-n", "2", "--store", str(here.store.url)], capture_output=True, check=True
    )
    file = io.BytesIO(done.stdout)
    read = pq.read_table if form == "parquet" else feather.read_table
    assert [5, 6] == read(file).column("k").to_pylist()


def test_put_says_which_argument_stands_first(cli, here, tmp_path):
    """Where file and object have changed places, the right order is shown."""
    ended = cli("put", "-", "dev/r/doc.json")
    assert (2, "") == (ended.code, ended.out)
    assert "the object stands first, as in runstore put dev/r/doc.json -" in ended.err
    ended = cli("put", "away.csv", "dev/r/doc")
    assert "the object stands first, as in runstore put dev/r/doc away.csv" in ended.err


def test_head_shows_every_table_as_csv(cli, here):
    """Lists and structs are JSON, time spans text; pickled columns are left out, with a word."""
    span = pa.array([1, None], pa.duration("s"))
    here.put("nested", pa.table({"l": [[1], [2, None]], "s": [{"x": "é"}, None], "d": span}))
    shown = cli("head", "dev/r/nested")
    assert (0, "") == (shown.code, shown.err)
    lines = ['"l","s","d"', '"[1]","{""x"": ""é""}","0:00:01"', '"[2, null]",,']
    assert lines == shown.out.splitlines()
    odd = pd.DataFrame({"a": [1, 2, 3], "o": [object(), 2, 3], "b": ["x", "y", "z"]})
    here.put("pickled", odd)
    shown = cli("head", "dev/r/pickled", "-n", "2")
    assert (0, '"a","b"\n1,"x"\n2,"y"\n') == (shown.code, shown.out)
    assert "column 'o' is left out: it is pickled" in shown.err
    here.put("kinds", pd.DataFrame({"a": [1, "x"], "b": [1, 2]}))
    assert '"a","b"\n"1","1"\n"x","2"\n' == cli("head", "dev/r/kinds").out
    here.put("twice", pd.DataFrame([[1, 2]], columns=["a", "a"]))
    assert '"a","a"\n"1","2"\n' == cli("head", "dev/r/twice").out
    here.put("none", pa.table({"a": [1]}).slice(1))
    assert '"a"\n' == cli("head", "dev/r/none").out
    here.put("only", odd[["o"]])
    assert 7 == cli("head", "dev/r/only").code


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_progress_of_what_takes_longer(stream, monkeypatch):
    """On a terminal a long transfer shows how far it is; a short one, or a pipe, shows nothing."""
    monkeypatch.setattr(sys, "stderr", stream())
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    now = 0.0
    with transfer("storing short", clock=lambda: now) as progress:
        progress(1, 2)
        now = 0.99
    assert "storing" not in sys.stderr.getvalue()
    with transfer("storing long", "bytes", lambda: now) as progress:
        progress(500, 1000)
        now = 2.0
    shown = sys.stderr.getvalue()
    assert (stream is Terminal) is ("storing long" in shown)
    assert (stream is Terminal) is ("500 B of 1.0 KB, 50 %" in shown)


def test_bytes_do_not_reach_a_terminal(cli, here, monkeypatch):
    """Bytes are not printed to a terminal; text is, with control characters written out."""
    here.put("x.png", PNG)
    here.put("x.txt", "a\x1b[31m\n")
    monkeypatch.setattr(sys, "stdout", Terminal())
    from runstore.cli import main

    assert 2 == main(["cat", "dev/r/x.png"])
    assert 0 == main(["cat", "dev/r/x.txt"])
    assert "a\\x1b[31m\n" == sys.stdout.getvalue()

"""`show`, `put` and `rm`: one object on a command line."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from runstore.cli._output import counted
from runstore.context import new_run
from runstore.errors import ObjectNotFoundError


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self):
        return _exploded, ()


def _exploded():
    Path("exploded").touch()
    return Bomb()


def put_bomb(view, name="bomb", **how):
    """Store a bomb. A put loads what it has pickled once, so the trace of that is removed."""
    view.put(name, Bomb(), **how)
    Path("exploded").unlink(missing_ok=True)


@pytest.fixture
def here(disk):
    """Give the view of dev/r in the default store."""
    return disk.at(namespace="dev", run="r")


def test_show_tells_what_and_where(cli, here):
    """Type, shape, place, metadata, columns and first rows of a table are shown."""
    frame = pd.DataFrame({"n": range(100), "s": ["a"] * 100})
    info = here.put("t", frame, metadata={"by": "me"})
    out = cli("show", "dev/r/t", "--rows", "3").out
    path = str(Path(".runstore/dev/r/t.arrow").absolute())
    for word in ("pandas.DataFrame", "100 × 2", path, '{"by": "me"}', info.digest, "97 more rows"):
        assert word in out
    assert "2  a\n" in out
    assert "3  a\n" not in out


def test_show_as_json(cli, here):
    """The JSON has what the table has, under stable keys."""
    frame = pd.DataFrame({"n": [1, None], "s": ["a", "b"]})
    here.put("t", frame)
    document = json.loads(cli("show", "dev/r/t", "--json").out)
    assert [{"n": 1.0, "s": "a"}, {"n": None, "s": "b"}] == document["preview"]
    text = str(frame["s"].dtype)  # object before pandas 3
    assert [{"name": "n", "type": "float64"}, {"name": "s", "type": text}] == document["schema"]
    assert ("dev/r/t", f"{pd.DataFrame.__module__}.DataFrame", 2, 2, False) == tuple(
        document[key] for key in ("ref", "type", "rows", "columns", "pickled")
    )
    assert Path(document["location"]).is_file()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"a": [1, 2]}, '"a": ['),
        ("two\nlines", "two\nlines"),
        (b"\x00abc", r"b'\x00abc'"),
        (np.arange(12.0).reshape(4, 3), "float64 (4, 3)"),
        (np.array(3), "int64 ()"),
        (pa.table({"x": [[1, 2]]}), "list<"),
        (pd.Series([1, 2], index=["k", "l"], name="z"), "index"),
        (pd.Index([7], name="i"), "i"),
        (None, "null"),
    ],
)
def test_show_begins_the_value(cli, here, value, shown):
    """Every kind of value that is no pickle is shown as its users know it."""
    here.put("v", value)
    ended = cli("show", "dev/r/v")
    assert 0 == ended.code
    assert shown in ended.out
    assert 0 == cli("show", "dev/r/v", "--json", "--rows", "0").code


def test_show_marks_an_index(cli, here):
    """It stands behind the columns of a frame, and is none of them."""
    here.put("by_day", pd.DataFrame({"n": [1, 2]}, index=pd.Index(["mo", "tu"], name="day")))
    here.put("plain", pd.DataFrame({"day": ["mo"]}))
    shown = cli("show", "dev/r/by_day").out
    words = shown.split()[-9:]
    assert ["n", "day", "int64", "(index)", "1", "mo", "2", "tu"] == words[:3] + words[4:]
    assert "(index)" not in cli("show", "dev/r/plain").out


def test_show_runs_no_stored_code(cli, here):
    """A pickled object is described without being loaded; --load says to load it."""
    put_bomb(here)
    ended = cli("show", "dev/r/bomb")
    assert 0 == ended.code
    assert "--load" in ended.out
    assert None is json.loads(cli("show", "dev/r/bomb", "--json").out)["preview"]
    assert not Path("exploded").exists()
    assert 0 == cli("show", "dev/r/bomb", "--load").code
    assert Path("exploded").exists()


def test_show_says_whether_it_is_signed(cli, here, monkeypatch):
    """Whether there is a signature is shown without the key; plain data needs none."""
    monkeypatch.setenv("RUNSTORE_SIGNING_KEY", "0123456789abcdef")
    put_bomb(here)
    here.put("plain", 1)
    here.put("ours", 1, pickle="signed")
    monkeypatch.delenv("RUNSTORE_SIGNING_KEY")
    for name, word, known in [("bomb", "no", False), ("plain", None, False), ("ours", "yes", True)]:
        lines = [line.split() for line in cli("show", f"dev/r/{name}").out.splitlines()]
        shown = {words[0]: words[1].strip(";") for words in lines if len(words) > 1}
        assert word == shown.get("signed")
        assert known is json.loads(cli("show", f"dev/r/{name}", "--json").out)["signed"]


def test_load_does_not_overrule_the_policy(cli, here, monkeypatch):
    """Where the settings deny pickle, --load does not help."""
    put_bomb(here)
    monkeypatch.setenv("RUNSTORE_PICKLE", "deny")
    assert 7 == cli("show", "dev/r/bomb", "--load").code
    assert not Path("exploded").exists()


def test_show_of_a_run_is_its_record(cli, workflow):
    """A run's stages and result can be looked at when it is over."""
    assert 0 == cli("run", workflow, "--run", "r").code
    out = cli("show", "default/_latest").out
    assert '{"total": 14}' in out
    assert ["square", "finished"] == out.splitlines()[-2].split()[:2]
    assert "finished" == json.loads(cli("show", "default/r", "--json").out)["state"]


def test_put_stores_what_the_file_holds(cli, disk, tmp_path):
    """Each extension is read as what it says; one that is not known is bytes."""
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}, index=pd.Index(["p", "q"], name="i"))
    frame.to_parquet("a.parquet")
    frame.reset_index().to_csv("a.csv", index=False)
    frame.reset_index().to_feather("a.feather")
    np.save("a.npy", np.arange(3))
    Path("a.json").write_text('{"a": [1, null]}')
    Path("a.txt").write_bytes("ä\r\n".encode())
    Path("a.dat").write_bytes(b"\x00\x01")
    for extension in ("parquet", "csv", "feather", "npy", "json", "txt", "dat"):
        assert 0 == cli("put", f"dev/r/{extension}", f"a.{extension}").code
    here = disk.at(namespace="dev", run="r")
    pd.testing.assert_frame_equal(frame, here.get("parquet"))
    for name in ("csv", "feather"):
        pd.testing.assert_frame_equal(frame.reset_index(), here.get(name))
    assert [0, 1, 2] == here.get("npy").tolist()
    assert {"a": [1, None]} == here.get("json")
    assert "ä\r\n" == here.get("txt")
    assert b"\x00\x01" == here.get("dat")


def test_put_can_refuse_to_replace(cli, disk):
    """--if-absent keeps what is there; without it an object is replaced."""
    Path("a.txt").write_text("new")
    disk.at(namespace="dev").put("x", "old", scope="namespace")
    taken = cli("put", "dev/_shared/x", "a.txt", "--if-absent")
    assert 4 == taken.code
    told = "dev/_shared/x exists already: choose another name, or omit --if-absent to replace it"
    assert told in taken.err
    assert 0 == cli("put", "dev/r/y", "a.txt").code
    assert told in cli("cp", "dev/r/y", "dev/_shared/x", "--if-absent").err
    assert "old" == disk.at(namespace="dev").get("x", scope="namespace")
    assert 0 == cli("put", "dev/_shared/x", "a.txt").code
    assert "new" == disk.at(namespace="dev").get("x", scope="namespace")


@pytest.mark.parametrize("extension", ["parquet", "arrow", "json", "npy", "txt", "csv"])
def test_put_of_a_broken_file_stores_nothing(cli, disk, extension):
    """A file that is not what its extension says is wrong usage."""
    Path(f"a.{extension}").write_bytes(b'"\xff\xfe broken')
    assert 2 == cli("put", "dev/r/x", f"a.{extension}").code
    assert not disk.at(namespace="dev", run="r").exists("x")


def test_rm_removes_one_object(cli, here):
    """One object goes without a question, and nothing else with it."""
    for name in ("a", "a/b"):
        here.put(name, 1)
    assert 0 == cli("rm", "dev/r/a").code
    assert ["a/b"] == [info.name for info in here.list()]
    assert 3 == cli("rm", "dev/r/a").code
    assert 2 == cli("rm", "dev/r").code


@pytest.mark.parametrize("words", [["rm"], ["rm", "-r"], ["cp"], ["cp", "-r"], ["get", "-r"]])
def test_a_mistyped_run_is_not_taken_for_many_objects(cli, disk, words):
    """Nothing is stored there, and the run that may be meant has objects or only a record."""
    disk.at(namespace="dev", run="train-1").put("x", 1)
    disk.write_run(new_run("w", namespace="dev", name="report-1"))
    more = {"cp": ["dev/other"], "get": ["-o", "out"]}.get(words[0], [])
    for typed, meant in (("train-2", "train-1"), ("report-2", "report-1")):
        ended = cli(*words, f"dev/{typed}", *more)
        assert 3 == ended.code
        assert f"nothing is stored in dev/{typed} " in ended.err
        assert f"did you mean dev/{meant}" in ended.err
    assert "there is no namespace 'dew'" in cli(*words, "dew/train-1", *more).err


def test_what_is_there_is_more_than_one_object(cli, disk):
    """A run that has only a record can be removed as one with objects can."""
    disk.write_run(new_run("w", namespace="dev", name="report-1"))
    assert "add --recursive" in cli("rm", "dev/report-1").err
    assert 0 == cli("rm", "-r", "--yes", "--force", "dev/report-1").code
    assert 3 == cli("rm", "dev/_shared").code


def test_rm_of_many_wants_a_word(cli, here):
    """Where nobody can be asked, --recursive needs --yes."""
    here.put("a/b", 1)
    ended = cli("rm", "-r", "dev/r/a")
    assert 2 == ended.code
    assert "--yes" in ended.err
    assert here.exists("a/b")


@pytest.mark.parametrize(("answer", "left"), [("n\n", ["a", "a/b"]), ("y\n", [])])
def test_rm_of_many_asks(cli, here, monkeypatch, answer, left):
    """On a terminal the question says how much would go, and only yes removes it."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for name in ("a", "a/b"):
        here.put(name, 1)
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    ended = cli("rm", "-r", "dev/r/a")
    assert 0 == ended.code
    assert "2 objects" in ended.err
    assert left == [info.name for info in here.list()]


def test_rm_stays_within_a_folder(cli, here):
    """``train`` is the object of that name and all below it, and never ``training``."""
    for name in ("train", "train/a", "train/b/c", "training"):
        here.put(name, 1)
    document = json.loads(cli("rm", "-r", "-y", "dev/r/train/", "--json").out)
    assert ["dev/r/train", "dev/r/train/a", "dev/r/train/b/c"] == sorted(document["removed"])
    assert ["training"] == [info.name for info in here.list()]


def test_rm_of_a_run_takes_its_record_along(cli, disk, here):
    """Nothing of the run is left, and nothing else of the namespace is touched."""
    here.put("x", 1)
    disk.write_run(new_run("w", namespace="dev", name="r"))
    disk.write_run(new_run("w", namespace="dev", name="r-2"))
    disk.at(namespace="dev", run="r-2").put("x", 2)
    disk.at(namespace="dev").put("x", 3, scope="namespace")
    refused = cli("rm", "-r", "-y", "dev/r")  # its record says that it is running
    assert (4, True) == (refused.code, "rm -r --force" in refused.err)
    assert 0 == cli("rm", "-r", "-y", "--force", "dev/r").code
    assert ["r-2"] == [run.name for run in disk.runs("dev")]
    assert ["r-2"] == disk.runs_with_objects("dev")
    assert 3 == disk.at(namespace="dev").get("x", scope="namespace")
    with pytest.raises(ObjectNotFoundError):
        disk.delete_run("r", namespace="dev")


def test_rm_of_a_namespace_is_refused(cli, here):
    """A whole namespace does not go by one command."""
    here.put("x", 1)
    assert 2 == cli("rm", "-r", "-y", "dev").code
    assert here.exists("x")


def test_rm_of_what_is_shared(cli, disk):
    """``_shared`` can be emptied like a run."""
    disk.at(namespace="dev").put("x", 3, scope="namespace")
    assert 0 == cli("rm", "-r", "-y", "dev/_shared").code
    assert [] == disk.at(namespace="dev").list(scope="namespace")


def test_put_takes_metadata_and_a_format(cli, disk, tmp_path):
    """`--metadata` is kept with the object; `--as` reads a file of any name."""
    (tmp_path / "data").write_text('{"a": 1}')
    words = ("put", "n/r/x", "data", "--as", "json", "--metadata", "rows=3", "-m", "by=me")
    assert 0 == cli(*words).code
    view = disk.at(namespace="n", run="r")
    assert {"a": 1} == view.get("x")
    assert {"rows": 3, "by": "me"} == view.stat("x").metadata
    refused = cli("put", "n/r/x.html", "data", "-m", "a=1")
    assert (2, True) == (refused.code, "no room for metadata" in refused.err)
    assert not view.exists("x.html")
    assert 2 == cli("put", "n/r/y", "data", "--as", "xls").code


@pytest.mark.extended
def test_put_reads_a_table_from_a_pipe(disk):
    """`put - --as csv` stores what a program prints as a table."""
    done = subprocess.run(
        [sys.executable, "-m", "runstore", "put", "n/r/t", "-", "--as", "csv"],
        input=b"a,b\n1,x\n",
        capture_output=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    assert [{"a": 1, "b": "x"}] == disk.at(namespace="n", run="r").get("t").to_dict("records")


def test_what_is_no_object_says_the_way_out(cli, disk):
    """A bare name and a run without a record lead to commands that work."""
    disk.at(namespace="n", run="r").put("features", 1)
    assert "write NAMESPACE/RUN/NAME" in cli("show", "features").err
    ended = cli("show", "n/r")
    assert (3, True) == (ended.code, "`runstore ls n/r` lists them" in ended.err)
    assert 0 == cli("ls", "n/r").code
    assert "no run 'none'" in cli("show", "n/none").err


def test_one_thing_is_no_several(cli, disk):
    """Numbers of things are in the singular where it is one."""
    disk.at(namespace="dev", run="r").put("x", 1)
    assert "would remove 1 object (" in cli("rm", "-r", "dev/r").err
    assert "1 object or record checked" in cli("verify").err
    assert "(1 object)" in cli("tree", "dev", "--depth", "1").out
    assert "wrote 1 file to" in cli("get", "-r", "dev/r", "-o", "out").err
    assert ["1 run", "2,000 runs", "0 has"] == [
        counted(1, "run"),
        counted(2000, "run"),
        counted(0, "has", "has"),
    ]


def test_errors_name_the_ways_of_the_shell(cli, disk, tmp_path):
    """Not arguments of Python: of a link in a folder, a pipe, an age, and a run that goes on."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "link").symlink_to(tmp_path)
    ended = cli("put", "dev/r1/d", str(tmp_path / "d"))
    assert 2 == ended.code
    assert "with --follow-links, or leave it out with --exclude" in ended.err
    os.mkfifo(tmp_path / "pipe")
    ended = cli("put", "dev/r1/x", str(tmp_path / "pipe"))
    assert 2 == ended.code
    assert "COMMAND | runstore put dev/r1/x -" in ended.err
    ended = cli("gc", "--older-than", "1x")
    assert 2 == ended.code
    assert "error: --older-than: '1x' is no age" in ended.err
    disk.write_run(new_run("w", namespace="dev", name="r2"))
    ended = cli("rm", "-r", "-y", "dev/r2")
    assert 4 == ended.code
    assert "`runstore cancel dev/r2`" in ended.err
    assert "`runstore rm -r --force dev/r2`" in ended.err
    assert 0 == cli("rm", "-r", "-y", "--force", "dev/r2").code

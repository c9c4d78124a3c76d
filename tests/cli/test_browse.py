"""`runs`, `ls` and `du`: what there is, and how much of it."""

import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from runstore.arguments import printable
from runstore.context import new_run
from runstore.texts import duration, short_type


@pytest.fixture
def filled(disk):
    """Give a store with two recorded runs, one that only has objects, and a shared object."""
    started = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    for minutes, name in enumerate(("old", "new")):
        begun = started + timedelta(minutes=minutes)
        run = new_run("train", namespace="dev", name=name).model_copy(
            update={
                "started_at": begun,
                "finished_at": begun + timedelta(seconds=63),
                "state": "finished",
            }
        )
        disk.write_run(run)
    new = disk.at(namespace="dev", run="new")
    new.put("table", pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
    new.put("train/loss", [1.5])
    new.put("training", "text")
    disk.at(namespace="dev", run="bare").put("x", b"1234")
    disk.at(namespace="dev").put("model", {"w": 1}, scope="namespace")
    disk.at(namespace="prod", run="p").put("x", 1)
    return disk


def test_nothing_is_an_empty_answer(cli):
    """An empty store is no error; its JSON has the same keys as a full one's."""
    assert (0, "") == cli("ls")[:2]
    assert (0, "") == cli("runs")[:2]
    assert [] == json.loads(cli("ls", "--json").out)["namespaces"]
    assert [] == json.loads(cli("runs", "--json").out)["runs"]
    assert {"objects": 0, "size": 0} == json.loads(cli("du", "--json").out)["total"]
    assert not Path(".runstore").exists()


def test_ls_lists_namespaces(cli, filled):
    """Without a reference: each namespace, with how many runs and shared objects it has."""
    expected = [
        {"namespace": "dev", "runs": 3, "shared": 1},
        {"namespace": "prod", "runs": 1, "shared": 0},
    ]
    assert expected == json.loads(cli("ls", "--json").out)["namespaces"]
    header, dev, prod = cli("ls").out.splitlines()
    assert header.startswith("namespace")
    assert ["dev", "3", "1"] == dev.split()
    assert ["prod", "1", "0"] == prod.split()


def test_ls_of_a_namespace_lists_runs_and_what_they_share(cli, filled):
    """Recorded runs come newest first, then those without a record, then what is shared."""
    document = json.loads(cli("ls", "dev", "--json").out)
    assert ["new", "old", "bare"] == [run["name"] for run in document["runs"]]
    assert [3, 0, 1] == [run["objects"] for run in document["runs"]]
    assert ["finished", "finished", None] == [run["state"] for run in document["runs"]]
    assert ["dev/_shared/model"] == [info["ref"] for info in document["shared"]]
    out = cli("ls", "dev").out
    assert "no record" in out
    assert "model" in out


def test_ls_of_a_run_lists_objects(cli, filled):
    """Name, type, shape, size and time of each object, sorted by name."""
    header, table, loss, training = cli("ls", "dev/new").out.splitlines()
    assert "rows × columns" in header
    for word in ("pandas.DataFrame", "2 × 2"):
        assert word in table
    assert "list" in loss
    assert "str" in training
    objects = json.loads(cli("ls", "dev/_latest", "--json").out)["objects"]
    assert ["table", "train/loss", "training"] == [info["name"] for info in objects]
    assert [2, None, None] == [info["rows"] for info in objects]


def test_ls_filters_by_the_beginning_of_names(cli, filled):
    """A prefix is plain text, and matching none of the names is an empty answer."""

    def names(ref: str) -> list[str]:
        return [info["name"] for info in json.loads(cli("ls", ref, "--json").out)["objects"]]

    assert ["train/loss", "training"] == names("dev/new/train")
    assert ["train/loss"] == names("dev/new/train/")
    assert ["model"] == names("dev/_shared")
    assert [] == names("dev/new/zzz")


def test_ls_without_details_reads_no_object(cli, filled):
    """--no-details shows what the place knows, and a damaged object hides none of the others."""
    path = Path(".runstore/dev/new/table.arrow")
    path.write_bytes(b"not an object")
    assert "type" not in cli("ls", "dev/new", "--no-details").out
    ended = cli("ls", "dev/new")
    assert 0 == ended.code
    assert "damaged" in ended.out
    assert "training" in ended.out
    assert "warning: " in ended.err


def test_runs_are_newest_first(cli, filled):
    """Each record is a line with workflow, state, start, duration and source."""
    header, new, old = cli("runs").out.splitlines()
    assert "started (UTC)" in header
    assert ["dev", "new", "train", "finished", "2026-01-02", "03:05:05"] == new.split()[:6]
    assert "1 min 03 s  manual" in old
    assert "old" not in cli("runs", "--limit", "1").out
    assert (0, "") == cli("runs", "-n", "prod")[:2]


def test_runs_can_be_sized(cli, filled):
    """--sizes adds how many objects and bytes each run has."""
    new, old = json.loads(cli("runs", "--sizes", "--json").out)["runs"]
    assert ("dev/new", 63.0, 3) == (new["ref"], new["seconds"], new["objects"])
    assert (0, 0) == (old["objects"], old["size"])
    assert cli("runs", "--sizes").out.splitlines()[0].endswith("objects    size")


def test_du_adds_up(cli, filled):
    """Parts are sorted by size and add up to the total, at each level."""
    for words, count in ((["du"], 6), (["du", "dev"], 5), (["du", "dev/new"], 3)):
        document = json.loads(cli(*words, "--json").out)
        sizes = [entry["size"] for entry in document["entries"]]
        assert sorted(sizes, reverse=True) == sizes
        assert {"objects": count, "size": sum(sizes)} == document["total"]
        assert "total" in cli(*words).out.splitlines()[-1]
    on_disk = sum(path.stat().st_size for path in Path(".runstore").rglob("*.arrow"))
    assert on_disk == json.loads(cli("du", "--json").out)["total"]["size"]


def _on_a_terminal(*words: str, **environment: str) -> str:
    """Run a command with stdout on a terminal, and give what that terminal received."""
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "runstore", *words],
        stdout=follower,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environment},
    )
    os.close(follower)
    received = b""
    try:
        while chunk := os.read(leader, 65536):
            received += chunk
    except OSError:  # Linux says so that nobody writes any more
        pass
    os.close(leader)
    assert 0 == child.wait(timeout=300)
    return received.decode()


@pytest.mark.extended
def test_a_terminal_gets_colour_unless_it_asks_not_to(filled):
    """On a terminal states are coloured; NO_COLOR is respected, and a pipe never has any."""
    assert "\x1b[32mfinished" in _on_a_terminal("runs")
    plain = _on_a_terminal("runs", NO_COLOR="1")
    assert "finished" in plain
    assert "\x1b[32m" not in plain


def test_stored_text_cannot_steer_the_terminal(cli, disk):
    """Control characters in what was stored are written out, not sent."""
    disk.at(namespace="dev", run="r").put("x", "\x1b[31mred\x07\n", metadata={"k": "\x1b]0;t"})
    out = cli("show", "dev/r/x").out
    assert r"\x1b[31mred\x07" in out
    assert "\x1b" not in out
    assert r"a\x00b" == printable("a\0b")


def test_parts_and_files_of_folders_are_counted(cli, tmp_path):
    """`du`, `ls` and `runs --sizes` count what an object stands for, and parts without a seal."""
    from runstore import ObjectStore

    view = ObjectStore(".runstore").at(namespace="dev", run="r")
    for key in (1, 2):
        view.put("nested/table", np.arange(700), part=key)
        view.put("open", bytes(7_000), part=key)
    view.seal("nested/table")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "f").write_bytes(bytes(9_000))
    view.put_dir("folder", tmp_path / "folder")
    view.put("plain", bytes(100))
    on_disk = sum(
        path.stat().st_size for path in Path(".runstore/dev").rglob("*.*") if path.is_file()
    )
    for words in (["du"], ["du", "dev"], ["du", "dev/r"]):
        total = json.loads(cli(*words, "--json").out)["total"]
        assert {"objects": 3, "size": on_disk} == total
    entries = json.loads(cli("du", "dev/r", "--json").out)["entries"]
    sizes = {entry["ref"]: entry["size"] for entry in entries}
    assert ["dev/r/open", "dev/r/nested/table", "dev/r/folder", "dev/r/plain"] == list(sizes)
    assert view.stat("nested/table").size == sizes["dev/r/nested/table"] > 10_000
    for words in (["ls", "dev/r"], ["ls", "dev/r/nested"]):
        for details in ("--details", "--no-details"):
            found = json.loads(cli(*words, details, "--json").out)["objects"]
            assert all(sizes[f"dev/r/{info['name']}"] == info["size"] for info in found)
            assert "nested/table" in [info["name"] for info in found]
    (entry,) = json.loads(cli("ls", "dev", "--json").out)["runs"]
    assert (3, on_disk) == (entry["objects"], entry["size"])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.00 s"),
        (9.994, "9.99 s"),
        (59.9, "59.9 s"),
        (59.96, "1 min 00 s"),
        (7500, "2 h 05 min"),
        (None, ""),
    ],
)
def test_durations_are_for_people(seconds, text):
    """Time spans have two or three digits that matter."""
    assert text == duration(seconds)


def test_types_are_called_as_users_call_them():
    """Where a library keeps a class inside does not matter to who uses it."""
    names = {
        "builtins.dict": "dict",
        "polars.dataframe.frame.DataFrame": "polars.DataFrame",
        "pandas.DataFrame": "pandas.DataFrame",
    }
    assert list(names.values()) == [short_type(name) for name in names]


@pytest.mark.parametrize("started", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_any_time_in_a_record_is_shown(cli, disk, started):
    """One that has no form in UTC is written in its own zone; one without a zone is UTC."""
    at = datetime.fromisoformat(started)
    run = new_run("w", namespace="n", name="r")
    disk.write_run(run.model_copy(update={"started_at": at, "finished_at": datetime(2020, 1, 1)}))
    for words in (["runs"], ["runs", "--json"], ["show", "n/r"]):
        ended = cli(*words)
        assert 0 == ended.code, ended.err
        assert started[:10] in ended.out
    assert f"{started[:10]} {started[11:]}\n" in ended.out


def test_a_store_in_no_folder_is_told_from_an_empty_one(cli, tmp_path):
    """A misspelt path is not taken for a store without objects."""
    empty = tmp_path / "a %20#?b"
    missing = cli("ls", "--store", str(empty))
    assert (0, True) == (missing.code, missing.err.endswith("b: there is no such folder\n"))
    empty.mkdir()
    assert cli("ls", "--store", str(empty)).err.endswith("%20#?b\n")


def test_get_without_a_file_says_where_a_value_can_go(cli):
    """To a file, to stdout, or only described."""
    ended = cli("get", "dev/r/x")
    assert 2 == ended.code
    assert "-o FILE writes a file, -o - prints it, and 'runstore show REF' describes" in ended.err


def test_runs_are_chosen(cli, disk):
    """By workflow, state, age and source, alone and together; the newest come first."""
    from datetime import UTC, datetime, timedelta

    from runstore.context import new_run

    now = datetime.now(UTC)
    for name, workflow, state, days, source in (
        ("a", "train", "finished", 0, "cli"),
        ("b", "train", "failed", 1, "schedule"),
        ("c", "train", "failed", 9, "cli"),
        ("d", "clean", "failed", 0.5, "cli"),
    ):
        run = new_run(workflow, namespace="n", name=name, source=source)
        began = now - timedelta(days=days, minutes=5)
        times = {"state": state, "started_at": began, "finished_at": began}
        disk.write_run(run.model_copy(update=times))

    def found(*words):
        return [run["name"] for run in json.loads(cli("runs", "--json", *words).out)["runs"]]

    assert ["a", "b", "c"] == found("--workflow", "train")
    assert ["d", "b", "c"] == found("--state", "failed")
    assert ["a", "d", "b"] == found("--since", "2d")
    assert ["b"] == found("--source", "schedule")
    assert ["b"] == found("-w", "train", "--state", "failed", "--since", "7d")
    assert ["a", "d"] == found("--source", "cli", "--limit", "2")
    assert "no such runs" in cli("runs", "--state", "lost").err
    assert 2 == cli("runs", "--since", "yesterday").code
    wrong = cli("runs", "--state", "odd")
    assert 2 == wrong.code
    assert "for '--state': 'odd' is not one of 'pending'" in wrong.err


def test_runs_of_a_namespace_that_is_not_there(cli, disk):
    """It is an error that names those there are; one without records is none."""
    disk.at(namespace="here", run="r").put("x", 1)
    for words in ((), ("--json",), ("--limit", "3"), ("--tag", "a"), ("--state", "failed")):
        ended = cli("runs", "-n", "nope", *words)
        assert (3, "") == (ended.code, ended.out)
        assert "no namespace 'nope'" in ended.err
        assert "there is 'here'" in ended.err
    bare = cli("runs", "-n", "here")
    assert (0, True) == (bare.code, "no runs with a record in namespace 'here'" in bare.err)
    for ended in (bare, cli("runs")):  # straight after a first `put`
        assert "a run of run_context has none: `runstore ls here` lists every run" in ended.err
    assert "r" in cli("ls", "here").out


def test_an_empty_folder_is_no_run(cli, disk, monkeypatch):
    """Some servers keep the folders of what was removed; one with any file is shown."""
    disk.at(namespace="dev", run="full").put("x", 1)
    root = Path(disk.url.removeprefix("file://")) / "dev"
    (root / "fully" / "deep").mkdir(parents=True)
    (root / "foreign").mkdir()
    (root / "foreign" / "notes.txt").write_text("of another program")
    monkeypatch.setattr(type(disk.backend), "_holds_anything", lambda *_: True)
    assert ["foreign", "full", "fully"] == disk.runs_with_objects("dev")
    shown = json.loads(cli("ls", "dev", "--json").out)
    assert ["foreign", "full"] == [one["name"] for one in shown["runs"]]
    assert "fully" not in cli("ls", "dev").out
    assert 0 == cli("ls", "dev/ful").code

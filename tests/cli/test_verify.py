"""`verify`: every byte of what is stored is checked, and nothing of it is loaded."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from runstore.context import new_run


class Bomb:
    """A value that fails if anybody loads it."""

    loaded = 0

    def __reduce__(self):
        return _load, ()


def _load():
    Bomb.loaded += 1
    return Bomb()


@pytest.fixture
def filled(disk):
    """Give a store with objects of every kind of file, one recorded run, and files of others."""
    disk.write_run(new_run("w", namespace="dev", name="r").model_copy(update={"state": "finished"}))
    view = disk.at(namespace="dev", run="r")
    view.put("large", np.arange(100_000.0))
    view.put("long-" + "x" * 300, [1])
    view.put("train/table.parquet", pa.table({"a": [1, 2]}))
    view.put("train/array.npy", np.arange(3))
    view.put("train/people.csv", pa.table({"a": [1]}).to_pandas())
    view.put("pickled", Bomb())
    disk.at(namespace="dev").put("model", "text", scope="namespace")
    disk.at(namespace="prod", run="p").put("x", b"bytes")
    Bomb.loaded = 0
    Path(".runstore/dev/r/notes.txt").write_text("of another program")
    return disk


def write_foreign():
    """Write files of another program in two formats that have a place for a digest."""
    table = pa.table({"a": [1, 2, 3]})
    with pa.ipc.new_file(".runstore/dev/r/foreign.arrow", table.schema) as writer:
        writer.write_table(table)
    np.save(".runstore/dev/r/foreign.npy", np.arange(3))


def flip(path, at):
    """Change one bit."""
    data = bytearray(Path(".runstore", path).read_bytes())
    data[at] ^= 1
    Path(".runstore", path).write_bytes(data)


def test_all_that_is_stored_is_checked(cli, filled):
    """Objects of runs, what they share and records are read; no value is loaded."""
    ended = cli("verify")
    assert (0, "") == ended[:2]
    assert ended.err.startswith("10 objects and records checked (")
    assert ended.err.endswith("), 0 damaged, 2 have no digest to check\n")
    assert 0 == Bomb.loaded
    answer = json.loads(cli("verify", "--json").out)
    assert (10, [], []) == (answer["checked"], answer["damaged"], answer["unchecked"])
    assert ["dev/r/notes.txt", "dev/r/train/people.csv"] == answer["without_digest"]
    assert answer["size"] > 800_000


@pytest.mark.parametrize(
    ("reference", "checked"),
    [
        ("dev", 9),
        ("dev/r", 8),  # with its record
        ("dev/_latest/train/", 3),
        ("dev/r/long", 1),
        ("dev/_shared", 1),
        ("dev/r/nothing", 0),
    ],
)
def test_what_a_reference_names_is_checked(cli, filled, reference, checked):
    """A namespace, a run with its record, what the runs share, or objects by their beginning."""
    assert checked == json.loads(cli("verify", reference, "--json").out)["checked"]


def test_what_is_not_there_is_an_error(cli, filled):
    """A namespace or run that does not exist is no success."""
    assert 3 == cli("verify", "nowhere").code
    assert 3 == cli("verify", "dev/nothing").code


def test_every_damage_is_one_line(cli, filled):
    """One flipped bit anywhere is found: in mapped numbers, files, records, shortened keys."""
    (long,) = Path(".runstore/dev/r").glob("long-*")
    damaged = {
        "dev/r/large.arrow": "dev/r/large",
        "dev/r/train/table.parquet": "dev/r/train/table.parquet",
        "dev/r/train/array.npy": "dev/r/train/array.npy",
        "dev/_runs/r.json": "dev/_runs/r.json",
        str(long.relative_to(".runstore")): long.name,
        "dev/_shared/model.arrow": "dev/_shared/model",
    }
    for path in damaged:
        size = Path(".runstore", path).stat().st_size
        flip(path, size - 1 if path.endswith(".npy") else size // 2)
    ended = cli("verify")
    assert 1 == ended.code
    lines = ended.out.splitlines()
    assert len(damaged) == len(lines)
    assert all(line.startswith("damaged: ") for line in lines)
    for name in damaged.values():
        assert 1 == sum(name in line for line in lines)
    assert "6 damaged" in ended.err
    answer = json.loads(cli("verify", "dev", "--json").out)
    assert 6 == len(answer["damaged"])


def test_an_object_without_a_digest_is_no_success(cli, filled):
    """What another program wrote cannot be checked; that a part of it is missing is seen."""
    write_foreign()
    ended = cli("verify", "dev/r/foreign")
    assert 1 == ended.code
    assert ["unchecked: ", "unchecked: "] == [line[:11] for line in ended.out.splitlines()]
    assert ended.err.endswith("0 damaged, 2 could not be checked\n")
    path = Path(".runstore/dev/r/foreign.arrow")
    path.write_bytes(path.read_bytes()[:-30])
    assert cli("verify", "dev/r/foreign").out.startswith("damaged: ")


def test_swapped_objects_are_found(cli, filled):
    """An object under another's key is damage, although its bytes are whole."""
    folder = Path(".runstore/dev/r")
    (folder / "large.arrow").rename(folder / "other.arrow")
    ended = cli("verify")
    assert (1, 1) == (ended.code, len(ended.out.splitlines()))
    assert "at dev/r/other stands an object that was stored as dev/r/large" in ended.out


def test_what_cannot_be_checked_is_no_success(cli, filled, monkeypatch):
    """Without a key, objects of a signing store are neither damaged nor whole."""
    monkeypatch.setenv("RUNSTORE_PICKLE", "signed")
    ended = cli("verify", "prod")
    assert 1 == ended.code
    assert ended.out.startswith("unchecked: cannot verify prod/p/x: ")
    assert "0 damaged, 1 could not be checked" in ended.err
    monkeypatch.setenv("RUNSTORE_SIGNING_KEY", "k" * 32)
    assert "it is not signed" in cli("verify", "prod").out
    filled.at(namespace="prod", run="p").put("x", 1, pickle="signed")
    assert (0, "") == cli("verify", "prod")[:2]


def test_a_run_with_a_record_alone(cli, disk):
    """A run that has stored nothing is verified by its record."""
    run = new_run("w", namespace="dev", name="r")
    disk.write_run(run.model_copy(update={"started_at": datetime(2026, 1, 1, tzinfo=UTC)}))
    assert "1 object or record checked" in cli("verify", "dev/r").err

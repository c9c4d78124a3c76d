import json

import pytest
from tests.upkeep.gc_runs import stocked

from runstore import ObjectStore
from runstore.errors import AccessDeniedError
from runstore.places._local import LocalBackend


@pytest.fixture
def stocked_store(tmp_path, monkeypatch):
    """Give a store with four runs, the store of the settings."""
    store = ObjectStore(tmp_path / "store")
    for day in range(4):
        stocked(store, f"r{day}", day)
    monkeypatch.setenv("RUNSTORE_URL", str(tmp_path / "store"))
    return store


def test_gc_shows_what_would_go_and_removes_it_when_told(stocked_store, cli):
    """By default nothing is removed; with --apply what was shown."""
    shown = cli("gc", "--keep-last", "2")
    assert "dev/r0" in shown.out
    assert "dev/r1" in shown.out
    assert "would remove 2 runs and 0 leftovers: 16 files" in shown.err
    assert "add --apply" in shown.err
    assert 4 == len(stocked_store.runs("dev"))
    applied = cli("gc", "--keep-last", "2", "--apply")
    assert "removed 2 runs, 16 files" in applied.err
    assert ["r3", "r2"] == [run.name for run in stocked_store.runs("dev")]
    again = json.loads(cli("gc", "--keep-last", "2", "--apply", "--json").out)
    assert [] == again["runs"] == again["applied"]["runs"]


def test_pinned_runs_stay(stocked_store, cli):
    """`pin` and `unpin` take a run, also the newest by `_latest`."""
    assert "pinned dev/r0" in cli("pin", "dev/r0", "--note", "paper").err
    assert "pinned dev/r3" in cli("pin", "dev/_latest").err
    assert "kept: 2 runs: pinned" in cli("gc", "--keep-last", "1").err
    cli("unpin", "dev/r0")
    assert "dev/r0" in cli("gc", "--keep-last", "1").out
    assert 2 == cli("pin", "dev/").code
    assert 3 == cli("pin", "dev").code  # a run of the default namespace
    assert 3 == cli("pin", "dev/nobody").code


def test_tags_and_notes(stocked_store, cli):
    """They are set and removed, and runs are listed by them."""
    assert "a\nteam=ads\n" == cli("tag", "dev/r1", "team=ads", "a").out
    assert "team=ads\n" == cli("tag", "dev/r1", "a", "--remove").out
    listed = json.loads(cli("runs", "--tag", "team=ads", "--json").out)
    assert ["r1"] == [run["name"] for run in listed["runs"]]
    assert "good\n" == cli("tag", "dev/r1/deep/y", "good").out
    cli("note", "dev/r1", "as in the paper")
    assert "as in the paper\n" == cli("note", "dev/r1").out
    assert "" == cli("note", "dev/r1/deep/y").out
    assert 2 == cli("tag", "dev/_shared", "x").code


@pytest.mark.parametrize("command", ["tag", "note"])
def test_marks_of_what_is_not_there_are_an_error(stocked_store, cli, command):
    """A slip of the pen is not taken for an object or a run without marks."""
    for ref in ("dev/r1/no", "dev/nobody", "nowhere/r1", "dev/_shared/no"):
        ended = cli(command, ref)
        assert (3, "") == (ended.code, ended.out), ref
        assert any(f"no {what} " in ended.err for what in ("object", "run", "namespace"))


def test_wrong_rules_are_usage_errors(stocked_store, cli):
    """The message says how to write them."""
    assert "write seconds, or as in" in cli("gc", "--older-than", "x").err
    assert 4 == len(stocked_store.runs("dev"))


def test_a_namespace_or_workflow_that_is_not_there_is_refused(stocked_store, cli):
    """Nothing is kept and nothing would go: most likely it is misspelt."""
    for wrong in (("-n", "nope"), ("-w", "nope"), ("-n", "dev", "-w", "nope")):
        found = cli("gc", "--keep-last", "1", *wrong)
        assert 3 == found.code
        assert "'nope'" in found.err
    assert 0 == cli("gc", "--keep-last", "1", "-n", "dev", "-w", "train").code


def test_what_could_not_be_removed_is_told_by_the_exit_code(stocked_store, cli, monkeypatch):
    """And by name; what stays on purpose is no failure."""

    def refused(self, keys, *, missing_ok=False):
        keys = list(keys)
        bad = {key: AccessDeniedError(f"{key}: no", key) for key in keys if "r0/x" in key}
        return bad | real(self, [key for key in keys if key not in bad], missing_ok=missing_ok)

    real = LocalBackend.delete_many
    monkeypatch.setattr(LocalBackend, "delete_many", refused)
    found = cli("gc", "--keep-last", "2", "--apply")
    assert 1 == found.code
    assert "failed: dev/r0: not all of it could be removed" in found.err
    told = json.loads(cli("gc", "--keep-last", "2", "--apply", "--json").out)
    assert ["dev/r0"] == [*told["applied"]["failed"]]

"""`audit`: what a store holds, for people and as JSON, and as a check in a pipeline."""

import json
from pathlib import Path

import pytest


@pytest.fixture
def filled(disk):
    """Give a store with a pickle and a file of another program."""
    view = disk.at(namespace="dev", run="r")
    view.put("x", [1])
    view.put("f", lambda: 1)
    Path(".runstore/notes.txt").write_text("notes")
    return disk


def test_an_audit_is_shown(cli, filled):
    """Counts, versions, sizes by run, and each pickle and foreign file in a line."""
    ended = cli("audit")
    assert 0 == ended.code
    for part in ("pickled", "dev/r (no record)", "pickle: 1, ", "foreign: 1, ", "notes.txt"):
        assert part in ended.out
    assert "dev/r/f" in ended.out


def test_an_audit_as_json(cli, filled):
    """One document with what the API returns."""
    answer = json.loads(cli("audit", "dev", "--json").out)
    assert (2, 1) == (answer["objects"], answer["pickled"])
    assert [["pickle", "dev/r/f"]] == [[one["kind"], one["ref"]] for one in answer["findings"]]
    assert [["dev/r", 2]] == [[one["ref"], one["objects"]] for one in answer["runs"]]


def test_an_audit_fails_on_what_it_was_told(cli, filled):
    """`--fail-on` ends with 1 if there is any such, so that a pipeline can forbid it."""
    assert 1 == cli("audit", "--fail-on", "pickle").code
    assert 1 == cli("audit", "--fail-on", "newer", "--fail-on", "foreign").code
    assert 0 == cli("audit", "--fail-on", "newer").code
    ended = cli("audit", "--fail-on", "pickles")
    assert 2 == ended.code
    assert "did you mean 'pickle'?" in ended.err


def test_an_audit_of_what_is_not_there_is_an_error(cli, filled):
    """A namespace or run that does not exist, or an object, is no success."""
    assert 3 == cli("audit", "nowhere").code
    assert 3 == cli("audit", "dev/nothing").code
    assert 2 == cli("audit", "dev/r/x").code


def test_many_findings_are_cut_and_counted(cli, disk):
    """Twenty of a kind are shown, all with --all."""
    view = disk.at(namespace="dev", run="r")
    for number in range(25):
        view.put(f"f{number:02}", lambda: 1)
    ended = cli("audit")
    assert 20 == sum(" dev/r/f" in line for line in ended.out.splitlines())
    assert "and 5 more" in ended.err
    assert 25 == sum(" dev/r/f" in line for line in cli("audit", "--all").out.splitlines())

"""`lineage`: what made an object, shown as a tree and for other programs."""

import json

import pytest


@pytest.fixture
def finished(cli, workflow, disk):
    """Give the reference of what a stage of a finished run has stored."""
    assert 0 == cli("run", workflow, "--run", "r", "--input", "year=2013").code
    return "default/r/given"


def test_the_tree_names_stage_run_and_input(cli, finished):
    """The stage that put it, and what its run was given."""
    ended = cli("lineage", finished)
    assert (0, "") == (ended.code, ended.err)
    lines = ended.out.splitlines()
    assert lines[0].startswith("default/r/given @")
    assert lines[1].startswith("└── stage begin (finished, steps.begin, source ")
    assert '  input {"year": 2013}' in lines


@pytest.mark.parametrize(
    ("option", "begin"),
    [("--mermaid", "flowchart LR\n"), ("--dot", "digraph lineage {\n"), ("--json", "{\n")],
)
def test_it_is_drawn_for_other_programs(cli, finished, option, begin):
    """Mermaid, Graphviz, and JSON with the data."""
    ended = cli("lineage", finished, option)
    assert 0 == ended.code
    assert ended.out.startswith(begin)
    assert "begin" in ended.out


def test_events_are_one_a_line(cli, finished):
    """Each line is one JSON document of OpenLineage."""
    pytest.importorskip("openlineage.client")
    lines = cli("lineage", finished, "--openlineage").out.splitlines()
    assert ["START", "COMPLETE"] == [json.loads(line)["eventType"] for line in lines]


def test_a_reference_and_one_direction(cli, finished, disk):
    """A text that names a version does; what was made of it is nothing yet."""
    ref = disk.at(namespace="default", run="r").ref("given")
    assert cli("lineage", finished).out == cli("lineage", ref).out
    assert "stage" not in cli("lineage", finished, "--onwards").out
    assert "stage begin" in cli("lineage", finished, "--back").out


def test_what_cannot_be_shown_is_an_error(cli, finished):
    """No such object, a run, or two forms at once."""
    assert 3 == cli("lineage", "default/r/nothing").code
    assert 2 == cli("lineage", "default/r").code
    assert 2 == cli("lineage", finished, "--dot", "--json").code
    assert 2 == cli("lineage", finished, "--back", "--onwards").code

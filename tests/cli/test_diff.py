"""`diff`: what differs, for people, as JSON and as an exit code."""

import json

import pandas as pd
import pytest

from runstore.context import new_run


@pytest.fixture
def filled(disk):
    """Give a store with two runs that differ."""
    for number, run in enumerate(("one", "other")):
        disk.write_run(new_run("w", namespace="dev", name=run))
        view = disk.at(namespace="dev", run=run)
        view.put("t", pd.DataFrame({"a": [1, 2 + number], "b": ["x", "y"]}))
        view.put("same", [1])
        view.put("data", {"rate": number, "name": "n"}, metadata={"by": run})
        view.put("f", lambda number=number: number)
    return disk


def test_two_tables_are_shown_by_column(cli, filled):
    """The column, in how many rows it differs, and the first of them."""
    ended = cli("diff", "dev/one/t", "dev/other/t")
    assert 0 == ended.code
    assert "values: 1 of 2 rows differ\n" in ended.out
    assert "row 1: 2 → 3" in ended.out


def test_plain_data_and_pickles_are_shown(cli, filled):
    """Each value that differs; of a pickle only that it does."""
    assert "rate: 0 → 1\n" in cli("diff", "dev/one/data", "dev/other/data").out
    assert '  by: "one" → "other"\n' in cli("diff", "dev/one/data", "dev/other/data").out
    ended = cli("diff", "dev/one/f", "dev/other/f")
    assert "nothing in them was compared" in ended.out
    assert "is not loaded" in ended.err


def test_two_runs_are_shown_by_object(cli, filled):
    """What differs has a line; the rest is counted."""
    ended = cli("diff", "dev/one", "dev/other")
    assert 3 == sum(line.startswith("  changed") for line in ended.out.splitlines())
    assert "1 object is the same, 3 are not\n" in ended.err
    assert cli("diff", "dev/one", "dev/_latest").code == 0


def test_the_exit_code_tells_on_demand(cli, filled):
    """`--exit-code` ends with 1 if there is a difference, as of `git diff`."""
    assert 1 == cli("diff", "dev/one/t", "dev/other/t", "--exit-code").code
    ended = cli("diff", "dev/one/same", "dev/other/same", "--exit-code")
    assert (0, "") == (ended.code, ended.out)
    assert "hold the same value" in ended.err
    assert 3 == cli("diff", "dev/one/same", "dev/other/none").code
    assert 2 == cli("diff", "dev/one/same", "dev/other").code


def test_a_difference_as_json(cli, filled):
    """One document with what the API returns."""
    answer = json.loads(cli("diff", "dev/one/t", "dev/other/t", "--json").out)
    assert (False, "table", [2, 2]) == (answer["equal"], answer["by"], answer["table"]["rows"])
    assert ["a"] == [column["name"] for column in answer["table"]["columns"]]
    answer = json.loads(cli("diff", "dev/one", "dev/other", "--json").out)
    assert (1, "dev/other") == (answer["same"], answer["other"])
    assert ["data", "f", "t"] == sorted(one["name"] for one in answer["objects"])


def test_a_plain_file_is_told_by_its_format(cli, disk):
    """It has no Python type; a table in it is compared by its rows all the same, or it is said."""
    view = disk.at(namespace="dev", run="one")
    view.put("t", pd.DataFrame({"a": [1, 2]}))
    view.put("t.csv", pd.DataFrame({"a": [1, 3]}))
    view.put("t.json", [{"a": 1}])
    ended = cli("diff", "dev/one/t", "dev/one/t.csv")
    assert "type: pandas.DataFrame → csv file\n" in ended.out
    assert "values: 1 of 2 rows differ\n" in ended.out
    ended = cli("diff", "dev/one/t", "dev/one/t.json")
    assert "type: pandas.DataFrame → json file\n" in ended.out
    assert "nothing in them was compared" in ended.out

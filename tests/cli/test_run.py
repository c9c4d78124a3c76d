"""`runstore run`: from a file to the record of its run."""

import json
import signal
import subprocess
import sys
import time

import pytest

from runstore.cli._run import pairs
from runstore.errors import InvalidRequestError

RUN = (sys.executable, "-m", "runstore", "run")


def test_a_workflow_runs_to_its_end(cli, workflow, disk):
    """The summary has state and result, and its last line is a command that works."""
    ended = cli("run", workflow, "--run", "first")
    assert 0 == ended.code
    assert "finished" in ended.out
    assert '{"total": 14}' in ended.out
    record = disk.read_run("first", namespace="default")
    assert ("finished", "cli", {"total": 14}) == (record.state, record.source, record.result)
    [command] = [line for line in ended.out.splitlines() if "runstore ls" in line]
    assert "given" in cli(*command.partition("runstore ")[2].split()).out


def test_inputs_and_configs_reach_the_stages(cli, workflow, disk, tmp_path):
    """An input is JSON where it is JSON and text elsewhere; config files are merged."""
    (tmp_path / "c.yaml").write_text("kind: config\nmetadata: {name: c}\nspec: {data: {depth: 3}}")
    words = ["--input", "year=2013", "--input", "name=abc", "--input", "on=true"]
    assert 0 == cli("run", workflow, "--run", "r", *words, "-i", "eq=a=b", "-c", "c.yaml").code
    expected = {"year": 2013, "name": "abc", "on": True, "eq": "a=b"}
    given = disk.at(namespace="default", run="r").get("given")
    assert {"input": expected, "config": {"depth": 3}} == given


def test_values_are_json_or_text():
    """What is no strict JSON stays the text that was typed."""
    words = ["a=1", "b=1.5", 'c=[1, "x"]', "d=null", "e=", "f=NaN", "g=007", 'h="1"', "i=1=2"]
    expected = {"a": 1, "b": 1.5, "c": [1, "x"], "d": None, "e": "", "f": "NaN", "g": "007"}
    assert expected | {"h": "1", "i": "1=2"} == pairs("--input", words)


@pytest.mark.parametrize("words", [["year"], ["=1"], ["a=1", "a=2"]])
def test_what_is_no_pair_is_refused(words):
    """A word without a key, or a key given twice, is an error that names it."""
    with pytest.raises(InvalidRequestError, match=r"--input"):
        pairs("--input", words)


def test_progress_is_a_line_per_event(cli, workflow):
    """Where stderr is no terminal, each event is one plain line; stdout has none of them."""
    ended = cli("run", workflow)
    for line in ("begin: running", "square: 3 of 3 items done", "total: finished after"):
        assert line in ended.err
        assert line not in ended.out
    assert "\x1b" not in ended.err + ended.out


def test_a_failed_stage_shows_its_own_traceback(cli, workflow, disk):
    """The user sees where their code failed, nothing of ours, and how to look at the run."""
    ended = cli("run", workflow, "--run", "bad", "--input", "fail=1")
    assert 1 == ended.code
    assert "steps.py" in ended.err
    assert "ValueError: the sky fell" in ended.err
    assert "run_workflow" not in ended.err
    assert "runstore show default/bad" in ended.out
    assert "failed" == disk.read_run("bad", namespace="default").state


@pytest.mark.parametrize(
    ("words", "code", "state"), [([], 0, "finished"), (["-i", "fail=1"], 1, "failed")]
)
def test_json_is_the_record_alone(workflow, words, code, state):
    """With --json stdout is one document, whatever stages print there, also in processes."""
    for mode in ("threads", "processes"):
        ended = subprocess.run(
            [*RUN, workflow, "--json", *words, "--executor-option", f"mode={mode}"],
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert code == ended.returncode, ended.stderr
        assert state == json.loads(ended.stdout)["state"]
        assert "printed by a stage" in ended.stderr


def test_a_result_that_is_not_json_is_named(cli, tmp_path):
    """A result that only Python knows is told by its type, also in the JSON record."""
    (tmp_path / "w.yaml").write_text(
        "kind: workflow\nmetadata: {name: w}\nspec:\n  stages: [{name: a, target: builtins.set}]\n"
    )
    assert "a set" in cli("run", "w.yaml").out
    assert "builtins.set" == json.loads(cli("run", "w.yaml", "--json").out)["result"]["type"]


def test_namespace_and_store_are_where_it_goes(cli, workflow, tmp_path, monkeypatch):
    """--namespace and --store say where objects go; the commands it names lead there, too."""
    place = str(tmp_path / "else where")
    ended = cli("run", workflow, "-n", "prod", "--run", "r", "--store", place)
    assert f"runstore ls prod/r --store '{place}'" in ended.out
    assert "given" in cli("--store", place, "ls", "prod/r").out
    monkeypatch.setenv("RUNSTORE_URL", place)
    assert "given" in cli("ls", "prod/r").out


def test_a_taken_run_name_is_refused(cli, workflow):
    """A second run of the same name does not begin."""
    assert 0 == cli("run", workflow, "--run", "r").code
    assert 4 == cli("run", workflow, "--run", "r").code


def test_wrong_executors_are_refused(cli, workflow, disk):
    """An executor or option that there is not is wrong usage, and nothing ran."""
    assert 2 == cli("run", workflow, "--executor", "abacus").code
    assert 2 == cli("run", workflow, "--executor-option", "beads=3").code
    assert [] == disk.runs()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_is_recorded(disk, tmp_path, number, code):
    """Ctrl-C and SIGTERM end a run as failed; its record does not stay running."""
    (tmp_path / "steps.py").write_text(
        "import pathlib, time\ndef wait():\n    pathlib.Path('begun').touch()\n    time.sleep(60)\n"
    )
    (tmp_path / "w.yaml").write_text(
        "kind: workflow\nmetadata: {name: w}\nspec:\n  stages: [{name: a, target: steps.wait}]\n"
    )
    child = subprocess.Popen(
        [*RUN, "w.yaml", "--run", "r"],
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "begun").exists() and child.poll() is None:
        time.sleep(0.02)
    child.send_signal(number)
    _, err = child.communicate(timeout=300)
    assert code == child.returncode, err
    assert "Traceback" not in err
    assert "failed" == disk.read_run("r", namespace="default").state

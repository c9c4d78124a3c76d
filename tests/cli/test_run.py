"""`runstore run`: from a file to the record of its run."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runstore.cli._inputs import pairs
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


@pytest.mark.extended
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


def test_the_page_names_every_key_of_the_record(cli, workflow):
    """docs/cli.md lists what `run --json` prints, and nothing else."""
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    told = page.partition("`--json` prints the run's record")[2].partition(". ")[0]
    ended = cli("run", str(workflow), "--json")
    assert sorted(re.findall("`(\\w+)`", told)) == sorted(json.loads(ended.out)), ended.err


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


def test_an_unknown_option_is_an_input(cli, workflow, disk):
    """`--n_vals 5` and `--name=x` are inputs, JSON where they are JSON."""
    assert 0 == cli("run", workflow, "--run", "r", "--n_vals", "5", "--name=x y").code
    given = disk.at(namespace="default", run="r").get("given")
    assert {"n_vals": 5, "name": "x y"} == given["input"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--executer", "dask"], "did you mean --executor?"),
        (["--confg=c.yaml"], "did you mean --config?"),
        (["--n_vals"], "it needs a value"),
        (["--n_vals", "--json"], "it needs a value"),
        (["more"], "one word too many"),
        (["-x", "1"], "one word too many"),
        (["--n", "1", "--input", "n=2"], "given twice"),
    ],
)
def test_options_that_are_no_inputs(cli, workflow, words, told):
    """A mistyped option, an option without a value and a word alone are refused."""
    ended = cli("run", workflow, *words)
    assert 2 == ended.code
    assert told in ended.err


@pytest.mark.extended
def test_a_workflow_in_python_runs_by_name(cli, disk, tmp_path):
    """MODULE:NAME names a workflow, a dict of its shape, or a function that makes one."""
    (tmp_path / "flows.py").write_text(
        "from runstore import stage, workflow\n"
        "def first(n): return list(range(n))\n"
        "@stage(map_on=first)\n"
        "def double(x): return 2 * x\n"
        "flow = workflow('small', first, double)\n"
        "def made(): return {'metadata': {'name': 'made'}, 'spec': flow.spec.model_dump()}\n"
    )
    for name in ("flows:flow", "flows:made"):
        for mode in ("threads", "processes"):
            option = ["--executor-option", f"mode={mode}", "--n", "3", "--json"]
            ended = cli("run", name, *option)
            assert (0, [0, 2, 4]) == (ended.code, json.loads(ended.out)["result"])
    ended = cli("run", "flows:flew")
    assert 2 == ended.code
    assert "did you mean 'flow'?" in ended.err


STAGES = {
    "decorated": "it is a stage",
    "needs": "with the parameters table, n. A function that makes a workflow takes none",
    "raises": "raised NoRunContextError",
    "plain": "it returns a value of type int",
    "later": "it returns a value of type coroutine",
    "number": "it is of type int",
}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_no_workflow(cli, disk, tmp_path, name):
    """Who names a function that makes no workflow is told so, and how to run it."""
    (tmp_path / "flows.py").write_text(
        "from runstore import get_run_context, stage\n"
        "@stage\n"
        "def decorated(): raise AssertionError('called')\n"
        "def needs(table, n, more=1): pass\n"
        "def raises(): return get_run_context()\n"
        "def plain(): return 1\n"
        "async def later(): pass\n"
        "number = 1\n"
    )
    ended = cli("run", f"flows:{name}")
    told = " ".join(ended.err.split())
    assert (2, True) == (ended.code, STAGES[name] in told)
    assert f'runstore.workflow("{name}", {name})' in told


def test_a_failure_is_told_once(cli, workflow):
    """The reason of a failed stage is in its traceback alone; other failed stages have a line."""
    ended = cli("run", str(workflow), "--input", "fail=true")
    assert 1 == ended.code
    assert 1 == ended.err.count("ValueError: the sky fell")
    assert "begin: failed after" in ended.err
    last = ended.err.splitlines()[-1]
    assert last.startswith("error: stage 'begin' of run 'default/squares-")
    assert last.endswith("failed, as shown above")


def test_each_of_two_failures_is_told(cli, tmp_path):
    """If two stages fail side by side, one is told by its traceback and the other in a line."""
    (tmp_path / "pair.py").write_text(
        "import threading\nboth = threading.Barrier(2, timeout=60)\n"
        "def one():\n    both.wait()\n    raise ValueError('first reason')\n"
        "def two():\n    both.wait()\n    raise ValueError('second reason')\n"
    )
    (tmp_path / "pair.yaml").write_text(
        "metadata: {name: pair}\nspec: {stages: [{name: one, target: pair.one}, "
        "{name: two, target: pair.two}]}\n"
    )
    ended = cli("run", str(tmp_path / "pair.yaml"), "--executor-option", "workers=2")
    assert 1 == ended.code
    for stage, reason in (("one", "first"), ("two", "second")):
        told = ended.err.count(f"ValueError: {reason} reason")
        assert told == (f"{stage}: failed after" in ended.err)


def test_a_workflow_must_be_given(cli):
    """The error says what to give."""
    told = "error: give a workflow file, or MODULE:NAME of one in Python\n"
    assert (2, "", told) == cli("run")


@pytest.mark.parametrize("mode", ["threads", pytest.param("processes", marks=pytest.mark.extended)])
def test_no_secret_of_a_log_reaches_the_terminal(mode, tmp_path):
    """What is masked in the kept log is masked on stderr too, with tracebacks of exceptions."""
    (tmp_path / "leaks.py").write_text(
        "import logging\n"
        "from runstore import get_run_context\n"
        "def stage():\n"
        "    key = get_run_context().input['api_key']\n"
        "    log = logging.getLogger('leaks')\n"
        "    log.warning('logging in with %s', key)\n"
        "    log.warning('no secret: %d of %d', 1, 2)\n"
        "    try:\n"
        "        raise ValueError(f'refused {key}')\n"
        "    except ValueError:\n"
        "        log.exception('login failed')\n"
        "    log.warning('stacked', stack_info=True)\n"
        "    raise RuntimeError(f'no way in with {key}')\n"
    )
    (tmp_path / "w.yaml").write_text(
        "kind: workflow\nmetadata: {name: w}\n"
        "spec: {stages: [{name: stage, target: leaks.stage}]}\n"
    )
    words = (*RUN, "--debug", "w.yaml", "-i", "api_key=hunter2-hunter2")
    ended = subprocess.run(
        [*words, "--executor-option", f"mode={mode}"], capture_output=True, text=True, check=False
    )
    assert 1 == ended.returncode
    assert "hunter2" not in ended.stdout + ended.stderr
    for shown in (
        "logging in with (not shown)",
        "no secret: 1 of 2",
        "login failed\nTraceback",
        "ValueError: refused (not shown)",
        "stacked\nStack",
        "RuntimeError: no way in with (not shown)",
        "StageError: ",
    ):
        assert shown in ended.stderr

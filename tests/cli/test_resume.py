"""`run --resume` and `why`: going on with a run from the shell."""

import json


def test_a_failed_run_is_gone_on_with(cli, workflow, disk):
    """Without a file or inputs they are those of the earlier run; an input of now counts."""
    assert 1 == cli("run", workflow, "--run", "bad", "-i", "fail=1").code
    assert 1 == cli("run", "--resume", "bad", "--run", "still").code
    told = cli("run", "--resume", "default/bad", "--run", "good", "-i", "fail=0", "--json")
    assert 0 == told.code, told.err
    assert ("bad", {"fail": 0}) == (json.loads(told.out)["resumed"], json.loads(told.out)["input"])
    assert {"total": 14} == disk.read_run("good", namespace="default").result
    ended = cli("run", "--resume", "_latest", "--run", "again")
    assert 0 == ended.code
    assert "begin: finished: taken over from run good" in ended.err
    assert [0, 0, 0] == [one.attempts for one in disk.read_run("again", namespace="default").stages]


def test_what_was_taken_over_says_so(cli, workflow, disk, tmp_path):
    """`show` and `tail` take no times of the earlier run for their own, and `logs` leads to it."""
    steps = tmp_path / "steps.py"
    steps.write_text(
        steps.read_text().replace("    ctx = get", "    logging.warning('said')\n    ctx = get")
        + "\n"
    )
    steps.write_text("import logging\n" + steps.read_text())
    assert 0 == cli("run", workflow, "--run", "one").code
    assert 0 == cli("run", "--resume", "one", "--run", "two").code
    taken = "taken over from default/one"
    rows = [line.split() for line in cli("show", "default/two").out.splitlines()]
    [row] = [row for row in rows if row[:1] == ["begin"]]
    assert ["begin", "finished", "0", *taken.split()] == row
    assert "note" not in cli("show", "default/one").out
    assert f"begin: finished: {taken}\n" in cli("tail", "default/two").out
    logs = cli("logs", "default/two", "begin")
    assert ("", 1) == (logs.out, len(logs.err.splitlines()))
    assert logs.err.startswith("stage 'begin' was taken over from run one; its log is there: ")
    shown = cli(*logs.err.partition("runstore ")[2].split())
    assert "said" in shown.out
    assert "total" in cli("logs", "default/two").err
    wrong = cli("logs", "default/two", "begun").err
    assert "did you mean 'begin'? Its stages are 'begin', 'square', 'total'" in wrong


def test_inputs_are_options_without_a_file(cli, workflow, disk):
    """`--KEY VALUE` is an input with `--resume` alone, and also before the workflow."""
    assert 1 == cli("run", workflow, "--run", "bad", "--fail", "1").code
    assert 0 == cli("run", "--resume", "bad", "--run", "one", "--fail", "0").code
    assert 0 == cli("run", "--resume", "bad", "--run", "two", "--fail=0", "--other", "5").code
    assert 0 == cli("run", "--fail", "0", workflow, "--run", "three", "--other=5").code
    inputs = [disk.read_run(name, namespace="default").input for name in ("one", "two", "three")]
    assert [{"fail": 0}, {"fail": 0, "other": 5}, {"fail": 0, "other": 5}] == inputs
    wrong = cli("run", "--resume", "bad", "--fail", "0", workflow, "more")
    assert (2, True) == (wrong.code, "'more' is one word too many" in wrong.err)


def test_every_command_that_reads_takes_the_beginning_of_a_run(cli, workflow, disk):
    """One that changes something does not."""
    assert 0 == cli("run", workflow, "--run", "nightly").code
    disk.at(namespace="default", run="nightly").put("n.txt", "x")
    reading = ["show", "ls", "du", "tree", "tail", "verify", "audit", "tag", "note"]
    for words in [[one, "default/ni"] for one in reading] + [
        ["diff", "default/ni", "default/n"],
        ["card", "default/ni", "-o", "card.html"],
        ["cat", "default/ni/n.txt"],
        ["why", "total", "ni"],
        ["replay", "default/ni", "total"],
        ["get", "default/ni", "-r", "-o", "out"],
        *([one, "default/ni/given"] for one in ("show", "head", "lineage", "tag")),
    ]:
        ended = cli(*words)
        assert 0 == ended.code, (words, ended.err)
    for words in (
        ["tag", "default/ni", "x"],
        ["note", "default/ni", "x"],
        ["pin", "default/ni"],
        ["cancel", "default/ni"],
        ["rm", "-r", "-y", "default/ni"],
        ["run", "--resume", "ni"],
    ):
        assert 3 == cli(*words).code, words


def test_a_run_of_the_default_namespace_needs_no_namespace(cli, workflow):
    """Where only a run can stand, one word is a run; so it is with its namespace."""
    assert 0 == cli("run", workflow, "--run", "k1").code
    for run in ("k1", "default/k1", "_latest"):
        for words in (
            ["tail", run],
            ["card", run, "-o", "k1.html", "-f"],
            ["pin", run],
            ["unpin", run],
            ["why", "total", run],
            ["replay", run, "total"],
        ):
            assert 0 == cli(*words).code, words
        assert 4 == cli("cancel", run).code


def test_what_other_programs_call_a_command_is_understood(cli):
    """The error names the command that does it."""
    for word, meant in (("log", "logs"), ("delete", "rm"), ("lss", "ls")):
        ended = cli(word)
        assert (2, True) == (ended.code, f"Did you mean '{meant}'?" in ended.err)


def test_a_module_alone_is_no_workflow(cli, tmp_path):
    """The error says how a workflow in Python is written."""
    (tmp_path / "flows.py").write_text("")
    for text in ("flows.py", "flows", "flows:", str(tmp_path / "flows.py")):
        ended = cli("run", text)
        assert (2, True) == (ended.code, "write MODULE:NAME, as flows:NAME" in ended.err), text
    assert "there is no file 'flows.yaml'" in cli("run", "flows.yaml").err


def test_what_has_ended_is_not_cancelled(cli, workflow):
    """The exit code is that of a run which is over."""
    assert 0 == cli("run", workflow, "--run", "r1").code
    ended = cli("cancel", "default/r1")
    assert (4, True) == (ended.code, "does not go on: it has finished" in ended.err)


def test_why(cli, workflow, tmp_path):
    """It names the first difference, or says that the stage was taken over."""
    assert 0 == cli("run", workflow, "--run", "r1").code
    told = "it ran: run default/r1 does not go on with an earlier one\n"
    assert told == cli("why", "square").out
    steps = tmp_path / "steps.py"
    steps.write_text(steps.read_text().replace("x * x", "x * x * x"))
    assert 0 == cli("run", "--resume", "r1", "--run", "r2").code
    assert "it ran again: steps:square has changed\n" == cli("why", "square").out
    assert "stage 'square', which it depends on, runs again" in cli("why", "total", "r2").out
    assert "taken over from run r1" in cli("why", "begin", "default/r2").out
    assert "steps:square has changed" == json.loads(cli("why", "square", "--json").out)["why"]


def test_what_is_wrong_is_said(cli, workflow):
    """A run or stage that is not there, and a missing file, are errors with what to do."""
    assert 2 == cli("run").code
    assert 4 != cli("run", workflow, "--run", "r1").code
    assert 0 != cli("run", "--resume", "none").code
    missing = cli("why", "nothing", "r1")
    assert 0 != missing.code
    assert "it has 'begin', 'square', 'total'" in missing.err
    other = cli("run", "--resume", "default/r1", "-n", "prod")
    assert 2 == other.code
    assert "omit --namespace" in other.err


def test_replay_of_a_failed_stage(cli, workflow, disk, tmp_path, monkeypatch):
    """One command from another folder runs the stage again and shows what differs."""
    assert 1 == cli("run", workflow, "--run", "bad", "-i", "fail=1").code
    store = str(tmp_path / ".runstore")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    ended = cli("replay", "bad", "begin", "--store", store, "--scratch", "s1")
    assert 1 == ended.code
    assert "ValueError: the sky fell" in ended.err
    assert "nothing differs" in ended.out
    (elsewhere / "steps.py").write_text(
        (tmp_path / "steps.py").read_text().replace("raise ValueError", "print")
    )
    ended = cli("replay", "default/bad", "begin", "--code", ".", "--store", store, "--json")
    assert 0 == ended.code, ended.err
    told = json.loads(ended.out[ended.out.index("{") :])
    assert ("finished", False, [1, 2, 3]) == (told["state"], told["same"], told["result"])
    assert "ValueError: the sky fell" == told["error_before"]
    assert ["given"] == [one["name"] for one in told["written"]]
    assert "given" in cli("ls", "default/bad", "--store", told["scratch"]).out
    assert "given" not in cli("ls", "default/bad", "--store", store).out


SECRET_FLOW = """\
metadata: {name: w}
spec: {stages: [{name: a, target: asks.ask}]}
"""
SECRET_CONFIG = "kind: config\nmetadata: {name: c}\nspec: {data: {password: hunter2, n: 1}}\n"
ASKS = """\
from runstore import get_run_context

def ask():
    ctx = get_run_context()
    return [ctx.config["n"], len(ctx.config["password"]), ctx.input["pin"], len(ctx.input["pwd"])]
"""


def test_secrets_of_a_run_are_given_again(cli, tmp_path, monkeypatch):
    """The message names the options, and they work: for `run --resume` and `replay`."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("w.yaml", SECRET_FLOW), ("c.yaml", SECRET_CONFIG), ("asks.py", ASKS)):
        (tmp_path / name).write_text(text)
    inputs = ["-i", "pwd=abc", "-i", "pin=7"]
    assert 0 == cli("run", "w.yaml", "-c", "c.yaml", "--run", "r", *inputs).code
    resumed = cli("run", "--resume", "r", *inputs)
    assert "the secret config 'password'. Give the config again: --config FILE" in resumed.err
    assert 0 == cli("run", "--resume", "r", *inputs, "-c", "c.yaml").code
    missing = cli("replay", "r", "a")
    assert 0 != missing.code
    assert "does not keep the secret input 'pwd'. Give it again: --input pwd=…" in missing.err
    missing = cli("replay", "r", "a", "-i", "pwd=abc")
    assert "the secret config 'password'. Give it again: --config FILE with 'pass" in missing.err
    again = cli("replay", "r", "a", "-i", "pwd=abc", "--config", "c.yaml", "--json")
    assert 0 == again.code, again.err
    assert (True, [1, 7, 7, 3]) == (json.loads(again.out)["same"], json.loads(again.out)["result"])
    assert "hunter2" not in again.out + again.err

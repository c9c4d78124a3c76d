"""`logs`: what the stages of a run have logged, also while it goes on."""

import threading
import time

import pytest

from runstore import run_workflow
from runstore.cli import _logs


@pytest.fixture
def talking(tmp_path):
    """Give the file of a workflow of two stages; the second one waits for a file, and talks."""
    (tmp_path / "talking.py").write_text(
        "import logging, pathlib, time\n"
        "log = logging.getLogger('talking')\n"
        "def first():\n    for n in range(3):\n        log.warning('line %d', n)\n"
        "def second():\n"
        "    log.warning('it waits')\n"
        f"    while not pathlib.Path({str(tmp_path / 'go')!r}).exists():\n"
        "        time.sleep(0.02)\n"
        "    log.warning('it is through')\n"
    )
    (tmp_path / "talking.yaml").write_text(
        "metadata: {name: talking}\nspec: {stages: [{name: first, target: talking.first}, "
        "{name: second, target: talking.second, depends_on: [first]}]}\n"
    )
    return tmp_path / "talking.yaml"


def messages(text):
    """Return what was logged, without the time, level and logger in front of it."""
    return [line.partition(": ")[2] for line in text.splitlines()]


def test_all_stages_or_one(cli, disk, talking):
    """In the order of the workflow; some last lines of each with --lines."""
    (talking.parent / "go").touch()
    run_workflow(talking, store=disk, run="r1")
    first, second = ["line 0", "line 1", "line 2"], ["it waits", "it is through"]
    assert first + second == messages(cli("logs", "default/r1").out)
    assert second == messages(cli("logs", "r1", "second").out)
    assert ["line 2", "it is through"] == messages(cli("logs", "r1", "-n", "1").out)
    assert ["WARNING", "talking", "first:"] == cli("logs", "r1").out.split()[1:4]


@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_a_run_that_goes_on(cli, disk, talking, mode, monkeypatch):
    """What a stage has logged is there before the stage has ended; --follow shows the rest."""
    monkeypatch.setattr(_logs, "_NEAR", 0.05)
    options = {"mode": mode, "workers": 1}
    runner = threading.Thread(
        target=run_workflow,
        args=(talking,),
        kwargs={"store": disk, "run": "r1", "executor_options": options},
    )
    seen, emit = [], _logs.emit

    def told(text):
        seen.append(text)
        if "it waits" in text:  # it goes on only when that is shown
            (talking.parent / "go").touch()
        emit(text)

    runner.start()
    try:
        while "it waits" not in cli("logs", "r1", "second").out:
            time.sleep(0.05)
        assert "running" == disk.read_run("r1", namespace="default").state
        monkeypatch.setattr(_logs, "emit", told)
        followed = cli("logs", "r1", "--follow")
    finally:
        (talking.parent / "go").touch()
        runner.join()
    expected = ["line 0", "line 1", "line 2", "it waits", "it is through"]
    assert expected == messages(followed.out)
    assert "finished" == disk.read_run("r1", namespace="default").state


def shown_of(disk, *texts):
    """Return the lines that are shown if a log is found as each of *texts*, one after another."""
    from runstore.context import new_run
    from runstore.runs import write_log

    disk.write_run(new_run("w", namespace="default", name="r1"))
    shown = []
    logs = _logs._Logs(disk, _logs.Ref("default", "r1"), None, None)
    for text in texts:
        write_log(disk.backend, "default", "r1", "s", text)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_logs, "emit", shown.append)
            logs._tell([])
    return shown


def test_what_is_shown_of_a_log_that_lost_its_middle(cli, disk):
    """Nothing is shown twice, also when lines in the middle were left out since."""
    lines = [f"line {number:04}\n" for number in range(300)]
    left_out = [*lines[:10], "… 100 lines are left out …\n", *lines[110:]]
    more = [*lines[:10], "… 150 lines are left out …\n", *lines[160:], "the last one\n"]
    shown = shown_of(disk, *map("".join, (lines[:200], left_out, more)))
    assert [*"".join(lines).splitlines(), "the last one"] == shown


@pytest.mark.parametrize(
    "texts",
    [
        ("a\n", "a\nb\na\n"),
        (200 * "tick\n", 300 * "tick\n"),
        ("", "a\n"),
    ],
    ids=["again", "many", "empty"],
)
def test_equal_lines_are_all_shown(disk, texts):
    """A line that was shown before is shown again when it is logged again."""
    assert texts[-1].splitlines() == shown_of(disk, *texts)


def test_lines_that_were_left_out_before_they_were_shown(disk):
    """It is said that they are left out, and what follows is shown."""
    texts = "a\nb\nc\n", "a\n… 4 lines are left out …\ng\nh\n"
    assert ["a", "b", "c", "… 4 lines are left out …", "g", "h"] == shown_of(disk, *texts)


def test_what_is_not_there(cli, disk, talking):
    """A run or stage that is unknown is an error that names those there are; no log is none."""
    (talking.parent / "go").touch()
    run_workflow(talking, store=disk, run="r1")
    unknown = cli("logs", "r1", "secnd")
    assert (3, True) == (unknown.code, "no stage 'secnd'; did you mean 'second'?" in unknown.err)
    assert "Its stages are 'first', 'second'" in unknown.err
    unknown = cli("logs", "r11")
    assert (3, True) == (unknown.code, "did you mean 'r1'" in unknown.err)
    assert 2 == cli("logs", "default/r1/x").code
    from runstore import recorded_run

    with recorded_run(run="quiet", store=disk):
        pass
    quiet = cli("logs", "quiet")
    assert (0, "", True) == (quiet.code, quiet.out, "no lines of a log" in quiet.err)

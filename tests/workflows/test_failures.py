"""What happens when stages fail: the error, the record, and what is run no more."""

import os
import pickle
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from runstore import ObjectStore, get_run_context
from runstore.errors import BackendUnavailableError, StageError, StageTimeoutError, WorkflowError
from runstore.executors import LocalExecutor


def test_stage_error(run: Any, flow: Any, store: Path) -> None:
    """A failed run raises StageError with stage, run, cause, traceback and record."""

    def fail() -> None:
        raise LookupError("no luck")

    with pytest.raises(StageError) as caught:
        run(flow(a=lambda: 1, b=(fail, {"depends_on": "a"})), run="r1")
    error = caught.value
    assert "stage 'b' of run 'default/r1' failed: LookupError: no luck" == str(error)
    assert ("b", "default/r1") == (error.stage, error.ref)
    assert isinstance(error.__cause__, LookupError)
    assert ("no luck",) == error.__cause__.args
    assert "in fail" in error.traceback
    assert 'raise LookupError("no luck")' in error.traceback
    assert "in run_stage" not in error.traceback
    assert "failed" == error.run.state
    assert "stage 'b': LookupError: no luck" == error.run.error
    assert error.run.result is None
    stored = ObjectStore(str(store)).read_run("r1", namespace="default")
    assert ("failed", error.run.stages) == (stored.state, stored.stages)


def test_without_raising(run: Any, flow: Any) -> None:
    """With raise_on_failure=False the record is returned instead."""
    record = run(flow(a=lambda: 1 / 0), raise_on_failure=False)
    assert "failed" == record.state
    assert "ZeroDivisionError: division by zero" == record.stages[0].error


def test_stage_error_can_be_pickled(threads: Any, flow: Any) -> None:
    """The error of a run can be sent on to another process."""
    with pytest.raises(StageError) as caught:
        threads(flow(a=lambda: 1 / 0))
    again = pickle.loads(pickle.dumps(caught.value))
    assert caught.value.run == again.run
    assert (str(caught.value), caught.value.traceback) == (str(again), again.traceback)


def test_error_that_cannot_be_pickled(run: Any, flow: Any) -> None:
    """An error that cannot cross from a process keeps its type's name, text and traceback."""

    class OddError(Exception):
        def __init__(self, *, code: int) -> None:
            super().__init__(f"code {code}")

    def fail() -> None:
        raise OddError(code=3)

    with pytest.raises(StageError, match="OddError: code 3") as caught:
        run(flow(a=fail))
    assert "raise OddError(code=3)" in caught.value.traceback


def test_result_that_cannot_be_pickled(flow: Any, store: Path) -> None:
    """A result that cannot leave its process fails the stage with what to do."""
    from runstore.workflows import run_workflow

    with pytest.raises(StageError, match=r"stage 'a' .* put it into the object_store"):
        run_workflow(flow(a=threading.Lock), store=store, executor_options={"mode": "processes"})


@pytest.mark.extended
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_stage_that_exits(error: type[BaseException], run: Any, flow: Any) -> None:
    """A stage that calls sys.exit() or the like fails, as with any error."""

    def leave() -> None:
        raise error

    with pytest.raises(StageError, match=error.__name__):
        run(flow(a=leave))


def test_process_that_dies(flow: Any, store: Path) -> None:
    """A stage whose process dies fails with the stage's name and the exit code."""
    from runstore.workflows import run_workflow

    def die() -> None:
        os._exit(3)

    with pytest.raises(StageError, match=r"stage 'a' .* exit code 3") as caught:
        run_workflow(flow(a=die), store=store, executor_options={"mode": "processes"})
    assert isinstance(caught.value.__cause__, WorkflowError)


def test_dependents_are_skipped(threads: Any, flow: Any) -> None:
    """What depends on a failed stage is skipped, also at second hand."""
    record = threads(
        flow(
            a=lambda: 1 / 0,
            b=(str, {"depends_on": "a"}),
            c=(str, {"depends_on": "b"}),
        ),
        raise_on_failure=False,
    )
    assert ["failed", "skipped", "skipped"] == [stage.state for stage in record.stages]
    assert [1, 0, 0] == [stage.attempts for stage in record.stages]


def test_running_stages_finish_and_no_others_start(threads: Any, flow: Any) -> None:
    """When a stage fails, what runs is let finish; what could start does not."""
    failed = threading.Event()

    def slow() -> str:
        assert failed.wait(60)
        return "done"

    def on_event(event: Any) -> None:
        if (event.stage, event.state) == ("bad", "failed"):
            failed.set()

    record = threads(
        flow(
            slow=slow,
            bad=lambda: 1 / 0,
            later=lambda: None,
            after=(lambda result: None, {"depends_on": "slow"}),
        ),
        raise_on_failure=False,
        on_event=on_event,
    )
    states = {stage.name: stage.state for stage in record.stages}
    assert {"slow": "finished", "bad": "failed", "later": "pending", "after": "pending"} == states


def test_first_failure_counts(threads: Any, flow: Any) -> None:
    """If two stages fail, the run's error is that of the first; both are on record."""
    failed = threading.Event()

    def second() -> None:
        assert failed.wait(60)
        raise ValueError("second")

    def first() -> None:
        raise ValueError("first")

    record = threads(
        flow(second=second, first=first),
        raise_on_failure=False,
        on_event=lambda event: failed.set() if event.state == "failed" else None,
    )
    assert "stage 'first': ValueError: first" == record.error
    assert ["ValueError: second", "ValueError: first"] == [s.error for s in record.stages]


def test_retries(run: Any, flow: Any) -> None:
    """A failed call is made again as often as it may; attempts count from 1."""

    def stubborn() -> int:
        stage = get_run_context().stage
        assert stage is not None
        if stage.attempt < 3:
            raise ValueError(stage.attempt)
        return stage.attempt

    record = run(flow(a=(stubborn, {"retries": 2})))
    assert 3 == record.result
    assert 3 == record.stages[0].attempts
    failed = run(flow(a=(stubborn, {"retries": 1})), raise_on_failure=False)
    assert ("failed", 2) == (failed.state, failed.stages[0].attempts)


@pytest.mark.extended
def test_timeout_of_a_process(flow: Any, store: Path, tmp_path: Path) -> None:
    """A stage that takes too long in a process is killed; retries apply."""
    from runstore.workflows import run_workflow

    def first_time_forever() -> int:
        stage = get_run_context().stage
        assert stage is not None
        if stage.attempt == 1:
            signal.pause()
        return stage.attempt

    options = {"mode": "processes", "workers": 1}
    again = flow(a=(first_time_forever, {"timeout": 0.3, "retries": 30}))
    assert 1 < run_workflow(again, store=store, executor_options=options).result
    once = flow(a=(first_time_forever, {"timeout": 0.3}))
    with pytest.raises(StageError, match=r"stage 'a' took longer than its timeout of 0.3 s") as e:
        run_workflow(once, store=store, executor_options=options)
    assert isinstance(e.value.__cause__, StageTimeoutError)


def test_timeout_of_a_thread(threads: Any, flow: Any) -> None:
    """A stage that takes too long in a thread fails, and its thread is left running."""
    never = threading.Event()
    with pytest.raises(StageError, match="left running") as caught:
        threads(flow(a=(never.wait, {"timeout": 0.1}), b=(str, {"depends_on": "a"})))
    never.set()
    assert isinstance(caught.value.__cause__, StageTimeoutError)
    assert ["failed", "skipped"] == [stage.state for stage in caught.value.run.stages]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_interrupt_is_recorded(
    error: type[BaseException], run: Any, flow: Any, store: Path
) -> None:
    """An interrupt of the caller ends the run at once, as failed, and is raised again."""

    def interrupt(event: Any) -> None:
        if event.kind == "stage":
            raise error

    with pytest.raises(error):
        run(flow(a=dict, b=(dict, {"depends_on": "a"})), run="r1", on_event=interrupt)
    stored = ObjectStore(str(store)).read_run("r1", namespace="default")
    assert ("failed", "interrupted") == (stored.state, stored.error)
    assert ["failed", "pending"] == [stage.state for stage in stored.stages]
    assert "interrupted" == stored.stages[0].error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_engine_that_cannot_be_ended(
    error: type[BaseException],
    threads: Any,
    flow: Any,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The record says that the run has failed, also if its engine cannot be ended."""

    def revoke(self: Any, leases: Any, reason: str) -> None:
        raise error("ConnectionPool is closed")

    monkeypatch.setattr(LocalExecutor, "revoke", revoke)
    with pytest.raises(error):
        threads(flow(a=dict), run="r1")
    stored = ObjectStore(str(store)).read_run("r1", namespace="default")
    assert "failed" == stored.state


@pytest.mark.parametrize("written", [True, False])
def test_interrupt_of_the_first_record(
    written: bool, threads: Any, flow: Any, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the record is written first leaves no record, or one that says failed."""
    write = ObjectStore.write_run

    def interrupted(self: Any, run: Any, **how: Any) -> None:
        monkeypatch.setattr(ObjectStore, "write_run", write)
        if written:
            write(self, run, **how)
        raise KeyboardInterrupt

    monkeypatch.setattr(ObjectStore, "write_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        threads(flow(a=dict), run="r1")
    states = [(run.state, run.error) for run in ObjectStore(str(store)).runs()]
    assert states == ([("failed", "interrupted")] if written else [])


@pytest.mark.extended
@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_ctrl_c(mode: str, tmp_path: Path, store: Path) -> None:
    """Ctrl-C during a stage ends the program at once and its processes with it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, signal, threading\n"
        "from runstore import run_workflow\n"
        "def hold():\n"
        "    end = open(sys.argv[1], 'w') if len(sys.argv) > 1 else open(PIPE, 'w')\n"
        "    end.write('here'); end.flush()\n"
        "    threading.Event().wait()\n"
        "PIPE, STORE, MODE = sys.argv[1:]\n"
        "stages = [{'name': 'hold', 'target': hold}]\n"
        "run_workflow({'metadata': {'name': 'w'}, 'spec': {'stages': stages}}, run='r1',\n"
        "             store=STORE, executor_options={'mode': MODE})\n"
    )
    command = [sys.executable, script, pipe, store, mode]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as caller:
        with pipe.open() as end:
            assert "here" == end.read(4)
            caller.send_signal(signal.SIGINT)
            assert "" == end.read()  # nobody is left who could write
        _, told = caller.communicate()
    assert told.rstrip().endswith("KeyboardInterrupt")
    stored = ObjectStore(str(store)).read_run("r1", namespace="default")
    assert ("failed", "interrupted") == (stored.state, stored.error)


def test_record_that_cannot_be_written(
    threads: Any, flow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the store fails at the end of a failed run, the stage's error still comes first."""
    write, runs = ObjectStore.write_run, []

    def broken(self: Any, run: Any, **how: Any) -> None:
        runs.append(run)
        if len(runs) > 1:
            raise BackendUnavailableError("the bucket is gone")
        write(self, run, **how)

    monkeypatch.setattr(ObjectStore, "write_run", broken)
    with pytest.raises(StageError, match="ZeroDivisionError") as caught:
        threads(flow(a=lambda: 1 / 0))
    assert ["the bucket is gone"] == [note.split(": ")[1] for note in caught.value.__notes__]
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    del runs[:]
    with pytest.raises(BackendUnavailableError):
        threads(flow(a=dict))


@pytest.mark.extended
def test_script_that_fails_on_a_worker(store: Path, tmp_path: Path) -> None:
    """A stage of __main__, and a function it got from another stage, fail with file and line."""
    script = tmp_path / "script.py"
    script.write_text(
        "from runstore.errors import StageError\n"
        "from runstore import run_workflow\n"
        "def make():\n"
        "    return lambda x: 1 / x\n"
        "def use(divide):\n"
        "    return divide(0)\n"
        "stages = [{'name': 'make', 'target': make}, "
        "{'name': 'use', 'target': use, 'depends_on': 'make'}]\n"
        "try:\n"
        "    run_workflow({'kind': 'workflow', 'metadata': {'name': 'w'}, "
        f"'spec': {{'stages': stages}}}}, store={str(store)!r}, "
        "executor_options={'mode': 'processes'})\n"
        "except StageError as exc:\n"
        "    print(exc.traceback)\n"
    )
    shown = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True
    ).stdout
    assert f'File "{script}", line 6, in use\n    return divide(0)\n' in shown
    assert f'File "{script}", line 4, in <lambda>\n    return lambda x: 1 / x\n' in shown

"""Processes that a stage has started itself: what they still do once it was given up."""

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from tests.engines import leftovers

from runstore import (
    ContextProcessPoolExecutor,
    ObjectExistsError,
    ObjectStore,
    StageError,
    bind,
    get_run_context,
    run_workflow,
)

METHODS = ["spawn", "forkserver", "fork"]
pytestmark = [
    pytest.mark.parametrize("method", METHODS),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]


def signs() -> set[str]:
    """Return the signs that this process has left."""
    found = Path(tempfile.gettempdir()).glob(f"runstore-signs-*/{os.getpid()}-*")
    return {str(path) for path in found}


def refused(told: str, why: str) -> list[bool]:
    """Say of each try whether it was refused for this reason."""
    return [line.startswith("refused") and why in line for line in told.splitlines()]


@pytest.fixture
def pool(method: str) -> Any:
    """A pool of one process that outlives the runs."""
    context = multiprocessing.get_context(method)
    with ContextProcessPoolExecutor(1, mp_context=context) as pool:
        yield pool


def test_a_retry_wins(pool: Any, store: ObjectStore, tmp_path: Path) -> None:
    """A process that a failed attempt has left at work cannot replace what the next one puts."""

    def stage() -> str:
        if leftovers.attempt() == 1:
            pool.submit(leftovers.try_to_put, tmp_path)
            raise ConnectionError("try again")
        leftovers.put_new()
        (tmp_path / "go").write_text("go")
        return leftovers.await_file(tmp_path / "told")

    told = run_workflow(leftovers.flow(stage, retries=1), run="r1", store=store).result
    assert [True, True] == refused(told, "was given up")
    view = store.at(namespace="default", run="r1")
    assert ["new", "new"] == [view.get("x"), view.get("x", scope="namespace")]


@pytest.mark.extended
def test_a_child_of_a_worker_process(method: str, store: ObjectStore, tmp_path: Path) -> None:
    """A process that a stage has started in a worker process is refused with the attempt, too."""

    def stage() -> str:
        if leftovers.attempt() == 1:
            context = multiprocessing.get_context(method)
            context.Process(target=bind(leftovers.try_to_put), args=(tmp_path,)).start()
            raise ConnectionError("try again")
        leftovers.put_new()
        (tmp_path / "go").write_text("go")
        return leftovers.await_file(tmp_path / "told")

    options = {"mode": "processes", "workers": 1}
    flow = leftovers.flow(stage, retries=1)
    told = run_workflow(flow, run="r1", store=store, executor_options=options).result
    assert [True, True] == refused(told, "was given up")


def test_a_finished_run_stays_as_it_is(pool: Any, store: ObjectStore, tmp_path: Path) -> None:
    """Neither a task that is at work, nor a bound function that comes later, writes into it."""
    before = signs()

    def stage() -> Any:
        leftovers.put_new()
        pool.submit(leftovers.try_to_put, tmp_path)
        return bind(leftovers.try_to_put)

    late = run_workflow(leftovers.flow(stage), run="r1", store=store).result
    (tmp_path / "go").write_text("go")
    assert [True, True] == refused(leftovers.await_file(tmp_path / "told"), "its run has ended")
    (tmp_path / "told").unlink()
    pool.submit(late, tmp_path).result()
    assert [True, True] == refused((tmp_path / "told").read_text(), "its run has ended")
    assert set() == signs() - before


def test_a_run_that_was_refused_leaves_no_sign(
    pool: Any, store: ObjectStore, tmp_path: Path
) -> None:
    """A run that did not begin has ended, too: processes that start later get no sign of it."""
    flow = leftovers.flow(leftovers.put_new)
    run_workflow(flow, run="r1", store=store)
    before = signs()
    with pytest.raises(ObjectExistsError) as kept:  # its traceback has the context of the run
        run_workflow(flow, run="r1", store=store)
    pool.submit(os.getpid).result()
    assert set() == signs() - before
    assert kept.tb is not None


@pytest.mark.extended
def test_what_a_killed_run_has_left(method: str, store: ObjectStore, tmp_path: Path) -> None:
    """When the process that carries a run out is killed, what it has started writes no more."""
    program = f"""
import multiprocessing, sys
from pathlib import Path
from tests.engines import leftovers
from runstore import ContextProcessPoolExecutor, run_workflow

def stage():
    leftovers.put_new()
    context = multiprocessing.get_context({method!r})
    with ContextProcessPoolExecutor(1, mp_context=context) as pool:
        pool.submit(leftovers.say_and_try, Path(sys.argv[2])).result()

if __name__ == "__main__":
    run_workflow(leftovers.flow(stage), run="r1", store=sys.argv[1])
"""
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, tmp_path / "program.py", store.url, tmp_path]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    with subprocess.Popen(command, env=environment, start_new_session=True) as runner:
        try:
            leftovers.await_file(tmp_path / "begun")
            runner.kill()
            runner.wait()
            (tmp_path / "go").write_text("go")
            told = leftovers.await_file(tmp_path / "told")
        finally:
            os.killpg(runner.pid, signal.SIGKILL)  # the pool waits for ever
    assert [True, True] == refused(told, "its run has ended")
    view = store.at(namespace="default", run="r1")
    assert ["new", "new"] == [view.get("x"), view.get("x", scope="namespace")]


def test_they_write_while_the_run_goes_on(pool: Any, store: ObjectStore, tmp_path: Path) -> None:
    """Until then they write as ever, also into the run of an attempt that has ended well."""
    (tmp_path / "go").write_text("go")

    def stage() -> str:
        pool.submit(leftovers.try_to_put, tmp_path).result()
        return leftovers.await_file(tmp_path / "told")

    told = run_workflow(leftovers.flow(stage), run="r1", store=store).result
    assert ["written", "written"] == told.splitlines()


@pytest.mark.extended
def test_a_process_without_a_pool(method: str, store: ObjectStore, tmp_path: Path) -> None:
    """The same holds for a process of multiprocessing, also if nothing was pickled for it."""
    context = multiprocessing.get_context(method)
    kept = []

    def stage() -> None:
        leftovers.put_new()
        process = context.Process(
            target=bind(leftovers.try_to_put, get_run_context()), args=(tmp_path,)
        )
        process.start()
        kept.append(process)
        raise LookupError("no luck")

    with pytest.raises(StageError):
        run_workflow(leftovers.flow(stage), run="r1", store=store)
    (tmp_path / "go").write_text("go")
    told = leftovers.await_file(tmp_path / "told")
    kept[0].join()
    assert [True, True] == [line.startswith("refused") for line in told.splitlines()]
    gc.collect()

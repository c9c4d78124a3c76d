"""What goes wrong on a cluster: workers that die, failures, resources, stores out of reach."""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.engines.stages import workflow

from runstore import ObjectStore, StageError, get_run_context, object_store, run_workflow
from runstore.errors import (
    ExecutorUnavailableError,
    InvalidRequestError,
    UnsupportedValueError,
    WorkflowError,
)
from runstore.executors import open_executor
from runstore.workflows import RunEvent


def six() -> list[int]:
    """Give the items, and leave a result that may be lost with its worker."""
    object_store.put("six", 6)
    return list(range(6))


def die_once(item: int) -> int:
    """Kill the worker the first time that item 3 is run."""
    mark = Path(get_run_context().input["mark"])
    if item == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    object_store.put(f"item/{item}", item)
    return item * 10


def test_loss_of_a_worker(engine: Any, store: ObjectStore, tmp_path: Path) -> None:
    """A worker killed during a mapped stage costs nothing but time: its calls run elsewhere."""
    flow = workflow(
        "loss",
        [
            {"name": "six", "target": six},
            {"name": "die", "target": die_once, "type": "parameterized"},
            {"name": "sum", "target": sum, "depends_on": "die"},
        ],
    )
    mark = tmp_path / "mark"
    record = engine(flow, {"mark": str(mark)}, run="r1")
    assert 150 == record.result
    assert mark.exists()
    assert [1, 6, 1] == [stage.attempts for stage in record.stages]
    assert 6 == len(store.at(namespace="default", run="r1").list("item/"))


def die() -> None:
    """Kill the worker, always."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.extended
def test_a_stage_that_kills_every_worker(engine: Any) -> None:
    """A stage that kills each worker it is given to fails, and names what happened."""
    with pytest.raises(StageError, match=r"stage .die. did not end: the .* died") as caught:
        engine(workflow("die", [{"name": "die", "target": die}]))
    assert isinstance(caught.value.__cause__, WorkflowError)


def lock() -> Any:
    """Give something that cannot leave its process."""
    import threading

    return threading.Lock()


def test_result_that_cannot_be_pickled(engine: Any) -> None:
    """A result that cannot leave its worker fails its own stage, not the one that takes it."""
    flow = workflow(
        "w", [{"name": "a", "target": lock}, {"name": "b", "target": str, "depends_on": "a"}]
    )
    with pytest.raises(StageError, match=r"stage .a. .* returned a lock") as caught:
        engine(flow)
    assert isinstance(caught.value.__cause__, UnsupportedValueError)


class OnlyThere:
    """A value that the process of the tests cannot unpickle."""

    def __init__(self) -> None:
        self.state = 1

    def __setstate__(self, state: dict[str, int]) -> None:
        if "TEST_UNPICKLED_HERE" in os.environ:
            raise KeyError("not here")


def test_result_that_cannot_be_unpickled_here(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of its own code is told as what it is, and not as the loss of a worker."""
    monkeypatch.setenv("TEST_UNPICKLED_HERE", "set after the workers have started")
    flow = workflow("w", [{"name": "a", "target": OnlyThere}])
    with pytest.raises(UnsupportedValueError, match=r"unpickled here \(KeyError: 'not here'\)"):
        engine(flow)


class Unlucky(Exception):
    """An error that cannot be rebuilt from its arguments."""

    def __init__(self, *, told: str) -> None:
        super().__init__(told)


def unlucky() -> None:
    """Raise it."""
    raise Unlucky(told="x" * 100_000)


def test_failure_by_value(engine: Any, tmp_path: Path) -> None:
    """A stage that no worker can import fails with its file and line."""
    file = tmp_path / "notebook.py"
    file.write_text("def divide():\n    return 1 / 0\n")
    cell = {"__name__": "__main__"}
    exec(compile(file.read_text(), str(file), "exec"), cell)
    with pytest.raises(StageError) as caught:
        engine(workflow("w", [{"name": "a", "target": cell["divide"]}]))
    expected = f'File "{file}", line 2, in divide\n    return 1 / 0\n'
    assert expected in (caught.value.traceback or "")


def test_errors_arrive_whole(engine: Any) -> None:
    """An error that cannot be rebuilt, and is long, arrives with all it says and its traceback."""
    with pytest.raises(StageError) as caught:
        engine(workflow("w", [{"name": "a", "target": unlucky}]))
    assert "x" * 100_000 in str(caught.value.__cause__)
    assert 'raise Unlucky(told="x" * 100_000)' in (caught.value.traceback or "")


def first_fails(item: int) -> int:
    """Fail for the first item, leave a trace for the others."""
    if item == 0:
        raise ValueError("no")
    Path(get_run_context().input["folder"], str(item)).touch()
    return item


def many() -> list[int]:
    """Give many items."""
    return list(range(300))


def test_what_has_not_begun_is_cancelled(engine: Any, tmp_path: Path) -> None:
    """When an item fails, most of the hundreds that wait are never run."""
    flow = workflow(
        "w",
        [
            {"name": "many", "target": many},
            {"name": "fail", "target": first_fails, "type": "parameterized"},
        ],
    )
    folder = tmp_path / "ran"
    folder.mkdir()
    with pytest.raises(StageError, match=r"\(item 0\).*ValueError: no"):
        engine(flow, {"folder": str(folder)})
    assert len(list(folder.iterdir())) < 299


def devices() -> str:
    """Say what the engine has given."""
    return get_run_context().executor


def test_resources_of_ones_own(engine: Any) -> None:
    """A resource that the cluster has is counted by the engine, and the stage runs."""
    stage = {"name": "a", "target": devices, "resources": {"parking": 1, "cpus": 1}}
    name = engine.keywords["executor"]
    assert name == engine(workflow("w", [stage])).result


@pytest.mark.parametrize("needs", [{"quantum": 1}, {"parking": 3}, {"cpus": 64}])
def test_resources_that_nobody_has(engine: Any, store: Any, needs: dict[str, float]) -> None:
    """A stage that no worker can ever run is refused before anything runs, with what there is."""
    with pytest.raises(InvalidRequestError, match=r"stage 'a' needs .*which no .*parking"):
        engine(workflow("w", [{"name": "a", "target": devices, "resources": needs}]))
    assert [] == store.runs()


@pytest.mark.xdist_group("dask")
def test_a_disk_that_is_not_shared(dask_cluster: str, tmp_path: Path) -> None:
    """A path that means another folder to the workers is refused before anything is written."""
    with pytest.raises(InvalidRequestError, match="does not share, so that stages would not find"):
        run_workflow(
            workflow("w", [{"name": "a", "target": devices}]),
            store="/proc/self/cwd/store",  # each process's own folder, as a disk is a host's
            executor="dask",
            executor_options={"address": dask_cluster},
        )
    assert [] == list(tmp_path.iterdir())


@pytest.mark.usefixtures("ray_cluster")
def test_a_node_of_this_machine_is_not_asked() -> None:
    """The node that this process is on shares its disk, so it is not asked."""
    with open_executor("ray") as executor:
        assert {} == executor.everywhere(os.getpid)


@pytest.mark.xdist_group("dask")
def test_no_scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address at which nobody answers is an error that names it, before anything runs."""
    monkeypatch.setattr("runstore.executors._dask._CONNECT", 0.5)
    with pytest.raises(ExecutorUnavailableError, match=r"no Dask scheduler answers at 'tcp://1"):
        run_workflow(
            workflow("w", [{"name": "a", "target": devices}]),
            store=tmp_path / "store",
            executor="dask",
            executor_options={"address": "tcp://127.0.0.1:9"},
        )
    assert not (tmp_path / "store").exists()


@pytest.mark.slow  # a cluster of its own
@pytest.mark.xdist_group("dask")
def test_a_cluster_that_is_closed_between_two_stages(tmp_path: Path) -> None:
    """The run ends as failed with an error of ours, and its record says so."""
    import distributed

    stages = [{"name": "a", "target": dict}, {"name": "b", "target": dict, "depends_on": "a"}]
    where = {"n_workers": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(silence_logs=logging.CRITICAL, **where) as cluster:

        def close(event: RunEvent) -> None:
            if (event.stage, event.state) == ("a", "finished"):
                cluster.close()

        with pytest.raises(StageError) as caught:
            run_workflow(
                workflow("w", stages),
                run="r1",
                store=tmp_path / "store",
                executor="dask",
                executor_options={"address": cluster.scheduler_address},
                on_event=close,
            )
    assert isinstance(caught.value.__cause__, ExecutorUnavailableError)
    assert "failed" == ObjectStore(tmp_path / "store").read_run("r1", namespace="default").state


@pytest.mark.slow  # a timeout, and the time that code is given to stop
@pytest.mark.xdist_group("dask")
def test_a_call_that_cannot_be_stopped_does_not_hold_up_the_run(tmp_path: Path) -> None:
    """On a worker without a nanny, a stage that ignores its timeout fails, and the run ends."""
    import distributed

    go, done = tmp_path / "go", tmp_path / "done"

    def ignores() -> None:
        while not go.exists():
            with contextlib.suppress(BaseException):
                time.sleep(0.05)
        done.touch()

    stage = {"name": "a", "target": ignores, "timeout": 0.2}
    where = {"n_workers": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(silence_logs=logging.CRITICAL, **where) as cluster:
        try:
            with pytest.raises(StageError, match="it cannot be stopped and goes on"):
                run_workflow(
                    workflow("w", [stage]),
                    store=tmp_path / "store",
                    executor="dask",
                    executor_options={"address": cluster.scheduler_address},
                )
            assert not done.exists()
        finally:
            go.touch()
        while not done.exists():
            time.sleep(0.05)


def hold(flag: Path) -> None:
    """Say that it has begun, and go on for longer than the test."""
    flag.touch()
    time.sleep(3600)


@pytest.mark.slow  # Dask's client looks for its scheduler for a while
@pytest.mark.xdist_group("dask")
def test_a_scheduler_that_goes_away(tmp_path: Path) -> None:
    """If the scheduler dies during a stage the run ends as failed, and says so."""
    flag, file = tmp_path / "flag", tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny"]
    with contextlib.ExitStack() as stack:

        def start(*command: Any) -> subprocess.Popen[bytes]:
            path = os.pathsep.join(filter(None, sys.path))  # where the stage's module is
            environment = {**os.environ, "PYTHONPATH": path}
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        scheduler = start(*dask, "--port", "0", "--no-dashboard", "--scheduler-file", file)
        while not file.exists():
            time.sleep(0.05)
        start(*worker, "--no-dashboard", "--scheduler-file", file)

        def kill() -> None:
            while not flag.exists():
                time.sleep(0.05)
            scheduler.kill()

        threading.Thread(target=kill, daemon=True).start()
        with pytest.raises(StageError, match="scheduler went away") as caught:
            run_workflow(
                workflow("w", [{"name": "a", "target": partial(hold, flag)}]),
                run="r1",
                store=tmp_path / "store",
                executor="dask",
                executor_options={"address": json.loads(file.read_text())["address"]},
            )
    assert isinstance(caught.value.__cause__, ExecutorUnavailableError)
    assert "failed" == ObjectStore(tmp_path / "store").read_run("r1", namespace="default").state


@pytest.mark.usefixtures("ray_cluster")
def test_two_rays_in_one_process() -> None:
    """A process is on one Ray cluster; another address is refused."""
    with (
        open_executor("ray", {"address": "127.0.0.1:9"}) as executor,
        pytest.raises(InvalidRequestError, match=r"connected to Ray at [\d.]+:\d+ and"),
    ):
        executor.start({})


def test_where_it_runs_is_told(engine: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The addresses of the engine are an event and a line of the log, with the run."""
    events: list[RunEvent] = []
    with caplog.at_level(logging.INFO, "runstore.workflow"):
        engine(workflow("w", [{"name": "a", "target": devices}]), run="r1", on_event=events.append)
    (told,) = [event.message for event in events if event.kind == "executor"]
    name = engine.keywords["executor"]
    assert told.startswith(f"run default/r1: runs on {name} at ")
    assert (", dashboard http://127.0.0.1:" in told) == (name == "dask")
    assert told in caplog.messages

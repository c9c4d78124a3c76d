"""C. Given-up code still acts: attempts, runs, contexts."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cases._case import case
from tests.engines import leftovers

from runstore import (
    ContextThreadPoolExecutor,
    ObjectStore,
    bind,
    get_run_context,
    object_store,
    run_context,
    run_workflow,
)
from runstore.context import find_run_context
from runstore.errors import RunActiveError, StaleRunError


def stored(folder: Path) -> list[Any]:
    """Return what stands under x, in the run and in its namespace."""
    view = ObjectStore(folder / "store").at(namespace="default", run="r1")
    return [view.get("x", default=None), view.get("x", default=None, scope="namespace")]


def retried(folder: Path, target: Callable[..., Any], **more: Any) -> None:
    """Run *target*, whose first attempt leaves a thread that puts later; the next one wins."""
    options = more.pop("executor_options", {})
    executor = more.pop("executor", "local")
    record = run_workflow(
        leftovers.flow(target, **more),
        {"folder": str(folder)},
        run="r1",
        store=folder / "store",
        executor=executor,
        executor_options=options,
    )
    told = record.result.splitlines()
    assert [True, True] == [line.startswith("refused") for line in told], told
    assert ["new", "new"] == stored(folder)


@case("C1", "In threads, a retry after a timeout is not replaced by the attempt before")
def timeout_in_threads(folder: Path) -> None:
    """The old attempt's value replaced the new one's, and in the namespace the next run's."""
    retried(folder, leftovers.stall_then_succeed, timeout=1, retries=30)


@case("C1", "In processes, a retry is not replaced by the failed attempt before")
def failure_in_processes(folder: Path) -> None:
    """A thread that the failed attempt left in its process wrote later."""
    options = {"mode": "processes", "workers": 2}
    retried(folder, leftovers.fail_then_succeed, retries=1, executor_options=options)


@case("C1", "On Dask, a retry after a timeout is not replaced by the attempt before")
def timeout_on_dask(folder: Path) -> None:
    """A thread that the attempt left on its worker wrote later."""
    options = {"workers": 2}
    how = {"timeout": 2, "retries": 30, "executor": "dask", "executor_options": options}
    retried(folder, leftovers.stall_then_succeed, **how)


@case("C1", "On Ray, a retry after a timeout is not replaced by the attempt before")
def timeout_on_ray(folder: Path) -> None:
    """A thread that the attempt left on its worker wrote later."""
    options = {"workers": 2}
    how = {"timeout": 2, "retries": 30, "executor": "ray", "executor_options": options}
    retried(folder, leftovers.stall_then_succeed, **how)


@case("C1", "After Ctrl-C no object of the run appears")
def interrupted(folder: Path) -> None:
    """A thread that still slept put into the interrupted run."""

    def interrupt(event: Any) -> None:
        if (event.kind, event.state) == ("stage", "finished"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_workflow(
            leftovers.flow(leftovers.leave),
            {"folder": str(folder)},
            run="r1",
            store=folder / "store",
            on_event=interrupt,
        )
    (folder / "go").write_text("go")
    leftovers.await_file(folder / "told")
    assert ["new", "new"] == stored(folder)


@case("C1", "A finished run stays as it is, whatever its pools and contexts still hold")
def finished(folder: Path) -> None:
    """A bound function kept by a pool wrote into the finished run."""
    kept = []
    stages = [{"name": "s", "target": lambda: kept.append(bind(object_store.put))}]
    flow = {"metadata": {"name": "w"}, "spec": {"stages": stages}}
    run_workflow(flow, run="r1", store=folder / "store")
    with ContextThreadPoolExecutor(1) as pool:
        assert isinstance(pool.submit(kept[0], "x", "old").exception(), StaleRunError)
    assert [None, None] == stored(folder)


@case("C2", "A running run is not deleted, and by force it writes no more")
def deleted(folder: Path) -> None:
    """It was deleted, and its record then said ``finished`` over half of its objects."""
    store = ObjectStore(folder / "store")
    refused = []

    def stage() -> None:
        object_store.put("x", 1)
        try:
            store.delete_run("r1", namespace="default")
        except RunActiveError as exc:
            refused.append(exc)
        store.delete_run("r1", namespace="default", force=True)
        object_store.put("x", 2)

    stages = [{"name": "s", "target": stage}]
    flow = {"metadata": {"name": "w"}, "spec": {"stages": stages}}
    with pytest.raises(StaleRunError):
        run_workflow(flow, run="r1", store=store)
    assert 1 == len(refused)
    assert ([], []) == (store.runs(), store.runs_with_objects("default"))


SCRIPT = """
import sys, threading
from runstore import run_workflow
def stage():
    print("begun", flush=True)
    threading.Event().wait()
stages = [{"name": "s", "target": stage}]
run_workflow({"metadata": {"name": "w"}, "spec": {"stages": stages}}, run="r1", store=sys.argv[1])
"""


@case("C2", "After SIGTERM and SIGHUP a run is failed, after SIGKILL lost")
def ended_by_signals(folder: Path) -> None:
    """All of them were ``running`` for ever."""
    found = []
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
        store = folder / number.name
        command = [sys.executable, "-c", SCRIPT, str(store)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert "begun\n" == process.stdout.readline()
            os.kill(process.pid, number)
        record = ObjectStore(store).read_run("r1", namespace="default")
        found.append((process.returncode, record.state, record.error))
    expected = [
        (-signal.SIGTERM, "failed", "interrupted"),
        (-signal.SIGHUP, "failed", "interrupted"),
        (-signal.SIGKILL, "lost", None),
    ]
    assert expected == found


def current() -> str | None:
    """Return the name of the current run."""
    ctx = find_run_context()
    return None if ctx is None else ctx.run.name


@case("C3", "One run_context object may be entered by two threads at once")
def shared_object(folder: Path) -> None:
    """Both stayed in the run afterwards."""
    shared, both, found = run_context(), threading.Barrier(2), []

    def work() -> None:
        with shared:
            both.wait(60)
        both.wait(60)
        found.append(current())

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [None, None] == found


@case("C3", "Whatever has code that has yet to run can be bound")
def bound_later(folder: Path) -> None:
    """The body ran in the caller's run, and async generators did not hear what was sent."""

    class Call:
        async def __call__(self) -> str:
            return get_run_context().run.name

    async def coroutine() -> str:
        return get_run_context().run.name

    def generator() -> Any:
        yield get_run_context().run.name

    async def echo() -> Any:
        sent = yield current()
        try:
            yield sent, current()
        except LookupError:
            yield "caught", current()

    with run_context(run="r") as ctx:
        pass
    assert "r" == asyncio.run(bind(Call(), ctx)())  # type: ignore[arg-type]
    assert "r" == asyncio.run(bind(lambda: coroutine(), ctx)())
    assert ["r"] == list(bind(lambda: generator(), ctx)())

    async def drive() -> list[Any]:
        items = bind(echo, ctx)()
        return [await anext(items), await items.asend("sent"), await items.athrow(LookupError())]

    assert ["r", ("sent", "r"), ("caught", "r")] == asyncio.run(drive())


@case("C3", "A generator that enters a run does not put its caller into it between items")
def generators(folder: Path) -> None:
    """The caller was in that run."""

    def enters() -> Any:
        with run_context(run="inner"):
            yield current()

    with run_context(run="outer") as ctx:
        assert [("inner", "outer")] == [(item, current()) for item in enters()]
        assert [("inner", "outer")] == [(item, current()) for item in bind(enters, ctx)()]


@case("C3", "A context left open by a task or an initializer is not there for the next task")
def pools(folder: Path) -> None:
    """It was."""

    def leave_open() -> None:
        run_context(run="open").__enter__()

    with ContextThreadPoolExecutor(1, initializer=leave_open) as pool:
        assert pool.submit(current).result() is None
        pool.submit(leave_open).result()
        assert pool.submit(current).result() is None

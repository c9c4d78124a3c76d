"""A run that is deleted while it goes on, and one whose process is gone."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextvars import Context
from pathlib import Path
from typing import Any

import pytest

from runstore import ObjectStore, object_store
from runstore.errors import RunActiveError, StaleRunError
from runstore.runs import this_process


@pytest.fixture
def objects(store: Path) -> ObjectStore:
    """The store of the test, opened."""
    return ObjectStore(store)


def test_a_running_run_is_not_deleted(threads: Any, flow: Any, objects: ObjectStore) -> None:
    """delete_run refuses a run that goes on, names the way out, and touches nothing."""

    def stage() -> str:
        object_store.put("x", 1)
        with pytest.raises(RunActiveError, match=r"'default/r1' .* running.*force=True"):
            objects.delete_run("r1", namespace="default")
        return str(object_store.get("x"))

    assert "1" == threads(flow(a=stage), run="r1").result
    objects.delete_run("r1", namespace="default")  # it has ended by now
    assert [] == objects.runs("default")


def test_forced_deletion_in_this_process(threads: Any, flow: Any, objects: ObjectStore) -> None:
    """Deleted by force, a run writes nothing more at once, and its record does not come back."""
    after = []

    def stage() -> None:
        object_store.put("x", 1)
        objects.delete_run("r1", namespace="default", force=True)
        with pytest.raises(StaleRunError, match="its run was deleted"):
            object_store.put("x", 2)

    with pytest.raises(StaleRunError, match="its run was deleted"):
        threads(flow(a=stage, b=(lambda: after.append(1), {"depends_on": "a"})), run="r1")
    assert [] == after
    assert [] == objects.runs("default")
    assert [] == objects.runs_with_objects("default")


@pytest.mark.extended
def test_deletion_by_another_process(
    run: Any, flow: Any, objects: ObjectStore, tmp_path: Path
) -> None:
    """Whoever runs it is asked to end it, and then nothing of it is there any more."""
    other = (
        "import sys; from runstore import ObjectStore; "
        "ObjectStore(sys.argv[1]).delete_run('r1', namespace='default', force=True)"
    )
    begun = tmp_path / "begun"

    def stage() -> None:
        begun.touch()
        time.sleep(60)

    def after() -> None:
        object_store.put("after", 1)

    def delete() -> None:
        while not begun.exists():
            time.sleep(0.05)
        subprocess.run([sys.executable, "-c", other, objects.url], check=True)

    deleting = threading.Thread(target=delete)
    deleting.start()
    with pytest.raises(StaleRunError, match=r"'default/r1' was deleted while it went on"):
        run(flow(a=stage, b=(after, {"depends_on": "a"})), run="r1")
    deleting.join()
    assert [] == objects.runs("default")
    assert [] == objects.runs_with_objects("default")


def test_another_run_of_the_name_is_left_alone(
    threads: Any, flow: Any, objects: ObjectStore
) -> None:
    """A run that was deleted and begun anew elsewhere is not written over."""

    def stage() -> None:
        record = objects.read_run("r1", namespace="default")
        objects.delete_run("r1", namespace="default", force=True)
        other = record.model_copy(update={"uid": "another", "state": "finished"})
        Context().run(objects.write_run, other)  # as another process does it

    with pytest.raises(StaleRunError):
        threads(flow(a=stage), run="r1")
    assert "another" == objects.read_run("r1", namespace="default").uid


def test_an_outage_is_no_deletion(threads: Any, flow: Any, objects: ObjectStore) -> None:
    """If the record is there and cannot be read, the run goes on."""
    records = Path(objects.url.removeprefix("file://")) / "default" / "_runs"

    def stage() -> None:
        (records / "r1.json").rename(records / "aside")
        (records / "r1.json").write_text("{")

    def back() -> str:
        (records / "aside").rename(records / "r1.json")
        return "done"

    assert "done" == threads(flow(a=stage, b=(back, {"depends_on": "a"})), run="r1").result


SCRIPT = """
import signal, sys, threading
from runstore import object_store, run_workflow
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever the tests were started by
if "ignored" in sys.argv:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
if "own" in sys.argv:
    def stop(number, frame):
        raise SystemExit(5)
    signal.signal(signal.SIGTERM, stop)
both = {signal.SIGTERM, signal.SIGHUP}
if "elsewhere" in sys.argv:
    signal.pthread_sigmask(signal.SIG_BLOCK, both)
go_on = threading.Event()
signal.signal(signal.SIGUSR1, lambda number, frame: go_on.set())
def stage():
    object_store.put("x", 1)
    if "elsewhere" in sys.argv:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, both)
    print("begun", flush=True)
    go_on.wait()
run_workflow(
    {"metadata": {"name": "w"}, "spec": {"stages": [{"name": "s", "target": stage}]}},
    store=sys.argv[1], run="r1",
)
print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
"""


def started(store: Path, *how: str) -> "subprocess.Popen[str]":
    """Start the script and return once its stage runs."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, store, *how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "begun\n" == process.stdout.readline()
    return process


@pytest.mark.extended
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("how", ["main", "elsewhere"])
def test_a_signal_ends_the_run(
    number: signal.Signals, how: str, store: Path, objects: ObjectStore
) -> None:
    """SIGTERM and SIGHUP end the run as Ctrl-C does, and the process as they always do.

    Also if the system gives the signal to another thread, which does not wake the main one.
    """
    process = started(store, how)
    process.send_signal(number)
    process.communicate(timeout=400)
    assert -number == process.returncode
    record = objects.read_run("r1", namespace="default")
    assert ("failed", "interrupted") == (record.state, record.error)


def test_handlers_of_the_program_stay(store: Path, objects: ObjectStore) -> None:
    """A program's own handler is called, and a signal that it ignores is ignored."""
    process = started(store, "own", "ignored")
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=400)
    assert 5 == process.returncode
    assert "interrupted" == objects.read_run("r1", namespace="default").error


def test_signals_are_given_back(store: Path, objects: ObjectStore) -> None:
    """After the run the signals do what they did before."""
    process = started(store)
    process.send_signal(signal.SIGUSR1)
    assert "True\n" == process.communicate(timeout=400)[0]
    assert "finished" == objects.read_run("r1", namespace="default").state


def test_a_killed_run_is_lost(store: Path, objects: ObjectStore) -> None:
    """A run whose process was killed is seen as lost, in every list, and can be deleted."""
    process = started(store)
    assert "running" == objects.read_run("r1", namespace="default").state
    process.kill()
    process.communicate(timeout=400)
    assert "lost" == objects.read_run("r1", namespace="default").state
    assert ["lost"] == [run.state for run in objects.runs()]
    objects.delete_run("r1", namespace="default")
    assert [] == objects.runs()


def test_what_is_not_known_is_running(objects: ObjectStore) -> None:
    """Of another host, another boot and a process number used again only the last is known."""
    from runstore.context import new_run

    here = this_process()
    seen = {}
    for name, changes in {
        "alive": {},
        "elsewhere": {"host": "elsewhere", "started": 1},
        "rebooted": {"space": "another", "started": 1},
        "unknown": {"space": None, "started": 1},
        "reused": {"started": 1},
        "gone": {"pid": _gone()},
    }.items():
        record = new_run("w", namespace="default", name=name)
        runner = here.model_copy(update=changes)
        objects.write_run(record.model_copy(update={"runner": runner}))
        seen[name] = objects.read_run(name, namespace="default").state
    expected = dict.fromkeys(("alive", "elsewhere", "rebooted", "unknown"), "running")
    assert expected | {"reused": "lost", "gone": "lost"} == seen


def _gone() -> int:
    """Return the number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_an_unreaped_process_is_gone(objects: ObjectStore) -> None:
    """A process that was killed and that its parent has not waited for yet does not live."""
    from runstore.context import new_run
    from runstore.runs import seen_from_here

    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        runner = this_process().model_copy(update={"pid": process.pid})
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        run = new_run("w", namespace="default").model_copy(update={"runner": runner})
        assert "lost" == seen_from_here(run).state
    finally:
        process.communicate()


def test_the_namespace_setting(
    threads: Any, flow: Any, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that names no namespace works in the one that is set."""
    monkeypatch.setenv("RUNSTORE_NAMESPACE", "prod")
    assert "prod" == threads(flow(a=lambda: object_store.put("x", 1).namespace), run="r1").result
    assert ["prod"] == objects.namespaces()
    assert "dev" == threads(flow(a=lambda: 1), namespace="dev").namespace


def test_a_nested_run_stops_with_its_stage(threads: Any, flow: Any, objects: ObjectStore) -> None:
    """A run that a stage has started ends when the stage's attempt is given up."""
    from runstore import get_run_context, run_workflow

    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    wrote = []

    def inner() -> None:
        begun.set()
        assert go_on.wait(100)
        wrote.append(object_store.put("x", 1))

    def outer() -> None:
        stage = get_run_context().stage
        assert stage is not None
        if stage.attempt == 1:
            try:
                run_workflow(flow(a=inner), store=objects, run="inner")
            finally:
                ended.set()
        assert begun.wait(100)
        go_on.set()
        assert ended.wait(100)

    threads(flow(a=(outer, {"timeout": 1, "retries": 30})), run="outer")
    assert [] == wrote
    assert "failed" == objects.read_run("inner", namespace="default").state

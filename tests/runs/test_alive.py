"""Whether a run goes on, as another host sees it; how it is asked to end, and fenced off."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from runstore import ObjectStore, object_store, recorded_run
from runstore.context import Lease, new_run
from runstore.errors import (
    InvalidRequestError,
    RunActiveError,
    RunCancelledError,
    StaleRunError,
)
from runstore.keys import alive_key
from runstore.places import Wrapper
from runstore.runs import _alive, this_process
from runstore.workflows import run_workflow
from runstore.workflows._keeper import Keeper

HOLDING = """
import sys, threading
from runstore import object_store, run_workflow

def hold():
    object_store.put("x", 1)
    with open(sys.argv[2], "w") as pipe:
        pipe.write("here")
    threading.Event().wait(600)

stages = [{"name": "hold", "target": hold}]
flow = {"metadata": {"name": "w"}, "spec": {"stages": stages}}
run_workflow(flow, store=sys.argv[1], run="r1", namespace="n")
"""


@pytest.fixture
def store(tmp_path):
    """A store on disk."""
    return ObjectStore(tmp_path / "store")


@pytest.fixture
def held(tmp_path, store):
    """Start a process that executes a run, and gives it back when a stage runs."""
    started = []

    def start():
        pipe = tmp_path / "pipe"
        if not pipe.exists():
            os.mkfifo(pipe)
        command = [sys.executable, "-c", HOLDING, store.url, str(pipe)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        started.append(process)
        assert "here" == pipe.read_text()
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stderr.close()


def elsewhere(store, renews=5.0, name="r1"):
    """Write the record of a run that another host executes."""
    runner = this_process().model_copy(update={"host": "elsewhere", "renews": renews})
    run = new_run("w", namespace="n", name=name).model_copy(update={"runner": runner})
    store.write_run(run)
    return run


def states(store):
    """How a run looks alone, in a list and in a page."""
    page = store.runs("n", limit=5)
    return {store.read_run("r1", namespace="n").state, store.runs("n")[0].state, page[0].state}


def test_a_run_of_another_host_is_lost_when_it_is_not_renewed(store, monkeypatch):
    """By the clock of the place: the file of the run beside one that was written just now."""
    run = elsewhere(store)
    beat = _alive.begin_beats(store.backend, run)
    assert {"running"} == states(store)
    monkeypatch.setattr(_alive, "LOST_AFTER", -1.0)
    assert {"lost"} == states(store)
    assert _alive.renewed(store.backend, run, beat).number == 1
    monkeypatch.setattr(_alive, "LOST_AFTER", 60.0)
    assert {"running"} == states(store)


def test_no_clock_of_a_host_counts(store, tmp_path):
    """Times that a writer sets, as a host whose clock is wrong does, change nothing on a disk."""
    run = elsewhere(store)
    _alive.begin_beats(store.backend, run)
    path = tmp_path / "store" / alive_key("n", "r1")
    for wrong in (0, 4_000_000_000):
        os.utime(path, (wrong, wrong))
        assert {"running"} == states(store)


def test_a_run_without_its_file_is_lost(store, monkeypatch):
    """It says that it renews a file, and there is none, also after a moment."""
    monkeypatch.setattr(_alive, "_MOMENT", 0.01)
    elsewhere(store)
    assert {"running"} == states(store)  # the record is so young that the file may be to come
    monkeypatch.setattr(_alive, "LOST_AFTER", -1.0)
    assert {"lost"} == states(store)
    store.delete_run("r1", namespace="n")  # nobody has to be asked


def test_runs_that_renew_nothing_are_as_they_say(store):
    """Records of earlier versions, and of stores in memory, say no interval."""
    elsewhere(store, renews=None)
    assert {"running"} == states(store)


def test_who_may_not_write_sees_what_the_record_says(store, monkeypatch):
    """Without a time of the place nothing is said to be lost."""
    from runstore.errors import AccessDeniedError
    from runstore.places import Wrapper

    class ReadOnly(Wrapper):
        def put(self, key, buffers, **how):
            raise AccessDeniedError(f"{key}: no")

    run = elsewhere(store)
    _alive.begin_beats(store.backend, run)
    monkeypatch.setattr(_alive, "LOST_AFTER", -1.0)
    store._objects.backend = ReadOnly(store.backend)
    assert {"running"} == states(store)


def test_a_killed_run_is_lost_at_once_here_and_later_elsewhere(store, held, monkeypatch):
    """After kill -9 this host sees it by the process, another one when the file has grown old."""
    process = held()
    assert {"running"} == states(store)
    process.kill()
    process.wait()
    assert {"lost"} == states(store)
    record = store.read_run("r1", namespace="n")
    runner = record.runner.model_copy(update={"host": "elsewhere"})
    store.write_run(record.model_copy(update={"state": "running", "runner": runner}))
    assert {"running"} == states(store)
    monkeypatch.setattr(_alive, "LOST_AFTER", -1.0)
    assert {"lost"} == states(store)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run(store, held, tmp_path, number):
    """Its record says failed and interrupted, and its file is gone."""
    process = held()
    process.send_signal(number)
    assert -number == process.wait()
    run = store.read_run("r1", namespace="n")
    assert ("failed", "interrupted") == (run.state, run.error)
    assert not (tmp_path / "store" / alive_key("n", "r1")).exists()


def test_a_run_is_cancelled_from_elsewhere(store, held):
    """It ends as failed, cancelled; what it has stored stays; then there is nothing to cancel."""
    process = held()
    from typer.testing import CliRunner

    from runstore.cli._app import app

    told = CliRunner().invoke(app, ["cancel", "n/r1", "--store", store.url])
    assert (0, "n/r1 was cancelled\n") == (told.exit_code, told.stderr)
    assert 0 != process.wait()
    assert "RunCancelledError" in process.stderr.read()
    run = store.read_run("r1", namespace="n")
    assert ("failed", "cancelled", 1) == (
        run.state,
        run.error,
        store.at(namespace="n", run="r1").get("x"),
    )
    with pytest.raises(InvalidRequestError, match="does not go on: it has failed"):
        store.cancel_run("r1", namespace="n")


def test_a_forced_deletion_waits_for_the_end_of_the_run(store, held, tmp_path):
    """Without force it is refused. With force nothing of the run is left, nor comes back."""
    process = held()
    with pytest.raises(RunActiveError, match="is not deleted"):
        store.delete_run("r1", namespace="n")
    store.delete_run("r1", namespace="n", force=True)
    assert 0 != process.wait()
    assert "was deleted while it went on" in process.stderr.read()
    assert [] == store.runs("n") + store.runs_with_objects("n")
    assert [] == [path for path in (tmp_path / "store" / "n").rglob("r1*") if path.is_file()]


def test_a_cancelled_run_writes_nothing_more(store):
    """A stage in a thread that cannot be stopped is refused every write."""
    refused, asked = threading.Event(), threading.Event()

    def stage():
        store.cancel_run("r1", namespace="n")
        asked.set()
        until = time.monotonic() + 300
        while time.monotonic() < until:
            try:
                object_store.put("x", 1)
            except StaleRunError:
                refused.set()
                return
            time.sleep(0.02)

    flow = {"metadata": {"name": "w"}, "spec": {"stages": [{"name": "s", "target": stage}]}}
    with pytest.raises(RunCancelledError, match=r"run 'n/r1' was cancelled"):
        run_workflow(flow, store=store, run="r1", namespace="n")
    assert asked.is_set()
    assert refused.wait(300)
    assert "cancelled" == store.read_run("r1", namespace="n").error


def test_a_process_that_stood_still_asks_before_it_writes(store):
    """It may count as lost, and its run may have been deleted meanwhile."""
    run = new_run("w", namespace="n", name="r1")
    lease = Lease(run.uid, "run 'n/r1'")
    keeper = Keeper(store.backend, run, lease)
    keeper.every = 3600.0
    keeper.begin()
    try:
        lease.check()
        Path(store.url.removeprefix("file://"), alive_key("n", "r1")).unlink()
        lease.check()  # not looked at before each write
        keeper._renewed_at -= 3600
        with pytest.raises(StaleRunError, match="its run was deleted"):
            lease.check()
    finally:
        keeper.end()


class Order(Wrapper):
    """A place that keeps in which order files are written."""

    def __init__(self, backend):
        super().__init__(backend)
        self.written = []

    def put(self, key, buffers, **how):
        self.written.append(key)
        return super().put(key, buffers, **how)


@pytest.mark.parametrize("how", ["run_workflow", "recorded_run"])
def test_the_file_comes_after_the_record(store, how):
    """And it goes after the last record: nobody finds a sign of a run without a record."""
    from runstore.store._opened import remember

    store._objects.backend = place = Order(store.backend)
    remember(store.address, store)
    if how == "run_workflow":
        stages = [{"name": "s", "target": print}]
        flow = {"metadata": {"name": "w"}, "spec": {"stages": stages}}
        run_workflow(flow, store=store, run="r1", namespace="n")
    else:
        with recorded_run("n", "r1", store=store):
            pass
    record, beat = "n/_runs/r1.json", alive_key("n", "r1")
    assert place.written.index(record) < place.written.index(beat)
    assert record == [key for key in place.written if key in (record, beat)][-1]
    assert beat not in {entry.key for entry in store.backend.list("n/_alive/")}


def test_a_run_in_memory_has_no_file():
    """No other process could see it; nor can it be cancelled."""

    def stage():
        with pytest.raises(InvalidRequestError, match="cannot be asked to stop"):
            object_store.store.cancel_run("r1", namespace="default")
        return [entry.key for entry in object_store.store.backend.list("default/_alive/")]

    flow = {"metadata": {"name": "w"}, "spec": {"stages": [{"name": "s", "target": stage}]}}
    with ObjectStore("memory://alive") as store:
        assert [] == run_workflow(flow, store=store, run="r1").result


@pytest.mark.slow
def test_a_bucket_tells_who_goes_on(seaweed_server, monkeypatch):
    """By the times of the server; wishes reach the run; a run that is gone is noticed."""
    from tests.places.s3_ import open_store

    store = open_store(seaweed_server, None)
    run = elsewhere(store)
    beat = _alive.begin_beats(store.backend, run)
    assert {"running"} == states(store)
    beat = _alive.renewed(store.backend, run, beat)
    assert (1, None) == (beat.number, beat.asked)
    monkeypatch.setattr(_alive, "LOST_AFTER", -1.0)
    assert {"lost"} == states(store)
    monkeypatch.setattr(_alive, "LOST_AFTER", 60.0)
    store.cancel_run("r1", namespace="n")
    assert "cancel" == _alive.renewed(store.backend, run, beat).asked
    _alive.end_beats(store.backend, run)
    assert _alive.renewed(store.backend, run, beat) is None

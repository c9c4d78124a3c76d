"""Light records of runs that an orchestrator executes: others find them as those of run_workflow.

The orchestrators themselves are in tests/integrations; here a small one stands for them.
"""

import logging
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.context.small import Small, small_orchestrator

from runstore import ObjectStore, bind, get_run_context, integrations, object_store, replay
from runstore.context import StageScope, now
from runstore.context.resolvers import Found
from runstore.errors import InvalidRequestError
from runstore.integrations import run_ended
from runstore.places import Wrapper
from runstore.runs import write_run
from runstore.store import _orchestrated, run_has_ended, stage_has_ended, tell_records

UID = "flow.1 of an orchestrator"  # of no run in another test, as the leases of runs go by it
RUN = Found(workflow="flow", run="flow.1", uid=UID, stage="build", input={"n": 1, "token": "s3cr"})
TRAIN = replace(RUN, stage="train")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Small]:
    """An orchestrator that another package has brought; nothing of other tests is told here."""
    monkeypatch.setattr(_orchestrated, "_runs", _orchestrated._Runs())
    yield from small_orchestrator(monkeypatch, tmp_path / "store")


def _end(state: Any, error: str | None = None) -> None:
    run_has_ended(ObjectStore().backend, "default", "flow.1", state, error)


def test_a_run_has_a_record_from_its_first_put_on(small: Small) -> None:
    """It says what the orchestrator says, without secrets; to look for objects makes none."""
    store = ObjectStore()
    small.now = RUN
    assert not object_store.exists("x")
    assert [] == store.runs("default")
    object_store.put("x", 1)
    [run] = store.runs("default")
    assert ("flow.1", UID, "flow", "small", "running") == (
        *(run.name, run.uid, run.workflow, run.source),
        run.state,
    )
    assert run.started_at is not None
    assert run.input is not None
    assert 1 == run.input["n"]
    assert "s3cr" not in repr(run.input)


def test_no_put_costs_a_request(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record is written at the first put of a process and once more when it has ended."""
    written: list[str] = []
    backend = type(ObjectStore().backend)
    put = backend.put
    monkeypatch.setattr(backend, "put", lambda *a, **k: (written.append(a[1]), put(*a, **k))[1])
    for stage in (RUN, TRAIN):
        small.now = stage
        for number in range(20):
            object_store.put(f"{stage.stage}/{number}", number)
    assert ["default/_runs/flow.1.json"] == [key for key in written if "/_" in key]
    tell_records()
    tell_records()
    assert 2 * ["default/_runs/flow.1.json"] == [key for key in written if "/_" in key]


def test_a_run_that_has_ended_is_found_by_its_workflow(small: Small) -> None:
    """`get(workflow=)` and lineage know it as a run of run_workflow."""
    small.now = RUN
    object_store.put("x", [1, 2])
    small.now = TRAIN
    object_store.put("model", sum(object_store.get("x")))
    _end("finished")
    small.now = None
    store = ObjectStore()
    assert 3 == store.at().get("model", workflow="flow")
    [run] = store.runs("default", state="finished")
    assert ["finished", "finished"] == [stage.state for stage in run.stages]
    found = store.at(run="flow.1").lineage("model")
    assert {"build", "train"} == {stage.stage for stage in found.stages.values()}
    assert () == found.gaps


def test_a_run_that_is_run_again_goes_on(small: Small) -> None:
    """A failed run that the orchestrator tries again is running, until it ends anew."""
    small.now = RUN
    object_store.put("x", 1)
    attempt = StageScope(name="build")
    stage_has_ended("flow.1", attempt, "failed", "ValueError: as it should")
    _end("failed", "build: ValueError: as it should")
    store = ObjectStore()
    [run] = store.runs("default")
    assert ("failed", "build: ValueError: as it should") == (run.state, run.error)
    assert ["failed"] == [stage.state for stage in run.stages]
    small.now = replace(RUN, attempt=2)
    object_store.put("x", 2)
    assert ["running"] == [run.state for run in store.runs("default")]
    _end("finished")
    [run] = store.runs("default")
    assert ("finished", None) == (run.state, run.error)
    assert [("finished", 2, None)] == [(one.state, one.attempts, one.error) for one in run.stages]


def test_a_replay_says_who_has_executed_the_run(small: Small) -> None:
    """Whatever stage is named: its record does not have the functions of stages."""
    small.now = RUN
    object_store.put("x", 1)
    small.now = None
    for stage in ("build", "none"):
        with pytest.raises(InvalidRequestError, match=r"flow\.1 was executed by small, .* there"):
            replay("flow.1", stage)


def _in_a_process(url: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for small in small_orchestrator(patch, url):
            small.now = TRAIN
            object_store.put("model", object_store.get("x"))


def test_processes_of_a_run_share_its_record(small: Small, tmp_path: Path) -> None:
    """Each adds what its stages have used when it ends, also one that was forked."""
    small.now = RUN
    object_store.put("x", 1)
    fork = multiprocessing.get_context("fork")
    child = fork.Process(target=_in_a_process, args=(str(tmp_path / "store"),))
    child.start()
    child.join()
    assert 0 == child.exitcode
    store = ObjectStore()
    [run] = store.runs("default")
    assert ["build", "train"] == [stage.name for stage in run.stages]
    assert [[], ["model"]] == [[use.name for use in one.writes] for one in run.stages]
    tell_records()
    [run] = store.runs("default")
    assert {"build": ["x"], "train": ["model"]} == {
        stage.name: [use.name for use in stage.writes] for stage in run.stages
    }


def test_a_process_tells_what_it_knows_when_it_ends(tmp_path: Path) -> None:
    """Also where no hook of an orchestrator does."""
    code = f"""
import pytest
from tests.store.test_orchestrated import RUN, small_orchestrator
from runstore import object_store
with pytest.MonkeyPatch.context() as patch:
    for small in small_orchestrator(patch, {str(tmp_path)!r}):
        small.now = RUN
        object_store.put("x", 1)
"""
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)
    [run] = ObjectStore(tmp_path).runs("default")
    assert [("build", ["x"])] == [
        (one.name, [use.name for use in one.writes]) for one in run.stages
    ]


def test_a_run_of_which_nobody_hears_is_lost(small: Small, tmp_path: Path) -> None:
    """Then clean-up may remove it, once its objects are old; before, it may go on."""
    small.now = RUN
    object_store.put("x", 1)
    small.now = None
    store = ObjectStore()
    [run] = store.runs("default")

    def planned() -> list[str]:
        plan = store.plan_gc(older_than="1d", namespace="default")
        return [entry.run for entry in plan.runs]

    def heard(days: int) -> None:
        times = dict.fromkeys(("started_at", "finished_at"), now() - timedelta(days))
        stages = tuple(stage.model_copy(update=times) for stage in run.stages)
        change = {"started_at": times["started_at"], "stages": stages}
        write_run(store.backend, run.model_copy(update=change))

    heard(8)
    assert ["lost"] == [run.state for run in store.runs("default")]
    assert [] == planned(), "its object is new"
    at = (now() - timedelta(30)).timestamp()
    for path in (tmp_path / "store").rglob("*"):
        if path.is_file():
            os.utime(path, (at, at))
    assert ["flow.1"] == planned()
    heard(6)
    assert ["running"] == [run.state for run in store.runs("default")]
    assert [] == planned(), "it may go on"


def test_an_outage_of_records_is_logged(
    small: Small, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The stage goes on; it is tried once."""
    folder = tmp_path / "store" / "default"
    folder.mkdir(parents=True)
    (folder / "_runs").write_text("no folder")
    small.now = RUN
    with caplog.at_level(logging.WARNING, "runstore.store"):
        object_store.put("x", 1)
        object_store.put("y", 2)
    assert 1 == object_store.get("x")
    assert 1 == sum("record of run default/flow.1" in line for line in caplog.messages)


def test_bound_code_is_in_the_run_too(small: Small) -> None:
    """A context that was found crosses to threads and by pickle, and what is used there is told."""
    small.now = RUN
    ctx = pickle.loads(pickle.dumps(get_run_context()))
    small.now = None
    bind(lambda: object_store.put("x", 1), ctx)()
    tell_records()
    [run] = ObjectStore().runs("default")
    assert ["build"] == [stage.name for stage in run.stages]


def test_what_crosses_may_write(small: Small) -> None:
    """What code of a run writes under stays in its process."""
    small.now = RUN
    lease = object_store.store._target().lease
    assert lease is not None
    assert pickle.loads(pickle.dumps(lease)) is None


def test_wrappers_are_seen_through(small: Small) -> None:
    """The record goes to the place itself, not through what notes the stage's objects."""
    small.now = RUN
    target = object_store.store._target()
    assert isinstance(target.writable().backend, Wrapper)
    object_store.put("x", 1)
    tell_records()
    [run] = ObjectStore().runs("default")
    assert [["x"]] == [[use.name for use in stage.writes] for stage in run.stages]


def test_a_long_error_of_a_stage_is_cut(small: Small) -> None:
    """What a hook gives is kept as short as other reasons are."""
    small.now = RUN
    object_store.put("x", 1)
    stage_has_ended("flow.1", StageScope(name="build"), "failed", 5_000_000 * "x")
    tell_records()
    [run] = ObjectStore().runs("default")
    assert [2000 * "x" + "…"] == [stage.error for stage in run.stages]


def test_an_error_tells_no_secret(small: Small) -> None:
    """What the orchestrator gave the run as a secret is in no reason."""
    small.now = RUN
    object_store.put("x", 1)
    stage_has_ended("flow.1", StageScope(name="build"), "failed", "refused: s3cr")
    _end("failed", "build: refused: s3cr")
    [run] = ObjectStore().runs("default")
    assert ("build: refused: (not shown)", ["refused: (not shown)"]) == (
        run.error,
        [stage.error for stage in run.stages],
    )


def test_no_store_and_no_second_call_has_the_secret(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if this process has written in the last of the stores alone, in whatever order."""
    others = [ObjectStore(tmp_path / name) for name in ("second", "third")]
    monkeypatch.setenv("RUNSTORE_RUN_STORES", " ".join(other.url for other in others))
    for number, written in enumerate(([others[1]], [others[0]], [ObjectStore(), *others])):
        small.now = replace(RUN, run=f"flow.{number}", uid=f"{UID} {number}")
        for store in written:
            store.put("x", 1)
        for _ in range(2):
            run_ended("flow", str(number), "failed", "refused: s3cr")
            ended = [(run.state, run.error) for store in written for run in store.runs("default")]
            assert ("failed", "refused: (not shown)") in ended
            assert {"refused: (not shown)"} == {error for _, error in ended}


def test_secrets_of_runs_that_have_ended_are_bounded(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the last runs are known, without the values that were no secrets."""
    monkeypatch.setattr(_orchestrated, "_REMEMBERED", 2)
    for number in range(4):
        small.now = replace(RUN, run=f"flow.{number}", uid=f"{UID} {number}")
        object_store.put("x", 1)
        run_ended("flow", str(number), "finished")
    kept = _orchestrated._runs._secrets
    assert ["flow.2", "flow.3"] == [run for *_, run in kept]
    assert [(), ()] == [secrets._values for secrets in kept.values()]


def test_a_put_after_the_end_opens_no_run(small: Small) -> None:
    """Nobody would say again that it has ended."""
    small.now = RUN
    object_store.put("x", 1)
    _end("finished")
    object_store.put("y", 1)
    tell_records()
    [run] = ObjectStore().runs("default")
    assert ("finished", ["finished"]) == (run.state, [stage.state for stage in run.stages])
    assert [["x", "y"]] == [[use.name for use in stage.writes] for stage in run.stages]


def test_a_failure_of_one_run_ends_no_telling(
    small: Small, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a place raises: it is logged, and the other runs are told."""
    store = ObjectStore()
    for number in (1, 2):
        small.now = replace(RUN, run=f"flow.{number}", uid=f"{UID} {number}")
        object_store.put("x", 1)
    backend = type(store.backend)
    put = backend.put

    def odd(self: Any, key: str, *args: Any, **options: Any) -> Any:
        if "_runs/flow.1" in key:
            raise RuntimeError("odd")
        return put(self, key, *args, **options)

    monkeypatch.setattr(backend, "put", odd)
    with caplog.at_level(logging.ERROR, "runstore.store"):
        tell_records()
    assert ["the record of run default/flow.1 does not tell all"] == caplog.messages
    written = {run.name: [len(one.writes) for one in run.stages] for run in store.runs("default")}
    assert {"flow.1": [0], "flow.2": [1]} == written


def test_a_write_while_a_stage_is_told_is_told_later(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that had begun, and is noted only after the record was written."""
    small.now = RUN
    object_store.put("x", 1)
    backend = type(ObjectStore().backend)
    put = backend.put

    def put_and_tell(self: Any, key: str, *args: Any, **options: Any) -> Any:
        if "flow.1/y" in key:
            tell_records()
        return put(self, key, *args, **options)

    monkeypatch.setattr(backend, "put", put_and_tell)
    object_store.put("y", 1)
    tell_records()
    [run] = ObjectStore().runs("default")
    assert [["x", "y"]] == [[use.name for use in stage.writes] for stage in run.stages]


def test_no_put_is_before_the_record(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """A put of another thread waits until the record is written; while one tells, none waits."""
    small.now = RUN
    backend, writing, go = type(ObjectStore().backend), threading.Event(), threading.Event()
    put, order = backend.put, []

    def slow(self: Any, key: str, *args: Any, **options: Any) -> Any:
        if "_runs/" in key:
            writing.set()
            assert go.wait(300)
        done = put(self, key, *args, **options)
        order.append(key.partition("/")[2].partition(".json")[0])
        return done

    monkeypatch.setattr(backend, "put", slow)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(object_store.put, "x", 1)
        assert writing.wait(300)
        second = threads.submit(object_store.put, "y", 1)
        assert not wait([second], 0.3).done
        go.set()
        first.result(300), second.result(300)
        assert "_runs/flow.1" == order[0]
        writing.clear(), go.clear()
        telling = threads.submit(tell_records)
        assert writing.wait(300)
        object_store.put("z", 1)
        assert not telling.done()
        go.set()
        telling.result(300)


def test_a_run_ends_in_each_of_its_stores(small: Small, tmp_path: Path) -> None:
    """Also in one that a hook does not name, if the process has written there."""
    small.now = RUN
    other = ObjectStore(tmp_path / "other")
    object_store.put("x", 1)
    other.put("y", 1)
    _end("failed", "it was killed")
    ended = [("failed", "it was killed")]
    for store in (ObjectStore(), other):
        assert ended == [(run.state, run.error) for run in store.runs("default")]


def test_a_hook_elsewhere_ends_a_run_in_the_stores_of_the_setting(
    small: Small, tmp_path: Path
) -> None:
    """As that of a scheduler, whose process has written nowhere; what fails ends no other."""
    small.now = RUN
    others = [ObjectStore(tmp_path / name) for name in ("second", "third")]
    object_store.put("x", 1)
    for other in others:
        other.put("y", 1)
    tell_records()
    code = "from runstore.integrations import run_ended; run_ended('flow', '1', 'finished')"
    stores = " ".join(["nowhere://x", *(other.url for other in others)])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"RUNSTORE_RUN_STORES": stores},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "does not say that it has ended" in done.stderr
    assert "nowhere" in done.stderr
    for store in (ObjectStore(), *others):
        assert ["finished"] == [run.state for run in store.runs("default")]


def test_an_end_of_a_run_without_a_record_is_logged(
    small: Small, caplog: pytest.LogCaptureFixture
) -> None:
    """The name may be wrong; no record is made up."""
    with caplog.at_level(logging.INFO, "runstore.integrations"):
        run_ended("flow", "2", "finished")
    assert ["run default/flow.2 has ended, and has no record: nothing was put in it"] == (
        caplog.messages
    )
    assert [] == ObjectStore().runs("default")


def test_plugins_use_only_what_the_store_exports() -> None:
    """No module of the integrations reaches into a private one of the store."""
    folder = Path(integrations.__file__).parent
    private = [path.name for path in folder.glob("*.py") if "runstore.store._" in path.read_text()]
    assert [] == private

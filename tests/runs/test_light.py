"""Light records: what processes, attempts and items tell of a run, in whatever order."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runstore import ObjectStore
from runstore.context import StageRecord, WorkflowRun, new_run, now
from runstore.runs._light import begin_light, close_light, tell_light

FAILED = {"state": "failed", "error": "ValueError: no"}
UNTOLD = "the run has failed, and nobody said how this stage has ended"


def _stage(name: str = "a", **fields: Any) -> StageRecord:
    given = {"state": "running", "attempts": 1, "started_at": now(), "finished_at": now()}
    return StageRecord(name=name, **{**given, **fields})


def _run(**fields: Any) -> WorkflowRun:
    run = new_run("flow", namespace="default", name="flow.1", source="small")
    given = {"uid": "1", "state": "running", "executor": "small", "started_at": None}
    return run.model_copy(update={**given, **fields})


@pytest.fixture
def disk(tmp_path: Path) -> ObjectStore:
    """Give a store in a folder."""
    return ObjectStore(tmp_path)


@pytest.fixture
def place(disk: ObjectStore) -> Any:
    """Give a place with the record of a run whose stage `a` has begun."""
    begin_light(disk.backend, _run(), _stage())
    return disk.backend


def _told(place: Any, *stages: StageRecord) -> list[tuple[str, str | None]]:
    run: Any = None
    for stage in stages:
        run = tell_light(place, "default", "flow.1", [stage])
    return [(one.state, one.error) for one in run.stages]


def test_running_replaces_no_end_of_its_attempt(place: Any) -> None:
    """A second process of an attempt tells late that it is running; a later attempt is."""
    assert [("finished", None)] == _told(place, _stage(state="finished"), _stage())
    assert [("failed", "ValueError: no")] == _told(place, _stage(attempts=2, **FAILED), _stage())
    assert [("running", None)] == _told(place, _stage(attempts=3))


def test_a_late_process_opens_no_stage_of_a_run_that_has_ended(place: Any) -> None:
    """What it tells as running, has ended as the run has."""
    close_light(place, "default", "flow.1", "finished")
    assert [("finished", None), ("finished", None)] == _told(place, _stage(), _stage("late"))
    close_light(place, "default", "flow.1", "failed")
    assert ("failed", UNTOLD) == _told(place, _stage("later"))[-1]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_failed_item_fails_the_stage(place: Any, order: tuple[int, int]) -> None:
    """In whatever order the items tell; a later attempt that ends well counts more."""
    items = _stage(items=1, **FAILED), _stage(items=2, state="finished")
    assert [("failed", "ValueError: no")] == _told(place, *(items[one] for one in order))
    assert [("finished", None)] == _told(place, _stage(items=1, attempts=2, state="finished"))


def test_stages_of_a_failed_run_go_on_no_more(place: Any) -> None:
    """They have failed, with the reason that nobody said how; an end that is told late counts."""
    run = close_light(place, "default", "flow.1", "failed", "it was killed")
    assert run is not None
    assert [("failed", UNTOLD)] == [(one.state, one.error) for one in run.stages]
    assert [("finished", None)] == _told(place, _stage(state="finished"))


def test_a_late_put_opens_no_run(place: Any, disk: ObjectStore) -> None:
    """A run that has ended is taken back by a later attempt, or when it was started since."""
    for again, state in (
        ({"stage": _stage()}, "finished"),
        ({"stage": _stage("other")}, "finished"),
        ({"started": now() - timedelta(1)}, "finished"),
        ({"stage": _stage(attempts=2)}, "running"),
        ({"started": now() + timedelta(1)}, "running"),
    ):
        close_light(place, "default", "flow.1", "finished")
        run = _run(started_at=again.get("started"))
        begin_light(place, run, again.get("stage", _stage()))  # type: ignore[arg-type]
        assert state == disk.read_run("flow.1", namespace="default").state, again


def test_what_failed_untold_goes_on_with_its_run(place: Any) -> None:
    """A run that is run again takes back what was assumed of its stages, and not what was told."""
    _told(place, _stage("b"), _stage("c", **FAILED))
    close_light(place, "default", "flow.1", "failed")
    begin_light(place, _run(), _stage(attempts=2))
    run = close_light(place, "default", "flow.1", "finished")
    assert run is not None
    assert ["finished", "finished", "failed"] == [one.state for one in run.stages]


def test_a_run_of_long_ago_that_is_run_again_is_not_lost(disk: ObjectStore) -> None:
    """It was heard of when it began anew, or when it wrote first, however old it is."""
    old = now() - timedelta(10)
    run = _run(started_at=old)
    begin_light(disk.backend, run, _stage())
    assert "running" == disk.read_run("flow.1", namespace="default").state
    disk.delete_run("flow.1", namespace="default", force=True)
    past = _stage(started_at=old, finished_at=old)
    begin_light(disk.backend, run, past)
    assert "lost" == disk.read_run("flow.1", namespace="default").state
    close_light(disk.backend, "default", "flow.1", "failed")
    begin_light(disk.backend, run, _stage(attempts=2))
    assert "running" == disk.read_run("flow.1", namespace="default").state
    assert () == disk.plan_gc(older_than="1d", namespace="default").runs


def test_a_long_error_is_cut(place: Any) -> None:
    """Orchestrators give all that a task has printed."""
    run = close_light(place, "default", "flow.1", "failed", 5_000_000 * "x")
    assert run is not None
    assert run.error == 2000 * "x" + "…"

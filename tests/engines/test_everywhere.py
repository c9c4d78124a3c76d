"""The same stages, on every executor: the same results, the same keys, the same record."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.engines import stages

from runstore import ObjectStore, StageError, WorkflowRun, run_workflow
from runstore.errors import StageTimeoutError


class Where(NamedTuple):
    executor: str
    options: dict[str, Any]


@pytest.fixture(
    params=[
        "threads",
        "processes",
        pytest.param("dask", marks=pytest.mark.xdist_group("dask")),
        pytest.param("ray", marks=pytest.mark.xdist_group("ray")),
    ]
)
def where(request: pytest.FixtureRequest) -> Where:
    """Each executor, with two workers."""
    if request.param == "dask":
        return Where("dask", {"address": request.getfixturevalue("dask_cluster")})
    if request.param == "ray":
        request.getfixturevalue("ray_cluster")
        return Where("ray", {})
    return Where("local", {"mode": request.param, "workers": 2})


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    """An empty store on disk."""
    return ObjectStore(tmp_path / "store")


def run(where: Where, store: ObjectStore, flow: dict[str, Any], **more: Any) -> WorkflowRun:
    return run_workflow(
        flow, run="r1", store=store, executor=where.executor, executor_options=where.options, **more
    )


def told(record: WorkflowRun) -> dict[str, Any]:
    """What a record says of how it went; what it was given and did is told elsewhere."""
    about = {"name", "namespace", "workflow", "source", "state", "result", "error", "stages"}
    said = record.model_dump(include=about)
    of_stage = ("name", "state", "attempts", "items", "failed_items", "error")
    said["stages"] = tuple({key: stage[key] for key in of_stage} for stage in said["stages"])
    return said


def stage(name: str, state: str = "finished", **more: Any) -> dict[str, Any]:
    """What a record says of a stage."""
    usual = {"attempts": 1, "items": None, "failed_items": {}, "error": None}
    return {"name": name, "state": state, **usual, **more}


def test_everything(where: Where, store: ObjectStore) -> None:
    """Put, get, map, nest, await, retry and pools give one result, one set of keys, one record."""
    record = run(where, store, stages.EVERYTHING)
    later = {"nested": ["r1-inner", "r1"], "run": "r1"}
    assert {
        "name": "r1",
        "namespace": "default",
        "workflow": "everything",
        "source": "manual",
        "state": "finished",
        "result": [14, later, 2, ["r1", "r1"]],
        "error": None,
        "stages": (
            stage("numbers"),
            stage("square", attempts=3, items=3),
            stage("total"),
            stage("nested"),
            stage("later"),
            stage("flaky", attempts=2),
            stage("pools"),
            stage("report"),
        ),
    } == told(record)
    assert told(record) == told(store.read_run("r1", namespace="default"))
    view = store.at(namespace="default", run="r1")
    names = ["frame", "later", "outer", "pool/forkserver", "pool/spawn"]
    assert [*names, "square/a", "square/b", "square/c"] == [info.name for info in view.list()]
    assert [1, 4, 9] == view.get("square/b").tolist()
    assert {"run": "r1"} == view.get("later")
    inner = store.at(namespace="default", run="r1-inner")
    assert [("leaf", 14)] == [(info.name, inner.get(info.name)) for info in inner.list()]
    assert ["r1", "r1-inner"] == sorted(found.name for found in store.runs("default"))


@pytest.mark.extended
def test_failing_stage(where: Where, store: ObjectStore) -> None:
    """A failed item fails its stage and run, with its own error and its remote traceback."""
    with pytest.raises(
        StageError, match=r"stage 'broken' \(item 1\) of run 'default/r1'"
    ) as caught:
        run(where, store, stages.FAILING)
    error = caught.value
    assert isinstance(error.__cause__, LookupError)
    assert ("no such item", 2) == error.__cause__.args
    assert 'raise LookupError("no such item", item)' in (error.traceback or "")
    reason = "LookupError: ('no such item', 2)"
    record = told(store.read_run("r1", namespace="default"))
    attempts = record["stages"][1].pop("attempts")
    assert 2 <= attempts <= 3  # an engine that queues has been given the third
    broken = stage("broken", "failed", items=3, error=reason)
    del broken["attempts"]
    assert ("failed", f"stage 'broken' (item 1): {reason}") == (record["state"], record["error"])
    assert (stage("numbers"), broken, stage("after", "skipped", attempts=0)) == record["stages"]


@pytest.mark.extended
def test_timeout(where: Where, store: ObjectStore) -> None:
    """A stage that outlives its timeout fails with StageTimeoutError, whatever it is deaf to."""
    with pytest.raises(StageError) as caught:
        run(where, store, stages.SLOW)
    assert isinstance(caught.value.__cause__, StageTimeoutError)
    reason = "StageTimeoutError: stage 'endless' took longer than its timeout of 0.3 s; "
    (record,) = told(store.read_run("r1", namespace="default"))["stages"]
    assert ("failed", 1) == (record["state"], record["attempts"])
    assert reason in record["error"]

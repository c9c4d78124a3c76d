"""On every executor: an attempt that was given up, and a run that has ended, write no more."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.engines import leftovers

from runstore import ObjectStore, StageError, run_workflow

LOCAL = [pytest.param(mode, id=mode) for mode in ("threads", "processes")]
CLUSTERS = [
    pytest.param("dask", marks=pytest.mark.xdist_group("dask")),
    pytest.param("ray", marks=pytest.mark.xdist_group("ray")),
]


@pytest.fixture
def run(request: pytest.FixtureRequest, store: ObjectStore) -> Any:
    """run_workflow on the executor that the test is for, on the store of the test."""
    if request.param in ("threads", "processes"):
        options: dict[str, Any] = {"mode": request.param, "workers": 2}
        return partial(run_workflow, store=store, executor_options=options)
    options = {}
    if request.param == "dask":
        options["address"] = request.getfixturevalue("dask_cluster")
    else:
        request.getfixturevalue("ray_cluster")
    return partial(run_workflow, store=store, executor=request.param, executor_options=options)


def stored(store: ObjectStore) -> list[Any]:
    """Return what stands under x, in the run and in its namespace."""
    view = store.at(namespace="default", run="r1")
    return [view.get("x", default=None), view.get("x", default=None, scope="namespace")]


def refused(told: str, why: str) -> list[bool]:
    """Say of each try whether it was refused for this reason."""
    return [line.startswith("refused") and why in line for line in told.splitlines()]


@pytest.mark.parametrize("run", [*LOCAL, *CLUSTERS], indirect=True)
def test_a_retry_wins(run: Any, store: ObjectStore, tmp_path: Path) -> None:
    """What a failed attempt left running cannot replace what the next one has put."""
    flow = leftovers.flow(leftovers.fail_then_succeed, retries=1)
    told = run(flow, {"folder": str(tmp_path)}, run="r1").result
    assert [True, True] == refused(told, "attempt 1 of stage 's' of run 'default/r1' can no longer")
    assert ["new", "new"] == stored(store)


@pytest.mark.extended
@pytest.mark.parametrize("run", ["threads", *CLUSTERS], indirect=True)
def test_a_retry_after_a_timeout_wins(run: Any, store: ObjectStore, tmp_path: Path) -> None:
    """What an attempt that took too long left running cannot either."""
    flow = leftovers.flow(leftovers.stall_then_succeed, timeout=1, retries=30)
    told = run(flow, {"folder": str(tmp_path)}, run="r1").result
    assert [True, True] == refused(told, "it took longer than its timeout and was given up")
    assert ["new", "new"] == stored(store)


@pytest.mark.parametrize("run", ["threads", *CLUSTERS], indirect=True)
def test_a_finished_run_stays_as_it_is(run: Any, store: ObjectStore, tmp_path: Path) -> None:
    """What a run has left behind in threads and workers that live on cannot write into it."""
    assert (
        "finished"
        == run(leftovers.flow(leftovers.leave), {"folder": str(tmp_path)}, run="r1").state
    )
    (tmp_path / "go").write_text("go")
    told = leftovers.await_file(tmp_path / "told")
    assert [True, True] == refused(told, "its run has ended")
    assert ["new", "new"] == stored(store)


@pytest.mark.parametrize("run", CLUSTERS, indirect=True)
def test_a_cancelled_item_writes_no_more(run: Any, store: ObjectStore, tmp_path: Path) -> None:
    """An item that is cancelled while it runs, because another has failed, cannot write."""

    def told(event: Any) -> None:
        if (event.kind, event.stage, event.state) == ("stage", "s", "failed"):
            (tmp_path / "go").write_text("go")

    with pytest.raises(StageError, match="no such item"):
        run(leftovers.MAPPED, {"folder": str(tmp_path)}, run="r1", on_event=told)
    assert ["new", "new"] == stored(store)


@pytest.mark.parametrize("run", CLUSTERS, indirect=True)
@pytest.mark.parametrize("far", [False, True], ids=["here", "on another host"])
def test_an_item_that_does_not_hear_of_its_end(
    run: Any, store: ObjectStore, tmp_path: Path, far: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot write either, should the engine tell it late or never; whatever host it is on."""
    from runstore.executors._dask import DaskExecutor
    from runstore.executors._ray import RayExecutor

    for engine in (DaskExecutor, RayExecutor):
        monkeypatch.setattr(engine, "_revoke", lambda *args, **kwargs: None)
    if far:
        monkeypatch.setattr("runstore.context._lease.process_space", lambda: "another host")

    def told(event: Any) -> None:
        if (event.kind, event.stage, event.state) == ("stage", "s", "failed"):
            (tmp_path / "go").write_text("go")
            leftovers.await_file(tmp_path / "told")  # while the run goes on

    with pytest.raises(StageError, match="no such item"):
        run(leftovers.MAPPED, {"folder": str(tmp_path)}, run="r1", on_event=told)
    assert [True, True] == refused((tmp_path / "told").read_text(), "can no longer write")
    assert ["new", "new"] == stored(store)


@pytest.mark.parametrize("run", ["threads", *CLUSTERS], indirect=True)
def test_an_interrupted_run_stays_as_it_is(run: Any, store: ObjectStore, tmp_path: Path) -> None:
    """After Ctrl-C nothing of the run appears any more."""

    def interrupt(event: Any) -> None:
        if (event.kind, event.state) == ("stage", "finished"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(
            leftovers.flow(leftovers.leave),
            {"folder": str(tmp_path)},
            run="r1",
            on_event=interrupt,
        )
    (tmp_path / "go").write_text("go")
    told = leftovers.await_file(tmp_path / "told")
    assert [True, True] == refused(told, "can no longer write")
    assert ["new", "new"] == stored(store)
    assert "interrupted" == store.read_run("r1", namespace="default").error

"""Runs that are started within a run: by a stage, or in a block of run_context."""

from typing import Any

import pytest

from runstore import (
    ObjectStore,
    get_run_context,
    object_store,
    recorded_run,
    replay,
    run_context,
    run_workflow,
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the settings name another store and another namespace; both stay empty."""
    elsewhere = tmp_path / "elsewhere"
    monkeypatch.setenv("RUNSTORE_URL", str(elsewhere))
    monkeypatch.setenv("RUNSTORE_NAMESPACE", "other")
    yield
    assert not elsewhere.exists()


def _flow(target: Any, name: str = "w") -> dict[str, Any]:
    stages = [{"name": "s", "target": target}]
    return {"kind": "workflow", "metadata": {"name": name}, "spec": {"stages": stages}}


def _inner() -> str:
    object_store.put("x", 1)
    return str(get_run_context().store.url)


def _outer() -> Any:
    run = run_workflow(_flow(_inner, "inner"))
    with recorded_run(workflow="mine") as mine:
        object_store.put("x", 2)
    return [run.namespace, run.result, run.name, mine.run.namespace]


@pytest.mark.parametrize(
    ("executor", "options"),
    [
        ("local", {"mode": "threads"}),
        ("local", {"mode": "processes", "workers": 1}),
        pytest.param("dask", {"workers": 1}, marks=pytest.mark.extended),
    ],
)
def test_a_run_within_a_stage_stays_in_store_and_namespace(
    executor: str, options: Any, tmp_path: Any
) -> None:
    """As the verbs and run_context do there, whatever the settings say."""
    if executor != "local":
        pytest.importorskip("distributed")
    store = ObjectStore(tmp_path / "store")
    flow = _flow(_outer, "outer")
    namespace, url, name, of_mine = run_workflow(
        flow, store=store, namespace="dev", executor=executor, executor_options=options
    ).result
    assert ("dev", store.address.url, "dev") == (namespace, url, of_mine)
    assert 1 == store.at(namespace="dev", run=name).get("x")
    assert {"inner", "outer", "mine"} == {run.workflow for run in store.runs(namespace="dev")}
    assert ["dev"] == store.namespaces()


def test_a_run_within_a_block(tmp_path: Any) -> None:
    """What is given counts; what is not is that of the block."""
    store, given = ObjectStore(tmp_path / "store"), ObjectStore(tmp_path / "given")
    with run_context(namespace="dev", store=store):
        run = run_workflow(_flow(_inner))
        assert ("dev", store.address.url) == (run.namespace, run.result)
        assert "finished" == replay(run.name, "s").state
        assert "prod" == run_workflow(_flow(_inner), namespace="prod").namespace
        run = run_workflow(_flow(_inner), store=given)
        assert ("dev", given.address.url) == (run.namespace, run.result)
        again = run_workflow(_flow(_inner), resume=run_workflow(_flow(_inner)).name)
        assert ("dev", store.address.url) == (again.namespace, again.result)
    assert ["dev", "prod"] == store.namespaces()

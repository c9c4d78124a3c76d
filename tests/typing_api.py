"""Typical use, which mypy --strict must accept. It is checked, not run."""

from typing import Any, assert_type

import pandas as pd

import runstore
from runstore import (
    Config,
    ContextProcessPoolExecutor,
    ContextThreadPoolExecutor,
    ObjectInfo,
    ObjectStore,
    Workflow,
    WorkflowRun,
    WorkflowRunContext,
    aio,
    bind,
    get_run_context,
    object_store,
    run_context,
    run_workflow,
    use_run_context,
)


def stage(number: int) -> str:
    """Use the store as a stage does."""
    context = get_run_context()
    assert_type(context, WorkflowRunContext)
    assert_type(context.namespace, str)
    assert_type(object_store.put("a", number), ObjectInfo)
    assert_type(object_store.list("a"), list[ObjectInfo])
    assert_type(object_store.exists("a", run="other"), bool)
    assert_type(object_store.put_many({"a": 1}), dict[str, ObjectInfo])
    object_store.delete("a", missing_ok=True)
    return str(object_store.get("a", default=None))


def closed() -> None:
    """Close a store at the end of a block, or by hand; open that of a run."""
    with ObjectStore("memory://x") as store:
        assert_type(store, ObjectStore)
        assert_type(store.close(), None)
    ObjectStore(get_run_context().store)


def notebook() -> None:
    """Use a view, a context of one's own, and a pool."""
    store = ObjectStore("memory://typing", pickle="deny", durable=True)
    assert_type(store.at(namespace="dev", run="r").stat("a"), ObjectInfo)
    with run_context(namespace="dev", store=store) as ctx:
        assert_type(ctx, WorkflowRunContext)
        assert_type(bind(stage)(1), str)
        with ContextThreadPoolExecutor() as pool:
            assert_type(pool.submit(stage, 1).result(), str)
        with ContextProcessPoolExecutor(2) as processes:
            assert_type(processes.submit(stage, 1).result(), str)
    with use_run_context(ctx):
        stage(2)


async def awaited() -> None:
    """Await the verbs, of the current run and of a store."""
    async with aio.ObjectStore("memory://x", timeout=5) as store:
        assert_type(store, aio.ObjectStore)
        view = store.at(namespace="dev", run="r")
        assert_type(await view.put("a", 1), ObjectInfo)
        assert_type(await view.get("a", as_type=pd.DataFrame, columns=["x"]), pd.DataFrame)
        assert_type(await view.get("a", as_type=str, default=None), str | None)
        assert_type(await view.get("a"), Any)
        assert_type(await view.get_with_info("a", as_type=str), tuple[str, ObjectInfo])
        assert_type(await store.runs(), list[WorkflowRun])
    assert_type(await aio.object_store.list("a"), list[ObjectInfo])
    assert_type(await aio.object_store.exists("a", run="other"), bool)
    assert_type(await aio.object_store.put_many({"a": 1}), dict[str, ObjectInfo])
    await aio.object_store.delete("a", missing_ok=True)


@run_context(namespace="dev")
def decorated(number: int) -> int:
    """Keep its signature under the decorator."""
    return number


def run(workflow: Workflow, config: Config) -> None:
    """Run a workflow in all the ways."""
    assert_type(decorated(1), int)
    assert_type(run_workflow(workflow, input={"a": 1}, config=[config]), WorkflowRun)
    assert_type(run_workflow("workflow.yaml", executor_options={"mode": "threads"}), WorkflowRun)
    try:
        run_workflow({"kind": "workflow"})
    except runstore.StageError as exc:
        assert_type(exc.stage, str | None)
    except runstore.errors.RunStoreError as exc:
        assert_type(exc.ref, str | None)


class Model:
    """A class of the user's own."""


def typed() -> None:
    """Say which type is to be read, and have it."""
    assert_type(object_store.get("a", as_type=pd.DataFrame), pd.DataFrame)
    assert_type(object_store.get("a", as_type=pd.DataFrame, columns=["x"]), pd.DataFrame)
    assert_type(object_store.get("a", as_type=Model, run="r", pickle="signed"), Model)
    assert_type(object_store.get("a", as_type=str, default=None), str | None)
    store = ObjectStore("memory://typing", pickle="signed")
    assert_type(store.get("a", as_type=pd.DataFrame), pd.DataFrame)
    view = store.at(namespace="dev", run="r")
    assert_type(view.get("a", as_type=bytes, verify=True), bytes)
    assert_type(view.get("a", as_type=Model, default=0), Model | int)
    assert_type(view.get("a"), Any)
    assert_type(view.get("a", default=None, scope="namespace"), Any)
    assert_type(view.get_with_info("a"), tuple[Any, ObjectInfo])
    assert_type(object_store.get_with_info("a", as_type=str, run="r"), tuple[str, ObjectInfo])
    view.put("a", 1, pickle="deny")

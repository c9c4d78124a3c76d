"""Typical use, which mypy --strict must accept. It is checked, not run."""

from pathlib import Path
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
from runstore.store import ObjectRef, RunList, StoreView


def stage(number: int) -> str:
    """Use the store as a stage does."""
    context = get_run_context()
    assert_type(context, WorkflowRunContext)
    assert_type(context.namespace, str)
    assert_type(object_store.put("a", number), ObjectInfo)
    assert_type(object_store.list("a"), list[ObjectInfo])
    assert_type(object_store.exists("a", run="other"), bool)
    assert_type(object_store.put_many({"a": 1}), dict[str, ObjectInfo])
    info = object_store.put("p", number, part=("x", 1))
    assert_type(object_store.seal("p", [info]), ObjectInfo)
    assert_type(object_store.seal("p", ["a", 1]), ObjectInfo)
    assert_type(object_store.parts("p"), list[ObjectInfo])
    assert_type(object_store.pending("p", range(3)), list[Any])
    assert_type(object_store.get("p", part=1), Any)
    assert_type(object_store.get("p", part=info, as_type=str), str)
    with object_store.writer("t.parquet") as w:
        w.write(pd.DataFrame({"a": [number]}))
    assert_type(w.info, ObjectInfo)
    for _ in object_store.iter_batches("t.parquet", columns=["a"], filters=[("a", ">", 1)]):
        object_store.scan("t.parquet")
    object_store.delete("a", missing_ok=True)
    return str(object_store.get("a", default=None))


def closed() -> None:
    """Close a store at the end of a block, or by hand; open that of a run."""
    with ObjectStore("memory://x") as store:
        assert_type(store, ObjectStore)
        assert_type(store.close(), None)
    ObjectStore(get_run_context().store)


def files(view: StoreView) -> None:
    """Store, give and open raw files; what a file is follows from the mode."""
    assert_type(object_store.put_file("a.bin", "a"), ObjectInfo)
    assert_type(view.get_file("a.bin"), Path)
    assert_type(view.open("a.bin").read(), bytes)
    with view.open("a.txt", "r") as reader:
        assert_type(reader.read(), str)
    with object_store.open("a.bin", "wb", scope="namespace") as file:
        file.write(b"x")
    assert_type(file.info, ObjectInfo | None)
    with view.open("a.txt", "w") as text:
        text.write("x")
    assert_type(view.put_dir("d", Path(), exclude="*.tmp"), ObjectInfo)
    assert_type(view.get_dir("d", "out"), Path)


def addresses(store: ObjectStore, view: StoreView) -> None:
    """Hand objects to other readers; the URL of a store is a text, too."""
    assert_type(view.url("a"), str)
    assert_type(view.ref("a"), ObjectRef)
    view.get(view.ref("a"), as_type=str)
    assert_type(store.url("a", run="other"), str)
    text: str = store.url
    assert_type(view.storage_options("polars"), dict[str, Any])
    assert_type(object_store.presign(text, 60, method="PUT"), str)


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
        assert_type(await view.put("a", 1, part=1), ObjectInfo)
        assert_type(await view.seal("a"), ObjectInfo)
        assert_type(await view.pending("a", ["x"]), list[Any])
        assert_type(await view.get("a", as_type=pd.DataFrame, columns=["x"]), pd.DataFrame)
        assert_type(await view.get("a", as_type=str, default=None), str | None)
        assert_type(await view.get("a"), Any)
        assert_type(await view.get_with_info("a", as_type=str), tuple[str, ObjectInfo])
        assert_type(await store.runs(), RunList)
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

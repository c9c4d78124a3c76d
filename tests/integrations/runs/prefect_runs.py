"""The stages as tasks of Prefect flows: threads, processes, async, retries, mapped."""

import asyncio

import pandas as pd
import stages
from prefect import flow, task
from prefect.task_runners import ProcessPoolTaskRunner

from runstore import ObjectStore, object_store
from runstore.integrations.prefect import RunstoreSerializer, run_hooks

build, train, each = task(stages.build), task(stages.train), task(stages.each)
flaky = task(retries=1)(stages.flaky)


@flow(**run_hooks)
def training(n):
    """Run every stage."""
    build()
    train.submit().result()
    [future.result() for future in each.map([1, 2])]
    flaky()


@flow(task_runner=ProcessPoolTaskRunner(max_workers=1), **run_hooks)
def in_processes():
    """Tasks in other processes are in the run of their flow."""
    build.submit().result()
    train.submit().result()


@flow(**run_hooks)
async def asynchronous():
    """Flows may be coroutines, and put by themselves."""
    stages.build()
    await asyncio.to_thread(stages.train)


@task(persist_result=True, result_serializer=RunstoreSerializer())
def made():
    """Give a result that is kept in the store."""
    return pd.DataFrame({"x": [1, 2]})


@flow
def passing():
    """A result goes through Prefect as a reference."""
    state = made(return_state=True)
    stored = state.data.metadata
    assert state.result().equals(pd.DataFrame({"x": [1, 2]}))
    assert stored.serializer.type == "runstore"


@flow(**run_hooks)
def failing():
    """Its record says so, and why."""
    object_store.put("before", 1)
    raise ValueError("as it should")


@flow
async def both():
    """Two runs of a flow at once."""
    await asyncio.gather(asyncio.to_thread(training, 1), asyncio.to_thread(training, 2))


def found_results():
    """Return what the runs of `passing` have stored."""
    store = ObjectStore()
    for run in store.runs_with_objects("default"):
        if run.startswith("passing."):
            view = store.at(run=run)
            yield from (view.stat(info.name) for info in view.list())


if __name__ == "__main__":
    training(0)
    in_processes()
    asyncio.run(asynchronous())
    asyncio.run(both())
    passing()
    assert failing(return_state=True).is_failed()
    [failed] = [run for run in ObjectStore().runs() if run.workflow == "failing"]
    assert "failed" == failed.state, failed
    assert "as it should" in failed.error, failed
    [ref] = [info for info in found_results() if info.name.startswith("prefect/")]
    assert "pandas.DataFrame" == ref.python_type, ref
    stages.check_outside()

"""The stages as tasks of Prefect flows: threads, processes, async, retries, mapped."""

import asyncio

import pandas as pd
import stages
from prefect import flow, task
from prefect.cache_policies import INPUTS
from prefect.task_runners import ProcessPoolTaskRunner
from prefect.transactions import transaction
from twice import meeting

from runstore import ObjectStore, object_store
from runstore.integrations.prefect import RunstoreSerializer, RunstoreStorage, run_hooks

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


@flow
def cached(value, fails=False):
    """Keep a result with what Prefect writes of it in the store; a transaction may fail."""
    storage = RunstoreStorage().save("results", overwrite=True)
    called = []

    @task(
        persist_result=True,
        result_storage=RunstoreStorage.load("results"),
        result_serializer=RunstoreSerializer(),
        cache_policy=INPUTS,
        result_storage_key="frames/{parameters[value]}.json",
    )
    def frame(value):
        called.append(value)
        return pd.DataFrame({"x": [value]})

    assert storage
    with transaction():
        found = frame(value)
        if fails:
            raise ValueError("as it should")
    assert found.equals(pd.DataFrame({"x": [value]}))
    return len(called)


def check_storage():
    """A result is there for the next run, and none of a transaction that has failed."""
    assert [1, 0] == [cached(1), cached(1)]
    assert cached(2, fails=True, return_state=True).is_failed()
    kept = [info.name for info in ObjectStore().at().list("prefect/", scope="namespace")]
    assert ["prefect/frames/1.json/file"] == kept, kept
    assert b"runstore://" in RunstoreStorage().read_path("frames/1.json")
    assert 1 == cached(2)


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
    with meeting():
        asyncio.run(both())
    passing()
    check_storage()
    assert failing(return_state=True).is_failed()
    [failed] = [run for run in ObjectStore().runs() if run.workflow == "failing"]
    assert "failed" == failed.state, failed
    assert "as it should" in failed.error, failed
    [ref] = [info for info in found_results() if info.name.startswith("prefect/")]
    assert "pandas.DataFrame" == ref.python_type, ref
    stages.check_outside()

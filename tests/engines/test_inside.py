"""The user's own Dask and Ray tasks inside a stage: its run if bound, else none."""

from typing import Any

import pytest
from tests.engines.stages import workflow

from runstore import (
    NoRunContextError,
    ObjectStore,
    bind,
    get_run_context,
    object_store,
    run_workflow,
)


def who(*args: Any) -> str:
    """Say which run this is."""
    try:
        return get_run_context().run.name
    except NoRunContextError:
        return "none"


def put_part(number: int) -> int:
    """Put from a task of the user's own."""
    object_store.put(f"part/{number}", get_run_context().run.name)
    return number


def on_dask() -> dict[str, Any]:
    """Use Dask in every way inside a stage."""
    import dask
    import distributed

    name = get_run_context().run.name
    plain = [dask.delayed(who)(number) for number in range(4)]
    bound = [dask.delayed(bind(put_part))(number) for number in range(4)]
    found = {
        "run": name,
        "computed": " ".join(sorted(set(dask.compute(*plain)))),
        "computed in threads": " ".join(sorted(set(dask.compute(*plain, scheduler="threads")))),
        "bound": sum(dask.compute(*bound)),
    }
    with distributed.worker_client() as client:  # lends the stage's thread to what it waits for
        found["submitted"] = client.submit(who, pure=False).result()
        found["submitted, bound"] = client.submit(bind(who), pure=False).result()
    return {**found, "after": get_run_context().run.name}


def on_ray() -> dict[str, Any]:
    """Use Ray in every way inside a stage."""
    import ray

    name = get_run_context().run.name
    bound_who, bound_put = bind(who), bind(put_part)

    class Actor:
        def who(self) -> str:
            return who()

        def call(self, function: Any) -> Any:
            return function()

    actor = ray.remote(Actor).options(num_cpus=0).remote()
    return {
        "run": name,
        "submitted": ray.get(ray.remote(who).remote()),
        "submitted, bound": ray.get(ray.remote(lambda: bound_who()).remote()),
        "bound": sum(
            ray.get([ray.remote(lambda n: bound_put(n)).remote(number) for number in range(4)])
        ),
        "actor": ray.get(actor.who.remote()),
        "actor, bound": ray.get(actor.call.remote(bind(who))),
        "after": get_run_context().run.name,
    }


def check(found: dict[str, Any], name: str, store: ObjectStore) -> None:
    kept = {key: found.pop(key) for key in list(found) if key in ("run", "after") or "bound" in key}
    assert 6 == kept.pop("bound")
    assert {name} == set(kept.values())
    each = {word for value in found.values() for word in value.split()}  # tasks may differ
    assert each - {"none", name} == set()
    parts = store.at(namespace="default", run=name)
    assert [name] * 4 == [parts.get(info.name) for info in parts.list("part/")]


@pytest.mark.extended
@pytest.mark.parametrize("timeout", [None, 100])
def test_dask_in_a_stage(timeout: int | None, dask_cluster: str, store: ObjectStore) -> None:
    """A collection computed and a task submitted in a stage have its run if bound, or none."""
    stages = [{"name": "a", "target": on_dask, "timeout": timeout}]
    for name in ("r1", "r2", "r1b"):
        flow, address = workflow("w", stages), {"address": dask_cluster}
        record = run_workflow(
            flow, run=name, executor="dask", executor_options=address, store=store
        )
        found = record.result
        assert "none" == found["submitted"]
        check(found, name, store)


@pytest.mark.extended
@pytest.mark.parametrize("timeout", [None, 100])
def test_ray_in_a_stage(timeout: int | None, ray_cluster: None, store: ObjectStore) -> None:
    """A task submitted and an actor called in a stage have its run if bound, or none."""
    stages = [{"name": "a", "target": on_ray, "timeout": timeout}]
    for name in ("r1", "r2", "r1b"):
        flow = workflow("w", stages)
        found = run_workflow(flow, run=name, executor="ray", store=store).result
        assert ("none", "none") == (found["submitted"], found["actor"])
        check(found, name, store)


def runs_on_dask(number: int) -> int:
    """Run a workflow on the cluster that the stage itself runs on."""
    ctx = get_run_context()
    inner = run_workflow(
        workflow("inner", [{"name": "one", "target": "tests.engines.test_inside:seven"}]),
        run=f"inner-{number}",
        executor="dask",
        executor_options={"address": ctx.input["address"]},
        store=ctx.store,
    )
    assert ctx.run.name == get_run_context().run.name
    return number * int(inner.result)


def seven() -> int:
    """Give a number."""
    return 7


def test_a_run_on_the_cluster_it_is_on(dask_cluster: str, store: ObjectStore) -> None:
    """Stages on every thread of a Dask cluster can run workflows on that cluster."""
    stages = [
        {"name": "numbers", "target": "tests.engines.stages:numbers"},
        {"name": "inner", "target": runs_on_dask, "type": "parameterized"},
    ]
    record = run_workflow(
        workflow("w", stages),
        {"address": dask_cluster},
        executor="dask",
        executor_options={"address": dask_cluster},
        store=store,
    )
    assert [7, 14, 21] == record.result

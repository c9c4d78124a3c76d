"""Stages as users write them; the tests run them on every executor."""

import asyncio
import multiprocessing
import time
from typing import Any

import pandas as pd

from runstore import ContextProcessPoolExecutor, get_run_context, object_store, run_workflow


def numbers() -> list[int]:
    """Put a frame, and give what is mapped over."""
    object_store.put("frame", pd.DataFrame({"n": [1, 2, 3], "name": ["a", "b", "c"]}))
    return [1, 2, 3]


def square(number: int) -> dict[str, int]:
    """Get what another stage put, and put something for each item."""
    frame = object_store.get("frame")
    name = frame.set_index("n")["name"][number]
    object_store.put(f"square/{name}", frame["n"].to_numpy() ** 2)
    return {name: number * number}


def total(squares: list[dict[str, int]]) -> int:
    """Take what the mapped stage returned."""
    return sum(value for one in squares for value in one.values())


def nested(number: int) -> list[Any]:
    """Run another workflow inside the stage; afterwards the run is the stage's own again."""
    ctx = get_run_context()
    inner = run_workflow(
        workflow("inner", [{"name": "leaf", "target": leaf}]),
        input={"number": number},
        run=f"{ctx.run.name}-inner",
        store=ctx.store,
    )
    object_store.put("outer", get_run_context().run.name)
    return [inner.result, get_run_context().run.name]


def leaf() -> str:
    """Put into the inner run."""
    object_store.put("leaf", get_run_context().input["number"])
    return get_run_context().run.name


async def later(found: list[Any]) -> dict[str, Any]:
    """Wait for a thread that sees the run."""
    await asyncio.sleep(0)
    name = await asyncio.to_thread(lambda: get_run_context().run.name)
    object_store.put("later", {"run": name})
    return {"nested": found, "run": name}


def flaky() -> int:
    """Fail at the first attempt."""
    stage = get_run_context().stage
    assert stage is not None
    if stage.attempt == 1:
        raise ConnectionError("try again")
    return stage.attempt


def pools() -> list[str]:
    """Put from processes of every kind that the stage starts itself."""
    for method in ("spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        with ContextProcessPoolExecutor(1, mp_context=context) as pool:
            pool.submit(put_run, f"pool/{method}").result()
    return [object_store.get(info.name) for info in object_store.list("pool/")]


def put_run(name: str) -> None:
    """Put the run's name."""
    object_store.put(name, get_run_context().run.name)


def report(*results: Any) -> list[Any]:
    """Give everything."""
    return list(results)


def broken(item: int) -> int:
    """Fail for one of the items."""
    if item == 2:
        raise LookupError("no such item", item)
    return item


def endless() -> None:
    """Take longer than any timeout."""
    time.sleep(3600)


def workflow(name: str, stages: list[dict[str, Any]]) -> dict[str, Any]:
    """Make a definition."""
    return {"kind": "workflow", "metadata": {"name": name}, "spec": {"stages": stages}}


EVERYTHING = workflow(
    "everything",
    [
        {"name": "numbers", "target": numbers},
        {"name": "square", "target": square, "type": "parameterized"},
        {"name": "total", "target": total, "depends_on": "square"},
        {"name": "nested", "target": nested, "depends_on": "total"},
        {"name": "later", "target": later, "depends_on": "nested", "timeout": 100},
        {"name": "flaky", "target": flaky, "retries": 1, "resources": {"cpus": 1}},
        {"name": "pools", "target": pools},
        {"name": "report", "target": report, "depends_on": ["total", "later", "flaky", "pools"]},
    ],
)

FAILING = workflow(
    "failing",
    [
        {"name": "numbers", "target": numbers},
        {"name": "broken", "target": broken, "type": "parameterized"},
        {"name": "after", "target": report, "depends_on": "broken"},
    ],
)

SLOW = workflow("slow", [{"name": "endless", "target": endless, "timeout": 0.3}])

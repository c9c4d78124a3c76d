"""Flowdapt's cluster memory: a server process that keeps pickles, asked over a Unix socket."""

import multiprocessing
import time
from pathlib import Path
from typing import Any

from flowdapt.compute import object_store
from flowdapt.compute.executor.local import cluster_memory

from benchmarks.peers._flowdapt import enter_run

requires = ("flowdapt==0.1.52", "pandas==3.1.1", "pyarrow==26.0.1", "s3fs==2026.9.0")

label = "Flowdapt cluster memory"
guarantees = "in a server's memory, lost with it; exact, runs code when read, a copy each time"
lacks = "durability, digest, loading without code execution, run scope"


def open_at(root: str) -> Any:
    enter_run()
    path = Path(cluster_memory.SOCKET_PATH)  # one for the whole machine: it cannot be chosen
    path.unlink(missing_ok=True)
    context = multiprocessing.get_context("spawn")
    server = context.Process(target=_serve, daemon=True)
    server.start()
    for _ in range(600):
        if path.exists():
            return {"namespace": "benchmarks", "executor": "local", "strategy": _strategy()}
        time.sleep(0.05)
    raise TimeoutError("its server did not start")


def put(handle: Any, key: str, value: Any) -> None:
    object_store.put(key, value, **handle)


def get(handle: Any, key: str) -> Any:
    return object_store.get(key, **handle)


def delete(handle: Any, key: str) -> None:
    object_store.delete(key, **handle)


def _strategy() -> Any:
    return object_store.Strategy.CLUSTER_MEMORY


def _serve() -> None:
    import asyncio

    async def run() -> None:
        await cluster_memory.ClusterMemoryServer(cluster_memory.SOCKET_PATH).start()
        parent = multiprocessing.parent_process()
        assert parent is not None
        await asyncio.to_thread(parent.join)  # it ends with the one that started it

    asyncio.run(run())

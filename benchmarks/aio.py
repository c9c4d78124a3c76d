"""`python -m benchmarks aio`: how long an event loop stands still under awaited calls.

A thousand calls of `runstore.aio` begin at once. A task that sleeps for a millisecond at a time
notes its longest delay; the same on the idle loop, just before, says what the machine does.
"""

import argparse
import asyncio
import gc
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from runstore.aio import ObjectStore

_LIMIT = 50.0  # ms
_PLACES = ("memory", "disk", "moto", "seaweedfs")
_ENGINES = ("obstore", "s3fs")


class Measured(NamedTuple):
    """One round of one verb: calls a second, and how long the loop stood still, in ms."""

    rate: float
    stall: float
    late: float
    """The 99th percentile of its delays."""
    idle: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each place and print the table; 1 if a loop stood still for too long."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks aio", description=__doc__)
    parser.add_argument("--calls", type=int, default=1000, help="at once; 1000 if not given")
    parser.add_argument("--rounds", type=int, default=3, help="how often; 3 if not given")
    parser.add_argument("--only", action="append", choices=_PLACES, help="repeatable")
    options = parser.parse_args(sys.argv[2:] if arguments is None else arguments)
    print(f"{options.calls} calls at once, 1 KiB each; ms, the least of {options.rounds} rounds")
    print(f"{'':28}{'calls/s':>10}{'longest':>10}{'p99':>8}{'idle':>8}")
    slow = 0
    for place in options.only or _PLACES:
        with _stores(place) as stores:
            for label, given in stores.items():
                found = asyncio.run(_measure(given, options.calls, options.rounds))
                for verb, rounds in found.items():
                    best = min(rounds, key=lambda one: one.stall)
                    rate = max(one.rate for one in rounds)
                    slow += best.stall > _LIMIT
                    print(
                        f"{f'{label}, {verb}':28}{rate:10,.0f}{best.stall:10.1f}{best.late:8.1f}"
                        f"{best.idle:8.1f}",
                        flush=True,
                    )
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors; limit {_LIMIT:.0f} ms")
    return 1 if slow else 0


@contextmanager
def _stores(place: str) -> Iterator[dict[str, dict[str, Any]]]:
    """Give what opens a store there, by label."""
    with ExitStack() as stack:
        if place == "memory":
            yield {place: {"url": "memory://bench-aio"}}
        elif place == "disk":
            yield {place: {"url": stack.enter_context(tempfile.TemporaryDirectory())}}
        else:
            from tests.servers.moto_ import moto
            from tests.servers.seaweed import seaweed

            server = stack.enter_context(moto() if place == "moto" else seaweed())
            yield {
                f"{place}, {engine}": {
                    "url": f"s3://{server.new_bucket()}/p",
                    "engine": engine,
                    "key": server.key,
                    "secret": server.secret,
                    "endpoint_url": server.endpoint,
                    "client_kwargs": {"region_name": server.region},
                }
                for engine in _ENGINES
            }


async def _measure(given: dict[str, Any], calls: int, rounds: int) -> dict[str, list[Measured]]:
    value = os.urandom(1024)
    found: dict[str, list[Measured]] = {"put": [], "get": []}
    async with ObjectStore(**given) as store:
        view = store.at(namespace="bench", run="aio")
        await asyncio.gather(*(view.put(str(i), value) for i in range(20)))  # loads what is needed
        await view.get("0")
        for _ in range(rounds):
            found["put"].append(await _round(lambda i: view.put(str(i), value), calls))
            found["get"].append(await _round(lambda i: view.get(str(i)), calls))
    return found


async def _round(call: Callable[[int], Awaitable[Any]], calls: int) -> Measured:
    gc.collect()
    gc.freeze()  # full collections stop all threads, and are in proportion to what is loaded
    delays: list[float] = []

    async def sleeper() -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            delays.append(1000 * (now - last))
            last = now

    watching = asyncio.create_task(sleeper())
    await asyncio.sleep(0.1)
    idle, delays[:] = max(delays), []
    begun = time.perf_counter()
    await asyncio.gather(*(call(i) for i in range(calls)))
    took = time.perf_counter() - begun
    await asyncio.sleep(0.01)
    watching.cancel()
    gc.unfreeze()
    late = sorted(delays)[len(delays) * 99 // 100]
    return Measured(calls / took, max(delays), late, idle)

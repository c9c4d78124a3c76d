"""`python -m benchmarks items`: what a mapped item costs the process that drives the run.

Per item of a stage that does next to nothing, with a config of 1 MB: the processor time of this
process, beside the engine's own map of the same function on the same warm workers (a bare pool,
`client.map`, bare Ray tasks), in turns; medians. `shared` is a run on processes whose 300 items
have an argument of 10 MB in common, beside such a run with an argument of 10 bytes.
"""

import argparse
import contextlib
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from runstore import run_workflow

__all__ = ["main"]

_WORKERS = 2
_CONFIG = {f"key-{n}": "x" * 88 for n in range(10_000)}  # 1 MB as a pickle

Bare = Callable[[int], object]


def main(arguments: Sequence[str]) -> int:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks items", description=__doc__)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", choices=[*_ENGINES, "shared"], help="repeatable")
    options = parser.parse_args(arguments)
    print(f"{f'{options.items:,} items':12}{'runstore':>12}{'bare':>12}{'ratio':>8}")
    for name, engine in _ENGINES.items():
        if options.only is None or name in options.only:
            with engine() as (executor, executor_options, bare):
                run = partial(_run, executor, executor_options, options.items)
                run()
                bare(options.items)
                ours, theirs = _medians([run, partial(bare, options.items)], options.rounds)
            shown = [each / options.items * 1e6 for each in (ours, theirs)]
            print(f"{name:12}{shown[0]:>9.0f} µs{shown[1]:>9.0f} µs{ours / theirs:>8.2f}")
    if options.only is None or "shared" in options.only:
        large, small = _medians([partial(_shared, 10**7), partial(_shared, 10)], options.rounds)
        print(f"{'shared':12}{large * 1e3:>9.0f} ms{small * 1e3:>9.0f} ms{large / small:>8.2f}")
    return 0


def more(number: int) -> int:
    """Do next to nothing."""
    return number + 1


def _plus(number: int, common: Any) -> int:
    return number + int(common[0])


def _stage(name: str, target: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "target": target, **more}


def _run(executor: str, options: dict[str, Any], items: int) -> None:
    stages = [
        _stage("numbers", partial(list, range(items))),
        _stage("items", more, type="parameterized", depends_on="numbers"),
    ]
    record = _done(stages, executor=executor, executor_options=options, config=_CONFIG)
    if record.result != list(range(1, items + 1)):
        raise AssertionError(f"{executor} gave something else")


def _shared(size: int) -> None:
    stages = [
        _stage("numbers", partial(list, range(300))),
        _stage("large", partial(np.zeros, size, "u1")),
        _stage(
            "items",
            _plus,
            type="parameterized",
            depends_on=["numbers", "large"],
            options={"map_on": "numbers"},
        ),
    ]
    record = _done(stages, executor_options={"mode": "processes", "workers": _WORKERS})
    if record.result != list(range(300)):
        raise AssertionError("processes gave something else")


def _done(stages: list[dict[str, Any]], **how: Any) -> Any:
    with tempfile.TemporaryDirectory() as store:
        flow = {"metadata": {"name": "bench"}, "spec": {"stages": stages}}
        return run_workflow(flow, store=store, **how)


def _medians(calls: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Return the median processor time of this process for each call, made in turns."""
    samples: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, found in zip(calls, samples, strict=True):
            begun = time.process_time()
            call()
            found.append(time.process_time() - begun)
    return [statistics.median(found) for found in samples]


@contextlib.contextmanager
def _processes() -> Iterator[tuple[str, dict[str, Any], Bare]]:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_WORKERS, mp_context=spawn) as pool:
        options = {"mode": "processes", "workers": _WORKERS}
        yield "local", options, lambda items: list(pool.map(more, range(items)))


@contextlib.contextmanager
def _dask() -> Iterator[tuple[str, dict[str, Any], Bare]]:
    import distributed

    from runstore.executors._dask_workers import DaskWorkers

    workers = DaskWorkers(_WORKERS, 1, {}, dashboard=False)  # its scheduler is another process
    try:
        address = workers.start()
        with distributed.Client(address) as client:
            workers.wait(client)
            yield (
                "dask",
                {"address": address},
                lambda items: client.gather(client.map(more, range(items), pure=False)),
            )
    finally:
        workers.stop(kill=True)


@contextlib.contextmanager
def _ray() -> Iterator[tuple[str, dict[str, Any], Bare]]:
    import ray

    ray.init(num_cpus=_WORKERS, include_dashboard=False, logging_level="error")
    task = ray.remote(more)
    try:
        yield "ray", {}, lambda items: ray.get([task.remote(n) for n in range(items)])
    finally:
        ray.shutdown()


_ENGINES: dict[str, Callable[[], Any]] = {"processes": _processes, "dask": _dask, "ray": _ray}

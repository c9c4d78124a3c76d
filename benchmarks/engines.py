"""`python -m benchmarks engines`: a run on each executor, beside the engine's own bare submit.

On the same warm workers runstore runs a workflow and the engine runs the same
functions submitted by hand. The difference is ours: the run's record, a context
for each call, errors that arrive whole, events. Starting is measured apart.
"""

import argparse
import contextlib
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks._machine import commit, machine, versions
from runstore import run_workflow
from runstore.executors import Call, open_executor

_RESULTS = Path(__file__).resolve().parent / "results"
_WORKERS = 2
_CHAIN = 20  # stages, each of which takes the result of the one before

Samples = dict[str, list[float]]


class Engine(NamedTuple):
    """Warm workers: how runstore runs on them, and how one does without it."""

    executor: str
    options: dict[str, Any]
    chain: Callable[[int], Any]
    """Call `more` so many times, each with the result of the one before."""
    items: Callable[[int], Any]
    """Call `more` for so many items side by side, and bring the results."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each executor and print the table; every sample goes to a file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks engines", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often; 5 if not given")
    parser.add_argument("--quick", action="store_true", help="few items, one round")
    parser.add_argument("--only", action="append", choices=list(_ENGINES), help="repeatable")
    parser.add_argument("--output", help="where the JSON goes; else benchmarks/results/")
    options = parser.parse_args(sys.argv[2:] if arguments is None else arguments)
    rounds = 1 if options.quick else options.rounds
    items = 20 if options.quick else 1000
    found: dict[str, Samples] = {}
    for name in options.only or _ENGINES:
        print(f"{name} …", file=sys.stderr, flush=True)
        found[name] = _measured(name, rounds, items)
    _show(found, items)
    now = datetime.now(UTC)
    about = {
        "format": 1,
        "date": now.isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(Path(tempfile.gettempdir())),
        "versions": versions(),
        "options": {"rounds": rounds, "items": items, "workers": _WORKERS, "chain": _CHAIN},
    }
    _RESULTS.mkdir(exist_ok=True)
    output = Path(options.output or _RESULTS / f"{now:%Y%m%dT%H%M%S}-engines.json")
    output.write_text(json.dumps(about | {"seconds": found}, indent=1) + "\n")
    print(f"\nevery sample: {output}")
    return 0


def more(number: int, *_: Any) -> int:
    """Do next to nothing."""
    return number + 1


def _measured(name: str, rounds: int, items: int) -> Samples:
    samples: Samples = {}
    for _ in range(rounds):
        _time(samples, "start", partial(_start, name))
        with contextlib.ExitStack() as stack:
            begun = time.perf_counter()
            engine = stack.enter_context(_ENGINES[name]())
            engine.items(_WORKERS)  # each worker has begun
            samples.setdefault("start, bare", []).append(time.perf_counter() - begun)
            _run(engine, items=_WORKERS)  # what is loaded once is loaded
            _time(samples, "chain, bare", partial(engine.chain, _CHAIN))
            _time(samples, "chain", partial(_run, engine, chain=_CHAIN))
            _time(samples, "items, bare", partial(engine.items, items))
            _time(samples, "items", partial(_run, engine, items=items))
    return samples


def _time(samples: Samples, what: str, job: Callable[[], Any]) -> None:
    begun = time.perf_counter()
    job()
    samples.setdefault(what, []).append(time.perf_counter() - begun)


def _start(name: str) -> None:
    """Start workers of our own, run a call on each, and end them: what one run would pay."""
    options: dict[str, Any] = {"workers": _WORKERS}
    if name in ("threads", "processes"):
        options["mode"] = name
    executor = name if name in ("dask", "ray") else "local"
    with open_executor(executor, options) as started:
        started.start({})
        wait([started.submit(Call(more, (1,))) for _ in range(_WORKERS)])


def _run(engine: Engine, *, chain: int = 0, items: int = 0) -> None:
    stages: list[dict[str, Any]] = [
        {"name": "s0", "target": partial(range, items) if items else _one}
    ]
    if items:
        stages.append({"name": "items", "target": more, "type": "parameterized"})
    stages += [
        {"name": f"s{index}", "target": more, "depends_on": f"s{index - 1}"}
        for index in range(1, chain)
    ]
    with tempfile.TemporaryDirectory() as store:
        record = run_workflow(
            {"metadata": {"name": "bench"}, "spec": {"stages": stages}},
            store=store,
            executor=engine.executor,
            executor_options=engine.options,
        )
    expected = list(range(1, items + 1)) if items else chain
    if record.result != expected:
        raise AssertionError(f"{engine.executor} gave {record.result!r}")


def _one() -> int:
    return 1


@contextlib.contextmanager
def _threads() -> Iterator[Engine]:
    with ThreadPoolExecutor(_WORKERS) as pool:
        yield _pool(pool, "threads")


@contextlib.contextmanager
def _processes() -> Iterator[Engine]:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_WORKERS, mp_context=spawn) as pool:
        yield _pool(pool, "processes")


def _pool(pool: ThreadPoolExecutor | ProcessPoolExecutor, mode: str) -> Engine:
    def chain(count: int) -> None:
        number = 0
        for _ in range(count):
            number = pool.submit(more, number).result()

    def items(count: int) -> list[int]:
        return [future.result() for future in [pool.submit(more, n) for n in range(count)]]

    return Engine("local", {"mode": mode, "workers": _WORKERS}, chain, items)


@contextlib.contextmanager
def _dask() -> Iterator[Engine]:
    import distributed

    with (
        distributed.LocalCluster(
            n_workers=_WORKERS, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):

        def chain(count: int) -> None:
            number: Any = 0
            for _ in range(count):
                number = client.submit(more, number, pure=False)
            number.result()

        def items(count: int) -> Any:
            return client.gather([client.submit(more, n, pure=False) for n in range(count)])

        yield Engine("dask", {"address": cluster.scheduler_address}, chain, items)


@contextlib.contextmanager
def _ray() -> Iterator[Engine]:
    import ray

    ray.init(num_cpus=_WORKERS, include_dashboard=False, logging_level="error")
    task = ray.remote(more)

    def chain(count: int) -> None:
        number: Any = 0
        for _ in range(count):
            number = task.remote(number)
        ray.get(number)

    def items(count: int) -> Any:
        return ray.get([task.remote(n) for n in range(count)])

    try:
        yield Engine("ray", {}, chain, items)
    finally:
        ray.shutdown()


_ENGINES: dict[str, Callable[[], contextlib.AbstractContextManager[Engine]]] = {
    "threads": _threads,
    "processes": _processes,
    "dask": _dask,
    "ray": _ray,
}


def _show(found: dict[str, Samples], items: int) -> None:
    heads = ["start of 2 workers", f"a stage (of {_CHAIN} in a row)", f"{items} mapped items"]
    print(f"{'':10}" + "".join(f"{head:>34}" for head in heads) + f"{'ours, per item':>18}")
    print(f"{'':10}" + f"{'runstore':>22}{'bare':>12}" * 3)
    for name, samples in found.items():
        median = {what: statistics.median(values) for what, values in samples.items()}
        cells = ""
        for what, share in (("start", 1), ("chain", _CHAIN), ("items", 1)):
            cells += (
                f"{_shown(median[what] / share):>22}{_shown(median[f'{what}, bare'] / share):>12}"
            )
        ours = (median["items"] - median["items, bare"]) / items
        print(f"{name:10}{cells}{_shown(ours):>18}")
    print(
        "\nMedians. 'start' of runstore has the end of the workers in it, too. The other columns "
        "are on the same warm\nworkers, but for those of 'processes', which live as long as a run; "
        "they have all of a run in them:\nconnecting, the record written twice, a context for each "
        "call."
    )


def _shown(seconds: float) -> str:
    return f"{seconds:.2f} s" if abs(seconds) >= 1 else f"{seconds * 1000:.2f} ms"

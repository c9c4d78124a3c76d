"""`python -m benchmarks small [local | memory | s3 | start]`: small objects, and a process's start.

Each row sets runstore beside the least that could do the work, in one process, in turn, in many
short rounds. Shown are medians: processor time of this process (and its children), wall time, and
both as multiples. A budget that is missed is marked.

- ``local``: 1 KiB put and got, on tmpfs and on disk, beside bare open, write, close, rename; open,
  read, close. Both replace objects of 200 names.
- ``memory``: the same in ``memory://``; there is nothing to compare with.
- ``s3``: the same on a SeaweedFS, beside bare obstore, one by one and 300 at once.
- ``start``: ``from runstore import object_store`` and a first put of bytes on disk, beside the
  import of pyarrow's core and of pydantic's models, each in a fresh process.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks._places import Places
from benchmarks._process import child_environment

__all__ = ["main"]

_SIZE = 1024
_NAMES = [f"n{i:03}" for i in range(200)]
_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
_AT_ONCE = 16  # threads of the bare client
_STARTS = {
    "empty interpreter": "pass",
    "pyarrow's core and pydantic": "import pyarrow.lib; from pydantic import BaseModel, Field",
    "from runstore import object_store": "from runstore import object_store",
    "and a first put of bytes": """
from runstore import object_store, run_context
with run_context("dev", store={!r}):
    object_store.put("x", bytes(1024))
""",
}

Steps = dict[str, Callable[[], Any]]
Taken = dict[str, tuple[float, float]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for, and print a line for each row."""
    options = _options(arguments)
    cases = {"local": _local, "memory": _memory, "s3": _s3, "start": _start}
    print(f"{'':44}{'CPU':>9}{'wall':>10}      at most", flush=True)
    for name in options.cases or cases:
        cases[name](options)
    return 0


def _local(options: argparse.Namespace) -> None:
    folders = {"disk": options.folder or tempfile.gettempdir(), "tmpfs": "/dev/shm"}
    for place, folder in folders.items():
        if not Path(folder).is_dir():
            continue
        with tempfile.TemporaryDirectory(dir=folder, prefix="small-") as root:
            taken = _measured(_beside_files(root), len(_NAMES), options.rounds)
        _row(f"1 KiB put + get, {place}", taken, ("put", "get"), ("bare put", "bare get"), 2.5)
        for step in ("put", "get"):
            _row(f"  {step} alone", taken, (step,), (f"bare {step}",), None)


def _beside_files(root: str) -> Steps:
    value = os.urandom(_SIZE)
    Path(root, "bare").mkdir()

    def bare_put() -> None:
        for name in _NAMES:
            fd = os.open(f"{root}/bare/.new", _NEW, 0o666)
            os.write(fd, value)
            os.close(fd)
            os.replace(f"{root}/bare/.new", f"{root}/bare/{name}")  # noqa: PTH105

    def bare_get() -> None:
        for name in _NAMES:
            fd = os.open(f"{root}/bare/{name}", os.O_RDONLY | os.O_CLOEXEC)
            os.read(fd, 4 * _SIZE)
            os.close(fd)

    return {"bare put": bare_put, "bare get": bare_get, **_ours(f"{root}/store", value)}


def _ours(store: str, value: bytes) -> Steps:
    from runstore import object_store, run_context

    def put() -> None:
        with run_context("bench", run="r", store=store):
            for name in _NAMES:
                object_store.put(name, value)

    def get() -> None:
        with run_context("bench", run="r", store=store):
            for name in _NAMES:
                object_store.get(name)

    return {"put": put, "get": get}


def _memory(options: argparse.Namespace) -> None:
    steps = _ours("memory://small", os.urandom(_SIZE))
    taken = _measured(steps, len(_NAMES), options.rounds)
    cpu = sum(taken[step][0] for step in ("put", "get"))
    wall = sum(taken[step][1] for step in ("put", "get"))
    print(
        f"{'1 KiB put + get, memory':44}{cpu:6.1f} µs{wall:7.1f} µs      30 µs of CPU", flush=True
    )


def _s3(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="small-") as scratch, _bucket(Path(scratch)) as root:
        one_by_one, at_once = _beside_obstore(root)
        taken = _measured(one_by_one, len(_NAMES), options.rounds)
        together = _measured(at_once, 300, options.rounds)
    for step in ("put", "get"):
        _row(f"1 KiB {step}, S3, one by one", taken, (step,), (f"bare {step}",), (1.4, 1.1))
    for step in ("put", "get"):
        _row(f"300 × 1 KiB {step}, S3, at once", together, (step,), (f"bare {step}",), (1.4, 1.0))


@contextmanager
def _bucket(scratch: Path) -> Iterator[str]:
    with Places(scratch, patient=False) as places:
        place = places.make("s3", "small", scratch)
        os.environ.update(place.environment)
        yield place.root


def _beside_obstore(root: str) -> tuple[Steps, Steps]:
    import obstore
    from obstore.store import S3Store

    from runstore import object_store, run_context

    bucket, _, prefix = root.removeprefix("s3://").partition("/")
    store = S3Store(bucket, prefix=f"{prefix}/bare", client_options={"allow_http": True})
    value = os.urandom(_SIZE)
    many = [f"m{i:03}" for i in range(300)]

    def bare_put() -> None:
        for name in _NAMES:
            obstore.put(store, name, value)

    def bare_get() -> None:
        for name in _NAMES:
            obstore.get(store, name).bytes()

    def bare_puts() -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda name: obstore.put(store, name, value), many))

    def bare_gets() -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda name: obstore.get(store, name).bytes(), many))

    def puts() -> None:
        with run_context("bench", run="r", store=f"{root}/store"):
            object_store.put_many(dict.fromkeys(many, value))

    def gets() -> None:
        with run_context("bench", run="r", store=f"{root}/store"):
            object_store.get_many(many)

    one_by_one = {"bare put": bare_put, "bare get": bare_get, **_ours(f"{root}/store", value)}
    return one_by_one, {"bare put": bare_puts, "bare get": bare_gets, "put": puts, "get": gets}


def _start(options: argparse.Namespace) -> None:
    taken = _started(max(options.rounds // 3, 1))
    _, base, *ours = _STARTS
    for name in ours:
        _row(name, taken, (name,), (base,), 1.3)


def _started(rounds: int) -> Taken:
    """Return the medians of processor and wall time of each of `_STARTS`, in microseconds."""
    env = {name: text for name, text in child_environment().items() if name != _NO_BYTECODE}
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in _STARTS}
    with tempfile.TemporaryDirectory(prefix="small-") as folder:
        for turn in range(rounds + 1):
            for name, code in _STARTS.items():
                command = [sys.executable, "-c", code.format(f"{folder}/store-{turn}")]
                before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
                subprocess.run(command, check=True, env=env, cwd=folder)
                wall, after = (
                    time.perf_counter() - began,
                    resource.getrusage(resource.RUSAGE_CHILDREN),
                )
                cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                if turn:  # the first writes the bytecode
                    samples[name].append((cpu * 1e6, wall * 1e6))
    return {name: _medians(found) for name, found in samples.items()}


_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"


def _measured(steps: Steps, count: int, rounds: int) -> Taken:
    """Return the medians of each step, in microseconds for one of *count* objects."""
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    for turn in range(rounds + 1):
        for name, do in steps.items():
            worked, began = time.process_time(), time.perf_counter()
            do()
            wall, cpu = time.perf_counter() - began, time.process_time() - worked
            if turn:  # the first loads what is loaded once
                samples[name].append((cpu / count * 1e6, wall / count * 1e6))
    return {name: _medians(found) for name, found in samples.items()}


def _medians(found: list[tuple[float, float]]) -> tuple[float, float]:
    cpu, wall = (statistics.median(column) for column in zip(*found, strict=True))
    return cpu, wall


def _row(
    label: str,
    taken: Taken,
    ours: Sequence[str],
    bare: Sequence[str],
    most: float | tuple[float, float] | None,
) -> None:
    both = [[sum(taken[step][at] for step in steps) for at in (0, 1)] for steps in (ours, bare)]
    ratios = [one / other for one, other in zip(*both, strict=True)]
    limits = most if isinstance(most, tuple) else (most, most)
    missed = any(
        limit is not None and ratio > limit for ratio, limit in zip(ratios, limits, strict=True)
    )
    told = (
        ""
        if most is None
        else f"{limits[0]} ×"
        if limits[0] == limits[1]
        else "{} ×, {} ×".format(*limits)
    )
    cpu, wall = (f"{ratio:.2f} ×" for ratio in ratios)
    absolute = f"({both[0][0]:,.1f} µs of {both[1][0]:,.1f})"
    print(
        f"{label:44}{cpu:>9}{wall:>10}      {told}{'  missed' if missed else ''}  {absolute}",
        flush=True,
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks small", description=__doc__)
    parser.add_argument("cases", nargs="*", choices=[[], "local", "memory", "s3", "start"])
    parser.add_argument("--rounds", type=int, default=31, help="how often; 31 if not given")
    parser.add_argument("--folder", help="an existing folder on the disk to measure")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds takes a number from 1 on")
    return options


if __name__ == "__main__":
    sys.exit(main())

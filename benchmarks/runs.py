"""`python -m benchmarks runs`: what it takes to look at many runs, and to remove half of them.

Each line is one look: requests, as the server counts them (on a disk: calls of the place), seconds,
and by how much the process grew at most. After the clean-up all that is left is compared with what
was there before, by a hash of every file: exactly the planned objects and records must be gone.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import xxhash

from benchmarks._places import Place, Places
from runstore import ObjectStore
from runstore.buffers import flat
from runstore.context import new_run, new_run_name
from runstore.places import Backend, Wrapper, list_with_parts
from runstore.store import every_object
from runstore.store._objects import Objects

__all__ = ["main"]

_PAGE, _WORKFLOWS = 20, 3
_START = datetime(2026, 1, 1, tzinfo=UTC)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill a store, look at it, clean it up, and print one table; 1 if too much is gone."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks runs", description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--objects", type=int, default=5, help="of each run")
    parser.add_argument("--only", choices=("local", "s3"), help="one of the two")
    parser.add_argument("--folder", type=Path, help="on another disk; it must exist")
    options = parser.parse_args(sys.argv[2:] if arguments is None else arguments)
    wrong = 0
    with Places(options.folder or Path(tempfile.gettempdir())) as places:
        for kind in ("local", "s3") if options.only is None else (options.only,):
            with places.scratch(kind) as scratch:
                place = places.make(kind, "runs", scratch)
                before = dict(os.environ)
                os.environ.update(place.environment)
                try:
                    wrong += _measured(kind, place, options.runs, options.objects)
                finally:
                    os.environ.clear()
                    os.environ.update(before)
    return min(wrong, 1)


class _Counting(Wrapper):
    """A place that counts what is asked of it."""

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self.asked = 0

    def __getattribute__(self, name: str) -> Any:
        if name in {"put", "get", "head", "list", "list_with_parts", "folders", "delete_many"}:
            self.asked += 1
        return super().__getattribute__(name)


def _measured(kind: str, place: Place, runs: int, objects: int) -> int:
    with ObjectStore(place.root, timeout=300) as store:
        _fill(store, runs, objects)
        counting = _Counting(store.backend)
        store._now = Objects(counting, "allow")
        print(f"{kind}: {runs:,} runs × {objects} objects")
        print(f"{'':34}{'requests':>10}{'seconds':>10}{'MiB more':>10}")

        def look(what: str, call: Callable[[], Any]) -> Any:
            requests = place.counted() or {"requests": counting.asked}
            grown = _Growth()
            begun = time.perf_counter()
            result = call()
            seconds = time.perf_counter() - begun
            peak = grown.peak()
            after = place.counted() or {"requests": counting.asked}
            used = after["requests"] - requests["requests"]
            print(f"{what:34}{used:>10,}{seconds:>10.2f}{peak:>10.1f}")
            return result

        look("all runs, without an index", lambda: sum(1 for _ in store.runs("bench")))
        look("all runs", lambda: sum(1 for _ in store.runs("bench")))
        look(f"the first page of {_PAGE}", lambda: store.runs("bench", limit=_PAGE))
        look("every object", lambda: sum(1 for _ in every_object(store, "bench")))
        before = _everything(store)
        plan = look("plan of clean-up", lambda: store.plan_gc(keep_last=runs // 2 // _WORKFLOWS))
        going = {*plan.keys(), *(f"bench/_runs/{one.run}.json" for one in plan.runs)}
        look("clean-up of half of them", plan.apply)
        return _compared(before, going, _everything(store))


def _fill(store: ObjectStore, runs: int, objects: int) -> None:
    def fill(number: int) -> None:
        at = _START + timedelta(minutes=number)
        name = new_run_name(f"workflow-{number % _WORKFLOWS}", at)
        view = store.at(namespace="bench", run=name)
        for n in range(objects):
            view.put(f"object-{n}", number)
        run = new_run(f"workflow-{number % _WORKFLOWS}", namespace="bench", name=name)
        times = {"started_at": at, "finished_at": at + timedelta(seconds=30)}
        store.write_run(run.model_copy(update={"state": "finished", **times}))

    with ThreadPoolExecutor(32) as pool:
        for _ in pool.map(fill, range(runs)):
            pass


def _everything(store: ObjectStore) -> dict[str, str | None]:
    """Return all objects and records with a hash of their bytes; a bucket has that as the ETag."""
    backend = store.backend
    listed = chain(list_with_parts(backend, "bench/"), backend.list("bench/_runs/"))
    found = {entry.key: entry for entry in listed if "/_" not in entry.key.replace("/_runs/", "/")}
    if not backend.guarantees.mapped:
        return {key: entry.version for key, entry in found.items()}
    return {key: xxhash.xxh3_128_hexdigest(flat(backend.get(key)[0])) for key in found}


def _compared(before: dict[str, Any], going: set[str], after: dict[str, Any]) -> int:
    left = {key: version for key, version in before.items() if key not in going}
    same = left == after
    print(
        f"{len(going):,} objects and records gone, exactly as planned: {same}; {len(after):,} left"
    )
    print()
    return not same


class _Growth:
    """By how much this process grows at most, in MiB, from now on."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")
        self._before = self._value("VmRSS")

    def peak(self) -> float:
        """Return the growth so far."""
        return (self._value("VmHWM") - self._before) / 1024

    @staticmethod
    def _value(name: str) -> int:
        status = Path("/proc/self/status").read_text()
        return int(status.partition(f"{name}:")[2].split()[0])

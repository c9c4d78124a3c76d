"""`python -m benchmarks objects`: what is asked of a store with few and with very many objects.

Each line is the processor time of one call, in a run of a tenth of the objects and in one of all,
in turns; medians. What does not grow with the objects is flat. A loop of `put` or `get` is the
peer of `put_many` and `get_many`. The files of the large runs are empty: nobody reads them.
"""

import argparse
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from runstore import ObjectStore
from runstore.errors import ObjectNotFoundError
from runstore.store import StoreView

__all__ = ["main"]

_FOUND = 100  # objects that a prefix finds
_TOGETHER = 300  # objects of put_many and get_many


def main(arguments: Sequence[str]) -> int:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks objects", description=__doc__)
    parser.add_argument("--objects", type=int, default=200_000, help="in the large run")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", help="where; a temporary folder if not given")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        store = ObjectStore(folder)
        views = [
            _filled(Path(folder), store, count)
            for count in (options.objects // 10, options.objects)
        ]
        print(f"{'disk':28}{'a tenth':>12}{options.objects:>12,}{'ratio':>8}")
        for what, call in _CALLS.items():
            few, many = _medians([partial(call, view) for view in views], options.rounds)
            print(f"{what:28}{few * 1e6:>9.0f} µs{many * 1e6:>9.0f} µs{many / few:>8.2f}")
        print(f"\n{f'{_TOGETHER} × 1 KiB':28}{'a loop':>12}{'at once':>12}{'ratio':>8}")
        memory = ObjectStore(f"memory://{uuid.uuid4()}")
        for place, one in (("disk", store), ("memory", memory)):
            view = one.at(namespace="n", run="small")
            for what, loop, at_once in _pairs(view):
                slow, quick = _medians([loop, at_once], options.rounds)
                name = f"{what}, {place}"
                print(f"{name:28}{slow * 1e6:>9.0f} µs{quick * 1e6:>9.0f} µs{quick / slow:>8.2f}")
    return 0


def _filled(folder: Path, store: ObjectStore, count: int) -> StoreView:
    run = folder / "n" / f"r{count}"
    run.mkdir(parents=True)
    for n in range(count):
        (run / f"x{n:07}.arrow").touch()
    for n in range(_FOUND):
        (run / f"few{n:03}.arrow").touch()
    return store.at(namespace="n", run=run.name)


def _miss(view: StoreView) -> None:
    with suppress(ObjectNotFoundError):
        view.get("missing")


def _shown_miss(view: StoreView) -> None:
    try:
        view.get("missing")
    except ObjectNotFoundError as exc:
        str(exc)


def _listed(view: StoreView) -> None:
    if len(view.list("few")) != _FOUND:
        raise AssertionError("the listing is not complete")


_CALLS: dict[str, Callable[[StoreView], object]] = {
    "a miss": _miss,
    "a miss that is shown": _shown_miss,
    "exists": lambda view: view.exists("missing"),
    f"list of {_FOUND} by prefix": _listed,
    "first of iter": lambda view: next(view.iter("few")),
    "namespaces": lambda view: view.store.namespaces(),
}


def _pairs(view: StoreView) -> list[tuple[str, Callable[[], Any], Callable[[], Any]]]:
    values = {f"x{n}": bytes([n % 256]) * 1024 for n in range(_TOGETHER)}
    view.put_many(values)
    return [
        (
            "put",
            lambda: [view.put(name, value) for name, value in values.items()],
            lambda: view.put_many(values),
        ),
        ("get", lambda: [view.get(name) for name in values], lambda: view.get_many(values)),
    ]


def _medians(calls: Sequence[Callable[[], Any]], rounds: int) -> list[float]:
    """Return the median processor time of each call, made in turns."""
    samples: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, found in zip(calls, samples, strict=True):
            begun = time.process_time()
            call()
            found.append(time.process_time() - begun)
    return [statistics.median(found) for found in samples]

"""The groups of `benchmarks.targets`: what each measures, and its targets."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["GROUPS", "Row", "Size"]


class Row(NamedTuple):
    """One promise: what it is about, what was promised, what was measured."""

    what: str
    target: str
    measured: str
    met: bool


class Size(NamedTuple):
    """How often each step is repeated, and how large the values are."""

    rounds: int
    scale: float

    def of(self, count: int) -> int:
        """Return *count*, scaled; 1 at least."""
        return max(int(count * self.scale), 1)


def _at_most(what: str, measured: float, target: float, more: str = "", unit: str = "×") -> Row:
    shown = f"{measured:.2f} {unit}" if measured < 100 else f"{measured:,.0f} {unit}"
    return Row(what, f"{target:g} {unit}", f"{shown} {more}".strip(), measured <= target)


def _small_local(size: Size) -> Iterator[Row]:
    from benchmarks import small

    for place, folder in (("disk", tempfile.gettempdir()), ("tmpfs", "/dev/shm")):
        if not Path(folder).is_dir():
            continue
        with tempfile.TemporaryDirectory(dir=folder, prefix="targets-") as root:
            taken = small._measured(small._beside_files(root), len(small._NAMES), 5 * size.rounds)
        for at, what in enumerate(("CPU", "wall")):
            ours, bare = (
                sum(taken[step][at] for step in steps)
                for steps in (("put", "get"), ("bare put", "bare get"))
            )
            label = f"1 KiB put + get, {place}, {what}"
            yield _at_most(label, ours / bare, 2.5, f"({ours:.0f} µs)")


def _small_memory(size: Size) -> Iterator[Row]:
    from benchmarks import small

    steps = small._ours("memory://targets", os.urandom(1024))
    taken = small._measured(steps, len(small._NAMES), 5 * size.rounds)
    cpu = taken["put"][0] + taken["get"][0]
    yield _at_most("1 KiB put + get, memory, CPU", cpu, 30, unit="µs")


def _small_s3(size: Size) -> Iterator[Row]:
    from benchmarks import small

    with _scratch() as folder, small._bucket(folder) as root:
        one_by_one, at_once = small._beside_obstore(root)
        taken = small._measured(one_by_one, len(small._NAMES), 2 * size.rounds)
        together = small._measured(at_once, 300, 2 * size.rounds)
    for what, found, most in (("", taken, 1.1), ("300 at once, ", together, 1.0)):
        for step in ("put", "get"):
            (cpu, wall), (bare_cpu, bare_wall) = found[step], found[f"bare {step}"]
            label = f"S3 1 KiB {step}, {what}"
            yield _at_most(f"{label}CPU", cpu / bare_cpu, 1.4, f"({cpu:.0f} µs)")
            yield _at_most(f"{label}wall", wall / bare_wall, most, f"({wall:.0f} µs)")


def _frames(size: Size) -> Iterator[Row]:
    from benchmarks import frames

    for name, (_, peer, often) in frames.VALUES.items():
        found = frames._measured(name, size.rounds if often > 1 else -(-size.rounds // 2), None)
        targets = (5.0, 2.5) if peer == "pickle" else (2.0, 2.0)
        pairs = (("put", "write"), ("get", "read"))
        for (step, beside), target in zip(pairs, targets, strict=True):
            (wall, cpu), (their_wall, their_cpu) = found[step], found[beside]
            label, more = f"{name}, {step}", f"(wall {wall / their_wall:.2f} ×)"
            yield _at_most(label, cpu / their_cpu, target, more)


_CONTAINERS = {  # targets of put, get and the file; items of a whole value
    "dict of 10,000 arrays": (4.0, 2.0, None, 1.0),
    "datetimes": (3.0, 4.0, None, 0.4),  # 200,000
    "ints": (2.0, 2.0, 1.2, 0.2),
    "ints, few of them large": (2.0, 2.0, 1.2, 0.5),
    "floats": (2.0, 2.0, 1.2, 0.5),
    "text": (2.0, 2.0, 1.2, 0.3),
    "dict, int to int": (2.0, 2.0, 1.2, 0.5),
    "lists of ints": (2.0, 2.0, 1.2, 0.4),
    "dicts of the same keys": (2.0, 2.0, 1.2, 0.5),
    "list of frames": (2.0, 2.0, 1.2, 1.0),
    "16 object columns": (2.0, 2.0, 1.2, 0.2),
}


def _containers(size: Size) -> Iterator[Row]:
    from benchmarks import containers

    for name, (put, get, file, part) in _CONTAINERS.items():
        found = containers._measured(name, size.rounds, part * size.scale, None)
        for step, target in (("put", put), ("get", get)):
            more = f"(wall {found[step]:.2f} ×)"
            yield _at_most(f"{name}, {step}", found[f"{step} CPU"], target, more)
        if file is not None:
            yield _at_most(f"{name}, file", found["size"], file)


def _large_s3(size: Size) -> Iterator[Row]:
    from tests.servers.seaweed import seaweed

    from benchmarks import large

    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    with seaweed() as server:
        found = large._measured(server, size.of(256_000_000), max(size.rounds // 3, 1))["get"]
    wall, cpu = found["runstore"]
    best = min(theirs[0] for name, theirs in found.items() if name != "runstore")
    yield _at_most("S3 256 MB get, CPU beside boto3", cpu / found["boto3"][1], 1.6)
    yield _at_most("S3 256 MB get, wall beside the best", wall / best, 1.0)


def _columns(size: Size) -> Iterator[Row]:
    from benchmarks import columns
    from benchmarks._places import Places
    from runstore import ObjectStore

    with _scratch() as folder, Places(folder) as places:
        for name in ("100 batches", "1,000 batches"):
            with places.scratch("s3") as scratch:
                place = places.make("s3", name, scratch)
                os.environ |= place.environment
                view = ObjectStore(place.root).at(namespace="n", run="r")
                view.put("x", columns.VALUES[name](size.of(500_000)))
                part = columns._measured(place, lambda v=view: v.get("x", columns=["c7"]), 1)
                whole = columns._measured(place, lambda v=view: v.get("x"), 1)
                place.clear()
            most = min(8.0, 2 * whole["requests"])
            more = f"(whole {whole['requests']:.0f})"
            label = f"get(columns=[1 of 16]), {name}"
            yield _at_most(label, part["requests"], most, more, "requests")


def _objects(size: Size) -> Iterator[Row]:
    from functools import partial

    from benchmarks import objects
    from runstore import ObjectStore

    count = size.of(200_000)
    with _scratch() as folder:
        store = ObjectStore(folder)
        views = [objects._filled(folder, store, n) for n in (max(count // 10, 1), count)]
        for what in ("a miss", f"list of {objects._FOUND} by prefix", "namespaces"):
            calls = [partial(objects._CALLS[what], view) for view in views]
            few, many = objects._medians(calls, 3 * size.rounds)
            label = f"{what} among {count:,} beside {count // 10:,}"
            # A disk gives all names of a folder, so a list there grows with them; S3 does not.
            yield _at_most(label, many / few, 1.3, f"({many * 1e6:,.0f} µs)")


def _items(size: Size) -> Iterator[Row]:
    from functools import partial

    from benchmarks import items

    count, rounds = size.of(10_000), max(size.rounds // 3, 1)
    for name, engine in items._ENGINES.items():
        with engine() as (executor, options, bare):
            run = partial(items._run, executor, options, count)
            run()
            bare(count)
            ours, theirs = items._medians([run, partial(bare, count)], rounds)
        most = 2.0 if name == "processes" else 1.3
        more = f"({ours / count * 1e6:.0f} µs)"
        yield _at_most(f"driver per mapped item, {name}, CPU", ours / theirs, most, more)


def _shared(size: Size) -> Iterator[Row]:
    from functools import partial

    from benchmarks import items

    calls = [partial(items._shared, size.of(10**7)), partial(items._shared, 10)]
    large, little = items._medians(calls, max(size.rounds // 3, 1))
    # Sent with each item it took a hundred times as long; once per worker it is a copy or two.
    label = "10 MB shared by 300 items beside 10 bytes, CPU"
    yield _at_most(label, large / little, 2.0, f"({large * 1e3:.0f} ms)")


def _start(size: Size) -> Iterator[Row]:
    from benchmarks import small

    taken = small._started(3 * size.rounds)
    _, base, *ours = small._STARTS
    for name in ours:
        cpu, wall = taken[name]
        more = f"(wall {wall / taken[base][1]:.2f} ×)"
        yield _at_most(f"{name}, CPU", cpu / taken[base][0], 1.3, more)


def _memory(size: Size) -> Iterator[Row]:
    """Put what has a gigabyte, as the peak of the process shows it; Linux tells it."""
    import numpy as np
    import pandas as pd

    from benchmarks._worker import _memory, _reset_peak
    from runstore import ObjectStore

    rows = size.of(1_000_000_000)
    labels = [f"label {n}" for n in range(1000)]
    codes = np.random.default_rng(1).integers(0, 1000, rows // 2, "i2")
    categorical = pd.Categorical.from_codes(codes, labels)  # type: ignore[call-overload]
    numbers = np.arange(rows // 8, dtype="f8") % 1000
    values: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
        "1 GB categorical": (lambda: pd.Series(categorical), {}),
        "1 GB frame with zstd": (lambda: pd.DataFrame({"x": numbers}), {"compression": "zstd"}),
    }
    with _scratch() as folder:
        view = ObjectStore(folder).at(namespace="n", run="r")
        for name, (make, how) in values.items():
            view.put("x", make()[:1000], **how)  # what is loaded once
            value = make()
            before = _reset_peak()
            view.put("x", value, **how)
            grown = (_memory("VmHWM") - before) / 2**20
            yield _at_most(f"put of {name}, memory", grown, 64, unit="MiB")


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="targets-") as folder:
        yield Path(folder)


GROUPS: dict[str, Callable[[Size], Iterator[Row]]] = {
    "small": _small_local,
    "memory": _small_memory,
    "frames": _frames,
    "containers": _containers,
    "s3": _small_s3,
    "large": _large_s3,
    "columns": _columns,
    "objects": _objects,
    "items": _items,
    "shared": _shared,
    "start": _start,
    "peak": _memory,
}
"""Name to what measures it."""

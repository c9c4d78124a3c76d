"""A table larger than memory: written in pieces, and read again, each step in a process of its own.

    make bench-large                        # 6 GB on local disk and on a SeaweedFS
    make bench-large ARGS='--gigabytes 1 --places local'

What counts is the peak of resident memory of each step. The files are removed afterwards.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["main"]

ROWS = 1 << 17  # of a piece; 16 columns of 8 bytes, so 16 MiB
COLUMNS = 16
NAMES = ("events", "events.parquet")

_STEP = """
import json, resource, sys, time
import numpy as np, pyarrow as pa
from runstore import ObjectStore

step, url, name = sys.argv[1:4]
view = ObjectStore(url).at(namespace="bench", run="large")
pieces, ROWS, COLUMNS = map(int, sys.argv[4:])


def piece(number):
    keys = np.arange(number * ROWS, (number + 1) * ROWS)
    others = np.random.default_rng(number).integers(0, 1 << 40, (COLUMNS - 1, ROWS))
    return pa.table({"k": keys, **{f"c{i}": column for i, column in enumerate(others)}})


def write():
    with view.writer(name) as w:
        for number in range(pieces):
            w.write(piece(number))
    return w.info.size


def iter_batches():
    return sum(int(batch.column("k").to_numpy().sum()) for batch in view.iter_batches(name))


def scan_duckdb():
    import duckdb

    events = view.scan(name)
    return int(duckdb.sql("select sum(k) from events").fetchall()[0][0])


def scan_polars():
    import polars as pl

    return pl.scan_pyarrow_dataset(view.scan(name)).select(pl.col("k").sum()).collect().item()


def get_filtered():
    last = pieces * ROWS - 7
    return int(view.get(name, filters=[("k", ">=", last)])["k"].to_numpy().sum())


begun = time.perf_counter()
result = globals()[step]()
told = {"seconds": time.perf_counter() - begun, "result": result}
told["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps(told))
"""

STEPS = ("write", "iter_batches", "scan_duckdb", "scan_polars", "get_filtered")


def main(arguments: list[str]) -> int:
    """Measure, print a table, and return 1 if a step took more than 1 GB or gave a wrong sum."""
    parser = argparse.ArgumentParser("benchmarks pieces", description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=6.0, help="of the table, in memory")
    parser.add_argument("--places", nargs="+", default=["local", "s3"], choices=["local", "s3"])
    parser.add_argument("--names", nargs="+", default=[NAMES[0]], help="events, events.parquet")
    given = parser.parse_args(arguments)
    pieces = max(1, round(given.gigabytes * 1e9 / (ROWS * COLUMNS * 8)))
    total, wrong = pieces * ROWS, 0
    print(f"{pieces} pieces, {total:,} rows of {COLUMNS} columns\n")
    print(f"{'place':6} {'name':15} {'step':13} {'seconds':>8} {'peak MB':>8}")
    for place in given.places:
        with _opened(place) as (url, environment):
            for name in given.names:
                for step in STEPS:
                    found = _run(step, url, name, pieces, environment)
                    expected = {
                        "write": found["result"],
                        "get_filtered": sum(range(total - 7, total)),
                    }.get(step, total * (total - 1) // 2)
                    bad = found["peak"] >= 1e9 or found["result"] != expected
                    wrong += bad
                    print(
                        f"{place:6} {name:15} {step:13} {found['seconds']:8.1f} "
                        f"{found['peak'] / 1e6:8.0f}{'  WRONG' if bad else ''}",
                        flush=True,
                    )
    return 1 if wrong else 0


def _run(step: str, url: str, name: str, pieces: int, more: dict[str, str]) -> dict[str, Any]:
    sizes = map(str, (pieces, ROWS, COLUMNS))
    command = [sys.executable, "-c", _STEP, step, url, name, *sizes]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | more
    )
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


@contextmanager
def _opened(place: str) -> Iterator[tuple[str, dict[str, str]]]:
    if place == "local":
        folder = Path(tempfile.mkdtemp(prefix="runstore-large-"))
        try:
            yield str(folder), {}
        finally:
            shutil.rmtree(folder)
        return
    from tests.places.s3_ import environment
    from tests.servers.seaweed import seaweed

    with seaweed() as server:
        yield f"s3://{server.new_bucket()}/p", environment(server)

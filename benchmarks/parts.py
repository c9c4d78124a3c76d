"""`python -m benchmarks parts`: what objects of parts cost.

A frame of Dask is put and summed by two workers: this process is to grow by less than 128 MiB,
whatever the size. Then a loop of `pending` is killed again and again, on S3 with the server's
counters: each result once, one item repeated for a kill at most, one request for an item besides
listings.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from runstore import ObjectStore

_MOST_GROWTH = 128  # MiB
_PARTITION = 64  # MiB


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print what came of it; 1 if a bound was passed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks parts", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=2048, help="of the frame; 2048")
    parser.add_argument("--items", type=int, default=10_000, help="of the loop; 10,000")
    parser.add_argument("--kills", type=int, default=30, help="of its workers; 30")
    parser.add_argument("--folder", type=Path, help="on another disk; it must exist")
    options = parser.parse_args(sys.argv[2:] if arguments is None else arguments)
    too_much = False
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        if options.megabytes:
            too_much |= _dask(scratch, options.megabytes)
        if options.items:
            too_much |= _loop(scratch, options.items, options.kills)
    return 1 if too_much else 0


def partition(number: int, rows: int) -> pd.DataFrame:
    """Make a partition, in a worker."""
    return pd.DataFrame({"n": np.full(rows, number), "x": np.arange(rows) / 3})


def _dask(scratch: str, megabytes: int) -> bool:
    import dask.dataframe as dd
    from distributed import Client, LocalCluster

    count, rows = max(1, megabytes // _PARTITION), _PARTITION * (1 << 20) // 16
    view = ObjectStore(f"{scratch}/dask").at(namespace="bench", run="parts")
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        frame = dd.from_map(partition, range(count), rows=rows, meta=partition(0, 0))
        put, info = _grown(lambda: view.put("x", frame))
        got, total = _grown(lambda: view.get("x", as_type=dd.DataFrame)["n"].sum().compute())
    assert total == sum(range(count)) * rows
    print(f"Dask: {info.nbytes / 2**20:,.0f} MiB in {info.parts} partitions; this process grew by")
    print(f"  {put:.0f} MiB while it was put, {got:.0f} MiB while it was read and summed")
    return max(put, got) > _MOST_GROWTH


def _grown(do: Callable[[], Any]) -> tuple[float, Any]:
    """Return the peak of this process above its size just before, in MiB, and a result."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    result = do()
    return (_status("VmHWM") - before) / 1024, result


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def _loop(scratch: str, items: int, kills: int) -> bool:
    from tests.places.s3_ import environment
    from tests.servers.seaweed import seaweed

    workers = 4
    with seaweed() as server:
        bucket, env = server.new_bucket(), os.environ | environment(server)
        program = [sys.executable, "-m", "tests.store.side_by_side"]
        url = f"s3://{bucket}/p"

        def run(*arguments: object) -> dict[str, int]:
            done = subprocess.run(
                [*program, *map(str, arguments)], env=env, capture_output=True, check=True
            )
            found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
            return found

        found = run("loop", url, workers, items, kills, f"{scratch}/log")
        time.sleep(1)
        looped = server.requests(bucket)
        run("sealed", url, items)
        time.sleep(1)
        sealed = server.requests(bucket) - looped
    again = found["begun"] - items
    others = looped.total() - looped["PUT", "200"]
    puts = looped["PUT", "200"]
    print(f"Loop on S3: {items:,} items, {workers} workers, {found['kills']} kills: {again} again;")
    print(f"  {puts:,} puts and {others:,} other requests, which are listings")
    print(f"  sealed without what put returned, and read: {sealed.total():,} requests")
    pages = 3 + items // 1000
    bound = (workers + kills + 1) * pages + 10
    return found["different"] != items or again > kills or others > bound

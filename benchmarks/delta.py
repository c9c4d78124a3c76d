"""`python -m benchmarks delta`: what a put of an object sends on S3 if one column has changed.

A table of 16 columns is put, one column is changed, and it is put again with ``delta=True``: by
the server's own counters at most 8 % of its bytes go up. What is stored is compared, byte for
byte, with what a whole put of the same value stores, but for the footer with the write id.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks._places import Places
from runstore import ObjectStore

_MOST = 0.08


def main(arguments: Sequence[str] | None = None) -> int:
    """Put, change a column, put the changes; 1 if too much was sent or the file is another."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks delta", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000, help="of the table; 1000")
    options = parser.parse_args(sys.argv[2:] if arguments is None else arguments)
    rows = options.megabytes * 1_000_000 // (16 * 8)
    columns = {f"c{i}": np.random.default_rng(i).random(rows) for i in range(16)}
    table = pa.table(columns)
    changed = table.set_column(7, "c7", pa.array(np.random.default_rng(99).random(rows)))
    with Places(Path(tempfile.gettempdir())) as places, places.scratch("s3") as scratch:
        place = places.make("s3", "delta", scratch)
        before_environment = dict(os.environ)
        os.environ.update(place.environment)
        try:
            with ObjectStore(place.root, timeout=120) as store:
                view = store.at(namespace="bench", run="delta")
                view.put("x", table)
                before, begun = place.counted() or {}, time.perf_counter()
                view.put("x", changed, delta=True)
                took, after = time.perf_counter() - begun, place.counted() or {}
                body = view.stat("x").size - 20_000  # the footer has the write id
                delta = bytes(view.open("x").read()[:body])
                equal = changed.equals(view.get("x", verify=True))
                view.put("x", changed)
                same = delta == bytes(view.open("x").read()[:body])
            place.clear()
        finally:
            os.environ.clear()
            os.environ.update(before_environment)
    sent = after["received_bytes"] - before["received_bytes"]
    share = sent / table.nbytes
    print(f"one of 16 columns of {table.nbytes / 1e6:,.0f} MB changed: {sent / 1e6:,.1f} MB sent")
    print(f"  {share:.1%} of it, in {took:.1f} s; equal: {equal}; the same body: {same}")
    return 0 if share <= _MOST and equal and same else 1

"""`python -m benchmarks columns`: one column of sixteen of a table on S3 beside the whole table.

One SeaweedFS is started, and a relay in front of it that delays what passes. Shown are requests and
bytes by the server's own counters, and the medians of wall time, for tables of 1, 100 and 1,000
batches, of row groups that were read from a Parquet file, and of chunks of polars.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks._places import Places

__all__ = ["VALUES", "main"]


def _parts(rows: int, count: int) -> list[dict[str, Any]]:
    import numpy as np

    size = max(rows // count, 1)
    rng = np.random.default_rng(1)
    return [{f"c{i}": rng.random(size) for i in range(16)} for _ in range(count)]


def _batches(rows: int, count: int) -> Any:
    import pyarrow as pa

    return pa.concat_tables([pa.table(part) for part in _parts(rows, count)])


def _row_groups(rows: int) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pa.BufferOutputStream()
    table = _batches(rows, 1)
    pq.write_table(table, file, row_group_size=max(rows // 100, 1), use_dictionary=False)
    return pq.read_table(pa.BufferReader(file.getvalue()))


def _polars(rows: int) -> Any:
    import polars as pl

    return pl.concat([pl.DataFrame(part) for part in _parts(rows, 100)], rechunk=False)


VALUES: dict[str, Callable[[int], Any]] = {
    "1 batch": lambda rows: _batches(rows, 1),
    "100 batches": lambda rows: _batches(rows, 100),
    "1,000 batches": lambda rows: _batches(rows, 1000),
    "100 row groups": _row_groups,
    "100 chunks of polars": _polars,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for, and print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks columns", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="tables with this in their name")
    parser.add_argument("--rounds", type=int, default=5, help="how often; 5 if not given")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of a table; a million")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.rows < 1:
        parser.error("--rounds and --rows take a number from 1 on")
    from runstore import ObjectStore

    print(f"{'':22}{'requests':>10}{'whole':>7}{'bytes':>12}{'whole':>13}{'ms':>8}{'whole':>8}")
    with tempfile.TemporaryDirectory() as folder, Places(Path(folder)) as places:
        for name, make in VALUES.items():
            if options.only not in name:
                continue
            with places.scratch("s3+10ms") as scratch:
                place = places.make("s3+10ms", name, scratch)
                os.environ |= place.environment
                view = ObjectStore(place.root).at(namespace="n", run="r")
                view.put("x", make(options.rows))
                part = _measured(place, lambda v=view: v.get("x", columns=["c7"]), options.rounds)
                whole = _measured(place, lambda v=view: v.get("x"), options.rounds)
                row = "".join(
                    f"{part[what]:{width},.0f}{whole[what]:{wider},.0f}"
                    for what, width, wider in (("requests", 10, 7), ("bytes", 12, 13), ("ms", 8, 8))
                )
                print(f"{name:22}{row}", flush=True)
                place.clear()
    return 0


def _measured(place: Any, call: Callable[[], Any], rounds: int) -> dict[str, float]:
    before = place.counted()
    call()
    after = place.counted()
    walls = []
    for _ in range(rounds):
        wall = time.perf_counter()
        call()
        walls.append(time.perf_counter() - wall)
    return {
        "requests": after["requests"] - before["requests"],
        "bytes": after["sent_bytes"] - before["sent_bytes"],
        "ms": statistics.median(walls) * 1e3,
    }


if __name__ == "__main__":
    sys.exit(main())

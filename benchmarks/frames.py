"""`python -m benchmarks frames`: small frames beside pickle, wide and chunked tables and feather.

Each value is put and got, and written to a file and read, in turn in one process on one folder.
Shown are the medians of processor time and of wall time, and runstore's as multiples.
"""

import argparse
import gc
import pickle
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["VALUES", "main"]


def _numbers() -> Any:
    import numpy as np
    import pandas as pd

    return pd.DataFrame(np.random.default_rng(1).random((100, 10)), columns=list("abcdefghij"))


def _mixed() -> Any:
    import numpy as np
    import pandas as pd

    columns: dict[str, Any] = {f"x{i}": np.arange(100.0) + i for i in range(4)}
    columns |= {"n": np.arange(100), "flag": np.arange(100) % 2 == 0}
    columns |= {"text": [f"row {i}" for i in range(100)], "word": ["x"] * 100}
    columns |= {"day": pd.date_range("2026-01-01", periods=100)}
    columns |= {"kind": pd.Categorical(["a", "b"] * 50)}
    return pd.DataFrame(columns)


def _wide() -> Any:
    import numpy as np
    import pyarrow as pa

    return pa.table({f"c{i}": np.arange(10.0) + i for i in range(20_000)})


def _chunked() -> Any:
    import numpy as np
    import pyarrow as pa

    part = [pa.array(np.arange(10.0) + i) for i in range(10)]
    names = [f"c{i}" for i in range(10)]
    return pa.Table.from_batches([pa.record_batch(part, names=names)] * 10_000)


VALUES: dict[str, tuple[Callable[[], Any], str, int]] = {
    "frame 100 x 10, numbers": (_numbers, "pickle", 100),
    "frame 100 x 10, mixed": (_mixed, "pickle", 100),
    "table 10 x 20,000": (_wide, "feather", 1),
    "table of 10,000 batches": (_chunked, "feather", 1),
}
"""Name to what makes the value, its peer, and how often a round repeats it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for, and print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks frames", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="values with this in their name")
    parser.add_argument("--rounds", type=int, default=15, help="how often; 15 if not given")
    parser.add_argument("--folder", help="an existing folder on the disk to measure")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds takes a number from 1 on")
    names = [name for name in VALUES if options.only in name]
    if not names:
        print(f"no value has {options.only!r} in its name", file=sys.stderr)
        return 1
    print(f"{'':26}{'put CPU':>11}{'×':>7}{'wall ×':>8}{'get CPU':>13}{'×':>7}{'wall ×':>8}  peer")
    for name in names:
        found = _measured(name, options.rounds, options.folder)
        row = f"{name:26}"
        for step, beside in (("put", "write"), ("get", "read")):
            (wall, cpu), (their_wall, their_cpu) = found[step], found[beside]
            row += f"{cpu * 1e6:8,.0f} µs{cpu / their_cpu:7.2f}{wall / their_wall:8.2f}  "
        print(f"{row}{VALUES[name][1]}", flush=True)
    return 0


def _measured(name: str, rounds: int, folder: str | None) -> dict[str, tuple[float, float]]:
    """Return the medians of wall and processor time of each step."""
    from pyarrow import feather

    from runstore import ObjectStore

    make, peer, often = VALUES[name]
    value = make()
    with tempfile.TemporaryDirectory(dir=folder, prefix="frames-") as scratch:
        view = ObjectStore(Path(scratch) / "store").at(namespace="n", run="r")
        path = Path(scratch) / "peer"

        def write() -> None:
            beside = path.with_suffix(".new")
            if peer == "pickle":
                beside.write_bytes(pickle.dumps(value, 5))
            else:
                feather.write_feather(value, str(beside), compression="uncompressed")
            beside.replace(path)

        def read() -> Any:
            if peer == "pickle":
                return pickle.loads(path.read_bytes())
            return feather.read_table(str(path))

        steps: dict[str, Callable[[], Any]] = {
            "put": lambda: view.put("x", value),
            "write": write,
            "get": lambda: view.get("x"),
            "read": read,
        }
        samples: dict[str, list[tuple[float, float]]] = {}
        for number in range(rounds + 1):  # the first is for what is made once
            for step, do in steps.items():
                gc.collect()
                wall, cpu = time.perf_counter(), time.process_time()
                for _ in range(often):
                    do()
                taken = time.perf_counter() - wall, time.process_time() - cpu
                if number:
                    samples.setdefault(step, []).append((taken[0] / often, taken[1] / often))
    return {
        step: (statistics.median(wall for wall, _ in taken), statistics.median(c for _, c in taken))
        for step, taken in samples.items()
    }


if __name__ == "__main__":
    sys.exit(main())

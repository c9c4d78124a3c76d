"""`python -m benchmarks containers`: containers and pickled columns beside pickle protocol 5.

Each value is put and got, and dumped to a file and loaded, in turn in one process on one folder.
Shown are the medians as multiples of pickle's, and the sizes of the files. With ``--before`` the
same is measured of another checkout, of an older commit, in a process of its own.
"""

import argparse
import datetime as dt
import gc
import json
import pickle
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks._process import child_environment

__all__ = ["VALUES", "main"]

_NOON = dt.datetime(2024, 1, 1, 12)


def _sparse(size: int) -> Any:
    import numpy as np
    import pandas as pd

    cells = np.zeros((max(size // 10, 1), size))
    cells[:: max(size // 1000, 1), ::7] = 1.5
    return pd.DataFrame(cells).astype(pd.SparseDtype("float64", 0.0))


def _complex(size: int) -> Any:
    import numpy as np
    import pandas as pd

    return pd.DataFrame({f"c{i}": np.arange(size) * (1 + 1j) for i in range(16)})


def _objects(size: int) -> Any:
    import pandas as pd

    columns = {f"o{i}": [(j, str(j)) for j in range(size)] for i in range(16)}
    return pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns.items()})


def _arrays(size: int, of: Callable[[int], Any]) -> dict[str, Any]:
    return {f"a{i}": of(i) for i in range(size)}


def _numpy(size: int, length: Callable[[int], int]) -> dict[str, Any]:
    import numpy as np

    return _arrays(size, lambda i: np.arange(float(length(i))) + i)


def _scalars(size: int) -> list[Any]:
    import numpy as np

    return [np.float64(i / 3) for i in range(size)]


def _frames(size: int) -> list[Any]:
    import pandas as pd

    return [pd.DataFrame({"a": range(5), "b": [float(i)] * 5}) for i in range(size)]


VALUES: dict[str, tuple[Callable[[int], Any], int]] = {
    "dict, int to int": (lambda n: {i: i * 7 for i in range(n)}, 1_000_000),
    "dict, text to float": (lambda n: {f"key-{i}": i / 3 for i in range(n)}, 1_000_000),
    "tuples (int, float, text)": (lambda n: [(i, i / 3, f"t{i}") for i in range(n)], 1_000_000),
    "datetimes": (lambda n: [_NOON + dt.timedelta(seconds=i) for i in range(n)], 500_000),
    "datetimes in UTC": (
        lambda n: [_NOON.replace(tzinfo=dt.UTC) + dt.timedelta(seconds=i) for i in range(n)],
        200_000,
    ),
    "dates": (lambda n: [dt.date.fromordinal(700_000 + i % 9000) for i in range(n)], 500_000),
    "bytes of 200": (lambda n: [random.Random(i).randbytes(200) for i in range(n)], 300_000),
    "np.float64": (_scalars, 300_000),
    "ints": (lambda n: list(range(n)), 5_000_000),
    "ints, few of them large": (
        lambda n: [i % 200 + (i % 50 == 0) * 2**40 for i in range(n)],
        2_000_000,
    ),
    "floats": (lambda n: [i / 3 for i in range(n)], 2_000_000),
    "text": (lambda n: [f"text number {i}" for i in range(n)], 1_000_000),
    "set of text": (lambda n: {f"text number {i}" for i in range(n)}, 500_000),
    "lists of ints": (lambda n: [list(range(i % 9)) for i in range(n)], 500_000),
    "dicts of the same keys": (
        lambda n: [{"id": i, "name": f"n{i}", "x": i / 3} for i in range(n)],
        300_000,
    ),
    "dict of 10,000 arrays": (lambda n: _numpy(n, lambda i: 10), 10_000),
    "dict of arrays of 10": (lambda n: _numpy(n, lambda i: 10), 100_000),
    "dict of arrays of 1 to 50": (lambda n: _numpy(n, lambda i: 1 + i % 50), 100_000),
    "list of frames": (_frames, 1000),
    "16 complex columns": (_complex, 1_000_000),
    "16 object columns": (_objects, 50_000),
    "sparse frame": (_sparse, 10_000),
}
"""Name to what makes the value of so many items, and how many."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for, and print one table."""
    options = _options(arguments)
    if options.child:
        print(json.dumps(_measured(options.child, options.rounds, options.scale, options.folder)))
        return 0
    names = [name for name in VALUES if options.only in name]
    if not names:
        print(f"no case has {options.only!r} in its name", file=sys.stderr)
        return 1
    head = "    put    get    CPU    CPU   file"
    before = f"  before:{head}" if options.before else ""
    print(f"{'multiples of pickle 5':28}{head}{before}", flush=True)
    for name in names:
        row = f"{name:28}"
        for checkout in (None, options.before) if options.before else (None,):
            found = _asked(name, checkout, options)
            gap = "         " if checkout else ""
            row += gap + "".join(f"{found[step]:7.2f}" for step in _SHOWN)
        print(row, flush=True)
    return 0


_SHOWN = ("put", "get", "put CPU", "get CPU", "size")


def _asked(name: str, checkout: str | None, options: argparse.Namespace) -> dict[str, float]:
    """Measure one value in a fresh process."""
    env = child_environment()
    if checkout is not None:
        env["PYTHONPATH"] = f"{Path(checkout).resolve() / 'src'}:{env.get('PYTHONPATH', '')}"
    command = [sys.executable, "-m", "benchmarks", "containers", "--child", name]
    command += ["--rounds", str(options.rounds), "--scale", str(options.scale)]
    if options.folder:
        command += ["--folder", options.folder]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _measured(name: str, rounds: int, scale: float, folder: str | None) -> dict[str, float]:
    """Return runstore's medians as multiples of pickle's."""
    import numpy  # noqa: F401 - loaded before the clock runs
    import pandas  # noqa: F401

    from runstore import ObjectStore

    make, count = VALUES[name]
    value = make(max(int(count * scale), 1))
    samples: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory(dir=folder, prefix="containers-") as scratch:
        view = ObjectStore(Path(scratch) / "store").at(namespace="n", run="r")
        path = Path(scratch) / "pickle"

        def dump() -> None:
            beside = path.with_suffix(".new")
            beside.write_bytes(pickle.dumps(value, 5))
            beside.replace(path)

        steps: dict[str, Callable[[], Any]] = {
            "put": lambda: view.put("x", value),
            "dump": dump,
            "get": lambda: view.get("x"),
            "load": lambda: pickle.loads(path.read_bytes()),
        }
        for _ in range(rounds):
            for step, do in steps.items():
                gc.collect()
                wall, cpu = time.perf_counter(), time.process_time()
                result = do()
                taken = time.perf_counter() - wall, time.process_time() - cpu
                samples.setdefault(step, []).append(taken)
                del result
        size = view.stat("x").size / path.stat().st_size
    found = {"size": size}
    for step, beside in (("put", "dump"), ("get", "load")):
        for at, what in enumerate((step, f"{step} CPU")):
            ours, theirs = (
                statistics.median(taken[at] for taken in samples[one]) for one in (step, beside)
            )
            found[what] = ours / theirs
    return found


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks containers", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="cases with this in their name")
    parser.add_argument("--rounds", type=int, default=5, help="how often; 5 if not given")
    parser.add_argument("--scale", type=float, default=1.0, help="of how many items each value is")
    parser.add_argument("--before", metavar="CHECKOUT", help="of an older commit, measured, too")
    parser.add_argument("--folder", help="an existing folder on the disk to measure")
    parser.add_argument("--child", metavar="CASE", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds takes a number from 1 on")
    return options


if __name__ == "__main__":
    sys.exit(main())

"""`python -m benchmarks card`: what the card of a run costs whose objects are large.

A run with 20 objects of 1 GB each is made, of several kinds, and its card is written by `runstore
card` in a process of its own. Shown are the time of `run_card` and of the whole command, the
processor time, the peak of memory, and the size of the file. The objects are removed afterwards. It
ends with 1 if a card is too slow or too large in the best round.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._browsing import NAMESPACE, large_table
from benchmarks._places import Places
from benchmarks._process import child_environment
from runstore import ObjectStore
from runstore.context import StageRecord, new_run

__all__ = ["main"]

_RUN = "large"
_SECONDS, _BYTES = 1.0, 1_000_000  # that a card may take
_STEP = """
import json, sys, time
from pathlib import Path
from runstore import ObjectStore
from runstore.pages import run_card

store = ObjectStore(sys.argv[1], pickle="deny")
begun, spent = time.perf_counter(), time.process_time()
page = run_card(store, sys.argv[3], namespace=sys.argv[2])
told = {"wall": time.perf_counter() - begun, "cpu": time.process_time() - spent}
status = Path("/proc/self/status").read_text()  # ru_maxrss would be that of who started this
told["peak"] = int(status.partition("VmHWM:")[2].split()[0]) / 1024
print(json.dumps(told | {"size": len(page.encode()), "shown": page.count("<article")}))
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the run, write its card, and print one line for each place; 1 if it costs too much."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks card", description=__doc__)
    parser.add_argument("--objects", type=int, default=20)
    parser.add_argument("--gigabytes", type=float, default=1.0, help="of each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("local", "s3"), help="one of the two")
    parser.add_argument("--folder", type=Path, help="on another disk; it must exist")
    options = parser.parse_args(sys.argv[2:] if arguments is None else arguments)
    over = False
    print(f"a run of {options.objects} objects of {options.gigabytes:g} GB")
    print(f"{'':8}{'run_card':>10}{'CPU':>10}{'command':>10}{'peak MiB':>10}{'KB':>8}")
    with Places(options.folder or Path(tempfile.gettempdir())) as places:
        for kind in ("local", "s3") if options.only is None else (options.only,):
            with places.scratch(kind) as scratch:
                place = places.make(kind, "card", scratch)
                before = dict(os.environ)
                os.environ.update(place.environment)
                try:
                    over |= _measured(kind, place.root, scratch, options)
                finally:
                    place.clear()
                    os.environ.clear()
                    os.environ.update(before)
    return int(over)


def _measured(kind: str, root: str, scratch: Path, options: argparse.Namespace) -> bool:
    with ObjectStore(root, timeout=600) as store:
        _fill(store, options.objects, options.gigabytes, scratch)
    best: dict[str, Any] = {}
    for _ in range(options.rounds):
        command = [sys.executable, "-c", _STEP, root, NAMESPACE, _RUN]
        told = json.loads(subprocess.check_output(command, env=child_environment()))
        best = min(best or told, told, key=lambda one: one["wall"])
    target = scratch / "card.html"
    command = [sys.executable, "-m", "runstore", "card", f"{NAMESPACE}/{_RUN}", "-o", str(target)]
    begun = time.perf_counter()
    subprocess.run([*command, "--store", root], check=True, env=child_environment())
    took, size = time.perf_counter() - begun, target.stat().st_size
    over = best["wall"] > _SECONDS or size > _BYTES
    print(
        f"{kind:8}{best['wall']:>8.2f} s{best['cpu']:>8.2f} s{took:>8.2f} s{best['peak']:>10.0f}"
        f"{size / 1e3:>8.0f}" + (" too much" if over else "")
    )
    return over


def _fill(store: ObjectStore, objects: int, gigabytes: float, scratch: Path) -> None:
    """Store tables, Parquet, arrays, CSV, text and bytes in turn, each of so many gigabytes."""
    view = store.at(namespace=NAMESPACE, run=_RUN)
    size, file = round(gigabytes * 1e9), scratch / "large.csv"
    lines = b"".join(b"%d,%d,label %d\n" % (n, n * n, n % 7) for n in range(100_000))
    with file.open("wb") as sink:
        sink.write(b"a,b,c\n")
        for _ in range(max(1, size // len(lines))):
            sink.write(lines)
    makers = [
        lambda n: large_table(view, f"table-{n}", gigabytes),
        lambda n: large_table(view, f"table-{n}.parquet", gigabytes),
        lambda n: view.put(f"array-{n}", np.arange(size // 8, dtype=float)),
        lambda n: view.put(f"array-{n}.npy", np.arange(size // 8, dtype=float)),
        lambda n: view.put_file(f"rows-{n}.csv", file),
        lambda n: view.put_file(f"lines-{n}.txt", file),
        lambda n: view.put(f"bytes-{n}", bytes(size)),
    ]
    for n in range(objects):
        makers[n % len(makers)](n)
    file.unlink()
    now = datetime.now(UTC)
    times = {"started_at": now, "finished_at": now}
    stages = tuple(StageRecord(name=f"stage-{n}", state="finished", **times) for n in range(5))
    run = new_run("large", namespace=NAMESPACE, name=_RUN)
    store.write_run(run.model_copy(update={"state": "finished", "stages": stages, **times}))

"""Read changed files, one after the other; whoever started this sees if it dies."""

import gc
import json
import pickle
import random
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from tests.fuzz._kinds import CANARY, LookAlike, file_of, files
from tests.fuzz._mutate import mutated
from tests.fuzz._use import OUT_OF_RANGE, use

from runstore import ObjectStore
from runstore.errors import RunStoreError

_MIB = 1 << 20
_SLOW = 20  # seconds of a processor that reading one file may take
_SIZES = (12, 12, 12, 200, 4000)  # rows; the last are mapped
_TYPES = (pa.Table, pa.RecordBatch, pl.DataFrame, pl.Series, pd.DataFrame, np.ndarray, bytes)


def main(first: int, count: int, at: Path) -> None:
    """Read the files from number *first* on; write where it is to *at*, findings to stdout."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="runstore-fuzz-") as folder:
        seeds = {
            rows: list(files(Path(folder) / f"seeds{rows}", rows)) for rows in sorted(set(_SIZES))
        }
        pa.register_extension_type(LookAlike())
        view = ObjectStore(Path(folder) / "store", pickle="deny").at(namespace="n", run="r")
        view.put("first", 1)
        others = [data for _, data in seeds[12] if data.endswith(b"ARROW1")]
        for number in range(first, first + count):
            at.write_text(str(number))
            chance = random.Random(number)
            name, data = chance.choice(seeds[chance.choice(_SIZES)])
            changed = mutated(name, data, chance, others)
            file_of(view, name).write_bytes(changed)
            if CANARY.exists():  # Arrow was asked while it was changed
                CANARY.rmdir()
            for finding in _read(view, name, len(changed), chance):
                print(json.dumps([number, name, finding]), flush=True)
            file_of(view, name).unlink()


def _read(view: Any, name: str, size: int, chance: random.Random) -> list[str]:
    """Read one file in two ways; return what is wrong about it."""
    how = chance.randrange(6)
    reads = [lambda: view.get(name)]
    if how == 0:
        kind = chance.choice(_TYPES)
        reads.append(lambda: view.get(name, as_type=kind))
    elif how == 1:
        reads.append(lambda: view.get(name, columns=[chance.choice(("a", "float", "list"))]))
    elif how == 2:
        reads.append(lambda: [view.stat(name), view.stat(name).schema, view.list(details=True)])
    elif how == 3:
        reads.append(lambda: view.copy(name, to_name=f"copied{Path(name).suffix}"))
    findings = []
    gc.collect() if chance.random() < 0.02 else None
    before = _kib("VmRSS:")
    Path("/proc/self/clear_refs").write_text("5")
    began = time.process_time()
    for read in reads:
        value = None
        try:
            value = read()
        except RunStoreError:
            pass
        except BaseException as exc:  # noqa: BLE001 - that is the finding
            findings.append(f"get: {type(exc).__name__}: {str(exc)[:200]}")
        more = (_kib("VmHWM:") - before) * 1024 - 4 * size - 64 * _MIB
        if more > 0:
            findings.append(f"memory: {more // _MIB} MiB more than allowed, {size} bytes")
        try:
            use(value)
        except OUT_OF_RANGE:
            pass
        except BaseException as exc:  # noqa: BLE001
            findings.append(f"use: {type(exc).__name__}: {str(exc)[:200]}")
    if time.process_time() - began > _SLOW:
        findings.append(f"slow: {time.process_time() - began:.0f} s")
    if CANARY.exists():
        CANARY.rmdir()
        findings.append("code was run")
    return findings


def _kib(what: str) -> int:
    with Path("/proc/self/status").open() as file:
        return next(int(line.split()[1]) for line in file if line.startswith(what))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        assert pickle.loads is not None
        main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))

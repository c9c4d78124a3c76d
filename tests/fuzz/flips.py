"""Flip one bit of an object of 1 MB, anywhere, and use every cell of what is read.

    python -m tests.fuzz.flips -n 200

Each kind is read mapped, as a get does by itself, and whole, in a process of its own. Damage
in what is read whole is always found. In mapped numbers it is found by ``verify=True``.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import xarray as xr
from tests.fuzz._kinds import file_of
from tests.fuzz._use import use

from runstore import ObjectStore
from runstore.errors import CorruptObjectError, UnsupportedValueError
from runstore.testing import assert_same

__all__ = ["KINDS", "flips"]

_ROWS = 20_000
_NUMBERS = np.arange(131_072) / 7
_TEXT = [f"some text that is {i} long é" for i in range(_ROWS)]


def _frame() -> pd.DataFrame:
    at = np.arange(_ROWS)
    return pd.DataFrame(
        {
            "float": at / 7,
            "text": pd.Series(_TEXT, dtype="str"),
            "category": pd.Categorical.from_codes(at % 3 - 1, ["a", "b"]),
            "time": pd.date_range("2024", periods=_ROWS, unit="ns", freq="s"),
            "nullable": pd.array([None if i % 3 else i for i in range(_ROWS)], "Int64"),
            "flag": at % 2 == 0,
        }
    )


def _lists() -> pa.Table:
    lists = [list(range(i % 9)) if i % 5 else None for i in range(_ROWS)]
    return pa.table(
        {
            "list": pa.array(lists, pa.large_list(pa.int64())),
            "views": pa.array(_TEXT, pa.string_view()),
            "dictionary": pa.array(_TEXT[:100] * (_ROWS // 100)).dictionary_encode(),
            "struct": pa.array([{"a": i, "b": text} for i, text in enumerate(_TEXT)]),
        }
    )


# Name to how it is made, and whether a get reads all of it.
KINDS: dict[str, tuple[Any, bool]] = {
    "numpy": (lambda: _NUMBERS, False),
    "floats": (lambda: pd.DataFrame(_NUMBERS.reshape(-1, 16)), False),
    "frame": (_frame, False),
    "nested": (lambda: {"array": _NUMBERS, "text": _TEXT[:9], "frame": _frame()}, False),
    "xarray": (lambda: xr.Dataset({"a": ("x", _NUMBERS)}, {"x": np.arange(131_072)}), False),
    "array.npy": (lambda: _NUMBERS, False),
    "arrays.safetensors": (lambda: {"a": _NUMBERS, "b": np.arange(9)}, False),
    "lists": (_lists, False),
    "texts": (lambda: pd.Series(_TEXT * 2, dtype="str"), True),
    "objects": (lambda: pd.DataFrame({"o": pd.Series(_TEXT * 2, dtype=object)}), True),
    "polars": (lambda: pl.DataFrame({"a": _TEXT, "b": [[text] for text in _TEXT]}), True),
    "array": (lambda: pa.array(_TEXT * 2), True),
    "unicode": (lambda: np.array(_TEXT[:9000]), True),
    "bools.npy": (lambda: np.arange(1 << 20) % 2 == 0, True),
    "bytes": (lambda: _NUMBERS.tobytes(), True),
    "str": (lambda: "".join(_TEXT) * 2, True),
    "json": (lambda: {"a": _TEXT, "b": list(range(50_000))}, True),
    "pickle": (lambda: [NormalDist(), {"a": set(_TEXT)}, _NUMBERS], True),
    "containers": (lambda: {"a": set(_TEXT[:99]), "b": [i * 99 for i in range(200_000)]}, True),
    "packed": (_frame, True),
    "frame.parquet": (lambda: _frame().drop(columns="category"), True),
    "set.pkl": (lambda: set(_TEXT), True),
}


def flips(name: str, count: int) -> tuple[int, int]:
    """Flip *count* bits of an object of this kind, one at a time.

    Returns:
        How many of them were found by a get, and how many changed numbers silently.

    Raises:
        AssertionError: Damage of what is read whole, or any by ``verify=True``, was not found.
    """
    warnings.simplefilter("ignore")
    make, whole = KINDS[name]
    chance, found, silent = random.Random(name), 0, 0
    with tempfile.TemporaryDirectory(prefix="runstore-flips-") as folder:
        view = ObjectStore(folder).at(namespace="n", run="r")
        value = make()
        try:
            view.put(name, value, compression="zstd" if name == "packed" else "auto")
        except UnsupportedValueError:
            return 0, 0  # with old versions of the libraries
        file = file_of(view, name)
        with file.open("r+b") as stored:
            for _ in range(count):
                at, bit = chance.randrange(file.stat().st_size), 1 << chance.randrange(8)
                byte = os.pread(stored.fileno(), 1, at)
                os.pwrite(stored.fileno(), bytes([byte[0] ^ bit]), at)
                try:
                    use(got := view.get(name))
                except CorruptObjectError:
                    found += 1
                else:
                    if whole and not _is_blank(name, at):
                        assert_same(value, got)
                        raise AssertionError(f"{name}: bit {bit} of byte {at} was not found")
                    silent += 1
                    _check_found(view, name, at)
                os.pwrite(stored.fileno(), byte, at)
        use(view.get(name, verify=True))
    return found, silent


def _check_found(view: Any, name: str, at: int) -> None:
    try:
        view.get(name, verify=True)
    except CorruptObjectError:
        return
    raise AssertionError(f"{name}: byte {at} was not found with verify=True")


def _is_blank(name: str, at: int) -> bool:
    """Say whether damage there takes the digest of a plain file away, and nothing else."""
    return name.endswith(".pkl") and at < 60


def main() -> int:
    """Return 0 if all is as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.flips", description=__doc__)
    parser.add_argument("-n", type=int, default=200, help="flips of each kind")
    parser.add_argument("kinds", nargs="*", default=list(KINDS))
    options = parser.parse_args()
    if len(options.kinds) == 1:
        found, silent = flips(options.kinds[0], options.n)
        print(f"{options.kinds[0]}: {found} found, {silent} numbers that verify=True finds")
        return 0
    failed, began = 0, time.monotonic()
    root = Path(__file__).parents[2]
    for kind in options.kinds:
        command = [sys.executable, "-m", "tests.fuzz.flips", "-n", str(options.n), kind]
        failed += subprocess.run(command, check=False, cwd=root).returncode != 0
    print(f"{len(options.kinds)} kinds in {time.monotonic() - began:.0f} s, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

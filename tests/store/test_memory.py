"""What a get may cost, in memory, and that what it gives is the caller's own."""

import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from runstore import ObjectStore
from runstore.testing import assert_same

MIB = 1 << 20

# In a process of its own: what others left in the heap would hide the cost.
_GET = """
import sys
import numpy, pandas
from runstore import ObjectStore

def kib(what):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(what))

view = ObjectStore(sys.argv[1]).at(namespace="dev", run="r1")
view.get("small")
before = kib("VmRSS:")
open("/proc/self/clear_refs", "w").write("5")
value = view.get(sys.argv[2])
print(kib("VmHWM:") - before, len(value))
"""


def resident(store: ObjectStore, name: str) -> int:
    """Give how many bytes more are resident at the peak of a get in a fresh process."""
    command = [sys.executable, "-c", _GET, store.url, name]
    try:
        ran = subprocess.run(command, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as exc:
        pytest.fail(exc.stderr)
    return int(ran.stdout.split()[0]) * 1024


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Give a store on disk with a frame and an array of 1 and 256 MiB."""
    store = ObjectStore(tmp_path_factory.mktemp("memory"))
    view = store.at(namespace="dev", run="r1")
    numbers = np.arange(256 * MIB // 8, dtype="f8")
    view.put("small", pd.DataFrame({"a": [1.5]}))
    for size in (1, 256):
        part = numbers[: size * MIB // 8]
        view.put(f"array{size}", part)
        view.put(f"frame{size}", pd.DataFrame(part.reshape(-1, 16), copy=False))
    return store


@pytest.mark.extended
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads Linux's /proc")
@pytest.mark.xdist_group("memory")  # once, not once for each worker
@pytest.mark.parametrize("size", [1, 256])
@pytest.mark.parametrize("kind", ["array", "frame"])
def test_get_costs_the_same_memory_at_every_size(filled, kind, size):
    """Whatever its size, a mapped frame or array adds at most 16 MiB, at the peak too."""
    assert resident(filled, f"{kind}{size}") <= 16 * MIB


@pytest.mark.extended
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads Linux's /proc")
def test_only_flags_are_unpacked(tmp_path):
    """Of a frame of every kind, only booleans, masks and missing categories take memory."""
    store, rows = ObjectStore(tmp_path), MIB // 2
    view, at = store.at(namespace="dev", run="r1"), np.arange(rows)
    times = (
        pd.Series(at.astype("M8[s]")).dt.tz_localize("UTC").dt.tz_convert(ZoneInfo("Europe/Paris"))
    )
    codes = np.where(at % (rows // 4), 1, -1).astype("i1")
    frame = pd.DataFrame(
        {
            "float": np.where(at % 3, at / 7, np.nan),
            "int": at,
            "text": pd.Series(["some text", "x", None, "é"] * (rows // 4), dtype="string[pyarrow]"),
            "category": pd.Categorical.from_codes(codes, ["a", "b"]),
            "zone": times.where(at % 5 > 0),
            "duration": pd.Series(at.astype("m8[ms]")).where(at % 2 > 0),
            "nullable": pd.array(at, "Int64"),
            "missing": pd.Series(at, dtype="Int32").where(at % 2 > 0),
            "flag": at % 2 > 0,
        }
    )
    view.put("small", frame.head(8))
    info = view.put("x", frame)
    assert info.size > 40 * rows > 16 * MIB
    # A byte a row for "flag" and for the mask of "missing", and what any frame takes; and the
    # pages of the file that are checked: text with its offsets, codes, and what is missing.
    assert resident(store, "x") <= 2 * rows + (8 + 3 + 1 + 1) * rows + 6 * MIB
    pd.testing.assert_frame_equal(frame, view.get("x"))


@pytest.mark.extended
@pytest.mark.parametrize("rows", [1, 100_000])
def test_frames_can_be_written_to(view, rows):
    """Cells can be set and missing values filled; the stored frame stays as it was."""

    def make():
        values = np.arange(rows, dtype="f8")
        values[-1] = np.nan
        times = pd.Series(pd.date_range("2024", periods=rows, freq="min", tz="Europe/Paris"))
        times.iloc[-1] = pd.NaT
        codes = pd.Categorical.from_codes(np.array([-1] * rows, "i1"), ["a", "b"])
        frame = pd.DataFrame({"a": values, "b": values, "c": codes, "d": times})
        return frame.assign(e=pd.array([None] * rows, "Int64"), f=np.zeros(rows, bool))

    view.put("x", make())
    mine = view.get("x")
    for column, value in enumerate([7.5, 8.5, "b", pd.Timestamp("2000", tz="Europe/Paris"), 3, 1]):
        mine.iloc[0, column] = bool(value) if column == 5 else value
    mine.fillna({"a": 1.5, "b": 1.5, "c": "a", "e": 9}, inplace=True)
    assert (0, "b", 3) == (mine["b"].isna().sum(), mine["c"].iloc[0], mine["e"].iloc[0])
    assert_same(make(), view.get("x"))


@pytest.mark.parametrize("size", [3, 100_000])
def test_arrays_can_be_written_to(view, size):
    """An array can be changed in place; the stored one, and another reader's, stay."""
    view.put("x", np.arange(size))
    mine, other = view.get("x"), view.get("x")
    mine += 1
    assert_same(np.arange(1, size + 1), mine)
    assert_same(np.arange(size), other)
    assert_same(np.arange(size), view.get("x"))


def test_values_outlive_their_object(view):
    """A mapped value stays whole when its object is replaced and deleted."""
    view.put("x", np.arange(100_000))
    mine = view.get("x")
    view.put("x", np.zeros(100_000))
    view.delete("x")
    assert_same(np.arange(100_000), mine)

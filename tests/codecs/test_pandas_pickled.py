"""Columns that are pickled: as large as their pickle, mapped, checked, one by one."""

import pickle
import tracemalloc
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from runstore import ObjectStore
from runstore.errors import CorruptObjectError
from runstore.testing import assert_same


@dataclass
class _Own:
    a: int
    b: str


def _with_own(rows: int) -> pd.DataFrame:
    long = np.arange(rows, dtype=np.longdouble)
    return pd.DataFrame(
        {"n": np.arange(rows), "own": [_Own(i, "a") for i in range(rows)], "l": long}
    )


@pytest.mark.parametrize("rows", [1, 64, 65, 5000])
def test_pickled_columns_of_any_length(tmp_path: Any, rows: int) -> None:
    """A pickled column comes back whatever its length, also alone, and can be written to."""
    view = ObjectStore(tmp_path).at(namespace="dev", run="r1")
    frame = _with_own(rows)
    view.put("x", frame)
    assert_same(frame, view.get("x"))
    back = view.get("x", columns=["l"])
    assert_same(frame[["l"]], back)
    back.iloc[0, 0] = 7
    assert_same(frame, view.get("x"))
    stream = view.get("x", columns=["own"], as_type=bytes)
    assert_same(frame["own"].to_numpy(), pickle.loads(stream))


def test_pickled_columns_have_no_offsets(tmp_path: Any) -> None:
    """A pickled column is as large as its pickle, its buffers are mapped, and others read on."""
    view = ObjectStore(tmp_path).at(namespace="dev", run="r1")
    rows = 1 << 17
    frame = pd.DataFrame({"n": np.arange(rows), "l": np.arange(rows, dtype=np.longdouble)})
    info = view.put("x", frame)
    assert info.size < frame.memory_usage(index=False).sum() + rows + 8192
    tracemalloc.start()
    back = view.get("x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
    assert_same(frame, back)
    assert rows == len(pl.read_ipc(next(tmp_path.rglob("x.arrow")))["n"])


def test_a_damaged_pickled_column_is_found(tmp_path: Any) -> None:
    """Each bit of a pickled column is checked before it is loaded, also of a mapped file."""
    view = ObjectStore(tmp_path).at(namespace="dev", run="r1")
    view.put("x", _with_own(1 << 15))
    path = next(tmp_path.rglob("x.arrow"))
    data = bytearray(path.read_bytes())
    at = data.rindex(np.longdouble(12_345).tobytes()[:10])
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptObjectError):
        view.get("x")


def test_a_frame_of_many_pickled_columns_is_one_pickle(tmp_path: Any) -> None:
    """It is no larger than its pickle, and columns of it can still be got."""
    view = ObjectStore(tmp_path).at(namespace="dev", run="r1")
    cells = np.zeros((50, 300))
    cells[::10] = 1.5
    frame = pd.DataFrame(cells).astype(pd.SparseDtype("float64", 0.0))
    info = view.put("x", frame)
    assert info.size < len(pickle.dumps(frame, 5)) + 4096
    assert_same(frame, view.get("x"))
    assert_same(frame[[7, 3]], view.get("x", columns=[7, 3]))

"""More than 2 GiB, and more than 2^31 items, of every codec that keeps bytes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from runstore import ObjectStore

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

COUNT = (1 << 31) + 1

# Zeros, which take no memory before they are written to.
LARGE: dict[str, Callable[[], Any]] = {
    "truth": lambda: np.zeros(COUNT, bool),
    "times": lambda: np.zeros(COUNT // 8 + 1, "M8[s]"),
    "complex": lambda: np.zeros(COUNT // 8 + 1, "c8"),
    "structured": lambda: np.zeros(COUNT // 3 + 1, [("a", "i1"), ("b", "i2")]),
    "numbers": lambda: np.zeros(COUNT, "u1"),
    "a weight in a dict": lambda: {"w": np.zeros(COUNT, "u1")},
    "series": lambda: pd.Series(np.zeros(COUNT, "i1")),
    "arrow": lambda: pa.array(np.zeros(COUNT, "u1")),
    "bytes": lambda: bytes(COUNT),
    "chunks of text": lambda: pd.Series(
        pd.arrays.ArrowExtensionArray(pa.chunked_array([["x" * 1000] * 1_100_000] * 2))
    ),
}


@pytest.mark.parametrize("extension", ["", ".npy"])
@pytest.mark.parametrize("name", LARGE)
def test_more_than_two_gib(name: str, extension: str, tmp_path: Any) -> None:
    """The value comes back with as many items, and its last one."""
    value = LARGE[name]()
    if extension and not isinstance(value, np.ndarray):
        pytest.skip("a .npy file holds an array")
    view = ObjectStore(tmp_path).at(namespace="n", run="r")
    view.put(f"x{extension}", value)
    back = view.get(f"x{extension}")
    if isinstance(value, dict):
        value, back = value["w"], back["w"]
    assert (type(value), len(value)) == (type(back), len(back))
    at = len(value) - 1
    last, read = (v.iloc[at] if isinstance(v, pd.Series) else v[at] for v in (value, back))
    assert last == read
    assert getattr(value, "dtype", None) == getattr(back, "dtype", None)

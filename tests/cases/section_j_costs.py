"""Section J.13: what large containers and columns cost beside pickle, in bytes and in calls."""

import pickle
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cases._case import case


@dataclass
class Own:
    """What only pickle keeps."""

    a: int
    b: str


def _view(here: Path) -> Any:
    from runstore import ObjectStore

    return ObjectStore(here / "store", pickle="deny").at(namespace="n", run="r")


def _calls(do: Any) -> int:
    """Return how many functions were called meanwhile, of Python's or of C's."""
    count = 0

    def profile(frame: Any, event: str, arg: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        do()
    finally:
        sys.setprofile(None)
    return count


def _containers(count: int) -> dict[str, Any]:
    import datetime as dt
    import random

    import numpy as np

    day = dt.datetime(2024, 1, 1)
    return {
        "dict of int keys": {i: i * 7 for i in range(count)},
        "tuples": [(i, i / 3, f"t{i}") for i in range(count)],
        "datetimes": [day + dt.timedelta(seconds=i) for i in range(count)],
        "bytes of 200": [random.Random(i).randbytes(200) for i in range(count // 4)],
        "np.float64": [np.float64(i / 3) for i in range(count)],
        "ints": list(range(4 * count)),
        "few large ints": [i % 200 + (i % 50 == 0) * 2**40 for i in range(count)],
        "half large ints": [i % 200 + (i % 2) * 2**40 for i in range(count)],
        "few very large ints": {i: (i % 200) ** (1 + 9 * (i % 99 == 0)) for i in range(count)},
        "set of text": {f"text {i}" for i in range(count)},
        "frozenset of floats": frozenset(i / 3 for i in range(count)),
        "lists of ints": [list(range(i % 9)) for i in range(count)],
        "arrays in a dict": {f"a{i}": np.arange(10.0) + i for i in range(count)},
        "arrays of other lengths": [np.arange(float(i % 50)) for i in range(count)],
        "in a value": {"ids": list(range(count)), "of": {"day": dict.fromkeys(range(count), day)}},
    }


@case("J13", "The file of a large container is at most 1.2 times its pickle, without pickle.")
def containers_in_bytes(here: Path) -> None:
    from runstore.testing import assert_same

    view = _view(here)
    for name, value in _containers(50_000).items():
        info = view.put(name, value)
        pickled = len(pickle.dumps(value, 5))
        assert info.size <= 1.2 * pickled + 4096, (name, info.size, pickled)
        back = view.get(name)
        if isinstance(value, (set, frozenset)):
            assert type(back) is type(value), name
            back, value = sorted(back), sorted(value)
        assert_same(value, back)


@case("J13", "No function is called once for each item of a large container, by put or by get.")
def containers_in_calls(here: Path) -> None:
    view = _view(here)

    def calls(value: Any) -> tuple[int, int]:
        return _calls(lambda: view.put("x", value)), _calls(lambda: view.get("x"))

    small, large = _containers(10_000), _containers(20_000)
    for name, value in small.items():
        calls(value)  # modules are loaded
        for few, many in zip(calls(value), calls(large[name]), strict=True):
            assert many < few + 1000, (name, few, many)


@case("J13", "Columns that are pickled take no offsets, and many of them one pickle.")
def pickled_columns(here: Path) -> None:
    import numpy as np
    import pandas as pd

    from runstore import ObjectStore

    view = ObjectStore(here / "store").at(namespace="n", run="r")
    long = {f"c{i}": np.arange(100_000, dtype=np.longdouble) for i in range(16)}
    objects = [pd.Series([Own(j, str(j)) for j in range(20_000)], dtype=object) for _ in range(4)]
    cells = np.zeros((1000, 10_000))
    cells[::10, ::7] = 1.5
    for name, frame in {
        "long double": pd.DataFrame(long),
        "objects": pd.DataFrame(dict(enumerate(objects))),
        "sparse": pd.DataFrame(cells).astype(pd.SparseDtype("float64", 0.0)),
    }.items():
        info = view.put(name, frame)
        pickled = len(pickle.dumps(frame, 5))
        assert info.size <= 1.2 * pickled, (name, info.size, pickled)
        back = view.get(name)
        assert frame.dtypes.equals(back.dtypes)
        assert (frame.to_numpy() == back.to_numpy()).all()

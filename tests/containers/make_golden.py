"""Write the golden files of the current format version; run by hand, once per version.

    python tests/containers/make_golden.py

What is there already stays; a new codec adds its file.

Files of a released version are never written again: the tests read them for ever.
"""

import re
import sys
from array import array
from collections import OrderedDict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import xarray as xr
from scipy import sparse
from sklearn.preprocessing import StandardScaler

from runstore import ObjectStore

GOLDEN = Path(__file__).parent / "golden"


def text_dtype():
    """Return what is text by default to pandas 3, which wrote the files, as any pandas has it."""
    if pd.__version__.startswith("2.2."):
        return pd.StringDtype("pyarrow_numpy")
    return pd.StringDtype("pyarrow", np.nan)


def values():
    """Give name to value for codecs and files by extension, but for xarray's and torch's."""
    days = pd.date_range("2013-01-01", periods=4, tz=ZoneInfo("America/New_York"), unit="us")
    text = text_dtype()
    labels = pd.Index(["b", "a", "unused"], dtype=text)
    frame = pd.DataFrame(
        {
            "float": [1.5, float("nan"), -0.0, float("inf")],
            "int": np.array([1, 2, 3, 4], "i8"),
            "text": pd.array(["a", None, "é", ""], dtype=text),
            "bool": [True, False, True, True],
            "day": days,
            "nullable": pd.array([1, None, 3, 4], dtype="Int64"),
            "category": pd.Categorical(["a", None, "b", "a"], categories=labels),
            "object": pd.Series([1, "a", None, (1, 2)], dtype=object),
        },
        index=pd.Index([10, 20, 30, 40], name="id"),
    )
    table = pd.DataFrame({"a": [1.5, 2.5], "b": pd.array(["x", None], dtype=text)})
    rich = pd.DataFrame(
        {
            "label": pd.Categorical(
                ["b", None], pd.Index(["c", "b", "a"], dtype=text), ordered=True
            ),
            "second": pd.to_datetime(["2024-01-01", None]).as_unit("s"),
            "month": pd.period_range("2024", periods=2, freq="M"),
            "price": [Decimal("1.50"), None],
            "list": [[1, 2], None],
        },
        index=pd.MultiIndex.from_arrays(
            [pd.Index(["x", "y"], dtype=text), [1, 2]], names=["k", None]
        ),
    )
    pickled = pd.DataFrame(
        {"sets": [{i, -i} for i in range(600)], "long": np.arange(600, dtype=np.longdouble)}
    )
    for one in (frame, table, rich, pickled):
        one.columns = one.columns.astype(text)
    return {
        "frame": frame,
        "folder/frame.parquet": table,
        "folder/rich.parquet": rich,
        "frame-pickled": pickled,
        "folder/series.parquet": pl.Series("s", ["b", None], dtype=pl.Enum(["a", "b"])),
        "table": pa.table({"a": [1, 2, None], "b": ["x", "y", "z"]}),
        "array": np.arange(12.0).reshape(3, 4),
        "array-f": np.asfortranarray(np.arange(12, dtype="i4").reshape(3, 4)),
        "structured": np.array([(1, 2.5), (3, 4.5)], dtype=[("a", "i4"), ("b", "f8")]),
        "bytes": b"\x00\x01\xff",
        "text": "žluťoučký kůň 🦆",
        "json": {"a": [1, 2.5, None, True], "b": {"c": "d"}},
        "pickle": {1, 2, 3},
        "big-pickle": (np.arange(2000.0), "x"),
        "x" * 300: "a shortened key",
        "nested": {
            "array": np.arange(3.0),
            "tables": [pa.table({"a": [1, None]}), pa.table({"a": ["x"]})],
            "small": (1, b"x", Decimal("1.50"), 1j, UUID(int=7), np.float32(1.5)),
            "times": (datetime(2024, 1, 2, tzinfo=UTC), date(2024, 1, 2), timedelta(1, 2, 3)),
            "keys": {1: "a", (2, 3): "b"},
        },
        "packed": [(i, i / 4, f"t{i}", None if i % 2 else b"x") for i in range(300)],
        "packed-parts": {
            "dict": {date.fromordinal(700_000 + i): [i, -i] for i in range(300)},
            "times": [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=i) for i in range(300)],
            "arrays": {f"a{i}": np.arange(i % 4, dtype="f4") for i in range(300)},
            "scalars": tuple(np.int16(i) for i in range(300)),
            "large": tuple(Decimal(i) / 8 for i in range(300)),
            "codes": ("one", "two", None) * 100,
        },
        "everyday": {
            "set": {1, 2},
            "pandas": [
                pd.Timestamp("2024-01-01", tz="UTC").as_unit("us"),
                pd.NaT,
                pd.Period("2024", "M"),
            ],
            "status": HTTPStatus.OK,
            "masked": np.ma.array([1.5, 2.5], mask=[True, False]),
            "sparse": sparse.csr_array(np.eye(3)),
            "objects": np.array([1, "a", None], object),
        },
        "plain": {
            "pattern": re.compile(r"(?P<day>[0-9а-я]+)", re.IGNORECASE),
            "bytes": re.compile(rb"\x00+"),
            "namespace": SimpleNamespace(a=...),
            "kinds": [np.dtype("<i4"), int, range(3), pa.list_(pa.int8())],
            "own": array("d", [1.5]),
        },
        "xarray-levels": _levels(),
        "xarray-tree": xr.DataTree.from_dict({"/": _levels(), "/c/d": xr.Dataset({"a": 1.5})}),
        "everyday-frame": pd.DataFrame(
            {
                ("text", "a"): pd.Series(["x", None, float("nan")], dtype=object),
                ("date", "b"): pd.Series([date(2024, 1, 1), None, date(1, 1, 1)], dtype=object),
                ("bin", "c"): pd.cut([1, 2, 3], 2),
                ("offset", "d"): pd.to_datetime(["2024-01-01T00:00:00+01:00"] * 3),
                ("complex", "e"): [1j, 2, 3],
                ("list", "f"): pd.Series([[1], [], None], dtype=object),
            },
            index=pd.period_range("2024", periods=3, freq="M", name=("when", 1)),
        ),
        "everyday-polars": pl.DataFrame(
            {"e": pl.Series(["b", None], dtype=pl.Enum(["a", "b"])), "d": [Decimal("1.5"), None]}
        ),
        "file.json": {"a": [1, 2.5, None, True], "b": {"c": "d"}},
        "number.json": 12345,
        "file.npy": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        "file.pkl": {1, 2, 3},
        "ordered.safetensors": OrderedDict(b=np.arange(3, dtype="i2"), a=np.ones((2, 2))),
        "file.safetensors": {"b": np.arange(3, dtype="i2"), "a": np.ones((2, 2))},
        "file.skops": StandardScaler().fit(np.arange(6.0).reshape(3, 2)),
        "file.csv": pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y z"]}),
    }


def _levels():
    whole = xr.Dataset(
        {"v": (("x", "y"), np.arange(4.0).reshape(2, 2))},
        {"x": ("x", [1, 2], {"unit": "m"}), "y": np.array([0.5, 1.5])},
        {"title": "t"},
    )
    return whole.stack(z=("x", "y"))


def parts():
    """Give the parts of a sealed object by key."""
    text = text_dtype()
    labels = pd.Index(["b", "a"], dtype=text)
    found = {}
    for number, key in enumerate([7, -1, "a/b.c", ("x", 2), ("x", 10), "long " * 40]):
        category = pd.Categorical(["a", None], categories=labels)
        found[key] = pd.DataFrame({"n": [number, 2], "c": category})
        found[key].columns = found[key].columns.astype(text)
    return found


if __name__ == "__main__":
    version = sys.argv[1] if len(sys.argv) > 1 else "v1"
    folder = GOLDEN / version
    view = ObjectStore(folder).at(namespace="golden", run=version)
    for name, value in values().items():
        if view.exists(name):
            continue  # written once
        view.put(name, value, metadata=None if "." in name and "parquet" not in name else {"v": 1})
    if not view.exists("sealed"):
        for key, part in parts().items():
            view.put("sealed", part, part=key)
        view.seal("sealed", metadata={"v": 1})

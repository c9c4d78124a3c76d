"""One object of every kind, as its writer leaves it."""

import io
import os
import pickle
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import xarray as xr
from sklearn.preprocessing import StandardScaler

from runstore import ObjectStore
from runstore.errors import UnsupportedValueError

__all__ = ["CANARY", "LookAlike", "file_of", "files", "values"]

CANARY = Path("canary")  # made by whatever is executed, in the working directory


class Bomb:
    """A value whose pickle makes the canary."""

    def __reduce__(self) -> Any:
        return os.mkdir, (str(CANARY),)


class LookAlike(pa.ExtensionType):  # type: ignore[misc]
    """A type as other libraries register them: its class executes what the file says."""

    def __init__(self) -> None:
        super().__init__(pa.large_binary(), "ray.data.arrow_pickled_object")

    def __arrow_ext_serialize__(self) -> bytes:
        return pickle.dumps(Bomb())

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: Any, serialized: bytes) -> "LookAlike":
        pickle.loads(serialized)
        return cls()


def values(rows: int) -> dict[str, Any]:
    """Return name to value; *rows* says how large each is."""
    at = np.arange(rows)
    numbers, text = at / 7, [f"text {i} é" for i in range(rows)]
    frame = pd.DataFrame(
        {
            "float": numbers,
            "int": at.astype("i4"),
            "text": pd.Series(text, dtype="str"),
            "bytes": pd.Series([b"x" * (i % 5) for i in range(rows)], dtype=object),
            "category": pd.Categorical.from_codes(at % 3 - 1, ["a", "b"]),
            "numbers": pd.Categorical.from_codes((at % 2).astype("i1"), [1.5, 2.5]),
            "zone": pd.date_range("2024", periods=rows, tz="Europe/Paris", freq="min"),
            "time": pd.date_range("2024", periods=rows, freq="s").as_unit("ms"),
            "nullable": pd.array([None if i % 3 else i for i in range(rows)], "Int64"),
            "flag": at % 2 == 0,
            "maybe": pd.array([None if i % 3 else bool(i % 2) for i in range(rows)], "boolean"),
            "arrow": pd.array(text, pd.ArrowDtype(pa.large_string())),
        }
    )
    lists = [list(range(i % 4)) if i % 5 else None for i in range(rows)]
    views = pa.array([f"a rather long text {i}" for i in range(rows)], pa.string_view())
    types = pa.array([i % 2 for i in range(rows)], pa.int8())
    halves = [pa.array(at), pa.array(text)]
    table = pa.table(
        {
            "list": pa.array(lists, pa.large_list(pa.int16())),
            "struct": pa.array([{"a": i, "b": text[i]} for i in range(rows)]),
            "map": pa.array(
                [[(text[i], i)] for i in range(rows)], pa.map_(pa.string(), pa.int64())
            ),
            "views": views,
            "listview": pa.array(lists, pa.list_view(pa.int32())),
            "fixed": pa.array([[i, i] for i in range(rows)], pa.list_(pa.int32(), 2)),
            "decimal": pa.array([Decimal(i) / 4 for i in range(rows)], pa.decimal128(20, 3)),
            "null": pa.nulls(rows),
            "dictionary": pa.array(text).dictionary_encode(),
            "binary": pa.array([b"abcd"] * rows, pa.binary(4)),
            "union": pa.UnionArray.from_sparse(types, halves),
            "dense": pa.UnionArray.from_dense(
                types, pa.array([i // 2 for i in range(rows)], pa.int32()), halves
            ),
            "runs": pa.RunEndEncodedArray.from_arrays(
                pa.array([rows // 2, rows], pa.int32()), pa.array(["a", "b"])
            ),
            "day": pa.array(at.astype("i4"), pa.int32()).cast(pa.date32()),
            "noon": pa.array(at, pa.int64()).cast(pa.time64("us")),
            "float": numbers,
        }
    )
    polars = pl.DataFrame(
        {
            "a": numbers,
            "b": text,
            "c": [i % 2 == 0 for i in range(rows)],
            "d": lists,
            "e": [{"x": i, "y": str(i)} for i in range(rows)],
            "f": [b"y" * (i % 20) for i in range(rows)],
        }
    )
    structured = np.zeros(rows, [("a", "f8"), ("b", "?"), ("c", "U3")])
    return {
        "frame": frame,
        "series": pd.Series(text, index=pd.date_range("2024", periods=rows, tz="UTC", freq="D")),
        "multi": frame[["float", "text"]].set_index(
            pd.MultiIndex.from_arrays([text, at % 7], names=["a", "b"])
        ),
        "index": pd.Index(pd.Categorical.from_codes(at % 2, ["x", "y"])),
        "pickled": pd.DataFrame({"a": [Bomb()] * min(rows, 3), "b": at[: min(rows, 3)]}),
        "objects": pd.DataFrame({"o": pd.Series(text, dtype=object)}),
        "table": table,
        "batch": table.select(["list", "views", "float"]).to_batches()[0],
        "array": pa.array(text),
        "scalar": pa.scalar({"a": [1, 2, 3]}),
        "schema": table.schema,
        "polars": polars,
        "series2": pl.Series("s", text),
        "numpy": numbers.reshape(-1, 2) if rows % 2 == 0 else numbers,
        "bools": at % 2 == 0,
        "unicode": np.array(text),
        "structured": structured,
        "times": at.astype("M8[s]"),
        "str": "".join(text),
        "bytes": numbers.tobytes(),
        "json": {"a": text, "b": numbers.tolist()},
        "nested": {"array": numbers, "frame": frame, "small": (1, Decimal("1.5"), b"x", {1: 2})},
        "items": _items(300),
        "keys": {i: (date.fromordinal(i + 1), [i] * (i % 3)) for i in range(300)},
        "parts": {"by": {f"a{i}": np.arange(i % 5) for i in range(300)}, "n": (1.5, None) * 200},
        "pickled2": pd.DataFrame({"a": [Bomb()] * 300, "b": np.arange(300, dtype=np.longdouble)}),
        "xarray": xr.Dataset({"a": ("x", numbers)}, {"x": at}, {"units": "m"}),
        "pickle": [Bomb(), {1, 2}],
        "frame.parquet": frame.drop(columns=["category", "numbers", "arrow", "time"]),
        "rich.parquet": pd.DataFrame(
            {
                "label": pd.Categorical.from_codes(at % 2, ["x", "y"]),
                "second": pd.Series(at.astype("M8[s]")),
                "month": pd.PeriodIndex.from_ordinals(at, freq="M"),
                "list": pd.Series([[n] for n in at.tolist()], dtype=object),
            }
        ).set_index(pd.MultiIndex.from_arrays([text, at % 7], names=["a", "b"])),
        "table.parquet": table.select(["list", "struct", "float"]),
        "file.json": {"a": text[:50], "b": [[[1]]]},
        "array.npy": numbers,
        "bools.npy": at % 2 == 0,
        "arrays.safetensors": {"a": numbers, "b": at % 2 == 0},
        "model.skops": StandardScaler().fit(numbers.reshape(-1, 1)),
        "set.pkl": {frozenset({1}), 2},
        "file.csv": pd.DataFrame({"a": numbers[:20], "b": text[:20]}),
    }


def _items(count: int) -> list[Any]:
    """Return large containers' items of many types."""
    at = datetime(2024, 10, 27, tzinfo=ZoneInfo("Europe/Paris"))
    return [
        (
            *(
                i,
                -(9**30) - i,
                i / 3,
                i % 2 == 0,
                complex(i),
                Decimal(i),
                f"t{i % 3}",
                b"x" * (i % 4),
            ),
            *(
                at + timedelta(hours=i),
                at.replace(fold=1),
                time(i % 24),
                timedelta(i),
                np.float32(i),
            ),
            *(np.bool_(i % 2), np.full((2, i % 3), i), {"k": None if i % 2 else [i]}),
        )
        for i in range(count)
    ]


def file_of(view: Any, name: str) -> Path:
    """Return the file of a name, in a store on disk."""
    folder = Path(urlsplit(view.store.url).path) / "n" / "r"
    return folder / (name if "." in name else f"{name}.arrow")


def files(folder: Path, rows: int) -> Iterator[tuple[str, bytes]]:
    """Return name and bytes of a file of every kind, and of some that others wrote."""
    view = ObjectStore(folder).at(namespace="n", run="r")
    for name, value in values(rows).items():
        try:
            view.put(name, value)
        except UnsupportedValueError:
            continue  # with old versions of the libraries
        yield name, file_of(view, name).read_bytes()
    for compression in ("lz4", "zstd"):
        view.put("packed", values(rows)["frame"], compression=compression)
        yield "packed", file_of(view, "packed").read_bytes()
    yield "foreign", _foreign(pa.table({"a": ["x", "y"] * rows, "b": list(range(2 * rows))}))
    kept = values(rows)["table"].select(["list", "struct", "float"])
    for compression in ("none", "snappy"):  # without checksums of the pages
        sink = io.BytesIO()
        pq.write_table(kept, sink, compression=compression)
        yield "foreign.parquet", sink.getvalue()
    metadata = {
        "ARROW:extension:name": "ray.data.arrow_pickled_object",
        "ARROW:extension:metadata": pickle.dumps(Bomb()),
    }
    field = pa.field("a", pa.large_binary(), metadata=metadata)
    cells = pa.array([pickle.dumps(Bomb())] * 3, pa.large_binary())
    posing = pa.table([cells], schema=pa.schema([field]))
    view.put("posing", posing)
    yield "posing", file_of(view, "posing").read_bytes()
    yield "posing", _foreign(posing)
    view.put("posing.parquet", posing)
    yield "posing.parquet", file_of(view, "posing.parquet").read_bytes()


def _foreign(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()

"""Frames and series of Dask: a partition is a part, written and read by the worker that has it."""

from collections.abc import Sequence
from typing import Any

import dask
import dask.dataframe as dd
import pandas as pd

from runstore.objects import ObjectInfo
from runstore.store._partitions._crossing import PartReader, PartWriter

__all__ = ["put", "read"]


def put(value: Any, write: PartWriter) -> Sequence[ObjectInfo]:
    """Put each partition under its number."""
    partitions = value.to_delayed(optimize_graph=True)
    task = dask.delayed(write, pure=False)
    infos: Sequence[ObjectInfo] = dask.compute(*map(task, range(len(partitions)), partitions))
    return infos


def read(reader: PartReader, kind: type) -> Any:
    """Return a Dask frame or series with a partition for each part; its divisions are unknown."""
    reader = reader.to(pd.Series if issubclass(kind, dd.Series) else pd.DataFrame)
    sizes = [part.size for part in reader.parts]
    smallest = sizes.index(min(sizes))
    (meta,) = dask.compute(dask.delayed(_empty, pure=False)(reader, smallest))
    return dd.from_map(reader, list(range(len(sizes))), meta=meta)


def _empty(reader: PartReader, number: int) -> Any:
    """Return a part without its rows: what types it has."""
    return reader(number).iloc[:0]

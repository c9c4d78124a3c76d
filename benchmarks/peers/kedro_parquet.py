"""Kedro's parquet data set for pandas."""

from pathlib import Path
from typing import Any

from kedro_datasets.pandas import ParquetDataset

requires = ("kedro==1.7.0", "kedro-datasets==9.6.0", "pandas==3.1.1", "pyarrow==26.0.1")

label = "Kedro parquet"
guarantees = "not atomic, no digest, compressed (snappy), some dtypes and labels change, writable"
lacks = "atomic replace, exact dtypes and labels, run scope"


def open_at(root: str) -> Any:
    return Path(root)


def put(handle: Any, key: str, value: Any) -> None:
    ParquetDataset(filepath=str(handle / key)).save(value)


def get(handle: Any, key: str) -> Any:
    return ParquetDataset(filepath=str(handle / key)).load()


def delete(handle: Any, key: str) -> None:
    (handle / key).unlink()

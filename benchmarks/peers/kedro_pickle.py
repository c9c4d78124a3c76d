"""Kedro's pickle data set."""

from pathlib import Path
from typing import Any

from kedro_datasets.pickle import PickleDataset

requires = ("kedro==1.7.0", "kedro-datasets==9.6.0", "pandas==3.1.1", "pyarrow==26.0.1")

label = "Kedro pickle"
guarantees = "not atomic, no digest, exact, runs code when read, writable"
lacks = "atomic replace, digest, loading without code execution, run scope"


def open_at(root: str) -> Any:
    return Path(root)


def put(handle: Any, key: str, value: Any) -> None:
    PickleDataset(filepath=str(handle / key)).save(value)


def get(handle: Any, key: str) -> Any:
    return PickleDataset(filepath=str(handle / key)).load()


def delete(handle: Any, key: str) -> None:
    (handle / key).unlink()

"""pandas' usual file format, by its own two functions and with their defaults."""

from pathlib import Path
from typing import Any

import pandas as pd

label = "pandas parquet"
guarantees = "not atomic, no digest, compressed (snappy), some dtypes and labels change, writable"
lacks = "atomic replace, exact dtypes and labels, run scope"


def open_at(root: str) -> Any:
    return Path(root)


def put(handle: Any, key: str, value: Any) -> None:
    value.to_parquet(handle / key)


def get(handle: Any, key: str) -> Any:
    return pd.read_parquet(handle / key)


def delete(handle: Any, key: str) -> None:
    (handle / key).unlink()

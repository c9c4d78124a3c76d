"""joblib's files, mapped copy-on-write: the strongest local reader we know."""

from pathlib import Path
from typing import Any

import joblib

label = "joblib mmap 'c'"
guarantees = (
    "not atomic (a file written over breaks its readers), no digest, exact, runs code when read, "
    "NumPy columns mapped and writable"
)
lacks = (
    "atomic replace (a file written over breaks its readers), digest, loading "
    "without code execution, run scope"
)


def open_at(root: str) -> Any:
    return Path(root)


def put(handle: Any, key: str, value: Any) -> None:
    joblib.dump(value, handle / key)


def get(handle: Any, key: str) -> Any:
    return joblib.load(handle / key, mmap_mode="c")


def delete(handle: Any, key: str) -> None:
    (handle / key).unlink()

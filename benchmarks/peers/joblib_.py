"""joblib's files, read into memory: scikit-learn's advice for models and arrays."""

from pathlib import Path
from typing import Any

import joblib

label = "joblib"
guarantees = "not atomic, no digest, exact, runs code when read, writable"
lacks = "atomic replace, digest, loading without code execution, run scope"


def open_at(root: str) -> Any:
    return Path(root)


def put(handle: Any, key: str, value: Any) -> None:
    joblib.dump(value, handle / key)


def get(handle: Any, key: str) -> Any:
    return joblib.load(handle / key)


def delete(handle: Any, key: str) -> None:
    (handle / key).unlink()

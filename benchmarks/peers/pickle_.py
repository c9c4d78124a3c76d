"""A pickle in a file, protocol 5: what one writes without a library."""

import pickle
from pathlib import Path
from typing import Any

label = "pickle"
guarantees = "not atomic, no digest, exact, runs code when read, writable"
lacks = "atomic replace, digest, loading without code execution, run scope"


def open_at(root: str) -> Any:
    return Path(root)


def put(handle: Any, key: str, value: Any) -> None:
    with (handle / key).open("wb") as file:
        pickle.dump(value, file, protocol=5)


def get(handle: Any, key: str) -> Any:
    with (handle / key).open("rb") as file:
        return pickle.load(file)


def delete(handle: Any, key: str) -> None:
    (handle / key).unlink()

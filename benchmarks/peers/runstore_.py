"""runstore itself, by the verbs a user calls and with their defaults."""

from typing import Any

from runstore import ObjectStore

label = "runstore"
guarantees = (
    "atomic, digest of every byte written (a large mapped get checks structure, not data), "
    "exact, private and writable"
)


def open_at(root: str) -> Any:
    return ObjectStore(root).at(namespace="benchmarks", run="run")


def put(handle: Any, key: str, value: Any) -> None:
    handle.put(key, value)


def get(handle: Any, key: str) -> Any:
    return handle.get(key)


def delete(handle: Any, key: str) -> None:
    handle.delete(key)

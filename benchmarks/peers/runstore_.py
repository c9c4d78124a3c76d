"""runstore itself, by the verbs a user calls and with their defaults."""

from typing import Any

from runstore import ObjectStore

label = "runstore"
guarantees = (
    "atomic, digest of every byte written (a large mapped get checks structure, not data), "
    "exact, private and writable"
)
lacks = ""


def open_at(root: str) -> Any:
    return ObjectStore(root).at(namespace="benchmarks", run="run")


def put(handle: Any, key: str, value: Any) -> None:
    handle.put(key, value)


def get(handle: Any, key: str) -> Any:
    return handle.get(key)


def delete(handle: Any, key: str) -> None:
    handle.delete(key)


def put_many(handle: Any, values: dict[str, Any]) -> None:
    handle.put_many(values)


def get_many(handle: Any, keys: list[str]) -> Any:
    return handle.get_many(keys)


def names(handle: Any) -> Any:
    return handle.list()


def exists(handle: Any, key: str) -> bool:
    return bool(handle.exists(key))


def stat(handle: Any, key: str) -> Any:
    return handle.stat(key)


def get_column(handle: Any, key: str, column: str) -> Any:
    return handle.get(key, columns=[column])


def fill_runs(handle: Any, runs: int, value: Any) -> None:
    for number in range(runs):
        handle.store.at(namespace="benchmarks", run=f"run-{number}").put("only", value)

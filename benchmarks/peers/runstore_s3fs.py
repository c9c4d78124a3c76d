"""runstore through s3fs, where obstore is not installed."""

from typing import Any

from benchmarks.peers.runstore_ import delete, exists, get, get_many, names, put, put_many, stat
from runstore import ObjectStore

__all__ = ["delete", "exists", "get", "get_many", "names", "put", "put_many", "stat"]

label = "runstore via s3fs"
guarantees = "as runstore"
lacks = ""


def open_at(root: str) -> Any:
    return ObjectStore(root, engine="s3fs").at(namespace="benchmarks", run="run")

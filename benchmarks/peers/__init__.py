"""What is measured: one module per peer, each with exactly the names of `Peer`.

A peer's module is imported only in the process that measures it, so its imports
neither slow nor fatten another's. To add one, write the module, enter it in
`MODULES`, and name it in the cases that it can do.
"""

import ast
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Protocol, cast

__all__ = ["BLIND", "MODULES", "OPTIONAL", "Peer", "installed", "peer", "requirements"]


class Peer(Protocol):
    """What a peer's module has; nothing else in it is public but what `OPTIONAL` names."""

    label: str
    """How the tables call it."""

    guarantees: str
    """One line: atomic or not, checked or not, what comes back, and how writable."""

    lacks: str
    """What runstore guarantees and this does not, for the tables; empty if nothing."""

    def open_at(self, root: str) -> Any:
        """Give a handle on an empty place: a folder that exists, or a URL."""

    def put(self, handle: Any, key: str, value: Any) -> None:
        """Store *value*; when this returns, `get` of another process would find it."""

    def get(self, handle: Any, key: str) -> Any:
        """Give the value back as its own user would: ready to be computed with."""

    def delete(self, handle: Any, key: str) -> None:
        """Remove it."""

    # Of these a peer has what it can do.

    requires: tuple[str, ...]
    """Exact versions to be installed in an environment of its own."""

    def put_many(self, handle: Any, values: dict[str, Any]) -> None:
        """Store several at once; without it the harness calls `put` in eight threads."""

    def get_many(self, handle: Any, keys: list[str]) -> Any:
        """Get several at once; without it the harness calls `get` in eight threads."""

    def names(self, handle: Any) -> Any:
        """List all that is stored."""

    def exists(self, handle: Any, key: str) -> bool:
        """Whether it is there."""

    def stat(self, handle: Any, key: str) -> Any:
        """Describe it."""

    def get_column(self, handle: Any, key: str, column: str) -> Any:
        """Read one column of a frame."""

    def fill_runs(self, handle: Any, runs: int, value: Any) -> None:
        """Put one object into each of so many other runs."""


OPTIONAL = frozenset(
    {
        *("requires", "put_many", "get_many", "names", "exists", "stat", "get_column"),
        "fill_runs",
    }
)

MODULES = {
    "runstore": "runstore_",
    "runstore-s3fs": "runstore_s3fs",
    "raw": "raw_",
    "memcpy": "memcpy_",
    "pandas-parquet": "parquet_",
    "pickle": "pickle_",
    "joblib": "joblib_",
    "joblib-mmap": "joblib_mapped",
    "feather": "feather_",
    "boto3": "boto3_",
    "s3fs": "s3fs_",
    "obstore": "obstore_",
    "arcticdb": "arcticdb_",
    "flowdapt": "flowdapt_",
    "flowdapt-memory": "flowdapt_memory",
    "metaflow": "metaflow_",
    "prefect": "prefect_",
    "dagster": "dagster_",
    "mlflow": "mlflow_",
    "kedro-pickle": "kedro_pickle",
    "kedro-parquet": "kedro_parquet",
    "airflow": "airflow_",
}

BLIND = frozenset({"raw", "memcpy", "boto3", "s3fs", "obstore"})
"""Peers that know only bytes: they are given as many of them as the value has in memory."""


def peer(name: str) -> Peer:
    """Import a peer's module."""
    return cast("Peer", import_module(f"benchmarks.peers.{MODULES[name]}"))


@cache
def requirements(name: str) -> tuple[str, ...]:
    """What a peer's module says it `requires`, read without importing it."""
    path = Path(__file__).with_name(f"{MODULES[name]}.py")
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "requires":
            return tuple(ast.literal_eval(node.value))
    return ()


def installed(name: str) -> dict[str, str]:
    """Versions of what a peer requires, as they are in this process."""
    return {
        package: metadata.version(package)
        for package in (line.partition("==")[0] for line in requirements(name))
    }

"""What is measured: one module per peer, each with exactly the names of `Peer`.

A peer's module is imported only in the process that measures it, so its imports
neither slow nor fatten another's. To add one, write the module, enter it in
`MODULES`, and name it in the cases that it can do.
"""

from importlib import import_module
from typing import Any, Protocol, cast

__all__ = ["BLIND", "MODULES", "Peer", "peer"]


class Peer(Protocol):
    """What a peer's module has; nothing else in it is public."""

    label: str
    """How the tables call it."""

    guarantees: str
    """One line: atomic or not, checked or not, what comes back, and how writable."""

    def open_at(self, root: str) -> Any:
        """Give a handle on an empty place: a folder that exists, or a URL."""

    def put(self, handle: Any, key: str, value: Any) -> None:
        """Store *value*; when this returns, `get` of another process would find it."""

    def get(self, handle: Any, key: str) -> Any:
        """Give the value back as its own user would: ready to be computed with."""

    def delete(self, handle: Any, key: str) -> None:
        """Remove it."""


MODULES = {
    "runstore": "runstore_",
    "raw": "raw_",
    "memcpy": "memcpy_",
    "pandas-parquet": "parquet_",
    "pickle": "pickle_",
    "joblib": "joblib_",
    "joblib-mmap": "joblib_mapped",
    "feather": "feather_",
}

BLIND = frozenset({"raw", "memcpy"})
"""Peers that know only bytes: they are given as many of them as the value has in memory."""


def peer(name: str) -> Peer:
    """Import a peer's module."""
    return cast("Peer", import_module(f"benchmarks.peers.{MODULES[name]}"))

"""``runstore://`` as an fsspec filesystem: objects as files, for pandas, pyarrow or DuckDB.

fsspec finds it by its entry point; nothing else of runstore imports this room.
"""

from typing import Any

from runstore.filesystem._filesystem import RunstoreFileSystem

__all__ = ["RunstoreFileSystem", "RunstorePath"]


def __getattr__(name: str) -> Any:
    if name == "RunstorePath":  # needs universal_pathlib, which asks for it
        from runstore.filesystem._upath import RunstorePath

        return RunstorePath
    raise AttributeError(f"module 'runstore.filesystem' has no attribute {name!r}")

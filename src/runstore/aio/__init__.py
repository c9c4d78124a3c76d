"""The object store for event loops: the verbs of `runstore`, to await.

    from runstore.aio import ObjectStore, object_store

The loop is never blocked: every call is made in one of a few threads. A cancelled call is
safe: nothing of it appears after CancelledError is raised. The run is that of the task.
"""

from runstore.aio import object_store
from runstore.aio._store import ObjectStore, StoreView

__all__ = ["ObjectStore", "StoreView", "object_store"]

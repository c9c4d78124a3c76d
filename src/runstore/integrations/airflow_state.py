"""Airflow's plug-in for state of tasks and assets, of Airflow 3.3 and newer: values in the store.

``AIRFLOW__WORKERS__STATE_STORE_BACKEND=runstore.integrations.airflow_state.RunstoreStateStore``
"""

import asyncio
import json
from typing import Any
from urllib.parse import quote

from airflow.sdk.state import BaseStoreBackend, TaskScope

from runstore.context.resolvers import run_name
from runstore.keys import Scope
from runstore.store import ObjectRef, ObjectStore, StoreView

__all__ = ["RunstoreStateStore"]


class RunstoreStateStore(BaseStoreBackend):  # type: ignore[misc] # Airflow is not installed here
    """Stores what tasks keep in ``task_state_store`` and ``asset_state_store``, any value exactly.

    Airflow's database has a reference of a few hundred bytes. State of a task is the object
    ``state/<task>/<map index>/<key>`` of the DAG run, the same for each attempt; that of an asset
    is ``state/<asset>/<key>``, of the namespace. The store is that of ``RUNSTORE_URL``, which the
    workers have to share.
    """

    def serialize_task_state_store_to_ref(self, *, value: Any, key: str, scope: Any) -> str:
        """Store state of a task, and return what Airflow keeps.

        Raises:
            RunStoreError: As `runstore.object_store.put`.
        """
        return self._put(scope, key, value)

    def deserialize_task_state_store_from_ref(self, stored: str) -> Any:
        """Return the value of a reference.

        Raises:
            ObjectNotFoundError: It was removed.
            PreconditionFailedError: It was replaced.
            RunStoreError: As `runstore.object_store.get`.
        """
        return ObjectStore().at().get(ObjectRef(stored))

    def serialize_asset_state_store_to_ref(self, *, value: Any, key: str, scope: Any) -> str:
        """Store state of an asset, and return what Airflow keeps.

        Raises:
            RunStoreError: As `runstore.object_store.put`.
        """
        return self._put(scope, key, value)

    def deserialize_asset_state_store_from_ref(self, stored: str) -> Any:
        """As `deserialize_task_state_store_from_ref`."""
        return self.deserialize_task_state_store_from_ref(stored)

    def get(self, scope: Any, key: str, *, session: Any = None) -> str | None:
        """Return a value as JSON, or None if there is none."""
        view, kind, folder = _where(scope)
        value = view.get(_name(folder, key), scope=kind, default=None)
        return None if value is None else json.dumps(value)

    def set(
        self, scope: Any, key: str, value: str, *, expires_at: Any = None, session: Any = None
    ) -> None:
        """Store a value that is JSON; it goes with the run, and does not expire."""
        self._put(scope, key, json.loads(value))

    def delete(self, scope: Any, key: str, *, session: Any = None) -> None:
        """Remove one value, if it is there."""
        view, kind, folder = _where(scope)
        view.delete(_name(folder, key), scope=kind, missing_ok=True)

    def clear(self, scope: Any, *, all_map_indices: bool = False, session: Any = None) -> None:
        """Remove the values of a task or asset; with *all_map_indices* of all mapped ones."""
        view, kind, folder = _where(scope)
        if all_map_indices and isinstance(scope, TaskScope):
            folder = folder.rpartition("/")[0]
        for info in view.list(f"{folder}/", scope=kind):
            view.delete(info.name, scope=kind, missing_ok=True)

    async def aget(self, scope: Any, key: str, *, session: Any = None) -> str | None:
        """As `get`, without keeping the event loop."""
        return await asyncio.to_thread(self.get, scope, key)

    async def aset(
        self, scope: Any, key: str, value: str, *, expires_at: Any = None, session: Any = None
    ) -> None:
        """As `set`, without keeping the event loop."""
        await asyncio.to_thread(self.set, scope, key, value)

    async def adelete(self, scope: Any, key: str, *, session: Any = None) -> None:
        """As `delete`, without keeping the event loop."""
        await asyncio.to_thread(self.delete, scope, key)

    async def aclear(
        self, scope: Any, *, all_map_indices: bool = False, session: Any = None
    ) -> None:
        """As `clear`, without keeping the event loop."""
        await asyncio.to_thread(self.clear, scope, all_map_indices=all_map_indices)

    def _put(self, scope: Any, key: str, value: Any) -> str:
        view, kind, folder = _where(scope)
        name = _name(folder, key)
        view.put(name, value, scope=kind)
        return str(view.ref(name, scope=kind))


def _name(folder: str, key: str) -> str:
    return f"{folder}/{quote(key, safe='').replace('.', '%2E')}"


def _where(scope: Any) -> tuple[StoreView, Scope, str]:
    """Return where the state of a task or an asset is: a view, and how its objects' names begin.

    Keys and names of assets are quoted: an extension or a slash in them means nothing.
    """
    if isinstance(scope, TaskScope):
        run = run_name(scope.dag_id, scope.run_id)
        return ObjectStore().at(run=run), "run", f"state/{scope.task_id}/{scope.map_index}"
    asset = scope.name or scope.uri or f"id {scope.asset_id}"
    return ObjectStore().at(), "namespace", _name("state", asset)

"""Dagster's plug-in: an IO manager that keeps outputs as objects of the store."""

from typing import Any

import dagster as dg

from runstore.context.resolvers import run_name
from runstore.store import ObjectInfo, ObjectStore, StoreView

__all__ = ["RunstoreIOManager"]


class RunstoreIOManager(dg.ConfigurableIOManager):  # type: ignore[misc] # not installed here
    """Stores what ops and assets return, any value exactly, and gives it to those downstream.

    An asset is an object of the namespace, named by its key; its partitions are parts of it. The
    output of an op is an object of its run. What was stored is shown in Dagster's UI.

    Attributes:
        url: The store; by default ``RUNSTORE_URL``, else ``.runstore``.
        namespace: By default the setting ``RUNSTORE_NAMESPACE``, else ``default``.
    """

    url: str | None = None
    namespace: str | None = None

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Store an output, all or nothing.

        Raises:
            RunStoreError: As `runstore.object_store.put`.
        """
        if context.has_asset_key:
            name, view = "/".join(context.asset_key.path), self._view(None)
            if context.has_partition_key:
                info = view.put(name, obj, scope="namespace", part=context.partition_key)
            else:
                info = view.put(name, obj, scope="namespace")
        else:
            view = self._view(_run_of(context))
            info = view.put(_name_of(context), obj)
        context.add_output_metadata(_shown(info, view))

    def load_input(self, context: dg.InputContext) -> Any:
        """Return what upstream has stored; of several partitions a dict by their keys.

        Raises:
            ObjectNotFoundError: It was not stored, or was removed.
            RunStoreError: As `runstore.object_store.get`.
        """
        if not context.has_asset_key:
            upstream = context.upstream_output
            return self._view(_run_of(upstream)).get(_name_of(upstream))
        name, view = "/".join(context.asset_key.path), self._view(None)
        if not context.has_asset_partitions:
            return view.get(name, scope="namespace")
        parts = {info.part: info for info in view.parts(name, scope="namespace", sealed=False)}
        keys = context.asset_partition_keys
        found = {
            key: view.get(name, scope="namespace", part=parts[key]) for key in keys if key in parts
        }
        for key in keys:
            if key not in found:  # one error for all verbs: it names the object and the part
                found[key] = view.get(name, scope="namespace", part=key)
        return found[keys[0]] if len(keys) == 1 else found

    def _view(self, run: str | None) -> StoreView:
        return ObjectStore(self.url).at(namespace=self.namespace, run=run)


def _run_of(context: dg.OutputContext) -> str:
    return run_name(context.job_name, context.run_id)


def _name_of(context: dg.OutputContext) -> str:
    return f"{context.step_key}/{context.name}" + (
        f"/{context.mapping_key}" if context.mapping_key else ""
    )


def _shown(info: ObjectInfo, view: StoreView) -> dict[str, Any]:
    shown = {
        "store": view.store.url,
        "object": f"{info.namespace}/{info.run or '_shared'}/{info.name}",
        "type": info.python_type,
        "size": info.size,
        "rows": info.rows,
        "digest": info.digest,
    }
    return {key: value for key, value in shown.items() if value is not None}

"""Dagster's plug-in: an IO manager that keeps outputs as objects of the store, and run sensors.

``dg.Definitions(…, resources={"io_manager": RunstoreIOManager()}, sensors=run_sensors)``
"""

from typing import Any

import dagster as dg

from runstore.context.resolvers import run_name
from runstore.context.resolvers.dagster import is_unnamed, workflow_of
from runstore.integrations._ended import run_ended
from runstore.store import ObjectInfo, ObjectRef, ObjectStore, StoreView

__all__ = ["REF", "RunstoreIOManager", "run_sensors"]

REF = "runstore/ref"
"""The metadata of a source asset that is one version of an object: its reference."""


class RunstoreIOManager(dg.ConfigurableIOManager):  # type: ignore[misc] # not installed here
    """Stores what ops and assets return, any value exactly, and gives it to those downstream.

    An asset is an object of the namespace, named by its key; its partitions are parts of it. The
    output of an op is an object of its run. What was stored is shown in Dagster's UI. A source
    asset with the metadata `REF` is the object of that reference, whoever has stored it.

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
            view = self._view(_run_of(context, context))
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
            return self._view(_run_of(upstream, context)).get(_name_of(upstream))
        ref = _ref_of(context)
        if ref is not None:
            return self._view(None).get(ref)
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


def _run_of(output: dg.OutputContext, here: dg.OutputContext | dg.InputContext) -> str:
    """Return the name of the run that has made an output, as the context of its ops has it.

    Args:
        output: The output, perhaps of an earlier run that is executed again.
        here: What is stored or loaded now.
    """
    job = output.job_name
    if is_unnamed(job):  # then only the run knows for which assets it is
        step = here.step_context
        run = step.dagster_run
        if run.run_id != output.run_id:
            run = step.instance.get_run_by_id(output.run_id) or run
        job = workflow_of(run)
    return run_name(job, output.run_id)


def _ref_of(context: dg.InputContext) -> ObjectRef | None:
    upstream = context.upstream_output
    found = (upstream.definition_metadata if upstream is not None else {}).get(REF)
    return None if found is None else ObjectRef(str(getattr(found, "text", found)))


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


def _run_sensor(status: Any, name: str) -> Any:
    @dg.run_status_sensor(run_status=status, name=name)  # type: ignore[untyped-decorator]
    def sensor(context: dg.RunStatusSensorContext) -> None:
        """Let the record of a run say how it has ended."""
        run, failed = context.dagster_run, status != dg.DagsterRunStatus.SUCCESS
        reason = (context.dagster_event.message or run.status.value) if failed else None
        run_ended(workflow_of(run), run.run_id, "failed" if failed else "finished", reason)

    return sensor


run_sensors: list[Any] = [
    _run_sensor(status, f"runstore_{status.value.lower()}")
    for status in (
        dg.DagsterRunStatus.SUCCESS,
        dg.DagsterRunStatus.FAILURE,
        dg.DagsterRunStatus.CANCELED,
    )
]
"""For ``dg.Definitions(sensors=run_sensors)``: records of runs say how the runs have ended."""

"""Kedro's plug-in: by its hooks `runstore.object_store` works inside nodes.

Kedro loads it by the entry point ``kedro.hooks``, without a line of configuration.
"""

import threading
from typing import Any, Literal

from kedro.framework import project
from kedro.framework.hooks import hook_impl
from kedro.io import AbstractDataset

from runstore.context import StageScope
from runstore.context.resolvers import Found, Here, run_name
from runstore.errors import InvalidRequestError
from runstore.integrations._ended import run_ended
from runstore.store import ObjectRef, ObjectStore, stage_has_ended

__all__ = ["RunContextHooks", "RunstoreDataset", "current_node", "hooks"]

_running = threading.local()  # a node runs in one thread, and the hooks are called there


def current_node() -> Here | None:
    """Return the node that this thread runs."""
    stack: list[Here] = getattr(_running, "stack", [])
    return stack[-1] if stack else None


class RunContextHooks:
    """Note which node a thread runs, and of which run."""

    @hook_impl  # type: ignore[untyped-decorator] # Kedro is not installed where this is checked
    def before_node_run(self, node: Any, run_id: str) -> None:
        """A node begins in this thread."""
        name = _workflow()
        found = Found(workflow=name, run=run_name(name, run_id), uid=run_id, stage=node.name)
        stack = _running.__dict__.setdefault("stack", [])
        stack.append(Here((run_id, node.name), lambda: found))

    @hook_impl  # type: ignore[untyped-decorator] # Kedro is not installed where this is checked
    def after_node_run(self, node: Any, run_id: str) -> None:
        """It has ended."""
        _ended(node, run_id, "finished")

    @hook_impl  # type: ignore[untyped-decorator] # Kedro is not installed where this is checked
    def on_node_error(self, error: Exception, node: Any, run_id: str) -> None:
        """It has failed."""
        _ended(node, run_id, "failed", _reason(error))

    @hook_impl  # type: ignore[untyped-decorator] # Kedro is not installed where this is checked
    def after_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """The run has ended, and its record says so."""
        run_ended(_workflow(), run_params["run_id"], "finished")

    @hook_impl  # type: ignore[untyped-decorator] # Kedro is not installed where this is checked
    def on_pipeline_error(self, error: Exception, run_params: dict[str, Any]) -> None:
        """The run has failed, and its record says so."""
        run_ended(_workflow(), run_params["run_id"], "failed", _reason(error))


def _workflow() -> str:
    return project.PACKAGE_NAME or "kedro"


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _ended(
    node: Any, run_id: str, state: Literal["finished", "failed"], error: str | None = None
) -> None:
    stack = getattr(_running, "stack", [])
    if stack:
        stack.pop()
    stage = StageScope(name=node.name)
    stage_has_ended(run_name(_workflow(), run_id), stage, state, error)


hooks = RunContextHooks()


class RunstoreDataset(AbstractDataset[Any, Any]):  # type: ignore[misc] # Kedro is not installed here
    """A dataset of Kedro's catalog that is an object of the namespace; any value, exactly.

    In the catalog: ``type: runstore.integrations.kedro.RunstoreDataset`` and ``name: features``.

    Args:
        name: The object's name; or a reference, ``runstore://…``, to load that very version, which
            another orchestrator may have stored, and not to save.
        namespace: By default the setting ``RUNSTORE_NAMESPACE``, else ``default``.
        url: The store; by default ``RUNSTORE_URL``, else ``.runstore``.
        storage_options: Those of the store.
        metadata: Kedro's own; not used.
    """

    def __init__(
        self,
        *,
        name: str,
        namespace: str | None = None,
        url: str | None = None,
        storage_options: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._name = name
        self._ref = ObjectRef(name) if name.startswith("runstore://") else None
        self._view = ObjectStore(url, **(storage_options or {})).at(namespace=namespace)
        self.metadata = metadata

    def load(self) -> Any:
        """Return the value.

        Raises:
            RunStoreError: As `runstore.object_store.get`.
        """
        if self._ref is not None:
            return self._view.get(self._ref)
        return self._view.get(self._name, scope="namespace")

    def save(self, data: Any) -> None:
        """Store the value, all or nothing.

        Raises:
            InvalidRequestError: The dataset is a reference to a version.
            RunStoreError: As `runstore.object_store.put`.
        """
        if self._ref is not None:
            raise InvalidRequestError(
                f"save: this dataset is one version of an object, {self._name}, and cannot be "
                "saved: give the name of an object",
                self._name,
            )
        self._view.put(self._name, data, scope="namespace")

    def _exists(self) -> bool:
        ref = self._ref
        if ref is None:
            return self._view.exists(self._name, scope="namespace")
        at = self._view.store.at(namespace=ref.namespace, run=ref.run)
        return at.exists(ref.name, scope="namespace" if ref.run is None else "run")

    def _describe(self) -> dict[str, Any]:
        return {"name": self._name, "namespace": self._view.namespace, "url": self._view.store.url}

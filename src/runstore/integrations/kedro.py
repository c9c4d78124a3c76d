"""Kedro's plug-in: by its hooks `runstore.object_store` works inside nodes.

Kedro loads it by the entry point ``kedro.hooks``, without a line of configuration.
"""

import threading
from typing import Any

from kedro.framework import project
from kedro.framework.hooks import hook_impl
from kedro.io import AbstractDataset

from runstore.context.resolvers import Found, Here, run_name
from runstore.store import ObjectStore

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
        name = project.PACKAGE_NAME or "kedro"
        found = Found(workflow=name, run=run_name(name, run_id), uid=run_id, stage=node.name)
        stack = _running.__dict__.setdefault("stack", [])
        stack.append(Here((run_id, node.name), lambda: found))

    @hook_impl  # type: ignore[untyped-decorator] # Kedro is not installed where this is checked
    def after_node_run(self) -> None:
        """It has ended."""
        _ended()

    @hook_impl  # type: ignore[untyped-decorator] # Kedro is not installed where this is checked
    def on_node_error(self) -> None:
        """It has failed."""
        _ended()


def _ended() -> None:
    stack = getattr(_running, "stack", [])
    if stack:
        stack.pop()


hooks = RunContextHooks()


class RunstoreDataset(AbstractDataset[Any, Any]):  # type: ignore[misc] # Kedro is not installed here
    """A dataset of Kedro's catalog that is an object of the namespace; any value, exactly.

    In the catalog: ``type: runstore.integrations.kedro.RunstoreDataset`` and ``name: features``.

    Args:
        name: The object's name.
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
        self._view = ObjectStore(url, **(storage_options or {})).at(namespace=namespace)
        self.metadata = metadata

    def load(self) -> Any:
        """Return the value.

        Raises:
            RunStoreError: As `runstore.object_store.get`.
        """
        return self._view.get(self._name, scope="namespace")

    def save(self, data: Any) -> None:
        """Store the value, all or nothing.

        Raises:
            RunStoreError: As `runstore.object_store.put`.
        """
        self._view.put(self._name, data, scope="namespace")

    def _exists(self) -> bool:
        return self._view.exists(self._name, scope="namespace")

    def _describe(self) -> dict[str, Any]:
        return {"name": self._name, "namespace": self._view.namespace, "url": self._view.store.url}

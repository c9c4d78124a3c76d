"""Prefect's plug-in: results of flows and tasks go to the store, and a reference through Prefect.

``@task(persist_result=True, result_serializer="runstore")``, after this module was imported;
``result_storage=RunstoreStorage(…)``, which keeps what Prefect itself writes of results; and
``@flow(**run_hooks)``, so that the record of the run says how it has ended.
"""

import asyncio
from typing import Any, ClassVar

from prefect.filesystems import WritableFileSystem
from prefect.serializers import Serializer
from pydantic import Field

from runstore.integrations._carried import Carried
from runstore.integrations._ended import run_ended
from runstore.keys import Scope
from runstore.store import ObjectStore, StoreView

__all__ = ["RunstoreSerializer", "RunstoreStorage", "run_hooks"]

_FOR_ALL_RUNS: Scope = "namespace"


class RunstoreSerializer(Serializer):  # type: ignore[misc] # Prefect is not installed here
    """Stores a result, any value exactly, and gives Prefect a few hundred bytes that name it.

    The result is an object of the flow's run, ``prefect/<id>``; outside a run one of the
    namespace. So `delete_run` removes the results of a run, and those that Prefect has cached then
    are no more found.

    Attributes:
        url: The store; by default ``RUNSTORE_URL``, else ``.runstore``.
    """

    type: str = Field(default="runstore", frozen=True)
    url: str | None = None

    def dumps(self, obj: Any) -> bytes:
        """Store *obj*, and return what `loads` takes.

        Raises:
            RunStoreError: As `runstore.object_store.put`.
        """
        return Carried.of(obj, "prefect", self.url).as_json().encode()

    def loads(self, blob: bytes) -> Any:
        """Return the value that `dumps` has stored.

        Raises:
            ObjectNotFoundError: It was removed.
            CorruptObjectError: *blob* is not what `dumps` has returned.
            RunStoreError: As `runstore.object_store.get`.
        """
        return Carried.read(blob, "result of Prefect").open(self.url)


class RunstoreStorage(WritableFileSystem):  # type: ignore[misc] # Prefect is not installed here
    """A block of Prefect: files of results are objects of the namespace, each all or nothing.

    A file is the object ``prefect/<path>/file``, shared by the runs of the namespace, so that a
    result that is cached is found by later runs. With `RunstoreSerializer` it holds a reference to
    the value. Prefect wants a block that is saved: ``RunstoreStorage(…).save("results")``.

    Attributes:
        url: The store; by default ``RUNSTORE_URL``, else ``.runstore``.
        namespace: By default the setting ``RUNSTORE_NAMESPACE``, else ``default``.
    """

    _block_type_name: ClassVar[str | None] = "Runstore"
    _block_type_slug: ClassVar[str | None] = "runstore"

    url: str | None = None
    namespace: str | None = None

    # Prefect calls these with `_sync=True`, as it has methods that are both.

    def read_path(self, path: str, *, _sync: bool = True) -> bytes:
        """Return what `write_path` has stored.

        Raises:
            ObjectNotFoundError: Nothing is stored under *path*.
            RunStoreError: As `runstore.object_store.get`.
        """
        return self._view().get(_file(path), scope=_FOR_ALL_RUNS, as_type=bytes)

    def write_path(self, path: str, content: bytes, *, _sync: bool = True) -> str:
        """Store a file, all or nothing, and return its path.

        Raises:
            RunStoreError: As `runstore.object_store.put`.
        """
        self._view().put(_file(path), content, scope=_FOR_ALL_RUNS)
        return path

    async def aread_path(self, path: str) -> bytes:
        """As `read_path`, without keeping the event loop."""
        return await asyncio.to_thread(self.read_path, path)

    async def awrite_path(self, path: str, content: bytes) -> str:
        """As `write_path`, without keeping the event loop."""
        return await asyncio.to_thread(self.write_path, path, content)

    def _view(self) -> StoreView:
        return ObjectStore(self.url).at(namespace=self.namespace)


def _file(path: str) -> str:
    """Return the name of an object that is bytes, whatever the extension of the path means."""
    return f"prefect/{path.lstrip('/')}/file"


def _flow_ended(flow: Any, flow_run: Any, state: Any) -> None:
    error = None if state.is_completed() else f"{state.name}: {state.message or ''}".rstrip(": ")
    run_ended(flow.name, str(flow_run.id), "failed" if error else "finished", error)


run_hooks: dict[str, list[Any]] = {
    hook: [_flow_ended] for hook in ("on_completion", "on_failure", "on_crashed", "on_cancellation")
}
"""For ``@flow(**run_hooks)``: the record of the run says how it has ended."""

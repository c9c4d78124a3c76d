"""Prefect's plug-in: results of flows and tasks go to the store, and a reference through Prefect.

``@task(persist_result=True, result_serializer="runstore")``, after this module was imported; and
``@flow(**run_hooks)``, so that the record of the run says how it has ended.
"""

from typing import Any

from prefect.serializers import Serializer
from pydantic import Field

from runstore.integrations._carried import Carried
from runstore.integrations._ended import run_ended

__all__ = ["RunstoreSerializer", "run_hooks"]


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


def _flow_ended(flow: Any, flow_run: Any, state: Any) -> None:
    error = None if state.is_completed() else f"{state.name}: {state.message or ''}".rstrip(": ")
    run_ended(flow.name, str(flow_run.id), "failed" if error else "finished", error)


run_hooks: dict[str, list[Any]] = {
    hook: [_flow_ended] for hook in ("on_completion", "on_failure", "on_crashed", "on_cancellation")
}
"""For ``@flow(**run_hooks)``: the record of the run says how it has ended."""

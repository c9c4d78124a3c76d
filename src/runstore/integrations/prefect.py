"""Prefect's plug-in: results of flows and tasks go to the store, and a reference through Prefect.

``@task(persist_result=True, result_serializer="runstore")``, after this module was imported.
"""

import json
import uuid
from typing import Any

from prefect.serializers import Serializer
from pydantic import Field

from runstore.context import find_run_context
from runstore.errors import CorruptObjectError
from runstore.store import ObjectRef, ObjectStore

__all__ = ["RunstoreSerializer"]


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
        ctx = find_run_context()
        store = ObjectStore(self.url)
        view = store.at() if ctx is None else store.at(namespace=ctx.namespace, run=ctx.run.name)
        scope: Any = "namespace" if ctx is None else "run"
        name = f"prefect/{uuid.uuid4()}"
        view.put(name, obj, scope=scope)
        return json.dumps({"ref": view.ref(name, scope=scope), "store": store.url}).encode()

    def loads(self, blob: bytes) -> Any:
        """Return the value that `dumps` has stored.

        Raises:
            ObjectNotFoundError: It was removed.
            CorruptObjectError: *blob* is not what `dumps` has returned.
            RunStoreError: As `runstore.object_store.get`.
        """
        try:
            found = json.loads(blob)
            ref, url = ObjectRef(found["ref"]), str(found["store"])
        except (ValueError, TypeError, KeyError) as exc:
            raise CorruptObjectError(f"this result of Prefect names no object: {exc}") from exc
        return ObjectStore(self.url or url).at().get(ref)

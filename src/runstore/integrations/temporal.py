"""Temporal's plug-in: payloads that are large go to the store, and a claim through Temporal.

``DataConverter(external_storage=ExternalStorage(drivers=[RunstoreDriver()]))``; the SDK calls this
interface experimental.
"""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.converter import StorageDriver, StorageDriverClaim

from runstore.context.resolvers import run_name
from runstore.errors import CorruptObjectError
from runstore.keys import Scope
from runstore.store import ObjectRef, ObjectStore

__all__ = ["RunstoreDriver"]

_RUN: Scope = "run"
_NAMESPACE: Scope = "namespace"


class RunstoreDriver(StorageDriver):  # type: ignore[misc] # Temporal is not installed here
    """Stores payloads as Temporal has encoded them, and gives Temporal the names of the objects.

    A payload is an object of the workflow's run, ``temporal/<id>``; where Temporal names no run,
    one that the namespace's runs share. Its value is that of Temporal's converter: bytes to others.

    Args:
        url: The store; by default ``RUNSTORE_URL``, else ``.runstore``.
        namespace: By default the setting ``RUNSTORE_NAMESPACE``, else ``default``.
    """

    def __init__(self, url: str | None = None, namespace: str | None = None) -> None:
        self._url = url
        self._namespace = namespace

    def name(self) -> str:
        """Return the name by which claims find this driver."""
        return "runstore"

    def type(self) -> str:
        """Return the same in every language."""
        return "runstore"

    async def store(self, context: Any, payloads: Sequence[Any]) -> list[Any]:
        """Store payloads, each all or nothing, and return a claim for each.

        Raises:
            RunStoreError: As `runstore.object_store.put`.
        """
        run = _run_of(context.target)
        data = [payload.SerializeToString() for payload in payloads]
        return await asyncio.gather(*(asyncio.to_thread(self._put, run, one) for one in data))

    async def retrieve(self, context: Any, claims: Sequence[Any]) -> list[Any]:
        """Return the payloads of claims.

        Raises:
            CorruptObjectError: A claim names no object.
            ObjectNotFoundError: An object was removed.
            RunStoreError: As `runstore.object_store.get`.
        """
        return await asyncio.gather(*(asyncio.to_thread(self._get, claim) for claim in claims))

    def _put(self, run: str | None, data: bytes) -> Any:
        store, name = ObjectStore(self._url), f"temporal/{uuid.uuid4()}"
        view, scope = store.at(namespace=self._namespace, run=run), _RUN if run else _NAMESPACE
        view.put(name, data, scope=scope)
        ref = view.ref(name, scope=scope)
        return StorageDriverClaim(claim_data={"ref": str(ref), "store": str(store.url)})

    def _get(self, claim: Any) -> Any:
        found = claim.claim_data
        if not {"ref", "store"} <= found.keys():
            raise CorruptObjectError(f"this claim of Temporal names no object: {dict(found)}")
        ref, url = ObjectRef(found["ref"]), self._url or found["store"]
        return Payload.FromString(ObjectStore(url).at().get(ref))


def _run_of(target: Any) -> str | None:
    if target is None or target.run_id is None:
        return None
    return run_name(target.type or target.id or "temporal", target.run_id)

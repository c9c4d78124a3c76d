"""The verbs that hand objects to other programs, to await."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal, TypeVar

from runstore.keys import Scope
from runstore.store import Lineage, Method, ObjectRef, Reader, StoreUrl, Verbs

__all__ = ["AsyncAddressVerbs", "AwaitedStoreUrl"]

T = TypeVar("T")


class AwaitedStoreUrl(StoreUrl):
    """Where a store is: a text that can be called and awaited, as the verb ``url``."""

    async def __call__(  # type: ignore[override]
        self,
        name: str,
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
    ) -> str:
        """Return the URL of the stored file of an object; see `runstore.ObjectStore.url`."""
        url: str = await self._verb(name, scope=scope, run=run, namespace=namespace)
        return url


class AsyncAddressVerbs(ABC):
    """The verbs that hand objects to other programs, to await."""

    @abstractmethod
    async def _read(self, function: Callable[[Verbs], T]) -> T: ...

    async def url(
        self,
        name: str,
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
    ) -> str:
        """Return the URL of an object's file; see `runstore.ObjectStore.url`."""
        return await self._read(
            lambda verbs: verbs.url(name, scope=scope, run=run, namespace=namespace)
        )

    async def ref(
        self,
        name: str,
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
    ) -> ObjectRef:
        """Return the name of this version of an object; see `runstore.ObjectStore.ref`."""
        return await self._read(
            lambda verbs: verbs.ref(name, scope=scope, run=run, namespace=namespace)
        )

    async def lineage(
        self,
        name: str,
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
        direction: Literal["both", "back", "onwards"] = "both",
        runs: int = 1000,
    ) -> Lineage:
        """Return what an object was made of and what of it; see `runstore.ObjectStore.lineage`."""
        at: dict[str, Any] = {"scope": scope, "run": run, "namespace": namespace}
        return await self._read(
            lambda verbs: verbs.lineage(name, **at, direction=direction, runs=runs)
        )

    async def storage_options(self, reader: Reader) -> dict[str, Any]:
        """Return another library's options; see `runstore.ObjectStore.storage_options`."""
        return await self._read(lambda verbs: verbs.storage_options(reader))

    async def presign(
        self,
        name: str,
        expires_in: float | timedelta,
        method: Method = "GET",
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
    ) -> str:
        """Return a URL that needs no credentials; see `runstore.ObjectStore.presign`."""
        return await self._read(
            lambda verbs: verbs.presign(
                name, expires_in, method, scope=scope, run=run, namespace=namespace
            )
        )

"""A store whose verbs are awaited."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from runstore import store as sync
from runstore.aio._addresses import AwaitedStoreUrl
from runstore.aio._calls import over, reading, whole
from runstore.aio._keeping import AsyncKeeping
from runstore.aio._paging import in_pages
from runstore.aio._pool import Pool, is_near
from runstore.aio._verbs import AsyncVerbs
from runstore.context import PicklePolicy, RunState, StoreAddress, WorkflowRun
from runstore.errors import StoreClosedError
from runstore.places import Guarantees
from runstore.store import Audit, ObjectDiff, RunDiff, RunList, UrlOfStore, Verified

__all__ = ["ObjectStore", "StoreView"]

_VERIFIED_AT_ONCE = 64  # that are brought from a thread at a time


class ObjectStore(AsyncKeeping, AsyncVerbs):
    """A place where objects are kept; its verbs are awaited, and work in the current run.

    It takes what `runstore.ObjectStore` takes, and is an async context manager: it is closed
    at the end of the block, or by `close`. Any event loop may use it, several may at once. Its
    calls are made in a few threads, 8 near and 16 far away at most, which start when they are
    needed and end when it is closed, or 10 seconds after the last call. It pickles as its
    address.

    Args:
        url, fs, root, engine, pickle, durable, timeout, cache, allow_torn, storage_options: As
            for `runstore.ObjectStore`.

    Raises:
        SettingsError: The URL or an option is not understood.
        StoreClosedError: The address names credentials that this process has given up.
        MissingExtraError: What the place needs is not installed; with the pip line.
    """

    def __init__(
        self,
        url: str | os.PathLike[str] | StoreAddress | None = None,
        *,
        fs: Any = None,
        root: str | None = None,
        engine: str | None = None,
        pickle: PicklePolicy | None = None,
        durable: bool | None = None,
        timeout: float | None = None,
        cache: str | None = None,
        allow_torn: bool | None = None,
        **storage_options: Any,
    ) -> None:
        self._store = sync.ObjectStore(
            url,
            fs=fs,
            root=root,
            engine=engine,
            pickle=pickle,
            durable=durable,
            timeout=timeout,
            cache=cache,
            allow_torn=allow_torn,
            **storage_options,
        )
        self._pool = Pool(near=is_near(self._store.address))
        self._closed = False

    url: AwaitedStoreUrl = UrlOfStore(AsyncVerbs.url, AwaitedStoreUrl)  # type: ignore[assignment]
    """Where this store is, absolute; ``await url(name)`` is the verb."""

    @property
    def address(self) -> StoreAddress:
        """Where this store is and how it behaves, without secrets."""
        return self._store.address

    async def guarantees(self) -> Guarantees:
        """Return what the place promises; it is asked once for what is not known yet.

        Raises:
            StorageError: It could not be asked.
        """
        return await reading(self._open_pool(), lambda: self._store.guarantees)

    def _taken(self) -> tuple[sync.Verbs, Pool]:
        return self._store, self._open_pool()

    def _open_pool(self) -> Pool:
        if self._closed:
            raise StoreClosedError(
                f"the store {self.address.url} was closed: open another", self.address.url
            )
        return self._pool

    async def close(self) -> None:
        """Wait for the calls under way, and release threads, connections and credentials.

        See `runstore.ObjectStore.close`. It can be called again; every verb afterwards raises.
        """
        self._closed = True
        ended = self._pool.close(self._store.close)
        if await over(ended):
            raise asyncio.CancelledError
        ended.result()

    async def __aenter__(self) -> Self:
        self._open_pool()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def at(self, *, namespace: str | None = None, run: str | None = None) -> "StoreView":
        """Return the same verbs on one scope; see `runstore.ObjectStore.at`."""
        return StoreView(self, self._store.at(namespace=namespace, run=run))

    async def namespaces(self) -> list[str]:
        """Return the namespaces that hold anything, sorted."""
        return await reading(self._open_pool(), self._store.namespaces)

    async def runs_with_objects(self, namespace: str) -> list[str]:
        """Return the runs of *namespace* that hold objects, recorded or not, sorted."""
        return await reading(self._open_pool(), lambda: self._store.runs_with_objects(namespace))

    async def runs(
        self,
        namespace: str | None = None,
        *,
        workflow: str | None = None,
        state: RunState | None = None,
        since: datetime | timedelta | str | float | None = None,
        tag: str | None = None,
        limit: int | None = None,
        page: str | None = None,
    ) -> RunList:
        """Return the records of runs, in pages; see `runstore.ObjectStore.runs`."""
        return await reading(
            self._open_pool(),
            lambda: self._store.runs(
                namespace,
                workflow=workflow,
                state=state,
                since=since,
                tag=tag,
                limit=limit,
                page=page,
            ),
        )

    async def read_run(self, name: str, *, namespace: str) -> WorkflowRun:
        """Return the record of a run; see `runstore.ObjectStore.read_run`."""
        return await reading(
            self._open_pool(), lambda: self._store.read_run(name, namespace=namespace)
        )

    async def write_run(self, run: WorkflowRun, *, new: bool = False) -> None:
        """Write a run's record; see `runstore.ObjectStore.write_run`. Cancelling waits for it."""
        await whole(self._open_pool(), lambda: self._store.write_run(run, new=new))

    async def cancel_run(self, name: str, *, namespace: str) -> None:
        """Ask a run to stop; see `runstore.ObjectStore.cancel_run`."""
        await whole(self._open_pool(), lambda: self._store.cancel_run(name, namespace=namespace))

    async def delete_run(self, name: str, *, namespace: str, force: bool = False) -> None:
        """Remove a run; see `runstore.ObjectStore.delete_run`. Cancelling waits for its end."""
        await whole(
            self._open_pool(),
            lambda: self._store.delete_run(name, namespace=namespace, force=force),
        )

    async def sweep(self, older_than: float | None = None) -> int:
        """Remove leftovers; see `runstore.ObjectStore.sweep`. Cancelling waits for its end."""
        return await whole(self._open_pool(), lambda: self._store.sweep(older_than))

    def verify(
        self,
        namespace: str | None = None,
        run: str | None = None,
        prefix: str = "",
        *,
        shared: bool = False,
        journal: str | os.PathLike[str] | None = None,
        workers: int = 4,
    ) -> AsyncIterator[Verified]:
        """Check objects and records, for ``async for``; see `runstore.ObjectStore.verify`."""
        how = {"shared": shared, "journal": journal, "workers": workers}
        found = self._store.verify(namespace, run, prefix, **how)  # type: ignore[arg-type]
        return in_pages(self._open_pool(), found, _VERIFIED_AT_ONCE)

    async def audit(self, namespace: str | None = None, run: str | None = None) -> Audit:
        """Return what the store holds; see `runstore.ObjectStore.audit`."""
        return await reading(self._open_pool(), lambda: self._store.audit(namespace, run))

    async def diff(self, one: str, other: str) -> ObjectDiff | RunDiff:
        """Return what differs in two objects or runs; see `runstore.ObjectStore.diff`."""
        return await reading(self._open_pool(), lambda: self._store.diff(one, other))

    def __repr__(self) -> str:
        return f"aio.{self._store!r}"

    def __reduce__(self) -> tuple[Any, ...]:
        return ObjectStore, (self.address,)


class StoreView(AsyncVerbs):
    """The verbs of a store on one namespace and run, to await; what `ObjectStore.at` gives."""

    def __init__(self, store: ObjectStore, view: sync.StoreView) -> None:
        self.store = store
        self._view = view

    @property
    def namespace(self) -> str:
        """The namespace."""
        return self._view.namespace

    @property
    def run(self) -> str | None:
        """The run; None if only ``scope="namespace"`` works."""
        return self._view.run

    def _taken(self) -> tuple[sync.Verbs, Pool]:
        return self._view, self.store._open_pool()

    def __repr__(self) -> str:
        return f"aio.{self._view!r}"

    def __reduce__(self) -> tuple[Any, ...]:
        return StoreView, (self.store, self._view)

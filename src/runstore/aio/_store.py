"""A store whose verbs are awaited."""

import asyncio
import os
from types import TracebackType
from typing import Any, Self

from runstore import store as sync
from runstore.aio._calls import over, reading, whole
from runstore.aio._pool import Pool, is_near
from runstore.aio._verbs import AsyncVerbs
from runstore.context import PicklePolicy, StoreAddress, WorkflowRun
from runstore.errors import StoreClosedError

__all__ = ["ObjectStore", "StoreView"]


class ObjectStore(AsyncVerbs):
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

    @property
    def url(self) -> str:
        """Where this store is, absolute."""
        return self._store.url

    @property
    def address(self) -> StoreAddress:
        """Where this store is and how it behaves, without secrets."""
        return self._store.address

    def _taken(self) -> tuple[sync.Verbs, Pool]:
        return self._store, self._open_pool()

    def _open_pool(self) -> Pool:
        if self._closed:
            raise StoreClosedError(f"the store {self.url} was closed: open another", self.url)
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

    async def runs(self, namespace: str | None = None) -> list[WorkflowRun]:
        """Return the records of every run; see `runstore.ObjectStore.runs`."""
        return await reading(self._open_pool(), lambda: self._store.runs(namespace))

    async def read_run(self, name: str, *, namespace: str) -> WorkflowRun:
        """Return the record of a run; see `runstore.ObjectStore.read_run`."""
        return await reading(
            self._open_pool(), lambda: self._store.read_run(name, namespace=namespace)
        )

    async def write_run(self, run: WorkflowRun, *, new: bool = False) -> None:
        """Write a run's record; see `runstore.ObjectStore.write_run`. Cancelling waits for it."""
        await whole(self._open_pool(), lambda: self._store.write_run(run, new=new))

    async def delete_run(self, name: str, *, namespace: str, force: bool = False) -> None:
        """Remove a run; see `runstore.ObjectStore.delete_run`. Cancelling waits for its end."""
        await whole(
            self._open_pool(),
            lambda: self._store.delete_run(name, namespace=namespace, force=force),
        )

    async def sweep(self, older_than: float = 3600) -> int:
        """Remove leftovers; see `runstore.ObjectStore.sweep`. Cancelling waits for its end."""
        return await whole(self._open_pool(), lambda: self._store.sweep(older_than))

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

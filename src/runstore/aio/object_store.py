"""The object store of the current run, to await.

    from runstore.aio import object_store

    await object_store.put("features", df)
    df = await object_store.get("features")

The verbs are those of `runstore.object_store`, on the store, namespace and run of the current
context of the task. Outside a run they raise `runstore.NoRunContextError`. The module can be
pickled: it goes by name.
"""

import sys
from datetime import datetime, timedelta
from importlib import import_module
from types import ModuleType
from typing import Any

from runstore.aio._calls import reading
from runstore.aio._pool import Pool, is_near
from runstore.aio._verbs import AsyncVerbs
from runstore.context import RunState, StoreAddress, peek_run_context, peeked_run_context
from runstore.store import ObjectStore, RunList, StoreView, Target, Verbs

__all__ = [
    "at",
    "copy",
    "delete",
    "delete_many",
    "exists",
    "get",
    "get_dir",
    "get_file",
    "get_many",
    "get_with_info",
    "iter",
    "iter_batches",
    "lineage",
    "list",
    "open",
    "parts",
    "pending",
    "presign",
    "put",
    "put_dir",
    "put_file",
    "put_many",
    "ref",
    "runs",
    "scan",
    "seal",
    "stat",
    "storage_options",
    "url",
    "writer",
]


class _OfRun(Verbs):
    """The verbs on the run of the thread's context, which is the task's."""

    def _target(self) -> Target:
        return ObjectStore.from_address(peeked_run_context().store)._target()


class _CurrentStore(AsyncVerbs):
    """The verbs on the current run; their threads belong to the process."""

    def __init__(self) -> None:
        self._verbs = _OfRun()
        self._near, self._far = Pool(near=True), Pool(near=False)

    def _taken(self) -> tuple[Verbs, Pool]:
        ctx = peeked_run_context()  # raises here, where the reason is: the thread is not to blame
        return self._verbs, self._pool(ctx.store)

    def at(self, *, namespace: str | None = None, run: str | None = None) -> "CurrentView":
        """Return the verbs on another scope of the current run's store.

        Args:
            namespace: By default that of the current run.
            run: The run; without one only ``scope="namespace"`` works.

        Raises:
            NoRunContextError: Outside a run.
            InvalidNameError: *namespace* or *run* cannot be one.
        """
        ctx = peeked_run_context()
        at = ctx.namespace if namespace is None else namespace
        return CurrentView(ObjectStore.from_address(ctx.store).at(namespace=at, run=run))

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
        """Return runs of the current run's namespace; see `runstore.object_store.runs`."""
        ctx = peeked_run_context()
        how: dict[str, Any] = {"workflow": workflow, "state": state, "since": since, "tag": tag}
        how |= {"limit": limit, "page": page}
        store, at = (
            ObjectStore.from_address(ctx.store),
            ctx.namespace if namespace is None else namespace,
        )
        return await reading(self._pool(ctx.store), lambda: store.runs(at, **how))

    def _pool(self, address: StoreAddress) -> Pool:
        return self._near if is_near(address) else self._far

    def __reduce__(self) -> tuple[Any, ...]:
        return _the_current, ()


class CurrentView(AsyncVerbs):
    """The verbs on another scope of the current run's store, to await; what `at` returns."""

    def __init__(self, view: StoreView) -> None:
        self._view = view

    def _taken(self) -> tuple[Verbs, Pool]:
        return self._view, _current._pool(self._view.store.address)

    def __repr__(self) -> str:
        return f"aio.{self._view!r}"


_current = _CurrentStore()


def _the_current() -> _CurrentStore:
    return _current


at = _current.at
copy = _current.copy
delete = _current.delete
delete_many = _current.delete_many
exists = _current.exists
get = _current.get
get_dir = _current.get_dir
get_file = _current.get_file
get_many = _current.get_many
get_with_info = _current.get_with_info
iter = _current.iter  # noqa: A001 - the verb
iter_batches = _current.iter_batches
lineage = _current.lineage
list = _current.list  # noqa: A001 - the verb
parts = _current.parts
pending = _current.pending
presign = _current.presign
put = _current.put
open = _current.open  # noqa: A001 - the verb
put_dir = _current.put_dir
put_file = _current.put_file
put_many = _current.put_many
ref = _current.ref
runs = _current.runs
scan = _current.scan
seal = _current.seal
stat = _current.stat
storage_options = _current.storage_options
url = _current.url
writer = _current.writer


class _Facade(ModuleType):
    """This module, so that it pickles by name and shows where it stores."""

    def __reduce__(self) -> tuple[Any, ...]:
        return import_module, (self.__name__,)

    def __repr__(self) -> str:
        ctx = peek_run_context()
        if ctx is None:
            return "<runstore.aio.object_store, outside a run>"
        return f"<runstore.aio.object_store, {ctx.store.url} {ctx.namespace}/{ctx.run.name}>"


sys.modules[__name__].__class__ = _Facade

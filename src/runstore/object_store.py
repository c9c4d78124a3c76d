"""The object store of the current run.

    from runstore import object_store

    object_store.put("features", df)
    df = object_store.get("features")

The functions are the methods of `runstore.ObjectStore`, applied to the store, namespace and run of
the current context, which is looked up at every call. `store` is that store, `at` returns a view of
another scope in it, and `runs` lists the runs of the namespace. ``object_store["x"]``, ``in``,
``len`` and ``for`` work as on a view, on the objects of the run. Outside a run all of these raise
`runstore.NoRunContextError`. The module can be pickled, by its name.
"""

import builtins
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from runstore.arguments import check_text, guide_verbs
from runstore.context import (
    RunState,
    current_entry,
    get_run_context,
    peek_run_context,
    peeked_run_context,
)
from runstore.displays import note
from runstore.errors import InvalidNameError
from runstore.store import ObjectStore, RunList, StoreView, Target, Verbs, no_verb

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


class _CurrentStore(Verbs):
    """The verbs on the current run."""

    def _target(self) -> Target:
        entry = current_entry()
        if entry is None:
            return ObjectStore.from_address(get_run_context().store)._target()
        known: Target | None = entry.memo
        if known is not None and known.objects.is_open:
            return known
        found = entry.memo = ObjectStore.from_address(entry.ctx.store)._target()
        return found

    def store(self) -> ObjectStore:
        """Return the store of the current run."""
        return ObjectStore.from_address(peeked_run_context().store)

    def at(self, *, namespace: str | None = None, run: str | None = None) -> StoreView:
        """Return the verbs on another scope of the current run's store.

        Args:
            namespace: By default that of the current run.
            run: The run; without one only ``scope="namespace"`` works.

        Raises:
            NoRunContextError: Outside a run.
            InvalidNameError: *namespace* or *run* cannot be one.
        """
        own = peeked_run_context().namespace
        return self.store().at(namespace=own if namespace is None else namespace, run=run)

    def runs(
        self,
        namespace: str | None = None,
        *,
        workflow: str | None = None,
        state: RunState | None = None,
        since: "datetime | timedelta | str | float | None" = None,
        tag: str | None = None,
        limit: int | None = None,
        page: str | None = None,
    ) -> RunList:
        """Return the records of runs of the current run's store, newest first, in pages.

        Args:
            namespace: By default that of the current run.
            workflow, state, since, tag, limit, page: As for `runstore.ObjectStore.runs`.

        Raises:
            NoRunContextError: Outside a run.
            InvalidNameError, InvalidRequestError, StorageError: As for `runstore.ObjectStore.runs`.
        """
        own = peeked_run_context().namespace
        return self.store().runs(
            own if namespace is None else namespace,
            workflow=workflow,
            state=state,
            since=since,
            tag=tag,
            limit=limit,
            page=page,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _CurrentStore, ()


guide_verbs(_CurrentStore)
_current = _CurrentStore()

if TYPE_CHECKING:
    store: ObjectStore

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
seal = _current.seal
scan = _current.scan
stat = _current.stat
storage_options = _current.storage_options
url = _current.url
writer = _current.writer


class _Facade(ModuleType):
    """This module, so that it pickles by name and shows where it stores."""

    @property
    def store(self) -> ObjectStore:
        """The store of the current run.

        Raises:
            NoRunContextError: Outside a run.
        """
        return _current.store()

    def __getattr__(self, name: str) -> Any:
        raise no_verb(self, f"module {self.__name__!r}", name)

    def __getitem__(self, name: str) -> Any:
        """Return the value of an object, as `get` does; ObjectNotFoundError is a KeyError."""
        check_text("object_store[…]", "name", name, error=InvalidNameError)
        return _current.get(name)

    def __contains__(self, name: object) -> bool:
        """Return whether there is an object of that name; False for an invalid name."""
        try:
            return isinstance(name, str) and _current.exists(name)
        except InvalidNameError:
            return False

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the objects of the current run, sorted."""
        return (info.name for info in _current.iter())

    def __len__(self) -> int:
        """Return how many objects the current run has."""
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        """Return True, also outside a run, without a request."""
        return True

    def __reduce__(self) -> tuple[Any, ...]:
        return import_module, (self.__name__,)

    def __dir__(self) -> builtins.list[str]:
        return builtins.list(__all__)

    def _repr_html_(self) -> str:
        ctx = peek_run_context()
        if ctx is None:
            return note("runstore.object_store, outside a run")
        return (
            ObjectStore.from_address(ctx.store)
            .at(namespace=ctx.namespace, run=ctx.run.name)
            ._repr_html_()
        )

    def __repr__(self) -> str:
        ctx = peek_run_context()
        if ctx is None:
            return "<runstore.object_store, outside a run>"
        return f"<runstore.object_store, {ctx.store.url} {ctx.namespace}/{ctx.run.name}>"


sys.modules[__name__].__class__ = _Facade

"""The object store of the current run, to await.

    from runstore.aio import object_store

    await object_store.put("features", df)
    df = await object_store.get("features")

The verbs are those of `runstore.object_store`, on the store, namespace and run of the current
context of the task. Outside a run they raise `runstore.NoRunContextError`. The module can be
pickled: it goes by name.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from runstore.aio._pool import Pool, is_near
from runstore.aio._verbs import AsyncVerbs
from runstore.context import find_run_context, get_run_context
from runstore.store import ObjectStore, Target, Verbs

__all__ = [
    "copy",
    "delete",
    "delete_many",
    "exists",
    "get",
    "get_many",
    "get_with_info",
    "list",
    "put",
    "put_many",
    "stat",
]


class _OfRun(Verbs):
    """The verbs on the run of the thread's context, which is the task's."""

    def _target(self) -> Target:
        return ObjectStore.from_address(get_run_context().store)._target()


class _CurrentStore(AsyncVerbs):
    """The verbs on the current run; their threads belong to the process."""

    def __init__(self) -> None:
        self._verbs = _OfRun()
        self._near, self._far = Pool(near=True), Pool(near=False)

    def _taken(self) -> tuple[Verbs, Pool]:
        ctx = get_run_context()  # raises here, where the reason is: the thread is not to blame
        return self._verbs, self._near if is_near(ctx.store) else self._far

    def __reduce__(self) -> tuple[Any, ...]:
        return _the_current, ()


_current = _CurrentStore()


def _the_current() -> _CurrentStore:
    return _current


copy = _current.copy
delete = _current.delete
delete_many = _current.delete_many
exists = _current.exists
get = _current.get
get_many = _current.get_many
get_with_info = _current.get_with_info
list = _current.list  # noqa: A001 - the verb
put = _current.put
put_many = _current.put_many
stat = _current.stat


class _Facade(ModuleType):
    """This module, so that it pickles by name and shows where it stores."""

    def __reduce__(self) -> tuple[Any, ...]:
        return import_module, (self.__name__,)

    def __repr__(self) -> str:
        ctx = find_run_context()
        if ctx is None:
            return "<runstore.aio.object_store, outside a run>"
        return f"<runstore.aio.object_store, {ctx.store.url} {ctx.namespace}/{ctx.run.name}>"


sys.modules[__name__].__class__ = _Facade

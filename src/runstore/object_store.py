"""The object store of the current run.

    from runstore import object_store

    object_store.put("features", df)
    df = object_store.get("features")

The verbs are those of `runstore.ObjectStore`, on the store, namespace and run of
the current context, looked up at every call. Outside a run they raise
`runstore.NoRunContextError`. The module can be pickled: it goes by name.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

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


class _CurrentStore(Verbs):
    """The verbs on the current run."""

    def _target(self) -> Target:
        ctx = get_run_context()
        return ObjectStore.from_address(ctx.store)._target()

    def __reduce__(self) -> tuple[Any, ...]:
        return _CurrentStore, ()


_current = _CurrentStore()

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
            return "<runstore.object_store, outside a run>"
        return f"<runstore.object_store, {ctx.store.url} {ctx.namespace}/{ctx.run.name}>"


sys.modules[__name__].__class__ = _Facade

"""The verbs to await: those of `runstore.store.Verbs`, made in threads."""

import builtins
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar, Unpack, overload

from runstore.aio._addresses import AsyncAddressVerbs
from runstore.aio._calls import reading, writing
from runstore.aio._files import AsyncFileVerbs
from runstore.aio._paging import AsyncPagingVerbs
from runstore.aio._permit import Permit, Permitted
from runstore.aio._pool import Pool
from runstore.aio._streams import AsyncStreamVerbs
from runstore.context import PicklePolicy
from runstore.keys import Scope
from runstore.parts import PartKey
from runstore.store import RAISE, Compression, ObjectInfo, Reading, Verbs

__all__ = ["AsyncVerbs"]

T = TypeVar("T")
D = TypeVar("D")


class AsyncVerbs(AsyncAddressVerbs, AsyncFileVerbs, AsyncPagingVerbs, AsyncStreamVerbs):
    """The verbs of an object store, to await.

    Each promises what the verb of the same name of `runstore.ObjectStore` does, takes the same
    arguments and raises the same errors. The event loop is not blocked. A call belongs to the
    run that is current where it is awaited. If it is cancelled, nothing of it appears after
    CancelledError is raised: what was just being published is waited for, everything else is
    refused. Do not change a value before its ``put`` has returned.
    """

    @abstractmethod
    def _taken(self) -> tuple[Verbs, Pool]:
        """Return the verbs to call, and the threads to call them in; raise if there are none."""

    async def _read(self, function: Callable[[Verbs], T]) -> T:
        verbs, pool = self._taken()
        return await reading(pool, lambda: function(verbs))

    async def _write(self, function: Callable[[Verbs], T]) -> T:
        verbs, pool = self._taken()
        permit = Permit()
        return await writing(pool, permit, lambda: function(Permitted(verbs, permit)))

    async def put(
        self,
        name: str,
        value: Any,
        *,
        scope: Scope = "run",
        metadata: dict[str, Any] | None = None,
        if_absent: bool = False,
        if_match: str | None = None,
        compression: Compression = "auto",
        part: PartKey | None = None,
        delta: bool = False,
        pickle: PicklePolicy | None = None,
    ) -> ObjectInfo:
        """Store *value* under *name*, all or nothing; see `runstore.ObjectStore.put`."""
        return await self._write(
            lambda verbs: verbs.put(
                name,
                value,
                scope=scope,
                metadata=metadata,
                if_absent=if_absent,
                if_match=if_match,
                compression=compression,
                part=part,
                delta=delta,
                pickle=pickle,
            )
        )

    @overload
    async def get(self, name: str, *, as_type: type[T], **how: Unpack[Reading]) -> T: ...

    @overload
    async def get(
        self, name: str, *, as_type: type[T], default: D, **how: Unpack[Reading]
    ) -> T | D: ...

    @overload
    async def get(
        self, name: str, *, default: Any = ..., as_type: None = None, **how: Unpack[Reading]
    ) -> Any: ...

    async def get(
        self,
        name: str,
        *,
        default: Any = RAISE,
        scope: Scope = "run",
        run: str | int | None = None,
        workflow: str | None = None,
        namespace: str | None = None,
        columns: "builtins.list[Any] | None" = None,
        filters: Any = None,
        part: PartKey | ObjectInfo | None = None,
        as_type: type | None = None,
        pickle: PicklePolicy | None = None,
        verify: Literal["auto"] | bool = "auto",
    ) -> Any:
        """Return the value stored under *name*; see `runstore.ObjectStore.get`."""
        how = Reading(
            scope=scope,
            run=run,
            workflow=workflow,
            namespace=namespace,
            columns=columns,
            filters=filters,
            part=part,
            pickle=pickle,
            verify=verify,
        )
        return await self._read(
            lambda verbs: verbs.get(name, default=default, as_type=as_type, **how)
        )

    @overload
    async def get_with_info(
        self, name: str, *, as_type: type[T], **how: Unpack[Reading]
    ) -> tuple[T, ObjectInfo]: ...

    @overload
    async def get_with_info(
        self, name: str, *, as_type: None = None, **how: Unpack[Reading]
    ) -> tuple[Any, ObjectInfo]: ...

    async def get_with_info(
        self,
        name: str,
        *,
        scope: Scope = "run",
        run: str | int | None = None,
        workflow: str | None = None,
        namespace: str | None = None,
        columns: "builtins.list[Any] | None" = None,
        filters: Any = None,
        part: PartKey | ObjectInfo | None = None,
        as_type: type | None = None,
        pickle: PicklePolicy | None = None,
        verify: Literal["auto"] | bool = "auto",
    ) -> tuple[Any, ObjectInfo]:
        """Return a value and its description; see `runstore.ObjectStore.get_with_info`."""
        how = Reading(
            scope=scope,
            run=run,
            workflow=workflow,
            namespace=namespace,
            columns=columns,
            filters=filters,
            part=part,
            pickle=pickle,
            verify=verify,
        )
        return await self._read(lambda verbs: verbs.get_with_info(name, as_type=as_type, **how))

    async def exists(
        self,
        name: str,
        *,
        scope: Scope = "run",
        run: str | int | None = None,
        workflow: str | None = None,
        namespace: str | None = None,
    ) -> bool:
        """Return whether an object is stored; see `runstore.ObjectStore.exists`."""
        return await self._read(
            lambda verbs: verbs.exists(
                name, scope=scope, run=run, workflow=workflow, namespace=namespace
            )
        )

    async def stat(
        self,
        name: str,
        *,
        scope: Scope = "run",
        run: str | int | None = None,
        workflow: str | None = None,
        namespace: str | None = None,
    ) -> ObjectInfo:
        """Describe an object without loading it; see `runstore.ObjectStore.stat`."""
        return await self._read(
            lambda verbs: verbs.stat(
                name, scope=scope, run=run, workflow=workflow, namespace=namespace
            )
        )

    async def list(
        self,
        prefix: str = "",
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
        details: bool = False,
    ) -> "builtins.list[ObjectInfo]":
        """Describe objects by the beginning of their names; see `runstore.ObjectStore.list`."""
        return await self._read(
            lambda verbs: verbs.list(
                prefix, scope=scope, run=run, namespace=namespace, details=details
            )
        )

    async def delete(self, name: str, *, scope: Scope = "run", missing_ok: bool = False) -> None:
        """Remove an object; see `runstore.ObjectStore.delete`."""
        await self._write(lambda verbs: verbs.delete(name, scope=scope, missing_ok=missing_ok))

    async def copy(
        self,
        name: str,
        *,
        to_name: str | None = None,
        to_scope: Scope | None = None,
        to_run: str | None = None,
        to_namespace: str | None = None,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
        if_absent: bool = False,
    ) -> ObjectInfo:
        """Store an object a second time; see `runstore.ObjectStore.copy`."""
        return await self._write(
            lambda verbs: verbs.copy(
                name,
                to_name=to_name,
                to_scope=to_scope,
                to_run=to_run,
                to_namespace=to_namespace,
                scope=scope,
                run=run,
                namespace=namespace,
                if_absent=if_absent,
            )
        )

    async def put_many(
        self, values: Mapping[str, Any], *, scope: Scope = "run", if_absent: bool = False
    ) -> dict[str, ObjectInfo]:
        """Store several values; see `runstore.ObjectStore.put_many`.

        If it is cancelled, those that were stored stay.
        """
        return await self._write(
            lambda verbs: verbs.put_many(values, scope=scope, if_absent=if_absent)
        )

    async def get_many(
        self,
        names: Iterable[str],
        *,
        default: Any = RAISE,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
    ) -> dict[str, Any]:
        """Return several values by name; see `runstore.ObjectStore.get_many`."""
        return await self._read(
            lambda verbs: verbs.get_many(
                names, default=default, scope=scope, run=run, namespace=namespace
            )
        )

    async def delete_many(
        self, names: Iterable[str], *, scope: Scope = "run", missing_ok: bool = False
    ) -> None:
        """Remove several objects; see `runstore.ObjectStore.delete_many`.

        If it is cancelled, those that were removed are gone.
        """
        await self._write(
            lambda verbs: verbs.delete_many(names, scope=scope, missing_ok=missing_ok)
        )

    async def seal(
        self,
        name: str,
        parts: Iterable[PartKey | ObjectInfo] | None = None,
        *,
        scope: Scope = "run",
        metadata: dict[str, Any] | None = None,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> ObjectInfo:
        """Make parts one object; see `runstore.ObjectStore.seal`."""
        return await self._write(
            lambda verbs: verbs.seal(
                name,
                parts,
                scope=scope,
                metadata=metadata,
                if_absent=if_absent,
                if_match=if_match,
            )
        )

    async def parts(
        self,
        name: str,
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
        sealed: bool = True,
    ) -> "builtins.list[ObjectInfo]":
        """Describe the parts of an object; see `runstore.ObjectStore.parts`."""
        return await self._read(
            lambda verbs: verbs.parts(
                name, scope=scope, run=run, namespace=namespace, sealed=sealed
            )
        )

    async def pending(
        self, name: str, keys: Iterable[PartKey], *, scope: Scope = "run"
    ) -> "builtins.list[Any]":
        """Return the keys whose parts are not there yet; see `runstore.ObjectStore.pending`."""
        return await self._read(lambda verbs: verbs.pending(name, keys, scope=scope))

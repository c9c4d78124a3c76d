"""What a user calls: the verbs, the same on a store, a view of one, and the current run's."""

import builtins
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple, TypedDict, TypeVar, Unpack, overload

from runstore.context import PicklePolicy
from runstore.errors import BulkError, InvalidRequestError, ObjectNotFoundError, RunStoreError
from runstore.keys import Place, Scope
from runstore.store._info import ObjectInfo
from runstore.store._objects import Objects

__all__ = ["Target", "Verbs"]

Compression = Literal["auto", "lz4", "zstd"] | None

_AT_ONCE = 8  # items of a *_many call under way at a time


class Target(NamedTuple):
    """What the verbs of one object work on.

    Attributes:
        objects: The store's objects.
        namespace: The scope's namespace.
        run: The scope's run; None if there is none, then only the namespace scope works.
        workflow, stage: Who is putting, where known.
    """

    objects: Objects
    namespace: str
    run: str | None
    workflow: str | None = None
    stage: str | None = None


class Reading(TypedDict, total=False):
    """What `Verbs.get` takes besides; see there."""

    scope: Scope
    run: str | None
    namespace: str | None
    columns: builtins.list[Any] | None
    pickle: PicklePolicy | None
    verify: Literal["auto"] | bool


T = TypeVar("T")
D = TypeVar("D")


class _Raise:
    def __repr__(self) -> str:
        return "<raise ObjectNotFoundError>"


_RAISE = _Raise()


class Verbs(ABC):
    """The verbs of an object store, on whatever `_target` gives."""

    @abstractmethod
    def _target(self) -> Target:
        """Give what the verbs work on, at each call."""

    def put(
        self,
        name: str,
        value: Any,
        *,
        scope: Scope = "run",
        metadata: dict[str, Any] | None = None,
        if_absent: bool = False,
        if_match: str | None = None,
        compression: Compression = "auto",
        pickle: PicklePolicy | None = None,
    ) -> ObjectInfo:
        """Store *value* under *name* in the current run.

        All or nothing: a reader sees the old object or the new one, never a part,
        and once this returns every later ``get``, ``list`` and ``exists`` anywhere
        sees the new one. If it raises, the old object is as it was.

        Args:
            name: 1 to 512 bytes of UTF-8, parts separated by ``/``; see `runstore.names`.
            value: Frames, arrays, text, bytes, JSON-like Python, or any picklable
                object. What cannot be stored exactly is refused.
            scope: ``run``, or ``namespace`` to share it with every run of the namespace.
            metadata: A dict of JSON values, kept with the object.
            if_absent: Fail instead of replacing.
            if_match: Replace only the object of this ``ObjectInfo.version``.
            compression: ``lz4``, ``zstd`` or None; ``auto`` leaves data as it is where
                it is read by mapping, which compression would prevent.
            pickle: The policy for this call instead of the store's.

        Returns:
            What was stored.

        Raises:
            NoRunContextError: Outside a run.
            InvalidNameError: *name* cannot be one; nothing was touched.
            UnsupportedValueError: *value* cannot be stored exactly.
            UnsafePickleError: It would have to be pickled and the policy forbids it.
            ObjectExistsError: *if_absent* and the name is taken.
            PreconditionFailedError: *if_match* and the object is another by now.
            StorageError: The place failed; the old object is intact.
        """
        target = self._target()
        return target.objects.put(
            _place(target, name, scope, None, None),
            value,
            metadata=metadata,
            if_absent=if_absent,
            if_match=if_match,
            compression=None if compression == "auto" else compression,
            pickle=pickle,
            workflow=target.workflow,
            stage=target.stage,
        )

    @overload
    def get(self, name: str, *, as_type: type[T], **how: Unpack[Reading]) -> T: ...

    @overload
    def get(self, name: str, *, as_type: type[T], default: D, **how: Unpack[Reading]) -> T | D: ...

    @overload
    def get(
        self, name: str, *, default: Any = ..., as_type: None = None, **how: Unpack[Reading]
    ) -> Any: ...

    def get(
        self,
        name: str,
        *,
        default: Any = _RAISE,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
        columns: "builtins.list[Any] | None" = None,
        as_type: type | None = None,
        pickle: PicklePolicy | None = None,
        verify: Literal["auto"] | bool = "auto",
    ) -> Any:
        """Return the value stored under *name*: equal in type, dtype, order and labels.

        On disk and in memory a large table or array is mapped, not read: this takes
        the time of opening a file. The value is the caller's own and can be written
        to; that changes neither the stored object nor another reader's value.

        Args:
            name: As it was put.
            default: Returned if nothing is stored there. An outage still raises.
            scope: ``run`` or ``namespace``.
            run: Read from this run instead of the current one.
            namespace: Read from this namespace instead of the current one; in the run
                scope together with *run*.
            columns: Only these columns of a table, in this order; the others are not
                decoded. Index and dtypes stay.
            as_type: The type to return, without a copy where the libraries allow: a
                stored pandas frame as `pyarrow.Table`, say. ``docs/api.md`` has a table.
            pickle: The policy for this call instead of the store's.
            verify: Check the digest of the data: ``auto`` does unless a large object
                is mapped; its structure is checked always.

        Raises:
            NoRunContextError: Outside a run, unless *run* and *namespace* are given
                to a store that needs no other.
            InvalidNameError: *name*, *run* or *namespace* cannot be one.
            ObjectNotFoundError: Nothing is stored there and no *default* is given.
            CorruptObjectError: The bytes are not the ones that were written.
            InvalidRequestError: It has no such *columns*.
            UnsafePickleError: It is a pickle and the policy forbids to load it.
            UnsupportedValueError: It cannot be *as_type* exactly, or needs a class
                that is missing here.
            UnsupportedFormatError: It was written by a newer runstore.
            StorageError: The place failed.
        """
        target = self._target()
        place = _place(target, name, scope, run, namespace)
        try:
            return target.objects.get(
                place, verify=verify, columns=columns, as_type=as_type, pickle=pickle
            )
        except ObjectNotFoundError as exc:
            if default is not _RAISE:
                return default
            raise _missing(target.objects, place) from exc

    def exists(
        self,
        name: str,
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
    ) -> bool:
        """Say whether an object is stored under *name*; arguments and errors as for `get`.

        An outage raises, it is never reported as False.
        """
        target = self._target()
        return target.objects.exists(_place(target, name, scope, run, namespace))

    def stat(
        self,
        name: str,
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
    ) -> ObjectInfo:
        """Describe the object stored under *name*, without loading it.

        Arguments and errors as for `get`.
        """
        target = self._target()
        place = _place(target, name, scope, run, namespace)
        try:
            return target.objects.stat(place)
        except ObjectNotFoundError as exc:
            raise _missing(target.objects, place) from exc

    def list(
        self,
        prefix: str = "",
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
        details: bool = False,
    ) -> "builtins.list[ObjectInfo]":
        """Describe the objects whose names begin with *prefix*, sorted by name.

        Temporary and foreign files are never shown. Objects put or deleted
        meanwhile may or may not be seen.

        Args:
            prefix: Plain text; ``train`` matches ``train/x`` and ``training``.
            scope, run, namespace: As for `get`.
            details: Read what each object says about itself, too; one more request each.
        """
        target = self._target()
        at = _place(target, "any", scope, run, namespace)
        found = target.objects.list(at.namespace, at.run, prefix, details=details)
        return sorted(found, key=lambda info: info.name)

    def delete(self, name: str, *, scope: Scope = "run", missing_ok: bool = False) -> None:
        """Remove the object stored under *name*; afterwards nobody finds it.

        Values that were read from it stay valid.

        Args:
            name: As it was put.
            scope: ``run`` or ``namespace``.
            missing_ok: Do not mind if nothing is stored there.

        Raises:
            ObjectNotFoundError: Nothing is stored there, unless *missing_ok*.
            StorageError: The place failed.
        """
        target = self._target()
        place = _place(target, name, scope, None, None)
        try:
            target.objects.delete(place)
        except ObjectNotFoundError as exc:
            if not missing_ok:
                raise _missing(target.objects, place) from exc

    def copy(
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
        """Store an object a second time under another name or scope, without decoding it.

        ``copy("model", to_scope="namespace")`` promotes a run's model. All or
        nothing as `put`; the copy keeps type, metadata and creation time.

        Args:
            name: As it was put.
            to_name: By default the same name.
            to_scope: By default the source's scope, ``run`` if *to_run* is given.
            to_run: By default the source's run.
            to_namespace: By default the source's namespace.
            scope, run, namespace: Where the source is, as for `get`.
            if_absent: Fail instead of replacing.

        Returns:
            The copy.

        Raises:
            InvalidRequestError: Source and target are the same.
            ObjectNotFoundError: Nothing is stored under *name*.
            ObjectExistsError: *if_absent* and the target is taken.
            CorruptObjectError: The source is damaged; nothing was written.
            StorageError: The place failed; an old target is intact.
        """
        target = self._target()
        source = _place(target, name, scope, run, namespace)
        into: Scope = to_scope or ("run" if to_run is not None else source.scope)
        copy = Place(
            to_namespace or source.namespace,
            None if into == "namespace" else _run_of(to_run or source.run or target.run, name),
            to_name if to_name is not None else name,
        )
        if copy == source:
            raise InvalidRequestError(
                f"copy {source}: source and target are the same; give to_name, to_scope, to_run or "
                "to_namespace",
                str(source),
            )
        try:
            return target.objects.copy(source, copy, if_absent=if_absent)
        except ObjectNotFoundError as exc:
            raise _missing(target.objects, source) from exc

    def put_many(
        self, values: Mapping[str, Any], *, scope: Scope = "run", if_absent: bool = False
    ) -> dict[str, ObjectInfo]:
        """Store several values, some at a time; each all or nothing, not all together.

        Args:
            values: Name to value.
            scope, if_absent: As for `put`.

        Returns:
            Name to what was stored, in the order of *values*.

        Raises:
            BulkError: Some failed; ``errors`` has each reason by name, ``results`` the rest.
        """
        target = self._target()

        def one(name: str) -> ObjectInfo:
            return target.objects.put(
                _place(target, name, scope, None, None),
                values[name],
                if_absent=if_absent,
                workflow=target.workflow,
                stage=target.stage,
            )

        return _each("put", one, values)

    def get_many(
        self,
        names: Iterable[str],
        *,
        default: Any = _RAISE,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
    ) -> dict[str, Any]:
        """Return several values by name, read some at a time, in the order of *names*.

        Args:
            names: As they were put.
            default: The value of names under which nothing is stored.
            scope, run, namespace: As for `get`.

        Raises:
            BulkError: Some failed; ``errors`` has each reason by name, ``results`` the rest.
        """
        target = self._target()

        def one(name: str) -> Any:
            place = _place(target, name, scope, run, namespace)
            try:
                return target.objects.get(place)
            except ObjectNotFoundError as exc:
                if default is not _RAISE:
                    return default
                raise _missing(target.objects, place) from exc

        return _each("get", one, names)

    def delete_many(
        self, names: Iterable[str], *, scope: Scope = "run", missing_ok: bool = False
    ) -> None:
        """Remove several objects, some at a time.

        Args:
            names: As they were put.
            scope, missing_ok: As for `delete`.

        Raises:
            BulkError: Some failed; ``errors`` has each reason by name. The others are gone.
        """
        target = self._target()

        def one(name: str) -> None:
            place = _place(target, name, scope, None, None)
            try:
                target.objects.delete(place)
            except ObjectNotFoundError as exc:
                if not missing_ok:
                    raise _missing(target.objects, place) from exc

        _each("delete", one, names)


def _place(
    target: Target, name: str, scope: Scope, run: str | None, namespace: str | None
) -> Place:
    if scope == "namespace":
        if run is not None:
            raise InvalidRequestError(
                f"{name!r}: scope='namespace' is shared by all runs, so run={run!r} has no meaning "
                "there",
                name,
            )
        return Place(namespace or target.namespace, None, name)
    if scope != "run":
        raise InvalidRequestError(f"scope must be 'run' or 'namespace', not {scope!r}", name)
    if namespace is not None and namespace != target.namespace and run is None:
        raise InvalidRequestError(
            f"{name!r}: to read from a run of another namespace ({namespace!r}) give run=, too; "
            "for what its runs share give scope='namespace'",
            name,
        )
    return Place(namespace or target.namespace, _run_of(run or target.run, name), name)


def _run_of(run: str | None, name: str) -> str:
    if run is None:
        raise InvalidRequestError(
            f"{name!r}: this view has no run; make it with .at(namespace=…, run=…), or use "
            "scope='namespace'",
            name,
        )
    return run


def _each(verb: str, one: Callable[[str], Any], names: Iterable[str]) -> dict[str, Any]:
    names = builtins.list(dict.fromkeys(names))
    results: dict[str, Any] = {}
    errors: dict[str, Exception] = {}
    with ThreadPoolExecutor(max_workers=min(_AT_ONCE, max(1, len(names)))) as pool:
        futures = {name: pool.submit(one, name) for name in names}
        for name, future in futures.items():
            try:
                results[name] = future.result()
            except RunStoreError as exc:
                errors[name] = exc
    if errors:
        first = "; ".join(f"{name}: {error}" for name, error in builtins.list(errors.items())[:3])
        raise BulkError(
            f"{len(errors)} of {len(names)} objects could not be {_PAST[verb]} ({first}"
            f"{'; …' if len(errors) > 3 else ''})",
            None,
            errors,
            results,
        )
    return results


_PAST = {"put": "stored", "get": "read", "delete": "deleted"}


def _missing(objects: Objects, place: Place) -> ObjectNotFoundError:
    """Say what is not there, and what is: the name that was perhaps meant."""
    where = f"run {place.run!r} of namespace" if place.run else "namespace"
    message = f"no object {place.name!r} in {where} {place.namespace!r} ({objects.backend.url})"
    if objects.backend.mapped:  # a look around costs nothing there
        there = [info.name for info in objects.list(place.namespace, place.run)]
        if close := get_close_matches(place.name, there, n=3):
            message += f"; did you mean {' or '.join(map(repr, close))}?"
        elif place.run and objects.exists(Place(place.namespace, None, place.name)):
            message += "; there is one with scope='namespace'"
        elif not there:
            message += "; nothing is stored there at all"
        else:
            shown = ", ".join(map(repr, there[:5])) + (", …" if len(there) > 5 else "")
            message += f"; stored there: {shown}"
    return ObjectNotFoundError(message, str(place))

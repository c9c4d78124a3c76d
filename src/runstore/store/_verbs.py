"""What a user calls: the verbs, the same on a store, a view of one, and the current run's."""

import builtins
from typing import Any, Literal, TypedDict, TypeVar, Unpack, overload

from runstore.arguments import check_choice, check_flag, check_text
from runstore.context import PicklePolicy
from runstore.errors import InvalidRequestError, ObjectNotFoundError
from runstore.keys import Place, Scope
from runstore.store._arguments import check_get, check_put, column_list
from runstore.store._bulk import BulkVerbs
from runstore.store._info import ObjectInfo
from runstore.store._target import RAISE, Target, missing, not_a_name, place_of, run_of

__all__ = ["Compression", "Reading", "Verbs"]

Compression = Literal["auto", "lz4", "zstd"] | None


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


class Verbs(BulkVerbs):
    """The verbs of an object store, on whatever `_target` gives."""

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
            IndeterminateWriteError: Nobody can say whether it was written, or is kept.
        """
        check_put(name, value, if_absent, if_match, compression, pickle)
        target = self._target()
        return target.writable().put(
            place_of("put", target, name, scope, None, None),
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
        default: Any = RAISE,
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
                decoded, and on S3 not read. Index and dtypes stay.
            as_type: The type to return, without a copy where the libraries allow: a
                stored pandas frame as `pyarrow.Table`, say. ``docs/api.md`` has a table.
            pickle: The policy for this call instead of the store's.
            verify: True checks every byte. ``auto`` does so, too, except for the numbers in a
                large object that is mapped. False checks no numbers.

        Raises:
            NoRunContextError: Outside a run, unless *run* and *namespace* are given
                to a store that needs no other.
            InvalidNameError: *name*, *run* or *namespace* cannot be one.
            ObjectNotFoundError: Nothing is stored there and no *default* is given.
            CorruptObjectError: The bytes are wrong.
            InvalidRequestError: It has no such *columns*, or no place for a digest (``.csv``) and
                *verify* is True.
            UnsafePickleError: It is a pickle and the policy forbids to load it.
            UnsupportedValueError: It cannot be *as_type* exactly, or needs a class
                that is missing here.
            UnsupportedFormatError: It cannot be read here: it was written by a newer runstore or
                another version of a library, or would take too much memory for its size.
            StorageError: The place failed.
        """
        check_get("get", as_type, pickle, verify)
        columns = column_list("get", columns)
        target = self._target()
        place = place_of("get", target, name, scope, run, namespace)
        try:
            return target.objects.get(
                place, verify=verify, columns=columns, as_type=as_type, pickle=pickle
            )
        except ObjectNotFoundError as exc:
            if default is not RAISE:
                return default
            raise missing(target.objects, place) from exc

    @overload
    def get_with_info(
        self, name: str, *, as_type: type[T], **how: Unpack[Reading]
    ) -> tuple[T, ObjectInfo]: ...

    @overload
    def get_with_info(
        self, name: str, *, as_type: None = None, **how: Unpack[Reading]
    ) -> tuple[Any, ObjectInfo]: ...

    def get_with_info(
        self,
        name: str,
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
        columns: "builtins.list[Any] | None" = None,
        as_type: type | None = None,
        pickle: PicklePolicy | None = None,
        verify: Literal["auto"] | bool = "auto",
    ) -> tuple[Any, ObjectInfo]:
        """Return the value stored under *name* and its description, both of one version.

        Nothing can be written between the two, as it could between `stat` and `get`. So
        ``put(name, changed, if_match=info.version)`` replaces exactly the value that was
        read, or raises PreconditionFailedError. It costs what `get` costs.

        Arguments and errors as for `get`.
        """
        check_get("get_with_info", as_type, pickle, verify)
        columns = column_list("get_with_info", columns)
        target = self._target()
        place = place_of("get_with_info", target, name, scope, run, namespace)
        try:
            return target.objects.get_with_info(
                place, verify=verify, columns=columns, as_type=as_type, pickle=pickle
            )
        except ObjectNotFoundError as exc:
            raise missing(target.objects, place) from exc

    def exists(
        self,
        name: str,
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
    ) -> bool:
        """Return whether an object is stored under *name*; arguments and errors as for `get`.

        An outage raises, it is never reported as False.
        """
        target = self._target()
        return target.objects.exists(place_of("exists", target, name, scope, run, namespace))

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
        place = place_of("stat", target, name, scope, run, namespace)
        try:
            return target.objects.stat(place)
        except ObjectNotFoundError as exc:
            raise missing(target.objects, place) from exc

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
        check_text("list", "prefix", prefix)
        check_flag("list", "details", details)
        target = self._target()
        at = place_of("list", target, "any", scope, run, namespace)
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
        check_flag("delete", "missing_ok", missing_ok)
        target = self._target()
        place = place_of("delete", target, name, scope, None, None)
        try:
            target.writable().delete(place)
        except ObjectNotFoundError as exc:
            if not missing_ok:
                raise missing(target.objects, place) from exc

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
        nothing as `put`; the copy keeps type, metadata and creation time. On S3 a large
        object is copied by the server, and only its footer is checked.

        Args:
            name: As it was put.
            to_name: By default the same name.
            to_scope: By default the source's scope, ``run`` if *to_run* is given.
            to_run: By default the source's run.
            to_namespace: By default the source's namespace.
            scope, run, namespace: Where the source is, as for `get`.
            if_absent: Fail instead of replacing.

        Returns:
            The copy, as this call wrote it.

        Raises:
            InvalidRequestError: Source and target are the same.
            ObjectNotFoundError: Nothing is stored under *name*.
            ObjectExistsError: *if_absent* and the target is taken.
            CorruptObjectError: What was read of the source is damaged; nothing was written.
            StorageError: The place failed; an old target is intact.
            IndeterminateWriteError: Nobody can say whether the copy was written.
        """
        check_flag("copy", "if_absent", if_absent)
        check_choice("copy", "to_scope", to_scope, ("run", "namespace", None))
        target = self._target()
        source = place_of("copy", target, name, scope, run, namespace)
        copy = _copied_to(target, source, to_name, to_scope, to_run, to_namespace)
        if copy == source:
            raise InvalidRequestError(
                f"copy {source}: source and target are the same; give to_name, to_scope, to_run or "
                "to_namespace",
                str(source),
            )
        try:
            return target.writable().copy(source, copy, if_absent=if_absent)
        except ObjectNotFoundError as exc:
            raise missing(target.objects, source) from exc


def _copied_to(
    target: Target,
    source: Place,
    to_name: str | None,
    to_scope: Scope | None,
    to_run: str | None,
    to_namespace: str | None,
) -> Place:
    """Return the place that a copy goes to; where nothing is said, it is the source's."""
    name = source.name if to_name is None else to_name
    if not isinstance(name, str):
        raise not_a_name("copy", "to_name", name)
    check_text("copy", "to_run", to_run, optional=True)
    check_text("copy", "to_namespace", to_namespace, optional=True)
    namespace = source.namespace if to_namespace is None else to_namespace
    scope = to_scope or ("run" if to_run is not None else source.scope)
    if scope == "namespace":
        if to_run is not None:
            raise InvalidRequestError(
                f"copy: {name!r}: to_scope='namespace' is shared by all runs, so to_run={to_run!r} "
                "has no meaning there",
                name,
            )
        return Place(namespace, None, name)
    run = next((run for run in (to_run, source.run, target.run) if run is not None), None)
    return Place(namespace, run_of(run, name), name)

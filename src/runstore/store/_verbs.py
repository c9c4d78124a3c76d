"""What a user calls: the verbs, the same on a store, a view of one, and the current run's."""

import builtins
from functools import partial
from typing import Any, Literal, TypeVar, Unpack, overload

from runstore.arguments import check_flag
from runstore.codecs import small_kinds
from runstore.context import PicklePolicy
from runstore.errors import ObjectNotFoundError
from runstore.keys import Scope
from runstore.objects import ObjectInfo, missing
from runstore.parts import PartKey
from runstore.store._addresses import AddressVerbs
from runstore.store._arguments import Reading, check_get, check_put, column_list
from runstore.store._bulk import BulkVerbs
from runstore.store._files import FileVerbs
from runstore.store._folders import FolderVerbs
from runstore.store._lineage import LineageVerbs
from runstore.store._paging import PagingVerbs
from runstore.store._partitions import (
    read_partitions,
    reader_of,
)
from runstore.store._parts import PartVerbs
from runstore.store._putting import put_at
from runstore.store._refs import RefVerbs, check_referred, get_referred, referred
from runstore.store._sealing import part_read
from runstore.store._small import get_plain, put_small
from runstore.store._stored import StoredVerbs
from runstore.store._streams import StreamVerbs, filter_of
from runstore.store._target import RAISE, place_of

__all__ = ["Compression", "Reading", "Verbs"]

Compression = Literal["auto", "lz4", "zstd"] | None

# These very objects: a check by `==` could call code of a wrong argument.
_RUN: Scope = "run"
_NAMESPACE: Scope = "namespace"
_AUTO: Literal["auto"] = "auto"

T = TypeVar("T")
D = TypeVar("D")


class Verbs(
    AddressVerbs,
    BulkVerbs,
    FileVerbs,
    FolderVerbs,
    LineageVerbs,
    PagingVerbs,
    PartVerbs,
    RefVerbs,
    StoredVerbs,
    StreamVerbs,
):
    """The methods of an object store, on the target that `_target` returns."""

    def put(
        self,
        name: str,
        value: Any,
        *,
        scope: Scope = _RUN,
        metadata: dict[str, Any] | None = None,
        if_absent: bool = False,
        if_match: str | None = None,
        compression: Compression = _AUTO,
        part: PartKey | None = None,
        delta: bool = False,
        pickle: PicklePolicy | None = None,
    ) -> ObjectInfo:
        """Store *value* under *name* in the current run.

        All or nothing: a reader sees the old object or the new one, never a part,
        and once this returns every later ``get``, ``list`` and ``exists`` anywhere
        sees the new one. If it raises, the old object is unchanged.

        Args:
            name: 1 to 512 bytes of UTF-8, parts separated by ``/``; see `runstore.names`.
            value: Frames, arrays, text, bytes, JSON-like Python, or any picklable
                object. A value that cannot be stored exactly is refused.
            scope: ``run``, or ``namespace`` to share it with every run of the namespace.
            metadata: A dict of JSON values, kept with the object.
            if_absent: Fail instead of replacing.
            if_match: Replace only the object of this ``ObjectInfo.version``.
            compression: ``lz4``, ``zstd`` or None; ``auto`` does not compress where
                objects are memory-mapped, which compression would prevent.
            part: Store *value* as the part with this key, a text, int or tuple of them. Many
                workers may do so at once. The part is not visible before `seal` makes one object
                of all parts. If a part is put again, the next seal uses the newer write.
            delta: Replace an earlier version of a large object: read that version, send or write
                only the differences, and let S3 copy the rest, or the disk share its blocks (btrfs,
                XFS). The object is the same, byte for byte. Elsewhere it is sent whole.
            pickle: The policy for this call instead of the store's.

        Returns:
            What was stored.

        Raises:
            NoRunContextError: Outside a run.
            InvalidNameError: *name* cannot be one; nothing was touched.
            UnsupportedValueError: *value* cannot be stored exactly.
            UnsafePickleError: It would have to be pickled and the policy forbids it.
            ObjectExistsError: *if_absent* and the name is taken.
            PreconditionFailedError: *if_match* and the object has been replaced.
            StorageError: The place failed; the old object is intact.
            IndeterminateWriteError: It is unknown whether the object was written, or is kept.
        """
        if (
            type(value) in small_kinds
            and type(name) is str
            and (scope is _RUN or scope is _NAMESPACE)
            and metadata is None
            and if_absent is False
            and if_match is None
            and compression is _AUTO
            and part is None
            and delta is False
            and pickle is None
        ):
            stored = put_small(self._target(), name, value, scope)
            if stored is not None:
                return stored
        check_put(name, value, if_absent, if_match, compression, pickle)
        check_flag("put", "delta", delta)
        target = self._target()
        place = place_of("put", target, name, scope, None, None)
        return put_at(
            target,
            place,
            value,
            part=part,
            delta=delta,
            metadata=metadata,
            if_absent=if_absent,
            if_match=if_match,
            compression=None if compression == "auto" else compression,
            pickle=pickle,
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
        scope: Scope = _RUN,
        run: str | int | None = None,
        workflow: str | None = None,
        namespace: str | None = None,
        columns: "builtins.list[Any] | None" = None,
        filters: Any = None,
        part: PartKey | ObjectInfo | None = None,
        as_type: type | None = None,
        pickle: PicklePolicy | None = None,
        verify: Literal["auto"] | bool = _AUTO,
    ) -> Any:
        """Return the value stored under *name*: equal in type, dtype, order and labels.

        On disk and in memory a large table or array is memory-mapped, not read, so this takes
        as long as opening a file. The caller may modify the value;
        that changes neither the stored object nor another reader's value.

        Args:
            name: As it was put; or what `ref` has returned, for exactly that version.
            default: Returned if nothing is stored there. An outage still raises.
            scope: ``run`` or ``namespace``.
            run: Read from this run instead of the current one: its name, or -1 for the newest
                finished one of this workflow, -2 for the one before it.
            workflow: Read from the newest finished run of this workflow; one request more.
            namespace: Read from this namespace instead of the current one; in the run
                scope together with *run*.
            columns: Only these columns of a table, in this order; the others are not
                decoded, and on S3 not read. Index and dtypes stay.
            filters: Only the rows of a table that these select: a ``pyarrow.compute.Expression``,
                or as pandas' `read_parquet` takes them, ``[("x", ">", 1), ("y", "in", [2, 3])]``,
                in lists of lists for "or". They apply to the stored columns, as ``as_type=
                pyarrow.Table`` shows them; lists may also name a level of the index. A
                comparison with a missing value selects nothing. ``in`` and ``not in`` test for
                membership: ``("y", "not in", [2])`` selects missing values, unless ``None`` is in
                the list.
                Pieces of a table without matching values are not read.
            part: Only the part with this key, of an object that `seal` has made; or the result of
                ``put(…, part=…)``, for exactly that write, sealed or not.
            as_type: The type to return, without a copy where the libraries allow: for example a
                stored pandas frame as `pyarrow.Table`. ``docs/api.md`` has a table.
            pickle: The policy for this call instead of the store's.
            verify: True checks every byte. ``auto`` does so, too, except for the numbers in a
                large object that is mapped. False checks no numbers.

        Raises:
            NoRunContextError: Outside a run, unless *run* and *namespace* are given
                to a store that needs no other.
            InvalidNameError: *name*, *run* or *namespace* cannot be one.
            ObjectNotFoundError: Nothing is stored there and no *default* is given.
            PreconditionFailedError: *name* is a reference, and the object was replaced since.
            CorruptObjectError: The bytes are wrong.
            InvalidRequestError: It has no such *columns*, or no digest (as ``.csv``, text files)
                and *verify* is True.
            UnsafePickleError: It is a pickle and the policy forbids loading it.
            UnsupportedValueError: It cannot be *as_type* exactly, or needs a class
                that is missing here.
            UnsupportedFormatError: It cannot be read here: it was written by a newer runstore or
                another version of a library, or would take too much memory for its size.
            StorageError: The place failed.
        """
        plain = type(name) is str and ":" not in name and scope is _RUN and verify is _AUTO
        if (
            plain and run is None and workflow is None and namespace is None and columns is None
        ) and (filters is None and part is None and as_type is None and pickle is None):
            return get_plain(self._target(), name, default)
        if as_type is not None or pickle is not None or verify is not _AUTO:
            check_get("get", as_type, pickle, verify)
        if columns is not None:
            columns = column_list("get", columns)
        wanted = None if filters is None else filter_of("get", filters)
        target = self._target()
        ref = referred("get", name, scope, workflow if run is None else run, namespace)
        try:
            place = (
                place_of("get", target, name, scope, run, namespace, workflow)
                if ref is None
                else ref.place
            )
        except ObjectNotFoundError:  # no such run
            if default is not RAISE:
                return default
            raise
        how: dict[str, Any] = {
            "verify": verify,
            "columns": columns,
            "filters": wanted,
            "as_type": as_type,
            "pickle": pickle,
        }
        try:
            if ref is not None:
                if part is None and (as_type is None or reader_of(as_type) is None):
                    return get_referred(target.objects, ref, **how)[0]
                check_referred(target.objects, ref)
            if part is None:
                if (
                    wanted is None
                    and as_type is not None
                    and (build := reader_of(as_type)) is not None
                ):
                    return read_partitions(
                        target,
                        place,
                        as_type,
                        build,
                        columns=columns,
                        pickle=pickle,
                        verify=verify,
                    )
                return target.objects.get(place, **how)
            objects = target.objects
            return part_read(
                objects, place, part, pickle, lambda at, one: objects.get(at, sealed=one, **how)
            )
        except ObjectNotFoundError as exc:
            if default is not RAISE:
                return default
            if part is not None and target.objects.exists(place):
                raise
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
        """Return the value stored under *name* and its description, both of one version.

        Nothing can be written between the two, as it could between `stat` and `get`. So
        ``put(name, changed, if_match=info.version)`` replaces exactly the value that was
        read, or raises PreconditionFailedError. It costs what `get` costs.

        Arguments and errors as for `get`.
        """
        check_get("get_with_info", as_type, pickle, verify)
        columns = column_list("get_with_info", columns)
        wanted = filter_of("get_with_info", filters)
        target = self._target()
        ref = referred("get_with_info", name, scope, workflow if run is None else run, namespace)
        place = (
            place_of("get_with_info", target, name, scope, run, namespace, workflow)
            if ref is None
            else ref.place
        )
        read = partial(
            target.objects.get_with_info,
            verify=verify,
            columns=columns,
            filters=wanted,
            as_type=as_type,
            pickle=pickle,
        )
        try:
            if ref is not None:
                if part is None:
                    return get_referred(
                        target.objects, ref, verify, columns, as_type, pickle, wanted
                    )
                check_referred(target.objects, ref)
            if part is None:
                return read(place)
            return part_read(
                target.objects, place, part, pickle, lambda at, one: read(at, sealed=one)
            )
        except ObjectNotFoundError as exc:
            if part is not None and target.objects.exists(place):
                raise
            raise missing(target.objects, place) from exc

"""Objects of parts: their seal is read, then the parts that it names; all of it goes together.

A seal is the file at the object's own key, and is written last. It names exact writes of parts,
which are never replaced. So whoever has read a seal reads the whole that it names, also if there is
a newer seal meanwhile.
"""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import xxhash

from runstore import containers
from runstore.buffers import Buffer, flat
from runstore.containers import Header
from runstore.context import PicklePolicy
from runstore.errors import (
    CorruptObjectError,
    InvalidRequestError,
    ObjectExistsError,
    ObjectNotFoundError,
    UnsupportedFormatError,
)
from runstore.keys import (
    ARROW,
    PARTS,
    AnyPlace,
    PartPlace,
    Place,
    extension_at,
    key_of,
    parts_folder,
    scope_folder,
)
from runstore.objects._checks import check_place, check_version, guard_of, open_object
from runstore.objects._info import ObjectInfo, describe
from runstore.objects._kinds import container_in
from runstore.objects._one_file import other_kind
from runstore.objects._signing import signing_keys
from runstore.places import Backend
from runstore.seals import (
    SEAL_VERSION,
    SEALED,
    Sealed,
    SealedPart,
    seal_rows,
    seal_spec,
    sealed_in,
)
from runstore.steps import each_told, reporting
from runstore.versions import version_of
from runstore.workers import Workers

if TYPE_CHECKING:
    from runstore.containers import Stored, StoredParquet
    from runstore.objects._objects import StoredObjects

__all__ = [
    "PartGoneError",
    "check_sealed_file",
    "check_sealed_part",
    "copied_parts",
    "delete_parts",
    "delete_parts_of_many",
    "each_of",
    "is_sealed",
    "not_sealed",
    "part_place",
    "parts_of",
    "read_seal",
    "seal_header",
    "seal_in",
    "write_seal",
]

_AT_ONCE_NEAR, _AT_ONCE_FAR = 4, 32  # parts under way at a time

T = TypeVar("T")
R = TypeVar("R")


class PartGoneError(Exception):
    """A part that a seal names is not there."""

    def __init__(self, error: ObjectNotFoundError) -> None:
        super().__init__(error.message)
        self.error = error

    def check(self, objects: "StoredObjects", place: Place, header: Header | None) -> None:
        """Return if the seal at *place* is another one by now, so that it can be read again.

        Raises:
            ObjectNotFoundError: Nothing is stored there any more.
            CorruptObjectError: It is the same seal, so the part is missing.
        """
        _, now = read_seal(objects, place)
        if header is None or now.write_id == header.write_id:
            raise CorruptObjectError(
                f"{place} is damaged: a part that it names is missing ({self.error.message}). "
                "Run again the stage that made it",
                str(place),
            ) from self.error


def seal_in(opened: "Stored | StoredParquet", place: AnyPlace) -> Sealed | None:
    """Return the seal that an opened file is; None if it is another object.

    Raises:
        CorruptObjectError: It is one for another place, or names what it must not.
    """
    header = opened.header
    if header is None or header.codec != SEALED or isinstance(place, PartPlace):
        return None
    check_place(header, place)
    check_version(opened.ref, SEALED, header.codec_version, SEAL_VERSION)
    opened.check_all()  # its numbers, too, if it is large and mapped
    return sealed_in(opened.table(), header.spec, opened.ref, flat(opened.data).nbytes)


def read_seal(
    objects: "StoredObjects", place: Place, *, pickle: PicklePolicy | None = None
) -> tuple[Sealed, Header]:
    """Return the seal of an object of parts, and its header.

    Args:
        objects: Where.
        place: The object.
        pickle: The policy instead of the store's.

    Raises:
        ObjectNotFoundError: Nothing is stored there.
        InvalidRequestError: What is stored there is not made of parts.
        CorruptObjectError: It is damaged.
    """
    ref = str(place)
    policy = objects.policy_for(pickle, ref)
    data, _ = objects.backend.get(key_of(place))
    if container_in(extension_at(place), data, ref) == ARROW:
        signed = policy == "signed"
        if signed:
            data, _ = objects.authentic(data, ref, ARROW, signing_keys(ref, "load"), "load")
        opened = open_object(data, ref, ARROW, guard_of(policy, signed))
        if (seal := seal_in(opened, place)) is not None:
            assert opened.header is not None
            return seal, opened.header
    raise InvalidRequestError(f"{ref} is not made of parts: read it with get(name)", ref)


def is_sealed(objects: "StoredObjects", place: Place) -> bool:
    """Return whether an object is made of parts, or is damaged, so that it may be.

    Raises:
        ObjectNotFoundError: It is not there.
    """
    try:
        header = objects.header(key_of(place))
    except (CorruptObjectError, UnsupportedFormatError):
        return True
    return header is not None and header.codec == SEALED


def part_place(place: Place, sealed: Sealed, part: SealedPart) -> PartPlace:
    """Return where a part that a seal at *place* names lies."""
    return PartPlace(*place, part.part, part.write_id, sealed.extension)


def each_of(backend: Backend, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Return the results of *function* for some items at a time, in their order."""
    items = list(items)
    near = backend.guarantees.mapped
    if len(items) < 2:
        return [function(item) for item in items]
    at_once = min(_AT_ONCE_NEAR if near else _AT_ONCE_FAR, len(items))
    with Workers(at_once, "runstore-parts") as workers:
        return workers.map(function, items)


def parts_of(place: Place, seal: Sealed) -> tuple[SealedPart, ...]:
    """Return the parts of one value, in their order.

    Raises:
        UnsupportedFormatError: They are something else together.
    """
    if seal.kind != "parts":
        raise other_kind(place, seal)
    return seal.parts


def check_sealed_part(
    data: Buffer, place: AnyPlace, part: SealedPart, size: int | None = None
) -> None:
    """Raise CorruptObjectError unless a part file is the write that the seal names.

    Args:
        data: The file, or its footer; its own digests have been checked, or will be.
        place: Where it was found.
        part: What the seal says of it.
        size: Of the file, if *data* is its footer.
    """
    view, ref = flat(data), str(place)
    size = view.nbytes if size is None else size
    start = containers.footer_start(view[-10:], size, ref) - (size - view.nbytes)
    read = containers.read_footer(bytes(view[start:]), ref)
    if read is None or read[1] != part.digest or size != part.size:
        raise not_sealed(ref)


def check_sealed_file(data: Buffer, place: PartPlace, part: SealedPart) -> None:
    """Raise CorruptObjectError unless a file without a header is the one that the seal names."""
    view = flat(data)
    digest = f"xxh3_128:{xxhash.xxh3_128_hexdigest(view)}"
    if view.nbytes != part.size or digest != part.digest:
        raise not_sealed(str(place))


def not_sealed(ref: str) -> CorruptObjectError:
    """Return the error for a file that is not the one a seal names."""
    return CorruptObjectError(
        f"{ref} is damaged, or another file stands in its place: it is not what the object's seal "
        "names. Restore it from a copy, or run again the stage that made it",
        ref,
    )


def seal_header(
    place: Place,
    kind: str,
    *,
    rows: int | None = None,
    columns: int | None = None,
    nbytes: int | None = None,
    pickled: bool = False,
    metadata: dict[str, Any] | None = None,
    workflow: str | None = None,
    stage: str | None = None,
) -> Header:
    """Return the header of a new seal.

    Args:
        place: The object.
        kind: The python type of the value.
        rows, columns, nbytes, pickled, metadata, workflow, stage: As in `Header`.
    """
    return Header(
        namespace=place.namespace,
        run=place.run,
        name=place.name,
        type=kind,
        codec=SEALED,
        codec_version=1,
        created_at=datetime.now(UTC),
        write_id=secrets.token_hex(8),
        pickle=pickled,
        rows=rows,
        columns=columns,
        nbytes=nbytes,
        workflow=workflow,
        stage=stage,
        versions={name: version_of(name) for name in ("runstore", "python")},
        metadata=metadata or {},
    )


def write_seal(
    objects: "StoredObjects",
    place: Place,
    sealed: Sealed,
    header: Header,
    *,
    if_absent: bool = False,
    if_match: str | None = None,
) -> ObjectInfo:
    """Write a seal: from now on the parts that it names are the object. All or nothing.

    Raises:
        ObjectExistsError: *if_absent* and there is an object.
        PreconditionFailedError: *if_match* and the object is another by now.
        StaleRunError: The run of this code has ended, or its attempt was given up.
        StorageError: The place failed; the old object is intact.
    """
    signing = None
    if objects.policy == "signed":
        signing = signing_keys(str(place), "seal").current
    rows = seal_rows(sealed)
    header = replace(header, spec=seal_spec(sealed))
    written = containers.arrow_file(rows.schema, [rows], header, nbytes=0, key=signing)
    entry = objects.backend.put(key_of(place), written, if_absent=if_absent, if_match=if_match)
    return describe(place, entry, ARROW, header, written.digest, signing is not None)


# What goes together -------------------------------------------------------------------------------


def delete_parts(backend: Backend, place: Place) -> None:
    """Remove everything in an object's folder of parts, whatever names it.

    Raises:
        StorageError: Something could not be removed.
    """
    keys = [entry.key for entry in backend.list(parts_folder(place))]
    if keys:
        for error in backend.delete_many(keys, missing_ok=True).values():
            raise error


def delete_parts_of_many(backend: Backend, places: Iterable[Place]) -> None:
    """Remove what is in the folders of parts of several objects; one listing for each scope.

    Raises:
        StorageError: Something could not be removed.
    """
    folders: dict[str, set[str]] = {}
    for place in places:
        scope = scope_folder(place.namespace, place.run)
        folders.setdefault(f"{scope}{PARTS}/", set()).add(parts_folder(place))
    for scope, wanted in folders.items():
        there = (entry.key for entry in backend.list(scope))
        keys = [key for key in there if f"{key.rpartition('/')[0]}/" in wanted]
        if keys:
            for error in backend.delete_many(keys, missing_ok=True).values():
                raise error


def copied_parts(
    objects: "StoredObjects", sealed: Sealed, source: Place, target: Place, if_absent: bool
) -> Sealed:
    """Copy all parts of an object, and return the seal for its copy.

    Raises:
        ObjectExistsError: *if_absent* and there is an object at *target*.
        CorruptObjectError: A part is missing or damaged.
        StorageError: The place failed.
    """
    if if_absent and objects.exists(target):
        raise ObjectExistsError(
            f"{target} exists already and was not replaced: if_absent was given", str(target)
        )

    def copy(part: SealedPart) -> SealedPart:
        at = part_place(source, sealed, part)
        try:
            if sealed.extension == ARROW:
                info = objects.copy(at, at.at(target))
                if info.digest != part.digest and objects.stat(at).digest != part.digest:
                    raise not_sealed(str(at))
                return replace(part, digest=info.digest or part.digest, size=info.size)
            entry = objects.backend.copy(key_of(at), key_of(at.at(target)))
            return replace(part, size=entry.size)
        except ObjectNotFoundError as exc:
            raise CorruptObjectError(
                f"{source} is not copied: a part that it names is missing ({exc.message})",
                str(source),
            ) from exc

    with reporting(f"copying {source}", len(sealed.parts), "items") as report:
        parts = each_told(each_of(objects.backend, copy, sealed.parts), report, 1)
        return replace(sealed, parts=tuple(parts))

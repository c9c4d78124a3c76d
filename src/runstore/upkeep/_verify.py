"""Reading what is stored only to check it: every byte, and no code of any value."""

import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from runstore import containers
from runstore.buffers import Buffer
from runstore.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    BucketNotFoundError,
    CorruptObjectError,
    InvalidRequestError,
    ObjectNotFoundError,
    RunStoreError,
    UnsupportedFormatError,
)
from runstore.keys import (
    ARROW,
    PARTS,
    AnyPlace,
    PartPlace,
    Place,
    extension_at,
    is_shortened,
    key_beginning,
    key_of,
    name_of,
    record_key,
    scope_folder,
)
from runstore.objects import (
    UNREADABLE_SEAL,
    StoredObjects,
    check_place,
    check_sealed_part,
    container_in,
    object_of_parts,
    open_object,
    part_place,
    parts_by_object,
    seal_in,
    signing_keys,
    unnamed_of,
)
from runstore.parts import parsed_part_file
from runstore.places import Backend, Entry, list_allowed
from runstore.runs import read_record
from runstore.seals import SealedPart
from runstore.steps import reporting
from runstore.upkeep._findings import Verified
from runstore.upkeep._verify_journal import Journal
from runstore.upkeep._verify_streamed import check_file_of, streamed
from runstore.workers import Workers

if TYPE_CHECKING:
    from runstore.upkeep._whole_store import WholeStore

__all__ = ["verified"]

_SUBMITTED = 16  # for each that is checked at a time


class _Check(NamedTuple):
    """One file that is to be looked at.

    Attributes:
        entry: What the place says of it.
        ref: What it is called.
        call: Looks at it; None if there is nothing to say of it.
    """

    entry: Entry
    ref: str
    call: Callable[[], Verified | None]


def verified(
    store: "WholeStore",
    namespace: str | None = None,
    run: str | None = None,
    prefix: str = "",
    *,
    shared: bool = False,
    journal: str | os.PathLike[str] | None = None,
    workers: int,
) -> Iterator[Verified]:
    """Check objects and run records; see `ObjectStore.verify`."""
    objects = store._objects
    check = {"store": store.address.url, "of": [namespace, run, prefix, shared]}
    kept = None if journal is None else Journal(journal, check | {"pickle": objects.policy})
    checks = _checks(store, namespace, run, prefix, shared)
    with kept or nullcontext(), reporting(f"checking {store.address.url}") as report:
        for found in _each(checks, kept, workers):
            report.add()
            yield found
        if kept is not None:
            kept.complete()


def _checks(
    store: "WholeStore", namespace: str | None, run: str | None, prefix: str, shared: bool
) -> Iterator[_Check]:
    objects = store._objects
    if namespace is None:
        for one in store.namespaces():
            yield from _checks(store, one, None, "", False)
    elif run is not None or shared:
        if run is not None and not prefix:
            yield from _records(objects.backend, namespace, run)
        yield from _scope(objects, namespace, run, prefix)
    else:
        try:
            runs = store.runs_with_objects(namespace)
        except AccessDeniedError as exc:
            yield _unlisted(
                objects.backend, f"{scope_folder(namespace, None).partition('/')[0]}/", exc
            )
            return
        yield from _records(objects.backend, namespace)
        for scope in (*runs, None):
            yield from _scope(objects, namespace, scope, "")


def _scope(
    objects: StoredObjects, namespace: str, run: str | None, prefix: str
) -> Iterator[_Check]:
    """Yield what is in a scope, and last which of its folders may not be listed."""
    denied: dict[str, AccessDeniedError] = {}
    yield from _objects_of(objects, namespace, run, prefix, denied)
    folder = scope_folder(namespace, run)
    if folder not in denied:
        try:
            yield from _unsealed(objects, namespace, run, prefix)
        except AccessDeniedError as exc:
            denied[f"{folder}{PARTS}/"] = exc
    for at, error in denied.items():
        yield _unlisted(objects.backend, at, error)


def _unlisted(backend: Backend, folder: str, error: AccessDeniedError) -> _Check:
    ref = f"{backend.url}/{folder}"
    return _Check(Entry(folder, 0, datetime.now(UTC), None), ref, lambda: Verified(ref, 0, error))


def _objects_of(
    objects: StoredObjects,
    namespace: str,
    run: str | None,
    prefix: str,
    denied: dict[str, AccessDeniedError],
) -> Iterator[_Check]:
    scope = scope_folder(namespace, run)
    for entry in list_allowed(objects.backend, scope + key_beginning(prefix), denied.__setitem__):
        below = entry.key[len(scope) :]
        if is_shortened(below):
            ref = f"{objects.backend.url}/{entry.key}"
            yield _Check(entry, ref, partial(_shortened, objects, entry, prefix))
            continue
        name = name_of(below)
        if name is not None and name.startswith(prefix):
            place = Place(namespace, run, name)
            check = partial(_check, objects, entry.key, place, entry.size)
            yield _Check(entry, str(place), partial(_outcome, str(place), entry.size, check))


def _unsealed(
    objects: StoredObjects, namespace: str, run: str | None, prefix: str
) -> Iterator[_Check]:
    """Yield the parts of a scope that no seal names."""
    for folder, entries in parts_by_object(objects, namespace, run):
        try:
            place = object_of_parts(objects, namespace, run, folder, entries)
        except AccessDeniedError as exc:
            yield _unlisted(objects.backend, folder, exc)
            continue
        if place is None or not place.name.startswith(prefix):
            continue
        try:
            unnamed, _ = unnamed_of(objects, place, entries)
        except (*UNREADABLE_SEAL, AccessDeniedError):
            continue  # which is told of the object
        for entry in unnamed:
            ref = f"part {entry.key.rpartition('/')[2]} of {place}"
            check = partial(_check_unsealed, objects, place, entry)
            yield _Check(entry, ref, partial(_outcome, ref, entry.size, check))


def _check_unsealed(objects: StoredObjects, whole: Place, entry: Entry) -> bool:
    file = parsed_part_file(entry.key.rpartition("/")[2])
    if file is None or file.extension != ARROW:
        return False  # a file of a folder: only a seal has its digest
    header = objects.header(entry.key)
    place = None if header is None else header.place
    if not isinstance(place, PartPlace) or place.whole != whole or key_of(place) != entry.key:
        ref = f"{objects.backend.url}/{entry.key}"
        raise CorruptObjectError(f"{ref} is not the part that its key stands for", ref)
    return _check(objects, entry.key, place, entry.size)


def _records(backend: Backend, namespace: str, run: str = "") -> Iterator[_Check]:
    wanted = record_key(namespace, run)
    denied: dict[str, AccessDeniedError] = {}
    for entry in list_allowed(backend, wanted, denied.__setitem__):
        if run and entry.key != wanted:
            continue
        if not entry.key.endswith("/"):  # by which consoles of S3 stand in for a folder
            ref = f"{backend.url}/{entry.key}"
            yield _Check(entry, ref, partial(_record, backend, namespace, entry, ref))
    for at, error in denied.items():
        yield _unlisted(backend, at, error)


def _each(checks: Iterator[_Check], journal: Journal | None, workers: int) -> Iterator[Verified]:
    def look(check: _Check) -> Verified | None:
        known = None if journal is None else journal.has_digest(check.entry)
        if known is not None:
            return Verified(check.ref, check.entry.size, has_digest=known, resumed=True)
        return check.call()

    with Workers(workers, "runstore-verify") as threads:
        while some := list(islice(checks, workers * _SUBMITTED)):
            for check, found in zip(some, threads.map(look, some), strict=True):
                if found is None:
                    continue
                if journal is not None and found.error is None and not found.resumed:
                    journal.note(check.entry, has_digest=found.has_digest)
                yield found


def _outcome(ref: str, size: int, check: Callable[[], bool]) -> Verified | None:
    try:
        return Verified(ref, size, has_digest=check())
    except ObjectNotFoundError:
        return None  # deleted meanwhile
    except (BackendUnavailableError, BucketNotFoundError):
        raise  # it is the place that failed, not this object
    except RunStoreError as exc:
        return Verified(ref, size, exc)


def _check(
    objects: StoredObjects, key: str, place: AnyPlace, size: int, part: SealedPart | None = None
) -> bool:
    """Check one object, with its parts; return whether its format has a place for a digest."""
    found = streamed(objects, place, size, part)
    if found is not None:
        return found
    ref, extension = str(place), extension_at(place)
    data, _ = objects.backend.get(key)
    if part is not None:
        check_sealed_part(data, place, part)
    container = container_in(extension, data, ref)
    if container is None:
        return _check_file(extension, data, ref)
    signed = objects.policy == "signed"
    if signed:
        keys = signing_keys(ref, "verify")
        data, _ = objects.authentic(data, ref, container, keys, "verify")
    opened = open_object(data, ref, container, objects.guard(signed))  # as if it were not mapped
    if opened.header is None:
        opened.table()  # whether all of it is there
        raise _without_digest(ref)
    check_place(opened.header, place)
    if container == ARROW and opened.cell is None:  # a small file of one cell has been compared
        opened.check_readable()
    if isinstance(place, Place) and (seal := seal_in(opened, place)) is not None:
        for part in seal.parts:
            _check_part(objects, part_place(place, seal, part), part)
    return True


def _check_part(objects: StoredObjects, place: PartPlace, part: SealedPart) -> None:
    """Check one part of a sealed object, one after the other: all of it is in memory once.

    Raises:
        CorruptObjectError: It is damaged, missing, or another one.
    """
    try:
        if place.extension == ARROW:
            _check(objects, key_of(place), place, part.size, part)
        else:
            check_file_of(objects, place, part)
    except ObjectNotFoundError as exc:
        objects.backend.head(key_of(place.whole))  # deleted meanwhile?
        raise CorruptObjectError(
            f"{place.whole} is damaged: a part that it names is missing ({exc.message}). Run again "
            "the stage that made it",
            str(place.whole),
        ) from exc


def _check_file(extension: str, data: Buffer, ref: str) -> bool:
    if containers.check_file(extension, data, ref):
        return True
    try:
        containers.check_file(extension, data, ref, verify=True)
    except InvalidRequestError:
        return False  # files of its format have none
    except CorruptObjectError as exc:
        raise _without_digest(ref) from exc
    return True


def _without_digest(ref: str) -> UnsupportedFormatError:
    return UnsupportedFormatError(
        f"{ref} has no digest: another program wrote it, or what marks the digest is damaged. "
        "Load it with get(), and put() it again if it is as it should be",
        ref,
    )


def _shortened(objects: StoredObjects, entry: Entry, prefix: str) -> Verified | None:
    """Check an object whose full name is only inside it."""
    place: AnyPlace | None = None
    key = entry.key

    def check() -> bool:
        nonlocal place
        header = objects.header(key)
        if header is None or key_of(header.place) != key:
            ref = f"{objects.backend.url}/{key}"
            raise CorruptObjectError(
                f"{ref} is not the object that its key stands for: it was moved or written by "
                "another program",
                ref,
            )
        place = header.place
        return _check(objects, key, place, entry.size)

    found = _outcome(f"{objects.backend.url}/{key}", entry.size, check)
    if found is None or place is None:
        return found
    return found._replace(ref=str(place)) if place.name.startswith(prefix) else None


def _record(backend: Backend, namespace: str, entry: Entry, ref: str) -> Verified | None:
    def check() -> bool:
        read_record(backend.get(entry.key)[0], backend, namespace, entry.key)
        return True

    return _outcome(ref, entry.size, check)

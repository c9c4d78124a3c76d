"""Reading what is stored only to check it: every byte, and no code of any value."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from runstore import format as containers
from runstore.buffers import Buffer, flat
from runstore.errors import (
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
    Place,
    extension_of,
    folder_of,
    is_shortened,
    key_of,
    name_of,
    record_key,
    scope_folder,
)
from runstore.places import Backend
from runstore.store._decoding import check_place, open_object
from runstore.store._objects import Objects
from runstore.store._records import read_record
from runstore.store._signing import signing_keys
from runstore.workers import Workers

if TYPE_CHECKING:
    from runstore.store import ObjectStore

__all__ = ["Verified", "verified"]

_AT_ONCE = 4  # objects; each is in memory whole where it is not mapped
_SUBMITTED = 64


class Verified(NamedTuple):
    """What was found of one object or record.

    Attributes:
        ref: Its name; of an object whose name cannot be read, its key.
        size: Stored bytes.
        error: Why it is damaged or could not be checked, or None.
        has_digest: False if its format has no place for a digest, so that nothing was checked.
    """

    ref: str
    size: int
    error: RunStoreError | None = None
    has_digest: bool = True

    @property
    def damaged(self) -> bool:
        """Whether its bytes are wrong. If not, *error* says why that is not known."""
        return isinstance(self.error, CorruptObjectError)


def verified(
    store: "ObjectStore",
    namespace: str | None = None,
    run: str | None = None,
    prefix: str = "",
    *,
    shared: bool = False,
) -> Iterator[Verified]:
    """Check objects and run records, a few at a time: every byte is read, nothing is unpickled.

    Files that are not ours are passed over, and so is what is deleted meanwhile. Objects of a
    scope come in the order of their keys.

    Args:
        store: Where they are.
        namespace: Only what is in this one.
        run: Only this run of it: its objects, and its record if there is no *prefix*.
        prefix: Only objects of the scope whose names begin so.
        shared: Only what the runs of the namespace share.

    Raises:
        BackendUnavailableError: The place could not be reached; nothing is known of the rest.
        BucketNotFoundError: The place does not exist.
        StorageError: It cannot be listed.
    """
    objects = store._objects
    if namespace is None:
        for one in store.namespaces():
            yield from verified(store, one)
    elif run is not None or shared:
        if run is not None and not prefix:
            found = _record(objects.backend, namespace, record_key(namespace, run))
            yield from () if found is None else (found,)
        yield from _objects_of(objects, namespace, run, prefix)
    else:
        yield from _records_of(objects.backend, namespace)
        for scope in (*store.runs_with_objects(namespace), None):
            yield from _objects_of(objects, namespace, scope, "")


def _objects_of(
    objects: Objects, namespace: str, run: str | None, prefix: str
) -> Iterator[Verified]:
    scope = scope_folder(namespace, run)

    def checks() -> Iterator[Callable[[], Verified | None]]:
        for entry in objects.backend.list(scope + folder_of(prefix)):
            below = entry.key[len(scope) :]
            if is_shortened(below):
                yield partial(_shortened, objects, entry.key, entry.size, prefix)
                continue
            name = name_of(below)
            if name is not None and name.startswith(prefix):
                place = Place(namespace, run, name)
                check = partial(_check, objects, entry.key, place)
                yield partial(_outcome, str(place), entry.size, check)

    yield from _each(checks())


def _records_of(backend: Backend, namespace: str) -> Iterator[Verified]:
    yield from _each(
        partial(_record, backend, namespace, entry.key)
        for entry in backend.list(record_key(namespace, ""))
        if not entry.key.endswith("/")  # by which consoles of S3 stand in for a folder
    )


def _each(checks: Iterator[Callable[[], Verified | None]]) -> Iterator[Verified]:
    with Workers(_AT_ONCE, "runstore-verify") as workers:
        while some := list(islice(checks, _SUBMITTED)):
            for found in workers.map(lambda check: check(), some):
                if found is not None:
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


def _check(objects: Objects, key: str, place: Place) -> bool:
    """Check one object; return whether its format has a place for a digest."""
    ref, extension = str(place), extension_of(place.name)
    data, _ = objects.backend.get(key)
    if extension not in (ARROW, "parquet"):
        return _check_file(extension, data, ref)
    signed = objects._pickle == "signed"
    if signed:
        keys = signing_keys(ref, "verify")
        data, _ = objects._authentic(data, ref, extension, keys, "verify")
    opened = open_object(data, ref, extension, objects._guard(signed))  # as if it were not mapped
    if opened.header is None:
        opened.table()  # whether all of it is there
        raise _without_digest(ref)
    check_place(opened.header, place)
    return True


def _check_file(extension: str, data: Buffer, ref: str) -> bool:
    if containers.check_file(extension, data, ref):
        return True
    try:
        containers.check_file(extension, data, ref, verify=True)
    except InvalidRequestError:
        return False  # its format has no place for one
    except CorruptObjectError as exc:
        raise _without_digest(ref) from exc
    return True


def _without_digest(ref: str) -> UnsupportedFormatError:
    return UnsupportedFormatError(
        f"{ref} has no digest: another program wrote it, or what marks the digest is damaged. "
        "Load it with get(), and put() it again if it is as it should be",
        ref,
    )


def _shortened(objects: Objects, key: str, size: int, prefix: str) -> Verified | None:
    """Check an object whose full name is only inside it."""
    place: Place | None = None

    def check() -> bool:
        nonlocal place
        header = objects._header(key)
        if header is None or key_of(header.place) != key:
            ref = f"{objects.backend.url}/{key}"
            raise CorruptObjectError(
                f"{ref} is not the object that its key stands for: it was moved or written by "
                "another program",
                ref,
            )
        place = header.place
        return _check(objects, key, place)

    found = _outcome(f"{objects.backend.url}/{key}", size, check)
    if found is None or place is None:
        return found
    return found._replace(ref=str(place)) if place.name.startswith(prefix) else None


def _record(backend: Backend, namespace: str, key: str) -> Verified | None:
    size = 0

    def check() -> bool:
        nonlocal size
        data, _ = backend.get(key)
        size = flat(data).nbytes
        read_record(data, backend, namespace, key)
        return True

    found = _outcome(f"{backend.url}/{key}", 0, check)
    return None if found is None else found._replace(size=size)

"""Stored objects by place: what is done with them as files, without a value.

They are described, listed, copied and removed. It knows no context: every call gets the full place
of its object. And it knows no codec: a header and a digest say what a file is, and a seal which
parts belong to it.
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Self, get_args

from runstore import containers
from runstore.arguments import printable
from runstore.buffers import Buffer, copied, flat
from runstore.containers import Header, Stored, Verify
from runstore.context import PicklePolicy
from runstore.errors import (
    CorruptObjectError,
    InvalidRequestError,
    ObjectNotFoundError,
    RunStoreError,
    UnreadableWarning,
    UnsafePickleError,
    UnsupportedFormatError,
)
from runstore.keys import (
    AnyPlace,
    Place,
    extension_at,
    extension_of,
    is_shortened,
    key_beginning,
    key_of,
    name_of,
    scope_folder,
)
from runstore.objects._checks import check_place, guard_of, open_object
from runstore.objects._info import ObjectInfo, describe, describe_file
from runstore.objects._kinds import container_in, container_of, ends_as_container, is_plain
from runstore.objects._sealed import (
    check_sealed_part,
    delete_parts,
    delete_parts_of_many,
    is_sealed,
)
from runstore.objects._signing import SigningKeys, check_signature, signing_keys
from runstore.places import Backend, Entry
from runstore.seals import SealedPart
from runstore.steps import reporting

if TYPE_CHECKING:
    from runstore.containers import StoredParquet

__all__ = ["StoredObjects"]

_DELETED = 1000  # keys of one request, where there are requests
_TAIL = 64 * 1024  # nearly every footer is shorter; a longer one costs a second read


class StoredObjects:
    """The objects of one backend, as files.

    Args:
        backend: Where they are kept.
        pickle: The pickle policy: who may write what is read here, and whether it is signed.
    """

    def __init__(self, backend: Backend, pickle: PicklePolicy) -> None:
        self.backend = backend
        self.policy: PicklePolicy = pickle
        """The pickle policy of the store."""
        self.last_leased: tuple[object, Backend, Self] | None = None
        """A cache of `runstore.objects._leased`: the last lease, and these objects under it."""
        self.last_traced: tuple[object, Backend, Self] | None = None
        """A cache of `runstore.objects._traced`: the last trace, and these objects under it."""
        self._open = [True]  # shared with those on another backend

    @property
    def is_open(self) -> bool:
        """Whether who keeps these may go on with them: their store was not closed or given up."""
        return self._open[0]

    @is_open.setter
    def is_open(self, value: bool) -> None:
        self._open[0] = value

    def with_backend(self, backend: Backend) -> Self:
        """Return the same objects by another backend, such as a wrapper of this one."""
        twin = type(self).__new__(type(self))
        caches = {"last_leased": None, "last_traced": None}
        twin.__dict__ = {**self.__dict__, "backend": backend, **caches}
        return twin

    def policy_for(self, wanted: PicklePolicy | None, ref: str) -> PicklePolicy:
        """Return *wanted*, or the store's own policy if that is None."""
        if wanted is not None and wanted not in get_args(PicklePolicy):
            raise InvalidRequestError(
                f"{ref}: pickle={wanted!r} is no policy; there are "
                f"{', '.join(map(repr, get_args(PicklePolicy)))}",
                ref,
            )
        return wanted or self.policy

    def described_by(self, place: AnyPlace, entry: Entry, read: Buffer) -> ObjectInfo:
        """Return the description, from all of the file or its end with all of the footer."""
        view = flat(read)
        if ends_as_container(extension_at(place), view, entry.size, str(place)) is None:
            return describe_file(place, entry)
        start = containers.footer_start(view[-10:], entry.size, str(place)) - entry.size
        return self.described(place, entry, bytes(view[start:]))

    def open_whole(
        self,
        place: AnyPlace,
        policy: PicklePolicy,
        verify: Verify,
        sealed: SealedPart | None = None,
        read: tuple[Buffer, Entry] | None = None,
    ) -> "tuple[Stored | StoredParquet | None, Buffer, Entry]":
        """Read all of an object, and check it.

        Args:
            place: What.
            policy: The pickle policy.
            verify: As for `runstore.ObjectStore.get`.
            sealed: What the seal says of it, if it is a part.
            read: What the place gave, if it has been asked already.

        Returns:
            What is in the file, None for a plain one; its bytes; what the place says of it.
        """
        ref, extension = str(place), extension_at(place)
        data, entry = self.backend.get(key_of(place)) if read is None else read
        mapped = self.backend.guarantees.mapped
        container = container_in(extension, data, ref)
        if container is None:
            containers.check_file(extension, data, ref, verify=verify, mapped=mapped)
            return None, data, entry
        signed = policy == "signed"
        if signed:
            data, _ = self.authentic(data, ref, container, signing_keys(ref, "load"), "load")
            verify, mapped = True, False
        guard = guard_of(policy, signed)
        opened = open_object(data, ref, container, guard, verify, mapped=mapped)
        if sealed is not None:
            check_sealed_part(data, place, sealed)
        return opened, data, entry

    def stat(self, place: AnyPlace) -> ObjectInfo:
        """Describe from the footer alone; see `runstore.ObjectStore.stat`."""
        return self._describe(key_of(place), place)

    def exists(self, place: Place) -> bool:
        """Return whether it is there; an outage raises."""
        try:
            self.backend.head(key_of(place))
        except ObjectNotFoundError:
            return False
        return True

    def delete(self, place: Place) -> None:
        """Remove it, its parts after it; raises ObjectNotFoundError if it is not there."""
        key = key_of(place)
        if is_plain(extension_at(place)):
            self.backend.delete(key)
            return
        sealed = is_sealed(self, place)
        for error in self.backend.delete_many([key], missing_ok=True).values():
            raise error
        if sealed:
            delete_parts(self.backend, place)

    def delete_many(
        self, places: Iterable[Place], *, missing_ok: bool
    ) -> dict[Place, RunStoreError]:
        """Remove several; return the error of each that was not removed."""
        keys = {key_of(place): place for place in places}
        failed = _deleted_in_pieces(self.backend, [*keys], missing_ok=missing_ok)
        delete_parts_of_many(self.backend, [keys[key] for key in keys if key not in failed])
        return {keys[key]: error for key, error in failed.items()}

    def list(
        self, namespace: str, run: str | None, prefix: str = "", *, details: bool = False
    ) -> Iterator[ObjectInfo]:
        """Return a scope's objects whose names begin with *prefix*, in the order of their keys."""
        scope = scope_folder(namespace, run)
        for entry in self.backend.list(scope + key_beginning(prefix)):
            below = entry.key[len(scope) :]
            if is_shortened(below):
                yield from self.shortened(entry, namespace, run, prefix)
                continue
            name = name_of(below)
            if name is None or not name.startswith(prefix):
                continue  # not ours, or not asked for
            place = Place(namespace, run, name)
            if details:
                try:
                    yield self._describe(entry.key, place)
                    continue
                except ObjectNotFoundError:
                    continue  # deleted while we list
                except (CorruptObjectError, UnsupportedFormatError) as exc:
                    _warn(f"listed without details: {exc}")
            schema = partial(self.read_schema, entry.key, place)
            yield describe(place, entry, extension_of(name), read_schema=schema)

    def copy(self, source: AnyPlace, target: AnyPlace, *, if_absent: bool = False) -> ObjectInfo:
        """Copy; the data is checked and not decoded, the header gets the new place."""
        from runstore.objects._copying import copied_object  # few stages copy

        return copied_object(self, source, target, if_absent=if_absent)

    def authentic(
        self, data: Buffer, ref: str, container: str, keys: SigningKeys, doing: str
    ) -> tuple[Buffer, bytes]:
        """Return a signed object on memory that nobody can change, and the key that fits it."""
        data = copied(data) if self.backend.guarantees.mapped else data
        try:
            return data, check_signature(data, ref, keys, doing)
        except UnsafePickleError:
            open_object(data, ref, container, guard_of("deny"))  # damage is the better reason
            raise

    def guard(self, signed: bool = False) -> containers.Guard:
        """Return the checks that files of the store have to pass."""
        return guard_of(self.policy, signed)

    def _describe(self, key: str, place: AnyPlace) -> ObjectInfo:
        if is_plain(extension_at(place)):
            return describe_file(place, self.backend.head(key))
        footer, entry = self.footer(key, str(place))
        return (
            describe_file(place, entry) if footer is None else self.described(place, entry, footer)
        )

    def described(self, place: AnyPlace, entry: Entry, footer: bytes) -> ObjectInfo:
        """Return the description, from what the place and the object's footer say."""
        container = container_of(extension_at(place))
        schema = partial(self.read_schema, entry.key, place)
        read = containers.read_footer(footer, str(place), self.guard())
        if read is None:
            return describe(place, entry, container, read_schema=schema)
        check_place(read[0], place)
        return describe(place, entry, container, *read, schema)

    def shortened(
        self, entry: Entry, namespace: str, run: str | None, prefix: str
    ) -> Iterator[ObjectInfo]:
        """Describe an object whose full name is only inside it."""
        ref = f"{self.backend.url}/{entry.key}"
        try:
            footer, entry = self.footer(entry.key, ref)
            read = footer and containers.read_footer(footer, ref, self.guard())
        except ObjectNotFoundError:
            return  # deleted while we list
        except (CorruptObjectError, UnsupportedFormatError) as exc:
            _warn(f"left out of the list, since its name is inside it: {exc}")
            return
        if not read or not read[0].name.startswith(prefix):
            return
        place = Place(namespace, run, read[0].name)
        if key_of(place) == entry.key:
            schema = partial(self.read_schema, entry.key, place)
            yield describe(place, entry, container_of(extension_at(place)), *read, schema)

    def header(self, key: str) -> Header | None:
        """Return what the object at *key* says of itself; None if another program wrote it."""
        ref = f"{self.backend.url}/{key}"
        footer, _ = self.footer(key, ref)
        read = footer and containers.read_footer(footer, ref, self.guard())
        return read[0] if read else None

    def footer(self, key: str, ref: str) -> tuple[bytes | None, Entry]:
        """Read the footer, by a second read if it is a long one; None if it is a plain file."""
        tail, start, entry = self.read_tail(key, ref)
        return None if start is None else bytes(tail[start:]), entry

    def read_tail(self, key: str, ref: str) -> tuple[memoryview, int | None, Entry]:
        """Read the end of an object; return where in it the footer begins, too, as `footer`."""
        length, extension = _TAIL, extension_of(key)
        while True:
            tail, entry = self.backend.tail(key, length)
            view = flat(tail)
            if ends_as_container(extension, view, entry.size, ref) is None:
                return view, None, entry
            footer = entry.size - containers.footer_start(view[-10:], entry.size, ref)
            if footer <= view.nbytes:
                return view, view.nbytes - footer, entry
            length = footer

    def read_schema(self, key: str, place: AnyPlace) -> Any:
        """Read the Arrow schema of an object; None for a file without one."""
        if is_plain(extension_at(place)):
            return None
        footer, _ = self.footer(key, str(place))
        return footer and containers.schema_in(footer, str(place), self.guard())


def _deleted_in_pieces(
    backend: Backend, keys: Sequence[str], *, missing_ok: bool
) -> dict[str, RunStoreError]:
    """Do what `Backend.delete_many` does, as many at a time as S3 takes, and report it."""
    if len(keys) <= 1:
        return backend.delete_many(keys, missing_ok=missing_ok)
    failed: dict[str, RunStoreError] = {}
    with reporting(f"deleting {len(keys):,} objects", len(keys)) as report:
        for at in range(0, len(keys), _DELETED):
            some = keys[at : at + _DELETED]
            failed |= backend.delete_many(some, missing_ok=missing_ok)
            report.add(len(some))
    return failed


def _warn(message: str) -> None:
    warnings.warn(UnreadableWarning(printable(message)), stacklevel=4)  # of whoever called `list`

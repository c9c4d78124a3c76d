"""Put, get and describe by place: codecs, the container and a backend together.

It knows no context: every call gets the full place of its object.
"""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

from runstore import codecs, containers
from runstore.arguments import printable
from runstore.buffers import Buffer, copied, flat
from runstore.codecs import SealedPart
from runstore.containers import Header, Verify
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
    PartPlace,
    Place,
    extension_at,
    extension_of,
    is_shortened,
    key_beginning,
    key_of,
    name_of,
    scope_folder,
)
from runstore.places import Backend, Entry
from runstore.steps import SILENT, counted, reporting
from runstore.store._columns import WholeNeeded, read_columns, reads_columns
from runstore.store._copying import check_extensions, copied_there, copies_there
from runstore.store._decoding import (
    NOT_SMALL,
    check_place,
    guard_of,
    learn_small,
    open_object,
    rebuilt,
    rebuilt_file,
    small_value,
)
from runstore.store._encoding import container_file, pieces_of, plain_file
from runstore.store._info import ObjectInfo, describe, describe_file
from runstore.store._kinds import container_in, container_of, ends_as_container, is_plain
from runstore.store._metadata import own_metadata
from runstore.store._one_file import file_of_folder
from runstore.store._opened import open_whole
from runstore.store._sealed import (
    PartGoneError,
    copied_parts,
    delete_parts,
    delete_parts_of_many,
    is_sealed,
    seal_in,
    whole_value,
    write_seal,
)
from runstore.store._signing import SigningKeys, check_signature, signing_keys

if TYPE_CHECKING:
    from runstore.store._filters import Filter

__all__ = ["Objects"]

_LONG = 8 << 20  # bytes that are worth to be reported while they are written
_TAIL = 64 * 1024  # nearly every footer is shorter; a longer one costs a second read


class Objects:
    """The objects of one backend.

    Args:
        backend: Where they are kept.
        pickle: The pickle policy.
    """

    def __init__(self, backend: Backend, pickle: PicklePolicy) -> None:
        self.backend = backend
        self._pickle = pickle
        self.last_leased: tuple[object, Backend, Objects] | None = None
        """A cache of `runstore.store._leased`: the last lease, and these objects under it."""
        self.last_traced: tuple[object, Backend, Objects] | None = None
        """A cache of `runstore.store._traced`: the last trace, and these objects under it."""
        self._open = [True]  # shared with those on another backend

    @property
    def is_open(self) -> bool:
        """Whether who keeps these may go on with them: their store was not closed or given up."""
        return self._open[0]

    @is_open.setter
    def is_open(self, value: bool) -> None:
        self._open[0] = value

    def with_backend(self, backend: Backend) -> "Objects":
        """Return the same objects by another backend, such as a wrapper of this one."""
        twin = Objects.__new__(Objects)
        caches = {"last_leased": None, "last_traced": None}
        twin.__dict__ = {**self.__dict__, "backend": backend, **caches}
        return twin

    @property
    def policy(self) -> PicklePolicy:
        """The pickle policy of the store."""
        return self._pickle

    def _policy(self, wanted: PicklePolicy | None, ref: str) -> PicklePolicy:
        if wanted is not None and wanted not in get_args(PicklePolicy):
            raise InvalidRequestError(
                f"{ref}: pickle={wanted!r} is no policy; there are "
                f"{', '.join(map(repr, get_args(PicklePolicy)))}",
                ref,
            )
        return wanted or self._pickle

    def put(
        self,
        place: AnyPlace,
        value: Any,
        *,
        metadata: dict[str, Any] | None = None,
        if_absent: bool = False,
        if_match: str | None = None,
        compression: str | None = None,
        workflow: str | None = None,
        stage: str | None = None,
        pickle: PicklePolicy | None = None,
    ) -> ObjectInfo:
        """Encode and write; see `Verbs.put`."""
        key, extension = key_of(place), extension_at(place)
        if if_absent and if_match is not None:
            raise InvalidRequestError(
                f"put {place}: if_absent wants no object and if_match wants one; choose", str(place)
            )
        plain = codecs.stored_as_file(extension, value)
        metadata = own_metadata(place, metadata, plain)
        policy = self._policy(pickle, str(place))
        pieces = pieces_of(place, value)
        if pieces is not None:
            from runstore.store._writer import put_pieces

            return put_pieces(
                self,
                place,
                pieces,
                policy,
                if_absent=if_absent,
                if_match=if_match,
                metadata=metadata,
                compression=compression,
                workflow=workflow,
                stage=stage,
            )
        if plain:
            data = plain_file(place, value, extension, policy)
            entry = self.backend.put(key, data, if_absent=if_absent, if_match=if_match)
            return describe_file(place, entry)
        container = container_of(extension)
        file = container_file(
            place,
            value,
            container,
            policy,
            metadata=metadata,
            compression=compression,
            workflow=workflow,
            stage=stage,
        )
        size = file.header.nbytes or 0
        with reporting(f"storing {place}", size, "bytes") if size >= _LONG else SILENT as report:
            written = counted(file.written, report) if report else file.written
            entry = self.backend.put(key, written, if_absent=if_absent, if_match=if_match)
        schema = partial(self.read_schema, key, place)
        sealed = file.header, file.written.digest, file.signed
        return describe(place, entry, container, *sealed, schema)

    def get(
        self,
        place: AnyPlace,
        *,
        verify: Verify = "auto",
        columns: list[Any] | None = None,
        filters: "Filter | None" = None,
        as_type: type | None = None,
        pickle: PicklePolicy | None = None,
        sealed: SealedPart | None = None,
    ) -> Any:
        """Read and decode; see `Verbs.get`. A part is what its seal says, where that is given."""
        read = None
        if (
            columns is None
            and filters is None
            and as_type is None
            and pickle is None
            and type(place) is Place
            and "." not in place.name
            and self._pickle != "signed"
        ):
            read = self.backend.get(key_of(place))
            value = small_value(read[0], place)
            if value is not NOT_SMALL:
                return value
        return self._get(place, verify, columns, as_type, pickle, sealed, read, filters)[0]

    def get_with_info(
        self,
        place: AnyPlace,
        *,
        verify: Verify = "auto",
        columns: list[Any] | None = None,
        filters: "Filter | None" = None,
        as_type: type | None = None,
        pickle: PicklePolicy | None = None,
        sealed: SealedPart | None = None,
    ) -> tuple[Any, ObjectInfo]:
        """Read, decode and describe one version; see `Verbs.get_with_info`."""
        value, entry, read = self._get(
            place, verify, columns, as_type, pickle, sealed, filters=filters
        )
        return value, self.described_by(place, entry, read)

    def described_by(self, place: AnyPlace, entry: Entry, read: Buffer) -> ObjectInfo:
        """Return the description, from all of the file or its end with all of the footer."""
        view = flat(read)
        if ends_as_container(extension_at(place), view, entry.size, str(place)) is None:
            return describe_file(place, entry)
        start = containers.footer_start(view[-10:], entry.size, str(place)) - entry.size
        return self.described(place, entry, bytes(view[start:]))

    def _get(
        self,
        place: AnyPlace,
        verify: Verify,
        columns: list[Any] | None,
        as_type: type | None,
        pickle: PicklePolicy | None,
        sealed: SealedPart | None = None,
        read: tuple[Buffer, Entry] | None = None,
        filters: "Filter | None" = None,
    ) -> tuple[Any, Entry, Buffer]:
        """Return the value, what the place says of it, and what was read, its footer at least.

        Args:
            place, verify, columns, as_type, pickle, sealed, filters: As for `get`.
            read: What the place gave, if it has been asked already.
        """
        ref, extension = str(place), extension_at(place)
        policy = self._policy(pickle, ref)
        if filters is not None:
            from runstore.store._filtered import filtered

            return filtered(self, place, policy, verify, columns, filters, as_type, sealed)
        if columns is not None and not is_plain(extension) and reads_columns(self.backend):
            with suppress(WholeNeeded):
                return read_columns(self, place, verify, columns, as_type, policy, sealed)
        opened, data, entry = open_whole(self, place, policy, verify, sealed, read)
        if opened is None:
            if as_type is bytes:
                return bytes(flat(data)), entry, data  # the file, not what is in it
            if isinstance(place, PartPlace):
                raise file_of_folder(place)
            return rebuilt_file(data, place, extension, policy, columns, as_type), entry, data
        if isinstance(place, Place) and (seal := seal_in(opened, place)) is not None:
            try:
                return whole_value(self, place, seal, verify, columns, as_type, pickle), entry, data
            except PartGoneError as exc:
                exc.check(self, place, opened.header)
                return self._get(place, verify, columns, as_type, pickle)
        value = rebuilt(opened, place, policy, policy == "signed", columns, as_type)
        if read is not None and isinstance(place, Place):
            learn_small(opened, place)
        return value, entry, data

    def stat(self, place: AnyPlace) -> ObjectInfo:
        """Describe from the footer alone; see `Verbs.stat`."""
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
        failed = self.backend.delete_many(keys, missing_ok=missing_ok)
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
        ref, at, extension = str(source), key_of(target), extension_at(source)
        check_extensions(source, target)
        if not is_plain(extension) and self._pickle != "signed" and copies_there(self.backend):
            footer, found = self._footer(key_of(source), ref)
            if footer is None:
                check_extensions(source, target, plain=True)
                entry = self.backend.copy(found.key, at, if_absent=if_absent)
                return describe_file(target, entry)
            end = footer, found, self._guard()
            there = copied_there(self.backend, source, target, *end, if_absent)
            if there is not None:
                return self.described(target, *there)
        data, _ = self.backend.get(key_of(source))
        container = container_in(extension, data, ref)
        if container is None:
            check_extensions(source, target, plain=True)
            containers.check_file(extension, data, ref)
            return describe_file(target, self.backend.put(at, [data], if_absent=if_absent))
        keys, signed_with = self._copying_keys(data, ref), None
        if keys is not None:
            data, signed_with = self._authentic(data, ref, container, keys, "copy")
        opened = open_object(data, ref, container, self._guard(signed_with is not None))
        schema = partial(self.read_schema, at, target)
        if opened.header is None:
            entry = self.backend.put(at, [data], if_absent=if_absent)
            return describe(target, entry, container, read_schema=schema)
        key = None if keys is None else keys.current
        check_place(opened.header, source)
        if isinstance(source, Place) and (seal := seal_in(opened, source)) is not None:
            assert isinstance(target, Place)
            copied = copied_parts(self, seal, source, target, if_absent)
            return write_seal(self, target, copied, opened.header.at(target), if_absent=if_absent)
        view = flat(data)
        start = containers.footer_start(view[-10:], view.nbytes, ref)
        footer, header = bytes(view[start:]), opened.header.at(target)
        readdressed = containers.readdressed(
            footer, opened.header, header, view[:start], key, signed_with
        )
        if readdressed is not None:
            entry = self.backend.put(at, [view[:start], readdressed], if_absent=if_absent)
            return self.described(target, entry, readdressed)
        # The new name is much longer than the old one.
        batches = [opened.batch(i) for i in range(opened.num_batches)]
        write: Any = containers.arrow_file
        if container == "parquet":
            labels = header.codec in codecs.PARQUET_CODECS
            write = partial(containers.parquet_file, dictionaries=labels)
        written = write(opened.schema, batches, header, key=key)
        entry = self.backend.put(at, written, if_absent=if_absent)
        return describe(target, entry, container, header, written.digest, key is not None, schema)

    def _authentic(
        self, data: Buffer, ref: str, container: str, keys: SigningKeys, doing: str
    ) -> tuple[Buffer, bytes]:
        """Return a signed object on memory that nobody can change, and the key that fits it."""
        data = copied(data) if self.backend.guarantees.mapped else data
        try:
            return data, check_signature(data, ref, keys, doing)
        except UnsafePickleError:
            open_object(data, ref, container, guard_of("deny"))  # damage is the better reason
            raise

    def _copying_keys(self, data: Buffer, ref: str) -> SigningKeys | None:
        """Return the keys that a copy has to be signed with; its source has to be, too."""
        view = flat(data)
        start = containers.footer_start(view[-10:], view.nbytes, ref)
        if self._pickle != "signed" and not containers.has_signature(bytes(view[start:])):
            return None
        return signing_keys(ref, "copy")

    def _guard(self, signed: bool = False) -> containers.Guard:
        return guard_of(self._pickle, signed)

    def _describe(self, key: str, place: AnyPlace) -> ObjectInfo:
        if is_plain(extension_at(place)):
            return describe_file(place, self.backend.head(key))
        footer, entry = self._footer(key, str(place))
        return (
            describe_file(place, entry) if footer is None else self.described(place, entry, footer)
        )

    def described(self, place: AnyPlace, entry: Entry, footer: bytes) -> ObjectInfo:
        """Return the description, from what the place and the object's footer say."""
        container = container_of(extension_at(place))
        schema = partial(self.read_schema, entry.key, place)
        read = containers.read_footer(footer, str(place), self._guard())
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
            footer, entry = self._footer(entry.key, ref)
            read = footer and containers.read_footer(footer, ref, self._guard())
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

    def _header(self, key: str) -> Header | None:
        """Return what the object at *key* says of itself; None if another program wrote it."""
        ref = f"{self.backend.url}/{key}"
        footer, _ = self._footer(key, ref)
        read = footer and containers.read_footer(footer, ref, self._guard())
        return read[0] if read else None

    def _footer(self, key: str, ref: str) -> tuple[bytes | None, Entry]:
        """Read the footer, by a second read if it is a long one; None if it is a plain file."""
        tail, start, entry = self.read_tail(key, ref)
        return None if start is None else bytes(tail[start:]), entry

    def read_tail(self, key: str, ref: str) -> tuple[memoryview, int | None, Entry]:
        """Read the end of an object; return where in it the footer begins, too, as `_footer`."""
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
        footer, _ = self._footer(key, str(place))
        return footer and containers.schema_in(footer, str(place), self._guard())


def _warn(message: str) -> None:
    warnings.warn(UnreadableWarning(printable(message)), stacklevel=4)  # of whoever called `list`

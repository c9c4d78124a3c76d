"""Put, get and describe by place: codecs, the container and a backend together.

It knows no context: every call gets the full place of its object.
"""

import secrets
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, get_args

from runstore import codecs
from runstore import format as containers
from runstore.arguments import printable
from runstore.buffers import Buffer, copied, flat
from runstore.codecs import Pickling, file_codec, version_of
from runstore.context import PicklePolicy
from runstore.errors import (
    CorruptObjectError,
    InvalidRequestError,
    ObjectNotFoundError,
    PreconditionFailedError,
    RunStoreError,
    UnreadableWarning,
    UnsafePickleError,
    UnsupportedFormatError,
)
from runstore.format import Header, Verify
from runstore.keys import (
    ARROW,
    Place,
    extension_of,
    folder_of,
    is_shortened,
    key_of,
    name_of,
    scope_folder,
)
from runstore.lifetime import Bounded
from runstore.places import Backend, Entry
from runstore.store._copying import copied_there, copies_there
from runstore.store._decoding import check_place, guard_of, open_object, rebuilt, rebuilt_file
from runstore.store._encoding import encoded_for
from runstore.store._info import ObjectInfo, describe
from runstore.store._metadata import check_metadata
from runstore.store._signing import SigningKeys, check_signature, signing_keys

__all__ = ["Objects"]

_CONTAINERS = (ARROW, "parquet")  # formats that keep our header

_WORTH_PARTS = 1 << 20  # bytes of an object; a smaller one is read whole, in one request
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
        place: Place,
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
        key, extension = key_of(place), extension_of(place.name)
        if if_absent and if_match is not None:
            raise InvalidRequestError(
                f"put {place}: if_absent wants no object and if_match wants one; choose", str(place)
            )
        check_metadata(place, metadata, extension not in _CONTAINERS)
        policy = self._policy(pickle, str(place))
        signing = None
        if policy == "signed" and extension in _CONTAINERS:
            signing = signing_keys(str(place), "store").current
        pickling = Pickling(policy, str(place), signed=signing is not None)
        if extension not in _CONTAINERS:
            parts = file_codec(extension, str(place)).encode(value, str(place), pickling)
            data = containers.with_digest(extension, parts, str(place))
            entry = self.backend.put(key, data, if_absent=if_absent, if_match=if_match)
            return describe(place, entry, extension)
        codec, encoded = encoded_for(place, value, extension, pickling)
        header = Header(
            namespace=place.namespace,
            run=place.run,
            name=place.name,
            type=codecs.type_name(type(value)),
            codec=codec.name,
            codec_version=encoded.version or codec.version,
            created_at=datetime.now(UTC),
            write_id=secrets.token_hex(8),
            spec=encoded.spec,
            pickle=pickling.used,
            rows=encoded.rows,
            columns=encoded.columns,
            nbytes=encoded.nbytes,
            workflow=workflow,
            stage=stage,
            versions=_versions(codec.name, pickling.packages),
            metadata=metadata or {},
        )
        if extension == "parquet":
            written = containers.parquet_file(
                encoded.schema,
                encoded.batches,
                header,
                compression=compression or "zstd",
                key=signing,
                dictionaries=codec.name in codecs.PARQUET_CODECS,
            )
        else:
            written = containers.arrow_file(
                encoded.schema,
                encoded.batches,
                header,
                nbytes=encoded.nbytes,
                compression=compression,
                key=signing,
                cell=encoded.cell,
                cut=encoded.cut,
            )
        written.guard = guard_of(policy, signing is not None)
        entry = self.backend.put(key, written, if_absent=if_absent, if_match=if_match)
        schema = partial(self._schema, key, place)
        sealed = header, written.digest, signing is not None
        return describe(place, entry, extension, *sealed, schema)

    def get(
        self,
        place: Place,
        *,
        verify: Verify = "auto",
        columns: list[Any] | None = None,
        as_type: type | None = None,
        pickle: PicklePolicy | None = None,
    ) -> Any:
        """Read and decode; see `Verbs.get`."""
        return self._get(place, verify, columns, as_type, pickle)[0]

    def get_with_info(
        self,
        place: Place,
        *,
        verify: Verify = "auto",
        columns: list[Any] | None = None,
        as_type: type | None = None,
        pickle: PicklePolicy | None = None,
    ) -> tuple[Any, ObjectInfo]:
        """Read, decode and describe one version; see `Verbs.get_with_info`."""
        value, entry, read = self._get(place, verify, columns, as_type, pickle)
        extension = extension_of(place.name)
        if extension not in _CONTAINERS:
            return value, describe(place, entry, extension)
        view = flat(read)
        start = containers.footer_start(view[-10:], entry.size, str(place)) - entry.size
        return value, self._described(place, entry, bytes(view[start:]))

    def _get(
        self,
        place: Place,
        verify: Verify,
        columns: list[Any] | None,
        as_type: type | None,
        pickle: PicklePolicy | None,
    ) -> tuple[Any, Entry, Buffer]:
        """Return the value, what the place says of it, and what was read, its footer at least."""
        ref, extension = str(place), extension_of(place.name)
        policy = self._policy(pickle, ref)
        if columns is not None and extension in _CONTAINERS and self._reads_parts:
            with suppress(_Whole):
                return self._get_part(place, verify, columns, as_type, policy)
        data, entry = self.backend.get(key_of(place))
        mapped = self.backend.guarantees.mapped
        if extension not in _CONTAINERS:
            containers.check_file(extension, data, ref, verify=verify, mapped=mapped)
            if as_type is bytes:
                return bytes(flat(data)), entry, data  # the file, not what is in it
            return rebuilt_file(data, place, extension, policy, columns, as_type), entry, data
        signed = policy == "signed"
        if signed:
            data, _ = self._authentic(data, ref, extension, signing_keys(ref, "load"), "load")
            verify, mapped = True, False
        guard = guard_of(policy, signed)
        opened = open_object(data, ref, extension, guard, verify, mapped=mapped)
        return rebuilt(opened, place, policy, signed, columns, as_type), entry, data

    @property
    def _reads_parts(self) -> bool:
        """Whether it is worth it, and possible, to read part of one version of an object."""
        facts = self.backend.guarantees
        return not facts.mapped and facts.ranges and facts.versions in ("write", "content")

    def _get_part(
        self,
        place: Place,
        verify: Verify,
        columns: list[Any],
        as_type: type | None,
        policy: PicklePolicy,
    ) -> tuple[Any, Entry, Buffer]:
        """Read only these columns of a large object far away.

        Raises:
            _Whole: All of it has to be read.
        """
        key, ref = key_of(place), str(place)
        if verify is True or policy == "signed":
            raise _Whole
        footer, entry = self._footer(key, ref)
        version = entry.version
        if version is None or entry.size <= _WORTH_PARTS:
            raise _Whole

        failed: list[RunStoreError] = []  # Arrow reports what a read raises as its own error

        def read(start: int, length: int) -> Buffer:
            try:
                return self.backend.read(key, start, length, version)
            except RunStoreError as exc:
                failed.append(exc)
                raise

        try:
            opened = containers.open_part(read, entry.size, footer, ref, guard_of(policy))
            if opened is None:
                raise _Whole
            return rebuilt(opened, place, policy, False, columns, as_type), entry, footer
        except UnsupportedFormatError as exc:
            raise _Whole from exc  # only its digest tells whether that is damage
        except RunStoreError as exc:
            if not failed:
                if isinstance(exc, CorruptObjectError):
                    raise _Whole from exc  # likewise
                raise
            if isinstance(failed[0], (PreconditionFailedError, ObjectNotFoundError)):
                raise _Whole from exc  # it was replaced or deleted meanwhile
            raise failed[0] from exc

    def stat(self, place: Place) -> ObjectInfo:
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
        """Remove it; raises ObjectNotFoundError if it is not there."""
        self.backend.delete(key_of(place))

    def delete_many(
        self, places: Iterable[Place], *, missing_ok: bool
    ) -> dict[Place, RunStoreError]:
        """Remove several; return the error of each that was not removed."""
        keys = {key_of(place): place for place in places}
        failed = self.backend.delete_many(keys, missing_ok=missing_ok)
        return {keys[key]: error for key, error in failed.items()}

    def list(
        self, namespace: str, run: str | None, prefix: str = "", *, details: bool = False
    ) -> Iterator[ObjectInfo]:
        """Return a scope's objects whose names begin with *prefix*, in the order of their keys."""
        scope = scope_folder(namespace, run)
        for entry in self.backend.list(scope + folder_of(prefix)):
            below = entry.key[len(scope) :]
            if is_shortened(below):
                yield from self._shortened(entry, namespace, run, prefix)
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
            schema = partial(self._schema, entry.key, place)
            yield describe(place, entry, extension_of(name), read_schema=schema)

    def copy(self, source: Place, target: Place, *, if_absent: bool = False) -> ObjectInfo:
        """Copy; the data is checked and not decoded, the header gets the new place."""
        ref, at, extension = str(source), key_of(target), extension_of(source.name)
        if extension_of(target.name) != extension:
            raise InvalidRequestError(
                f"copy {source} to {target.name!r}: the extensions stand for different formats; "
                "get() it and put() it under the new name",
                ref,
            )
        if extension in _CONTAINERS and self._pickle != "signed" and copies_there(self.backend):
            end = self._footer(key_of(source), ref)
            there = copied_there(self.backend, source, target, *end, self._guard(), if_absent)
            if there is not None:
                return self._described(target, *there)
        data, _ = self.backend.get(key_of(source))
        if extension not in _CONTAINERS:
            containers.check_file(extension, data, ref)
            return describe(target, self.backend.put(at, [data], if_absent=if_absent), extension)
        keys, signed_with = self._copying_keys(data, ref), None
        if keys is not None:
            data, signed_with = self._authentic(data, ref, extension, keys, "copy")
        opened = open_object(data, ref, extension, self._guard(signed_with is not None))
        schema = partial(self._schema, at, target)
        if opened.header is None:
            entry = self.backend.put(at, [data], if_absent=if_absent)
            return describe(target, entry, extension, read_schema=schema)
        key = None if keys is None else keys.current
        check_place(opened.header, source)
        view = flat(data)
        start = containers.footer_start(view[-10:], view.nbytes, ref)
        footer, header = bytes(view[start:]), opened.header.at(target)
        readdressed = containers.readdressed(
            footer, opened.header, header, view[:start], key, signed_with
        )
        if readdressed is not None:
            entry = self.backend.put(at, [view[:start], readdressed], if_absent=if_absent)
            return self._described(target, entry, readdressed)
        # The new name is much longer than the old one.
        batches = [opened.batch(i) for i in range(opened.num_batches)]
        write: Any = containers.arrow_file
        if extension == "parquet":
            labels = header.codec in codecs.PARQUET_CODECS
            write = partial(containers.parquet_file, dictionaries=labels)
        written = write(opened.schema, batches, header, key=key)
        entry = self.backend.put(at, written, if_absent=if_absent)
        return describe(target, entry, extension, header, written.digest, key is not None, schema)

    def _authentic(
        self, data: Buffer, ref: str, extension: str, keys: SigningKeys, doing: str
    ) -> tuple[Buffer, bytes]:
        """Return a signed object on memory that nobody can change, and the key that fits it."""
        data = copied(data) if self.backend.guarantees.mapped else data
        try:
            return data, check_signature(data, ref, keys, doing)
        except UnsafePickleError:
            open_object(data, ref, extension, guard_of("deny"))  # damage is the better reason
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

    def _describe(self, key: str, place: Place) -> ObjectInfo:
        extension = extension_of(place.name)
        if extension not in _CONTAINERS:
            return describe(place, self.backend.head(key), extension)
        footer, entry = self._footer(key, str(place))
        return self._described(place, entry, footer)

    def _described(self, place: Place, entry: Entry, footer: bytes) -> ObjectInfo:
        """Return the description, from what the place and the object's footer say."""
        extension, schema = extension_of(place.name), partial(self._schema, entry.key, place)
        read = containers.read_footer(footer, str(place), self._guard())
        if read is None:
            return describe(place, entry, extension, read_schema=schema)
        check_place(read[0], place)
        return describe(place, entry, extension, *read, schema)

    def _shortened(
        self, entry: Entry, namespace: str, run: str | None, prefix: str
    ) -> Iterator[ObjectInfo]:
        """Describe an object whose full name is only inside it."""
        ref = f"{self.backend.url}/{entry.key}"
        try:
            footer, entry = self._footer(entry.key, ref)
            read = containers.read_footer(footer, ref, self._guard())
        except ObjectNotFoundError:
            return  # deleted while we list
        except (CorruptObjectError, UnsupportedFormatError) as exc:
            _warn(f"left out of the list, since its name is inside it: {exc}")
            return
        if read is None or not read[0].name.startswith(prefix):
            return
        place = Place(namespace, run, read[0].name)
        if key_of(place) == entry.key:
            schema = partial(self._schema, entry.key, place)
            yield describe(place, entry, extension_of(place.name), *read, schema)

    def _header(self, key: str) -> Header | None:
        """Return what the object at *key* says of itself; None if another program wrote it."""
        ref = f"{self.backend.url}/{key}"
        read = containers.read_footer(self._footer(key, ref)[0], ref, self._guard())
        return None if read is None else read[0]

    def _footer(self, key: str, ref: str) -> tuple[bytes, Entry]:
        """Read the footer; a second read if it is a long one."""
        length = _TAIL
        while True:
            tail, entry = self.backend.tail(key, length)
            view = flat(tail)
            footer = entry.size - containers.footer_start(view[-10:], entry.size, ref)
            if footer <= view.nbytes:
                return bytes(view[view.nbytes - footer :]), entry
            length = footer

    def _schema(self, key: str, place: Place) -> Any:
        if extension_of(place.name) not in _CONTAINERS:
            return None
        return containers.schema_in(self._footer(key, str(place))[0], str(place), self._guard())


class _Whole(Exception):  # noqa: N818 - not an error, a way on
    """All of an object has to be read."""


def _warn(message: str) -> None:
    warnings.warn(UnreadableWarning(printable(message)), stacklevel=4)  # of whoever called `list`


_LIBRARIES = {
    "arrow": ("pyarrow",),
    "numpy": ("numpy",),
    "geopandas": ("geopandas", "shapely", "pandas", "pyarrow", "numpy"),
    **dict.fromkeys(("pandas", "pandas.parquet"), ("pandas", "pyarrow", "numpy")),
    **dict.fromkeys(("polars", "polars.parquet"), ("polars", "pyarrow")),
    "torch": ("torch",),
    "xarray": ("xarray", "numpy"),
}


def _versions(codec: str, more: dict[str, str]) -> dict[str, str]:
    found = _version_cache.get(codec)
    if found is None:
        libraries = ("runstore", "python", *_LIBRARIES.get(codec, ()))
        found = {library: version_of(library) for library in libraries}
        _version_cache.put(codec, found)
    return found | more if more else found


_version_cache: Bounded[str, dict[str, str]] = Bounded(100)  # codecs; ours are a dozen

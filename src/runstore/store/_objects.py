"""Put, get and describe by place: where codecs, the container and a backend meet.

Knows no context: every call is given the full place of its object.
"""

import secrets
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from importlib import metadata as packages
from typing import Any

from runstore import codecs
from runstore.backends import Backend, Entry
from runstore.buffers import flat
from runstore.codecs import Pickling, is_json
from runstore.errors import (
    CorruptObjectError,
    InvalidRequestError,
    ObjectNotFoundError,
    UnsupportedFormatError,
)
from runstore.format import (
    Header,
    Verify,
    arrow_file,
    footer_start,
    open_arrow,
    read_header,
    read_schema,
    readdressed,
)
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
from runstore.settings import PicklePolicy
from runstore.store._info import ObjectInfo, describe

__all__ = ["Objects"]

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
    ) -> ObjectInfo:
        """Encode and write; see `Verbs.put`."""
        key = _arrow_key(place)
        if if_absent and if_match is not None:
            raise InvalidRequestError(
                f"put {place}: if_absent wants no object and if_match wants one; choose", str(place)
            )
        _check_metadata(place, metadata)
        pickling = Pickling(self._pickle, str(place))
        codec, encoded = codecs.encode(value, pickling)
        header = Header(
            namespace=place.namespace,
            run=place.run,
            name=place.name,
            type=codecs.type_name(type(value)),
            codec=codec.name,
            codec_version=codec.version,
            created_at=datetime.now(UTC),
            write_id=secrets.token_hex(8),
            spec=encoded.spec,
            pickle=pickling.used,
            rows=encoded.rows,
            columns=encoded.columns,
            nbytes=encoded.nbytes,
            workflow=workflow,
            stage=stage,
            versions=_versions(codec.name, type(value)),
            metadata=metadata or {},
        )
        written = arrow_file(
            encoded.schema,
            encoded.batches,
            header,
            nbytes=encoded.nbytes,
            compression=compression,
        )
        entry = self.backend.put(key, written, if_absent=if_absent, if_match=if_match)
        return describe(
            place, entry, ARROW, header, written.digest, partial(self._schema, key, place)
        )

    def get(self, place: Place, *, verify: Verify = "auto") -> Any:
        """Read and decode; see `Verbs.get`."""
        key = _arrow_key(place)
        data, _ = self.backend.get(key)
        opened = open_arrow(data, str(place), verify=verify, mapped=self.backend.mapped)
        header = opened.header
        if header is None:
            return opened.table()  # another program's Arrow file
        _check_place(header, place)
        codec = codecs.codec_named(header.codec)
        if header.codec_version > codec.version:
            raise UnsupportedFormatError(
                f"{place} was written by version {header.codec_version} of the codec "
                f"{codec.name!r}, this runstore reads up to {codec.version}: upgrade runstore",
                str(place),
            )
        try:
            return codec.decode(opened, header.spec, Pickling(self._pickle, str(place)))
        except (KeyError, IndexError, ValueError, TypeError) as exc:
            if isinstance(exc, (CorruptObjectError, ObjectNotFoundError)):
                raise
            raise CorruptObjectError(
                f"{place} cannot be rebuilt from what is stored ({type(exc).__name__}: {exc})",
                str(place),
            ) from exc

    def stat(self, place: Place) -> ObjectInfo:
        """Describe from the footer alone; see `Verbs.stat`."""
        return self._describe(key_of(place), place)

    def exists(self, place: Place) -> bool:
        """Say whether it is there; an outage raises."""
        try:
            self.backend.head(key_of(place))
        except ObjectNotFoundError:
            return False
        return True

    def delete(self, place: Place) -> None:
        """Remove it; raises ObjectNotFoundError if it is not there."""
        self.backend.delete(key_of(place))

    def list(
        self, namespace: str, run: str | None, prefix: str = "", *, details: bool = False
    ) -> Iterator[ObjectInfo]:
        """Give a scope's objects whose names begin with *prefix*, in the order of their keys."""
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
                except ObjectNotFoundError:
                    continue  # deleted while we list
            else:
                schema = partial(self._schema, entry.key, place)
                yield describe(place, entry, extension_of(name), read_schema=schema)

    def copy(self, source: Place, target: Place, *, if_absent: bool = False) -> ObjectInfo:
        """Copy; the data is checked and not decoded, the header gets the new place."""
        source_key, target_key = _arrow_key(source), _arrow_key(target)
        data, _ = self.backend.get(source_key)
        opened = open_arrow(data, str(source), verify="auto")
        if opened.header is None:
            entry = self.backend.put(target_key, [data], if_absent=if_absent)
            return describe(target, entry, ARROW)
        _check_place(opened.header, source)
        view = flat(data)
        start = footer_start(view[-10:], view.nbytes, str(source))
        header = opened.header.at(target)
        footer = readdressed(bytes(view[start:]), opened.header, header)
        if footer is not None:
            self.backend.put(target_key, [view[:start], footer], if_absent=if_absent)
        else:  # the new name is much longer than the old one
            batches = [opened.batch(i) for i in range(opened.num_batches)]
            written = arrow_file(opened.schema, batches, header)
            self.backend.put(target_key, written, if_absent=if_absent)
        return self.stat(target)

    def _describe(self, key: str, place: Place) -> ObjectInfo:
        tail, entry = self.backend.tail(key, _TAIL)
        if not key.endswith(".arrow"):
            return describe(place, entry, extension_of(place.name))
        header, digest, need = read_header(tail, entry.size, str(place))
        if need:
            tail, entry = self.backend.tail(key, need)
            header, digest, _ = read_header(tail, entry.size, str(place))
        if header is not None:
            _check_place(header, place)
        schema = partial(self._schema, key, place)
        return describe(place, entry, ARROW, header, digest, schema)

    def _shortened(
        self, entry: Entry, namespace: str, run: str | None, prefix: str
    ) -> Iterator[ObjectInfo]:
        """Describe an object whose full name is only inside it."""
        ref = f"{self.backend.url}/{entry.key}"
        try:
            tail, entry = self.backend.tail(entry.key, _TAIL)
            header, digest, need = read_header(tail, entry.size, ref)
            if need:
                tail, entry = self.backend.tail(entry.key, need)
                header, digest, _ = read_header(tail, entry.size, ref)
        except ObjectNotFoundError:
            return  # deleted while we list
        if header is None or not header.name.startswith(prefix):
            return
        place = Place(namespace, run, header.name)
        if key_of(place) == entry.key:
            schema = partial(self._schema, entry.key, place)
            yield describe(place, entry, ARROW, header, digest, schema)

    def _schema(self, key: str, place: Place) -> Any:
        if not key.endswith(".arrow"):
            return None
        length = _TAIL
        while True:
            tail, entry = self.backend.tail(key, length)
            schema = read_schema(tail, entry.size, str(place))
            if schema is not None:
                return schema
            length = entry.size


def _arrow_key(place: Place) -> str:
    key = key_of(place)
    if not key.endswith(".arrow"):
        raise UnsupportedFormatError(
            f"{place}: the extension .{extension_of(place.name)} stands for a format that this "
            "version of runstore does not write or read yet; leave the extension away to store "
            "it as Arrow",
            str(place),
        )
    return key


def _check_metadata(place: Place, metadata: Any) -> None:
    if metadata is not None and (type(metadata) is not dict or not is_json(metadata)):
        raise InvalidRequestError(
            f"put {place}: metadata must be a dict of JSON values (str, int, float, bool, None, "
            f"lists and dicts of them), not {metadata!r}",
            str(place),
        )


def _check_place(header: Header, place: Place) -> None:
    if header.place != place:
        raise CorruptObjectError(
            f"at {place} stands an object that was stored as {header.place}: files were swapped, "
            "moved or renamed outside runstore. Put it back, or use copy()",
            str(place),
        )


_LIBRARIES = {
    "arrow": ("pyarrow",),
    "numpy": ("numpy",),
    "pandas": ("pandas", "pyarrow", "numpy"),
    "polars": ("polars", "pyarrow"),
}


def _versions(codec: str, kind: type) -> dict[str, str]:
    found = _version_cache.get(codec)
    if found is None:
        import runstore

        found = {"runstore": runstore.__version__, "python": sys.version.partition(" ")[0]}
        for library in _LIBRARIES.get(codec, ()):
            found[library] = packages.version(library)
        _version_cache[codec] = found
    if codec != "pickle":
        return found
    library = kind.__module__.partition(".")[0]
    version = getattr(sys.modules.get(library), "__version__", None)
    return found | {library: version} if isinstance(version, str) else found


_version_cache: dict[str, dict[str, str]] = {}

"""The digest of a stored value, by which references name its version."""

import json

import xxhash

from runstore import containers
from runstore.buffers import flat
from runstore.containers import Guard, Header
from runstore.keys import Place, extension_of, key_of
from runstore.objects._file_reader import pieces
from runstore.objects._kinds import ends_as_container
from runstore.objects._objects import StoredObjects
from runstore.objects._pinned import pinned

__all__ = ["digest_now", "digests_in", "digests_now", "earlier_digest", "value_digest"]


def value_digest(header: Header, body: str, footer: bytes, ref: str, guard: Guard) -> str:
    """Return the digest of a value: of its data, and of what the codec needs to rebuild it.

    Args:
        header: Of its object.
        body: The digest of the object's body.
        footer: Of its file. That of a Parquet file has the columns, which are not in its body.
        ref: What to call the object in errors.
        guard: As for `runstore.containers.read_footer`.
    """
    columns = containers.columns_beside(footer, ref, guard)
    return _digest(header, body, *([] if columns is None else [columns]))


def earlier_digest(header: Header, body: str) -> str:
    """Return the digest that references of earlier versions have; that of Parquet was another."""
    return _digest(header, body)


def _digest(header: Header, body: str, *columns: str) -> str:
    parts = [body, header.type, header.codec, header.codec_version, header.spec, *columns]
    return xxhash.xxh3_128_hexdigest(json.dumps(parts, sort_keys=True).encode())


def digest_now(objects: StoredObjects, place: Place) -> str:
    """Return the digest of the value that is stored at a place now, as references have it."""
    return digests_now(objects, place)[0]


def digests_now(objects: StoredObjects, place: Place) -> tuple[str, ...]:
    """Return the digest of a value, and the one that references of earlier versions may have."""
    version = pinned(objects.backend, place)
    found = digests_in(objects, place, version.end, version.entry.size)
    if found:
        return found
    state = xxhash.xxh3_128()
    for piece in pieces(version):
        state.update(piece)
    return (state.hexdigest(),)


def digests_in(objects: StoredObjects, place: Place, end: memoryview, size: int) -> tuple[str, ...]:
    """Return the digests of a value from the end of its file; none if all of the file is needed.

    They cover the data, and what the codec needs to rebuild the value.
    """
    ref = str(place)
    if ends_as_container(extension_of(place.name), end, size, ref) is None:
        return ()
    start = containers.footer_start(end[-10:], size, ref) - (size - end.nbytes)
    if start < 0:
        return digests_in(objects, place, flat(objects.backend.get(key_of(place))[0]), size)
    footer, guard = bytes(end[start:]), objects.guard()
    read = containers.read_footer(footer, ref, guard)
    if read is None:
        return ()
    header, body, _ = read
    return value_digest(header, body, footer, ref, guard), earlier_digest(header, body)

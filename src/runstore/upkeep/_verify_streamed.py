"""Checking a large object far away against its digest, in pieces: little of it is in memory."""

import xxhash

from runstore import containers
from runstore.errors import CorruptObjectError, PreconditionFailedError
from runstore.keys import AnyPlace, PartPlace, extension_at, key_of
from runstore.objects import (
    Pinned,
    StoredObjects,
    check_place,
    check_sealed_file,
    check_sealed_part,
    ends_as_container,
    not_sealed,
    pieces,
    pinned,
)
from runstore.seals import SEALED, SealedPart

__all__ = ["check_file_of", "streamed"]

_LARGE = 32 << 20  # bytes; what is smaller is read whole
_TRIES = 5  # versions of an object that is replaced again and again


def streamed(
    objects: StoredObjects, place: AnyPlace, size: int, part: SealedPart | None = None
) -> bool | None:
    """Check one object piece by piece.

    Args:
        objects: Where.
        place: Which one.
        size: Its stored bytes, as they are known.
        part: What its seal says, if it is a part.

    Returns:
        Whether its format has a digest; None if it has to be read whole: it is small or mapped,
        has to be authenticated, or has no digest in its footer.

    Raises:
        CorruptObjectError: It does not fit its digest.
        ObjectNotFoundError: It was deleted.
        StorageError: The place failed.
    """
    if size < _LARGE or objects.backend.guarantees.mapped or objects.policy == "signed":
        return None
    for last in range(_TRIES, 0, -1):
        try:
            return _checked(objects, place, pinned(objects.backend, place), part)
        except PreconditionFailedError:  # it was replaced meanwhile, so there is another to check
            if last == 1:
                raise
    return None


def _checked(
    objects: StoredObjects, place: AnyPlace, version: Pinned, part: SealedPart | None
) -> bool | None:
    ref, extension, size = str(place), extension_at(place), version.entry.size
    if ends_as_container(extension, version.end, size, ref) is None:
        return None if containers.keeps_digest(extension) else False
    start = containers.footer_start(version.end[-10:], size, ref)
    if start < version.start:
        return None  # a footer as long as this is seldom
    footer, guard = bytes(version.end[start - version.start :]), objects.guard()
    read = containers.read_footer(footer, ref, guard)
    if read is None or read[0].codec == SEALED:
        return None
    header, digest, _ = read
    containers.schema_in(footer, ref, guard)
    if part is not None:
        check_sealed_part(footer, place, part, size)
    check_place(header, place)
    state, at = xxhash.xxh3_128(), 0
    for piece in pieces(version):
        state.update(memoryview(piece)[: max(0, start - at)])
        at += len(piece)
    if f"xxh3_128:{state.hexdigest()}" != digest:
        raise CorruptObjectError(
            f"{ref} is damaged: its data does not fit its digest. Restore it from a copy, or run "
            "again the stage that made it",
            ref,
        )
    return True


def check_file_of(objects: StoredObjects, place: PartPlace, part: SealedPart) -> None:
    """Check one file of a folder; a large one far away in pieces.

    Raises:
        CorruptObjectError: It is not what the seal names.
        ObjectNotFoundError: It is missing.
        StorageError: The place failed.
    """
    if part.size < _LARGE or objects.backend.guarantees.mapped:
        check_sealed_file(objects.backend.get(key_of(place))[0], place, part)
        return
    version, state = pinned(objects.backend, place), xxhash.xxh3_128()
    for piece in pieces(version):
        state.update(piece)
    if version.entry.size != part.size or f"xxh3_128:{state.hexdigest()}" != part.digest:
        raise not_sealed(str(place))

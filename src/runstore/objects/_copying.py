"""A copy that moves no more than a footer: the place copies the body by itself."""

from runstore import containers
from runstore.containers import Guard
from runstore.errors import InvalidRequestError, PreconditionFailedError
from runstore.file_types import raw_type
from runstore.keys import FORMATS, AnyPlace, extension_at, key_of
from runstore.objects._checks import check_place
from runstore.objects._kinds import check_whole_name
from runstore.places import Backend, Entry, Tail
from runstore.seals import SEALED

__all__ = ["check_extensions", "copied_there", "copies_there"]

_WORTH_COPYING = 8 << 20  # bytes; a smaller one is read and checked, and one request each way


def check_extensions(source: AnyPlace, target: AnyPlace, *, plain: bool = False) -> None:
    """Check that a copy could be read under its name.

    Args:
        source, target: The places.
        plain: Whether the source is known to be a file without a header of ours.

    Raises:
        InvalidRequestError: The extensions stand for different formats.
        InvalidNameError: The target's name is too long for a plain file.
    """
    one, other = extension_at(source), extension_at(target)
    if one != other and (plain or any(_says_format(extension) for extension in (one, other))):
        raise InvalidRequestError(
            f"copy {source} to {target.name!r}: the extensions stand for different formats; "
            "get() it and put() it under the new name",
            str(source),
        )
    if plain:
        check_whole_name(target)


def _says_format(extension: str) -> bool:
    return extension in FORMATS or raw_type(extension) is not None


def copies_there(backend: Backend) -> bool:
    """Return whether the place copies most of an object without moving it, with another footer."""
    return backend.guarantees.server_copy and getattr(backend, "copies_with_tail", False)


def copied_there(
    backend: Backend,
    source: AnyPlace,
    target: AnyPlace,
    footer: bytes,
    entry: Entry,
    guard: Guard,
    if_absent: bool,
) -> tuple[Entry, bytes] | None:
    """Copy a large object by the place itself, with a footer that names its new place.

    The body is the place's copy of one version, and its digest goes along unchecked.

    Args:
        backend: Where both are.
        source, target: The places.
        footer: Of the source.
        entry: The version that *footer* is of.
        guard: What may be executed to read it.
        if_absent: Fail instead of replacing.

    Returns:
        The copy and its footer; None if all of the source has to be read: it is small, of another
        program, signed, or a seal, it was replaced meanwhile, or the new name does not fit its
        footer.

    Raises:
        CorruptObjectError: The footer is damaged.
        ObjectNotFoundError, ObjectExistsError, StorageError: See `Backend.copy`.
    """
    if entry.size <= _WORTH_COPYING or entry.version is None:
        return None
    read = containers.read_footer(footer, str(source), guard)
    if read is None or read[2] or read[0].codec == SEALED:
        return None
    check_place(read[0], source)
    changed = containers.readdressed(footer, read[0], read[0].at(target))
    if changed is None:
        return None
    tail = Tail(entry.version, entry.size - len(footer), [changed])
    key, to = key_of(source), key_of(target)
    try:
        return backend.copy(key, to, if_absent=if_absent, tail=tail), changed
    except PreconditionFailedError:
        return None

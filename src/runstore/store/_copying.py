"""A copy that moves no more than a footer: the place copies the body by itself."""

from runstore import format as containers
from runstore.errors import PreconditionFailedError
from runstore.format import Guard
from runstore.keys import Place, key_of
from runstore.places import Backend, Entry, Tail
from runstore.store._decoding import check_place

__all__ = ["copied_there", "copies_there"]

_WORTH_COPYING = 8 << 20  # bytes; a smaller object is one request each way


def copies_there(backend: Backend) -> bool:
    """Return whether the place can copy most of an object without moving it."""
    facts = backend.guarantees
    return facts.server_copy and facts.versions == "content" and not facts.mapped


def copied_there(
    backend: Backend,
    source: Place,
    target: Place,
    footer: bytes,
    entry: Entry,
    guard: Guard,
    if_absent: bool,
) -> tuple[Entry, bytes] | None:
    """Copy a large object on the server, with a footer that names its new place.

    The body is the server's copy of one version, and its digest goes along unchecked.

    Args:
        backend: Where both are.
        source, target: The places.
        footer: Of the source.
        entry: The version that *footer* is of.
        guard: What may be executed to read it.
        if_absent: Fail instead of replacing.

    Returns:
        The copy and its footer; None if all of the source has to be read: it is small, of another
        program, or signed, it was replaced meanwhile, or the new name does not fit its footer.

    Raises:
        CorruptObjectError: The footer is damaged.
        ObjectNotFoundError, ObjectExistsError, StorageError: See `Backend.copy`.
    """
    if entry.size <= _WORTH_COPYING or entry.version is None:
        return None
    read = containers.read_footer(footer, str(source), guard)
    if read is None or read[2]:
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

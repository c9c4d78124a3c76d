"""A copy that moves no more than a footer: the place copies the body by itself."""

from collections.abc import Iterable, Sequence
from itertools import chain

from runstore import containers
from runstore.buffers import Buffer
from runstore.containers import Guard
from runstore.errors import InvalidRequestError, PreconditionFailedError, RunStoreError
from runstore.file_types import raw_type
from runstore.keys import FORMATS, AnyPlace, extension_at, key_of
from runstore.objects._checks import check_place
from runstore.objects._kinds import check_whole_name
from runstore.places import Backend, Entry, Tail
from runstore.seals import SEALED
from runstore.steps import SILENT, Report, counted, reporting

__all__ = [
    "check_extensions",
    "copied_file",
    "copied_there",
    "copies_there",
    "deleted_in_pieces",
    "put_copy",
]

_PIECE = 4 << 20  # bytes
_DELETED = 1000  # keys of one request, where there are requests
_WORTH_COPYING = 8 << 20  # bytes; a smaller one is read and checked, and one request each way


def copied_file(backend: Backend, found: Entry, target: str, ref: str, if_absent: bool) -> Entry:
    """Copy a plain file as it is; the place does it."""
    with _copying(ref, found.size) as report:
        entry = backend.copy(found.key, target, if_absent=if_absent)
        report.at(entry.size)
    return entry


def put_copy(
    backend: Backend, target: str, body: memoryview, footer: bytes, ref: str, if_absent: bool
) -> Entry:
    """Write what was read of an object under another key, with another footer."""
    with _copying(ref, body.nbytes) as report:
        return backend.put(target, _in_pieces(body, footer, report), if_absent=if_absent)


def _copying(ref: str, size: int) -> Report:
    """Begin to report the copy of an object, if it is a large one."""
    return reporting(f"copying {ref}", size, "bytes") if size > _WORTH_COPYING else SILENT


def _in_pieces(body: memoryview, footer: bytes, report: Report) -> Iterable[Buffer]:
    """Return the buffers of a copy; in pieces that are reported where somebody listens."""
    if not report:
        return [body, footer]
    pieces = (body[at : at + _PIECE] for at in range(0, body.nbytes, _PIECE))
    return counted(chain(pieces, [footer]), report)


def deleted_in_pieces(
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
        with _copying(str(source), entry.size) as report:
            copied = backend.copy(key, to, if_absent=if_absent, tail=tail)
            report.at(copied.size)
        return copied, changed
    except PreconditionFailedError:
        return None

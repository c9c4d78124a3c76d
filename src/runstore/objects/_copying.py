"""Copies of objects. Where a place can, it copies the body by itself, and only a footer is sent."""

from collections.abc import Iterable
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from runstore import containers
from runstore.buffers import Buffer, flat
from runstore.containers import Guard
from runstore.errors import InvalidRequestError, PreconditionFailedError
from runstore.file_types import raw_type
from runstore.keys import FORMATS, AnyPlace, Place, extension_at, key_of
from runstore.objects._checks import check_place, open_object
from runstore.objects._info import ObjectInfo, describe, describe_file
from runstore.objects._kinds import check_whole_name, container_in, is_plain
from runstore.objects._sealed import copied_parts, seal_in, write_seal
from runstore.objects._signing import SigningKeys, signing_keys
from runstore.places import Backend, Entry, Tail
from runstore.seals import SEALED
from runstore.steps import SILENT, Report, counted, reporting

if TYPE_CHECKING:
    from runstore.objects._objects import StoredObjects

__all__ = ["copied_object"]

_PIECE = 4 << 20  # bytes
_WORTH_COPYING = 8 << 20  # bytes; a smaller one is read and checked, and one request each way


def copied_object(
    objects: "StoredObjects", source: AnyPlace, target: AnyPlace, *, if_absent: bool = False
) -> ObjectInfo:
    """Copy an object; the data is checked and not decoded, the header gets the new place."""
    backend = objects.backend
    ref, at, extension = str(source), key_of(target), extension_at(source)
    _check_extensions(source, target)
    if not is_plain(extension) and objects.policy != "signed" and _copies_there(backend):
        footer, found = objects.footer(key_of(source), ref)
        if footer is None:
            _check_extensions(source, target, plain=True)
            entry = _copied_file(backend, found, at, ref, if_absent)
            return describe_file(target, entry)
        end = footer, found, objects.guard()
        there = _copied_there(backend, source, target, *end, if_absent)
        if there is not None:
            return objects.described(target, *there)
    data, _ = backend.get(key_of(source))
    container = container_in(extension, data, ref)
    if container is None:
        _check_extensions(source, target, plain=True)
        containers.check_file(extension, data, ref)
        return describe_file(target, backend.put(at, [data], if_absent=if_absent))
    keys, signed_with = _copying_keys(objects, data, ref), None
    if keys is not None:
        data, signed_with = objects.authentic(data, ref, container, keys, "copy")
    opened = open_object(data, ref, container, objects.guard(signed_with is not None))
    schema = partial(objects.read_schema, at, target)
    if opened.header is None:
        entry = backend.put(at, [data], if_absent=if_absent)
        return describe(target, entry, container, read_schema=schema)
    key = None if keys is None else keys.current
    check_place(opened.header, source)
    if isinstance(source, Place) and (seal := seal_in(opened, source)) is not None:
        assert isinstance(target, Place)
        copied = copied_parts(objects, seal, source, target, if_absent)
        return write_seal(objects, target, copied, opened.header.at(target), if_absent=if_absent)
    view = flat(data)
    start = containers.footer_start(view[-10:], view.nbytes, ref)
    footer, header = bytes(view[start:]), opened.header.at(target)
    readdressed = containers.readdressed(
        footer, opened.header, header, view[:start], key, signed_with
    )
    if readdressed is not None:
        entry = _put_copy(backend, at, view[:start], readdressed, ref, if_absent)
        return objects.described(target, entry, readdressed)
    # The new name is much longer than the old one.
    batches = [opened.batch(i) for i in range(opened.num_batches)]
    write: Any = containers.arrow_file
    if container == "parquet":
        write = partial(containers.parquet_file, dictionaries=True)  # if the source has any
    written = write(opened.schema, batches, header, key=key)
    entry = backend.put(at, written, if_absent=if_absent)
    return describe(target, entry, container, header, written.digest, key is not None, schema)


def _copying_keys(objects: "StoredObjects", data: Buffer, ref: str) -> SigningKeys | None:
    """Return the keys that a copy has to be signed with; its source has to be, too."""
    view = flat(data)
    start = containers.footer_start(view[-10:], view.nbytes, ref)
    if objects.policy != "signed" and not containers.has_signature(bytes(view[start:])):
        return None
    return signing_keys(ref, "copy")


def _copied_file(backend: Backend, found: Entry, target: str, ref: str, if_absent: bool) -> Entry:
    """Copy a plain file as it is; the place does it."""
    with _copying(ref, found.size) as report:
        entry = backend.copy(found.key, target, if_absent=if_absent)
        report.at(entry.size)
    return entry


def _put_copy(
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


def _check_extensions(source: AnyPlace, target: AnyPlace, *, plain: bool = False) -> None:
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


def _copies_there(backend: Backend) -> bool:
    """Return whether the place copies most of an object without moving it, with another footer."""
    return backend.guarantees.server_copy and getattr(backend, "copies_with_tail", False)


def _copied_there(
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

"""Whether an object is the one file at its key, or is made of parts that this file only names.

A caller that asks for the stored bytes of an object wants its content. For an object of parts and
for a folder, the file is a seal, a short list. So these are refused, with the way to their content.
"""

from collections.abc import Callable

from runstore import containers
from runstore.errors import (
    CorruptObjectError,
    InvalidRequestError,
    RunStoreError,
    UnsupportedFormatError,
)
from runstore.keys import ARROW, AnyPlace, PartPlace, Place, extension_at
from runstore.objects._info import ObjectInfo
from runstore.objects._kinds import ends_as_container, is_plain
from runstore.seals import SEALED, Sealed

__all__ = ["check_one_file", "file_of_folder", "is_seal", "made_of_parts", "other_kind"]

_FOOTER = 64 << 10  # bytes; nearly every footer is shorter
_END = 10  # bytes that say how long the footer is


def check_one_file(
    call: str, place: AnyPlace, read: Callable[[int, int], bytes], size: int
) -> None:
    """Raise InvalidRequestError if a stored file is the seal of an object of parts or a folder.

    A file whose footer is damaged is let through: its bytes are what somebody looks for then.

    Args:
        call: The function, for the message.
        place: The object.
        read: Returns bytes of its file, from the first to before the second number.
        size: Of the file.

    Raises:
        StorageError: The place failed.
    """
    extension, ref = extension_at(place), str(place)
    if is_plain(extension) or size < _END:
        return
    start = max(0, size - _FOOTER)
    end = memoryview(read(start, size))
    if ends_as_container(extension, end, size, ref) != ARROW:
        return
    try:
        footer_at = containers.footer_start(end[-_END:], size, ref)
        footer = bytes(end[footer_at - start :]) if footer_at >= start else read(footer_at, size)
        found = containers.read_footer(footer, ref)
    except (CorruptObjectError, UnsupportedFormatError):
        return
    if found is not None and found[0].codec == SEALED:
        raise made_of_parts(call, place, found[0].spec.get("kind") == "folder")


def is_seal(info: ObjectInfo) -> bool:
    """Return whether a description, with details, is that of an object of parts or a folder."""
    return info.codec == SEALED


def made_of_parts(call: str, place: AnyPlace, is_folder: bool) -> InvalidRequestError:
    """Return the error for whoever wants an object of parts or a folder as one file."""
    if is_folder:
        return InvalidRequestError(
            f"{call}: {place} is a folder, and no single file: get_dir(name, path) writes its "
            "files, in a shell runstore get --recursive",
            str(place),
        )
    return InvalidRequestError(
        f"{call}: {place} is made of parts, and no single file: get(name) and iter_batches(name) "
        "read all of them as one, parts(name) lists them, and get(name, part=key) reads one",
        str(place),
    )


def other_kind(place: Place, seal: Sealed) -> RunStoreError:
    """Return the error for whoever wants an object that is no parts of one value as a value."""
    if seal.kind == "folder":
        return UnsupportedFormatError(
            f"{place} is a folder of {len(seal.parts):,} files: get_dir(name, path) writes them, "
            "in a shell runstore get --recursive; parts(name) lists them",
            str(place),
        )
    return UnsupportedFormatError(
        f"{place} is sealed as {seal.kind[:40]!r}, which this runstore does not know: upgrade "
        "runstore",
        str(place),
    )


def file_of_folder(place: PartPlace) -> InvalidRequestError:
    """Return the error for whoever wants a file of a folder as a value."""
    return InvalidRequestError(
        f"{place} is a file of a folder: get(name, part=…, as_type=bytes) gives its bytes, and "
        "get_dir(name, path, include=…) writes it",
        str(place),
    )

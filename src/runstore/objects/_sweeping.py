"""Removing the parts that no seal names: of stopped loops, failed seals and older generations."""

import time
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from runstore import containers
from runstore.arguments import printable
from runstore.errors import (
    CorruptObjectError,
    InvalidRequestError,
    ObjectNotFoundError,
    UnreadableWarning,
    UnsafePickleError,
    UnsupportedFormatError,
)
from runstore.keys import PARTS, PartPlace, Place, key_of, name_of, parts_folder, scope_folder
from runstore.objects._sealed import part_place, read_seal
from runstore.parts import parsed_part_file
from runstore.places import Entry
from runstore.seals import SEALED

if TYPE_CHECKING:
    from runstore.objects._objects import StoredObjects

__all__ = [
    "PARTS_AGE",
    "UNREADABLE_SEAL",
    "object_of_parts",
    "parts_by_object",
    "sweep_parts",
    "unnamed_of",
    "unnamed_parts",
]

PARTS_AGE = 7 * 86_400.0
"""Seconds that parts wait to be sealed, by default: a loop may be run again on another day."""


UNREADABLE_SEAL = (CorruptObjectError, UnsupportedFormatError, UnsafePickleError)
"""What `unnamed_of` raises where it is not known which parts a seal names."""


def sweep_parts(
    objects: "StoredObjects", namespace: str, run: str | None, older_than: float
) -> int:
    """Remove the parts of a scope that no seal names, where nothing was put or sealed lately.

    Args:
        objects: Where.
        namespace, run: The scope.
        older_than: Seconds since the last part of the object was put, and since it was sealed:
            so long a reader may go on with what an older seal names.

    Returns:
        How many files were removed.

    Raises:
        StorageError: The place failed.
    """
    swept = 0
    for _, unnamed in unnamed_parts(objects, namespace, run, time.time() - older_than):
        keys = [entry.key for entry in unnamed]
        for error in objects.backend.delete_many(keys, missing_ok=True).values():
            raise error
        swept += len(keys)
    return swept


def unnamed_parts(
    objects: "StoredObjects", namespace: str, run: str | None, latest: float
) -> Iterator[tuple[Place, list[Entry]]]:
    """Yield the parts of a scope that no seal names, by object.

    Args:
        objects: Where.
        namespace, run: The scope.
        latest: Seconds since 1970; where something was put or sealed later, nothing is given.

    Raises:
        StorageError: The place failed.
    """
    for folder, entries in parts_by_object(objects, namespace, run):
        if max(entry.modified.timestamp() for entry in entries) > latest:
            continue  # also a part that a seal names: it was sealed later still
        place = object_of_parts(objects, namespace, run, folder, entries)
        if place is None:
            continue
        try:
            unnamed, last = unnamed_of(objects, place, entries)
        except UNREADABLE_SEAL as exc:
            told = f"the parts of {place} were left, since its seal cannot be read: {exc}"
            warnings.warn(UnreadableWarning(printable(told)), stacklevel=3)
            continue
        last = max([last, *(entry.modified.timestamp() for entry in unnamed)])
        if unnamed and last <= latest:
            yield place, unnamed


def parts_by_object(
    objects: "StoredObjects", namespace: str, run: str | None
) -> Iterator[tuple[str, list[Entry]]]:
    """Yield what is in a scope's folder of parts, by the folders of the objects."""
    found: dict[str, list[Entry]] = {}
    for entry in objects.backend.list(f"{scope_folder(namespace, run)}{PARTS}/"):
        folder, _, name = entry.key.rpartition("/")
        if parsed_part_file(name) is not None:  # anything else is not ours
            found.setdefault(f"{folder}/", []).append(entry)
    yield from found.items()


def object_of_parts(
    objects: "StoredObjects", namespace: str, run: str | None, folder: str, entries: list[Entry]
) -> Place | None:
    """Return the object whose parts are in *folder*; None if it is nobody's."""
    scope = f"{scope_folder(namespace, run)}{PARTS}/"
    name = name_of(folder[len(scope) : -1])
    if name is None:  # the name is too long to be a folder's, and stands in the parts
        try:
            header = objects.header(entries[0].key)
        except (CorruptObjectError, UnsupportedFormatError, ObjectNotFoundError):
            return None
        if header is None or not isinstance(header.place, PartPlace):
            return None
        name = header.name
    place = Place(namespace, run, name)
    return place if parts_folder(place) == folder else None


def unnamed_of(
    objects: "StoredObjects", place: Place, entries: list[Entry]
) -> tuple[list[Entry], float]:
    """Return those files of an object's parts that its seal does not name, and the seal's time.

    Raises:
        CorruptObjectError, UnsupportedFormatError, UnsafePickleError: The seal cannot be read.
        StorageError: The place failed.
    """
    named, sealed_at = _named(objects, place)
    return [entry for entry in entries if entry.key not in named], sealed_at


def _named(objects: "StoredObjects", place: Place) -> tuple[set[str], float]:
    """Return the keys that the object's seal names, and when it was written; none without one."""
    try:
        footer, entry = objects.footer(key_of(place), str(place))
        read = footer and containers.read_footer(footer, str(place))
        if not read or read[0].codec != SEALED:
            return set(), 0.0
        sealed, _ = read_seal(objects, place)
    except (ObjectNotFoundError, InvalidRequestError):
        return set(), 0.0  # it was deleted or replaced meanwhile
    keys = {key_of(part_place(place, sealed, part)) for part in sealed.parts}
    return keys, entry.modified.timestamp()

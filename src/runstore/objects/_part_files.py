"""The files in an object's folder of parts, and which of them is the newest of each part."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from runstore.keys import ARROW, Place, parts_folder
from runstore.parts import PartFile, parsed_part_file
from runstore.places import Backend, Entry

__all__ = ["Found", "files_there", "newest_of", "newest_parts"]


class Found(NamedTuple):
    """The newest file of a part.

    Attributes:
        file: What its name says.
        entry: What the place says of it.
    """

    file: PartFile
    entry: Entry


def newest_parts(backend: Backend, place: Place) -> dict[str, Found]:
    """List the parts of an object that are there, sealed or not, by how their files' names begin.

    Of several writes of a part the last one counts: by the place's clock, and within its tick by
    the writers'. Files that are no parts are passed over.

    Raises:
        StorageError: The place failed.
    """
    return newest_of(files_there(backend, place))


def files_there(backend: Backend, place: Place) -> list[Found]:
    """List the files in an object's folder of parts whose names are those of parts or files."""
    parsed = (
        (parsed_part_file(entry.key.rpartition("/")[2]), entry)
        for entry in backend.list(parts_folder(place))
    )
    return [Found(file, entry) for file, entry in parsed if file is not None]


def newest_of(files: Iterable[Found]) -> dict[str, Found]:
    """Return the newest file of each part; see `newest_parts`."""
    newest: dict[str, Found] = {}
    for found in files:
        if found.file.extension != ARROW:
            continue
        old = newest.get(found.file.start)
        if old is None or _age(found) > _age(old):
            newest[found.file.start] = found
    return newest


def _age(found: Found) -> tuple[datetime, str]:
    return found.entry.modified, found.file.write_id

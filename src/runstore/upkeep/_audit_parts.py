"""What an audit finds in folders of parts: those that no seal names, and files of others."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from runstore import containers
from runstore.errors import (
    AccessDeniedError,
    CorruptObjectError,
    ObjectNotFoundError,
    UnsupportedFormatError,
)
from runstore.keys import ARROW, PARTS, SHARED, PartPlace, parts_folder, scope_of
from runstore.objects import UNREADABLE_SEAL, ObjectInfo, object_of_parts, unnamed_of
from runstore.parts import parsed_part_file
from runstore.places import Entry
from runstore.upkeep._findings import Finding
from runstore.workers import Workers

if TYPE_CHECKING:
    from runstore.objects import StoredObjects

__all__ = ["Parts"]


class Parts:
    """The files in folders of parts, as they are listed."""

    def __init__(self) -> None:
        self._files: dict[str, list[Entry]] = {}
        self._sealed: dict[str, tuple[int, int]] = {}
        self._foreign: list[Entry] = []

    def takes(self, entry: Entry) -> bool:
        """Return whether a file is in a folder of parts; it is noted then."""
        folder, _, name = entry.key.rpartition("/")
        steps = folder.split("/", 3)
        if len(steps) < 4 or steps[2] != PARTS:
            return False
        if _scope_in(folder) is None or parsed_part_file(name) is None:
            self._foreign.append(entry)
        else:
            self._files.setdefault(f"{folder}/", []).append(entry)
        return True

    def note(self, entry: Entry, info: ObjectInfo) -> None:
        """Note how many parts a sealed object has, and their size."""
        if info.parts is not None:
            self._sealed[parts_folder(info.place)] = info.parts, info.size - entry.size

    def usage(self) -> Iterator[tuple[str, str | None, int]]:
        """Yield namespace, run and size of the parts of each object."""
        for folder, entries in self._files.items():
            namespace, run = _scope_in(folder) or ("", None)
            yield namespace, run, sum(entry.size for entry in entries)

    def findings(self, objects: "StoredObjects", workers: Workers) -> Iterator[Finding]:
        """Yield what there is to look at; where all parts are sealed nothing is read."""
        for entry in self._foreign:
            yield Finding("foreign", entry.key, entry.size, "its key is that of no part")
        looked = [
            folder
            for folder, entries in self._files.items()
            if self._sealed.get(folder) != (len(entries), sum(entry.size for entry in entries))
        ]
        for found in workers.map(lambda folder: self._looked(objects, folder), looked):
            yield from found

    def _looked(self, objects: "StoredObjects", folder: str) -> list[Finding]:
        entries = self._files[folder]
        namespace, run = _scope_in(folder) or ("", None)
        try:
            place = object_of_parts(objects, namespace, run, folder, entries)
        except AccessDeniedError as exc:
            return [Finding("unreadable", folder, entries[0].size, exc.message)]
        if place is None:
            size = sum(entry.size for entry in entries)
            return [Finding("foreign", folder, size, "its files are parts of no object")]
        try:
            unnamed, _ = unnamed_of(objects, place, entries)
        except (*UNREADABLE_SEAL, AccessDeniedError):
            return []  # which is told of the object
        if not unnamed:
            return []
        size, count = sum(entry.size for entry in unnamed), len(unnamed)
        told = f"{count:,} {'part' if count == 1 else 'parts'} that no seal names"
        found = [Finding("unsealed", str(place), size, told)]
        for entry in unnamed:
            found += _part(objects, entry, str(place))
        return found


def _scope_in(folder: str) -> tuple[str, str | None] | None:
    first, second = folder.split("/", 2)[:2]
    namespace, run = scope_of(first), None if second == SHARED else scope_of(second)
    return None if namespace is None or (run is None and second != SHARED) else (namespace, run)


def _part(objects: "StoredObjects", entry: Entry, ref: str) -> Iterator[Finding]:
    """Yield what there is to say of one part that no seal names."""
    if not entry.key.endswith(f".{ARROW}"):
        return  # a file of a folder, without a header
    try:
        footer, entry = objects.footer(entry.key, f"part of {ref}")
        read = footer and containers.read_footer(footer, entry.key, objects.guard())
    except ObjectNotFoundError:
        return
    except UnsupportedFormatError as exc:
        yield Finding("newer", entry.key, entry.size, exc.message)
        return
    except (AccessDeniedError, CorruptObjectError) as exc:
        yield Finding("unreadable", entry.key, entry.size, exc.message)
        return
    if not read or not isinstance(read[0].place, PartPlace):
        yield Finding("foreign", entry.key, entry.size, "a file that is no part")
        return
    header, _, signed = read
    if header.pickle:
        yield Finding("pickle", str(header.place), entry.size, header.type)
    if objects.policy == "signed" and not signed:
        yield Finding("unsigned", str(header.place), entry.size, header.type)

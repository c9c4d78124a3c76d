"""What a store holds, by kind: pickles, unsigned objects, files of others, versions, sizes by run.

One listing, and the end of each file that has a header; no value is read. Run records are read
whole, to see whether they are damaged. Where the parts of an object are not those that its seal
counts, the seal is read, and the end of each other part.
"""

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from runstore.errors import (
    AccessDeniedError,
    CorruptObjectError,
    ObjectNotFoundError,
    UnsupportedFormatError,
)
from runstore.keys import (
    RECORDS,
    SHARED,
    Place,
    extension_of,
    is_shortened,
    key_of,
    name_of,
    record_key,
    scope_folder,
    scope_of,
)
from runstore.objects import CONTAINERS, ObjectInfo, StoredObjects, describe_file, is_plain
from runstore.places import Backend, Entry, list_allowed
from runstore.runs import read_record
from runstore.steps import reporting
from runstore.upkeep._audit_parts import Parts
from runstore.upkeep._findings import Audit, Finding, RunUsage
from runstore.workers import Workers

if TYPE_CHECKING:
    from runstore.upkeep._whole_store import WholeStore

__all__ = ["audited"]

_AT_ONCE_NEAR, _AT_ONCE_FAR = 4, 32  # objects whose ends are read at a time
_SUBMITTED = 256


@dataclass
class _Sums:
    """The sums so far."""

    records: set[tuple[str, str]] = field(default_factory=set)
    unread: list[Entry] = field(default_factory=list)
    usage: dict[tuple[str, str | None], list[int]] = field(default_factory=dict)
    formats: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    versions: dict[str, Counter[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    parts: Parts = field(default_factory=Parts)
    signed: int = 0
    pickled: int = 0

    def add(self, entry: Entry, info: ObjectInfo) -> None:
        usage = self.usage.setdefault((info.namespace, info.run), [0, 0])
        usage[0] += 1
        usage[1] += entry.size
        self.parts.note(entry, info)
        self.formats[info.format] += 1
        if info.python_type is not None:
            self.types[info.python_type] += 1
        for library, version in info.versions.items():
            self.versions.setdefault(library, Counter())[version] += 1

    def read_records(self, backend: Backend, workers: Workers) -> None:
        """Find which of the records that were met are damaged."""
        unread, self.unread = self.unread, []
        self.findings += filter(None, workers.map(partial(_record, backend), unread))


def _record(backend: Backend, entry: Entry) -> Finding | None:
    namespace = scope_of(entry.key.partition("/")[0]) or ""
    try:
        read_record(backend.get(entry.key)[0], backend, namespace, entry.key)
    except ObjectNotFoundError:
        return None  # deleted meanwhile
    except (AccessDeniedError, CorruptObjectError) as exc:
        return Finding("unreadable", entry.key, entry.size, exc.message)
    return None


def audited(store: "WholeStore", namespace: str | None = None, run: str | None = None) -> Audit:
    """Look at everything of a store, a namespace or a run; see `ObjectStore.audit`."""
    objects, sums = store._objects, _Sums()
    at_once = _AT_ONCE_NEAR if objects.backend.guarantees.mapped else _AT_ONCE_FAR
    if namespace is None:
        folder = ""
    elif run is None:
        folder = scope_folder(namespace, None).removesuffix(f"{SHARED}/")
    else:
        folder = scope_folder(namespace, run)

    def denied(at: str, error: AccessDeniedError) -> None:
        if at == folder and run is None:
            raise error  # nothing of what is asked for can be found
        sums.findings.append(Finding("unreadable", at, 0, error.message))

    if namespace is not None and run is not None:
        record = record_key(namespace, run)
        for entry in list_allowed(objects.backend, record, denied):
            if entry.key == record:
                sums.records.add((namespace, run))
                sums.unread.append(entry)
    entries = list_allowed(objects.backend, folder, denied, parts=True)
    report = reporting(f"looking at {store.address.url}")
    with report, Workers(at_once, "runstore-audit") as workers:
        while some := list(islice(entries, _SUBMITTED)):
            rest = [entry for entry in some if not sums.parts.takes(entry)]
            theirs = [entry for entry in rest if not _is_kept(entry, sums)]
            looked = workers.map(lambda entry: _looked(objects, entry), theirs)
            report.add(len(theirs))
            for entry, found in zip(theirs, looked, strict=True):
                if found is not None:
                    _note(sums, entry, found, signs=objects.policy == "signed")
            sums.read_records(objects.backend, workers)
        sums.read_records(objects.backend, workers)  # that of the run, if it has no objects
        sums.findings += sums.parts.findings(objects, workers)
    for at, of, size in sums.parts.usage():
        sums.usage.setdefault((at, of), [0, 0])[1] += size
    return _summed(store, sums)


def _is_kept(entry: Entry, sums: _Sums) -> bool:
    """Return whether a key is one of the store's own books; note the record of a run."""
    namespace, _, rest = entry.key.partition("/")
    folder, slash, below = rest.partition("/")
    at = scope_of(namespace)
    if at is None or not slash or not folder.startswith("_") or folder == SHARED:
        return False
    if folder == RECORDS:
        run = scope_of(below.removesuffix(".json")) if below.endswith(".json") else None
        if run is None:
            return not below  # by which consoles of S3 stand in for a folder
        sums.records.add((at, run))
        sums.unread.append(entry)
    return True


def _looked(objects: StoredObjects, entry: Entry) -> ObjectInfo | Finding | None:
    """Describe the file at a key; None if it was deleted meanwhile."""
    place = _place_at(objects, entry)
    if not isinstance(place, Place):
        return place
    extension = extension_of(place.name)
    try:
        if is_plain(extension):
            return describe_file(place, entry)
        return objects.stat(place)
    except ObjectNotFoundError:
        return None
    except UnsupportedFormatError as exc:
        return Finding("newer", str(place), entry.size, exc.message)
    except AccessDeniedError as exc:
        return Finding("unreadable", str(place), entry.size, exc.message)
    except CorruptObjectError as exc:
        if extension in CONTAINERS and not _ends_well(objects, entry):
            return Finding("foreign", str(place), entry.size, "no file of its format")
        return Finding("unreadable", str(place), entry.size, exc.message)


def _ends_well(objects: StoredObjects, entry: Entry) -> bool:
    """Return whether a file has any mark of ours at its end."""
    return b"runstore." in bytes(objects.backend.tail(entry.key, 64 * 1024)[0])


def _place_at(objects: StoredObjects, entry: Entry) -> Place | Finding | None:
    first, _, rest = entry.key.partition("/")
    second, slash, below = rest.partition("/")
    namespace, run = scope_of(first), None if second == SHARED else scope_of(second)
    foreign = Finding("foreign", entry.key, entry.size, "its key is that of no object")
    if namespace is None or not slash or (run is None and second != SHARED):
        return None if entry.key.endswith("/") else foreign
    if not is_shortened(below):
        name = name_of(below)
        if name is not None:
            return Place(namespace, run, name)
        return None if entry.key.endswith("/") else foreign
    try:
        header = objects.header(entry.key)
    except ObjectNotFoundError:
        return None
    except UnsupportedFormatError as exc:
        return Finding("newer", entry.key, entry.size, exc.message)
    except (AccessDeniedError, CorruptObjectError) as exc:
        return Finding("unreadable", entry.key, entry.size, exc.message)
    if header is None or not isinstance(header.place, Place) or key_of(header.place) != entry.key:
        return foreign
    return header.place


def _note(sums: _Sums, entry: Entry, found: ObjectInfo | Finding, *, signs: bool) -> None:
    if isinstance(found, Finding):
        sums.findings.append(found)
        return
    sums.add(entry, found)
    ref, of_ours = str(found.place), found.codec is not None
    if found.pickled or found.format == "pkl":
        sums.pickled += 1
        sums.findings.append(Finding("pickle", ref, entry.size, found.python_type or "a .pkl file"))
    if found.signed:
        sums.signed += 1
    elif signs:
        sums.findings.append(Finding("unsigned", ref, entry.size, found.python_type or "a file"))
    if found.format in CONTAINERS and not of_ours:
        detail = f"a .{found.format} file that another program wrote"
        sums.findings.append(Finding("foreign", ref, entry.size, detail))


def _summed(store: "WholeStore", sums: _Sums) -> Audit:
    runs = [
        RunUsage(namespace, run, count, size, run is not None and (namespace, run) in sums.records)
        for (namespace, run), (count, size) in sums.usage.items()
    ]
    runs += [
        RunUsage(namespace, run, 0, 0, recorded=True)
        for namespace, run in sums.records
        if (namespace, run) not in sums.usage
    ]
    return Audit(
        store.address.url,
        sum(usage.objects for usage in runs),
        sum(usage.size for usage in runs),
        len(sums.records),
        sums.signed,
        sums.pickled,
        tuple(sorted(runs, key=lambda usage: (-usage.size, usage.ref))),
        dict(sums.formats.most_common()),
        dict(sums.types.most_common()),
        {name: dict(found.most_common()) for name, found in sorted(sums.versions.items())},
        tuple(sorted(sums.findings)),
    )

"""What people say of runs and objects afterwards: pins, tags and notes.

    <namespace>/_marks/<run>/pin.json                         the run stays
    <namespace>/_marks/<run>/tag-<tag>.json                   a tag of the run
    <namespace>/_marks/<run>/note.json                        its note
    <namespace>/_marks/<run>/objects/<object>/tag-<tag>.json  a tag of one of its objects, or a note

Each mark is a small file of its own, so two people who mark a run at once do not undo each other's
mark, on any place, and one listing tells the pins and tags of a thousand runs. The record of a run
is not touched: whoever executes the run writes it again.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from runstore.buffers import flat
from runstore.displays import pairs, some
from runstore.errors import CorruptObjectError, InvalidNameError, ObjectNotFoundError, RunStoreError
from runstore.keys import PARTS, SHARED, Place, name_of, parts_folder, scope_folder, scope_of
from runstore.places import Backend, Entry, prune

__all__ = [
    "Marks",
    "check_tag",
    "delete_marks",
    "marks_folder",
    "marks_of",
    "pinned_runs",
    "read_marks",
    "remove_marks",
    "set_mark",
]

_MARKS = "_marks"
_OBJECTS = "objects"
_LONGEST_TAG = 64  # bytes


@dataclass(frozen=True)
class Marks:
    """What was said of a run, or of one object.

    Attributes:
        pinned: Whether clean-up leaves it; only runs are pinned.
        tags: Sorted.
        note: None if there is none, or if only the tags were looked at.
        objects: Of a run: the marks of its objects, by name.
        pin_note: Why it is pinned; None as for *note*.
    """

    pinned: bool = False
    tags: tuple[str, ...] = ()
    note: str | None = None
    objects: dict[str, "Marks"] = field(default_factory=dict)
    pin_note: str | None = None

    def _repr_html_(self) -> str:
        told = pairs(
            {
                "pinned": "yes" if self.pinned else "no",
                "why": self.pin_note,
                "tags": ", ".join(self.tags),
                "note": self.note,
            }
        )
        rows = [[name, ", ".join(one.tags), one.note] for name, one in self.objects.items()]
        return told + (some(["object", "tags", "note"], rows) if rows else "")


def check_tag(call: str, tag: str) -> str:
    """Return *tag* if it can be one.

    Raises:
        InvalidNameError: It is empty, longer than 64 bytes, or has a character that is not shown.
    """
    if not tag or not tag.isprintable() or tag != tag.strip():
        raise InvalidNameError(
            f"{call}: {tag[:40]!a} is no tag: write a short text, as in 'reviewed' or 'team=ads'"
        )
    if len(tag.encode()) > _LONGEST_TAG:
        raise InvalidNameError(
            f"{call}: the tag {tag[:40]!a}… is longer than {_LONGEST_TAG} bytes: shorten it, and "
            "write longer texts as a note"
        )
    return tag


def marks_folder(namespace: str, run: str | None = "") -> str:
    """Return the folder of the marks of a run, None for what runs share; of all with ``""``."""
    whole = scope_folder(namespace, run or None)
    first, _, second = whole.partition("/")
    return f"{first}/{_MARKS}/" if run == "" else f"{first}/{_MARKS}/{second}"


def set_mark(
    backend: Backend, place: Place | None, namespace: str, run: str | None, kind: str, text: str
) -> None:
    """Write one mark, instead of one of the same kind and tag.

    Args:
        backend: Where.
        place: The object; None for the run.
        namespace, run: The scope.
        kind: ``pin``, ``tag`` or ``note``.
        text: The tag or the note.
    """
    about: dict[str, Any] = {"kind": kind, "text": text, "at": datetime.now(UTC).isoformat()}
    if place is not None:
        about["object"] = place.name
    key = _folder(place, namespace, run) + _file(kind, text)
    backend.put(key, [json.dumps(about, indent=1).encode()])


def remove_marks(
    backend: Backend,
    place: Place | None,
    namespace: str,
    run: str | None,
    kind: str,
    texts: Iterable[str] = ("",),
) -> int:
    """Remove marks of one kind, and return how many there were."""
    keys = [_folder(place, namespace, run) + _file(kind, text) for text in texts]
    removed = 0
    for key in keys:
        try:
            backend.delete(key)
            removed += 1
        except ObjectNotFoundError:
            continue
    prune(backend, _folder(place, namespace, run))
    return removed


def delete_marks(backend: Backend, namespace: str, runs: Iterable[str]) -> None:
    """Remove all marks of runs that are gone.

    Raises:
        StorageError: One could not be removed.
    """
    for run in runs:
        folder = marks_folder(namespace, run)
        keys = [entry.key for entry in backend.list(folder)]
        if keys:
            for error in backend.delete_many(keys, missing_ok=True).values():
                raise error
            prune(backend, folder)


def marks_of(backend: Backend, namespace: str, run: str | None = "") -> dict[str | None, Marks]:
    """Return pins and tags by run, None for what runs share; a page for a thousand marks.

    Args:
        backend: Where.
        namespace: The namespace.
        run: Only of this run; by default of all.

    Raises:
        StorageError: The place failed.
    """
    found: dict[str | None, dict[str | None, set[str]]] = {}
    for entry in backend.list(marks_folder(namespace, run)):
        at = _parsed(backend, namespace, entry)
        if at is not None:
            found.setdefault(at[0], {}).setdefault(at[1], set()).add(at[2])
    return {name: _marks(files) for name, files in found.items()}


def pinned_runs(backend: Backend, namespace: str) -> frozenset[str]:
    """Return the names of the runs that are pinned."""
    marks = marks_of(backend, namespace)
    return frozenset(run for run, one in marks.items() if run is not None and one.pinned)


def read_marks(backend: Backend, namespace: str, run: str | None) -> Marks:
    """Return all marks of a run, or of what runs share, with the notes."""
    files: dict[str | None, set[str]] = {}
    notes: dict[str | None, str] = {}
    pin_note = None
    for entry in backend.list(marks_folder(namespace, run)):
        at = _parsed(backend, namespace, entry)
        if at is None:
            continue
        files.setdefault(at[1], set()).add(at[2])
        if at[2] == "note":
            notes[at[1]] = _read(backend, entry.key)["text"]
        elif at[2] == "pin" and at[1] is None:
            pin_note = _read(backend, entry.key)["text"] or None
    return replace(_marks(files, notes), pin_note=pin_note)


def _marks(files: dict[str | None, set[str]], notes: dict[str | None, str] | None = None) -> Marks:
    def one(name: str | None, objects: dict[str, Marks]) -> Marks:
        kinds = files.get(name, set())
        tags = sorted(kind[4:] for kind in kinds if kind.startswith("tag "))
        return Marks("pin" in kinds, tuple(tags), (notes or {}).get(name), objects)

    return one(None, {name: one(name, {}) for name in sorted(filter(None, files))})


def _folder(place: Place | None, namespace: str, run: str | None) -> str:
    folder = marks_folder(namespace, run)
    if place is None:
        return folder
    below = len(scope_folder(namespace, run)) + len(PARTS) + 1
    return f"{folder}{_OBJECTS}/{parts_folder(place)[below:]}"


def _file(kind: str, text: str) -> str:
    if kind != "tag":
        return f"{kind}.json"
    return f"tag-{quote_from_bytes(text.encode(), safe='').replace('~', '%7E')}.json"


def _parsed(
    backend: Backend, namespace: str, entry: Entry
) -> tuple[str | None, str | None, str] | None:
    """Return run, object and mark of a file; None if it is no mark."""
    rest = entry.key[len(marks_folder(namespace)) :]
    scope, _, below = rest.partition("/")
    folder, _, file = below.rpartition("/")
    kind = _kind(file)
    run = None if scope == SHARED else scope_of(scope)
    if kind is None or (run is None and scope != SHARED):
        return None
    if not folder:
        return run, None, kind
    if not folder.startswith(f"{_OBJECTS}/"):
        return None
    name = name_of(folder[len(_OBJECTS) + 1 :])
    if name is None:  # too long to be a folder's name: it stands inside
        try:
            name = _read(backend, entry.key).get("object")
        except (ObjectNotFoundError, CorruptObjectError):
            return None
    return None if not isinstance(name, str) else (run, name, kind)


def _kind(file: str) -> str | None:
    """Return ``pin``, ``note`` or ``tag`` and the tag; None for any other file."""
    stem, dot, extension = file.rpartition(".")
    if not dot or extension != "json":
        return None
    if stem in ("pin", "note"):
        return stem
    try:
        return f"tag {unquote_to_bytes(stem[4:]).decode()}" if stem.startswith("tag-") else None
    except UnicodeDecodeError:
        return None


def _read(backend: Backend, key: str) -> dict[str, Any]:
    ref = f"{backend.url}/{key}"
    try:
        found = json.loads(flat(backend.get(key)[0]).tobytes())
        if isinstance(found, dict) and isinstance(found.get("text"), str):
            return found
    except (ValueError, RecursionError) as exc:
        raise _no_mark(ref) from exc
    raise _no_mark(ref)


def _no_mark(ref: str) -> RunStoreError:
    return CorruptObjectError(
        f"{ref} is no mark of runstore: remove it, and set the mark again", ref
    )

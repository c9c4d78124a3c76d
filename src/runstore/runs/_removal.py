"""Removing a run so that nobody takes half of it for whole: first its record says that it is gone.

While the objects are removed, a notice stands in the place of the record: for readers the run is
not there any more, no other run can begin under its name, and who goes on with an interrupted
removal knows what it was about. It holds the record, so that it can be put back until the first
object is removed: before that it is written again, and says so. It names the clean-up that has the
removal in hand; another one takes it over by writing its own name. It goes last.
"""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import xxhash

from runstore.buffers import flat
from runstore.errors import (
    CorruptObjectError,
    ObjectExistsError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from runstore.keys import PARTS, is_shortened, name_of, record_key, scope_folder
from runstore.places import Backend, Entry, list_with_parts
from runstore.runs._record_file import REMOVED
from runstore.runs._record_file import _digest as digest_of

if TYPE_CHECKING:
    from runstore.runs._look import RunLook

__all__ = [
    "Held",
    "Removal",
    "Seen",
    "begin_deleting",
    "begin_removal",
    "is_held",
    "is_of_run",
    "mark_of",
    "objects_of_run",
    "parsed_removal",
    "removal_of",
    "restore",
    "take_over",
]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run has stored, as the place lists it: two that are equal list the same versions.

    Attributes:
        objects: How many files, parts included.
        size: Their bytes.
        mark: A digest of keys, sizes and versions, in any order.
    """

    objects: int = 0
    size: int = 0
    mark: int = 0

    def with_entry(self, entry: Entry) -> "Seen":
        """Return the same with one file more."""
        version = entry.version or entry.modified.isoformat()
        one = xxhash.xxh3_64_intdigest(f"{entry.key}\0{entry.size}\0{version}".encode())
        return Seen(self.objects + 1, self.size + entry.size, (self.mark + one) % (1 << 64))


@dataclass(frozen=True, slots=True)
class Removal:
    """A removal that was begun.

    Attributes:
        reason: Why.
        seen: What the run had stored before.
        record: The record that stood there, as data; None if there was none.
        owner: Random, of the clean-up that has it in hand; "" if that is unknown.
        deleting: Whether objects may be gone already; before that the record can be put back.
        removed_at: When it was begun, in seconds since 1970 by the clock of the place.
    """

    reason: str
    seen: Seen
    record: dict[str, Any] | None
    owner: str = ""
    deleting: bool = True
    removed_at: float = 0.0


class Held(NamedTuple):
    """A removal that this clean-up has in hand.

    Attributes:
        namespace, run: The run.
        removal: What the notice says.
        version: Of the notice, where the place names versions.
    """

    namespace: str
    run: str
    removal: Removal
    version: str | None


def objects_of_run(backend: Backend, namespace: str, run: str) -> Iterator[Entry]:
    """List what a run has stored, parts included; files of other programs are not of it."""
    scope = scope_folder(namespace, run)
    for entry in list_with_parts(backend, scope):
        if is_of_run(entry.key[len(scope) :]):
            yield entry


def mark_of(record: bytes) -> str:
    """Return by what a version of a record is told where the place has no versions."""
    return xxhash.xxh3_128_hexdigest(record)


def is_of_run(below: str) -> bool:
    """Return whether a key below a run's folder is one of runstore."""
    return below.startswith(f"{PARTS}/") or is_shortened(below) or name_of(below) is not None


def begin_removal(
    backend: Backend, namespace: str, look: "RunLook", reason: str, seen: Seen, at: float
) -> Held | None:
    """Put the notice in the place of the record: from now on the run is gone for its readers.

    Args:
        backend: Where.
        namespace: Of the run.
        look: The run, as it was looked at; without a record one that has only the name.
        reason, seen, at: As in `Removal`, where *at* is ``removed_at``.

    Returns:
        None if there is another record by now: then nothing was done.

    Raises:
        StorageError: The place failed.
    """
    key, old, version = record_key(namespace, look.name), None, None
    if look.is_recorded:
        try:
            data, entry = backend.get(key)
            text = flat(data).tobytes()
            old, version = json.loads(text), entry.version
        except (ObjectNotFoundError, ValueError):
            return None
        same = version == look.version if look.version is not None else mark_of(text) == look.mark
        if not same or not isinstance(old, dict):
            return None
    removal = Removal(reason, seen, old, secrets.token_hex(8), deleting=False, removed_at=at)
    held = Held(namespace, look.name, removal, version)
    return _written(backend, held, removal, new=not look.is_recorded)


def take_over(backend: Backend, namespace: str, run: str) -> Held | None:
    """Take a removal in hand that another clean-up has begun, which loses it by that.

    Returns:
        None if there is none any more, or another one takes it just now.

    Raises:
        CorruptObjectError: The notice is damaged.
        StorageError: The place failed.
    """
    found = _notice(backend, namespace, run)
    if found is None:
        return None
    return _written(backend, found, replace(found.removal, owner=secrets.token_hex(8)))


def begin_deleting(backend: Backend, held: Held) -> Held | None:
    """Note that objects may be gone from now on; None if another clean-up has the removal.

    Raises:
        StorageError: The place failed.
    """
    if not is_held(backend, held):
        return None
    return _written(backend, held, replace(held.removal, deleting=True))


def is_held(backend: Backend, held: Held) -> bool:
    """Return whether this clean-up still has a removal in hand.

    Raises:
        StorageError: The place failed.
    """
    try:
        found = _notice(backend, held.namespace, held.run)
    except CorruptObjectError:
        return False
    return found is not None and found.removal.owner == held.removal.owner


def _written(backend: Backend, held: Held, removal: Removal, *, new: bool = False) -> Held | None:
    """Write the notice of a removal over the version of *held*; None if it is another by now."""
    about = {
        "name": held.run,
        "namespace": held.namespace,
        "state": REMOVED,
        "removed_at": removal.removed_at,
        "reason": removal.reason,
        "objects": removal.seen.objects,
        "size": removal.seen.size,
        "mark": removal.seen.mark,
        "record": removal.record,
        "owner": removal.owner,
        "deleting": removal.deleting,
    }
    about["digest"] = digest_of(about)
    guarantees = backend.probe()
    # Where nothing is conditional, the look just now has to do.
    swaps, creates = guarantees.compare_and_swap is True, guarantees.create is True
    try:
        entry = backend.put(
            record_key(held.namespace, held.run),
            [json.dumps(about, indent=1).encode()],
            if_absent=new and creates,
            if_match=held.version if swaps else None,
        )
    except (PreconditionFailedError, ObjectExistsError, ObjectNotFoundError):
        return None
    return held._replace(removal=removal, version=entry.version)


def _notice(backend: Backend, namespace: str, run: str) -> Held | None:
    key = record_key(namespace, run)
    try:
        data, entry = backend.get(key)
    except ObjectNotFoundError:
        return None
    removal = parsed_removal(flat(data).tobytes(), f"{backend.url}/{key}")
    return None if removal is None else Held(namespace, run, removal, entry.version)


def removal_of(backend: Backend, namespace: str, run: str) -> Removal | None:
    """Return the removal of a run that was begun; None if there is none.

    Raises:
        StorageError: The place failed.
    """
    found = _notice(backend, namespace, run)
    return None if found is None else found.removal


def restore(backend: Backend, held: Held) -> bool:
    """Put the record back in the place of the notice; nothing of the run was removed.

    Returns:
        False if another clean-up has the removal in hand by now; then nothing was done.

    Raises:
        StorageError: The place failed.
    """
    assert not held.removal.deleting
    if not is_held(backend, held):
        return False
    key, record = record_key(held.namespace, held.run), held.removal.record
    if record is None:
        for error in backend.delete_many([key], missing_ok=True).values():
            raise error
        return True
    swaps = backend.probe().compare_and_swap is True
    try:
        data = json.dumps(record, indent=1).encode()
        backend.put(key, [data], if_match=held.version if swaps else None)
    except (PreconditionFailedError, ObjectNotFoundError):
        return False
    return True


def parsed_removal(data: bytes, where: str) -> Removal | None:
    """Return the removal that a record tells of; None if it is the record of a run.

    Raises:
        CorruptObjectError: It is neither.
    """
    try:
        document = json.loads(data)
        if not isinstance(document, dict) or document.get("state") != REMOVED:
            return None
        digest = document.pop("digest", None)
        if digest != digest_of(document):
            raise ValueError("its digest does not fit")
        seen = Seen(*(int(document[name]) for name in ("objects", "size", "mark")))
        return Removal(
            str(document["reason"]),
            seen,
            document["record"],
            str(document.get("owner", "")),
            document.get("deleting") is not False,
            float(document["removed_at"]) if "owner" in document else 0.0,
        )
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise CorruptObjectError(f"{where} is damaged: {exc}", where) from exc

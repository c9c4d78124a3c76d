"""One run that is being removed: what it has stored, and the steps of its removal."""

from dataclasses import dataclass, field

from runstore.keys import PARTS, scope_folder
from runstore.places import Backend, Entry
from runstore.runs import (
    Held,
    Seen,
    begin_deleting,
    begin_removal,
    is_held,
    objects_of_run,
    take_over,
)
from runstore.upkeep._gc import PlannedRun

__all__ = ["Going", "begin", "go_on", "is_ours", "listed", "listed_again"]


@dataclass
class Going:
    """A run that is being removed.

    Attributes:
        run: The run.
        seen: What it has stored.
        versions: Of each file, by key; None where an interrupted removal goes on.
        held: The removal, once it is begun.
        keys: What is read under its own name.
        parts: What only that leads to.
        late: How many files were put since the removal began.
        freed: The bytes of keys and parts.
    """

    run: PlannedRun
    seen: Seen
    versions: dict[str, object] | None
    held: Held | None = None
    keys: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    late: int = 0
    freed: int = 0


def listed(backend: Backend, run: PlannedRun) -> Going:
    """Return a run with what it has stored now."""
    seen, versions = Seen(), dict[str, object]()
    for entry in objects_of_run(backend, run.namespace, run.run):
        seen = seen.with_entry(entry)
        versions[entry.key] = _version(entry)
    return Going(run, seen, versions)


def listed_again(backend: Backend, one: Going) -> None:
    """Find what goes of a run: what was there when the removal began, in the same version."""
    run, held = one.run, one.held
    assert held is not None
    hidden = f"{scope_folder(run.namespace, run.run)}{PARTS}/"
    for entry in objects_of_run(backend, run.namespace, run.run):
        if one.versions is None:
            old = entry.modified.timestamp() <= held.removal.removed_at
        else:
            old = one.versions.get(entry.key) == _version(entry)
        if not old:
            one.late += 1
            continue
        (one.parts if entry.key.startswith(hidden) else one.keys).append(entry.key)
        one.freed += entry.size
    one.versions = None


def _version(entry: Entry) -> object:
    return entry.version or (entry.size, entry.modified)


def begin(backend: Backend, at: float, one: Going) -> Held | None:
    """Begin the removal, or take it over; None if the run has changed."""
    run = one.run
    if run._look.removal is not None:
        return take_over(backend, run.namespace, run.run)
    return begin_removal(backend, run.namespace, run._look, run.reason, one.seen, at)


def go_on(backend: Backend, one: Going) -> Held | None:
    """Note that objects go from now on; None if another clean-up has the run."""
    assert one.held is not None
    return one.held if one.held.removal.deleting else begin_deleting(backend, one.held)


def is_ours(backend: Backend, one: Going) -> bool:
    """Return whether this clean-up still has the run in hand."""
    return one.held is not None and is_held(backend, one.held)

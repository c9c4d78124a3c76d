"""What clean-up and listings have to know of a run without its objects."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from runstore.context import WorkflowRun
from runstore.errors import CorruptObjectError
from runstore.runs._reads import referred_in
from runstore.runs._record_file import REMOVED, parsed_record
from runstore.runs._removal import Removal, parsed_removal
from runstore.runs._runner import seen_from_here

if TYPE_CHECKING:
    from runstore.runs._alive import Liveness

__all__ = ["UNREADABLE", "RunLook", "is_final", "living", "look_at", "look_of"]

UNREADABLE = "unreadable"
"""The state of a run whose record is damaged."""

_LIVING = ("pending", "running")


@dataclass(frozen=True, slots=True)
class RunLook:
    """What is known of a run without its objects.

    Attributes:
        name: The run.
        version: Of its record.
        state: As seen from here: that of a `WorkflowRun`, ``removed`` or ``unreadable``.
        workflow: The name of its workflow; None if it has no record that can be read.
        started, ended: In seconds since 1970; *ended* is None where the record does not say.
        retention: What its definition says of how long its runs are kept.
        uses: Of a run that may go on: the runs that its record refers to, as namespace and name.
        removal: The removal that was begun.
        error: Why its record cannot be read.
        written: When its record was written, in seconds since 1970; 0 if that was not looked at.
        mark: A digest of the record, where the place has no versions.
        source: What triggered it, as its record says.
    """

    name: str
    version: str | None
    state: str
    workflow: str | None = None
    started: float = float("-inf")
    ended: float | None = None
    retention: dict[str, Any] | None = None
    uses: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    removal: Removal | None = None
    error: str | None = None
    written: float = field(default=0.0, compare=False)
    mark: str | None = None
    source: str = ""

    @property
    def is_recorded(self) -> bool:
        """Whether it has a record, or the notice of a removal."""
        return self.version is not None or self.mark is not None


def living(state: str) -> bool:
    """Return whether a run of this state may still write."""
    return state in _LIVING


def is_final(look: RunLook) -> bool:
    """Return whether the record will not change any more, and has a version by which to tell."""
    return look.version is not None and look.state in ("finished", "failed")


def look_at(
    data: bytes,
    namespace: str,
    name: str,
    version: str | None,
    where: str,
    liveness: "Liveness | None" = None,
) -> RunLook:
    """Return what the record *data* says.

    Args:
        data: The file.
        namespace, name: The run.
        version: Of the file.
        where: The file, for messages.
        liveness: Tells which runs of other hosts go on.
    """
    try:
        removal = parsed_removal(data, where)
        if removal is not None:
            return RunLook(name, version, REMOVED, removal=removal)
        run = seen_from_here(parsed_record(data, namespace, name, where), liveness)
        return look_of(run, data, version)
    except CorruptObjectError as exc:
        return RunLook(name, version, UNREADABLE, uses=referred_in(data), error=str(exc))


def look_of(run: WorkflowRun, data: bytes, version: str | None) -> RunLook:
    """Return what is known of a run whose record *data* is."""
    ended = run.finished_at
    may_read = living(run.state) or run.state == "lost"
    uses = referred_in(data) if may_read else frozenset[tuple[str, str]]()
    return RunLook(
        run.name,
        version,
        run.state,
        run.workflow,
        float("-inf") if run.started_at is None else seconds_of(run.started_at),
        None if ended is None else seconds_of(ended),
        _retention(run, data),
        uses,
        source=run.source,
    )


def seconds_of(at: datetime) -> float:
    """Return a time in seconds since 1970; one without a zone is UTC."""
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _retention(run: WorkflowRun, data: bytes) -> dict[str, Any] | None:
    if b'"retention"' not in data:
        return None
    definition = json.loads(data).get("definition")
    spec = definition.get("spec") if isinstance(definition, dict) else None
    found = spec.get("retention") if isinstance(spec, dict) else None
    return found if isinstance(found, dict) else None

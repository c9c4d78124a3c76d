"""What is to be removed, and why, as data; `GcPlan.apply` removes it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from runstore.texts import human_size

if TYPE_CHECKING:
    from runstore.runs import RunLook, Seen
    from runstore.upkeep._gc_known import Known
    from runstore.upkeep._retention import Rules
    from runstore.upkeep._whole_store import WholeStore

__all__ = ["GcPlan", "GcReport", "Orphans", "PlannedRun"]

OrphanKind = Literal["temporary", "upload", "probe", "parts", "marks", "logs"]


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run that goes, with all it has stored.

    Attributes:
        namespace, run: The run.
        reason: Why, for people.
        workflow: None if it has no record.
        state: As its record says; ``removed`` if an earlier removal was interrupted; None if it
            has no record.
        started_at: UTC, where known.
        objects: How many files it has stored, parts of objects included.
        bytes: Their size.
    """

    namespace: str
    run: str
    reason: str
    workflow: str | None
    state: str | None
    started_at: datetime | None
    _look: "RunLook" = field(repr=False)
    _seen: "Seen" = field(repr=False)

    @property
    def objects(self) -> int:
        """How many files it has stored, parts of objects included."""
        return self._seen.objects

    @property
    def bytes(self) -> int:
        """Their size."""
        return self._seen.size

    def __str__(self) -> str:
        return f"{self.namespace}/{self.run}"


@dataclass(frozen=True, slots=True)
class Orphans:
    """Files that are of nothing any more.

    Attributes:
        kind: ``temporary`` of an interrupted write; an ``upload`` that was neither completed nor
            aborted; a ``probe`` of what the place can do; ``parts`` of an object that no seal
            names; ``marks`` or ``logs`` of a run that is gone.
        ref: Where: a key, an object or a run.
        reason: Why they go, for people.
        objects: How many files.
        bytes: Their size, where the place says it.
        namespace, run: Of parts and marks; *run* is None for what runs share.
    """

    kind: OrphanKind
    ref: str
    reason: str
    objects: int
    bytes: int
    namespace: str | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True)
class GcReport:
    """What was removed.

    Attributes:
        runs: The runs, as ``namespace/run``.
        objects, bytes: Files and their size, orphans included.
        skipped: Of the plan: runs that stay after all, with the reason.
        failed: Of the plan: what could not be removed, with the reason. The next plan has it.
    """

    runs: tuple[str, ...]
    objects: int
    bytes: int
    skipped: dict[str, str]
    failed: dict[str, str] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        from runstore.upkeep._shown import report_html

        return report_html(self)


@dataclass(frozen=True, slots=True)
class GcPlan:
    """What `runstore.ObjectStore.plan_gc` would remove. Nothing was removed.

    Attributes:
        store: The store's URL.
        made_at: When it was made, UTC.
        runs: The runs that go, by namespace, oldest first.
        orphans: Files that are of nothing any more.
        kept: How many runs stay, by the reason.
    """

    store: str
    made_at: datetime
    runs: tuple[PlannedRun, ...]
    orphans: tuple[Orphans, ...]
    kept: dict[str, int]
    _store: "WholeStore" = field(repr=False, compare=False)
    _request: "GcRequest" = field(repr=False, compare=False)
    _known: "Known" = field(repr=False, compare=False)

    @property
    def objects(self) -> int:
        """How many files go."""
        return sum(run.objects for run in self.runs) + sum(one.objects for one in self.orphans)

    @property
    def bytes(self) -> int:
        """The size of the files that go."""
        return sum(run.bytes for run in self.runs) + sum(one.bytes for one in self.orphans)

    @property
    def reasons(self) -> dict[str, str]:
        """Why each run goes, by ``namespace/run``."""
        return {str(run): run.reason for run in self.runs}

    def __bool__(self) -> bool:
        return bool(self.runs or self.orphans)

    def __str__(self) -> str:
        left = sum(one.objects for one in self.orphans)
        counted = ((len(self.runs), "run"), (left, "leftover"), (self.objects, "file"))
        runs, left_over, files = (f"{n:,} {what}{'' if n == 1 else 's'}" for n, what in counted)
        return f"{runs} and {left_over}: {files}, {human_size(self.bytes)}"

    def _repr_html_(self) -> str:
        from runstore.upkeep._shown import plan_html

        return plan_html(self)

    def _workflows(self) -> frozenset[str]:
        """Return the workflows that have a run where the plan has looked, or one half removed."""
        wanted, found = self._request.namespace, set[str]()
        for namespace, looks in self._known.runs.items():
            if wanted not in (None, namespace):
                continue
            for look in looks.values():
                record = {} if look.removal is None else look.removal.record or {}
                found.add(str(look.workflow or record.get("workflow", "")))
        return frozenset(found - {""})

    def keys(self) -> Iterator[str]:
        """List the keys of what goes of the runs, as the place has them now, run by run.

        Raises:
            StorageError: The place failed.
        """
        from runstore.upkeep._gc_apply import keys_of

        yield from keys_of(self._store, self.runs)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain data, for JSON."""
        runs = []
        for run in self.runs:
            plain = {name: getattr(run, name) for name in _RUN_FIELDS}
            plain["started_at"] = None if run.started_at is None else run.started_at.isoformat()
            runs.append(plain)
        return {
            "store": self.store,
            "made_at": self.made_at.isoformat(),
            "runs": runs,
            "orphans": [asdict(one) for one in self.orphans],
            "kept": dict(self.kept),
            "objects": self.objects,
            "bytes": self.bytes,
        }

    def apply(self) -> GcReport:
        """Remove what is planned, and nothing else; it can be interrupted and started again.

        Everything is looked at again first: a run that was pinned, that goes on, that a run that
        goes on reads, or that has changed since the plan, stays. Of each run the record goes first:
        from then on no reader finds the run, and no run can begin under its name. Then its objects
        go, what says how to read an object before its parts: who reads it finds all of it, or
        ObjectNotFoundError. If it is interrupted, a later plan, by whatever rules, has the rest.

        Returns:
            What was removed, and what was not.

        Raises:
            StaleRunError: The run of this code has ended, or its attempt was given up.
            StorageError: The place failed; what was not reached is in the next plan.
        """
        from runstore.objects import check_lease
        from runstore.upkeep._gc_apply import applied

        check_lease()
        return applied(self._store, self)


_RUN_FIELDS = (
    *("namespace", "run", "reason", "workflow", "state", "started_at", "objects", "bytes"),
)


@dataclass(frozen=True, slots=True)
class GcRequest:
    """What a plan was asked for.

    Attributes:
        rules: For runs.
        namespace, workflow: Only these; None for all.
        orphans: Whether to look for orphans.
        now: When, in seconds since 1970.
    """

    rules: "Rules"
    namespace: str | None
    workflow: str | None
    orphans: bool
    now: float

    @property
    def made_at(self) -> datetime:
        """When, UTC."""
        return datetime.fromtimestamp(self.now, UTC)

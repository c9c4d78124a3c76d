"""What of an earlier run need not be run again, and why the rest has to be.

A stage is taken over if nothing that it depended on has changed since, as far as the record of
the earlier run says, and all that it wrote is still there as it was written.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from runstore.context import (
    ObjectUse,
    Stage,
    StageRecord,
    WorkflowRun,
    WorkflowRunContext,
    is_kept,
    parameter_digest,
)
from runstore.errors import CorruptObjectError, ObjectNotFoundError
from runstore.keys import Place, key_of
from runstore.workers import Workers
from runstore.workflows._plan import Plan, PlannedStage
from runstore.workflows._resume_from import reads_that_count

if TYPE_CHECKING:
    from runstore.store import ObjectStore

__all__ = ["Kept", "Resumed", "copied_over", "resumed"]

_AT_ONCE = 8  # objects that are looked at, or copied, at a time
_DEFINING = ("target", "type", "depends_on", "version")
_ENDED = ("finished", "failed", "running")


@dataclass(frozen=True)
class Kept:
    """What is taken over of one stage.

    Attributes:
        record: Its record, with what it read and wrote as of the new run.
        origin: The run in which it ran.
        result: What it returned, if all of it is taken over.
        items: The results of the items that are, by index, of a mapped stage.
        whole: Whether the stage is not run at all.
        writes: What was written by what is taken over, as of the new run.
        sources: The same, where it stands.
    """

    record: StageRecord
    origin: str
    result: Any = None
    items: Mapping[int, Any] = field(default_factory=dict)
    whole: bool = False
    writes: tuple[ObjectUse, ...] = ()
    sources: tuple[ObjectUse, ...] = ()


@dataclass(frozen=True)
class Resumed:
    """What is taken over of an earlier run.

    Attributes:
        origin: The record of that run.
        kept: Of each stage of which anything is taken over.
        why: Why each of the other stages, or the rest of a mapped one, is run.
    """

    origin: WorkflowRun
    kept: Mapping[str, Kept]
    why: Mapping[str, str]


def resumed(
    plan: Plan,
    ctx: WorkflowRunContext,
    origin: WorkflowRun,
    store: "ObjectStore",
) -> Resumed:
    """Decide what of *origin* is taken over.

    Args:
        plan: What is to be run.
        ctx: The context of the new run.
        origin: The record of the earlier run.
        store: Where both are.

    Raises:
        StorageError: The place failed.
    """
    found = _Decision(plan, ctx, origin, store)
    return Resumed(origin, found.kept, found.why)


class _Decision:
    """Goes through the stages in the order of the graph."""

    def __init__(
        self,
        plan: Plan,
        ctx: WorkflowRunContext,
        origin: WorkflowRun,
        store: "ObjectStore",
    ) -> None:
        self._plan = plan
        self._ctx = ctx
        self._origin = origin
        self._records = {stage.name: stage for stage in origin.stages}
        self._definitions = _definitions(origin)
        self._store = store
        self._writers = self._writers_of()
        self._looked: dict[str, str | None] = {}  # at objects: what is wrong with each
        self.kept: dict[str, Kept] = {}
        self.why: dict[str, str] = {}
        order = list(plan.sorter().static_order())
        for name in order:
            self._decide(name)
        self._run_what_is_needed(order)

    def _writers_of(self) -> dict[str, tuple[str, ObjectUse]]:
        """Return which stage has written each object last, by its reference without a digest."""
        found: dict[str, tuple[str, ObjectUse]] = {}
        for stage in self._origin.stages:
            for use in stage.writes:
                found[_where(use)] = stage.name, use
        return found

    def _decide(self, name: str) -> None:
        planned = self._plan.stages[name]
        record = self._records.get(name)
        reason = self._difference(planned, record)
        if reason is None and record is not None:
            if record.state == "finished":
                reason = self._keep_whole(name, record)
            else:
                reason = self._keep_items(planned, record)
        if reason is not None:
            self.why[name] = reason

    def _difference(self, planned: PlannedStage, record: StageRecord | None) -> str | None:
        """Return the first difference that makes a stage run again; None if there is none."""
        stage = planned.stage
        if record is None:
            return "it is new"
        if record.state not in _ENDED:
            return "it did not run"
        if not record.code:
            return "the record of the earlier run does not know its code"
        for other in planned.needs:
            if other in self.why:
                return f"stage {other!r}, which it depends on, runs again"
        if (defined := self._redefined(stage)) is not None:
            return f"its {defined} is another in the workflow"
        if (part := _first_difference(record.code, self._plan.code[stage.name])) is not None:
            return part
        for kind, read, values in (
            ("input", record.input_read, self._ctx.input),
            ("config", record.config_read, self._ctx.config),
        ):
            for key, digest in read.items():
                if parameter_digest(values, key) != digest:
                    return (
                        f"the {kind} has changed" if key == "*" else f"{kind} {key!r} has changed"
                    )
        return self._changed_reads(record)

    def _redefined(self, stage: Stage) -> str | None:
        now = _definition(stage.model_dump(mode="json"))
        before = self._definitions.get(stage.name, {})
        for name, value in now.items():
            if before.get(name, value if name not in _DEFINING else None) != value:
                return name
        return None

    def _changed_reads(self, record: StageRecord) -> str | None:
        if record.reads_left_out:
            return "it read more objects than a record names"
        for use in reads_that_count(record):
            writer = self._writers.get(_where(use))
            if writer is not None and writer[0] != record.name:
                if writer[0] in self.why:
                    return f"it read {use.name!r}, which stage {writer[0]!r} writes again"
                continue  # that stage is taken over, with what it wrote
            if writer is None and (wrong := self._wrong(use)) is not None:
                return f"{use.name!r}, which it read, {wrong}"
        return None

    def _keep_whole(self, name: str, record: StageRecord) -> str | None:
        if (reason := self._lost(record.writes, record)) is not None:
            return reason
        self.kept[name] = self._kept(record, record.writes, result=record.result, whole=True)
        return None

    def _kept(self, record: StageRecord, writes: tuple[ObjectUse, ...], **more: Any) -> Kept:
        """Return what is taken over, with the uses of the earlier run's objects as of the new."""
        old, new = self._origin.name, self._ctx.run.name
        reads = tuple(_moved(use, old, new) for use in record.reads)
        moved = record.model_copy(
            update={
                "reads": reads,
                "writes": tuple(_moved(use, old, new) for use in record.writes),
            }
        )
        return Kept(
            moved,
            record.origin or old,
            writes=tuple(_moved(use, old, new) for use in writes),
            sources=tuple(use for use in writes if use.run == old),
            **more,
        )

    def _keep_items(self, planned: PlannedStage, record: StageRecord) -> str:
        """Take over the items of a mapped stage that ended well; return why the rest is run."""
        reason = f"it had {record.state}" if record.state == "failed" else "it had not ended"
        if not planned.mapped or record.writes_left_out or -1 in record.inexact:
            return reason
        items = {at: one for at, one in record.item_results.items() if at not in record.inexact}
        written: dict[int, list[ObjectUse]] = {}
        for use in record.writes:
            if use.item is not None:
                written.setdefault(use.item, []).append(use)
        whole = {at: one for at, one in items.items() if self._lost(written.get(at, ())) is None}
        if whole:
            writes = tuple(use for at in whole for use in written.get(at, ()))
            self.kept[planned.stage.name] = self._kept(record, writes, items=whole)
        return reason

    def _lost(self, writes: Any, record: StageRecord | None = None) -> str | None:
        """Return what is wrong with what was written; None if all of it is as it was."""
        if record is not None and record.writes_left_out:
            return "it wrote more objects than a record names"
        parts = [use for use in writes if use.part is not None]
        if parts:
            return f"it wrote parts of {parts[0].name!r}"
        ours = [use for use in writes if self._writers[_where(use)][1] is use or record is None]
        with Workers(_AT_ONCE, "runstore-resume") as workers:
            for use, wrong in zip(ours, workers.map(self._wrong, ours), strict=True):
                if wrong is not None:
                    return f"{use.name!r}, which it wrote, {wrong}"
        return None

    def _wrong(self, use: ObjectUse) -> str | None:
        """Return what is wrong with an object, as it was read or written; None if nothing is."""
        known = use.ref if use.digest is not None else f"{use.ref} {use.version}"
        if known not in self._looked:
            self._looked[known] = _wrong_with(self._store, use)
        return self._looked[known]

    def _run_what_is_needed(self, order: list[str]) -> None:
        """Run stages whose results are needed and were not kept, and all that depends on those."""
        again = True
        while again:
            again = False
            for name in order:
                planned = self._plan.stages[name]
                if name in self.why or not self.kept[name].whole:
                    continue
                reason = self._result_missing(name)
                for other in planned.needs:
                    if reason is None and other in self.why:
                        reason = f"stage {other!r}, which it depends on, runs again"
                if reason is None:
                    reason = self._touched_by_rerun(self._records[name])
                if reason is not None:
                    del self.kept[name]
                    self.why[name] = reason
                    again = True
            for name, kept in list(self.kept.items()):
                needs = self._plan.stages[name].needs
                if not kept.whole and any(other in self.why for other in needs):
                    del self.kept[name]

    def _touched_by_rerun(self, record: StageRecord) -> str | None:
        for use in reads_that_count(record):
            writer, _ = self._writers.get(_where(use), (record.name, use))
            if writer != record.name and writer in self.why:
                return f"it read {use.name!r}, which stage {writer!r} writes again"
        for use in record.writes:
            writer, _ = self._writers[_where(use)]
            if writer != record.name and writer in self.why:
                return f"{use.name!r}, which it wrote, was replaced by stage {writer!r}"
        return None

    def _result_missing(self, name: str) -> str | None:
        """Return why a stage must run for its result; None if the result is known or not needed."""
        record = self.kept[name].record
        if is_kept(record.result) and not record.inexact:
            return None
        last = list(self._plan.stages)[-1] == name
        users = [
            other.stage.name
            for other in self._plan.stages.values()
            if other.stage.name in self.why and (name in other.passes or other.map_on == name)
        ]
        if not users and not last:
            return None
        to = f"stage {users[0]!r} needs" if users else "the run returns"
        return f"{to} what it returned, which the record does not keep exactly: put() it"


def _wrong_with(store: "ObjectStore", use: ObjectUse) -> str | None:
    place = Place(use.namespace, use.run, use.name)
    view = store.at(namespace=use.namespace, run=use.run)
    try:
        if use.digest is not None:
            if view.ref(use.name, scope=place.scope).digest != use.digest:
                return "was replaced"
        elif use.version is None or store.backend.head(key_of(place)).version != use.version:
            return "was replaced, or has no digest"
        if store.backend.guarantees.mapped:  # other places check what they keep
            for found in _checked(store, place):
                if found.damaged:
                    return "is damaged"
    except ObjectNotFoundError:
        return "is gone"
    except CorruptObjectError:
        return "is damaged"
    return None


def _checked(store: "ObjectStore", place: Place) -> Iterator[Any]:
    shared = place.run is None
    for found in store.verify(place.namespace, place.run, place.name, shared=shared):
        if found.ref == str(place):
            yield found


def copied_over(store: "ObjectStore", kept: Mapping[str, Kept], run: WorkflowRun) -> None:
    """Copy what was written by what is taken over to the new run; the place does it, if it can.

    Raises:
        StorageError: The place failed.
    """
    uses = [use for one in kept.values() for use in one.sources]
    latest = {use.name: use for use in uses}
    copy = partial(_copied, store, run)
    with Workers(_AT_ONCE, "runstore-resume") as workers:
        workers.map(copy, list(latest.values()))


def _copied(store: "ObjectStore", run: WorkflowRun, use: ObjectUse) -> None:
    view = store.at(namespace=use.namespace, run=use.run)
    view.copy(use.name, to_run=run.name)


def _moved(use: ObjectUse, origin: str, run: str) -> ObjectUse:
    """Return the same use, of an object of the run *origin* as of *run*."""
    if use.run != origin:
        return use
    start, _, rest = use.ref.partition("://")
    namespace, _, name = rest.split("/", 2)
    return use.model_copy(update={"ref": f"{start}://{namespace}/{run}/{name}"})


def _where(use: ObjectUse) -> str:
    return use.ref.rpartition("@")[0] if use.digest is not None else use.ref


def _definitions(origin: WorkflowRun) -> dict[str, dict[str, Any]]:
    stages = ((origin.definition or {}).get("spec") or {}).get("stages") or []
    defaults = Stage(name="default", target="builtins:print").model_dump(mode="json")
    return {stage["name"]: _definition({**defaults, **stage}) for stage in stages}


def _definition(stage: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: stage.get(name) for name in _DEFINING}
    options = stage.get("options") or {}
    found["depends_on"] = list(found["depends_on"] or ())
    return {
        **found,
        "map_on": options.get("map_on"),
        "on_item_error": options.get("on_item_error", "fail"),
    }


def _first_difference(before: Mapping[str, str], now: Mapping[str, str]) -> str | None:
    """Return the first part of the code that differs, in words."""
    for name in sorted({*before, *now}, key=_rank):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if name == "python" or name.startswith("library "):
            return f"{name} was {old or 'not used'} and is {new or 'not used'}"
        if old is None:
            return f"its code uses {name}, which it did not use before"
        return f"{name} is not used any more" if new is None else f"{name} has changed"
    return None


def _rank(name: str) -> tuple[int, str]:
    return (0 if name == "python" else 1 if name.startswith("library ") else 2), name

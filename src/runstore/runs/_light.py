"""Records of runs that others execute: orchestrators, which tell runstore little of them.

Such a record is written at the first put of the run. A process of the run adds what its stages
have read and written when it ends, and a hook of the orchestrator says how the run has ended.
Without a hook nobody says so: the run is `running`, and `lost` when nothing was heard of it for
some days, as `runstore.runs.seen_from_here` tells.
"""

import random
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Literal

from runstore.context import MOST_USES, ObjectUse, StageRecord, WorkflowRun, now, short_reason
from runstore.errors import (
    ObjectExistsError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StorageError,
)
from runstore.places import Backend
from runstore.runs._records import find_record, replace_record, write_run

__all__ = ["begin_light", "close_light", "tell_light"]

_PATIENCE = 30.0  # seconds in which others may be first, again and again
_PAUSE = 0.01  # seconds until the second try; later ones wait longer
_UNTOLD = "the run has failed, and nobody said how this stage has ended"


def begin_light(backend: Backend, run: WorkflowRun, stage: StageRecord) -> None:
    """Write the record of a run that an orchestrator executes, unless there is one.

    One that says that the run has ended is taken back if the orchestrator runs it again: if *run*
    has started since, or *stage* is a later attempt. Else a late process of it is at work, and
    nobody would say again that the run has ended.

    Args:
        backend: Where.
        run: The run, ``running``; with ``started_at`` if the orchestrator says when that was.
        stage: The attempt that writes. Its times tell that the run was heard of.

    Raises:
        StorageError: The place failed.
    """
    started = run.started_at
    first = {"started_at": started or now(), "stages": (stage,)}
    try:
        write_run(backend, run.model_copy(update=first), new=True)
    except ObjectExistsError:

        def again(known: WorkflowRun) -> WorkflowRun | None:
            if known.uid != run.uid or known.state not in ("finished", "failed"):
                return None
            tried = [one.attempts for one in known.stages if one.name == stage.name]
            if not _started_since(known, started) and stage.attempts <= max(tried, default=1):
                return None
            stages = tuple(
                one.model_copy(update={"state": "running", "error": None})
                if one.name == stage.name or one.error == _UNTOLD
                else one
                for one in known.stages
            )
            change = {"state": "running", "finished_at": None, "error": None}
            return known.model_copy(update={**change, "stages": _with(stages, [stage])})

        _changed(backend, run.namespace, run.name, again)


def _started_since(known: WorkflowRun, started: datetime | None) -> bool:
    """Return whether a run was started after it had ended."""
    ended = known.finished_at
    return ended is not None and started is not None and _in_utc(started) > _in_utc(ended)


def _in_utc(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def tell_light(
    backend: Backend, namespace: str, name: str, stages: Iterable[StageRecord]
) -> WorkflowRun | None:
    """Add to a record what stages have read and written; return it, None if there is none.

    Raises:
        StorageError: The place failed, or others were first for too long.
    """
    told = tuple(stages)

    def with_stages(known: WorkflowRun) -> WorkflowRun | None:
        stages = _with(known.stages, told)
        if known.state in ("finished", "failed"):
            stages = _ended(stages, known.state)
        changed = known.model_copy(update={"stages": stages})
        return None if changed == known else changed

    return _changed(backend, namespace, name, with_stages)


def close_light(
    backend: Backend,
    namespace: str,
    name: str,
    state: Literal["finished", "failed"],
    error: str | None = None,
) -> WorkflowRun | None:
    """Note how a run has ended; return its record, None if it has none that is of this kind.

    Stages of which nobody said how they ended have ended as the run has. *error* is cut as all
    reasons of records are.

    Raises:
        StorageError: The place failed, or others were first for too long.
    """
    at, reason = now(), None if error is None else short_reason(error)

    def ended(known: WorkflowRun) -> WorkflowRun | None:
        if known.runner is not None:
            return None  # it is executed by runstore, which writes that itself
        stages = _ended(known.stages, state)
        change = {"state": state, "finished_at": at, "error": reason, "stages": stages}
        return known.model_copy(update=change)

    run = _changed(backend, namespace, name, ended)
    if run is not None and run.runner is None and run.state == "finished":
        from runstore.runs._latest import move_latest

        move_latest(backend, run)
    return run


def _changed(
    backend: Backend,
    namespace: str,
    name: str,
    change: Callable[[WorkflowRun], WorkflowRun | None],
) -> WorkflowRun | None:
    """Replace a record by what *change* makes of it, None to leave it; return it as it is then.

    Raises:
        CorruptObjectError: It cannot be read.
        StorageError: The place failed, or others were first for too long.
    """
    until, pause = time.monotonic() + _PATIENCE, _PAUSE
    while True:
        try:
            known, version = find_record(backend, name, namespace)
        except ObjectNotFoundError:
            return None
        new = change(known)
        if new is None:
            return known
        try:
            replace_record(backend, new, version)
        except (PreconditionFailedError, ObjectNotFoundError) as exc:
            if time.monotonic() > until:
                raise StorageError(
                    f"the record of run '{namespace}/{name}' was changed by others again and again "
                    f"for {_PATIENCE:g} s, so it does not tell all",
                    f"{namespace}/{name}",
                ) from exc
        else:
            return new
        time.sleep(pause * random.random())  # noqa: S311 - no secret
        pause = min(2 * pause, 0.5)


def _ended(
    stages: tuple[StageRecord, ...], state: Literal["finished", "failed"]
) -> tuple[StageRecord, ...]:
    """Return the stages of a run that has ended: those that are running have ended likewise."""
    change = {"state": state, "error": _UNTOLD if state == "failed" else None}
    return tuple(one.model_copy(update=change) if one.state == "running" else one for one in stages)


def _with(known: Iterable[StageRecord], told: Iterable[StageRecord]) -> tuple[StageRecord, ...]:
    """Return stages with what is told of them, and those that are told of first."""
    by_name = {stage.name: stage for stage in known}
    for stage in told:
        before = by_name.get(stage.name)
        by_name[stage.name] = stage if before is None else _merged(before, stage)
    return tuple(by_name.values())


def _tells_end(known: StageRecord, told: StageRecord) -> bool:
    """Return whether *told* says how the stage has ended, or goes on, rather than *known*.

    The later attempt does. Of one attempt an end counts more than that it is running; and of the
    items of a mapped stage a failure more than an end that went well.
    """
    if told.attempts != known.attempts:
        return told.attempts > known.attempts
    if told.state == "running":
        return known.state == "running"
    items = known.items is not None or told.items is not None
    return not (items and known.state == "failed" and known.error != _UNTOLD)


def _merged(known: StageRecord, told: StageRecord) -> StageRecord:
    """Return a stage of which two processes, attempts or items tell."""
    reads, more_reads = _united(known.reads, told.reads, _version_read)
    writes, more_writes = _united(known.writes, told.writes, _place)
    later = _tells_end(known, told)
    return known.model_copy(
        update={
            "state": told.state if later else known.state,
            "error": told.error if later else known.error,
            "started_at": min(filter(None, (known.started_at, told.started_at)), default=None),
            "finished_at": max(filter(None, (known.finished_at, told.finished_at)), default=None),
            "attempts": max(known.attempts, told.attempts),
            "items": max(filter(None, (known.items, told.items)), default=None),
            "reads": reads,
            "writes": writes,
            "reads_left_out": known.reads_left_out + more_reads + told.reads_left_out,
            "writes_left_out": known.writes_left_out + more_writes + told.writes_left_out,
        }
    )


def _united(
    known: tuple[ObjectUse, ...],
    told: tuple[ObjectUse, ...],
    key: Callable[[ObjectUse], object],
) -> tuple[tuple[ObjectUse, ...], int]:
    """Return what either names, the newer one of each, and how many more there were."""
    uses, left_out = {key(use): use for use in known}, 0
    for use in told:
        if key(use) in uses or len(uses) < MOST_USES:
            uses[key(use)] = use
        else:
            left_out += 1
    return tuple(uses.values()), left_out


def _place(use: ObjectUse) -> object:
    return use.namespace, use.run, use.name, use.part


def _version_read(use: ObjectUse) -> object:
    return use.ref, use.part, use.version

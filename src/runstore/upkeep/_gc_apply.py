"""Removing what a plan says: of each run the record first, then what is read, then its parts."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

from runstore.context import entered_runs
from runstore.errors import (
    AccessDeniedError,
    RunStoreError,
    StorageError,
)
from runstore.keys import alive_key, record_key, scope_folder
from runstore.places import Backend, prune
from runstore.runs import (
    Marks,
    Removal,
    RunLook,
    delete_logs,
    delete_marks,
    delete_reads,
    distrust,
    forget_index,
    living,
    logged_runs,
    looks,
    marks_of,
    objects_of_run,
    pinned_runs,
    place_time,
    reading_runs,
    restore,
    settle_latest,
)
from runstore.steps import Report, reporting
from runstore.upkeep._gc import GcPlan, GcReport, PlannedRun
from runstore.upkeep._gc_going import Going, begin, go_on, is_ours, listed, listed_again
from runstore.upkeep._gc_known import Known, known_of, readers, unseen_readers
from runstore.upkeep._gc_orphans import remove_orphans
from runstore.workers import Workers

if TYPE_CHECKING:
    from runstore.upkeep._whole_store import WholeStore

__all__ = ["applied", "keys_of"]

_RUNS_AT_ONCE = 100  # whose records go before the first of their objects
_FILES_AT_ONCE = 20_000  # whose keys are in memory
_REQUESTS_AT_ONCE = 32
_CLOCKS_APART = 300.0  # seconds by which the clock of this host may be wrong

T = TypeVar("T")
R = TypeVar("R")


def keys_of(store: "WholeStore", runs: Iterable[PlannedRun]) -> Iterator[str]:
    """List the keys of what runs have stored."""
    for run in runs:
        for entry in objects_of_run(store.backend, run.namespace, run.run):
            yield entry.key


def applied(store: "WholeStore", plan: GcPlan) -> GcReport:
    """Do what `GcPlan.apply` promises."""
    done = Done()
    namespaces = sorted({run.namespace for run in plan.runs} | _namespaces(plan))
    known = known_of(store, plan._known, needed=namespaces)
    try:
        for namespace in namespaces:
            _check_clock(store.backend, namespace)
        with reporting("removing runs", len(plan.runs), "items") as report:
            for namespace, runs in groupby(plan.runs, lambda run: run.namespace):
                for group in _groups(list(runs)):
                    known = _Group(store, namespace, known, done).remove(group, report)
                distrust(store.backend, namespace)  # others may have written it meanwhile
                if not store.backend.guarantees.mapped:
                    deque(looks(store.backend, namespace), 0)  # which mends it
                forget_index(store.backend, namespace)
        remove_orphans(store, plan, known_of(store, known, needed=namespaces), done)
    finally:
        clocks = [alive_key(namespace, None) for namespace in namespaces]
        with suppress(RunStoreError):  # they are harmless
            store.backend.delete_many(clocks, missing_ok=True)
            for namespace in namespaces:
                prune(store.backend, alive_key(namespace, ""))
    return GcReport(tuple(done.runs), done.objects, done.bytes, done.skipped, done.failed)


def _namespaces(plan: GcPlan) -> set[str]:
    return {one.namespace for one in plan.orphans if one.namespace is not None}


def _check_clock(backend: Backend, namespace: str) -> None:
    there = place_time(backend, namespace).timestamp()
    apart = time.time() - there
    if there > 0 and abs(apart) > _CLOCKS_APART:  # some places tell no time
        raise StorageError(
            f"nothing is removed: the clock of this host is {abs(apart) / 60:.0f} minutes "
            f"{'ahead of' if apart > 0 else 'behind'} that of {backend.url}, and how old runs are "
            "is told by both: set the clock",
            backend.url,
        )


@dataclass
class Done:
    """What was removed so far."""

    runs: list[str] = field(default_factory=list)
    objects: int = 0
    bytes: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def _groups(runs: list[PlannedRun]) -> Iterator[list[PlannedRun]]:
    group, files = list[PlannedRun](), 0
    for run in runs:
        if group and (len(group) == _RUNS_AT_ONCE or files + run.objects > _FILES_AT_ONCE):
            yield group
            group, files = [], 0
        group.append(run)
        files += run.objects
    if group:
        yield group


class _Group:
    """Removes some runs of a namespace, all of them step by step together."""

    def __init__(self, store: "WholeStore", namespace: str, known: Known, done: Done) -> None:
        self._store = store
        self._backend = store.backend
        self._namespace = namespace
        self._before = known
        self._done = done
        self._read: dict[str, str] = {}
        self._unseen: str | None = None
        self._marks: dict[str | None, Marks] = {}

    def remove(self, group: list[PlannedRun], report: Report) -> Known:
        """Remove the runs, and return what is known of all by then."""
        backend = self._backend
        known = known_of(self._store, self._before, needed=[self._namespace])
        distrust(backend, self._namespace)  # else the newest runs would be listed from it
        at = place_time(backend, self._namespace).timestamp()
        self._unseen, self._read = unseen_readers(known), readers(known).get(self._namespace, {})
        wanted = self._wanted(group, known)
        self._settle_latest(known, [one.run.run for one in wanted])
        going = self._taken(wanted, at)
        if len(going) < len(wanted):  # some stay after all
            self._settle_latest(known, [one.run.run for one in going])
        _each(backend, partial(listed_again, backend), going)
        failed = _delete(backend, [key for one in going for key in one.keys])
        # A part stays as long as something may be there that leads to it.
        whole = [one for one in going if not (one.late or failed.keys() & one.keys)]
        failed |= _delete(backend, [key for one in whole for key in one.parts])
        ended = list[Going]()
        for one in going:
            error = next((failed[key] for key in (*one.keys, *one.parts) if key in failed), None)
            if error is None:
                ended.append(one)
            else:
                self._done.failed[str(one.run)] = f"not all of it could be removed: {error}"
        self._end(ended)
        report.add(len(group))
        return known

    def _wanted(self, group: list[PlannedRun], known: Known) -> list[Going]:
        """Look at all again, and return the runs that still go."""
        backend, looked = self._backend, known.runs.get(self._namespace, {})
        pinned = pinned_runs(backend, self._namespace)
        ours = {run for namespace, run in entered_runs() if namespace == self._namespace}
        wanted = list[PlannedRun]()
        for run in group:
            look = looked.get(run.run)
            why = self._unseen or ("it is the run of this code" if run.run in ours else None)
            if look is not None and look.removal is not None:
                why = None  # who has pinned it or reads it is seen to later
                run = replace(run, _look=look)
            else:
                why = why or _changed(run, look, pinned, self._read)
            if why is None:
                wanted.append(run)
            else:
                self._done.skipped[str(run)] = why
        found = _each(backend, partial(listed, backend), wanted)
        going = list[Going]()
        for one in found:
            look = looked.get(one.run.run)
            if (look is None or look.removal is None) and one.seen != one.run._seen:
                self._done.skipped[str(one.run)] = _STORED
            else:
                going.append(one)
        return going

    def _taken(self, wanted: list[Going], at: float) -> list[Going]:
        """Begin to remove runs, or go on with it: afterwards they are gone for readers."""
        backend, skipped = self._backend, self._done.skipped
        begun = list[Going]()
        for one, held in zip(
            wanted, _each(backend, partial(begin, backend, at), wanted), strict=True
        ):
            one.held = held
            if held is None:
                skipped[str(one.run)] = _CHANGED
            else:
                begun.append(one)
        # Who pins writes the pin and then looks for the record, so one of the two sees the other.
        self._marks, going = marks_of(backend, self._namespace), list[Going]()
        pinned = frozenset(run for run, marks in self._marks.items() if run and marks.pinned)
        for one in begun:
            assert one.held is not None
            removal = one.held.removal
            if removal.deleting:
                one.versions = None
                going.append(one)
            elif why := self._put_back_for(one, removal, pinned):
                restore(backend, one.held)
                skipped[str(one.run)] = why
            else:
                going.append(one)
        deleting = list[Going]()
        for one, held in zip(going, _each(backend, partial(go_on, backend), going), strict=True):
            one.held = held
            if held is None:
                skipped[str(one.run)] = _TAKEN
            else:
                deleting.append(one)
        return deleting

    def _put_back_for(self, one: Going, removal: Removal, pinned: frozenset[str]) -> str | None:
        """Return why a run of which nothing was removed yet gets its record back, or None."""
        name = one.run.run
        if name in pinned:
            return "it was pinned"
        if name in self._read:
            return f"read by {self._read[name]}, which goes on"
        return self._unseen or (_STORED if one.seen != removal.seen else None)

    def _settle_latest(self, known: Known, gone: list[str]) -> None:
        """Let no run that goes be the newest finished one of its workflow."""
        looked, out = known.runs.get(self._namespace, {}), set(gone)
        for workflow in {one for run in gone if (one := _workflow(looked.get(run))) is not None}:
            stay = [
                (look.started, look.name)
                for look in looked.values()
                if look.workflow == workflow and look.state == "finished" and look.name not in out
            ]
            newest = max(stay) if stay else None
            settle_latest(
                self._backend,
                self._namespace,
                workflow,
                out,
                None if newest is None else (newest[1], newest[0]),
            )

    def _end(self, ended: list[Going]) -> None:
        """Remove what is said of the runs, and their records at last."""
        backend, namespace, done = self._backend, self._namespace, self._done
        if not ended:
            return
        names = {one.run.run for one in ended}
        delete_marks(backend, namespace, sorted(names & self._marks.keys()))
        for name in sorted(names & set(logged_runs(backend, namespace))):
            delete_logs(backend, namespace, name)
        for name in sorted(names & set(reading_runs(backend, namespace))):
            delete_reads(backend, namespace, name)
        whole = list[Going]()
        for one, ours in zip(ended, _each(backend, partial(is_ours, backend), ended), strict=True):
            if ours:
                whole.append(one)
            else:
                done.skipped[str(one.run)] = _TAKEN
        last = [record_key(namespace, one.run.run) for one in whole]
        beats = [alive_key(namespace, one.run.run) for one in whole]
        for error in _delete(backend, [*beats, *last]).values():
            raise error  # the next plan has them
        for one in whole:
            prune(backend, scope_folder(namespace, one.run.run))
            if one.late:
                done.skipped[str(one.run)] = _LATE.format(
                    n="1 file was" if one.late == 1 else f"{one.late:,} files were"
                )
            else:
                done.runs.append(str(one.run))
            done.objects += len(one.keys) + (0 if one.late else len(one.parts))
            done.bytes += one.freed
        prune(backend, record_key(namespace, ""))


_CHANGED = "its record was changed since the plan"
_STORED = "something was stored or deleted in it since the plan"
_TAKEN = "another clean-up removes it"
_LATE = "{n} put into it while it was removed: this stays, as a run without a record"


def _changed(
    run: PlannedRun, look: RunLook | None, pinned: frozenset[str], read: dict[str, str]
) -> str | None:
    """Return why a run stays after all, or None."""
    if run.run in pinned:
        return "it was pinned"
    if look is not None and living(look.state):
        return f"its record says that it is {look.state}"
    if run.run in read:
        return f"read by {read[run.run]}, which goes on"
    if look is None:
        return "it is gone already" if run._look.is_recorded else None
    if (look.version, look.mark) != (run._look.version, run._look.mark):
        return _CHANGED
    return None


def _workflow(look: RunLook | None) -> str | None:
    if look is None:
        return None
    if look.removal is None:
        return look.workflow
    found = (look.removal.record or {}).get("workflow")
    return found if isinstance(found, str) else None


def _delete(backend: Backend, keys: list[str]) -> dict[str, RunStoreError]:
    """Remove files; return those that may not be removed, and raise what else goes wrong."""
    if not keys:
        return {}
    failed = backend.delete_many(keys, missing_ok=True)
    for error in failed.values():
        if not isinstance(error, AccessDeniedError):
            raise error
    return failed


def _each(backend: Backend, function: Callable[[T], R], items: list[T]) -> list[R]:
    if backend.guarantees.mapped or len(items) < 2:
        return [function(item) for item in items]
    with Workers(min(_REQUESTS_AT_ONCE, len(items)), "runstore-gc") as workers:
        return workers.map(function, items)

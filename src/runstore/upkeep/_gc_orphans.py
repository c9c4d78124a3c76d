"""Removing files that are of nothing any more."""

import time
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING

from runstore.errors import AccessDeniedError, MissingExtraError
from runstore.objects import PARTS_AGE, unnamed_parts
from runstore.places import Backend
from runstore.runs import (
    RunLook,
    delete_logs,
    delete_marks,
    delete_reads,
    living,
    objects_of_run,
    pinned_runs,
)
from runstore.upkeep._gc import GcPlan, Orphans
from runstore.upkeep._gc_known import Known, keeps_shared_parts
from runstore.upkeep._gc_plan import LEFTOVERS_AGE

if TYPE_CHECKING:
    from runstore.upkeep._gc_apply import Done
    from runstore.upkeep._whole_store import WholeStore

__all__ = ["remove_orphans"]


def remove_orphans(store: "WholeStore", plan: GcPlan, known: Known, done: "Done") -> None:
    """Remove the files that are of nothing; those of runs that were pinned meanwhile stay."""
    found = [one for one in plan.orphans if one.namespace is not None]
    pinned = {one.namespace: frozenset[str]() for one in found}
    for namespace in pinned:
        assert namespace is not None
        pinned[namespace] = pinned_runs(store.backend, namespace)
    for (namespace, run, kind), ones in groupby(
        found, lambda one: (one.namespace or "", one.run, one.kind)
    ):
        look = known.runs.get(namespace, {}).get(run or "")
        if kind in ("marks", "logs"):  # also a pin: of a run that is gone it keeps nothing
            _remove_traces(store.backend, namespace, run, look, done)
        elif run in pinned[namespace]:
            continue
        elif look is None or not (living(look.state) or look.removal is not None):
            _remove_parts(store, plan, namespace, run, list(ones), known, done)
    if len(found) < len(plan.orphans):
        age = LEFTOVERS_AGE + time.time() - plan._request.now
        with suppress(MissingExtraError):  # of which the plan has warned
            done.objects += store.backend.sweep(age)
        done.bytes += sum(one.bytes for one in plan.orphans if one.namespace is None)


def _remove_traces(
    backend: Backend, namespace: str, run: str | None, look: RunLook | None, done: "Done"
) -> None:
    assert run is not None
    if look is None and next(objects_of_run(backend, namespace, run), None) is None:
        delete_marks(backend, namespace, [run])
        delete_logs(backend, namespace, run)
        delete_reads(backend, namespace, run)
        done.objects += 1


def _remove_parts(
    store: "WholeStore",
    plan: GcPlan,
    namespace: str,
    run: str | None,
    orphans: list[Orphans],
    known: Known,
    done: "Done",
) -> None:
    """Remove the parts that no seal names, of the objects that the plan says."""
    wanted, latest = {one.ref for one in orphans}, plan._request.now - PARTS_AGE
    for place, entries in unnamed_parts(store._objects, namespace, run, latest):
        if str(place) not in wanted or (
            run is None and keeps_shared_parts(known, namespace, entries)
        ):
            continue
        failed = store.backend.delete_many([entry.key for entry in entries], missing_ok=True)
        for error in failed.values():
            if not isinstance(error, AccessDeniedError):
                raise error
            done.failed[str(place)] = f"not all parts could be removed: {error}"
        if not failed:
            done.objects += len(entries)
            done.bytes += sum(entry.size for entry in entries)

"""What differs between two runs: input, config, code, stages, libraries, and their objects."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from runstore.context import WorkflowRun
from runstore.errors import ObjectNotFoundError
from runstore.objects import ObjectInfo
from runstore.runs import read_run
from runstore.steps import reporting
from runstore.store._changes import changes
from runstore.store._diff import same_content
from runstore.store._differences import ObjectChange, RunDiff
from runstore.workers import Workers

if TYPE_CHECKING:
    from runstore.store import ObjectStore

__all__ = ["diff_runs"]

_AT_ONCE_NEAR, _AT_ONCE_FAR = 4, 32  # pairs of objects that are compared at a time
_SUBMITTED = 256

T = TypeVar("T")


def diff_runs(store: "ObjectStore", one: tuple[str, str], other: tuple[str, str]) -> RunDiff:
    """Compare two runs, each a namespace and a name; see `ObjectStore.diff`."""
    records = _record(store, *one), _record(store, *other)
    objects, same = _objects(store, one, other)
    sides = (one, records[0], "one"), (other, records[1], "other")
    for (namespace, name), record, side in sides:
        if record is None and not same and not any(getattr(each, side) for each in objects):
            read_run(store.backend, name, namespace)  # raises: nothing is there
    told = [_told(record) for record in records]
    parts: dict[str, Any] = {part: changes(told[0][part], told[1][part]) for part in _PARTS}
    return RunDiff(*records, **parts, objects=objects, same=same)


_PARTS = ("input", "config", "code", "stages", "versions")


def _record(store: "ObjectStore", namespace: str, name: str) -> WorkflowRun | None:
    try:
        return read_run(store.backend, name, namespace)
    except ObjectNotFoundError:
        return None


def _told(run: WorkflowRun | None) -> dict[str, dict[str, Any]]:
    """Return what of a record is compared."""
    if run is None:
        return {part: {} for part in _PARTS}
    record = run.model_dump()
    stages = record["stages"]
    code = {
        stage["name"]: {key: stage.get(key) for key in ("target", "source")} for stage in stages
    }
    went = {
        stage["name"]: {key: stage[key] for key in ("state", "items", "failed_items", "error")}
        for stage in stages
    }
    libraries = dict(record.get("versions") or {})
    return {
        "input": record.get("input") or {},
        "config": record.get("config") or {},
        "code": {"commit": record.get("commit"), "stages": code},
        "stages": {"workflow": run.workflow, "state": run.state, "stages": went},
        "versions": {**libraries, "executor": record.get("executor")},
    }


def _objects(
    store: "ObjectStore", one: tuple[str, str], other: tuple[str, str]
) -> tuple[tuple[ObjectChange, ...], int]:
    objects, found, same = store._objects, [], 0
    near = objects.backend.guarantees.mapped
    views = [store.at(namespace=namespace, run=run) for namespace, run in (one, other)]
    pairs = _merged(views[0].iter(), views[1].iter())

    def look(pair: tuple[ObjectInfo | None, ObjectInfo | None]) -> ObjectChange | None:
        sides = [None if side is None else _detailed(store, side) for side in pair]
        left, right = sides
        if left is not None and right is not None:
            if same_content(objects, left, right):
                return None
            return ObjectChange(left.name, "changed", left, right)
        there = left or right
        if there is None:
            return None  # deleted while we look
        return ObjectChange(there.name, "removed" if right is None else "added", left, right)

    what = " and ".join(f"{namespace}/{run}" for namespace, run in (one, other))
    at_once = _AT_ONCE_NEAR if near else _AT_ONCE_FAR
    with reporting(f"comparing {what}") as report, Workers(at_once, "runstore-diff") as workers:
        while some := list(islice(pairs, _SUBMITTED)):
            outcomes = workers.map(look, some)
            found += [change for change in outcomes if change is not None]
            same += sum(change is None for change in outcomes)
            report.add(len(some))
    return tuple(found), same


def _detailed(store: "ObjectStore", info: ObjectInfo) -> ObjectInfo | None:
    try:
        return store._objects.stat(info.place)
    except ObjectNotFoundError:
        return None


def _merged(
    one: Iterator[ObjectInfo], other: Iterator[ObjectInfo]
) -> Iterator[tuple[ObjectInfo | None, ObjectInfo | None]]:
    """Yield the objects of two runs by name, those of one name together."""
    left, right = next(one, None), next(other, None)
    while left is not None or right is not None:
        first = right is None or (left is not None and left.name <= right.name)
        second = left is None or (right is not None and right.name <= left.name)
        yield left if first else None, right if second else None
        left = next(one, None) if first else left
        right = next(other, None) if second else right

"""Runs and objects in pages, as a person looks through them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from runstore.errors import CorruptObjectError, ObjectNotFoundError, RunStoreError
from runstore.keys import SHARED, Place, scope_folder, scope_of
from runstore.places import folders_but
from runstore.runs import done_now, newest_first, newest_runs, recorded_runs

if TYPE_CHECKING:
    from runstore.context import WorkflowRun
    from runstore.runs import Later, RunLook
    from runstore.store import ObjectInfo, ObjectStore

__all__ = [
    "Found",
    "NamespaceInfo",
    "Page",
    "latest_run",
    "namespaces",
    "objects_page",
    "runs_page",
    "searched",
    "unrecorded",
    "used",
]

T = TypeVar("T")

_RUNS = 50  # of a page
_OBJECTS = 100
_FOUND = 40  # of each kind that a search shows
_RUNS_SEARCHED = 200  # newest runs of a namespace whose objects are searched


@dataclass(frozen=True)
class NamespaceInfo:
    """A namespace: how many runs have a record, the newest run; or why it cannot be read."""

    name: str
    runs: int = 0
    newest: "WorkflowRun | None" = None
    error: str = ""


@dataclass(frozen=True)
class Page(Generic[T]):
    """A page of a list, from 1, and whether there is another one."""

    items: list[T]
    page: int
    more: bool


@dataclass(frozen=True)
class Found:
    """What a search has found; each at most some dozens, and whether there were more."""

    namespaces: list[str]
    runs: list[tuple[str, str]]
    objects: list[Place]
    more: bool


def namespaces(store: "ObjectStore") -> list[NamespaceInfo]:
    """Describe every namespace; one that cannot be read is described by the reason.

    Raises:
        StorageError: The place failed.
    """
    return [_namespace(store, name) for name in store.namespaces()]


def _namespace(store: "ObjectStore", name: str) -> NamespaceInfo:
    try:
        runs = recorded_runs(store.backend, name)
        return NamespaceInfo(name, len(runs), _newest(store, name, runs))
    except RunStoreError as exc:
        return NamespaceInfo(name, error=str(exc))


_NAMED = re.compile(r"-(\d{8}T\d{6}\.\d{3})Z-[0-9a-f]{8}$")


def _newest(store: "ObjectStore", namespace: str, names: list[str]) -> "WorkflowRun | None":
    """Return the newest run of *names*; by the times in them, if each has one."""
    starts = [(found[1], name) for name in names if (found := _NAMED.search(name)) is not None]
    if starts and len(starts) == len(names):
        try:
            return store.read_run(max(starts)[1], namespace=namespace)
        except (CorruptObjectError, ObjectNotFoundError):
            pass
    return next(newest_first(store.backend, namespace, at_once=2), None) if names else None


def runs_page(
    store: "ObjectStore",
    namespace: str,
    *,
    text: str = "",
    state: str = "",
    workflow: str = "",
    page: int = 1,
    later: "Later" = done_now,
) -> "Page[WorkflowRun]":
    """Return a page of the runs of a namespace, newest first.

    Args:
        store: The store.
        namespace: Whose runs.
        text: Only runs whose name, workflow or source contain it, in any case.
        state, workflow: Only runs of this state, and of this workflow; empty for all.
        page: Which page, from 1.
        later: Called with what writes the index of the runs again, which may take many requests.

    Raises:
        InvalidNameError: *namespace* cannot be one.
        StorageError: The place failed, or refused every record.
    """
    wanted = text.casefold()

    def fits(run: "WorkflowRun | RunLook") -> bool:
        if (state and run.state != state) or (workflow and run.workflow != workflow):
            return False
        return not text or wanted in f"{run.name}\n{run.workflow}\n{run.source}".casefold()

    found = newest_first(
        *(store.backend, namespace),
        at_once=_RUNS + 1,
        fits=fits if text or state or workflow else None,
        skip=(page - 1) * _RUNS,
        later=later,
    )
    some = list(islice(found, _RUNS + 1))
    found.close()  # now, so that *later* is called
    return Page(some[:_RUNS], page, len(some) > _RUNS)


def latest_run(store: "ObjectStore", namespace: str) -> str:
    """Return the name of the run that started last, of those with a record.

    Raises:
        InvalidNameError: *namespace* cannot be one.
        ObjectNotFoundError: No run of it has a record.
        StorageError: The place failed.
    """
    runs = newest_runs(store.backend, namespace, 1)
    if not runs:
        raise ObjectNotFoundError(
            f"no run with a record in namespace {namespace!r} ({store.url}), so none is the latest",
            namespace,
        )
    return runs[0].name


def unrecorded(store: "ObjectStore", namespace: str, *, text: str = "") -> Page[str]:
    """Return runs that have objects and no record, as those of `run_context`, from the last name.

    Args:
        store: The store.
        namespace: Whose runs.
        text: Only runs whose name contains it, in any case.

    Raises:
        InvalidNameError: *namespace* cannot be one.
        StorageError: The place failed.
    """
    recorded, wanted = recorded_runs(store.backend, namespace), text.casefold()
    above = scope_folder(namespace, None).removesuffix(f"{SHARED}/")
    folders = folders_but(store.backend, above, _Folders(recorded))
    every = filter(None, (scope_of(folder.rstrip("/")) for folder in folders))
    found = sorted((name for name in every if wanted in name.casefold()), reverse=True)
    return Page(found[:_RUNS], 1, len(found) > _RUNS)


class _Folders:
    """The folders of runs, so that nobody has to look whether there is anything in them."""

    def __init__(self, runs: list[str]) -> None:
        self._runs = frozenset(runs)

    def __contains__(self, folder: object) -> bool:
        return scope_of(str(folder).rstrip("/")) in self._runs


def objects_page(
    store: "ObjectStore", namespace: str, run: str | None, *, text: str = "", page: int = 1
) -> "Page[ObjectInfo]":
    """Return a page of the objects of a run, or without one of those that all runs share.

    What each object says about itself is read where that costs no request.

    Args:
        store: The store.
        namespace, run: Whose objects.
        text: Only objects whose name contains it, in any case.
        page: Which page, from 1.

    Raises:
        InvalidNameError: *namespace* or *run* cannot be one.
        StorageError: The place failed.
    """
    view = store.at(namespace=namespace, run=run)
    scope: Any = "run" if run is not None else "namespace"
    start, wanted = (page - 1) * _OBJECTS, text.casefold()
    listed = (one for one in view.iter(scope=scope) if wanted in one.name.casefold())
    found = list(islice(listed, start, start + _OBJECTS + 1))
    shown = found[:_OBJECTS]
    if store.backend.guarantees.mapped:
        shown = [_described(view, one, scope) for one in shown]
    return Page(shown, page, len(found) > _OBJECTS)


def _described(view: Any, info: "ObjectInfo", scope: Any) -> "ObjectInfo":
    try:
        found: ObjectInfo = view.stat(info.name, scope=scope)
    except RunStoreError:  # it is damaged or gone: its own page says so
        return info
    return found


def used(run: "WorkflowRun", which: str) -> Iterator[Any]:
    """Return what the stages of a run have read or written, as far as its record tells.

    Args:
        run: The record.
        which: ``reads`` or ``writes``.
    """
    for stage in run.stages:
        yield from stage.reads if which == "reads" else stage.writes


def searched(store: "ObjectStore", text: str) -> Found:
    """Find namespaces, runs and objects whose names contain *text*, in any case.

    Objects are those of the newest runs of each namespace, and those that its runs share. Of runs
    without a record, objects are found where that costs no request.

    Raises:
        StorageError: The place failed.
    """
    wanted = text.casefold()
    names = store.namespaces()
    runs: list[tuple[str, str]] = []
    objects: dict[Place, None] = {}
    for namespace in names:
        recorded = recorded_runs(store.backend, namespace)
        runs += [(namespace, run) for run in reversed(recorded) if wanted in run.casefold()]
        bare = unrecorded(store, namespace, text=text)
        runs += [(namespace, run) for run in bare.items]
        for place in _places(store, namespace):
            if wanted in place.name.casefold():
                objects[place] = None
            if len(objects) > _FOUND:
                break
    matching = [name for name in names if wanted in name.casefold()]
    more = max(len(matching), len(runs), len(objects)) > _FOUND
    return Found(matching[:_FOUND], runs[:_FOUND], list(objects)[:_FOUND], more)


def _places(store: "ObjectStore", namespace: str) -> Iterable[Place]:
    """Return where objects are: shared ones, then those of the newest runs."""
    shared = store.at(namespace=namespace).iter(scope="namespace")
    yield from (info.place for info in shared)
    mapped = store.backend.guarantees.mapped
    for name in unrecorded(store, namespace).items if mapped else ():
        yield from (one.place for one in store.at(namespace=namespace, run=name).iter())
    for run in newest_runs(store.backend, namespace, _RUNS_SEARCHED):
        if mapped:
            yield from (one.place for one in store.at(namespace=namespace, run=run.name).iter())
            continue
        for use in used(run, "writes"):
            if use.part is None:
                yield Place(use.namespace, use.run, use.name)

"""Namespaces, runs and their objects, as the commands list them."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from runstore.cli._output import say
from runstore.cli._refs import Ref
from runstore.errors import AccessDeniedError, ObjectNotFoundError
from runstore.keys import SHARED

if TYPE_CHECKING:
    from runstore.context import WorkflowRun
    from runstore.store import ObjectInfo, ObjectStore

T = TypeVar("T")

__all__ = [
    "each_readable",
    "folder_is_there",
    "must_be_there",
    "objects_in",
    "objects_of",
    "run_names",
    "totals",
]


def run_names(store: "ObjectStore", namespace: str) -> "dict[str, WorkflowRun | None]":
    """Return the runs with a record, newest first, then those that only have objects."""
    names: dict[str, WorkflowRun | None] = {run.name: run for run in store.runs(namespace)}
    for name in store.runs_with_objects(namespace):
        names.setdefault(name, None)
    return names


def each_readable(names: Iterable[str], look: Callable[[str], T]) -> Iterator[tuple[str, T]]:
    """Return each name with the result of *look*; a name that is denied is left out with a warning.

    Raises:
        AccessDeniedError: All of them are denied.
    """
    denied: list[AccessDeniedError] = []
    found = 0
    for name in names:
        try:
            seen = look(name)
        except AccessDeniedError as exc:
            denied.append(exc)
            continue
        found += 1
        yield name, seen
    if denied and not found:
        raise denied[0]
    for error in denied:
        say(f"warning: left out: {error}")


def folder_is_there(url: str) -> bool:
    """Return whether the folder of a store is there; True for a store that is in none."""
    return not url.startswith("file://") or Path(url.removeprefix("file://")).is_dir()


def must_be_there(store: "ObjectStore", at: Ref) -> None:
    """Raise ObjectNotFoundError if there is no such namespace, or no such run in it."""
    there = store.namespaces()
    if at.namespace not in there:
        known = f"; there is {', '.join(map(repr, there[:5]))}" if there else ""
        raise ObjectNotFoundError(f"no namespace {at.namespace!r} in {store.url}{known}", str(at))
    if at.only_run is not None and at.only_run not in run_names(store, at.namespace):
        raise ObjectNotFoundError(
            f"no run {at.only_run!r} in namespace {at.namespace!r} ({store.url}): `runstore ls "
            f"{at.namespace}` lists its runs",
            str(at),
        )


def objects_of(store: "ObjectStore", namespace: str, run: str | None) -> "list[ObjectInfo]":
    """List the objects of a run, or without a run those that all runs share."""
    scope = Ref(namespace, run or SHARED)
    return scope.view(store).list(scope=scope.scope)


def objects_in(store: "ObjectStore", namespace: str) -> "Iterable[ObjectInfo]":
    """Return every object of a namespace."""
    for run in [*store.runs_with_objects(namespace), None]:
        yield from objects_of(store, namespace, run)


def totals(infos: "Iterable[ObjectInfo]") -> dict[str, int]:
    """Return the number of objects and of their bytes."""
    sizes = [info.size for info in infos]
    return {"objects": len(sizes), "size": sum(sizes)}

"""Namespaces, runs and their objects, as the commands list them."""

from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from runstore.arguments import in_shell
from runstore.cli._output import say
from runstore.cli._refs import Ref, has_files
from runstore.errors import AccessDeniedError, ObjectNotFoundError
from runstore.keys import PARTS, SHARED, name_of, scope_folder, scope_of

if TYPE_CHECKING:
    from runstore.context import WorkflowRun
    from runstore.store import ObjectInfo, ObjectStore

T = TypeVar("T")

__all__ = [
    "all_run_names",
    "each_readable",
    "folder_is_there",
    "must_be_there",
    "newest",
    "run_names",
    "sizes_of",
    "stored_in",
    "stored_of",
    "totals",
    "with_tag",
]


def run_names(
    store: "ObjectStore", namespace: str, stored: Container[str | None]
) -> "dict[str, WorkflowRun | None]":
    """Return the runs with a record, newest first, then those that only have files.

    Args:
        store: Where they are.
        namespace: Theirs.
        stored: The runs that are known to have objects. Of others without a record it is looked
            whether there is anything: some servers keep empty folders for a while.
    """
    names: dict[str, WorkflowRun | None] = {run.name: run for run in store.runs(namespace)}
    for name in store.runs_with_objects(namespace):
        if name in names or name in stored or has_files(store, namespace, name):
            names.setdefault(name, None)
    return names


def newest(store: "ObjectStore", namespace: str | None, most: int) -> "list[WorkflowRun]":
    """Return the newest runs of a namespace, or of all; few records of others are read."""
    from runstore.runs import newest_runs, start_of

    if namespace is not None:
        return newest_runs(store.backend, namespace, most)
    each = each_readable(store.namespaces(), lambda one: newest_runs(store.backend, one, most))
    return sorted((run for _, runs in each for run in runs), key=start_of, reverse=True)[:most]


def with_tag(store: "ObjectStore", namespace: str | None, tag: str) -> "list[WorkflowRun]":
    """Return the runs of a namespace, or of all, that have a tag, newest first."""
    from runstore.runs import start_of, tagged_runs

    if namespace is not None:
        return tagged_runs(store.backend, namespace, tag)
    each = each_readable(store.namespaces(), lambda one: tagged_runs(store.backend, one, tag))
    return sorted((run for _, runs in each for run in runs), key=start_of, reverse=True)


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
    if at.only_run is None or next(at.view(store).iter(), None) is not None:
        return
    from runstore.runs import recorded_runs

    if at.only_run not in recorded_runs(store.backend, at.namespace):
        raise ObjectNotFoundError(
            f"no run {at.only_run!r} in namespace {at.namespace!r} ({store.url}): `runstore ls "
            f"{in_shell(at.namespace)}` lists its runs",
            str(at),
        )


def sizes_of(
    store: "ObjectStore", namespace: str, run: str | None, prefix: str = ""
) -> "tuple[list[ObjectInfo], dict[str, int]]":
    """List the objects of a scope with the sizes of all that is stored for them, parts included.

    Returns:
        The objects, and how many bytes of parts there are by the name of an object that is not
        sealed so far.
    """
    from runstore.store import objects_and_parts, with_parts

    parts: dict[str, int] = {}
    infos = list(with_parts(objects_and_parts(store, namespace, run, parts, prefix), parts))
    start = len(scope_folder(namespace, run)) + len(PARTS) + 1
    alone = {folder[start:-1]: size for folder, size in parts.items()}
    named = {name_of(key) or key: size for key, size in alone.items()}  # a long name is not known
    return infos, {name: size for name, size in named.items() if name.startswith(prefix)}


def stored_of(store: "ObjectStore", namespace: str, run: str | None) -> dict[str, int]:
    """Return how many objects a scope has, and how many bytes are stored, parts included."""
    infos, alone = sizes_of(store, namespace, run)
    total = totals(infos)
    return total | {"size": total["size"] + sum(alone.values())}


def stored_in(store: "ObjectStore", namespace: str) -> dict[str | None, dict[str, int]]:
    """Return what `stored_of` does for each run of a namespace; None for what all runs share."""
    from runstore.store import every_object

    found: dict[str | None, dict[str, int]] = {}
    parts: dict[str, int] = {}
    for info in every_object(store, namespace, parts):
        sums = found.setdefault(info.run, {"objects": 0, "size": 0})
        sums["objects"] += 1
        sums["size"] += info.size
    for folder, size in parts.items():
        run = folder.split("/")[1]
        sums = found.setdefault(None if run == SHARED else scope_of(run), {"objects": 0, "size": 0})
        sums["size"] += size
    return found


def all_run_names(store: "ObjectStore", namespace: str) -> tuple[set[str], int]:
    """Return the names of runs, with a record or with objects, and how many objects they share."""
    from runstore.runs import recorded_runs

    found = stored_in(store, namespace)
    names = {run for run in found if run is not None}
    shared = found[None]["objects"] if None in found else 0
    return names.union(recorded_runs(store.backend, namespace)), shared


def totals(infos: "Iterable[ObjectInfo]") -> dict[str, int]:
    """Return the number of objects and of their bytes."""
    sizes = [info.size for info in infos]
    return {"objects": len(sizes), "size": sum(sizes)}

"""The objects of a run, of all runs of a namespace, or of a whole store, by one listing."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from runstore.keys import (
    PARTS,
    SHARED,
    Place,
    extension_of,
    is_shortened,
    name_of,
    parts_folder,
    scope_folder,
    scope_of,
)
from runstore.objects import ObjectInfo, describe
from runstore.places import Entry, list_with_parts

if TYPE_CHECKING:
    from runstore.upkeep._whole_store import WholeStore

__all__ = ["every_object", "objects_and_parts", "with_parts"]


def every_object(
    store: "WholeStore", namespace: str | None = None, parts: dict[str, int] | None = None
) -> Iterator[ObjectInfo]:
    """Describe every object of a namespace, or of all, as the place lists them.

    The place is asked once for a thousand keys, however many runs they are of.

    Args:
        store: The store.
        namespace: Only of this one.
        parts: Gets how many bytes are in each folder of parts; for `with_parts`. Only for one
            namespace.

    Raises:
        InvalidNameError: *namespace* cannot be one.
        StorageError: The place failed.
    """
    folder = "" if namespace is None else scope_folder(namespace, None).removesuffix(f"{SHARED}/")
    yield from _below(store, folder, parts)


def objects_and_parts(
    store: "WholeStore", namespace: str, run: str | None, parts: dict[str, int], prefix: str = ""
) -> list[ObjectInfo]:
    """Describe the objects of a scope that begin with *prefix*, sorted by name.

    Arguments and errors are those of `every_object`. With a prefix, which a place looks for
    itself, parts are listed by a call of their own.
    """
    folder = scope_folder(namespace, run)
    if prefix:
        found = store._objects.list(namespace, run, prefix)
        _add_up(store._objects.backend.list(f"{folder}{_PARTS}"), parts)
    else:
        found = _below(store, folder, parts)
    return sorted(found, key=lambda info: info.name)


def with_parts(infos: Iterable[ObjectInfo], parts: dict[str, int]) -> Iterator[ObjectInfo]:
    """Yield descriptions whose sizes are those of all that is stored for an object.

    The folders of parts that belong to an object are removed from *parts*: what is left has no
    seal so far.
    """
    for info in infos:
        more = parts.pop(parts_folder(info.place), 0) if parts else 0
        yield replace(info, size=info.size + more) if more else info


def _below(store: "WholeStore", folder: str, parts: dict[str, int] | None) -> Iterator[ObjectInfo]:
    objects = store._objects
    backend = objects.backend
    for entry in backend.list(folder) if parts is None else list_with_parts(backend, folder):
        first, _, rest = entry.key.partition("/")
        second, slash, below = rest.partition("/")
        scope = _scope_at(first, second) if slash else None
        if scope is None:
            continue  # a record of a run, or another program's
        if below.startswith(_PARTS):
            assert parts is not None
            _add_up([entry], parts)
        elif is_shortened(below):
            yield from objects.shortened(entry, *scope, "")
        elif (name := name_of(below)) is not None:
            yield describe(Place(*scope, name), entry, extension_of(name))


def _add_up(entries: Iterable[Entry], parts: dict[str, int]) -> None:
    for entry in entries:
        folder = f"{entry.key.rpartition('/')[0]}/"
        parts[folder] = parts.get(folder, 0) + entry.size


_PARTS = f"{PARTS}/"


@lru_cache(maxsize=64)
def _scope_at(first: str, second: str) -> tuple[str, str | None] | None:
    """Return namespace and run, None for the namespace scope, of two folders; None if of none."""
    namespace = scope_of(first)
    run = None if second == SHARED else scope_of(second)
    if namespace is None or (run is None and second != SHARED):
        return None
    return namespace, run

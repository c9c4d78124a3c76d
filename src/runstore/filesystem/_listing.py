"""What is at a path and below it: objects as files; namespaces, runs and prefixes as folders."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from runstore.errors import ObjectNotFoundError
from runstore.filesystem._paths import Location, located, path_of
from runstore.keys import SHARED, Place, extension_of, key_of, scope_folder, scope_of
from runstore.places import Entry
from runstore.store import ObjectStore, every_object

__all__ = ["Info", "children", "file_info", "folder_info", "has_folder", "objects_below", "stat"]

Info = dict[str, Any]


def folder_info(path: str) -> Info:
    """Describe a folder as fsspec does."""
    return {"name": path, "size": 0, "type": "directory"}


def file_info(place: Place, entry: Entry) -> Info:
    """Describe an object as fsspec does.

    ``version`` changes with every write, also where size and time do not.
    """
    return _info(place, entry.size, entry.modified, entry.version)


def _info(place: Place, size: int, modified: datetime, version: str | None) -> Info:
    return {
        "name": path_of(place),
        "size": size,
        "type": "file",
        "mtime": modified.timestamp(),
        "version": version,
        "format": extension_of(place.name),
    }


def stat(store: ObjectStore, place: Place) -> Info | None:
    """Describe the object of *place*, or return None if there is none."""
    try:
        return file_info(place, store.backend.head(key_of(place)))
    except ObjectNotFoundError:
        return None


def has_folder(store: ObjectStore, where: Location) -> bool:
    """Return whether anything lies below a path; the root is always there."""
    if where.namespace is None:
        return True
    return next(objects_below(store, where), None) is not None


def children(store: ObjectStore, path: str) -> list[Info]:
    """Describe what lies directly below *path*, sorted by name; nothing if nothing does."""
    where = located(path)
    if where.namespace is None:
        return [folder_info(name) for name in store.namespaces()]
    if where.scope is None:
        return [folder_info(f"{path}/{name}") for name in _scopes(store, where.namespace)]
    found: dict[tuple[str, str], Info] = {}
    for info in objects_below(store, where):
        first, slash, _ = info["name"][len(path) + 1 :].partition("/")
        one = folder_info(f"{path}/{first}") if slash else info
        found[one["name"], one["type"]] = one
    return [found[key] for key in sorted(found)]


def objects_below(store: ObjectStore, where: Location) -> Iterator[Info]:
    """Describe every object below a path, at any depth, in no order."""
    if where.scope is None:
        found = every_object(store, where.namespace)
    else:
        objects = store.at(namespace=where.namespace, run=where.run)._target().objects
        prefix = f"{where.name}/" if where.name else ""
        found = objects.list(str(where.namespace), where.run, prefix)
    for info in found:
        yield _info(info.place, info.size, info.created_at, info.version)


def _scopes(store: ObjectStore, namespace: str) -> list[str]:
    """Return the runs of a namespace that hold objects, and ``_shared`` if that does, sorted."""
    shared = f"{SHARED}/"
    folders = store.backend.folders(scope_folder(namespace, None).removesuffix(shared))
    runs = filter(None, (scope_of(folder.rstrip("/")) for folder in folders))
    return sorted([*runs, *([SHARED] if shared in folders else [])])

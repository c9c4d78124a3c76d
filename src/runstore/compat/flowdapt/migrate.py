"""Read the artifacts that Flowdapt has stored, and store them as they are here."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from runstore.compat.flowdapt.compute.artifacts.interface import Artifact, is_name
from runstore.errors import CorruptObjectError, InvalidRequestError
from runstore.store import ObjectStore

__all__ = ["Migrated", "migrate"]

_METADATA = ".artifact.json"


class Migrated(NamedTuple):
    """One artifact of Flowdapt.

    Attributes:
        namespace, name: Where it was, and is now.
        files: How many files it has.
        nbytes: How large they are together.
        skipped: Why it was not stored: one of that name is there, or it is unreadable.
    """

    namespace: str
    name: str
    files: int = 0
    nbytes: int = 0
    skipped: str | None = None


def migrate(path: str | Path, store: ObjectStore) -> Iterator[Migrated]:
    """Store the artifacts below *path* in *store*; an artifact that is there already stays.

    An artifact appears when all of its files are stored, so this can be stopped and repeated.

    Args:
        path: Flowdapt's ``storage.base_path``, or the folder ``artifacts`` in it.
        store: Where they go; each keeps its namespace.

    Yields:
        Each artifact, when it has been stored or skipped.

    Raises:
        InvalidRequestError: There are no artifacts below *path*.
        StorageError: The store failed.
    """
    root = Path(path)
    top = root / "artifacts" if (root / "artifacts").is_dir() else root
    found = sorted(one.parent for one in top.glob(f"*/*/{_METADATA}"))
    if not found:
        raise InvalidRequestError(
            f"there are no artifacts of Flowdapt below {str(root)!r}: give its storage.base_path, "
            f"in which artifacts/<namespace>/<name>/{_METADATA} are",
            str(root),
        )
    for folder in found:
        yield _migrated(folder, store)


def _migrated(folder: Path, store: ObjectStore) -> Migrated:
    namespace, name = folder.parent.name, folder.name
    if not is_name(name):
        return Migrated(namespace, name, skipped="its name cannot be one of an artifact")
    view = store.at(namespace=namespace)
    if Artifact.is_in(name, view):
        return Migrated(namespace, name, skipped="there is one of that name")
    try:
        metadata = _metadata_in(folder / _METADATA)
    except CorruptObjectError as exc:
        return Migrated(namespace, name, skipped=str(exc))
    files = [one for one in sorted(folder.iterdir()) if one.is_file() and one.name != _METADATA]
    sizes = []
    for file in files:
        data = file.read_bytes()
        view.put(Artifact.object_of(name, file.name), data, scope="namespace")
        sizes.append(len(data))
    Artifact.made(name, view, metadata)
    return Migrated(namespace, name, len(files), sum(sizes))


def _metadata_in(file: Path) -> dict[str, Any]:
    text = file.read_bytes()
    try:
        found = json.loads(text or b"{}")
    except ValueError as exc:
        raise CorruptObjectError(f"its {file.name} is not JSON: {exc}", str(file)) from exc
    if not isinstance(found, dict):
        raise CorruptObjectError(f"its {file.name} is no JSON object", str(file))
    return found

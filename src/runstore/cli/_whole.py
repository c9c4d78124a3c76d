"""Objects as the files that they are stored as: one, or all of a folder, a prefix or a run."""

from pathlib import Path
from typing import TYPE_CHECKING

from runstore.cli._refs import Ref, nothing_in, parse_ref, resolved
from runstore.cli._transfer import transfer
from runstore.errors import InvalidRequestError, ObjectNotFoundError, StorageError
from runstore.keys import ARROW, FORMATS, Place, extension_of, key_of, scope_folder

if TYPE_CHECKING:
    from runstore.store import ObjectStore, StoreView

__all__ = ["folder_of", "is_file"]


def is_file(at: Place) -> bool:
    """Return whether an object's name is that of a file that is stored as it is."""
    from runstore.file_types import raw_type

    extension = extension_of(at.name)
    return raw_type(extension) is not None and extension not in FORMATS | {ARROW}


def folder_of(store: "ObjectStore", text: str, goal: Path) -> tuple[int, int]:
    """Write a stored folder, or the stored files of all objects that *text* names, to *goal*.

    Returns:
        How many files there are, and how many bytes.

    Raises:
        InvalidRequestError: Something is at *goal*, or *text* names a whole namespace.
        ObjectNotFoundError: Nothing is stored there.
    """
    at = resolved(store, parse_ref(text), complete=True)
    if at.run is None:
        raise InvalidRequestError(f"{text!r} is a whole namespace: get its runs one by one", text)
    at = Ref(at.namespace, at.run, at.name.rstrip("/"))
    if at.name and (written := _stored_folder(store, at, goal)) is not None:
        return written
    view, prefix = at.view(store), at.name
    found = [
        info
        for info in view.list(prefix, scope=at.scope)
        if not prefix or info.name == prefix or info.name.startswith(f"{prefix}/")
    ]
    if not found:
        raise nothing_in(store, at)
    if goal.exists() and (not goal.is_dir() or any(goal.iterdir())):
        raise InvalidRequestError(f"{str(goal)!r} exists already: name a new folder", str(goal))
    try:
        goal.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise StorageError(f"cannot make {str(goal)!r}: {exc.strerror}", str(goal)) from exc
    count, done, total = 0, 0, sum(info.size for info in found)
    with transfer(f"reading {at}", "bytes") as progress:
        for info in found:
            place = info.place
            path = goal / key_of(place).removeprefix(scope_folder(place.namespace, place.run))
            one = at.place(info.name)
            count += _written(store, Ref(one.namespace, at.run, one.name), path)
            done += info.size
            progress(done, total)
    return count, sum(path.stat().st_size for path in goal.rglob("*") if path.is_file())


def _written(store: "ObjectStore", at: Ref, path: Path) -> int:
    """Write what one object stands for, as files at *path*; return how many there are."""
    view = at.view(store)
    info = view.stat(at.name, scope=at.scope)
    if info.python_type == "folder":
        return _folder_written(view, at, path)
    if info.parts is not None:
        return _parts_written(store, at, path)
    view.get_file(at.name, path, scope=at.scope)
    return 1


def _parts_written(store: "ObjectStore", at: Ref, path: Path) -> int:
    """Write the parts of an object, each as the Arrow file that it is, to a new folder."""
    from runstore.store import pieces, pinned, written_file

    parts = at.view(store).parts(at.name, scope=at.scope)
    for info in parts:
        assert info.part_place is not None
        file = path / key_of(info.part_place).rpartition("/")[2]
        written_file(file, pieces(pinned(store.backend, info.part_place)), info.size)
    return len(parts)


def _stored_folder(store: "ObjectStore", at: Ref, goal: Path) -> tuple[int, int] | None:
    """Write what `put_dir` has stored; None if it is something else, or not there."""
    view = at.view(store)
    try:
        info = view.stat(at.name, scope=at.scope)
    except ObjectNotFoundError:
        return None
    if info.python_type != "folder":
        return None
    _folder_written(view, at, goal)
    files = [path for path in goal.rglob("*") if path.is_file()]
    return len(files), sum(path.stat().st_size for path in files)


def _folder_written(view: "StoreView", at: Ref, goal: Path) -> int:
    with transfer(f"reading {at}"):
        view.get_dir(at.name, goal, scope=at.scope)
    return sum(path.is_file() for path in goal.rglob("*"))

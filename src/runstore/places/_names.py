"""Names of keys and folders alone, where that spares a look at each of thousands."""

import builtins
from collections.abc import Container, Iterator

from runstore.places._base import Backend

__all__ = ["folders_but", "names_in"]


def names_in(backend: Backend, folder: str) -> Iterator[str]:
    """Yield the keys below a folder in which there are no further folders, in no order.

    Places that need a further look for size and time of each have a method of this name; it does
    without. A wrapper is asked by `Backend.list`, which it may have changed.

    Args:
        backend: The place.
        folder: With a slash.

    Raises:
        StorageError: The place failed.
    """
    quick = getattr(type(backend), "names_in", None)
    if quick is not None:
        yield from quick(backend, folder)
    else:
        yield from (entry.key for entry in backend.list(folder))


def folders_but(backend: Backend, prefix: str, known: Container[str]) -> builtins.list[str]:
    """Return what `Backend.folders` does without those of *known*, into which nobody has to look.

    Args:
        backend: The place.
        prefix: As for `Backend.folders`.
        known: Names of folders, with a slash.

    Raises:
        StorageError: The place failed.
    """
    quick = getattr(type(backend), "folders_but", None)
    if quick is not None:
        found: builtins.list[str] = quick(backend, prefix, known)
        return found
    return [name for name in backend.folders(prefix) if name not in known]

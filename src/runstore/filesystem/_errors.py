"""Misses and taken names as the errors that users of files catch; all others stay runstore's."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from runstore.errors import ObjectExistsError, ObjectNotFoundError

__all__ = ["as_file_errors", "not_found"]


@contextmanager
def as_file_errors(path: str) -> Iterator[None]:
    """Raise FileNotFoundError and FileExistsError where the store says the same of *path*.

    An outage or a denial is no OSError on purpose: fsspec takes these for a miss.
    """
    try:
        yield
    except ObjectNotFoundError as exc:
        raise FileNotFoundError(errno.ENOENT, exc.message, path) from exc
    except ObjectExistsError as exc:
        raise FileExistsError(errno.EEXIST, exc.message, path) from exc


def not_found(path: str) -> FileNotFoundError:
    """Return the error for a path at which neither an object nor a folder of some is."""
    return FileNotFoundError(errno.ENOENT, "there is neither an object nor a folder", path)

"""Removing what dead writers left in the folder of temporary files."""

import fcntl
import os
import stat
import time
import warnings

from runstore.errors import UnreadableWarning
from runstore.places._descriptor import Descriptor
from runstore.places._errors import kind_of
from runstore.places._local_lock import lock_file

__all__ = ["sweep"]


def sweep(folder: str, older_than: float) -> int:
    """Remove the temporary files that nobody writes to, and return how many there were.

    A living writer holds a lock on its file, on whatever host it is. Each file is locked
    before it is removed, so a writer that has just made its own finds out and makes another.
    What is not a temporary file of ours stays, with a warning.

    Args:
        folder: Where they are.
        older_than: Seconds since the last write to them.

    Raises:
        OSError: There is no such folder, it cannot be read, or a file not removed.
    """
    names = os.listdir(folder)
    oldest, swept, unknown = time.time() - older_than, 0, 0
    for name in names:
        path = f"{folder}/{name}"
        try:
            found = os.lstat(path)
            if not stat.S_ISREG(found.st_mode):
                _warn(f"{path} is {kind_of(found.st_mode)}, not a temporary file: it was left")
            elif found.st_mtime <= oldest:
                removed = _remove(path)
                swept += removed is True
                unknown += removed is None
        except FileNotFoundError:
            continue  # its writer was done, or another sweeper was quicker
        except PermissionError:
            _warn(f"{path} belongs to another user: it was left")
    if unknown:
        _warn(
            f"{unknown} temporary files in {folder} were left: this disk is mounted without file "
            "locks, so nobody can tell whether they are still written to. Remove them by hand "
            "while nothing uses the store"
        )
    return swept


def _remove(path: str) -> bool | None:
    """Remove a file that nobody has locked, and say whether; None if there are no locks."""
    file = Descriptor(inherited=False)
    try:
        try:
            flags = os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY
            try:
                fd = file.open(path, os.O_RDWR | flags)
            except PermissionError:
                fd = file.open(path, os.O_RDONLY | flags)
            locked = lock_file(fd, fcntl.LOCK_EX)
            if locked:
                os.unlink(path)
            return locked
        finally:
            file.close()
    finally:
        file.close()


def _warn(message: str) -> None:
    warnings.warn(UnreadableWarning(message), stacklevel=4)

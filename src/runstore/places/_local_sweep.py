"""Remove the files that dead writers left in the folder of temporary files."""

import fcntl
import os
import stat
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from runstore.errors import UnreadableWarning
from runstore.places._descriptor import Descriptor
from runstore.places._errors import kind_of
from runstore.places._leftovers import Leftover
from runstore.places._local_lock import lock_file

__all__ = ["leftovers", "sweep", "sweep_small"]


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
                removed = _locked(path, remove=True)
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


def sweep_small(folder: str, older_than: float) -> int:
    """Do the same with the temporary files of small objects, which are not locked.

    A living writer whose file is removed finds out before anything is published, and writes
    again in the other way.

    Args:
        folder: That of their gates.
        older_than: Seconds since the last write to them.

    Raises:
        OSError: There is no such folder, it cannot be read, or a file not removed.
    """
    oldest, swept = time.time() - older_than, 0
    for gate in os.listdir(folder):
        try:
            for name in os.listdir(f"{folder}/{gate}"):
                swept += _remove_small(f"{folder}/{gate}/{name}", oldest)
            if gate.startswith("."):  # one that was closed, by a process that ended meanwhile
                with suppress(OSError):
                    os.rmdir(f"{folder}/{gate}")
        except FileNotFoundError:
            continue  # it is being closed
        except NotADirectoryError:
            _warn(f"{folder}/{gate} is not a folder: it was left")
        except PermissionError:
            _warn(f"{folder}/{gate} belongs to another user: it was left")
    return swept


def leftovers(root: str, temporary: str, gates: str, older_than: float) -> list[Leftover]:
    """Return what `sweep` and `sweep_small` would remove; what somebody writes to is not of it.

    Args:
        root: The root of the place.
        temporary, gates: The folders in it.
        older_than: Seconds since the last write.

    Raises:
        OSError: A folder cannot be read.
    """
    oldest, found = time.time() - older_than, list[Leftover]()
    for folder, locked in ((temporary, True), *((one, False) for one in _gates(root, gates))):
        for key, stated in _files_in(root, folder):
            if stated.st_mtime <= oldest and not (locked and _is_written(f"{root}/{key}")):
                at = datetime.fromtimestamp(stated.st_mtime, UTC)
                found.append(Leftover(key, "temporary", stated.st_size, at))
    return found


def _gates(root: str, gates: str) -> list[str]:
    try:
        return [f"{gates}/{name}" for name in os.listdir(f"{root}/{gates}")]
    except FileNotFoundError:
        return []


def _files_in(root: str, folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the regular files in a folder, by key."""
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        for name in os.listdir(f"{root}/{folder}"):
            key = f"{folder}/{name}"
            with suppress(FileNotFoundError):
                stated = os.lstat(f"{root}/{key}")
                if stat.S_ISREG(stated.st_mode):
                    yield key, stated


def _is_written(path: str) -> bool:
    """Return whether somebody has locked a file, or nobody can tell."""
    try:
        return _locked(path, remove=False) is not True
    except (FileNotFoundError, PermissionError):
        return True


def _remove_small(path: str, oldest: float) -> bool:
    """Remove a temporary file if it is old enough, and say whether that was done."""
    try:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode):
            _warn(f"{path} is {kind_of(found.st_mode)}, not a temporary file: it was left")
        elif found.st_mtime <= oldest:
            os.unlink(path)
            return True
    except FileNotFoundError:
        pass  # its writer was done
    return False


def _locked(path: str, *, remove: bool) -> bool | None:
    """Remove a file that nobody has locked; return whether it was, None if there are no locks."""
    file = Descriptor(inherited=False)
    try:
        try:
            flags = os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY
            try:
                fd = file.open(path, os.O_RDWR | flags)
            except PermissionError:
                fd = file.open(path, os.O_RDONLY | flags)
            locked = lock_file(fd, fcntl.LOCK_EX)
            if locked and remove:
                os.unlink(path)
            return locked
        finally:
            file.close()
    finally:
        file.close()


def _warn(message: str) -> None:
    warnings.warn(UnreadableWarning(message), stacklevel=4)

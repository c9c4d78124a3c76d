"""Locks between the writers of a local store, in all processes and on all hosts that share it.

A put with ``if_match`` checks the version and then replaces the object. Nothing may be
written in between, so it takes the lock of the key exclusively; plain puts and deletes share it.
They hold it only during their rename. Puts of small objects take no lock: the gate keeps them out.

The locks are separate files, not the folders of the objects: NFS lets a process
lock only a file that it has open for writing, and a folder cannot be opened for writing.
"""

import errno
import fcntl
import os
import time
from contextlib import suppress

from runstore.errors import BackendUnavailableError
from runstore.places._descriptor import Descriptor
from runstore.places._local_gate import close_gate, gate_of, open_gate, slot_of

__all__ = ["LOCKS", "KeyLock", "lock_file"]

LOCKS = ".runstore-locks"
"""The folder of the lock files."""

_PATIENCE = 60.0  # seconds; nobody holds a lock for longer than a rename takes
_PAUSES = 0.0005, 0.02  # seconds between two tries, the first and the longest

# What a mount says that has no locks, or none for a file that is open for reading.
_NO_LOCKS = {
    errno.EBADF,
    errno.EINVAL,
    errno.ENOLCK,
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
}

_MOUNTED_WITHOUT = (
    "this disk is mounted without file locks. Mount it with locks (NFS: version 4, or without "
    "`nolock`)"
)
_READ_ONLY = (
    "this disk does not lock what may only be read, as {}, which is another user's. Let this user "
    "write to it"
)


class KeyLock:
    """The lock of one key, for one write.

    Args:
        root: The folder of the store.
        key: The key of the object.
    """

    __slots__ = ("_closed", "_file", "_gate", "_path")

    def __init__(self, root: str, key: str) -> None:
        self._path = f"{root}/{LOCKS}/{slot_of(key):x}"
        self._file = Descriptor(inherited=False)
        self._gate = gate_of(root, key)
        self._closed = False

    def take(self, *, alone: bool, opens: bool = False) -> str | None:
        """Wait for the lock and take it.

        Args:
            alone: Share it with nobody, and let no small put of these keys through.
            opens: Make the gate for small puts, if it is not there.

        Returns:
            None; or, if there is no lock to be had, why that is and what would help.

        Raises:
            BackendUnavailableError: Somebody has held it for a minute.
            OSError: The lock file cannot be opened.
        """
        why = _MOUNTED_WITHOUT
        try:
            fd = self._file.open(self._path, os.O_RDWR)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            fd = self._file.open(self._path, os.O_RDWR | os.O_CREAT)
        except PermissionError:  # another user's; on most disks reading is enough
            fd = self._file.open(self._path, os.O_RDONLY)
            why = _READ_ONLY.format(self._path)
        how = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        taken = lock_file(fd, how)
        if taken is False:
            self._wait(fd, how)
        if opens:
            with suppress(OSError):  # without a gate, small puts take the lock
                open_gate(self._gate)
        elif alone and taken is not None:
            self._closed = close_gate(self._gate)
        return why if taken is None else None

    def _wait(self, fd: int, how: int) -> None:
        until = time.monotonic() + _PATIENCE
        pause, longest = _PAUSES
        while lock_file(fd, how) is False:
            if time.monotonic() > until:
                raise BackendUnavailableError(
                    f"{self._path} has been locked for {_PATIENCE:.0f} seconds, so nothing can be "
                    "written: a process that was stopped while it wrote may hold it. Look for it "
                    f"with `fuser {self._path}`, and continue or end it",
                    self._path,
                )
            time.sleep(pause)
            pause = min(2 * pause, longest)

    def release(self) -> None:
        """Release the lock; do nothing if it is not held."""
        fd = self._file.number
        if fd is not None:
            if self._closed:
                with suppress(OSError):  # a small put makes it, too
                    open_gate(self._gate)
                self._closed = False
            # Closing alone would leave it to a child that was forked without Python's knowledge.
            try:  # noqa: SIM105 - on the path of every put
                fcntl.flock(fd, fcntl.LOCK_UN)
            except OSError:
                pass  # closing does it, too
        self._file.close()


def lock_file(fd: int, how: int) -> bool | None:
    """Lock an open file without waiting.

    Args:
        fd: Its descriptor.
        how: ``fcntl.LOCK_EX`` or ``fcntl.LOCK_SH``.

    Returns:
        Whether it is locked now; None if this mount has no locks.
    """
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as exc:
        if exc.errno in _NO_LOCKS:
            return None
        raise
    return True

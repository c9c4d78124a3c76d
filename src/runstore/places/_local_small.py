"""A small object on local disk, in six system calls and without a lock.

All its bytes are in memory, so the write can be repeated. If a sweeper, or a conditional put that
closes the gate of the key (`_local_gate`), removes the temporary file, the rename fails and
nothing was published.
"""

import os
import time
from contextlib import suppress

from runstore.lifetime import unique_id
from runstore.places._descriptor import close_at
from runstore.places._local_gate import gate_of

__all__ = ["put_small"]

_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC


def put_small(root: str, key: str, data: bytes) -> os.stat_result | None:
    """Write *data* to a temporary file and rename it, and describe the file.

    Returns:
        None if it did not come through its gate: nothing was published, and nothing is left.

    Raises:
        OSError: It is not published.
    """
    path, target = f"{gate_of(root, key)}/{unique_id()}", f"{root}/{key}"
    made = True  # perhaps
    fds: list[int] = []
    found: os.stat_result | None = None
    try:
        try:
            # Opened and kept in one step, and so forgotten and closed: see `Descriptor`.
            fds.extend(map(os.open, (path,), (_NEW,), (0o666,)))
            if os.write(fds[0], data) != len(data):
                _write_again(fds[0], data)
            # The kernel's own clock ticks in milliseconds; versions must differ by write.
            now = time.time_ns()
            os.utime(fds[0], ns=(now, now))
            found = os.fstat(fds[0])
            any(map(os.close, map(fds.pop, (0,))))  # NFS writes, and reports errors, only now
            os.replace(path, target)
            made = False
        except FileNotFoundError:
            return found if found is not None and _is_at(target, found) else None
        except PermissionError:
            return None  # perhaps another user's gate; the other way says what is not allowed
        except FileExistsError:
            made = False  # it is of another process: both are copies of one machine's memory
            return None
        finally:
            if fds or made:
                _clean(fds, path if made else None)
    finally:
        if fds or made:
            _clean(fds, path if made else None)
    return found


def _write_again(fd: int, data: bytes) -> None:
    """Write all of *data*, of which the kernel has taken a part only."""
    done = os.lseek(fd, 0, os.SEEK_CUR)
    while done < len(data):
        done += os.write(fd, data[done:])


def _is_at(path: str, found: os.stat_result) -> bool:
    """Return whether that very file is there: an NFS client that lost an answer asks twice."""
    try:
        return os.path.samestat(found, os.lstat(path))
    except OSError:
        return False


def _clean(fds: list[int], path: str | None) -> None:
    if fds:
        close_at(fds)
    if path is not None:
        with suppress(OSError):  # the sweeper gets it
            os.unlink(path)

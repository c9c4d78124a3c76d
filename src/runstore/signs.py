"""Sign files, by which other processes of this host see whether a run goes on.

A sign is a small file that exists as long as its run goes on. The attempts that were given up
meanwhile are added to it. So a process that a stage has started itself, to which nobody sends a
message, reads one file to see whether it may still write.
"""

import atexit
import functools
import hashlib
import logging
import os
from pathlib import Path

from runstore.lifetime import forget_at_fork

__all__ = ["Sign", "Watch", "process_space"]

_LENGTH = 16  # bytes of each digest in a sign
_log = logging.getLogger("runstore.signs")


@functools.cache
def process_space() -> str | None:
    """Return an id of the boot and the container in which process numbers and paths are valid."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        spaces = [str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in ("pid", "mnt")]
        return " ".join([boot, *spaces])
    except OSError:  # not Linux
        return None


class Sign:
    """A sign of this process.

    Raises:
        OSError: No temporary file can be made.
    """

    def __init__(self) -> None:
        import tempfile  # slow to import

        fd, self.path = tempfile.mkstemp(prefix=f"{os.getpid()}-", dir=_folder.path())
        os.close(fd)

    def add(self, key: str) -> bool:
        """Record that the attempt called *key* was given up.

        If that fails, as without a free descriptor or on a full disk, the sign is removed. Then
        all processes that read it are refused, which is better than a write that comes too late.

        Returns:
            Whether it was recorded; if not, the sign is gone.
        """
        try:
            fd = os.open(self.path, os.O_WRONLY | os.O_APPEND)
            try:
                os.write(fd, _digest(key))
            finally:
                os.close(fd)
        except FileNotFoundError:
            return False
        except OSError as exc:
            _log.warning(
                "%s: it cannot be recorded that a call was given up (%s). Processes that stages "
                "of this run have started can no longer write",
                self.path,
                exc.strerror or exc,
            )
            self.remove()
            return False
        return True

    def remove(self) -> None:
        """Record that the run has ended."""
        try:
            Path(self.path).unlink(missing_ok=True)
        except OSError as exc:
            _log.warning(
                "%s cannot be removed (%s). Until this process ends, processes that stages of a "
                "finished run have left can still write",
                self.path,
                exc.strerror or exc,
            )


class Watch:
    """A sign of another process of this host.

    Args:
        path: Where it is.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._pid = int(self._path.name.partition("-")[0])
        self._size = 0
        self._given_up: frozenset[bytes] = frozenset()

    def is_over(self, key: str) -> bool:
        """Return whether the run has ended, or the attempt called *key* was given up.

        Raises:
            OSError: The sign exists and cannot be read.
        """
        try:
            os.kill(self._pid, 0)  # a process that was killed has not removed its sign
            size = self._path.stat().st_size
            if size != self._size:
                data = self._path.read_bytes()
                starts = range(0, len(data), _LENGTH)
                self._given_up = frozenset(data[at : at + _LENGTH] for at in starts)
                self._size = size
        except (FileNotFoundError, ProcessLookupError):
            return True
        except PermissionError:
            return False  # the process lives, and its files cannot be read: another user's
        return bool(self._given_up) and _digest(key) in self._given_up


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()[:_LENGTH]


class _Folder:
    """The folder of this process's signs; removed when the process ends."""

    def __init__(self) -> None:
        self._path: str | None = None
        forget_at_fork(self)

    def path(self) -> str:
        # A cleaner of temporary files may have removed it.
        if self._path is None or not os.path.isdir(self._path):  # noqa: PTH112 - never raises
            import tempfile

            self._path = tempfile.mkdtemp(prefix="runstore-signs-")
            atexit.register(_remove, self._path, os.getpid())
        return self._path

    def forget(self) -> None:
        """Begin without a folder; in a forked child, which leaves its parent's alone."""
        self._path = None


def _remove(path: str, pid: int) -> None:
    import shutil

    if os.getpid() == pid:
        shutil.rmtree(path, ignore_errors=True)


_folder = _Folder()

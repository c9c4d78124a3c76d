"""One write to a local store: a hidden temporary file that one rename publishes."""

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress

from runstore.buffers import Buffer, flat
from runstore.errors import IndeterminateWriteError, StorageError
from runstore.lifetime import unique_id
from runstore.places._descriptor import Descriptor
from runstore.places._errors import check_version, exists_already
from runstore.places._local_lock import KeyLock, lock_file

__all__ = ["TEMPORARY", "LocalWrite", "sync_folder", "version_of"]

TEMPORARY = ".runstore-tmp"
"""The folder of temporary files, of the same tree, so that a rename stays on one disk."""

_OWN_FOLDER = ".runstore"  # of the default store, which is made in the user's working directory

_TRIES = 20  # to place an object in a folder that others remove meanwhile
_WRITE_AT_MOST = 1 << 30  # bytes per call; the kernel's limit is just under 2 GiB
_COMPARED = 128 << 10  # bytes that are compared, and written if they differ; whole blocks


class LocalWrite:
    """One object that is being written. Call `end` in any case, in two nested ``finally``.

    The temporary file is locked while it is written, so a sweeper sees that its writer lives.

    Args:
        root: The folder of the store.
        key: The key of the object.
        ref: What to call it in errors.
        durable: Wait for the disk.
        opens: Make the gate for small objects, where it is missing.
    """

    def __init__(
        self, root: str, key: str, ref: str, durable: bool, *, opens: bool = False
    ) -> None:
        self._root = root
        self._opens = opens
        self._target = f"{root}/{key}"
        self._ref = ref
        self._durable = durable
        self._pid = os.getpid()
        self._path: str | None = None
        self._file = Descriptor(inherited=False)
        self._lock = KeyLock(root, key)
        self._was_there: str | None = None  # the folder in which others were made
        self._ended = False

    def begin(self) -> None:
        """Make the temporary file.

        Raises:
            OSError: It cannot be made.
        """
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
        while True:
            self._path = f"{self._root}/{TEMPORARY}/{unique_id()}"
            try:
                fd = self._file.open(self._path, flags)
            except FileNotFoundError:
                self._make_folder(self._path)
                fd = self._file.open(self._path, flags)
            # A sweeper may have met the file before it was locked. It locks what it removes.
            if lock_file(fd, fcntl.LOCK_EX) is not False and os.fstat(fd).st_nlink:
                return
            self._file.close()

    def add(self, buffer: Buffer) -> None:
        """Write every byte of *buffer*; a short write goes on where it stopped.

        Raises:
            OSError: The disk is full, or fails.
        """
        fd, view = self._open_fd(), flat(buffer)
        while view.nbytes:
            view = view[os.write(fd, view[:_WRITE_AT_MOST]) :]

    def add_range(self, source: int, length: int) -> None:
        """Write the first *length* bytes of the open file *source*, before anything else.

        They do not pass through this process: see `_kernel_copy`.

        Raises:
            OSError: The disk is full, or fails.
            EOFError: The file is shorter.
        """
        from runstore.places._kernel_copy import copy_start  # few writes copy

        copy_start(source, self._open_fd(), length)

    def begin_with(self, source: int, length: int) -> bool:
        """Begin as `begin` does, with a file that shares the blocks of *source*, also open.

        Returns:
            False if this disk shares none; nothing is begun then.

        Raises:
            OSError: The disk is full, or fails.
            EOFError: *source* has fewer bytes than *length*.
        """
        from runstore.places._kernel_copy import shares_blocks  # few writes copy

        self.begin()
        fd = self._open_fd()
        if shares_blocks(source, fd, length):
            os.lseek(fd, 0, os.SEEK_SET)
            return True
        return False

    def add_changes(self, buffer: Buffer) -> None:
        """Write what differs from the bytes that are at this position, and go on after it.

        What is equal keeps the blocks that it shares with another file.

        Raises:
            OSError: The disk is full, or fails.
        """
        fd, view = self._open_fd(), flat(buffer)
        at = os.lseek(fd, 0, os.SEEK_CUR)
        while view.nbytes:
            piece = view[: _COMPARED - at % _COMPARED]
            if os.pread(fd, piece.nbytes, at) != piece.tobytes():
                self._write_at(fd, piece, at)
            at += piece.nbytes
            view = view[piece.nbytes :]
        os.lseek(fd, at, os.SEEK_SET)

    def _write_at(self, fd: int, view: memoryview, at: int) -> None:
        while view.nbytes:
            count = os.pwrite(fd, view, at)
            at, view = at + count, view[count:]

    def cut(self) -> None:
        """Let the file end at this position.

        Raises:
            OSError: The disk fails.
        """
        fd = self._open_fd()
        os.ftruncate(fd, os.lseek(fd, 0, os.SEEK_CUR))

    def finish(self) -> os.stat_result:
        """Hand everything to the disk and describe the file. Nothing is written after this.

        Raises:
            OSError: It did not arrive.
        """
        fd = self._open_fd()
        # NFS and others write, and report errors, when a descriptor is closed: after the
        # object is published would be too late. Our own stays open, as it holds the lock.
        any(map(os.close, map(os.dup, (fd,))))
        # The kernel's own clock ticks in milliseconds; versions must differ by write.
        now = time.time_ns()
        os.utime(fd, ns=(now, now))
        if self._durable:
            os.fsync(fd)
        return os.fstat(fd)

    def publish(self, if_absent: bool, if_match: str | None) -> None:
        """Let readers see the object, in place of the old one.

        Raises:
            ObjectExistsError: *if_absent* and there is one.
            PreconditionFailedError: *if_match* is not the version that is there.
            StorageError: *if_match* and this mount has no locks.
            IndeterminateWriteError: It is published, and the disk does not confirm it.
            OSError: It is not published.
        """
        try:
            if if_match is not None:
                self._compare_and_swap(if_match)
            else:
                self._put_in_place(if_absent)
        finally:
            self._lock.release()
        if self._durable:
            self._sync_folders()

    def end(self) -> None:
        """Remove what is left of the write. Nothing more happens if it is called again."""
        if self._ended:
            return
        try:
            # A child that was forked meanwhile must not remove the parent's file.
            if self._path is not None and self._pid == os.getpid():
                with suppress(OSError):  # the sweeper gets it
                    os.unlink(self._path)
        finally:
            self._lock.release()
            self._file.close()
        self._ended = True

    def _compare_and_swap(self, if_match: str) -> None:
        if (without := self._lock.take(alone=True)) is not None:
            raise StorageError(
                f"cannot write {self._ref} with if_match, as another writer could come in between "
                f"unseen: {without}, keep the store on another disk or on S3, or create objects "
                "with if_absent, which needs no lock",
                self._ref,
            )
        check_version(self._ref, _version_at(self._target), if_match)
        self._rename()

    def _put_in_place(self, if_absent: bool) -> None:
        place = self._link if if_absent else self._rename
        if not if_absent:  # creating needs no lock: nothing is there that could be compared
            self._lock.take(alone=False, opens=self._opens)
        try:
            place()
        except FileNotFoundError:
            if self._is_there():
                self._path = None  # an NFS client that lost an answer has asked twice
                return
            self._place_in_new_folder(place)

    def _place_in_new_folder(self, place: Callable[[], None]) -> None:
        """Make the folder of the object and place it there.

        Who deletes a run removes folders that are empty, as a new one is until then.
        """
        for left in reversed(range(_TRIES)):
            try:
                self._make_folder(self._target)
                place()
            except (FileNotFoundError, FileExistsError):
                if not left:
                    raise
            else:
                return

    def _rename(self) -> None:
        assert self._path is not None
        os.replace(self._path, self._target)
        self._path = None

    def _link(self) -> None:
        assert self._path is not None
        try:
            os.link(self._path, self._target)
        except FileExistsError as exc:
            if not self._is_there():  # see above
                raise exists_already(self._ref) from exc
        # end() removes the other name

    def _make_folder(self, path: str) -> None:
        folder = there = os.path.dirname(path)
        while not os.path.isdir(there) and there != "/":
            there = os.path.dirname(there)
        os.makedirs(folder, exist_ok=True)
        if len(there) < len(self._root) and os.path.basename(self._root) == _OWN_FOLDER:
            _ignore(self._root)
        if self._was_there is None or len(there) < len(self._was_there):
            self._was_there = there

    def _sync_folders(self) -> None:
        """Wait for the object's name and, where folders were made, for theirs."""
        folder = os.path.dirname(self._target)
        sync_folder(folder, self._ref, "written")
        while self._was_there is not None and len(folder) > len(self._was_there):
            folder = os.path.dirname(folder)
            sync_folder(folder, self._ref, "written")

    def _is_there(self) -> bool:
        """Return whether the file at the target is the one that was written."""
        try:
            return os.path.samestat(os.fstat(self._open_fd()), os.lstat(self._target))
        except OSError:
            return False

    def _open_fd(self) -> int:
        fd = self._file.number
        if fd is None:
            raise StorageError(
                f"cannot write {self._ref}: the process was forked while it wrote, and only the "
                "parent goes on",
                self._ref,
            )
        return fd


def version_of(found: os.stat_result) -> str:
    """Return the version of a file: it changes with every write."""
    return f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"


def sync_folder(folder: str, ref: str, done: str) -> None:
    """Wait until the disk has the names in *folder*.

    Args:
        folder: Its path.
        ref: The object that was changed there.
        done: What became of it, as "written".

    Raises:
        IndeterminateWriteError: The disk does not confirm it.
    """
    file = Descriptor()
    try:
        try:
            os.fsync(file.open(folder, os.O_RDONLY))
        finally:
            file.close()
    except OSError as exc:
        raise IndeterminateWriteError(
            f"{ref} is {done}, and every reader sees that, but the disk does not confirm it "
            f"({exc.strerror}): after a power cut it may be as before. Check the disk",
            ref,
        ) from exc
    finally:
        file.close()


def _version_at(path: str) -> str | None:
    """Return the version of the file that is there now; None if none is.

    Opening asks the server; its attributes alone may come from the cache of NFS.
    """
    file = Descriptor()
    try:
        try:
            return version_of(os.fstat(file.open(path, os.O_RDONLY | os.O_NONBLOCK)))
        except FileNotFoundError:
            return None
        except PermissionError:
            return version_of(os.stat(path))
        finally:
            file.close()
    finally:
        file.close()


def _ignore(root: str) -> None:
    """Let Git pass over the folder *root*, which was made just now."""
    with suppress(OSError):  # the store works without
        fd = os.open(f"{root}/.gitignore", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        try:
            os.write(fd, b"# What runstore keeps here is data.\n*\n")
        finally:
            os.close(fd)

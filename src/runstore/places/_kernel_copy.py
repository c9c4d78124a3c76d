"""Copies between files that the kernel makes: their bytes do not pass through this process."""

import errno
import fcntl
import os

__all__ = ["copy_start", "shares_blocks"]

_FICLONE = 0x40049409  # ioctl of Linux: let a file share the blocks of another (reflink)
_AT_ONCE = 64 << 20  # bytes per call, in which no interrupt is heard
_READ_AT_ONCE = 1 << 20  # bytes, where no kernel copies
_CANNOT = frozenset(
    {errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.EBADF}
    | {errno.EPERM, errno.ETXTBSY, errno.EOVERFLOW, errno.ENOTSOCK}
)
"""What kernels and file systems answer that have no such copy."""


def copy_start(source: int, target: int, length: int) -> None:
    """Make the first *length* bytes of *source* the content of *target*, an empty file.

    Blocks are shared where the file system can (btrfs, XFS, some others): then nothing is
    copied. Else the kernel copies; where it cannot, this process does. *target* is afterwards
    at its end, so that what is written next follows.

    Args:
        source, target: Descriptors.
        length: Bytes.

    Raises:
        OSError: The disk is full, or fails.
        EOFError: *source* is shorter.
    """
    if shares_blocks(source, target, length):
        return
    done = _copied_by_kernel(source, target, length)
    while done < length:
        data = os.pread(source, min(length - done, _READ_AT_ONCE), done)
        if not data:
            raise EOFError
        view = memoryview(data)
        while view.nbytes:
            view = view[os.write(target, view) :]
        done += len(data)


def shares_blocks(source: int, target: int, length: int) -> bool:
    """Let *target* share the first *length* bytes of *source*; return False if that cannot be.

    Args:
        source, target: Descriptors. *target* is empty, and afterwards at its end.
        length: Bytes.

    Raises:
        OSError: The disk is full, or fails.
        EOFError: *source* is shorter.
    """
    if os.fstat(source).st_size < length:
        raise EOFError
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as exc:
        if exc.errno not in _CANNOT:
            raise
        return False
    os.ftruncate(target, length)
    os.lseek(target, 0, os.SEEK_END)
    return True


def _copied_by_kernel(source: int, target: int, length: int) -> int:
    """Copy inside the kernel; return how many bytes, fewer than *length* if it cannot go on."""
    done = 0
    for copy in (_copy_file_range, _sendfile):
        try:
            while done < length:
                count = copy(source, target, min(length - done, _AT_ONCE), done)
                if count == 0:
                    break  # the file is shorter, or of a kind that only seems to be empty
                done += count
        except OSError as exc:
            if exc.errno not in _CANNOT:
                raise
    return done


def _copy_file_range(source: int, target: int, count: int, start: int) -> int:
    """Copy by the call that network file systems carry out on their server."""
    if not hasattr(os, "copy_file_range"):
        raise OSError(errno.ENOSYS, "no copy_file_range")
    return os.copy_file_range(source, target, count, start)


def _sendfile(source: int, target: int, count: int, start: int) -> int:
    """Copy by the call that copies between different file systems, too."""
    return os.sendfile(target, source, start, count)

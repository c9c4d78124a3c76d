"""Turn errors of the operating system into errors of runstore; nothing else does."""

import errno
import stat
from types import TracebackType

from runstore.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    NotModifiedError,
    ObjectExistsError,
    ObjectNotFoundError,
    PreconditionFailedError,
    RunStoreError,
    StorageError,
    StorageFullError,
)

__all__ = [
    "check_read",
    "check_span",
    "check_version",
    "exists_already",
    "irregular",
    "kind_of",
    "not_found",
    "translated",
]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_AWAY = {
    errno.ETIMEDOUT,
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ENOTCONN,  # the process behind a FUSE mount is gone
    errno.ESTALE,
    errno.EIO,
}


class translated:  # noqa: N801 - used like a function
    """Turn what the block raises about *ref* into the error tree, cause kept.

    A class, as a generator would cost more than the block in many a place.

    Args:
        ref: The object, as a URL.
        doing: What was attempted, as in "cannot *write* …".
        missing: What a missing file means here.
    """

    __slots__ = ("_doing", "_missing", "_ref")

    def __init__(
        self, ref: str, doing: str, *, missing: type[RunStoreError] = ObjectNotFoundError
    ) -> None:
        self._ref = ref
        self._doing = doing
        self._missing = missing

    def __enter__(self) -> None:
        return

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(exc, OSError):
            raise self._ours(exc) from exc

    def _ours(self, exc: OSError) -> RunStoreError:
        ref, cannot = self._ref, f"cannot {self._doing} {self._ref}"
        if isinstance(exc, FileNotFoundError):
            if self._missing is ObjectNotFoundError:
                return not_found(ref)
            return self._missing(f"{cannot}: {exc}", ref)
        if isinstance(exc, (IsADirectoryError, NotADirectoryError, FileExistsError)):
            return StorageError(
                f"{cannot}: a file stands where a folder should be, or the reverse; something "
                "other than runstore wrote into the store",
                ref,
            )
        if isinstance(exc, TimeoutError):
            return BackendUnavailableError(f"{cannot}: no answer in time", ref)
        return _of(exc)(f"{cannot}: {_hint(exc)}", ref)


def not_found(ref: str) -> ObjectNotFoundError:
    """Make the error for an object that is not there."""
    return ObjectNotFoundError(f"nothing is stored at {ref}", ref)


def exists_already(ref: str) -> ObjectExistsError:
    """Return the error for an object that is there, and must not be."""
    return ObjectExistsError(
        f"{ref} exists already: choose another name, or put without if_absent to replace it", ref
    )


def irregular(ref: str, mode: int) -> RunStoreError:
    """Return the error for what stands in an object's place and is no file.

    Args:
        ref: The object.
        mode: ``st_mode`` of what is there. A folder is a miss: it may hold objects.
    """
    if stat.S_ISDIR(mode):
        return not_found(ref)
    return StorageError(
        f"{ref} is {kind_of(mode)}, not a file: something other than runstore put it into the "
        "store. Move it away",
        ref,
    )


def kind_of(mode: int) -> str:
    """Return in words what a file of this ``st_mode`` is."""
    return _KINDS.get(stat.S_IFMT(mode), "no file")


_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def check_version(ref: str, there: str | None, wanted: str) -> None:
    """Raise PreconditionFailedError unless *there*, None for nothing, is the *wanted* version."""
    if there != wanted:
        found = "nothing is there" if there is None else f"it is {there!r}"
        raise PreconditionFailedError(
            f"{ref} is not the version {wanted!r} any more: {found}. Read it again and decide anew",
            ref,
        )


def check_read(
    ref: str, there: str | None, if_match: str | None, if_none_match: str | None
) -> None:
    """Raise what `Backend.get` does unless *there* is a version that was asked for."""
    if if_match is not None:
        check_version(ref, there, if_match)
    if if_none_match is not None and there == if_none_match:
        raise NotModifiedError(f"{ref} is still the version {there!r}", ref)


def check_span(ref: str, start: int, length: int, size: int) -> None:
    """Raise StorageError unless an object of *size* bytes has this range."""
    if start < 0 or length < 0 or start + length > size:
        raise StorageError(f"{ref} has {size} bytes, not {length} from {start} on", ref)


def _of(exc: OSError) -> type[StorageError]:
    if isinstance(exc, PermissionError) or exc.errno in _DENIED:
        return AccessDeniedError
    if exc.errno in _FULL:
        return StorageFullError
    if isinstance(exc, ConnectionError) or exc.errno in _AWAY:
        return BackendUnavailableError
    return StorageError


def _hint(exc: OSError) -> str:
    reason = exc.strerror or str(exc) or type(exc).__name__
    kind = _of(exc)
    if kind is StorageFullError:
        return f"{reason}. The old object is intact; free some space and try again"
    if kind is AccessDeniedError:
        if exc.errno == errno.EROFS:
            return f"{reason}. Mount it for writing, or choose another place for the store"
        return f"{reason}. Check who owns the store and which user this process runs as"
    if exc.errno in _HINTS:
        return f"{reason}: {_HINTS[exc.errno]}"
    return reason


_HINTS = {
    errno.EMFILE: "close files and stores that are not used any more, or raise `ulimit -n`",
    errno.ELOOP: "symbolic links lead round in a circle. Move them away",
    errno.ENXIO: "it is a socket or a device, not a file. Move it away",
    errno.ENODEV: "it is a device, not a file. Move it away",
    errno.EXDEV: "a folder of the store is a link or a mount of another disk, and an object "
    "cannot be moved there in one step. Make it a store of its own",
}

"""The one place where errors of the operating system and of clients become ours."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from runstore.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    ObjectNotFoundError,
    RunStoreError,
    StorageError,
    StorageFullError,
)

__all__ = ["not_found", "translated"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_AWAY = {
    errno.ETIMEDOUT,
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ESTALE,
    errno.EIO,
}


@contextmanager
def translated(
    ref: str, doing: str, *, missing: type[RunStoreError] = ObjectNotFoundError
) -> Iterator[None]:
    """Turn what the block raises about *ref* into the error tree, cause kept.

    Args:
        ref: The object, as a URL.
        doing: What was attempted, as in "cannot *write* …".
        missing: What a missing file means here.
    """
    try:
        yield
    except FileNotFoundError as exc:
        if missing is ObjectNotFoundError:
            raise not_found(ref) from exc
        raise missing(f"cannot {doing} {ref}: {exc}", ref) from exc
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as exc:
        raise StorageError(
            f"cannot {doing} {ref}: a file stands where a folder should be, or the reverse; "
            "something other than runstore wrote into the store",
            ref,
        ) from exc
    except TimeoutError as exc:
        raise BackendUnavailableError(f"cannot {doing} {ref}: no answer in time", ref) from exc
    except OSError as exc:
        raise _of(exc)(f"cannot {doing} {ref}: {_hint(exc)}", ref) from exc


def not_found(ref: str) -> ObjectNotFoundError:
    """Make the error for an object that is not there."""
    return ObjectNotFoundError(f"nothing is stored at {ref}", ref)


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
        return f"{reason}. Check who owns the store and which user this process runs as"
    return reason

"""What a server answered, or did not, as one of our errors."""

from collections.abc import Iterator
from contextlib import contextmanager

from runstore.backends._errors import not_found
from runstore.backends._s3._wire import Failure
from runstore.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    BucketNotFoundError,
    RunStoreError,
    StorageError,
    StorageFullError,
)

__all__ = ["as_error", "translated"]

_FULL = frozenset({"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage"})
_LOGIN = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "NoCredentials"}
    | {"AccessDenied", "TokenRefreshRequired"}
)


@contextmanager
def translated(ref: str, doing: str) -> Iterator[None]:
    """Turn a `Failure` about *ref* into the error tree, cause kept.

    Args:
        ref: The object, as a URL.
        doing: What was attempted, as in "cannot *write* …".
    """
    try:
        yield
    except Failure as failure:
        raise as_error(failure, ref, doing) from (failure.__cause__ or failure)


def as_error(failure: Failure, ref: str, doing: str) -> RunStoreError:
    """Make the error for a failed request."""
    if failure.no_such_key:
        return not_found(ref)
    said = f"{failure.code}: {failure.reason}" if failure.code else failure.reason
    if failure.status:
        said = f"{said} (HTTP {failure.status})"
    kind: type[StorageError] = StorageError
    if failure.code == "NoSuchBucket":
        return BucketNotFoundError(
            f"cannot {doing} {ref}: there is no such bucket; runstore makes none. Create it, or "
            "look at endpoint and profile",
            ref,
        )
    if failure.status in (401, 403) or failure.code in _LOGIN:
        kind = AccessDeniedError
        said += ". Look at the credentials of this process and at what they may do"
    elif failure.status == 507 or failure.code in _FULL:
        kind = StorageFullError
    elif failure.transient:
        kind = BackendUnavailableError
        said += ". Tried until the store's timeout"
    elif failure.status in (301, 307) or failure.code == "AuthorizationHeaderMalformed":
        said += ". Is it another region? Give client_kwargs={'region_name': …}"
    return kind(f"cannot {doing} {ref}: {said}", ref)

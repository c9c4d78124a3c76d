"""What a server answered, or did not, as one of our errors: by its code, with the way out."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from runstore.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    BucketNotFoundError,
    RunStoreError,
    StorageError,
    StorageFullError,
)
from runstore.places._errors import not_found
from runstore.places._s3 import _causes as causes
from runstore.places._s3._wire import Failure

__all__ = ["as_error", "translated"]


class _Said(NamedTuple):
    """How a code is reported: the error, what happened, and what to do about it."""

    kind: type[StorageError]
    what: str
    hint: str


_NEVER = "Nothing was sent to the store"
_OURS = {  # by our own codes; the reason follows in brackets
    causes.REFUSED: _Said(
        BackendUnavailableError,
        "nothing listens there",
        f"Is the server running, and the port of the endpoint right? {_NEVER}",
    ),
    causes.UNKNOWN_HOST: _Said(
        BackendUnavailableError,
        "there is no host of that name",
        f"Look at endpoint and region. {_NEVER}",
    ),
    causes.NAME_SERVICE: _Said(
        BackendUnavailableError, "the name service does not answer", f"{_NEVER}"
    ),
    causes.UNTRUSTED: _Said(
        BackendUnavailableError,
        "the server's certificate is not trusted",
        "Name the file of the authority that signed it by AWS_CA_BUNDLE or "
        f"client_kwargs={{'verify': …}}. {_NEVER}",
    ),
    causes.TLS_FAILED: _Said(
        BackendUnavailableError,
        "the server does not speak TLS, or not as this client does",
        f"Is it http://, or another port? {_NEVER}",
    ),
    causes.PROXY_REFUSED: _Said(
        BackendUnavailableError,
        "the proxy does not let the request through",
        f"Look at HTTPS_PROXY, HTTP_PROXY and NO_PROXY. {_NEVER}",
    ),
    causes.NOT_S3: _Said(
        BackendUnavailableError,
        "what answers there is not S3",
        "Is the endpoint right, and is there a proxy with a login page on the way?",
    ),
    causes.NO_CREDENTIALS: _Said(
        AccessDeniedError,
        "there are no usable credentials",
        "Give key= and secret=, or profile=, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
        "or anon=True. A worker takes them from its own environment",
    ),
    causes.FOREIGN_KEY: _Said(
        StorageError,
        "obstore cannot list a key that another program made",
        "Install 'runstore[s3]', whose s3fs can, or remove that object",
    ),
    causes.ENGINE_FAILED: _Said(
        StorageError, "the S3 client broke off", "Try engine='s3fs' or engine='obstore'"
    ),
}
_FULL = frozenset(
    {"QuotaExceeded", "QuotaExceededException", "XMinioStorageFull", "InsufficientStorage"}
    | {"XMinioAdminBucketQuotaExceeded", "InsufficientCapacity", "StorageFull"}
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
_LOGIN = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "AccessDenied"})


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
    """Make the error for a failed request.

    Args:
        failure: What happened.
        ref: The object, as a URL.
        doing: What was attempted, as in "cannot *write* …".
    """
    if failure.no_such_key:
        return not_found(ref)
    if failure.code == "NoSuchBucket":
        return BucketNotFoundError(
            f"cannot {doing} {ref}: there is no such bucket; runstore makes none. Create it, or "
            "look at endpoint and profile",
            ref,
        )
    if failure.code in _OURS:
        kind, what, hint = _OURS[failure.code]
        return kind(f"cannot {doing} {ref}: {what} ({failure.reason}). {hint}", ref)
    if failure.code == causes.WRONG_REGION:
        return StorageError(f"cannot {doing} {ref}: {_elsewhere(failure.reason)}", ref)
    kind, hint = _of_the_server(failure, doing)
    said = f"{failure.code}: {failure.reason}" if failure.code else failure.reason
    if failure.status:
        said = f"{said} (HTTP {failure.status})"
    return kind(f"cannot {doing} {ref}: {said}{hint and f'. {hint}'}", ref)


def _of_the_server(failure: Failure, doing: str) -> tuple[type[StorageError], str]:
    """Return the error of an answer of S3's own, and what to do."""
    code = failure.code
    if failure.status == 507 or code in _FULL:
        return StorageFullError, "No space or quota is left: free some, or raise the quota"
    if code == "RequestTimeTooSkewed":
        return AccessDeniedError, "The clock of this machine is wrong: set it, as by NTP"
    if code in _EXPIRED:
        return AccessDeniedError, "The session token is out of date: get a new one"
    if failure.status in (401, 403) or code in _LOGIN:
        hint = "Look at the credentials of this process and at what they may do"
        if code in ("", "AccessDenied") and doing in ("read", "delete"):
            hint += ". S3 answers the same for an object that is not there, unless the "
            hint += "credentials may list the bucket (s3:ListBucket)"
        return AccessDeniedError, hint
    if failure.transient:
        return BackendUnavailableError, "Tried until the store's timeout"
    return StorageError, ""


def _elsewhere(region: str) -> str:
    if not region:
        return (
            "the bucket is in another region, which the server does not name: give "
            "client_kwargs={'region_name': …}, or set AWS_REGION"
        )
    return (
        f"the bucket is in the region {region}: give client_kwargs={{'region_name': {region!r}}}, "
        "or set AWS_REGION"
    )

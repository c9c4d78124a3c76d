"""Turn a failed request into an error of runstore, by its code, with a way out."""

from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

from runstore.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    BucketNotFoundError,
    RunStoreError,
    StorageError,
    StorageFullError,
)
from runstore.places._cloud import _causes as causes
from runstore.places._cloud._wire import Failure
from runstore.places._errors import not_found

__all__ = ["Translated", "as_error"]


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
    causes.SELF_SIGNED: _Said(
        BackendUnavailableError,
        "the server's certificate is self-signed",
        "Name its file by AWS_CA_BUNDLE or client_kwargs={'verify': …}. obstore takes it only if "
        f"it was made with basicConstraints=CA:FALSE: docs/s3.md has the command. {_NEVER}",
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
_ELSEWHERE = {  # what is said otherwise of Google and Azure
    causes.UNTRUSTED: (
        "the server's certificate is not trusted",
        f"Name the file of the authority that signed it by SSL_CERT_FILE. {_NEVER}",
    ),
    causes.SELF_SIGNED: (
        "the server's certificate is self-signed",
        "Name its file by SSL_CERT_FILE. obstore takes it only if it was made with "
        f"basicConstraints=CA:FALSE: docs/s3.md has the command. {_NEVER}",
    ),
    causes.UNKNOWN_HOST: (
        "there is no host of that name",
        f"Look at the account and the endpoint. {_NEVER}",
    ),
    causes.NOT_S3: (
        "what answers there is not this service",
        "Is the endpoint right, and is there a proxy with a login page on the way?",
    ),
    causes.NO_CREDENTIALS: (
        "there are no usable credentials",
        "Give them as options, or set the variables that docs/places.md names. A worker takes "
        "them from its own environment",
    ),
    causes.FOREIGN_KEY: (
        "obstore cannot list a key that another program made",
        "Choose engine='gcsfs' or 'adlfs', or remove that object",
    ),
    causes.ENGINE_FAILED: ("the client broke off", "Try engine='gcsfs' or 'adlfs'"),
}
_FULL = frozenset(
    {"QuotaExceeded", "QuotaExceededException", "XMinioStorageFull", "InsufficientStorage"}
    | {"XMinioAdminBucketQuotaExceeded", "InsufficientCapacity", "StorageFull"}
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
_LOGIN = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "AccessDenied"})


class Translated:
    """Turns a `Failure` about *ref* into the error tree, cause kept.

    A class and no generator: a small request is mostly what surrounds it.

    Args:
        ref: The object, as a URL.
        doing: What was attempted, as in "cannot *write* …".
        note: Called with the failure before.
    """

    __slots__ = ("_doing", "_note", "_ref")

    def __init__(self, ref: str, doing: str, note: Callable[[Failure], None]) -> None:
        self._ref, self._doing, self._note = ref, doing, note

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, Failure):
            self._note(error)
            raise as_error(error, self._ref, self._doing) from (error.__cause__ or error)


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
        look = "endpoint and profile" if ref.startswith("s3://") else "the address"
        return _curable(
            BucketNotFoundError,
            f"cannot {doing} {ref}: there is no such bucket; runstore makes none",
            f"Create it, or look at {look}",
            ref,
        )
    if failure.code in _OURS:
        kind, what, hint = _OURS[failure.code]
        if not ref.startswith("s3://"):
            what, hint = _ELSEWHERE.get(failure.code, (what, hint))
        return _curable(kind, f"cannot {doing} {ref}: {what} ({failure.reason})", hint, ref)
    if failure.code == causes.WRONG_REGION:
        return StorageError(f"cannot {doing} {ref}: {_elsewhere(failure.reason)}", ref)
    kind, hint = _of_the_server(failure, doing, ref)
    said = f"{failure.code}: {failure.reason}" if failure.code else failure.reason
    if failure.status:
        said = f"{said} (HTTP {failure.status})"
    return _curable(kind, f"cannot {doing} {ref}: {said}", hint, ref)


def _curable(kind: type[StorageError], what: str, cure: str, ref: str) -> StorageError:
    error = kind(f"{what}. {cure}" if cure else what, ref)
    error.cure = cure
    return error


def _of_the_server(failure: Failure, doing: str, ref: str) -> tuple[type[StorageError], str]:
    """Return the error of an answer of S3's own, and what to do."""
    code = failure.code
    if failure.status == 507 or code in _FULL:
        return StorageFullError, "No space or quota is left: free some, or raise the quota"
    if code == "RequestTimeTooSkewed":
        return AccessDeniedError, "The clock of this machine is wrong: set it, as by NTP"
    if code == "InvalidObjectState":
        return StorageError, "The object is in an archive: restore it there first"
    if code in _EXPIRED:
        return AccessDeniedError, "The session token is out of date: get a new one"
    if failure.status in (401, 403) or code in _LOGIN:
        hint = "Look at the credentials of this process and at what they may do"
        of_s3 = ref.startswith("s3://")
        if of_s3 and code in ("", "AccessDenied") and doing in ("read", "delete"):
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

"""Turn what filesystems raise into errors of runstore, by type and status, never by words.

A missing file is a miss if the filesystem says FileNotFoundError, and in no other way. What is
not known is a StorageError with the cause: it is neither a miss nor damage.
"""

import re
from types import TracebackType
from typing import Any

from runstore.arguments import printable
from runstore.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    RunStoreError,
    StorageError,
    StorageFullError,
)
from runstore.faults import is_own_fault
from runstore.places._errors import translated

__all__ = [
    "connection_lost",
    "may_have_happened",
    "outage_behind",
    "says_no",
    "status_of",
    "translating",
]

# Names of classes, looked for among an error's bases: the libraries are not imported for this.
_DENIED = frozenset(
    {"PermissionDenied", "SFTPPermissionDenied", "ForbiddenOperation", "AuthenticationException"}
    | {"ClientAuthenticationError", "DefaultCredentialsError", "RefreshError"}
    | {"NoCredentialsError", "CredentialRetrievalError", "HostKeyNotVerifiable", "KeyImportError"}
)
_FULL = frozenset({"InsufficientStorage", "SFTPNoSpaceOnFilesystem", "SFTPQuotaExceeded"})
_UNREACHED = frozenset({"ConnectError", "ConnectTimeout", "ClientConnectorError", "ProxyError"})
_AWAY = _UNREACHED | frozenset(
    {"DisconnectError", "ConnectionLost", "SFTPConnectionLost", "SFTPNoConnection"}
    | {"ChannelOpenError", "SSHException", "TransportError", "NetworkError", "TimeoutException"}
    | {"ClientConnectionError", "ServerDisconnectedError", "ClientPayloadError"}
    | {"ConnectionError", "Timeout", "ServiceRequestError", "ServiceResponseError"}
    | {"EndpointConnectionError", "HTTPClientError", "BadGatewayError", "TimeoutError"}
)
_LOST = frozenset(
    {"DisconnectError", "ConnectionLost", "SFTPConnectionLost", "SFTPNoConnection"}
    | {"ChannelOpenError", "SSHException"}
)
_DENIED_STATUS = frozenset({401, 403, 407})
_FULL_STATUS = frozenset({413, 507})
_AWAY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class translating(translated):  # noqa: N801 - used like a function
    """Turn whatever a filesystem raises in the block about *ref* into the error tree, cause kept.

    Args:
        ref: The object, as a URL.
        doing: What was attempted, as in "cannot *write* …".
        missing: What a missing file means here.
    """

    __slots__ = ()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc is None or isinstance(exc, RunStoreError) or not isinstance(exc, Exception):
            return
        if is_own_fault(exc):
            return
        if isinstance(exc, OSError) and not _names(exc) & (
            _DENIED | _FULL | _AWAY - {"TimeoutError", "ConnectionError"}
        ):
            raise self._ours(exc) from exc
        raise self._foreign(exc) from exc

    def _foreign(self, exc: Exception) -> RunStoreError:
        names, status = _names(exc), status_of(exc)
        kind: type[StorageError] = StorageError
        if names & _DENIED or status in _DENIED_STATUS:
            kind = AccessDeniedError
        elif names & _FULL or status in _FULL_STATUS:
            kind = StorageFullError
        elif names & _AWAY or status in _AWAY_STATUS:
            kind = BackendUnavailableError
        return kind(f"cannot {self._doing} {self._ref}: {_said(exc)}", self._ref)


def status_of(exc: BaseException) -> int | None:
    """Return the HTTP status that a client's error carries, wherever it keeps it."""
    for holder in (exc, getattr(exc, "response", None)):
        for name in ("status_code", "status", "code"):
            found: Any = getattr(holder, name, None)
            if isinstance(found, str) and found.isdigit():
                found = int(found)
            if isinstance(found, int) and 100 <= found < 600:
                return int(found)
    return None


def outage_behind(exc: BaseException) -> BaseException | None:
    """Return the outage or denial that a filesystem reports as a missing file, or None.

    fsspec's HTTP does so with whatever happens while it asks for a file.
    """
    cause = exc.__cause__ if isinstance(exc, FileNotFoundError) else None
    if cause is None or isinstance(cause, FileNotFoundError):
        return None
    known = isinstance(cause, (ConnectionError, TimeoutError, PermissionError))
    named = bool(_names(cause) & (_AWAY | _DENIED))
    return cause if known or named or status_of(cause) in _DENIED_STATUS | _AWAY_STATUS else None


def may_have_happened(exc: BaseException) -> bool:
    """Return whether a request that ended so may have been carried out all the same."""
    if isinstance(exc, ConnectionRefusedError) or _names(exc) & _UNREACHED:
        return False
    if status_of(exc) is not None:
        return status_of(exc) in (408, 500, 502, 504)
    return isinstance(exc, (TimeoutError, ConnectionError)) or bool(_names(exc) & _AWAY)


def says_no(exc: Exception) -> bool:
    """Return whether a filesystem that was tried cannot do it: an outage does not say so."""
    if is_own_fault(exc) or isinstance(exc, (ConnectionError, TimeoutError)):
        return False
    return not _names(exc) & _AWAY


def connection_lost(exc: BaseException) -> bool:
    """Return whether a connection that was open has ended."""
    return isinstance(exc, (ConnectionError, BrokenPipeError)) or bool(_names(exc) & _LOST)


def _names(exc: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(exc).__mro__}


def _said(exc: Exception) -> str:
    # A URL in it may be signed.
    text = re.sub(r"\?[^\s'\"]+", "?…", str(exc)).strip().partition("\n")[0]
    return printable(f"{type(exc).__name__}: {text[:300]}" if text else type(exc).__name__)

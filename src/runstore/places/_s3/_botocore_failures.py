"""Turn what botocore, aiobotocore and aiohttp raise into a `Failure`, by type."""

import socket
import ssl
from typing import Any

from runstore.places._cloud import _causes as causes
from runstore.places._cloud._wire import Failure

__all__ = ["STRANGER", "answered", "as_failure", "refused_item"]

STRANGER = "RunstoreStranger"
"""Marks an answer that is not S3's, beside what botocore has parsed of it."""

_SELF_SIGNED = 18  # X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, of OpenSSL

_ELSEWHERE = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)


def answered(response: dict[str, Any]) -> Failure:
    """Make a `Failure` of an answer that is an error, as botocore has parsed it."""
    error, about = response.get("Error", {}), response.get("ResponseMetadata", {})
    status, headers = about.get("HTTPStatusCode", 0), about.get("HTTPHeaders", {})
    code = "" if str(error.get("Code", "")).isdigit() else str(error.get("Code", ""))
    if status == 407:
        return Failure(407, causes.PROXY_REFUSED, "it answers 407", sent=False)
    if STRANGER in response:
        return Failure(0, causes.NOT_S3, "an answer that is not XML")
    region = error.get("Region") or headers.get("x-amz-bucket-region", "")
    if status == 301 or (code in _ELSEWHERE and region):
        return Failure(status, causes.WRONG_REGION, str(region))
    if 300 < status < 304 or 304 < status < 400:
        return Failure(0, causes.NOT_S3, "it redirects elsewhere")
    if status == 404 and not code:
        return Failure(404, causes.NOT_S3, "a bare 404")
    return Failure(status, code, str(error.get("Message") or "no reason given"))


def as_failure(exc: Exception, host: str) -> Failure:
    """Make a `Failure` of what was raised instead of an answer.

    Args:
        exc: A BotoCoreError, a ResponseParserError, an aiohttp.ClientError or an OSError.
        host: The host that was asked, for people.
    """
    from botocore import exceptions as known
    from botocore.parsers import ResponseParserError

    name = type(exc).__name__
    cause = getattr(exc, "kwargs", {}).get("error", exc)
    if isinstance(exc, known.SSLError) or isinstance(cause, ssl.SSLError):
        return _untrusted(cause, host)
    if isinstance(exc, known.ProxyConnectionError):
        if isinstance(getattr(cause, "os_error", None), ConnectionRefusedError):
            return Failure(0, causes.REFUSED, f"the proxy for {host}", sent=False)
        status = getattr(cause, "status", "no connection")
        return Failure(0, causes.PROXY_REFUSED, f"for {host}: {status}", sent=False)
    if isinstance(exc, known.ConnectTimeoutError):
        return Failure(0, "", f"{host}: no connection to the server in time", sent=False)
    if isinstance(exc, known.EndpointConnectionError):
        return _unconnected(cause, host)
    if isinstance(exc, ResponseParserError):
        return Failure(0, causes.NOT_S3, f"{host}: an answer that is not XML")
    lost = (known.HTTPClientError, known.ReadTimeoutError, known.IncompleteReadError)
    if isinstance(exc, (*lost, known.ResponseStreamingError)) or not isinstance(
        exc, known.BotoCoreError
    ):
        return Failure(0, "", f"{host}: the connection failed ({name})")
    login = (known.NoCredentialsError, known.PartialCredentialsError, known.TokenRetrievalError)
    if isinstance(exc, (*login, known.CredentialRetrievalError, known.SSOError)):
        return Failure(403, causes.NO_CREDENTIALS, str(exc), sent=False)
    return Failure(400, name, str(exc), sent=False)


def refused_item(code: str, message: str) -> Failure:
    """Make a `Failure` of one refusal in the answer to a batch."""
    return Failure(403 if code == "AccessDenied" else 400, code, message)


def _unconnected(cause: Any, host: str) -> Failure:
    """Return why there was no connection, or that it was lost.

    aiohttp has one class for all that happens before the first byte, and botocore gives the
    same name to a connection that was reset later.
    """
    import aiohttp

    if not isinstance(cause, (aiohttp.ClientConnectorError, socket.gaierror)):
        return Failure(0, "", f"{host}: the connection failed ({type(cause).__name__})")
    system = getattr(cause, "os_error", cause)
    if isinstance(system, socket.gaierror):
        temporary = system.errno == socket.EAI_AGAIN
        code = causes.NAME_SERVICE if temporary else causes.UNKNOWN_HOST
        return Failure(0, code, host, sent=False)
    if isinstance(system, ConnectionRefusedError):
        return Failure(0, causes.REFUSED, host, sent=False)
    return Failure(0, "", f"{host}: no connection to the server", sent=False)


def _untrusted(cause: Any, host: str) -> Failure:
    system = getattr(cause, "certificate_error", None) or getattr(cause, "os_error", cause)
    if getattr(system, "verify_code", None) == _SELF_SIGNED:
        return Failure(0, causes.SELF_SIGNED, host, sent=False)
    if isinstance(system, (ssl.SSLCertVerificationError, ssl.CertificateError)):
        reason = f"{host}: {getattr(system, 'verify_message', '') or system}"
        return Failure(0, causes.UNTRUSTED, reason, sent=False)
    return Failure(0, causes.TLS_FAILED, host, sent=False)

"""What obstore raises, as `Failure`.

Its exceptions have few types. The status and the server's document stand in the first lines of
the text, the cause of a lost connection behind "Debug source:".
"""

import re
from collections.abc import Callable
from typing import Any

from runstore.arguments import printable
from runstore.places._cloud import _causes as causes
from runstore.places._cloud._wire import Failure

__all__ = ["Failures", "as_failure"]

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([^<]+)</Code>")
_MESSAGE = re.compile(r"<Message>([^<]+)</Message>")
_REGION = re.compile(r"<Region>([^<]+)</Region>")
_CONNECTING = re.compile(r"kind: Connect|Error\(\s*Connect,")
_CERTIFICATE = re.compile(r"InvalidCertificate\(\s*(\w+)")
_MACHINE = ("//169.254.169.254/", "//169.254.170.2/", "//169.254.170.23/")
_FOREIGN = re.compile(r'Path (".*?") contained|parsing Path (".*?"):', re.DOTALL)
_NOTHING = '"bytes 0--1/0"'  # how Azurite says that an empty object has no bytes
_DENIED = ("Unauthenticated", "PermissionDenied")
_NO_S3 = ("ETag Header missing", "Header missing from response", "Got invalid list response")
_NO_S3_EITHER = ("Got invalid DeleteObjects response", "Got invalid multipart response")


def as_failure(exc: BaseException, host: str) -> Failure:
    """Make a `Failure` of an exception of obstore's.

    Args:
        exc: The exception.
        host: The host that was asked, for people.
    """
    if type(exc).__name__ == "PanicException":  # its class cannot be imported
        return Failure(0, causes.ENGINE_FAILED, f"obstore: {exc}", sent=False)
    text, _, debug = str(exc).partition("Debug source:")
    if type(exc).__name__ == "InvalidPathError":
        found = _FOREIGN.search(text)
        key = (found[1] or found[2]) if found else text.strip()
        return Failure(0, causes.FOREIGN_KEY, printable(key), sent=False)
    if any(address in text for address in _MACHINE):  # asked by obstore, where botocore is missing
        return Failure(403, causes.NO_CREDENTIALS, text.strip(), sent=False)
    status = int(found[1]) if (found := _STATUS.search(text)) else 0
    code = found[1] if (found := _CODE.search(text)) else ""
    if status == 407:
        return Failure(407, causes.PROXY_REFUSED, "it answers 407", sent=False)
    if found := _REGION.search(text):
        return Failure(status, causes.WRONG_REGION, found[1])
    if code == "PermanentRedirect" or status == 301 or "redirect without LOCATION" in text:
        return Failure(status or 301, causes.WRONG_REGION, "")
    if found := _MESSAGE.search(text):
        from html import unescape  # not at the top: few processes need it

        return Failure(status, code, unescape(found[1]))
    if _NOTHING in text:
        return Failure(416, "InvalidRange", "it is empty")
    if "non-partial response" in text:
        return Failure(
            416, causes.RANGE_IGNORED, "the whole object came where a range was asked for"
        )
    if any(word in text for word in (*_NO_S3, *_NO_S3_EITHER)):
        return Failure(0, causes.NOT_S3, f"{host}: an answer without what S3's answers have")
    if 300 <= status < 304 or 304 < status < 400 or "following redirect" in text:
        return Failure(0, causes.NOT_S3, f"{host} redirects elsewhere")
    if status == 404 and not code:
        return Failure(404, causes.NOT_S3, f"{host}: a bare 404")
    if status:
        return Failure(status, code, "no reason given")
    if "kind: Builder" in debug:  # there is no request yet
        return Failure(400, "InvalidURL", "an address in the settings is no URL", sent=False)
    if _CONNECTING.search(debug):
        return _unconnected(debug, host)
    if any(word in type(exc).__name__ for word in _DENIED) or "credential" in text.lower():
        return Failure(403, causes.NO_CREDENTIALS, text.strip(), sent=False)
    timed_out = "timed out" in text or "operation timed out" in debug or "TimedOut" in debug
    reason = "no answer in time" if timed_out else "the connection or the answer broke off"
    return Failure(0, "", f"{host}: {reason}", cut=timed_out)


def _unconnected(debug: str, host: str) -> Failure:
    """Return why there was no connection: the request was never sent."""
    if "ProxyAuth" in debug or "unnel" in debug:
        return Failure(0, causes.PROXY_REFUSED, f"no tunnel to {host}", sent=False)
    if "dns error" in debug or "failed to lookup address" in debug:
        code = causes.NAME_SERVICE if "Temporary failure" in debug else causes.UNKNOWN_HOST
        return Failure(0, code, host, sent=False)
    if "CaUsedAsEndEntity" in debug:  # as `openssl req -x509` makes it
        return Failure(0, causes.SELF_SIGNED, host, sent=False)
    if "InvalidCertificate" in debug or "invalid peer certificate" in debug:
        found = _CERTIFICATE.search(debug)
        reason = f"{host}: {found[1]}" if found else host
        return Failure(0, causes.UNTRUSTED, reason, sent=False)
    if "ConnectionRefused" in debug:
        return Failure(0, causes.REFUSED, host, sent=False)
    if "InvalidMessage" in debug or "AlertReceived" in debug or "PeerIncompatible" in debug:
        return Failure(0, causes.TLS_FAILED, host, sent=False)
    in_time = " in time" if "TimedOut" in debug else ""
    return Failure(0, "", f"{host}: no connection to the server{in_time}", sent=False)


class Failures:
    """Turn what obstore raises into `Failure`; one object, used again and again.

    Args:
        as_failure: Makes it.
    """

    def __init__(self, as_failure: Callable[[BaseException], Failure]) -> None:
        self._as_failure = as_failure
        self.stores: dict[Any, Any] = {}
        """Those that were made; each has a copy of the credentials."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, exc: BaseException | None, traceback: Any) -> None:
        if exc is None or isinstance(exc, Failure):
            return
        from obstore.exceptions import BaseError

        # A panic of Rust is no Exception, and its class cannot be imported.
        panic = type(exc).__name__ == "PanicException"
        if not isinstance(exc, (BaseError, FileNotFoundError, FileExistsError)) and not panic:
            return
        failure = self._as_failure(exc)
        self.seen(failure)
        raise failure from self.shown(exc)

    def seen(self, failure: Failure) -> None:
        """Take note of a failure."""

    def shown(self, exc: BaseException) -> BaseException:
        """Return the exception for a traceback, without what is secret."""
        return exc

"""AWS signatures, version 4: of a request by its headers, or by its URL."""

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from runstore.places._s3._credentials import Keys

__all__ = ["Signer", "signed_query"]

_NOTHING = hashlib.sha256(b"").hexdigest()
_BLOCK = 64  # bytes that SHA-256 takes at a time


class Signer:
    """Signs requests by their headers, for one region.

    What depends on the second and on the keys is made once a second: in a thread that waits for a
    server between two requests, each step takes ten times as long as in a loop.

    Args:
        region: What to sign for.
        clock: As `time.time`.
    """

    def __init__(self, region: str, clock: Callable[[], float] = time.time) -> None:
        self._region = region
        self._clock = clock
        self._now = _Now(-1, Keys("", "", None), "", "", hashlib.sha256(), hashlib.sha256())

    def lines(
        self,
        method: str,
        path: str,
        host: str,
        keys: Keys,
        *,
        names: str = "",
        more: str = "",
        body: bytes = b"",
    ) -> str:
        """Return the headers of a request that are signed, and the signature, as lines.

        Args:
            method: As ``GET``.
            path: As it is sent, percent-encoded, without a query.
            host: As it is sent.
            keys: What to sign with.
            names: Of further headers in lower case, sorted, each after a semicolon; between
                ``x-amz-date`` and ``x-amz-security-token`` in that order.
            more: These headers, as ``name:value`` and a line feed each.
            body: All of it.

        Returns:
            ``name:value`` and a line feed for each.
        """
        now, second = self._now, int(self._clock())
        if now.second != second or now.keys != keys:
            now = self._now = _now(second, keys, self._region)
        digest = hashlib.sha256(body).hexdigest() if body else _NOTHING
        told = f"host:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{now.moment}\n{more}"
        names = f"host;x-amz-content-sha256;x-amz-date{names}"
        if keys.token:
            told = f"{told}x-amz-security-token:{keys.token}\n"
            names = f"{names};x-amz-security-token"
        request = f"{method}\n{path}\n\n{told}\n{names}\n{digest}"
        inner, outer = now.inner.copy(), now.outer.copy()
        told_of = hashlib.sha256(request.encode()).hexdigest()
        inner.update(f"AWS4-HMAC-SHA256\n{now.moment}\n{now.scope}\n{told_of}".encode())
        outer.update(inner.digest())
        return (
            f"{told}authorization:AWS4-HMAC-SHA256 Credential={keys.key}/{now.scope}, "
            f"SignedHeaders={names}, Signature={outer.hexdigest()}\n"
        )


class _Now(NamedTuple):
    """What signatures of one second have in common; *inner* and *outer* are HMAC's two digests."""

    second: int
    keys: Keys
    moment: str
    scope: str
    inner: Any
    outer: Any


def _now(second: int, keys: Keys, region: str) -> _Now:
    moment = _moment(datetime.fromtimestamp(second, UTC))
    key = _key(keys.secret, region, moment[:8]).ljust(_BLOCK, b"\0")
    inner, outer = (hashlib.sha256(bytes(byte ^ pad for byte in key)) for pad in (0x36, 0x5C))
    return _Now(second, keys, moment, _scope(region, moment), inner, outer)


def signed_query(
    method: str,
    host: str,
    path: str,
    more: Mapping[str, str],
    keys: Keys,
    region: str,
    now: datetime,
    seconds: int,
) -> str:
    """Return the query of a URL that is good for *seconds*, signed.

    Args:
        method: Of the one request that it is for.
        host: As it is sent, with the port where the URL has one.
        path: As it is sent, percent-encoded.
        more: Parameters besides those of the signature.
        keys: What to sign with.
        region: What to sign for.
        now: From when on, in UTC.
        seconds: How long.
    """
    moment = _moment(now)
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{keys.key}/{_scope(region, moment)}",
        "X-Amz-Date": moment,
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": "host",
        **more,
    }
    if keys.token:
        query["X-Amz-Security-Token"] = keys.token
    text = "&".join(
        f"{quote(key, safe='-_.~')}={quote(query[key], safe='-_.~')}" for key in sorted(query)
    )
    request = f"{method}\n{path}\n{text}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
    return f"{text}&X-Amz-Signature={_signature(request, keys, region, moment)}"


def _moment(now: datetime) -> str:
    return now.strftime("%Y%m%dT%H%M%SZ")


def _scope(region: str, moment: str) -> str:
    return f"{moment[:8]}/{region}/s3/aws4_request"


def _signature(request: str, keys: Keys, region: str, moment: str) -> str:
    """Return the signature of a canonical request."""
    key = _key(keys.secret, region, moment[:8])
    return hmac.digest(key, _text(request, _scope(region, moment), moment), "sha256").hex()


def _key(secret: str, region: str, day: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _text(request: str, scope: str, moment: str) -> bytes:
    """Return what is signed: a digest of the canonical request, and for what."""
    digest = hashlib.sha256(request.encode()).hexdigest()
    return f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}".encode()

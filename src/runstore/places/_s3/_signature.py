"""AWS signatures, version 4: of a GET by its headers, and of any request by its URL."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote

from runstore.places._s3._credentials import Keys

__all__ = ["signed", "signed_query"]

_NOTHING = hashlib.sha256(b"").hexdigest()


def signed(
    path: str, headers: Mapping[str, str], keys: Keys, region: str, now: datetime
) -> dict[str, str]:
    """Return the headers of a GET, signed.

    Args:
        path: As it is sent, percent-encoded, without a query.
        headers: In lower case, the host included.
        keys: What to sign with.
        region: What to sign for.
        now: In UTC.
    """
    moment = _moment(now)
    told = {**headers, "x-amz-content-sha256": _NOTHING, "x-amz-date": moment}
    if keys.token:
        told["x-amz-security-token"] = keys.token
    names = sorted(name for name in told if name == "host" or name.startswith("x-amz-"))
    lines = "".join(f"{name}:{told[name].strip()}\n" for name in names)
    request = f"GET\n{path}\n\n{lines}\n{';'.join(names)}\n{_NOTHING}"
    signature = _signature(request, keys, region, moment)
    told["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.key}/{_scope(region, moment)}, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return told


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
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{moment}\n{_scope(region, moment)}\n{digest}"
    key = f"AWS4{keys.secret}".encode()
    for part in (moment[:8], region, "s3", "aws4_request", text):
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()

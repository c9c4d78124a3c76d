"""AWS signatures, version 4, of a request without a body."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from runstore.places._s3._credentials import Keys

__all__ = ["signed"]

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
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    told = {**headers, "x-amz-content-sha256": _NOTHING, "x-amz-date": moment}
    if keys.token:
        told["x-amz-security-token"] = keys.token
    names = sorted(name for name in told if name == "host" or name.startswith("x-amz-"))
    lines = "".join(f"{name}:{told[name].strip()}\n" for name in names)
    request = f"GET\n{path}\n\n{lines}\n{';'.join(names)}\n{_NOTHING}"
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
    key = f"AWS4{keys.secret}".encode()
    for part in (moment[:8], region, "s3", "aws4_request", text):
        key = hmac.digest(key, part.encode(), "sha256")
    told["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.key}/{scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={key.hex()}"
    )
    return told

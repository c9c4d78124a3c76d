"""Codes for failures that have no code of S3, such as a lost connection."""

__all__ = [
    "ENGINE_FAILED",
    "FOREIGN_KEY",
    "NAME_SERVICE",
    "NOT_S3",
    "NO_CREDENTIALS",
    "PROXY_REFUSED",
    "RANGE_IGNORED",
    "REFUSED",
    "SELF_SIGNED",
    "SOURCE_CHANGED",
    "TLS_FAILED",
    "UNKNOWN_HOST",
    "UNREACHED",
    "UNTRUSTED",
    "WRONG_REGION",
]

REFUSED = "ConnectionRefused"
"""Nothing listens at the port; the server may be starting."""

UNKNOWN_HOST = "UnknownHost"
"""The host's name does not exist."""

NAME_SERVICE = "NameServiceFailed"
"""The name service did not answer."""

UNTRUSTED = "UntrustedCertificate"
"""The server's certificate is not trusted, is out of date or is another host's."""

SELF_SIGNED = "SelfSignedCertificate"
"""The server's certificate is signed by itself, and is not trusted; or is an authority's own."""

TLS_FAILED = "TLSFailed"
"""The TLS handshake with the server failed."""

PROXY_REFUSED = "ProxyRefused"
"""The proxy does not let us through."""

NOT_S3 = "NotS3"
"""What answered is not S3: a login page, another program, an empty answer."""

WRONG_REGION = "WrongRegion"
"""The bucket is in another region; the reason is its name, or empty."""

NO_CREDENTIALS = "NoCredentials"
"""There is nothing to sign with."""

ENGINE_FAILED = "EngineFailed"
"""The engine itself broke off."""

FOREIGN_KEY = "ForeignKey"
"""The engine cannot list an object of another program, because of its key."""

RANGE_IGNORED = "RangeIgnored"
"""The whole object came in answer to a request for a part, as some servers do."""

SOURCE_CHANGED = "SourceChanged"
"""What was to be copied is another version by now."""

UNREACHED = frozenset(
    {REFUSED, UNKNOWN_HOST, NAME_SERVICE, UNTRUSTED, SELF_SIGNED, TLS_FAILED, PROXY_REFUSED}
    | {NO_CREDENTIALS}
)
"""Where no request has reached the server."""

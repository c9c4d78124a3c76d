"""What a client may take from outside of its options, so that a change is seen."""

import os
from contextlib import suppress

__all__ = ["Environment", "environment"]

Environment = tuple[object, ...]

_FILES = (
    (b"AWS_CONFIG_FILE", b"/.aws/config"),
    (b"AWS_SHARED_CREDENTIALS_FILE", b"/.aws/credentials"),
)
_PROXIES = frozenset(
    {b"HTTP_PROXY", b"HTTPS_PROXY", b"ALL_PROXY", b"NO_PROXY"}
    | {b"http_proxy", b"https_proxy", b"all_proxy", b"no_proxy"}
)
_TRUST = frozenset({b"SSL_CERT_FILE", b"SSL_CERT_DIR", b"REQUESTS_CA_BUNDLE", b"CURL_CA_BUNDLE"})


def environment() -> Environment:
    """Return what a client may take from variables and from AWS' files, to be compared.

    It takes some ten microseconds, as it is asked for at every call.
    """
    given = os.environb
    found = [
        (name, given[name])
        for name in list(given)
        if name.startswith(b"AWS_") or name in _PROXIES or name in _TRUST
    ]
    return (*sorted(found), *(_file(given, *file) for file in _FILES))


def _file(given: "os._Environ[bytes]", variable: bytes, usual: bytes) -> object:
    path = given.get(variable) or given.get(b"HOME", b"") + usual
    with suppress(OSError):
        found = os.stat(path)  # noqa: PTH116 - at every call; a Path costs as much again
        return path, found.st_mtime_ns, found.st_size, found.st_ino
    return path

"""What a client may take from outside of its options, so that a change is seen."""

import os
from typing import Any

__all__ = ["Environment", "variables"]

_FILES = (
    (b"AWS_CONFIG_FILE", b"/.aws/config"),
    (b"AWS_SHARED_CREDENTIALS_FILE", b"/.aws/credentials"),
)
_PROXIES = frozenset(
    {b"HTTP_PROXY", b"HTTPS_PROXY", b"ALL_PROXY", b"NO_PROXY"}
    | {b"http_proxy", b"https_proxy", b"all_proxy", b"no_proxy"}
)
_TRUST = frozenset({b"SSL_CERT_FILE", b"SSL_CERT_DIR", b"REQUESTS_CA_BUNDLE", b"CURL_CA_BUNDLE"})


class Environment:
    """What a client may take from variables and from AWS' files, at one moment.

    Two are equal if a client would take the same.
    """

    __slots__ = ("_absent", "_files", "_found", "_paths", "_variables")

    def __init__(self) -> None:
        given = os.environb
        self._variables = dict(variables())
        self._paths = [
            given.get(variable) or given.get(b"HOME", b"") + usual for variable, usual in _FILES
        ]
        self._files = [_seen(path) for path in self._paths]
        # What is not there, and shows by that that no file is: most often one folder of both.
        self._absent = () if any(self._files) else tuple(set(map(_absent, self._paths)))
        found = sorted(
            (name, given[name])
            for name in list(given)
            if name.startswith(b"AWS_") or name in _PROXIES or name in _TRUST
        )
        self._found = (*found, *zip(self._paths, self._files, strict=True))

    def is_current(self) -> bool:
        """Return whether nothing has changed since: asked at every call, in a few microseconds."""
        if self._appeared() and self._files != [_seen(path) for path in self._paths]:
            return False
        if self._variables == variables():
            return True
        now = Environment()
        if now != self:
            return False
        self._variables = now._variables  # something else has changed
        return True

    def _appeared(self) -> bool:
        """Return whether there may be a file by now, or was one before."""
        for path in self._absent:
            if os.access(path, os.F_OK):  # a failed stat() costs an exception
                return True
        return not self._absent

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Environment) and self._found == other._found

    def __hash__(self) -> int:
        return hash(self._found)


def _absent(path: bytes) -> bytes:
    """Return the folder of a file that is not there, or the file, if the folder is."""
    folder = os.path.dirname(path) or b"."  # noqa: PTH120 - of bytes
    return path if os.path.isdir(folder) else folder  # noqa: PTH112


def variables() -> Any:
    """Return all variables as the interpreter has them: decoding them takes much longer."""
    return getattr(os.environ, "_data", os.environ)


def _seen(path: bytes) -> object:
    try:
        found = os.stat(path)  # noqa: PTH116 - at every call; a Path costs as much again
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino

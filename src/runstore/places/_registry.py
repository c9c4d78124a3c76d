"""The opener of each URL scheme: runstore's own places, and those of other packages.

    [project.entry-points."runstore.places"]
    blobs = "my_package.blobs:open_blobs"    # opens blobs://…

The named function is called with an `Opening` and returns a `runstore.places.Backend`. Its
attribute ``secrets``, if it has one, names the storage options that must not leave the process.
Installed packages are searched once, for the first scheme that runstore does not know.
Schemes that runstore knows cannot be replaced.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from runstore.arguments import check_callable, check_text, texts, unfit
from runstore.errors import MissingExtraError, SettingsError
from runstore.places._base import Backend
from runstore.plugins import load_plugin

if TYPE_CHECKING:
    from runstore.places._cloud._services import ServiceBackend

__all__ = [
    "EXTRAS",
    "GivenFilesystem",
    "Opener",
    "Opening",
    "check_fsspec",
    "missing_extra",
    "open_with",
    "opener_of",
    "register_place",
    "shown_url",
]


class GivenFilesystem(NamedTuple):
    """A filesystem of fsspec that the user has made.

    Attributes:
        document: It and the path in it as JSON, without secrets.
        live: The object itself, in the process that was given it.
    """

    document: str
    live: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How a place is to be opened.

    Attributes:
        url: Absolute.
        options: Storage options, secret ones, too.
        engine: The client to use, for places that have several.
        timeout: Seconds without an answer, retries included; for remote places.
        durable: Wait for the disk on every put.
        allow_torn: Whether readers may see half of a write, where a place cannot do better.
        borrowed: Whether the caller will not close it.
        filesystem: A filesystem of the user's, which is used whatever the URL says.
    """

    url: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    engine: str | None = None
    timeout: float = 60
    durable: bool = False
    allow_torn: bool = False
    borrowed: bool = False
    filesystem: GivenFilesystem | None = None

    @property
    def scheme(self) -> str:
        """What stands before ``://``."""
        return self.url.partition("://")[0]

    def refuse_options(self) -> None:
        """Raise SettingsError if there are storage options, for places that take none."""
        if not self.options:
            return
        known = ("allow_torn", "cache", "durable", "engine", "pickle", "root", "timeout")
        from difflib import get_close_matches  # seldom needed

        close = [one for name in self.options for one in get_close_matches(name, known, 1)]
        hint = f"; did you mean {' and '.join(map(repr, close))}?" if close else ""
        raise SettingsError(
            f"a {self.scheme}:// store takes no storage options, but got "
            f"{', '.join(sorted(self.options))}{hint}",
            self.url,
        )

    def refuse_engine(self) -> None:
        """Raise SettingsError if an engine is asked for, for places that have one way only."""
        if self.engine is not None:
            shown = shown_url(self.url)
            raise SettingsError(f"engine={self.engine!r} is for S3; {shown} takes none", shown)


class Opener(Protocol):
    """What opens the places of a scheme."""

    def __call__(self, opening: Opening, /) -> Backend:
        """Open a place. Nothing is created before the first put.

        Raises:
            SettingsError: The URL or an option is not understood.
            MissingExtraError: What the place needs is not installed.
        """
        ...


def opener_of(scheme: str) -> Opener | None:
    """Return what opens the places of *scheme*; None if nothing does.

    Raises:
        MissingExtraError: A package says so and cannot be imported.
    """
    return _OURS.get(scheme) or _registered.get(scheme) or load_plugin("runstore.places", scheme)


def register_place(scheme: str, opener: Opener, *, secrets: Iterable[str] = ()) -> None:
    """Let *opener* open the places of *scheme* in this process.

    An entry point ``runstore.places`` does so in every process, workers included.

    Args:
        scheme: What stands before ``://``.
        opener: Called with an `Opening`.
        secrets: Storage options that must not leave the process.

    Raises:
        SettingsError: The scheme is one of runstore's own.
        InvalidRequestError: *scheme* is no str, *opener* cannot be called or takes no attribute
            for *secrets*, or these are no texts.
    """
    check_text("register_place", "scheme", scheme)
    check_callable("register_place", "opener", opener)
    names = frozenset(texts("register_place", "secrets", secrets))
    if scheme in _OURS:
        raise SettingsError(f"{scheme}:// is opened by runstore itself: choose another scheme")
    if names:
        try:
            opener.secrets = names  # type: ignore[attr-defined]
        except (AttributeError, TypeError) as exc:  # a method, or a class of another language
            told = "a function, or what takes the attribute 'secrets'"
            raise unfit("register_place", "opener", told, opener) from exc
    _registered[scheme] = opener


def open_with(opening: Opening) -> Backend:
    """Open a place by its scheme.

    Raises:
        SettingsError, MissingExtraError: See `Opener`; or the scheme is unknown.
    """
    opener = opener_of(opening.scheme) if opening.filesystem is None else None
    return opener(opening) if opener is not None else _open_by_fsspec(opening)


def shown_url(url: str) -> str:
    """Return *url* for a message: without user, password and query, which may be secret."""
    kind, _, rest = url.partition("://")
    _, at, host = rest.rpartition("@")
    return f"{kind}://{'…@' if at else ''}{host.partition('?')[0]}"


def _open_by_fsspec(opening: Opening) -> Backend:
    check_fsspec(shown_url(opening.url), opening.scheme)
    from runstore.places import _fsspec

    return _fsspec.open_place(opening)


def check_fsspec(shown: str, scheme: str = "") -> None:
    """Raise MissingExtraError, with the extra that is for *scheme*, unless fsspec is installed."""
    if find_spec("fsspec") is None:
        raise missing_extra(shown, scheme)


def missing_extra(shown: str, scheme: str) -> MissingExtraError:
    """Return the error for a scheme whose client is not installed."""
    extra = EXTRAS.get(scheme, "fsspec")
    return MissingExtraError(
        f"{shown} needs a package that is not installed: pip install 'runstore[{extra}]'", shown
    )


EXTRAS = {
    **dict.fromkeys(("gs", "gcs"), "gcs"),
    **dict.fromkeys(("abfs", "abfss", "az"), "azure"),
    **dict.fromkeys(("sftp", "ssh"), "sftp"),
    **dict.fromkeys(("webdav", "dav"), "webdav"),
}
"""Which extra brings the client of a scheme."""


def _open_s3(opening: Opening) -> Backend:
    from runstore.places._s3 import S3Backend

    return S3Backend(
        opening.url,
        engine=opening.engine,
        timeout=opening.timeout,
        options=opening.options,
    )


def _open_memory(opening: Opening) -> Backend:
    opening.refuse_engine()
    opening.refuse_options()
    from runstore.places._memory import MemoryBackend

    return MemoryBackend(opening.url.partition("://")[2], borrowed=opening.borrowed)


def _open_local(opening: Opening) -> Backend:
    opening.refuse_engine()
    opening.refuse_options()
    url, path = opening.url, opening.url.partition("://")[2]
    if not path.startswith("/"):
        raise SettingsError(
            f"{url} has no absolute path: write file:///path, or open it by ObjectStore", url
        )
    from runstore.places._local import LocalBackend

    return LocalBackend(path, durable=opening.durable)


def _open_google(opening: Opening) -> Backend:
    if not _by_obstore(opening, "gcsfs"):
        return _open_by_fsspec(replace(opening, engine=None))
    from runstore.places import _google

    if opening.engine is None and not _google.is_understood(opening):
        return _open_by_fsspec(opening)
    return _forkable(_google.open_google(opening), opening)


def _open_azure(opening: Opening) -> Backend:
    if not _by_obstore(opening, "adlfs"):
        return _open_by_fsspec(replace(opening, engine=None))
    from runstore.places import _azure

    if opening.engine is None and not _azure.is_understood(opening):
        return _open_by_fsspec(opening)
    return _forkable(_azure.open_azure(opening), opening)


def _by_obstore(opening: Opening, other: str) -> bool:
    """Return whether obstore is asked for, or may be used.

    Raises:
        SettingsError: There is no such engine.
        MissingExtraError: It is asked for and is not installed.
    """
    if opening.engine not in (None, "obstore", other):
        shown = shown_url(opening.url)
        raise SettingsError(
            f"engine={opening.engine!r} is not one of obstore, {other}, which {shown} takes", shown
        )
    found = find_spec("obstore") is not None
    if opening.engine == "obstore":
        if not found:
            raise MissingExtraError("engine='obstore' needs obstore: pip install obstore")
        return True
    return opening.engine is None and found and not _has_settings_of_fsspec(opening.scheme)


def _has_settings_of_fsspec(scheme: str) -> bool:
    """Return whether fsspec is configured for *scheme* or another name of it, or may be."""
    names = _NAMES.get(scheme, (scheme,))
    begins = tuple(f"FSSPEC_{name.upper()}" for name in names)
    if any(variable.startswith(begins) for variable in os.environ):
        return find_spec("fsspec") is not None
    home = os.environ.get("FSSPEC_CONFIG_DIR") or os.path.expanduser("~/.config/fsspec")  # noqa: PTH111
    return os.path.isdir(home) and find_spec("fsspec") is not None  # noqa: PTH112


def _forkable(backend: "ServiceBackend", opening: Opening) -> Backend:
    from runstore.places._cloud._services import ObstorePlace

    return ObstorePlace(backend, lambda: _open_by_fsspec(replace(opening, engine=None)))


_NAMES = {
    **dict.fromkeys(("gs", "gcs"), ("gs", "gcs")),
    **dict.fromkeys(("abfs", "abfss", "az"), ("abfs", "abfss", "az")),
}

_OURS: dict[str, Opener] = {
    "file": _open_local,
    "memory": _open_memory,
    "s3": _open_s3,
    **dict.fromkeys(("gs", "gcs"), _open_google),
    **dict.fromkeys(("abfs", "abfss", "az"), _open_azure),
}

# By `register_place`. It has no owner, as an opener holds nothing that ends: it is code, which is
# good in a forked child, too, and a name of it is registered for the life of the process.
_registered: dict[str, Opener] = {}

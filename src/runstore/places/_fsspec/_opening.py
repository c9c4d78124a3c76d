"""A URL, or a filesystem of the user's own, as a place.

What fsspec has of the three native places is recognised: a plain local filesystem, and an s3fs one
whose settings mean the same to ``s3://``. Wrappers that only shorten paths or cache are opened: the
filesystem beneath is used, since a cache would show what is no longer there.
"""

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import fsspec
from fsspec.implementations.cached import CachingFileSystem
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import get_filesystem_class, known_implementations
from fsspec.spec import AbstractFileSystem

from runstore.errors import MissingExtraError, SettingsError
from runstore.places._base import Backend
from runstore.places._fsspec._backend import FsspecBackend
from runstore.places._fsspec._calls import Calls
from runstore.places._fsspec._dialects import Dialect, dialect_of
from runstore.places._registry import EXTRAS, Opening, missing_extra, open_with, shown_url
from runstore.secret_names import is_secret

__all__ = ["Described", "describe", "open_place"]


class Described(NamedTuple):
    """A filesystem of the user's, as an address.

    Attributes:
        url: Where it is; enough to open it, unless *filesystem* is needed for that.
        options: Storage options that belong to *url*.
        filesystem: The filesystem and the path in it as JSON, without secrets; None if *url* is
            enough.
        stays: Whether it can be opened so in this process only: it has secrets, or is made of
            what JSON cannot hold.
    """

    url: str
    options: dict[str, Any]
    filesystem: str | None
    stays: bool


def describe(fs: Any, root: str) -> Described:
    """Return the address of *root* in a filesystem.

    Raises:
        SettingsError: It is no filesystem of fsspec, or an asynchronous one, or names no bucket.
    """
    if not isinstance(fs, AbstractFileSystem):
        raise SettingsError(
            f"ObjectStore: fs must be a filesystem of fsspec, not {type(fs).__name__}; wrap one of "
            "pyarrow by fsspec.implementations.arrow.ArrowFSWrapper"
        )
    if getattr(fs, "asynchronous", False):
        raise SettingsError(
            "ObjectStore: fs must not be asynchronous: make it without asynchronous=True"
        )
    base, path = _unwrapped(fs, root)
    if (url := _native(base, path)) is not None:
        return Described(
            url, dict(base.storage_options) if url.startswith("s3:") else {}, None, False
        )
    dialect = dialect_of(base)
    _check_bucket(dialect, path)
    protocol = base.protocol if isinstance(base.protocol, str) else base.protocol[0]
    url = f"{protocol}://{path}"
    try:
        document = base.to_dict(include_password=False)
        options = {
            name: one for name, one in document.items() if name not in ("cls", "protocol", "args")
        }
        secret = any(is_secret(name, one) for name, one in options.items())
        secret = secret or "password" in base.storage_options or _has_secrets(document["args"])
        kept = {n: one for n, one in document.items() if n not in options or not is_secret(n, one)}
        text = json.dumps({"filesystem": kept, "root": path}, sort_keys=True)
    except (TypeError, ValueError, AttributeError):
        return Described(url, {}, json.dumps({"filesystem": None, "root": path}), True)
    own = getattr(base, "global_store", True) is False  # a memory that is this object's alone
    return Described(url, {}, text, secret or own)


def open_place(opening: Opening) -> Backend:
    """Open what no scheme of runstore's own is for; see `runstore.places.Opener`."""
    opening.refuse_engine()
    if opening.filesystem is not None:
        return _open_filesystem(opening)
    if "::" in opening.url:
        return _open_chain(opening)
    kind = _class_for(opening)
    url, options = opening.url, dict(opening.options)
    if opening.scheme in ("http", "https") and "?" in url:
        raise SettingsError(
            f"{shown_url(url)} has a query, and the address of a store is a folder: omit it",
            shown_url(url),
        )
    if opening.scheme in ("gs", "gcs") and "@" in url:
        raise SettingsError(
            f"{shown_url(url)} names a user, which a bucket's address has not: write gs://bucket/…",
            shown_url(url),
        )
    try:
        options = kind._get_kwargs_from_urls(url) | options
        path = kind._strip_protocol(url)
        if opening.scheme in ("webdav", "dav"):
            path, options = _webdav(url, options)
    except (TypeError, ValueError) as exc:
        raise SettingsError(f"{shown_url(url)}: {exc}", shown_url(url)) from exc
    dialect = dialect_of(kind)
    _check_bucket(dialect, path)

    def make() -> AbstractFileSystem:
        try:
            return kind(**options, skip_instance_cache=True)
        except (TypeError, ValueError) as exc:
            names = ", ".join(sorted(options)) or "none"
            raise SettingsError(
                f"{shown_url(url)} cannot be opened with these storage options ({names}): "
                f"{type(exc).__name__} of {kind.__name__}: {exc}",
                shown_url(url),
            ) from exc

    return _backend(
        shown_url(url), Calls(make, opening.timeout, owned=True), path, dialect, opening
    )


def _open_filesystem(opening: Opening) -> Backend:
    """Open a filesystem that the user has given, here or in the process this context is of."""
    given = opening.filesystem
    assert given is not None
    document = json.loads(given.document)
    if given.live is None and document["filesystem"] is None:
        raise SettingsError(
            f"the store {opening.url} was made with fs=, of a filesystem that cannot be written "
            "down as JSON, so it can be used in that process only: give a URL, or run in threads",
            opening.url,
        )
    pid = os.getpid()

    def make() -> AbstractFileSystem:
        if given.live is not None:
            fs, _ = _unwrapped(given.live, "")
            if not fs.async_impl or os.getpid() == pid:
                return fs
            return type(fs)(*fs.storage_args, **fs.storage_options, skip_instance_cache=True)
        return AbstractFileSystem.from_dict(document["filesystem"])

    fs = make()  # it is there already, or its constructor has to say now that it cannot be made
    calls = Calls(lambda: fs if os.getpid() == pid else make(), opening.timeout, owned=False)
    return _backend(opening.url, calls, document["root"], dialect_of(fs), opening)


def _open_chain(opening: Opening) -> Backend:
    url = opening.url
    try:
        fs, path = fsspec.url_to_fs(url, **opening.options)
    except ImportError as exc:
        raise MissingExtraError(f"{shown_url(url)}: {exc}", shown_url(url)) from exc
    except (TypeError, ValueError) as exc:
        raise SettingsError(f"{shown_url(url)}: {exc}", shown_url(url)) from exc
    if isinstance(fs, DirFileSystem):
        path = ""  # the path of the URL is the one that it stands in
    base, path = _unwrapped(fs, path)
    if (native := _native(base, path)) is not None:
        options = dict(base.storage_options) if native.startswith("s3:") else {}
        return open_with(
            Opening(url=native, options=options, timeout=opening.timeout, durable=opening.durable)
        )
    dialect = dialect_of(base)
    _check_bucket(dialect, path)
    return _backend(url, Calls(lambda: base, opening.timeout, owned=False), path, dialect, opening)


def _backend(url: str, calls: Calls, path: str, dialect: Dialect, opening: Opening) -> Backend:
    return FsspecBackend(
        url, calls, path, dialect, allow_torn=opening.allow_torn, timeout=opening.timeout
    )


def _unwrapped(fs: AbstractFileSystem, path: str) -> tuple[AbstractFileSystem, str]:
    """Return the filesystem beneath wrappers, and the path in it."""
    while True:
        if isinstance(fs, DirFileSystem):
            fs, path = fs.fs, fs._join(path.strip("/"))
        elif isinstance(fs, CachingFileSystem):
            fs = fs.fs
        else:
            return fs, str(fs._strip_protocol(path)).rstrip("/")


def _native(fs: AbstractFileSystem, path: str) -> str | None:
    """Return the URL of a native place that is exactly this one; None if there is none."""
    if type(fs) is LocalFileSystem:
        return f"file://{path or '/'}"
    if type(fs).__module__ == "s3fs.core" and not fs.storage_args and "/" in f"{path}/":
        from runstore.places._s3 import split_options

        try:
            split_options(fs.storage_options)
        except SettingsError:
            return None  # it has settings that s3:// does not know
        return f"s3://{path}"
    return None


def _check_bucket(dialect: Dialect, path: str) -> None:
    if dialect.bucket and not path.strip("/"):
        raise SettingsError(
            f"the address of a store in {dialect.name} names a bucket: give bucket/prefix"
        )


def _class_for(opening: Opening) -> type[AbstractFileSystem]:
    """Return the class of a scheme's filesystems.

    Raises:
        SettingsError: fsspec knows no such scheme.
        MissingExtraError: A package is missing.
    """
    scheme, shown = opening.scheme, shown_url(opening.url)
    try:
        found: type[AbstractFileSystem] = get_filesystem_class(scheme)
    except ImportError as exc:
        if scheme in EXTRAS:
            raise missing_extra(shown, scheme) from exc
        known = known_implementations.get(scheme, {})
        raise MissingExtraError(f"{scheme}://: {known.get('err') or exc}", shown) from exc
    except ValueError as exc:
        if scheme in EXTRAS:
            raise missing_extra(shown, scheme) from exc
        raise SettingsError(
            f"{shown} is not a place: neither runstore, nor fsspec, nor an installed package knows "
            f"the scheme {scheme!r}. Use a path, file://, memory://, s3://, gs://, abfs://, "
            "sftp://, webdav://…",
            shown,
        ) from exc
    return found


def _webdav(url: str, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the path and options of webdav4, which takes the server's address as an option."""
    parts, given = urlsplit(url), dict(options)
    if "base_url" not in given:
        host = parts.netloc.rpartition("@")[2]
        if not host:
            raise ValueError("write webdav://host/path, or give base_url=")
        given["base_url"] = f"{given.pop('transport', 'https')}://{host}"
        path = parts.path
    else:
        path = f"{parts.netloc}{parts.path}"
    user = given.pop("username", None) or parts.username
    password = given.pop("password", None)
    if user is not None and "auth" not in given:
        given["auth"] = (unquote(str(user)), password or "")
    for name in ("host", "port", "protocol", "path"):
        given.pop(name, None)
    return path.strip("/"), given


def _has_secrets(args: Any) -> bool:
    return any(isinstance(one, Mapping) and is_secret("args", one) for one in args)

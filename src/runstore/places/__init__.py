"""Where bytes are stored: one contract, and one class for each kind of place, by URL scheme."""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from runstore.arguments import check_flag, check_instance, check_keys, check_seconds, check_text
from runstore.errors import SettingsError
from runstore.places._base import (
    Backend,
    Entry,
    Tail,
    copy_through,
    delete_each,
    glimpse,
    is_hidden,
    list_allowed,
    list_with_parts,
    prune,
)
from runstore.places._guarantees import Guarantees
from runstore.places._names import folders_but, names_in
from runstore.places._registry import (
    GivenFilesystem,
    Opener,
    Opening,
    check_fsspec,
    open_with,
    opener_of,
    register_place,
    shown_url,
)
from runstore.places._wrapper import Wrapper
from runstore.secret_names import split_secrets

if TYPE_CHECKING:
    from runstore.places._changed import changed_at
    from runstore.places._fsspec import Described
    from runstore.places._leftovers import Leftover, leftovers

__all__ = [
    "Backend",
    "Entry",
    "GivenFilesystem",
    "Guarantees",
    "Leftover",
    "Opener",
    "Opening",
    "Tail",
    "Wrapper",
    "changed_at",
    "copy_through",
    "delete_each",
    "describe_filesystem",
    "folders_but",
    "glimpse",
    "is_hidden",
    "leftovers",
    "list_allowed",
    "list_with_parts",
    "merge_options",
    "names_in",
    "open_backend",
    "prune",
    "register_place",
    "split_options",
    "split_url",
]

# Only clean-up, and who asks whether a run goes on, need these: imported with the first use.
_LATER = {"Leftover": "_leftovers", "changed_at": "_changed", "leftovers": "_leftovers"}


if not TYPE_CHECKING:  # or mypy would take it for what has every name

    def __getattr__(name: str) -> Any:
        if name not in _LATER:
            raise AttributeError(f"module 'runstore.places' has no attribute {name!r}")
        return getattr(import_module(f"runstore.places.{_LATER[name]}"), name)


def open_backend(
    url: str,
    *,
    durable: bool = False,
    options: Mapping[str, Any] | None = None,
    engine: str | None = None,
    timeout: float = 60,
    allow_torn: bool = False,
    borrowed: bool = False,
    filesystem: GivenFilesystem | None = None,
) -> Backend:
    """Open the place at *url*. Nothing is created before the first put.

    Args:
        url: Absolute: ``file:///path``, ``memory://name``, ``s3://bucket/prefix``…
        durable: Wait for the disk on every put; for local places.
        options: fsspec's storage options; neither memory nor a local place takes any.
        engine: ``obstore`` or ``s3fs``; for S3.
        timeout: Seconds without an answer, retries included; for remote places.
        allow_torn: Whether readers may see half of a write, where a place cannot do better.
        borrowed: Whether the caller will not close it; for memory, see `MemoryBackend`.
        filesystem: A filesystem of the user's, which is used whatever the URL says.

    Raises:
        SettingsError: The URL's kind or an option is not known.
        MissingExtraError: What the place needs is not installed.
        InvalidRequestError: An argument is of another type, or *timeout* is not above 0.
    """
    call = "open_backend"
    check_text(call, "url", url)
    check_keys(call, "options", options, optional=True)
    check_text(call, "engine", engine, optional=True)
    check_seconds(call, "timeout", timeout)
    for argument, flag in (("durable", durable), ("allow_torn", allow_torn)):
        check_flag(call, argument, flag)
    check_flag(call, "borrowed", borrowed)
    given = (GivenFilesystem, type(None))
    check_instance(call, "filesystem", filesystem, given, "a GivenFilesystem or None")
    return open_with(
        Opening(
            url=url,
            options=dict(options or {}),
            engine=engine,
            timeout=timeout,
            durable=durable,
            allow_torn=allow_torn,
            borrowed=borrowed,
            filesystem=filesystem,
        )
    )


def split_options(url: str, options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options that may travel with a store's address, and those that must not.

    Raises:
        SettingsError: An option is not understood; the message has no values.
    """
    scheme = url.partition("://")[0]
    if scheme == "s3":
        from runstore.places import _s3

        return _s3.split_options(options)
    named: frozenset[str] = getattr(opener_of(scheme), "secrets", frozenset())
    public, secret = split_secrets(options)
    secret |= {name: public.pop(name) for name in named & public.keys()}
    return public, secret


def merge_options(
    url: str, weaker: Mapping[str, Any], stronger: Mapping[str, Any]
) -> dict[str, Any]:
    """Merge options; where both set the same, in any spelling, *stronger* wins."""
    if url.partition("://")[0] == "s3":
        from runstore.places import _s3

        return _s3.merge_options(weaker, stronger)
    return {**weaker, **stronger}


def split_url(url: str) -> tuple[str, dict[str, Any]]:
    """Return a URL without its password, and the option that carries it instead.

    Raises:
        SettingsError: It has what looks like one, and is no URL.
    """
    if "@" not in url or "::" in url or url.partition("://")[0] in ("file", "memory", "s3"):
        return url, {}
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - it is looked at only now
    except ValueError as exc:
        shown = shown_url(url)
        raise SettingsError(f"{shown} is not understood as a URL: {exc}", shown) from exc
    if parts.password is None:
        return url, {}
    host = parts.netloc.rpartition("@")[2]
    shown = parts._replace(netloc=f"{parts.username}@{host}" if parts.username else host).geturl()
    return shown, {"password": unquote(parts.password)}


def describe_filesystem(fs: Any, root: str) -> "Described":
    """Return the address of *root* in a filesystem of fsspec.

    Raises:
        SettingsError: It is none, or an asynchronous one, or *root* names no bucket.
        MissingExtraError: fsspec is not installed.
    """
    check_fsspec("ObjectStore(fs=…)")
    from runstore.places import _fsspec

    return _fsspec.describe(fs, root)

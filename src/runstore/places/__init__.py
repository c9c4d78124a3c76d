"""Where bytes are kept: one contract, one class for each kind of place, found by its scheme."""

from collections.abc import Mapping
from typing import Any

from runstore.places._base import Backend, Entry, copy_through, delete_each
from runstore.places._guarantees import Guarantees
from runstore.places._registry import Opener, Opening, open_with, opener_of, register_place
from runstore.places._wrapper import Wrapper

__all__ = [
    "Backend",
    "Entry",
    "Guarantees",
    "Opener",
    "Opening",
    "Wrapper",
    "copy_through",
    "delete_each",
    "open_backend",
    "register_place",
    "split_options",
]


def open_backend(
    url: str,
    *,
    durable: bool = False,
    options: Mapping[str, Any] | None = None,
    engine: str | None = None,
    timeout: float = 60,
    allow_torn: bool = False,
    borrowed: bool = False,
) -> Backend:
    """Open the place at *url*. Nothing is created before the first put.

    Args:
        url: Absolute: ``file:///path``, ``memory://name``, ``s3://bucket/prefix``…
        durable: Wait for the disk on every put; for local places.
        options: fsspec's storage options; neither memory nor a local place takes any.
        engine: ``obstore`` or ``s3fs``; for S3.
        timeout: Seconds without an answer, retries included; for remote places.
        allow_torn: Whether readers may see half of a write, where a place cannot do better.
        borrowed: Whether nobody will close it; for memory, see `MemoryBackend`.

    Raises:
        SettingsError: The URL's kind or an option is not known.
        MissingExtraError: What the place needs is not installed.
    """
    return open_with(
        Opening(
            url=url,
            options=dict(options or {}),
            engine=engine,
            timeout=timeout,
            durable=durable,
            allow_torn=allow_torn,
            borrowed=borrowed,
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
    secrets: frozenset[str] = getattr(opener_of(scheme), "secrets", frozenset())
    public = {name: value for name, value in options.items() if name not in secrets}
    return public, {name: value for name, value in options.items() if name in secrets}

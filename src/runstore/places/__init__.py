"""Where bytes are kept: one small contract, one class per kind of place."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from runstore.errors import SettingsError
from runstore.places._base import Backend, Entry

__all__ = ["Backend", "Entry", "open_backend", "split_options"]


def open_backend(
    url: str,
    *,
    durable: bool = False,
    options: Mapping[str, Any] | None = None,
    engine: str | None = None,
    timeout: float = 60,
    borrowed: bool = False,
) -> Backend:
    """Open the place at *url*. Nothing is created before the first put.

    Args:
        url: Absolute: ``file:///path``, ``memory://name`` or ``s3://bucket/prefix``.
        durable: Wait for the disk on every put; for local places.
        options: fsspec's storage options; neither memory nor a local place takes any.
        engine: ``obstore`` or ``s3fs``; for S3.
        timeout: Seconds without an answer, retries included; for S3.
        borrowed: Whether nobody will close it; for memory, see `MemoryBackend`.

    Raises:
        SettingsError: The URL's kind or an option is not known.
        MissingExtraError: What the place needs is not installed.
    """
    kind, _, rest = url.partition("://")
    if kind == "s3":
        from runstore.places._s3 import S3Backend

        return S3Backend(url, engine=engine, timeout=timeout, options=options)
    if engine is not None:
        shown = _shown(url)
        raise SettingsError(f"engine={engine!r} is for S3; {shown} takes none", shown)
    if options and kind in ("file", "memory"):
        known = ("engine", "pickle", "durable", "timeout", "cache")
        close = [one for name in options for one in get_close_matches(name, known, 1)]
        hint = f"; did you mean {' and '.join(map(repr, close))}?" if close else ""
        raise SettingsError(
            f"a {kind}:// store takes no storage options, but got {', '.join(sorted(options))}"
            f"{hint}",
            url,
        )
    if kind == "memory":
        from runstore.places._memory import MemoryBackend

        return MemoryBackend(rest, borrowed=borrowed)
    if kind == "file":
        if not rest.startswith("/"):
            raise SettingsError(
                f"{url} has no absolute path: write file:///path, or open it by ObjectStore", url
            )
        from runstore.places._local import LocalBackend

        return LocalBackend(rest, durable=durable)
    shown = _shown(url)
    raise SettingsError(
        f"{shown} is not a place this version of runstore can store in: use a path, file://, "
        "memory:// or s3://",
        shown,
    )


def split_options(url: str, options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options that may travel with a store's address, and those that must not.

    Raises:
        SettingsError: An option is not understood; the message has no values.
    """
    if url.startswith("s3://"):
        from runstore.places import _s3

        return _s3.split_options(options)
    return dict(options), {}


def _shown(url: str) -> str:
    """Return *url* for a message: without user, password and query, which may be secret."""
    kind, _, rest = url.partition("://")
    _, at, host = rest.rpartition("@")
    return f"{kind}://{'…@' if at else ''}{host.partition('?')[0]}"

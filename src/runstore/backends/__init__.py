"""Where bytes are kept: one small contract, one class per kind of place."""

from typing import Any

from runstore.backends._base import Backend, Entry
from runstore.errors import SettingsError

__all__ = ["Backend", "Entry", "open_backend"]


def open_backend(
    url: str, *, durable: bool = False, options: dict[str, Any] | None = None
) -> Backend:
    """Open the place at *url*. Nothing is created before the first put.

    Args:
        url: Absolute: ``file:///path``, or ``memory://name``.
        durable: Wait for the disk on every put; for local places.
        options: Storage options; neither memory nor a local place takes any.

    Raises:
        SettingsError: The URL's kind or an option is not known.
    """
    kind, _, rest = url.partition("://")
    if options and kind in ("file", "memory"):
        raise SettingsError(
            f"a {kind}:// store takes no storage options, but got {', '.join(sorted(options))}", url
        )
    if kind == "memory":
        from runstore.backends._memory import MemoryBackend

        return MemoryBackend(rest)
    if kind == "file":
        from runstore.backends._local import LocalBackend

        return LocalBackend(rest, durable=durable)
    raise SettingsError(
        f"{url} is not a place this version of runstore can store in: use a path, file:// or "
        "memory://",
        url,
    )

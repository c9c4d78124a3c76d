"""Which store a run uses, made absolute when the run starts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from runstore.context._models import StoreAddress
from runstore.errors import SettingsError

__all__ = ["absolute_url", "address_of", "default_address", "default_namespace"]


def default_namespace() -> str:
    """Return the namespace of runs that name none."""
    from runstore.settings import current_settings  # pydantic-settings is slow to import

    return current_settings().namespace


def default_address(url: str | None = None) -> StoreAddress:
    """Return the address of the default store, or of *url* with the default behaviour.

    Raises:
        SettingsError: The settings are not understood.
    """
    from runstore.settings import current_settings

    settings = current_settings()
    return StoreAddress(
        url=absolute_url(url or settings.url or ".runstore"),
        pickle=settings.pickle,
        durable=settings.durable,
        timeout=settings.timeout,
    )


def address_of(store: Any) -> StoreAddress:
    """Return the address of *store*: None, a URL or path, an address, or a store object.

    Raises:
        SettingsError: It is none of these.
    """
    if store is None:
        return default_address()
    if isinstance(store, StoreAddress):
        return store
    if isinstance(store, (str, os.PathLike)):
        return default_address(os.fspath(store))
    address = getattr(store, "address", None)
    if isinstance(address, StoreAddress):
        return address
    raise SettingsError(
        f"store={store!r} is not a store: pass a URL or path, or a runstore.ObjectStore"
    )


def absolute_url(url: str | os.PathLike[str]) -> str:
    """Return *url* so that it means the same from any working directory.

    Plain paths become ``file://`` URLs; ``~`` is the home directory.

    Raises:
        SettingsError: It is empty.
    """
    text = os.fspath(url)
    if not text:
        raise SettingsError("the store's address is empty: give a path or a URL")
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    elif "://" in text:
        return text.rstrip("/") if not text.endswith("://") else text
    return f"file://{Path(text).expanduser().absolute()}"

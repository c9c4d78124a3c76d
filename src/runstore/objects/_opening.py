"""Opening the place of a store: its address, and the credentials that stay in this process."""

import os
import secrets
import weakref
from typing import Any

from runstore.context import (
    CredentialsKey,
    StoreAddress,
    absolute_url,
    default_address,
    is_of_this_process,
    known_key,
    peek_run_context,
)
from runstore.errors import StoreClosedError
from runstore.places import (
    Backend,
    GivenFilesystem,
    describe_filesystem,
    merge_options,
    open_backend,
    split_options,
    split_url,
)

__all__ = ["address_for", "address_of_filesystem", "backend_at", "drop_credentials"]

_LIVE = "runstore filesystem"  # the name of no option

# Filesystems of the user's, by the token in StoreAddress.filesystem, while somebody has them. Where
# one is not, as in another process, it is made again from its JSON.
_filesystems: "weakref.WeakValueDictionary[str, Any]" = weakref.WeakValueDictionary()

# Secret options by StoreAddress.kept, for as long as an address has that key. They never
# leave this process, or a fork of it.
_credentials: "weakref.WeakKeyDictionary[CredentialsKey, dict[str, Any]]" = (
    weakref.WeakKeyDictionary()
)


def address_for(
    where: str | os.PathLike[str] | StoreAddress | None,
    behaviour: dict[str, Any],
    engine: str | None,
    options: dict[str, Any],
) -> tuple[StoreAddress, bool]:
    """Return the address of a store that is made with these arguments, all of them checked.

    Without *where* it is the store of the current run, else the default store.

    Args:
        where: A path, a URL, an address, or None.
        behaviour: ``pickle``, ``durable`` and ``timeout``, those that were given.
        engine: For S3.
        options: Storage options, secret ones, too: these are kept here.

    Returns:
        The address, and whether *options* have credentials that it names.

    Raises:
        SettingsError: The URL or an option is not understood.
    """
    base = _base(where, complete={"pickle", "durable", "timeout"} <= behaviour.keys())
    changes = behaviour | ({"engine": engine} if engine is not None else {})
    secret: dict[str, Any] = {}
    url, in_url = split_url(base.url)
    if in_url:
        changes["url"], options = url, in_url | options
    if options:
        public, secret = split_options(base.url, options)
        changes["options"] = merge_options(base.url, base.options, public)
        if secret:
            changes["kept"] = key = CredentialsKey.new()
            _credentials[key] = secret
    return base.model_copy(update=changes) if changes else base, bool(secret)


def address_of_filesystem(
    fs: Any, root: str, behaviour: dict[str, Any], engine: str | None
) -> tuple[StoreAddress, bool]:
    """Return the address of a store in a filesystem of the user's, as `address_for` does.

    Raises:
        SettingsError: It is no filesystem of fsspec, or cannot be used.
    """
    found = describe_filesystem(fs, root)
    if found.filesystem is None:
        return address_for(found.url, behaviour, engine, found.options)
    address, _ = address_for(found.url, behaviour, engine, {})
    token = secrets.token_hex(8)
    _filesystems[token] = fs
    changes: dict[str, Any] = {"filesystem": f"{token} {found.filesystem}"}
    if found.stays:
        changes["kept"] = key = CredentialsKey.new()
        _credentials[key] = {_LIVE: fs}
    return address.model_copy(update=changes), found.stays


def _base(where: str | os.PathLike[str] | StoreAddress | None, complete: bool) -> StoreAddress:
    if isinstance(where, StoreAddress):
        return where
    if where is None:
        ctx = peek_run_context()
        return ctx.store if ctx is not None else default_address()
    url = absolute_url(where)
    if complete and url.startswith(("file://", "memory://")):
        return StoreAddress(url=url)  # the settings say nothing of these
    return default_address(url)


def backend_at(address: StoreAddress, *, borrowed: bool = False) -> Backend:
    """Open the place of *address*.

    Args:
        address: It may name credentials that are kept here.
        borrowed: Whether nobody will close it.

    Raises:
        StoreClosedError: It names credentials that this process had and has given up.
    """
    key = known_key(address.kept) if address.kept is not None else None
    secret = dict(_credentials.get(key, {})) if key is not None else {}
    if not secret and address.kept is not None and is_of_this_process(address.kept):
        raise StoreClosedError(
            f"the store {address.url} was closed, and the credentials it was made with were given "
            "up: make it anew with key= and secret=, or what else it was made with",
            address.url,
        )
    filesystem = None
    if address.filesystem is not None:
        token, _, document = address.filesystem.partition(" ")
        live = secret.pop(_LIVE, None) or _filesystems.get(token)
        filesystem = GivenFilesystem(document, live)
    return open_backend(
        address.url,
        durable=address.durable,
        options=address.options | secret,
        engine=address.engine,
        timeout=address.timeout,
        allow_torn=address.allow_torn,
        borrowed=borrowed,
        filesystem=filesystem,
    )


def drop_credentials(address: StoreAddress) -> None:
    """Forget the credentials that *address* names; those who still have it cannot open it."""
    key = known_key(address.kept) if address.kept is not None else None
    if key is not None:
        _credentials.pop(key, None)

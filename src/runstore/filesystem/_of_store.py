"""What the filesystem is to fsspec: a store, looked up once, that travels without secrets."""

import hashlib
import os
from typing import Any

from fsspec.spec import AbstractFileSystem
from fsspec.utils import stringify_path

from runstore.arguments import check_flag, check_text
from runstore.context import (
    PicklePolicy,
    StoreAddress,
    default_address,
    known_key,
    peek_run_context,
)
from runstore.errors import SettingsError
from runstore.filesystem._paths import PROTOCOL, stripped
from runstore.store import ObjectStore, address_for, check_store

__all__ = ["OfStore"]

_OF_FSSPEC = ("use_listings_cache", "listings_expiry_time", "max_paths", "asynchronous", "loop")


class OfStore(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A filesystem of a store; the arguments are those of `RunstoreFileSystem`."""

    protocol = PROTOCOL
    cachable = False  # the store is that of the current run, and a later run may have another

    def __init__(
        self,
        store: str | os.PathLike[str] | StoreAddress | None = None,
        *,
        url: str | os.PathLike[str] | None = None,
        engine: str | None = None,
        pickle: PicklePolicy | None = None,
        durable: bool | None = None,
        timeout: float | None = None,
        allow_torn: bool | None = None,
        default: str | None = None,
        **options: Any,
    ) -> None:
        if store is not None and url is not None:
            raise SettingsError("store= and url= are the same: give one of them")
        check_store(engine, pickle, durable, timeout)
        of_fsspec = {name: options.pop(name) for name in _OF_FSSPEC if name in options}
        if allow_torn is not None:
            check_flag("RunstoreFileSystem", "allow_torn", allow_torn, error=SettingsError)
        given = {"pickle": pickle, "durable": durable, "timeout": timeout}
        given["allow_torn"] = allow_torn
        behaviour = {name: value for name, value in given.items() if value is not None}
        where = url if store is None else store
        if where is None and default is not None:
            where = _address_in(default)
        self.address, _ = address_for(where, behaviour, engine, options)
        super().__init__(**of_fsspec)
        self._store  # noqa: B018 - raises if it cannot be one; nothing is opened yet

    @property
    def _store(self) -> ObjectStore:
        return ObjectStore.from_address(self.address)

    @property
    def storage_args(self) -> tuple[Any, ...]:
        """Nothing: all is in `storage_options`."""
        return ()

    @storage_args.setter
    def storage_args(self, value: tuple[Any, ...]) -> None:
        """Ignore what fsspec sets: it may be secret."""

    @property
    def storage_options(self) -> dict[str, Any]:
        """What opens the same store in another process, without secrets."""
        address = self.address
        named = {"store": address.url, "pickle": address.pickle, "timeout": address.timeout}
        named |= {"durable": address.durable, "allow_torn": address.allow_torn}
        if address.engine is not None:
            named["engine"] = address.engine
        return named | address.options

    @storage_options.setter
    def storage_options(self, value: dict[str, Any]) -> None:
        """Ignore what fsspec sets: it may be secret."""

    @property
    def _fs_token(self) -> str:
        return hashlib.sha256(self.address.model_dump_json().encode()).hexdigest()

    @property
    def fsid(self) -> str:
        """The URL of the store."""
        return self.address.url

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.address,)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address.url!r})"

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        # So that a cache in front, of which fsspec keeps one for equal options, is one of this
        # store: the next run may have another.
        return {"default": _default_address().model_dump_json()}

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [_stripped(one) for one in path]
        return _stripped(path)


def _stripped(path: Any) -> str:
    text = stringify_path(path)
    check_text("RunstoreFileSystem", "path", text)
    return stripped(text)


def _default_address() -> StoreAddress:
    """Return the address of the store of the current run, or of the default store."""
    ctx = peek_run_context()
    return default_address() if ctx is None else ctx.store


def _address_in(text: str) -> StoreAddress:
    address = StoreAddress.model_validate_json(text)
    key = None if address.kept is None else known_key(address.kept)
    return address if key is None else address.model_copy(update={"kept": key})

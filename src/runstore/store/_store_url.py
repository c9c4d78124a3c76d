"""The URL of a store, which is also its verb for the URL of an object: both are called ``url``."""

from collections.abc import Callable
from typing import Any

from runstore.keys import Scope

__all__ = ["StoreUrl", "UrlOfStore"]


class StoreUrl(str):
    """Where a store is: a text that can be called, as the verb `Verbs.url` of the current run."""

    _verb: Callable[..., Any]

    def __call__(
        self,
        name: str,
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
    ) -> str:
        """Return the URL of the stored file of an object; see `Verbs.url`."""
        url: str = self._verb(name, scope=scope, run=run, namespace=namespace)
        return url

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (str(self),)


class UrlOfStore:
    """The attribute ``url`` of a class of stores: of the class the verb, of a store its URL.

    Args:
        verb: The verb, of a class that the store's is derived from.
        kind: What the URL is.
    """

    def __init__(self, verb: Callable[..., Any], kind: type[StoreUrl]) -> None:
        self._verb, self._kind = verb, kind
        self.__doc__ = kind.__doc__

    def __get__(self, store: Any, owner: type) -> Any:
        if store is None:
            return self._verb
        url = self._kind(store.address.url)
        url._verb = self._verb.__get__(store)
        return url

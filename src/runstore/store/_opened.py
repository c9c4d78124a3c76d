"""The stores that are open already, by their addresses."""

from typing import TYPE_CHECKING

from runstore.context import StoreAddress
from runstore.lifetime import Bounded

if TYPE_CHECKING:
    from runstore.objects import Overlay
    from runstore.store import ObjectStore

__all__ = ["opened", "opened_over", "remember", "unremember"]

_URLS_AT_MOST, _OF_ONE_URL_AT_MOST = 16, 4  # as with two engines; to open one is not cheap

_opened: "Bounded[str, tuple[tuple[StoreAddress, ObjectStore], ...]]" = Bounded(_URLS_AT_MOST)


def opened(address: StoreAddress) -> "ObjectStore | None":
    """Return the store that was opened for *address*, if it is one of the latest."""
    for known, store in _opened.get(address.url) or ():
        if known is address or known == address:
            return store
    return None


def remember(address: StoreAddress, store: "ObjectStore") -> None:
    """Keep *store*, so that `opened` finds it."""
    others = (_opened.get(address.url) or ())[: _OF_ONE_URL_AT_MOST - 1]
    _opened.put(address.url, ((address, store), *others))


def unremember(address: StoreAddress) -> None:
    """Forget the store of *address*, so that the next one is opened anew."""
    for known, store in _opened.get(address.url) or ():
        if known == address and store._now is not None:
            store._now.is_open = False
    _opened.drop(lambda url, stores: any(known == address for known, _ in stores))


def opened_over(address: StoreAddress, overlay: "Overlay") -> "ObjectStore":
    """Return a store on *overlay*, which is found by *address* in this process from now on."""
    from runstore.store import ObjectStore
    from runstore.store._objects import Objects

    store = ObjectStore.__new__(ObjectStore)
    store._brought_credentials = False
    store.address = address
    store._now = Objects(overlay, address.pickle)
    remember(address, store)
    return store

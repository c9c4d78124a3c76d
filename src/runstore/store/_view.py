"""The verbs of a store on one scope, without a run context."""

from typing import Any

from runstore import store as stores  # which has `ObjectStore` by the time a view is made
from runstore.arguments import check_instance, check_text
from runstore.errors import InvalidNameError
from runstore.objects import current_lease, traced
from runstore.store._shown import Mapped
from runstore.store._target import Target
from runstore.store._verbs import Verbs

__all__ = ["StoreView"]


class StoreView(Mapped, Verbs):
    """The verbs of a store on one namespace and run; what `ObjectStore.at` returns.

    A view that a stage has made can write as long as the stage's attempt can, also in a thread
    or process without a context.
    """

    def __init__(self, store: "stores.ObjectStore", namespace: str, run: str | None) -> None:
        check_instance("StoreView", "store", store, stores.ObjectStore, "an ObjectStore")
        check_text("StoreView", "namespace", namespace, error=InvalidNameError)
        check_text("StoreView", "run", run, optional=True, error=InvalidNameError)
        self.store = store
        self.namespace = namespace
        self.run = run
        self._lease = current_lease()
        self._last: Target | None = None  # a cache

    def _target(self) -> Target:
        # Code of a given-up attempt cannot write by any view, and code outside of any run cannot
        # write by a view that such an attempt has left.
        lease = current_lease() or self._lease
        objects, last = traced(self.store._objects, lease), self._last
        if last is None or last.objects is not objects or last.lease is not lease:
            address = self.store.address
            last = Target(objects, self.namespace, self.run, lease=lease, address=address)
            self._last = last
        return last

    def __reduce__(self) -> tuple[Any, ...]:
        state = None if self._lease is None else {"_lease": self._lease}
        return StoreView, (self.store, self.namespace, self.run), state

    def __repr__(self) -> str:
        return f"{self.store!r}.at(namespace={self.namespace!r}, run={self.run!r})"

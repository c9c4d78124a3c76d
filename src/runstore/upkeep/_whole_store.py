"""What clean-up, checks and audits need of a store: all that is in it, as bytes by place."""

from typing import Protocol

from runstore.context import StoreAddress
from runstore.objects import StoredObjects
from runstore.places import Backend

__all__ = ["WholeStore"]


class WholeStore(Protocol):
    """A store as a whole, as `runstore.ObjectStore` is one; no value of it is decoded."""

    @property
    def address(self) -> StoreAddress:
        """Where it is."""
        ...

    @property
    def backend(self) -> Backend:
        """What keeps the bytes; raises if the store was closed."""
        ...

    @property
    def _objects(self) -> StoredObjects:
        """Its objects; raises if the store was closed."""
        ...

    def namespaces(self) -> list[str]:
        """Return the namespaces that hold anything, sorted."""
        ...

    def runs_with_objects(self, namespace: str) -> list[str]:
        """Return the runs of *namespace* that hold objects, sorted."""
        ...

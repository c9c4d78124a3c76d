"""Where Flowdapt's objects and artifacts are: in a namespace of a store."""

from typing import Any

from runstore.context import get_run_context
from runstore.errors import ObjectNotFoundError
from runstore.store import ObjectStore, StoreView

__all__ = ["ArtifactNotFoundError", "namespace_view"]


class ArtifactNotFoundError(ObjectNotFoundError, FileNotFoundError):
    """There is no such artifact or file; Flowdapt raises FileNotFoundError."""


def namespace_view(
    namespace: str = "", protocol: str = "", base_path: str = "", **params: Any
) -> StoreView:
    """Return the verbs on a namespace.

    Args:
        namespace: By default that of the current run.
        protocol, base_path: Of another store than the run's; the protocol is ``file`` if it
            is not given.
        params: The storage options of that store.

    Raises:
        NoRunContextError: Outside a run, and not all that is needed is given.
    """
    if base_path:
        store = ObjectStore(f"{protocol or 'file'}://{base_path}", **params)
        return store.at(namespace=namespace or get_run_context().namespace)
    ctx = get_run_context()
    return ObjectStore.from_address(ctx.store).at(namespace=namespace or ctx.namespace)

"""The run of a test: entered for all of it, and left at its end."""

from collections.abc import Callable, Mapping
from typing import Any

from runstore.context import PicklePolicy, WorkflowRunContext
from runstore.context import run_context as entering
from runstore.pytest_plugin._place import TestPlace
from runstore.store import ObjectStore

__all__ = ["NAMESPACE", "entered"]

NAMESPACE = "test"


def entered(
    place: TestPlace,
    *,
    namespace: str = NAMESPACE,
    run: str | None = None,
    config: Mapping[str, Any] | None = None,
    input: Mapping[str, Any] | None = None,  # noqa: A002 - the context's field
    workflow: Any = "test",
    pickle: PicklePolicy = "allow",
) -> tuple[WorkflowRunContext, Callable[[], None]]:
    """Enter a run on the store of a test; return its context, and what leaves it again."""
    store = ObjectStore(place.url, pickle=pickle)
    block = entering(
        namespace=namespace,
        run=run,
        config=config,
        input=input,
        workflow=workflow,
        store=store,
        source="pytest",
    )
    # Not in a generator, whose context its caller would not see.
    ctx = block.__enter__()
    for field in ("input", "config"):
        getattr(ctx, field).named(field, in_test=True)

    def leave() -> None:
        block.__exit__(None, None, None)
        store.close()

    return ctx, leave

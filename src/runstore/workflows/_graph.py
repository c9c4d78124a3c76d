"""What the scheduler asks of the graph of stages and of calls."""

from concurrent.futures import CancelledError, Future
from typing import Any

from runstore.context import WorkflowRunContext
from runstore.workflows._plan import Plan, PlannedStage
from runstore.workflows._targets import listed

__all__ = ["input_items", "not_made", "users_of"]


def input_items(ctx: WorkflowRunContext, planned: PlannedStage) -> "Future[list[Any]]":
    """Return a future of the items of the input that a stage is mapped over; it is done."""
    future: Future[list[Any]] = Future()
    key = str(planned.map_input)
    try:
        future.set_result(listed(planned.stage.name, key, ctx.input[key], of_input=True))
    except Exception as exc:  # noqa: BLE001 - the stage fails with it, as with code of its own
        future.set_exception(exc)
    return future


def not_made(future: "Future[Any]") -> bool:
    """Return whether a call of this machine was cancelled; then it had not begun."""
    return future.cancelled() or isinstance(future.exception(), CancelledError)


def users_of(plan: Plan) -> dict[str, set[str]]:
    """Return, for each stage, which others are given its result."""
    users: dict[str, set[str]] = {name: set() for name in plan.stages}
    for name, planned in plan.stages.items():
        for other in (*planned.passes, *([planned.map_on] if planned.map_on else [])):
            users[other].add(name)
    return users

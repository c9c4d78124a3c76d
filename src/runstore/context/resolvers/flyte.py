"""Flyte 2: tasks, by the context of the package ``flyte``."""

import sys
from typing import Any

from runstore.context.resolvers._found import Found, Here, run_name

__all__ = ["MODULE", "here"]

MODULE = "flyte"


def here() -> Here | None:
    """Return the action in which this code is."""
    ctx: Any = getattr(sys.modules[MODULE], "ctx", lambda: None)()
    if not ctx or ctx.action is None:
        return None
    action, attempt = _action(ctx), _attempt(ctx)
    key = (action.org, action.project, action.domain, action.run_name, action.name, attempt)
    return Here(key, lambda: _found(ctx))


def _action(ctx: Any) -> Any:
    """Return the action of the task, also in a function that the task traces as its own action."""
    return getattr(ctx, "task_action", None) or ctx.action


def _attempt(ctx: Any) -> int:
    """Return the attempt, from 1; Flyte counts from 0, and does not count on one machine."""
    return int(getattr(ctx, "attempt_number", 0)) + 1


def _found(ctx: Any) -> Found:
    action = _action(ctx)
    parts = [part for part in (action.project, action.domain) if part]
    return Found(
        workflow="flyte",
        run=run_name("flyte", action.run_name),
        uid=action.run_name,
        namespace="-".join(parts) or None,
        stage=action.name,
        attempt=_attempt(ctx),
        started_at=ctx.run_start_time,
    )

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
    action = ctx.action
    key = (action.org, action.project, action.domain, action.run_name, action.name)
    return Here(key, lambda: _found(ctx))


def _found(ctx: Any) -> Found:
    action = ctx.action
    parts = [part for part in (action.project, action.domain) if part]
    return Found(
        workflow="flyte",
        run=run_name("flyte", action.run_name),
        uid=action.run_name,
        namespace="-".join(parts) or None,
        stage=action.name,
        started_at=ctx.run_start_time,
    )

"""Metaflow: steps, each in a process of its own."""

import sys
from typing import Any

from runstore.context.resolvers._found import Found, Here, run_name

__all__ = ["MODULE", "here"]

MODULE = "metaflow"


def here() -> Here | None:
    """Return the task in which this code is."""
    current: Any = getattr(sys.modules[MODULE], "current", None)
    if current is None or not current.is_running_flow or current.step_name is None:
        return None
    key = (current.flow_name, current.run_id, current.task_id, current.retry_count)
    return Here(key, lambda: _found(current))


def _found(current: Any) -> Found:
    name, run = current.flow_name, current.run_id
    parameters = current.get("parameters") or {}
    return Found(
        workflow=name,
        run=run_name(name, run),
        uid=f"{name}/{run}",
        stage=current.step_name,
        attempt=current.retry_count + 1,
        input=parameters if isinstance(parameters, dict) else dict(parameters),
    )

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
    flow: Any = _flow()
    names = current.get("parameter_names") or ()
    return Found(
        workflow=name,
        run=run_name(name, run),
        uid=f"{name}/{run}",
        stage=current.step_name,
        attempt=current.retry_count + 1,
        map_index=getattr(flow, "index", None),  # of the innermost foreach
        input={each: getattr(flow, each) for each in names if hasattr(flow, each)},
    )


def _flow() -> object:
    """Return the flow whose step runs in this process; None where Metaflow does not tell."""
    module = sys.modules.get("metaflow.system_context")
    return getattr(getattr(module, "system_context", None), "flow", None)

"""Airflow 3: tasks of the task SDK, mapped ones too."""

import sys
from typing import Any

from runstore.context.resolvers._found import Found, Here, run_name

__all__ = ["MODULE", "here"]

MODULE = "airflow.sdk"
_CONTEXTS = "airflow.sdk.definitions._internal.contextmanager"


def here() -> Here | None:
    """Return the task instance in which this code is."""
    if _CONTEXTS not in sys.modules:
        return None
    sdk: Any = sys.modules[MODULE]
    try:
        context = sdk.get_current_context()
    except RuntimeError:  # outside of a task
        return None
    task = context["ti"]
    key = (task.dag_id, task.run_id, task.task_id, task.map_index, task.try_number)
    return Here(key, lambda: _found(context, task))


def _found(context: Any, task: Any) -> Found:
    run = context.get("dag_run")
    mapped = task.map_index is not None and task.map_index >= 0
    return Found(
        workflow=task.dag_id,
        run=run_name(task.dag_id, task.run_id),
        uid=f"{task.dag_id}/{task.run_id}",
        stage=task.task_id,
        attempt=task.try_number,
        map_index=task.map_index if mapped else None,
        started_at=getattr(run, "start_date", None),
        input=dict(context.get("params") or {}),
    )

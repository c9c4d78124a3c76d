"""Prefect 3: flows and tasks."""

import sys
from dataclasses import replace
from typing import Any

from runstore.context.resolvers._found import Found, Here, run_name

__all__ = ["MODULE", "here"]

MODULE = "prefect.context"


def here() -> Here | None:
    """Return the flow run, and the task run in it, in which this code is."""
    context: Any = sys.modules[MODULE]
    flow = context.FlowRunContext.get()
    task = context.TaskRunContext.get()
    if task is not None:
        run = task.task_run
        return Here((run.id, run.run_count), lambda: _task(task, flow))
    if flow is None or flow.flow_run is None:
        return None
    run = flow.flow_run
    return Here((run.id, run.run_count), lambda: _flow(flow))


def _flow(flow: Any) -> Found:
    run = flow.flow_run
    name = flow.flow.name if flow.flow is not None else "flow"
    return Found(
        workflow=name,
        run=run_name(name, str(run.id)),
        uid=str(run.id),
        attempt=max(run.run_count, 1),
        started_at=run.start_time or flow.start_time,
        input=flow.parameters or {},
    )


def _task(task: Any, flow: Any) -> Found:
    run, name = task.task_run, task.task.name
    if run.flow_run_id is None:  # a task that was called outside of any flow is a run of its own
        found = _named(name, run.id)
    elif flow is not None and flow.flow_run is not None:
        found = _flow(flow)
    else:
        found = _named("flow", run.flow_run_id)
    return replace(found, stage=name, attempt=max(run.run_count, 1))


def _named(workflow: str, run: Any) -> Found:
    return Found(workflow=workflow, run=run_name(workflow, str(run)), uid=str(run))

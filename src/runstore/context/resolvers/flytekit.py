"""Flyte with flytekit: tasks on a cluster.

Local executions of flytekit all have the id ``local``, inside and outside of tasks. So no run is
found in them.
"""

import os
import sys
from typing import Any

from runstore.context.resolvers._found import Found, Here, run_name

__all__ = ["MODULE", "here"]

MODULE = "flytekit"


def here() -> Here | None:
    """Return the task in which this code is."""
    module: Any = sys.modules[MODULE]
    state = module.FlyteContextManager.current_context().execution_state
    parameters: Any = None if state is None else state.user_space_params
    run = None if parameters is None else parameters.execution_id
    if run is None or (run.project, run.domain, run.name) == ("local", "local", "local"):
        return None
    task = parameters.task_id
    attempt = _attempt()
    key = (run.project, run.domain, run.name, task.name, attempt)
    return Here(key, lambda: _found(run, task, parameters, attempt))


def _attempt() -> int:
    """Return the attempt, from 1; Flyte counts from 0."""
    number = os.environ.get("FLYTE_ATTEMPT_NUMBER", "")
    return int(number) + 1 if number.isdigit() else 1


def _found(run: Any, task: Any, parameters: Any, attempt: int) -> Found:
    return Found(
        workflow="flyte",
        run=run_name("flyte", run.name),
        uid=run.name,
        namespace=f"{run.project}-{run.domain}",
        stage=task.name,
        attempt=attempt,
        started_at=parameters.execution_date,
    )

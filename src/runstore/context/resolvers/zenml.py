"""ZenML: steps of a pipeline."""

import sys
from typing import Any

from runstore.context.resolvers._found import Found, Here, run_name

__all__ = ["MODULE", "here"]

MODULE = "zenml"
_CONTEXT = "zenml.steps.step_context"


def here() -> Here | None:
    """Return the step run in which this code is."""
    module: Any = sys.modules.get(_CONTEXT)
    context = None if module is None else module.StepContext.get()
    if context is None:
        return None
    return Here(context.step_run.id, lambda: _found(context))


def _found(context: Any) -> Found:
    run, step = context.pipeline_run, context.step_run
    name = run.pipeline.name if run.pipeline is not None else run.name
    return Found(
        workflow=name,
        run=run_name(name, str(run.id)),
        uid=str(run.id),
        stage=context.step_name,
        attempt=getattr(step, "version", None) or 1,
        started_at=run.start_time,
        input=getattr(run.config, "parameters", None) or {},
    )

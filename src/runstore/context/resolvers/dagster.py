"""Dagster: ops and assets, in a job, in a materialization, in any executor."""

import sys
from typing import Any

from runstore.context.resolvers._found import Found, Here, run_name

__all__ = ["MODULE", "here", "is_unnamed", "workflow_of"]

MODULE = "dagster"
_COMPUTE = "dagster._core.execution.context.compute"
_UNNAMED = ("__ephemeral_asset_job__", "__ASSET_JOB", "__anonymous_asset_job")  # for assets of none


def here() -> Here | None:
    """Return the step in which this code is."""
    compute: Any = sys.modules.get(_COMPUTE)
    context = None if compute is None else compute.current_execution_context.get()
    if context is None:
        return None
    context = getattr(context, "op_execution_context", context)
    step = context.get_step_execution_context()
    key = (context.run_id, step.step.key, step.previous_attempt_count)
    return Here(key, lambda: _found(context))


def _found(context: Any) -> Found:
    run, step = context.run, context.get_step_execution_context()
    job, stage = workflow_of(run), str(context.op_handle)
    return Found(
        workflow=job,
        run=run_name(job, run.run_id),
        uid=run.run_id,
        stage=stage,
        attempt=step.previous_attempt_count + 1,
        map_index=_index(context.get_mapping_key()),
        input=run.run_config or {},
    )


def workflow_of(run: Any) -> str:
    """Return the name of what a run of Dagster executes: a job, an asset of none, or `assets`."""
    job: str = run.job_name
    if not is_unnamed(job):
        return job
    selected = sorted(key.to_user_string() for key in run.asset_selection or ())
    return selected[0] if len(selected) == 1 else "assets"


def is_unnamed(job: str) -> bool:
    """Return whether a job is one that Dagster makes to run assets, which has no name of a user."""
    return job.startswith(_UNNAMED)


def _index(key: str | None) -> int | None:
    """Return a mapping key as an index where it is a number; Dagster's keys are text."""
    return int(key) if key is not None and key.isdigit() else None

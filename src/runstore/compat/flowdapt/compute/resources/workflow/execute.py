"""Flowdapt's `execute_workflow`, on `runstore.run_workflow`."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from runstore.context import Workflow, WorkflowRun
from runstore.errors import StageError
from runstore.workflows import run_workflow

__all__ = ["execute_workflow"]


async def execute_workflow(
    workflow: Workflow | Mapping[str, Any] | str,
    input: Mapping[str, Any] | None = None,  # noqa: A002 - Flowdapt's name
    *,
    namespace: str = "default",
    return_result: bool = False,
    run: str | None = None,
    executor: str | None = None,
    config: Mapping[str, Any] | None = None,
    **params: Any,
) -> Any:
    """Run a workflow; the event loop goes on meanwhile.

    Args:
        workflow: A definition, a dict of its shape or of the short one (``name`` and
            ``stages``), or a path.
        input: What stages are given by name, and find in the context.
        namespace: The namespace of the run.
        return_result: Return what the last stage returned, instead of the run's record; a
            failed stage's own error is raised.
        run: The run's name.
        executor: ``local``, ``dask`` or ``ray``.
        config: The values of the context's ``config``.
        params: For the local executor Flowdapt's ``use_processes`` and ``cpus``; others go to
            ``executor_options`` of `runstore.run_workflow`.

    Returns:
        The record of the run, finished or failed; or the result.

    Raises:
        RunStoreError: As `runstore.run_workflow`, but for a failed stage.
    """
    engine = executor or "local"
    call = partial(
        run_workflow,
        _definition(workflow),
        input=input,
        namespace=namespace,
        executor=engine,
        executor_options=_options(engine, params),
        config=config,
        run=run,
        raise_on_failure=return_result,
    )
    try:
        record: WorkflowRun = await asyncio.to_thread(call)
    except StageError as error:
        if error.__cause__ is None:
            raise
        raise error.__cause__ from error
    return record.result if return_result else record


def _definition(workflow: Any) -> Any:
    """Return the definition; the short shape of Flowdapt's examples becomes the whole one."""
    if isinstance(workflow, Mapping) and "stages" in workflow and "spec" not in workflow:
        rest = {key: value for key, value in workflow.items() if key not in ("name", "stages")}
        metadata = {"name": workflow.get("name", "workflow"), **rest.pop("metadata", {})}
        return {**rest, "metadata": metadata, "spec": {"stages": workflow["stages"]}}
    return workflow


def _options(executor: str, params: Mapping[str, Any]) -> dict[str, Any]:
    options = dict(params)
    if executor != "local":
        return options
    if "use_processes" in options:
        options["mode"] = "processes" if options.pop("use_processes") else "threads"
    cpus = options.pop("cpus", "auto")
    if cpus != "auto":
        options["workers"] = cpus
    return options

"""The run context that Flowdapt's object store wants to be called in."""

from flowdapt.compute.resources.workflow.context import WorkflowRunContext, set_run_context

__all__ = ["enter_run"]


def enter_run() -> None:
    """Set one for this process; nothing of it is read but namespace and executor."""
    context = WorkflowRunContext.model_construct(namespace="benchmarks", executor="local")
    set_run_context(context)

"""Flowdapt's run context: the current one, and how to set it."""

from runstore.context import Entry, WorkflowRunContext, enter, get_run_context, leave

__all__ = ["WorkflowRunContext", "get_run_context", "reset_run_context", "set_run_context"]


def set_run_context(context: WorkflowRunContext) -> Entry:
    """Make *context* the current one of this thread or task, until it is reset.

    Where code can be indented, `runstore.use_run_context` does it for a block.

    Returns:
        What `reset_run_context` takes.
    """
    return enter(Entry(context))


def reset_run_context(token: Entry) -> None:
    """Leave the context that `set_run_context` has entered; the one before is current again."""
    leave(token)

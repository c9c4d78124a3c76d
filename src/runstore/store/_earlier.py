"""Which run is meant by ``workflow="train"`` and by ``run=-1``."""

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from runstore.arguments import check_choice, check_text, unfit
from runstore.context import peek_run_context
from runstore.errors import InvalidRequestError, ObjectNotFoundError
from runstore.names import check_namespace
from runstore.runs import latest_finished, latest_named, near_workflows, newest_first, read_run
from runstore.store._target import Target

if TYPE_CHECKING:
    from runstore.runs import ReadThen

__all__ = ["earlier_run"]


def earlier_run(
    call: str, target: Target, scope: Any, run: Any, namespace: Any, workflow: Any
) -> str:
    """Return the name of the run that is meant.

    Args:
        call: The verb, for messages.
        target: Where it works.
        scope, run, namespace, workflow: Its arguments; one of *run* and *workflow* is no name.

    Raises:
        InvalidRequestError: One is of a wrong type, or they contradict each other.
        ObjectNotFoundError: There is no such run.
    """
    check_text(call, "workflow", workflow, optional=True)
    check_text(call, "namespace", namespace, optional=True)
    check_choice(call, "scope", scope, ("run", "namespace"))
    if type(run) is str and workflow is not None:
        raise InvalidRequestError(
            f"{call}: run={run!r} names a run, and workflow={workflow!r} asks for the latest of a "
            "workflow: give one of them"
        )
    meant = "the name of a run, -1 for the newest finished one, -2 for the one before it, or None"
    if run is not None and (type(run) is not int or run >= 0):
        raise unfit(call, "run", meant, run, "give run= or workflow=" if type(run) is str else "")
    if scope == "namespace":
        raise InvalidRequestError(
            f"{call}: scope='namespace' is shared by all runs, so run= and workflow= have no "
            "meaning there"
        )
    space = check_namespace(target.namespace if namespace is None else namespace)
    of = workflow or (None if run is None else target.workflow)
    then: ReadThen | None = getattr(target.objects.backend, "read_then", None)
    if then is not None:
        count = 1 if run is None else -run
        found = then.meant(target.objects.backend, space, of, count, earlier=run is not None)
    elif run is None:
        found = _latest(target, space, workflow)
    else:
        found = _counted(target, space, of, -run)
    if found is None:
        whose = "" if of is None else f" of workflow {of!r}"
        error = ObjectNotFoundError(
            f"{call}: there is no finished run{whose} in namespace {space!r} "
            f"({target.objects.backend.url})" + ("" if run in (None, -1) else f" for run={run}"),
            f"{space}/{workflow or run}",
        )
        if of is not None and run is None:
            error.look = partial(near_workflows, target.objects.backend, space, of)
        raise error
    return found


def _latest(target: Target, namespace: str, workflow: str) -> str | None:
    backend = target.objects.backend
    found = latest_named(backend, namespace, workflow)
    return latest_finished(backend, namespace, workflow) if found is None else found


def _counted(target: Target, namespace: str, workflow: str | None, count: int) -> str | None:
    """Return the run that is so many before this one, of a workflow or of any."""
    at_once, own = max(2, min(count + 1, 32)), _start_of_own(target)
    before = None if own is None else own.timestamp()
    for run in newest_first(target.objects.backend, namespace, at_once=at_once, before=before):
        if run.name == target.run and namespace == target.namespace:
            continue
        if own is not None and (run.started_at is None or run.started_at > own):
            continue  # it began after this one
        if run.state == "finished" and workflow in (None, run.workflow):
            count -= 1
            if not count:
                return run.name
    return None


def _start_of_own(target: Target) -> datetime | None:
    """Return when the run began that *target* is of; None if it is of none, or has no record."""
    if target.run is None:
        return None
    ctx = peek_run_context()
    if ctx is not None and (ctx.namespace, ctx.run.name) == (target.namespace, target.run):
        return ctx.run.started_at
    try:
        return read_run(target.objects.backend, target.run, target.namespace).started_at
    except ObjectNotFoundError:
        return None

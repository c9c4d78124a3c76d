"""How a run gets its name."""

import re
import secrets
import uuid
from datetime import UTC, datetime

from runstore.arguments import check_instance, check_text
from runstore.context._records import WorkflowRun
from runstore.names import check_namespace, check_run

__all__ = ["new_run", "new_run_name", "now"]

_LONGEST_STEM = 80  # leaves room for time and random part within a scope's 128 bytes


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def new_run_name(workflow: str, at: datetime | None = None) -> str:
    """Return a new run name: ``<workflow>-<UTC time to the millisecond>-<random>``.

    Names of one workflow sort by time. Characters that a path would have to encode are
    replaced by ``-``. The random part distinguishes runs that start in the same millisecond.

    Raises:
        InvalidRequestError: *workflow* is no str, or *at* is no `datetime`.
    """
    check_text("new_run_name", "workflow", workflow)
    check_instance("new_run_name", "at", at, (datetime, type(None)), "a datetime or None")
    at = now() if at is None else at
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", workflow)[:_LONGEST_STEM].lstrip("_.") or "run"
    return f"{stem}-{at:%Y%m%dT%H%M%S}.{at.microsecond // 1000:03d}Z-{secrets.token_hex(4)}"


def new_run(
    workflow: str, *, namespace: str, name: str | None = None, source: str = "manual"
) -> WorkflowRun:
    """Return the record of a run that starts now.

    Raises:
        InvalidNameError: *name* or *namespace* breaks the naming rules.
        InvalidRequestError: *workflow* or *source* is no str.
    """
    check_text("new_run", "workflow", workflow)
    check_text("new_run", "source", source)
    check_namespace(namespace)  # here, or pydantic wraps what it raises
    if name is not None:
        check_run(name)
    started = now()
    return WorkflowRun.model_construct(  # all of it has been checked
        uid=str(uuid.uuid4()),
        name=name if name is not None else new_run_name(workflow, started),
        namespace=namespace,
        workflow=workflow,
        source=source,
        started_at=started,
        state="running",
    )

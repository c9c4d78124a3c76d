"""The secrets of a run: its own, and those of the runs in whose stages it was started."""

from runstore.context import WorkflowRunContext, find_run_context
from runstore.secret_names import Secrets

__all__ = ["secrets_around", "secrets_of"]


def secrets_around() -> Secrets | None:
    """Return the secrets of the run in which this is called; None outside of runs.

    Those of the runs around that one are known only in the process in which it was started.
    """
    outer = find_run_context()
    if outer is None:
        return None
    lease, above = outer.lease, list[Secrets]()
    while lease is not None:
        if isinstance(lease.secrets, Secrets):
            above.append(lease.secrets)
        lease = lease.parent
    return Secrets(outer.input, outer.config, *above)


def secrets_of(ctx: WorkflowRunContext) -> Secrets:
    """Return the secrets of a run that is started here, and let runs in its stages have them."""
    lease = ctx.lease
    if lease is not None and isinstance(lease.secrets, Secrets):
        return lease.secrets
    around = secrets_around()
    secrets = Secrets(ctx.input, ctx.config, *(() if around is None else (around,)))
    if lease is not None:
        lease.secrets = secrets
    return secrets

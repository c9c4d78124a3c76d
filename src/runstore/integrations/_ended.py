"""How a run of an orchestrator has ended, as its hooks tell it."""

import logging
from typing import Literal

from runstore.context import default_namespace
from runstore.context.resolvers import run_name
from runstore.errors import RunStoreError
from runstore.settings import current_settings
from runstore.store import ObjectStore, run_has_ended

__all__ = ["run_ended"]

_log = logging.getLogger("runstore.integrations")


def run_ended(
    workflow: str,
    run: str,
    state: Literal["finished", "failed"],
    error: str | None = None,
    *,
    namespace: str | None = None,
    url: str | None = None,
) -> None:
    """Write into the record of a run how it has ended, if it has one.

    From then on it is found by ``get(workflow=)`` and goes by the rules of retention. The run of
    the orchestrator does not fail with the store: if that cannot be reached, it is logged. That
    there was no record is logged, too, as information. In a process that has written in the run,
    the record of each store in which it has written is closed, too.

    Args:
        workflow: The name of the workflow, as the context of the run has it.
        run: The orchestrator's id of the run.
        state: How it has ended.
        error: Why it failed.
        namespace: By default the setting ``RUNSTORE_NAMESPACE``, else ``default``.
        url: The store; by default ``RUNSTORE_URL``, else ``.runstore``, and also each of
            ``RUNSTORE_RUN_STORES``: for a hook that runs elsewhere, as in a scheduler, and cannot
            know in which stores tasks have written.
    """
    name = run_name(workflow, run)
    at = namespace or "default"
    known = False
    try:
        at = default_namespace() if namespace is None else namespace
        stores = (None, *current_settings().run_stores) if url is None else (url,)
    except RunStoreError as exc:
        _not_told(at, name, exc)
        return
    for store in stores:
        try:
            record = run_has_ended(ObjectStore(store).backend, at, name, state, error)
        except RunStoreError as exc:
            known = True
            _not_told(at, name, exc)
        else:
            known = known or record is not None
    if not known:
        _log.info("run %s/%s has ended, and has no record: nothing was put in it", at, name)


def _not_told(namespace: str, run: str, error: RunStoreError) -> None:
    _log.warning(
        "the record of run %s/%s does not say that it has ended: %s", namespace, run, error
    )

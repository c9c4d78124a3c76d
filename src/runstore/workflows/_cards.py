"""The card of a run as an object of the run, where its workflow asks for one."""

import warnings
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING

from runstore.arguments import printable
from runstore.context import Workflow, WorkflowRun
from runstore.errors import ObjectExistsError, RunStoreError, RunStoreWarning

if TYPE_CHECKING:
    from runstore.store import ObjectStore

__all__ = ["check_cards", "put_card"]


def check_cards(workflow: Workflow) -> None:
    """Raise MissingExtraError if runs of *workflow* shall put cards and those cannot be made."""
    if workflow.spec.card:
        from runstore.pages import check_installed

        check_installed(f"workflow {workflow.metadata.name!r} has `card: true`, and cards need")


def put_card(store: "ObjectStore", run: WorkflowRun) -> None:
    """Put the card of a run that has ended; where that fails, give a warning: the run is done."""
    from runstore.pages import CARD, run_card

    ref = f"{run.namespace}/{run.name}"
    try:
        page = run_card(store, run.name, namespace=run.namespace, record=run)
        # In no context: the run has ended, and its context can write no more.
        view = Context().run(partial(store.at, namespace=run.namespace, run=run.name))
        Context().run(partial(view.put, CARD, page, if_absent=True))
    except ObjectExistsError:
        _warn(f"run {ref!r} has no card: one of its stages has put an object {CARD!r}")
    except RunStoreError as exc:
        _warn(f"the card of run {ref!r} could not be put: {exc}")


def _warn(message: str) -> None:
    warnings.warn(RunStoreWarning(printable(message)), stacklevel=4)

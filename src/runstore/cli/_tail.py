"""`tail`: how a run goes on: what its stages do and log, until it has ended."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runstore.cli._completion import complete_ref
from runstore.cli._exits import FAILED
from runstore.cli._options import DebugOption, StoreOption, open_store
from runstore.cli._output import emit
from runstore.cli._refs import Ref, parse_run, resolved
from runstore.cli._resume import taken_over
from runstore.errors import InvalidRequestError
from runstore.texts import duration, elapsed, instant

if TYPE_CHECKING:
    from runstore.context import StageRecord, WorkflowRun
    from runstore.store import ObjectStore

__all__ = ["tail"]

_NEAR, _FAR = 0.5, 2.0  # seconds between two looks at the record
_ENDED = ("finished", "failed", "lost")


def tail(
    ref: Annotated[
        str,
        typer.Argument(metavar="REF", help="NS/RUN, or NS/_latest.", autocompletion=complete_ref),
    ],
    follow: Annotated[
        bool,
        typer.Option("--follow/--no-follow", help="Go on until the run has ended."),
    ] = True,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, metavar="N", help="Of each stage's log at first.")
    ] = 20,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Show what the stages of a run do and log, until it has ended.

    A run can be watched from any machine that sees its store. What a stage logs appears when the
    stage has ended. The exit code is 1 if the run has failed or its process is gone.
    """
    place = open_store(store)
    at = resolved(place, parse_run(ref), complete=True)
    if at.only_run is None or at.name:
        raise InvalidRequestError(f"{ref!r} is no run: write NS/RUN, or NS/_latest", ref)
    state = _Watch(place, at, lines).until_the_end(follow)
    if state in ("failed", "lost"):
        raise typer.Exit(FAILED)


class _Watch:
    """Prints what is new of a run at each look.

    Args:
        store: Where its record is.
        at: The run.
        lines: How many lines of a log are shown when it is first seen.
    """

    def __init__(self, store: "ObjectStore", at: Ref, lines: int) -> None:
        self._store, self._at, self._lines = store, at, lines
        self._states: dict[str, str] = {}
        self._logged: dict[str, str] = {}
        self._wait = _NEAR if store.backend.guarantees.mapped else _FAR

    def until_the_end(self, follow: bool) -> str:
        """Print what there is, and with *follow* what comes; return the state at the end."""
        assert self._at.run is not None
        while True:
            run = self._store.read_run(self._at.run, namespace=self._at.namespace)
            if not self._states:
                emit(f"{self._at}: {run.workflow}, {run.source}, {instant(run.started_at)}")
            for stage in run.stages:
                self._tell(stage)
            if run.state in _ENDED or not follow:
                emit(f"run {run.state}{_took(run)}{f': {run.error}' if run.error else ''}")
                return run.state
            time.sleep(self._wait)

    def _tell(self, stage: "StageRecord") -> None:
        from runstore.runs import read_log

        before = self._logged.get(stage.name)
        seen = self._states.setdefault(stage.name, "pending") == stage.state
        if not seen:
            self._states[stage.name] = stage.state
            reason = f": {stage.error}" if stage.error else ""
            taken = taken_over(stage, self._at.namespace)
            whole = taken.startswith("taken over")  # its times are those of the earlier run
            took = "" if whole else _took(stage)
            emit(f"{stage.name}: {stage.state}{took}{f': {taken}' if taken else ''}{reason}")
        if stage.logs is None or (seen and before is not None and stage.state != "running"):
            return
        text = read_log(self._store.backend, self._at.namespace, str(self._at.run), stage.name)
        self._logged[stage.name] = text
        if before is not None and text.startswith(before):
            new = text[len(before) :].splitlines()
        else:
            new = text.splitlines()
            new = new[-self._lines :] if self._lines else []
        for line in new:
            emit(f"  {line}")


def _took(record: "WorkflowRun | StageRecord | Any") -> str:
    span = elapsed(record.started_at, record.finished_at)
    return "" if span is None else f" after {duration(span)}"

"""What happens in a run, told to the log and to whoever asked."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from runstore.context import WorkflowRun

__all__ = ["OnEvent", "Reporter", "RunEvent"]

_log = logging.getLogger("runstore.workflow")


@dataclass(frozen=True)
class RunEvent:
    """Something happened in a run.

    Attributes:
        kind: ``run`` and ``stage`` when their state changed, ``item`` when one item
            of a mapped stage is done, ``retry`` when a call failed and is made again,
            ``executor`` when stages run on an engine with addresses of its own.
        run: The run's name.
        stage: The stage's name, or None for ``run`` and ``executor``.
        state: What it is now: running, finished, failed or skipped.
        done: How many items of the stage, or stages of the run, are done.
        total: Of how many.
        seconds: How long it took, or None if it still runs.
        message: The same in words, as in the log.
        failed: How many items of the stage have failed and were left out so far.
    """

    kind: Literal["run", "executor", "stage", "item", "retry"]
    run: str
    stage: str | None
    state: Literal["running", "finished", "failed", "skipped"]
    done: int
    total: int
    seconds: float | None
    message: str
    failed: int = 0


OnEvent = Callable[[RunEvent], None]


class Reporter:
    """Tells the events of one run, from the thread that called `run_workflow`.

    A callback that raises is logged and not called again: the run is worth more
    than the report of it.
    """

    def __init__(self, run: WorkflowRun, on_event: OnEvent | None) -> None:
        self._run = run
        self._on_event = on_event

    def run(
        self,
        state: Literal["running", "finished", "failed"],
        done: int,
        total: int,
        seconds: float | None = None,
        error: str | None = None,
    ) -> None:
        """The run is *state* now; *done* of its *total* stages are finished."""
        where = f"run {self._run.namespace}/{self._run.name} of workflow {self._run.workflow}"
        message = f"{where}: {_told(state, seconds, error)}"
        self._tell(RunEvent("run", self._run.name, None, state, done, total, seconds, message))

    def executor(self, location: str, total: int) -> None:
        """The run has an engine with addresses, of its dashboard perhaps."""
        message = f"run {self._run.namespace}/{self._run.name}: runs on {location}"
        self._tell(RunEvent("executor", self._run.name, None, "running", 0, total, None, message))

    def stage(
        self,
        name: str,
        state: Literal["running", "finished", "failed", "skipped"],
        done: int,
        total: int,
        seconds: float | None = None,
        error: str | None = None,
    ) -> None:
        """A stage is *state* now; *done* of its *total* items are done."""
        message = f"{self._at(name)}: {_told(state, seconds, error)}"
        self._tell(RunEvent("stage", self._run.name, name, state, done, total, seconds, message))

    def item(self, name: str, done: int, total: int, failed: int = 0) -> None:
        """One more item of a mapped stage is done; *failed* of them were left out."""
        message = f"{self._at(name)}: {done} of {total} items done"
        message += f", {failed} failed" if failed else ""
        self._tell(
            RunEvent("item", self._run.name, name, "running", done, total, None, message, failed)
        )

    def retry(self, name: str, done: int, total: int, attempt: int, error: str) -> None:
        """A call failed and is made again, for the *attempt*-th time."""
        message = f"{self._at(name)}: retried, attempt {attempt}, after {error}"
        self._tell(RunEvent("retry", self._run.name, name, "running", done, total, None, message))

    def _at(self, stage: str) -> str:
        return f"run {self._run.namespace}/{self._run.name} stage {stage}"

    def _tell(self, event: RunEvent) -> None:
        _log.log(logging.DEBUG if event.kind == "item" else logging.INFO, event.message)
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:  # noqa: BLE001 - the caller's code; see the class
            self._on_event = None
            _log.warning(
                "run %s/%s: on_event raised and will not be called again in this run",
                self._run.namespace,
                self._run.name,
                exc_info=True,
            )


def _told(state: str, seconds: float | None, error: str | None) -> str:
    text = state if seconds is None else f"{state} after {seconds:.2f} s"
    return text if error is None else f"{text}: {error}"

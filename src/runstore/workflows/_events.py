"""The events of a run: logged, and passed to the caller's callback."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from runstore.context import WorkflowRun
from runstore.steps import Report, reporting

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
        text: The message without the names of run and stage.
    """

    kind: Literal["run", "executor", "stage", "item", "retry"]
    run: str
    stage: str | None
    state: Literal["running", "finished", "failed", "skipped"]
    done: int
    total: int
    seconds: float | None
    message: str = ""
    failed: int = 0
    text: str = ""


OnEvent = Callable[[RunEvent], None]


class Reporter:
    """Reports the events of one run, in the thread that called `run_workflow`.

    A callback that raises is logged and not called again: an error in a report must not
    end the run.
    """

    def __init__(self, run: WorkflowRun, on_event: OnEvent | None) -> None:
        self._run = run
        self._on_event = on_event
        self._stages: Report | None = None
        self._items: dict[str, Report] = {}

    def run(
        self,
        state: Literal["running", "finished", "failed"],
        done: int,
        total: int,
        seconds: float | None = None,
        error: str | None = None,
    ) -> None:
        """Report that the run is *state* now; *done* of its *total* stages are finished."""
        where = f"{self._at()} of workflow {self._run.workflow}"
        text = _told(state, seconds, error)
        self._tell(where, text, RunEvent("run", self._run.name, None, state, done, total, seconds))

    def executor(self, location: str, total: int) -> None:
        """Report where the stages run: the addresses of a cluster and of its dashboard."""
        event = RunEvent("executor", self._run.name, None, "running", 0, total, None)
        self._tell(self._at(), f"runs on {location}", event)

    def stage(
        self,
        name: str,
        state: Literal["running", "finished", "failed", "skipped"],
        done: int,
        total: int,
        seconds: float | None = None,
        error: str | None = None,
        why: str | None = None,
    ) -> None:
        """Report that a stage is *state* now; *done* of its *total* items are done."""
        event = RunEvent("stage", self._run.name, name, state, done, total, seconds)
        self._tell(self._at(name), _told(state, seconds, error or why), event)

    def item(self, name: str, done: int, total: int, failed: int = 0) -> None:
        """Report that one more item of a mapped stage is done; *failed* were left out so far."""
        if self._on_event is None and not self._stages and not _log.isEnabledFor(logging.DEBUG):
            return  # with many items there is no event for each
        text = f"{done} of {total} items done" + (f", {failed} failed" if failed else "")
        event = RunEvent("item", self._run.name, name, "running", done, total, None, failed=failed)
        self._tell(self._at(name), text, event)

    def retry(
        self, name: str, done: int, total: int, attempt: int, error: str, delay: float = 0
    ) -> None:
        """Report that a call failed and is made again after *delay*, as attempt *attempt*."""
        event = RunEvent("retry", self._run.name, name, "running", done, total, None)
        when = f" in {delay:.1f} s" if delay else ""
        self._tell(self._at(name), f"retried{when}, attempt {attempt}, after {error}", event)

    def _report(self, event: RunEvent) -> None:
        """Report the run, and each stage of many, to those who listen by `runstore.progress`."""
        if event.kind == "run":
            if self._stages is None:
                self._stages = reporting(f"run {event.run}", event.total, "stages")
            self._stages.at(event.done)
            if event.state != "running":
                for report in (self._stages, *self._items.values()):
                    report.end()
        elif self._stages and event.stage is not None:
            if event.stage not in self._items and event.state == "running":
                self._items[event.stage] = reporting(f"stage {event.stage}", event.total, "items")
            if items := self._items.get(event.stage):
                items.at(event.done, event.total)
            if event.kind == "stage" and event.state != "running":
                if event.state == "finished":
                    self._stages.add()
                if (ended := self._items.pop(event.stage, None)) is not None:
                    ended.end()

    def _at(self, stage: str | None = None) -> str:
        run = f"run {self._run.namespace}/{self._run.name}"
        return run if stage is None else f"{run} stage {stage}"

    def _tell(self, where: str, text: str, event: RunEvent) -> None:
        event = replace(event, message=f"{where}: {text}", text=text)
        self._report(event)
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

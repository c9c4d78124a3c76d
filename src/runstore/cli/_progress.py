"""The progress of a run: a live table on a terminal, else one line per event."""

import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from runstore.cli._output import counted, say, styled
from runstore.steps import Redrawn, bar
from runstore.texts import duration

if TYPE_CHECKING:
    from rich.table import Table

    from runstore.workflows import RunEvent

__all__ = ["Progress", "progress"]

_STEPS = 20  # lines at most for the items of one stage, where they cannot replace each other


class Progress(AbstractContextManager["Progress"], Protocol):
    """Receives the events of one run, inside its block.

    Attributes:
        failures: How each failed stage has failed. It is not shown: the traceback says more of
            the one that ends the run.
    """

    failures: dict[str, str]

    def __call__(self, event: "RunEvent") -> None:
        """Report *event*."""
        ...


def progress() -> Progress:
    """Return a live table if stderr is a terminal, else lines."""
    return _Live() if sys.stderr.isatty() else _Lines()


class _Lines:
    """One line per event."""

    def __init__(self) -> None:
        self.failures: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    def __call__(self, event: "RunEvent") -> None:
        if event.kind == "run":
            if event.state == "running":
                say(f"run {event.run}: {counted(event.total, 'stage')}")
            return  # its end is printed with its result
        if event.kind == "executor":
            say(event.text)
            return
        if event.kind == "item" and event.done * _STEPS // event.total == (
            (event.done - 1) * _STEPS // event.total
        ):
            return
        text = event.text
        if event.kind == "stage" and event.state == "failed" and event.stage is not None:
            self.failures[event.stage] = text
            text = f"failed after {duration(event.seconds)}"
        say(f"{event.stage}: {text}")


@dataclass
class _Stage:
    state: str
    begun: float
    done: int = 0
    total: int = 1
    seconds: float | None = None
    failed: int = 0
    notes: list[str] = field(default_factory=list)


class _Live(Redrawn):
    """A line per stage that has begun, redrawn while the run goes on."""

    def __init__(self) -> None:
        self.failures: dict[str, str] = {}
        self._stages: dict[str, _Stage] = {}
        super().__init__(transient=False, takes_stdout=sys.stdout.isatty())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for stage in self._stages.values():
            if stage.state == "running":  # interrupted: the last frame must show no spinner
                stage.state = "stopped"
        super().__exit__(kind, error, traceback)

    def __call__(self, event: "RunEvent") -> None:
        if event.kind == "executor":
            self._live.console.print(styled(event.text), soft_wrap=True)
        if event.stage is None:
            return
        stage = self._stages.get(event.stage)
        if stage is None:
            stage = self._stages[event.stage] = _Stage(event.state, time.monotonic())
        stage.state, stage.done, stage.total = event.state, event.done, event.total
        stage.seconds = event.seconds
        if event.failed:
            stage.failed = event.failed
        if event.kind == "stage" and event.state == "failed":
            self.failures[event.stage] = event.text
        if event.kind == "retry":
            stage.notes = [event.text]

    def _drawn(self) -> "Table":
        from rich.table import Table

        shown = Table.grid(padding=(0, 2, 0, 0))
        for _ in range(3):
            shown.add_column(no_wrap=True)
        shown.add_column(justify="right", no_wrap=True)
        shown.add_column(style="yellow", overflow="ellipsis", no_wrap=True)
        for name, stage in list(self._stages.items()):
            mark = _MARKS.get(stage.state)
            seconds = stage.seconds
            if seconds is None and stage.state == "running":
                seconds = time.monotonic() - stage.begun
            shown.add_row(
                styled(*mark) if mark else self._spinner,
                styled(name),
                styled(_bar(stage) if stage.total != 1 else "", "cyan"),
                styled(duration(seconds), "dim"),
                styled(
                    "; ".join([*([f"{stage.failed} failed"] if stage.failed else []), *stage.notes])
                ),
            )
        return shown


_MARKS = {
    "finished": ("✓", "green"),
    "failed": ("✗", "red"),
    "skipped": ("–", "dim"),
    "stopped": ("–", "red"),
}


def _bar(stage: _Stage) -> str:
    return f"{bar(stage.done, stage.total)} {stage.done}/{stage.total}"

"""Long operations on a terminal: a line for each, redrawn by rich, and removed at the end."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from runstore.arguments import printable
from runstore.steps._live import Redrawn, bar
from runstore.steps._reports import Step
from runstore.steps._texts import far

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Lines"]

_PATIENCE = 1.0  # seconds without a word
_MOST = 4  # lines


class Lines(Redrawn):
    """Shows the operations that it hears of, the latest ones if there are many.

    Args:
        what: A line of its own, without a count, where no operation says how far it is.
        clock: Gives the time, in seconds.
    """

    def __init__(self, what: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._clock = clock
        self._begun: dict[str, float] = {}
        self._steps: dict[str, Step] = {}
        self._since = clock()
        terminal = sys.stdout is not None and sys.stdout.isatty()
        super().__init__(transient=True, takes_stdout=terminal)

    def __call__(self, step: Step) -> None:
        if step.ended:
            self._steps.pop(step.id, None)
            self._begun.pop(step.id, None)
            return
        self._begun.setdefault(step.id, self._clock())
        self._steps[step.id] = step

    def _drawn(self) -> "Table":
        from rich.table import Table
        from rich.text import Text

        lines, now = Table.grid(padding=(0, 1, 0, 0)), self._clock()
        shown = [
            step
            for step in list(self._steps.values())
            if now - self._begun.get(step.id, now) >= _PATIENCE
        ]
        for step in shown[-_MOST:]:
            what, bar = Text(printable(step.what)), Text(_bar(step), style="cyan")
            lines.add_row(self._spinner, what, bar, Text(far(step)))
        if not shown and self._what and now - self._since >= _PATIENCE:
            lines.add_row(self._spinner, Text(printable(self._what)))
        return lines


def _bar(step: Step) -> str:
    return bar(step.done, step.total) if step.total else ""

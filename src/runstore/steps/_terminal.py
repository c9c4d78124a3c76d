"""Long operations on a terminal: a line for each, redrawn by rich, and removed at the end."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from runstore.arguments import printable
from runstore.steps._reports import Step
from runstore.steps._texts import far

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Lines"]

_PATIENCE = 1.0  # seconds without a word
_MOST = 4  # lines
_WIDTH = 16  # of a bar


class Lines:
    """Shows the operations that it hears of, the latest ones if there are many.

    Args:
        what: A line of its own, without a count, where no operation says how far it is.
        clock: Gives the time, in seconds.
    """

    def __init__(self, what: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.spinner import Spinner

        self._what = what
        self._clock = clock
        self._begun: dict[str, float] = {}
        self._steps: dict[str, Step] = {}
        self._since = clock()
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(
            console=Console(stderr=True),
            get_renderable=self._drawn,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
        )

    def __call__(self, step: Step) -> None:
        if step.ended:
            self._steps.pop(step.id, None)
            self._begun.pop(step.id, None)
            return
        self._begun.setdefault(step.id, self._clock())
        self._steps[step.id] = step

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

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
    if not step.total:
        return ""
    return f"{'━' * min(_WIDTH, _WIDTH * step.done // step.total):╌<{_WIDTH}}"

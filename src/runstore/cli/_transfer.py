"""How far a transfer is, on a terminal, once it takes longer than a second."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from runstore.steps import Report, Unit, listening, reporting

__all__ = ["transfer"]


@contextmanager
def transfer(
    what: str, unit: Unit = "objects", clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[int, int], None]]:
    """Show *what* is being done in lines of stderr that are redrawn and then removed.

    That is what the operations in the block tell by `runstore.steps`, or else *what* alone.
    Nothing is shown in the first second of *clock*, or where stderr is no terminal.

    Returns:
        What is told how much is done, and how much there is, in *unit*; from any thread.
    """
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from runstore.steps._terminal import Lines

    with Lines(what, clock) as lines, listening(lines):
        report: Report | None = None

        def told(done: int, total: int) -> None:
            nonlocal report
            report = report or reporting(what, total, unit)
            report.at(done, total)

        yield told  # the lines are removed at the end, and what they show with them

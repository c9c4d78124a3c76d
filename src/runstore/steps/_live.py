"""A table on a terminal that is drawn again and again by rich, and ends with its block."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Redrawn", "bar"]


class Redrawn(ABC):
    """What is shown on stderr for as long as its block lasts.

    It is drawn for the first time when it is made: a subclass sets its own state before.

    Args:
        transient: Whether it is removed at the end.
        takes_stdout: Whether what is printed meanwhile appears above it. Not where stdout is
            redirected to a file: it must not go to stderr.
    """

    def __init__(self, *, transient: bool, takes_stdout: bool) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.spinner import Spinner

        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(
            console=Console(stderr=True),
            get_renderable=self._drawn,
            refresh_per_second=8,
            transient=transient,
            redirect_stdout=takes_stdout,
        )

    @abstractmethod
    def _drawn(self) -> "Table":
        """Return what is to be seen now."""

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


def bar(done: int, total: int, width: int = 16) -> str:
    """Return a bar of *width* characters that is as full as *done* is of *total*."""
    filled = min(width, width * done // total) if total else width
    return f"{'━' * filled}{'╌' * (width - filled)}"

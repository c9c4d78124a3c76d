"""`progress`: shows long operations where somebody looks, on a terminal or in a notebook."""

import sys
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from runstore.arguments import check_callable
from runstore.steps._reports import Step, listening

__all__ = ["progress"]


class progress:  # noqa: N801 - used like a function
    """Show how far long operations in the block are: ``with runstore.progress(): …``.

    On a terminal they are lines of stderr that are redrawn and then removed; in a notebook a line
    of the cell. Elsewhere, as in logs, nothing is shown. What takes less than a second is not
    shown either.

    Args:
        callback: Called with each `Step` instead, from any thread. If it raises, that is logged
            and it is not called again.

    Raises:
        InvalidRequestError: *callback* cannot be called.
    """

    def __init__(self, callback: Callable[[Step], object] | None = None) -> None:
        check_callable("progress", "callback", callback, optional=True)
        self._callback = callback
        self._entered: list[ExitStack] = []

    def __enter__(self) -> Self:
        stack = ExitStack()
        with stack:
            listener = self._callback or _display(stack)
            if listener is not None:
                stack.enter_context(listening(listener))
            self._entered.append(stack.pop_all())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered.pop().__exit__(kind, error, traceback)


def _display(stack: ExitStack) -> Callable[[Step], object] | None:
    shell = _notebook()
    if shell is not None:
        from runstore.steps._notebook import Line

        return stack.enter_context(Line())
    if sys.stderr is not None and sys.stderr.isatty():
        from runstore.steps._terminal import Lines

        return stack.enter_context(Lines())
    return None


def _notebook() -> Any:
    """Return the shell of a notebook's kernel; None elsewhere, also in IPython on a terminal."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return shell if getattr(shell, "kernel", None) is not None else None

"""Long operations in a notebook: lines of the cell that change, and go at the end."""

import threading
import time
from importlib import import_module
from types import TracebackType
from typing import Any, Self

from runstore.displays import note
from runstore.steps._reports import Step
from runstore.steps._texts import far

__all__ = ["Line"]

_PATIENCE = 1.0  # seconds without a word
_PAUSE = 0.2  # seconds between two changes


class Line:
    """Shows the operations that it hears of, in one output of the cell."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._begun: dict[str, float] = {}
        self._steps: dict[str, Step] = {}
        self._changed = 0.0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            if self._handle is not None:
                self._show("")

    def __call__(self, step: Step) -> None:
        with self._lock:
            now = time.monotonic()
            if step.ended:
                self._steps.pop(step.id, None)
                self._begun.pop(step.id, None)
            else:
                self._begun.setdefault(step.id, now)
                self._steps[step.id] = step
            if now - self._changed < _PAUSE:
                return
            shown = [one for one in self._steps.values() if now - self._begun[one.id] >= _PATIENCE]
            if shown or self._handle is not None:
                self._changed = now
                self._show("".join(note(f"{one.what}: {far(one)}") for one in shown))

    def _show(self, html: str) -> None:
        shown: Any = import_module("IPython.display")
        if self._handle is None:
            self._handle = shown.display(shown.HTML(html), display_id=True)
        else:
            self._handle.update(shown.HTML(html))

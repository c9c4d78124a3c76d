"""SIGTERM and SIGHUP during a run: the run ends as with Ctrl-C, then the process by the signal."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["TerminatedError", "terminable"]

_ENDING = (signal.SIGTERM, signal.SIGHUP)


class TerminatedError(BaseException):
    """A signal asks this process to end. No Exception, so that few handlers catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def terminable() -> Iterator[None]:
    """Raise `TerminatedError` in the block when a signal comes that would end this process.

    Afterwards the process ends by that signal. A second one ends it at once. If the program
    has a handler of its own or ignores the signal, nothing is changed, nor outside of the
    main thread, where Python runs no signal handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise TerminatedError(number)

    ours: list[Any] = [number for number in _ENDING if signal.getsignal(number) == signal.SIG_DFL]
    try:
        for number in ours:
            signal.signal(number, end)
        yield
    except TerminatedError as exc:
        _restore(ours, end)
        os.kill(os.getpid(), exc.number)
        raise SystemExit(128 + exc.number) from exc  # the signal is blocked
    finally:
        _restore(ours, end)


def _restore(numbers: list[Any], handler: Any) -> None:
    for number in numbers:
        if signal.getsignal(number) is handler:
            signal.signal(number, signal.SIG_DFL)

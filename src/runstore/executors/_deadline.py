"""A timeout for code that runs in the thread of an engine's worker.

Running the code in a thread beside it would be simpler and wrong. The engine knows the task by
its thread: a task that waits for further tasks frees its slot for them only if it waits there.
"""

import ctypes
import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import FrameType, TracebackType
from typing import Self

__all__ = ["GRACE", "ExpiredError", "calm", "deadline", "interrupt"]

GRACE = 2.0  # seconds that interrupted code has to end


class ExpiredError(BaseException):
    """Raised in code whose timeout is over. No Exception, so that few handlers catch it."""


def interrupt(thread: int) -> None:
    """Raise `ExpiredError` in a thread of Python, before its next instruction."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(ExpiredError)
    )


def calm(thread: int) -> None:
    """Cancel an interruption that has not arrived: it must not arrive in the next task."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None)


class _Thread:
    """How to interrupt the current thread."""

    def __init__(self) -> None:
        self._ident = threading.get_ident()

    def interrupt(self) -> None:
        interrupt(self._ident)

    def over(self) -> None:
        calm(self._ident)


class _MainThread:
    """How to interrupt the main thread: by a signal, which also ends a system call that waits."""

    def __init__(self) -> None:
        self._ident = threading.get_ident()
        self._before = signal.signal(signal.SIGALRM, self._arrived)

    def interrupt(self) -> None:
        signal.pthread_kill(self._ident, signal.SIGALRM)

    def over(self) -> None:
        signal.signal(signal.SIGALRM, self._before)

    @staticmethod
    def _arrived(number: int, frame: FrameType | None) -> None:
        raise ExpiredError


class deadline(AbstractContextManager["deadline"]):  # noqa: N801 - used like a function
    """Raise `ExpiredError` in the block after *seconds*, at the latest when the block ends.

    Args:
        seconds: The timeout, from now on.
        give_up: Called in another thread if the block still runs `GRACE` seconds later.
        first: Called in another thread at the timeout, before anything is raised.
    """

    def __init__(
        self,
        seconds: float,
        give_up: Callable[[], None],
        first: Callable[[], None] = lambda: None,
    ) -> None:
        self._seconds = seconds
        self._first = first
        self._give_up = give_up
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._expired = False

    def __enter__(self) -> Self:
        main = threading.current_thread() is threading.main_thread()
        self._code = _MainThread() if main else _Thread()
        threading.Thread(target=self._watch, name="runstore deadline", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            with self._lock:
                self._ended.set()
        finally:  # the interruption may arrive just here, before the end is noted
            self._ended.set()
            self._code.over()
        if self._expired:
            raise ExpiredError

    def _watch(self) -> None:
        if self._ended.wait(self._seconds):
            return
        with self._lock:
            if self._ended.is_set():
                return
            self._expired = True
        self._first()
        with self._lock:
            if self._ended.is_set():
                return
            self._code.interrupt()
        if not self._ended.wait(GRACE):
            self._give_up()

"""Calls in threads of this process."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import Context
from typing import Any

from runstore.executors._base import Call
from runstore.executors._failures import timed_out

__all__ = ["ThreadWorker"]


class ThreadWorker:
    """Runs one call after the other in the thread that asks, or beside it if there is a timeout."""

    def __init__(self) -> None:
        self.begun = 0.0

    def run_all(
        self,
        calls: Sequence[Call],
        ended: Callable[[int, Any, BaseException | None], None],
        back: Callable[[Sequence[int]], None],
    ) -> None:
        """Make several calls, and tell of each its position, its result and its error."""
        self.begun = time.monotonic()
        for at, call in enumerate(calls):
            try:
                result = self.run(call)
            except BaseException as exc:  # noqa: BLE001 - a stage's own error, for who waits
                ended(at, None, exc)
            else:
                ended(at, result, None)
                del result

    def drop(self, positions: Sequence[int]) -> None:
        """Do nothing: each call is made as soon as it is taken."""

    def run(self, call: Call) -> Any:
        """Return what the function returns; raise what it raises.

        Raises:
            StageTimeoutError: It took longer. A thread cannot be stopped, so it is
                left running; it is a daemon and does not delay the program's exit.
        """
        if call.timeout is None:
            return _in_fresh_context(call)
        outcome: Future[Any] = Future()
        thread = threading.Thread(
            target=_fulfil, args=(outcome, call), name=f"runstore {call.label}", daemon=True
        )
        thread.start()
        thread.join(call.timeout)
        if thread.is_alive():
            raise timed_out(
                call.label, call.timeout, "its thread cannot be stopped and was left running"
            )
        return outcome.result()

    def close(self) -> None:
        """Nothing to do: nothing is kept between calls."""

    def kill(self) -> None:
        """A thread cannot be killed; see `run`."""


def _fulfil(outcome: Future[Any], call: Call) -> None:
    try:
        outcome.set_result(_in_fresh_context(call))
    except BaseException as exc:  # noqa: BLE001 - a stage's own error, raised where it is awaited
        outcome.set_exception(exc)


def _in_fresh_context(call: Call) -> Any:
    # A context of its own, or a variable set by one stage would be seen by the next.
    return Context().run(call.here)

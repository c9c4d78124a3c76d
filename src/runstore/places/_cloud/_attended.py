"""Make calls that cannot be interrupted in another thread, so that Ctrl-C ends the wait.

obstore waits for its answers in Rust, and Python's signals come when it returns. Its calls
for event loops can be cancelled, but cost a small request a quarter of its time more; a
thread beside the main one costs a few hundredths of a millisecond. Other threads get no
signals: they make their calls themselves.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from runstore.lifetime import forget_at_fork
from runstore.places._cloud._rust import in_rust
from runstore.workers import PATIENCE, SLICE

__all__ = ["attended", "attended_write", "beside"]

T = TypeVar("T")

_IDLE_AT_MOST = 4
_IDLE = 10.0  # seconds that a thread waits for another call before it ends


class _Outcome:
    """The outcome of one call."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call = call
        self.given = False
        self.done = False
        self.value: Any = None
        self.error: BaseException | None = None
        self._open = threading.Lock()
        self._open.acquire()

    def carry_out(self) -> None:
        try:
            self.value = self.call()
        except BaseException as exc:  # noqa: BLE001 - for the thread that waits for it
            self.error = exc

    def end(self) -> None:
        self.done = True
        self._open.release()

    def wait(self) -> None:
        while not self.done and not self._open.acquire(timeout=SLICE):
            pass

    def wait_at_most(self, seconds: float) -> bool:
        return self.done or self._open.acquire(timeout=seconds)

    def result(self) -> Any:
        if self.error is not None:
            error, self.error = self.error, None  # or the two would hold each other
            raise error
        return self.value


class _Hand(threading.Thread):
    """A thread that makes one call after the other."""

    def __init__(self) -> None:
        super().__init__(name="runstore-s3-call", daemon=True)
        self.calls: SimpleQueue[_Outcome] = SimpleQueue()

    def run(self) -> None:
        while (outcome := self._next()) is not None:
            outcome.carry_out()
            last = len(_idle.hands) >= _IDLE_AT_MOST
            if not last:
                _idle.hands.append(self)
            outcome.end()
            del outcome  # an idle thread must not keep values alive
            if last:
                return

    def _next(self) -> _Outcome | None:
        try:
            return self.calls.get(timeout=_IDLE)
        except Empty:
            try:
                _idle.hands.remove(self)
            except ValueError:  # it was taken just now, so a call comes
                return self.calls.get()
            return None


class _Idle:
    """The threads that wait for a call; a forked child has none."""

    def __init__(self) -> None:
        self.hands: list[_Hand] = []
        forget_at_fork(self)

    def forget(self) -> None:
        self.hands = []

    def give(self, outcome: _Outcome) -> None:
        outcome.given = True
        try:
            hand = self.hands.pop()
        except IndexError:
            hand = _Hand()
            hand.calls.put(outcome)
            hand.start()
        else:
            hand.calls.put(outcome)


_idle = _Idle()


def beside(call: Callable[[], T]) -> "Future[T]":
    """Begin *call* in another thread, which does not hold up the program's end."""
    future: Future[T] = Future()

    def fulfil() -> None:
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(call())
            except BaseException as exc:  # noqa: BLE001 - for whoever awaits it
                future.set_exception(exc)

    _idle.give(_Outcome(fulfil))
    return future


def attended(call: Callable[[], T]) -> T:
    """Return what *call* gives. An interrupt ends the wait; the call goes on by itself."""
    if threading.current_thread() is not threading.main_thread():
        return in_rust(call)
    outcome = _Outcome(lambda: in_rust(call))
    _idle.give(outcome)
    outcome.wait()
    result: T = outcome.result()
    return result


def attended_write(call: Callable[[], T], note: str) -> T:
    """Make a call that publishes an object: an interrupt waits for it a moment.

    Args:
        call: Writes.
        note: For the interrupt, if nobody knows then what became of it.
    """
    if threading.current_thread() is not threading.main_thread():
        return in_rust(call)
    outcome = _Outcome(lambda: in_rust(call))
    try:
        _idle.give(outcome)
        outcome.wait()
    except BaseException as interrupt:
        if outcome.given and not outcome.wait_at_most(PATIENCE):
            interrupt.add_note(note)
        raise
    result: T = outcome.result()
    return result

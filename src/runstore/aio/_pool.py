"""The threads in which awaited calls are made: a few, which live between calls."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from runstore.aio._gate import Gate
from runstore.context import StoreAddress
from runstore.errors import StoreClosedError
from runstore.lifetime import forget_at_fork
from runstore.workers import Stoppable

__all__ = ["Call", "Pool", "is_near"]

T = TypeVar("T")

_NEAR, _FAR = 8, 16
# More threads than these want the interpreter at the same moment: the loop, which takes turns
# with them, would wait longer.

_IDLE = 10.0  # seconds that a thread waits for another call before it ends


class Call(Generic[T]):
    """A call that is made in a thread of a pool.

    Attributes:
        future: Becomes its outcome.
        work: Tells it to stop.
    """

    __slots__ = ("_function", "future", "work")

    def __init__(self, function: Callable[[], T]) -> None:
        self._function: Callable[[], T] | None = function
        self.future: Future[T] = Future()
        self.work = Stoppable()

    def make(self) -> None:
        """Make the call, unless nobody waits for it any more."""
        function, self._function = self._function, None
        if function is None or not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self.work.run(function))
        except BaseException as exc:  # noqa: BLE001 - for whoever awaits it
            self.future.set_exception(exc)
        finally:
            del self, function  # this frame is part of the error's traceback


def is_near(address: StoreAddress) -> bool:
    """Return whether a store is in memory or on a disk."""
    return address.url.startswith(("memory://", "file://"))


class Pool:
    """A few daemon threads. Each starts when it is needed and ends when it is not, after a while.

    They hold up neither the end of the program nor a fork, whose child has none of them.

    Args:
        near: Whether they are for a place in memory or on a disk: then there are 8 at most, as
            the processors decide; else 16, as the network does.
    """

    def __init__(self, *, near: bool) -> None:
        self._count = _NEAR if near else _FAR
        self._closed = False
        self._last: Callable[[], object] = tuple
        self._gates: WeakKeyDictionary[asyncio.AbstractEventLoop, Gate] = WeakKeyDictionary()
        self.forget()
        forget_at_fork(self)

    def forget(self) -> None:
        """Have no threads and no calls; in a forked child."""
        self._changed = threading.Condition(threading.Lock())
        self._calls: deque[Call[Any]] = deque()
        self._waiting = 0  # threads that wait for a call
        self._threads = 0
        self._ended: Future[None] = Future()

    def gate(self) -> Gate:
        """Return what lets as many calls of the running loop in as there are threads."""
        loop = asyncio.get_running_loop()
        gate = self._gates.get(loop)
        if gate is None:
            gate = self._gates[loop] = Gate(self._count)
        return gate

    @property
    def threads(self) -> int:
        """How many there are now."""
        return self._threads

    def submit(self, function: Callable[[], T]) -> Call[T]:
        """Call *function* in a thread as soon as one is free.

        Raises:
            StoreClosedError: The pool was closed.
        """
        call = Call(function)
        with self._changed:
            if self._closed:
                raise StoreClosedError("the store was closed: open another")
            self._calls.append(call)
            if self._waiting >= len(self._calls):
                self._changed.notify()
            elif self._threads < self._count:
                try:
                    self._start()
                except RuntimeError:  # the system has no more threads; those that are here do it
                    if not self._threads:
                        self._calls.pop()
                        raise
        return call

    def close(self, last: Callable[[], object]) -> "Future[None]":
        """Take no more calls, finish those that were taken, call *last*, and end the threads.

        Returns:
            What is done when all that is; it has the error of *last*.
        """
        with self._changed:
            if not self._closed:
                self._closed, self._last = True, last
                self._changed.notify_all()
                if not self._threads:
                    self._start()
            return self._ended

    def _start(self) -> None:
        self._threads += 1
        try:
            threading.Thread(target=self._work, name="runstore-aio", daemon=True).start()
        except BaseException:
            self._threads -= 1
            raise

    def _work(self) -> None:
        while (call := self._next()) is not None:
            call.make()
            del call  # an idle thread must not keep values alive
        if self._closed and not self._threads:  # there will be none any more
            try:
                self._last()
            except BaseException as exc:  # noqa: BLE001 - for whoever closes
                self._ended.set_exception(exc)
            else:
                self._ended.set_result(None)

    def _next(self) -> Call[Any] | None:
        with self._changed:
            while not self._calls:
                if not self._closed:
                    self._waiting += 1
                    came = self._changed.wait(_IDLE)
                    self._waiting -= 1
                    if came or self._calls or self._closed:
                        continue
                self._threads -= 1
                return None
            return self._calls.popleft()

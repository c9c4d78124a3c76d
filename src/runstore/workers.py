"""Threads that live as long as one call. An interrupt ends the call without waiting for them.

`concurrent.futures` waits for its threads at the end of the block and again when the program
ends. So a thread that waits for a server would delay Ctrl-C until the store's timeout. These
threads are daemons, and they are told to stop.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

__all__ = [
    "PATIENCE",
    "SLICE",
    "Stoppable",
    "StoppedError",
    "Workers",
    "awaited",
    "cancelling",
    "check_stopped",
    "joined",
    "pause",
    "spared",
    "taken",
]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

PATIENCE = 1.2
"""Seconds that an interrupted call waits for requests that it has sent."""

SLICE = 0.25
"""Seconds that the main thread waits at a time: if the system gives a signal to another thread, or
to this one just before the wait, a longer wait would not end for it."""


class StoppedError(BaseException):
    """Raised in a thread of `Workers` whose call has ended. No Exception: few handlers catch it."""


class _Stop:
    """Whether the call that a thread works for has ended."""

    def __init__(self, outer: "_Stop | None") -> None:
        self._event = threading.Event()
        self._outer = outer
        self._within: set[_Stop] = set()
        self._cancels: list[Callable[[], object]] = []
        if outer is not None:
            outer._within.add(self)
            if outer._event.is_set():
                self._event.set()

    def now(self) -> None:
        self._event.set()
        for cancel in list(self._cancels):
            cancel()
        for inner in list(self._within):
            inner.now()

    def leave(self) -> None:
        """Detach from the outer call, which has nothing to stop here any more."""
        if self._outer is not None:
            self._outer._within.discard(self)

    def check(self) -> None:
        if self._event.is_set():
            raise StoppedError

    def wait(self, seconds: float) -> None:
        self._event.wait(seconds)
        self.check()


class _Here(threading.local):
    stop: _Stop | None = None


_here = _Here()  # each thread's own; gone with it


def check_stopped() -> None:
    """Raise `StoppedError` if this thread works for a call that has ended."""
    if _here.stop is not None:
        _here.stop.check()


def pause(seconds: float) -> None:
    """Sleep; in a thread of `Workers`, no longer than its call goes on."""
    if _here.stop is None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, SLICE))
    else:
        _here.stop.wait(seconds)


def awaited(future: Future[R]) -> R:
    """Return the result of *future*, or raise its error; Ctrl-C ends the wait."""
    while True:
        try:
            return future.result(SLICE)
        except TimeoutError:
            if future.done():  # it is its own error, or it ended just now
                return future.result()


def taken(queue: "SimpleQueue[T]", until: float | None = None) -> T:
    """Wait for the next thing that *queue* has, and return it; Ctrl-C ends the wait.

    Args:
        queue: The queue.
        until: When the wait ends, by `time.monotonic`; None if it may last for ever.

    Raises:
        queue.Empty: There was nothing by then.
    """
    while True:
        left = SLICE if until is None else min(SLICE, max(0.0, until - time.monotonic()))
        try:
            return queue.get(timeout=left)
        except Empty:
            if until is not None and time.monotonic() >= until:
                raise


def joined(thread: threading.Thread) -> None:
    """Wait until *thread* has ended; Ctrl-C ends the wait."""
    while thread.is_alive():
        thread.join(SLICE)


@contextmanager
def cancelling(cancel: Callable[[], object]) -> Iterator[None]:
    """Call *cancel*, from another thread, if this thread is told to stop inside the block."""
    stop = _here.stop
    if stop is None:
        yield
        return
    stop._cancels.append(cancel)
    try:
        stop.check()
        yield
    finally:
        stop._cancels.remove(cancel)


@contextmanager
def spared() -> Iterator[None]:
    """Run the block, which cleans up, to its end, also in a thread that was told to stop."""
    stop, _here.stop = _here.stop, None
    try:
        yield
    finally:
        _here.stop = stop


class Stoppable:
    """Work of a thread that is not one of `Workers`, which another thread can tell to stop."""

    def __init__(self) -> None:
        self._stop = _Stop(None)

    def stop(self) -> None:
        """Stop it; what it waits for ends, where that can end."""
        self._stop.now()

    def run(self, function: Callable[[], R]) -> R:
        """Return what *function* gives.

        Raises:
            StoppedError: It was told to stop, and has seen it.
        """
        outer, _here.stop = _here.stop, self._stop
        try:
            self._stop.check()
            return function()
        finally:
            _here.stop = outer


class Workers:
    """A few daemon threads, for one ``with`` block.

    A block that ends without error waits for them. One that ends by an error, as by
    Ctrl-C, cancels what has not begun, tells the threads to stop, and waits `PATIENCE`
    seconds at most. Workers may have workers; these stop with them.

    Args:
        count: How many there are at most; each starts when it is needed.
        name: What their names begin with.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._stop = _Stop(_here.stop)
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._threads: list[threading.Thread] = []
        self._futures: set[Future[Any]] = set()  # that have not ended

    def submit(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Call *function* in a thread as soon as one is free."""
        future: Future[R] = Future()
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)  # a long block must not keep every result

        def task() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    result = function(*args, **kwargs)
                except BaseException as exc:  # noqa: BLE001 - for the thread that waits for it
                    future.set_exception(exc)
                else:
                    future.set_result(result)

        self._tasks.put(task)
        if not self._idle.acquire(blocking=False) and len(self._threads) < self._count:
            name = f"{self._name}-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Return the results of *function* for *items*, in their order.

        Raises:
            Exception: What it raised for the first item that failed.
        """
        futures = [self.submit(function, item) for item in items]
        return [awaited(future) for future in futures]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            for _ in self._threads:
                self._tasks.put(None)
            if error is None:
                self._join()
                return
            for future in list(self._futures):
                future.cancel()
            self._stop.now()
            end = time.monotonic() + PATIENCE
            for thread in self._threads:
                if thread.is_alive():  # the interrupt may have come before it started
                    thread.join(max(0.0, end - time.monotonic()))
        finally:
            self._stop.leave()

    def _join(self) -> None:
        try:
            for thread in self._threads:
                joined(thread)
        except BaseException:  # Ctrl-C
            self._stop.now()
            raise

    def _work(self) -> None:
        _here.stop = self._stop
        while (task := self._tasks.get()) is not None:
            task()
            del task  # an idle thread must not keep values alive
            self._idle.release()

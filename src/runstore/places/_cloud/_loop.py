"""One event loop, in one thread, for every connection of this process.

fsspec has a loop of its own, which is shared by the whole process and does not survive a
fork. This one ends with its last connection, and a forked child makes its own.
"""

import asyncio
import atexit
import concurrent.futures
import os
import selectors
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, TypeVar

from runstore.errors import StoreClosedError
from runstore.lifetime import Shared, forget_at_fork
from runstore.places._cloud._attended import beside
from runstore.places._cloud._logs import hush_this_thread
from runstore.places._cloud._rust import Answer, wait_for_rust
from runstore.places._cloud._wire import Failure
from runstore.workers import PATIENCE, awaited, cancelling, check_stopped

__all__ = ["MAYBE", "EventLoop", "answered", "wait_for_leaving"]

T = TypeVar("T")

MAYBE = (
    "Writing {} was interrupted while the server had it in hand: it may still appear. Look "
    "before you write again."
)
"""The note of an interrupt when nobody knows what became of a write."""

_PARTS = (
    "Writing {} was interrupted. It was not written; parts of it may be left on the server, "
    "which store.sweep() removes."
)
_FAREWELL = 2.0  # seconds that connections have to close at the program's end


class _Leaving(Protocol):
    def leave(self) -> Coroutine[Any, Any, None]: ...


class _Selector(selectors.DefaultSelector):
    """A selector that does nothing in a forked child.

    The kernel's list of sockets is shared with the parent: to take one off in the child,
    as happens when an inherited connection is freed, would keep its events from the parent.
    """

    inherited = False

    def forget(self) -> None:
        self.close()
        self.inherited = True

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {} if self.inherited else super().get_map()

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        if self.inherited:
            raise KeyError(fileobj)
        return super().get_key(fileobj)


class _Loop(asyncio.SelectorEventLoop):
    """A loop whose waiting calls (names, credentials) do not hold up the program's end."""

    for_rust = False

    def create_future(self) -> "asyncio.Future[Any]":
        return Answer(self) if self.for_rust else super().create_future()

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        if executor is not None:
            return super().run_in_executor(executor, func, *args)
        return asyncio.wrap_future(beside(partial(func, *args)), loop=self)


async def answered(call: Callable[[], Awaitable[T]]) -> T:
    """Await what *call* of obstore begins; the program's end waits for the thread that answers."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, _Loop)
    loop.for_rust = True  # for the future that obstore asks the loop for, at once
    try:
        begun = call()
    finally:
        loop.for_rust = False
    return await begun


class _Given:
    """Work that the loop may have been given, as an interrupted thread can know it.

    An interrupt may come after the loop has begun with the work and before the thread holds
    its future.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._task: asyncio.Task[Any] | None = None
        self._refused = False
        self._over = threading.Event()

    async def watched(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do *work* in the loop, unless its caller has given up."""
        # First this, then the look: the caller does the reverse.
        self._task = asyncio.current_task()
        try:
            if self._refused:
                raise asyncio.CancelledError
            return await work()
        finally:
            self._over.set()

    def is_over_within(self, seconds: float) -> bool:
        """Return whether the work is over by then; what has not begun never will."""
        self._refused = True
        return self._task is None or self._over.wait(seconds)

    def cancel(self) -> None:
        """Cancel the work; in the loop's thread."""
        if self._task is not None:
            self._task.cancel()


class EventLoop:
    """A running event loop; it stops when nobody holds it any more.

    What waits for it waits in a way that Ctrl-C ends, as does the end of the call that a
    thread of `runstore.workers.Workers` works for.
    """

    def __init__(self) -> None:
        selector = _Selector()
        forget_at_fork(selector)
        self._loop = _Loop(selector)
        self._connections: weakref.WeakSet[_Leaving] = weakref.WeakSet()
        self._thread = threading.Thread(
            target=_run, args=(self._loop,), name="runstore-s3", daemon=True
        )
        # First, as an interrupt may come while the thread starts.
        weakref.finalize(self, _stop, os.getpid(), self._loop).atexit = False
        self._thread.start()

    @classmethod
    def shared(cls) -> "EventLoop":
        """Return the loop of this process; the caller has to hold it."""
        return _loops.get(None, cls)

    def attend(self, connection: _Leaving) -> None:
        """Let *connection* leave at the program's end, if it is there by then."""
        self._connections.add(connection)

    def let_go(self, leaving: Coroutine[Any, Any, None]) -> None:
        """Run what closes a connection, before the loop itself can stop. It never waits."""

        async def leave(_loop: EventLoop) -> None:  # which it holds until then
            await leaving

        if self._loop.is_closed():
            leaving.close()
        else:
            _leaving.futures.add(asyncio.run_coroutine_threadsafe(leave(self), self._loop))

    def run(self, work: Callable[[], Coroutine[Any, Any, T]], timeout: float) -> T:
        """Return what *work* gives; cancel it if the wait for it is interrupted.

        Args:
            work: Called in the loop's thread, where no interrupt comes between its making and its
                start.
            timeout: Seconds.

        Raises:
            Failure: It took longer.
        """
        future = self._begin(work, timeout)
        try:
            with cancelling(future.cancel):
                return awaited(future)
        except concurrent.futures.CancelledError:
            check_stopped()
            raise _over() from None
        except BaseException:
            future.cancel()
            raise

    def write(
        self,
        work: Callable[[], Coroutine[Any, Any, T]],
        timeout: float | None,
        ref: str,
        stop: Callable[[], bool] = lambda: True,
    ) -> T:
        """Do the same with what makes an object visible, which must not happen later.

        If it is interrupted, it has `PATIENCE` seconds to end, one way or the other. Then it
        is cancelled, and the interrupt has a note that nobody knows what became of it.

        Args:
            work: As for `run`.
            timeout: Seconds, or None.
            ref: The object, as a URL.
            stop: Called at an interrupt; says whether the object may still become visible.

        Raises:
            Failure: It took longer.
        """
        if self._loop.is_closed():
            raise _over()
        given = _Given(self._loop)

        def soon() -> None:
            stop()
            self._loop.call_soon_threadsafe(self._loop.call_later, PATIENCE / 2, given.cancel)

        try:  # from here on: the loop may send the request before `_begin` has returned
            future = self._begin(partial(given.watched, work), timeout)
            with cancelling(soon):
                return awaited(future)
        except concurrent.futures.CancelledError:
            check_stopped()
            raise _over() from None
        except Exception:
            raise
        except BaseException as interrupt:
            unknown = stop()
            if not given.is_over_within(PATIENCE):
                self._loop.call_soon_threadsafe(given.cancel)
                interrupt.add_note(MAYBE.format(ref) if unknown else _PARTS.format(ref))
            raise

    def _begin(
        self, work: Callable[[], Coroutine[Any, Any, T]], timeout: float | None
    ) -> "concurrent.futures.Future[T]":
        if self._loop.is_closed():
            raise _over()
        return asyncio.run_coroutine_threadsafe(
            _Later(partial(_bounded, work, timeout)), self._loop
        )

    def end(self) -> None:
        """Close connections and loop, and wait for them a little; at the program's end."""

        async def leave() -> None:
            leaving = [one.leave() for one in list(self._connections)]
            await asyncio.gather(*leaving, return_exceptions=True)

        with suppress(concurrent.futures.TimeoutError):
            asyncio.run_coroutine_threadsafe(leave(), self._loop).result(_FAREWELL)
        _stop(os.getpid(), self._loop)
        self._thread.join(_FAREWELL)


def _over() -> StoreClosedError:
    return StoreClosedError("the program ends, and the connections to S3 are closed already")


class _Later(Coroutine[Any, Any, T]):
    """A coroutine that is made when it is first sent to.

    One that was made, and whose caller is interrupted before the loop has it, would be reported
    as never awaited.
    """

    def __init__(self, make: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._make = make
        self._made: Coroutine[Any, Any, T] | None = None

    def send(self, value: Any) -> Any:
        if self._made is None:
            self._made = self._make()
        return self._made.send(value)

    def throw(self, *given: Any) -> Any:
        if self._made is None:
            self._made = self._make()
        return self._made.throw(*given)

    def close(self) -> None:
        if self._made is not None:
            self._made.close()

    def __await__(self) -> Generator[Any, Any, T]:
        self._made = self._make()
        return self._made.__await__()


async def _bounded(work: Callable[[], Coroutine[Any, Any, T]], timeout: float | None) -> T:
    try:
        return await asyncio.wait_for(work(), timeout)
    except TimeoutError as exc:
        raise Failure(0, "", f"no answer within {timeout:.1f} s", cut=True) from exc


def _run(loop: asyncio.AbstractEventLoop) -> None:
    hush_this_thread()
    try:
        loop.run_forever()
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        with suppress(RuntimeError):  # it was stopped a second time
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()


def _stop(pid: int, loop: asyncio.AbstractEventLoop) -> None:
    if os.getpid() == pid:  # a forked child has no such thread
        with suppress(RuntimeError):  # it is closed already
            loop.call_soon_threadsafe(loop.stop)


class _Leavings:
    """The connections that are being closed, for as long as somebody may wait for them."""

    def __init__(self) -> None:
        self.futures: weakref.WeakSet[concurrent.futures.Future[None]] = weakref.WeakSet()
        forget_at_fork(self)

    def forget(self) -> None:
        """Wait for none: a child would wait for what only the parent's loop ends."""
        self.futures.clear()


def wait_for_leaving() -> None:
    """Wait a moment for the connections that are being closed."""
    concurrent.futures.wait(list(_leaving.futures), timeout=PATIENCE)


_loops: Shared[None, EventLoop] = Shared()
_leaving = _Leavings()


@atexit.register
def _at_exit() -> None:
    loop = _loops.find(None)
    if loop is not None:
        loop.end()
    wait_for_rust()

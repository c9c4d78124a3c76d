"""What obstore's threads still hold of Python; the program's end waits for it.

obstore works in threads of its own, which Python does not know. One that wants the interpreter
while it ends, to deliver an answer or to free a buffer, is ended by Python 3.11 to 3.13; Rust
cannot be unwound that way, and aborts the whole process. A call is not over when its result is
there: the thread that brought it still has to give the interpreter back.
"""

import asyncio
import ctypes
import itertools
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from runstore.lifetime import forget_at_fork

__all__ = ["Answer", "in_rust", "lent", "taken_over", "wait_for_rust"]

T = TypeVar("T")

_AT_ONCE = 64  # things that may be held before those that are gone are looked for
_WORTH = 64 << 10  # bytes; fewer are copied
_FAREWELL = 2.0  # seconds to wait for what needs no server
_FAREWELL_CALL = 0.5  # seconds to wait for a call that was given up, whose server may be silent


class _Mark:
    """Lives as long as obstore may use the interpreter for one call."""

    __slots__ = ("__weakref__",)


class _Held:
    """What obstore may hold now, in weak references, and the threads that are in its calls.

    The references have no callbacks. Such a callback would run in the thread that lets go, and
    could be interrupted there, when the reference is empty already.
    """

    def __init__(self) -> None:
        self._number = itertools.count()
        self.forget()
        forget_at_fork(self)

    def forget(self) -> None:
        """Hold nothing; in a forked child, which has none of these threads."""
        self._things: dict[int, weakref.ref[Any]] = {}
        self._look_at = _AT_ONCE
        self.calling: set[int] = set()

    def add(self, thing: Any) -> None:
        things = self._things
        things[next(self._number)] = weakref.ref(thing)
        if len(things) >= self._look_at:
            self._look_at = max(_AT_ONCE, 2 * self.count())

    def count(self, *, at_end: bool = False) -> int:
        """Return how many things are held, and forget those that are not.

        At the end a buffer may have other holders, as the traceback of an error that is kept.
        """
        for number, thing in list(self._things.items()):
            if (found := thing()) is None or (at_end and _is_given_back(found)):
                self._things.pop(number, None)
            del found
        return len(self._things)


def _is_given_back(thing: Any) -> bool:
    if isinstance(thing, memoryview):
        with suppress(BufferError):  # obstore has it still
            thing.release()
            return True
    return False


_held = _Held()
_here = threading.local()  # a thread of obstore's loses it when it gives the interpreter back


class Answer(asyncio.Future[Any]):
    """A future that obstore fulfils, and by which its thread is known until it is done.

    Before it delivers a result, or finds that nobody wants it, that thread asks whether the
    future is cancelled. It has its thread-local values until it gives the interpreter back.

    Args:
        loop: The loop that runs in this thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._thread = threading.get_ident()
        self._mark: _Mark | None = _Mark()
        _held.add(self._mark)

    def cancelled(self) -> bool:
        """Return whether it is; see `asyncio.Future.cancelled`."""
        if self._mark is not None and threading.get_ident() != self._thread:
            _here.mark, self._mark = self._mark, None
        return super().cancelled()


def lent(data: Any) -> memoryview:
    """Return a view of *data* for obstore alone, so that its end is noticed."""
    view = memoryview(data)
    _held.add(view)
    return view


_ALIGNED = 16  # bytes; as Python's own memory is


def taken_over(data: Any) -> memoryview:
    """Return what obstore has handed over, as memory that may be written to.

    An answer's bytes are handed to nobody else, so they need not be copied to be the caller's own.
    Python cannot know that, and shows them as read-only.
    """
    view = memoryview(data)
    if view.nbytes < _WORTH:
        return memoryview(bytearray(view))
    import numpy as np

    address = np.frombuffer(view, np.uint8).ctypes.data
    if address % _ALIGNED:  # it may begin behind the head of an answer, and arrays are read in it
        return memoryview(bytearray(view))
    memory = (ctypes.c_ubyte * view.nbytes).from_address(address)
    memory.owner = data  # type: ignore[attr-defined]
    return memoryview(memory).cast("B")


def in_rust(call: Callable[[], T]) -> T:
    """Return what *call* gives, which waits in obstore."""
    me = threading.get_ident()
    _held.calling.add(me)
    try:
        return call()
    finally:
        _held.calling.discard(me)


def wait_for_rust() -> None:
    """Wait until obstore needs the interpreter no more: 2 s at most, for a call half a second."""
    begun = time.monotonic()
    while _held.count(at_end=True) or _held.calling:
        longest = _FAREWELL_CALL if _held.calling else _FAREWELL
        if time.monotonic() - begun > longest:
            return
        time.sleep(0.002)

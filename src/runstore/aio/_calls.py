"""How a call is awaited: made in a thread, in the context of the task, and ended with it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from typing import Any, TypeVar

from runstore.aio._permit import Permit
from runstore.aio._pool import Pool
from runstore.errors import IndeterminateWriteError

__all__ = ["over", "reading", "whole", "writing"]

T = TypeVar("T")


async def reading(pool: Pool, function: Callable[[], T]) -> T:
    """Return what *function* gives. A cancelled one is told to stop, and not waited for."""
    async with pool.gate():
        call = pool.submit(_here(function))
        try:
            await _done(call.future)
            return call.future.result()
        except asyncio.CancelledError:
            call.future.cancel()
            call.work.stop()
            raise
        finally:
            del call  # an error would hold it, and it the error


async def writing(pool: Pool, permit: Permit, function: Callable[[], T]) -> T:
    """Return what *function*, which writes under *permit*, gives.

    When this raises CancelledError, nothing of it appears later: what was being published has
    been, and nothing else will be. An `IndeterminateWriteError` is told by a note.
    """
    async with pool.gate():
        call = pool.submit(_here(function))
        try:
            await _done(call.future)
            return call.future.result()
        except asyncio.CancelledError as cancelled:
            call.future.cancel()
            settled = permit.take_back()
            if settled is not None:
                await over(settled)
            call.work.stop()  # not before: to cut a request that writes would not undo it
            for error in permit.unknown:
                cancelled.add_note(str(error))
            raise
        finally:
            del call


async def whole(pool: Pool, function: Callable[[], T]) -> T:
    """Return what *function* gives. A cancelled one is waited for: nothing refuses its writes."""
    async with pool.gate():
        call = pool.submit(_here(function))
        try:
            await _done(call.future)
            return call.future.result()
        except asyncio.CancelledError as cancelled:
            call.future.cancel()
            await over(call.future)
            error = None if call.future.cancelled() else call.future.exception()
            if isinstance(error, IndeterminateWriteError):
                cancelled.add_note(str(error))
            raise
        finally:
            del call


async def over(future: "Future[Any]") -> bool:
    """Wait until *future* is done, however it is, and however often this task is cancelled.

    Returns:
        Whether it was; the caller has to raise CancelledError then.
    """
    cancelled = False
    while not future.done():
        try:
            await _done(future)
        except asyncio.CancelledError:
            cancelled = True
    return cancelled


async def _done(future: "Future[Any]") -> None:
    """Wait until *future* is done.

    Not by `asyncio.wrap_future`: its callbacks hold the future, and it them, so the result would
    live until the garbage collector comes.
    """
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()

    def wake() -> None:
        if not waiter.done():
            waiter.set_result(None)

    def wake_there(_: object) -> None:
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(wake)

    future.add_done_callback(wake_there)
    await waiter


def _here(function: Callable[[], T]) -> Callable[[], T]:
    """Return *function* so that it sees the contexts of this task, in whatever thread it runs."""
    context = copy_context()
    return lambda: context.run(function)

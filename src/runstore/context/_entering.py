"""Functions whose code runs in a context, also the code that runs after they have returned.

A coroutine, a generator and an async generator run in steps, and whoever drives them goes
on in between. So the context is entered for each step and left after it, together with
whatever the step has entered.
"""

import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import partial, wraps
from types import coroutine
from typing import Any, TypeVar, cast

from runstore.context._entries import Inside
from runstore.context._models import WorkflowRunContext

__all__ = ["entering"]

F = TypeVar("F", bound=Callable[..., Any])


def entering(function: F, context: Callable[[], WorkflowRunContext]) -> F:
    """Wrap *function* so that its code runs in the context that *context()* returns at each call.

    Coroutines keep the context until they are done. Generators have it while their own
    code runs; in between, their caller has its own. The same holds for coroutines and
    generators that a plain function returns.
    """
    wrapped: Callable[..., Any]
    if inspect.iscoroutinefunction(function):

        async def wrapped(*args: Any, **kwargs: Any) -> Any:
            inside = Inside(context())
            return await _awaitable(function(*args, **kwargs), inside)

    elif inspect.isasyncgenfunction(function):
        wrapped = _async_generator(function, context)

    elif inspect.isgeneratorfunction(function):

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            inside = Inside(context())
            return (yield from _driven(function(*args, **kwargs), inside))

    else:

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            ctx = context()
            with Inside(ctx):
                result = function(*args, **kwargs)
            return _kept_inside(result, ctx)

    return cast("F", wraps(function)(wrapped))


def _kept_inside(result: Any, ctx: WorkflowRunContext) -> Any:
    """Return *result*; a coroutine or generator is wrapped, so that its code runs in *ctx*, too."""
    inside: Any
    if inspect.iscoroutine(result):
        inside = _coroutine(result, Inside(ctx))
    elif inspect.isasyncgen(result):
        inside = _async_generator(lambda: result, lambda: ctx)()
    elif inspect.isgenerator(result):
        old_style = result.gi_code.co_flags & inspect.CO_ITERABLE_COROUTINE
        inside = (_awaitable if old_style else _driven)(result, Inside(ctx))
    else:
        return result
    inside.__name__, inside.__qualname__ = result.__name__, result.__qualname__
    return inside


def _driven(steps: Any, inside: Inside) -> Generator[Any, Any, Any]:
    """Drive a generator, or what an ``await`` drives, each step inside."""
    step: Callable[[], Any] = partial(steps.send, None)
    while True:
        with inside:
            try:
                item = step()
            except StopIteration as stop:
                return stop.value
        try:
            sent = yield item
        except GeneratorExit:
            with inside:
                value = steps.close()
            if value is not None:  # from Python 3.13 on
                return value
            raise
        except BaseException as exc:  # noqa: BLE001 - passed on to the code that is driven
            step = partial(steps.throw, exc)
        else:
            step = partial(steps.send, sent)


_awaitable = coroutine(_driven)


async def _coroutine(steps: Coroutine[Any, Any, Any], inside: Inside) -> Any:
    return await _awaitable(steps, inside)


def _async_generator(
    function: Callable[..., AsyncGenerator[Any, Any]], context: Callable[[], WorkflowRunContext]
) -> Callable[..., AsyncGenerator[Any, Any]]:
    async def in_async_generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        items, inside = function(*args, **kwargs), Inside(context())
        step: Callable[[], Any] = partial(_first, items)
        while True:
            try:
                item = await _awaitable(step(), inside)
            except StopAsyncIteration:
                return
            try:
                sent = yield item
            except GeneratorExit:
                await _awaitable(items.aclose(), inside)
                raise
            except BaseException as exc:  # noqa: BLE001 - passed on to the generator's own code
                step = partial(items.athrow, exc)
            else:
                step = partial(items.asend, sent)

    return in_async_generator


def _first(items: AsyncGenerator[Any, Any]) -> Any:
    """Begin the first step without the hooks by which the event loop learns of async generators.

    The loop closes those that are left behind. It knows the generator around this one, which
    closes this one in its context. If it knew both, it would close both at once.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return items.__anext__()
    finally:
        sys.set_asyncgen_hooks(*hooks)

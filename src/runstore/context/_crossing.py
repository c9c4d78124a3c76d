"""The one place where a context crosses to another thread or process: by value.

A thread and a forked, spawned or remote process have no context, or an old one. `bind` ties
a function to a context: wherever the function is called, it runs in that context. No other
context variable of the caller is carried along.
"""

from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.context import BaseContext
from numbers import Integral
from typing import Any, Generic, ParamSpec, TypeVar

from runstore.arguments import check_callable, check_instance, unfit
from runstore.context._current import find_run_context, get_run_context
from runstore.context._entering import entering
from runstore.context._entries import Outside
from runstore.context._models import WorkflowRunContext

__all__ = ["ContextProcessPoolExecutor", "ContextThreadPoolExecutor", "bind"]

P = ParamSpec("P")
R = TypeVar("R")


class _Bound(Generic[P, R]):
    """A function and the context it runs in; pickles as these two."""

    def __init__(self, function: Callable[P, R], ctx: WorkflowRunContext) -> None:
        self.__wrapped__ = function
        self._ctx = ctx
        self._call = entering(function, lambda: ctx)
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self.__doc__ = getattr(function, "__doc__", None)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._call(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Bound, (self.__wrapped__, self._ctx)

    def __repr__(self) -> str:
        return f"bind({self.__name__}, run={self._ctx.namespace}/{self._ctx.run.name})"


def bind(fn: Callable[P, R], ctx: WorkflowRunContext | None = None) -> Callable[P, R]:
    """Tie *fn* to a run context; wherever the result is called, it runs in that one.

    The context is carried by value: a reused worker never sees an older run, and
    what the caller does later changes nothing. The result can be pickled if *fn*
    can; functions of ``__main__`` need cloudpickle, which Dask, Ray and joblib use.

    Args:
        fn: A function. Coroutines and generators that it returns run in the context, too,
            step by step; so it may be a coroutine function or a generator function.
        ctx: By default the current context.

    Returns:
        A callable with the same arguments and result as *fn*.

    Raises:
        NoRunContextError: No *ctx* was given and there is no current one.
        InvalidRequestError: *fn* cannot be called, or *ctx* is no context.
    """
    check_callable("bind", "fn", fn)
    if ctx is not None:
        check_instance("bind", "ctx", ctx, WorkflowRunContext, "a WorkflowRunContext or None")
    return _Bound(fn, ctx if ctx is not None else get_run_context())


class _Unbound(Generic[P, R]):
    """A function that runs in no run; pickles as the function."""

    def __init__(self, function: Callable[P, R]) -> None:
        self.__wrapped__ = function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        with Outside():
            return self.__wrapped__(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Unbound, (self.__wrapped__,)


def _as_here(fn: Callable[P, R]) -> Callable[P, R]:
    """Tie *fn* to the current run, or to being outside one."""
    ctx = find_run_context()
    return _Unbound(fn) if ctx is None else bind(fn, ctx)


def _check_pool(call: str, max_workers: object, initializer: object) -> None:
    """Raise InvalidRequestError unless a pool can be made with these."""
    count = isinstance(max_workers, Integral) and not isinstance(max_workers, bool)
    if max_workers is not None and not (count and max_workers >= 1):  # type: ignore[operator]
        raise unfit(call, "max_workers", "a whole number above 0 or None", max_workers)
    check_callable(call, "initializer", initializer, optional=True)


class ContextProcessPoolExecutor(ProcessPoolExecutor):
    """A process pool whose tasks run in the context they were submitted from.

    It works with every start method. Submitted outside a run, a task has no context
    either, whatever its process did before. Functions must be importable, as in any
    pool of `concurrent.futures`.

    Args:
        max_workers, mp_context, initializer, initargs, max_tasks_per_child: As for a
            `concurrent.futures.ProcessPoolExecutor`.

    Raises:
        InvalidRequestError: *max_workers* is no whole number above 0, or *initializer* cannot
            be called.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: BaseContext | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        max_tasks_per_child: int | None = None,
    ) -> None:
        _check_pool("ContextProcessPoolExecutor", max_workers, initializer)
        super().__init__(
            max_workers, mp_context, initializer, initargs, max_tasks_per_child=max_tasks_per_child
        )

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Submit as a `concurrent.futures.ProcessPoolExecutor` does, with the context."""
        return super().submit(_as_here(fn), *args, **kwargs)


class ContextThreadPoolExecutor(ThreadPoolExecutor):
    """A thread pool whose tasks run in the context they were submitted from.

    Submitted outside a run, a task has no context either. What an earlier task or an
    initializer has entered and not left is not there for the next.

    Args:
        max_workers, thread_name_prefix, initializer, initargs: As for a
            `concurrent.futures.ThreadPoolExecutor`.

    Raises:
        InvalidRequestError: *max_workers* is no whole number above 0, or *initializer* cannot
            be called.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> None:
        _check_pool("ContextThreadPoolExecutor", max_workers, initializer)
        super().__init__(max_workers, thread_name_prefix, initializer, initargs)

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Submit as a `concurrent.futures.ThreadPoolExecutor` does, with the context."""
        return super().submit(_as_here(fn), *args, **kwargs)

"""The one place where a context crosses to another thread or process: by value.

A thread and a forked, spawned or remote process have no context, or an old one. `bind` ties
a function to a context: wherever the function is called, it runs in that context. No other
context variable of the caller is carried along.
"""

from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

from runstore.arguments import check_callable, check_instance
from runstore.context._current import find_run_context, get_run_context
from runstore.context._entering import entering
from runstore.context._entries import Outside
from runstore.context._models import WorkflowRunContext

__all__ = ["as_here", "bind"]

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


def as_here(fn: Callable[P, R]) -> Callable[P, R]:
    """Tie *fn* to the current run, or to being outside one."""
    ctx = find_run_context()
    return _Unbound(fn) if ctx is None else bind(fn, ctx)

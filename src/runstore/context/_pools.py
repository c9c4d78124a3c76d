"""Pools of threads and processes whose tasks run in the context they were submitted from."""

from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.context import BaseContext
from numbers import Integral
from typing import Any, ParamSpec, TypeVar

from runstore.arguments import check_callable, check_count, check_instance, check_text, unfit
from runstore.context._crossing import as_here

__all__ = ["ContextProcessPoolExecutor", "ContextThreadPoolExecutor"]

P = ParamSpec("P")
R = TypeVar("R")

_MOST = 1_000_000  # workers, which is more than a host can have


def _check_pool(call: str, max_workers: object, initializer: object, initargs: object) -> None:
    """Raise InvalidRequestError unless a pool can be made with these."""
    count = isinstance(max_workers, Integral) and not isinstance(max_workers, bool)
    if max_workers is not None and not (count and 1 <= max_workers <= _MOST):  # type: ignore[operator]
        raise unfit(call, "max_workers", f"a whole number from 1 to {_MOST:,} or None", max_workers)
    check_callable(call, "initializer", initializer, optional=True)
    check_instance(call, "initargs", initargs, (tuple, list), "a tuple")


class ContextProcessPoolExecutor(ProcessPoolExecutor):
    """A process pool whose tasks run in the context they were submitted from.

    It works with every start method. Submitted outside a run, a task has no context
    either, whatever its process did before. Functions must be importable, as in any
    pool of `concurrent.futures`.

    Args:
        max_workers, mp_context, initializer, initargs, max_tasks_per_child: As for a
            `concurrent.futures.ProcessPoolExecutor`.

    Raises:
        InvalidRequestError: *max_workers* is no whole number from 1 to a million, *mp_context* is
            no context of multiprocessing, *initializer* cannot be called, *initargs* is no tuple,
            or *max_tasks_per_child* is no whole number from 1, or given with forked processes.
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
        call = "ContextProcessPoolExecutor"
        _check_pool(call, max_workers, initializer, initargs)
        if mp_context is not None:
            expected = "a context of multiprocessing or None"
            check_instance(call, "mp_context", mp_context, BaseContext, expected)
        if max_tasks_per_child is not None:
            check_count(call, "max_tasks_per_child", max_tasks_per_child)
            if mp_context is not None and mp_context.get_start_method(allow_none=False) == "fork":
                hint = "use another start method: a forked process is not replaced"
                raise unfit(call, "max_tasks_per_child", "None", max_tasks_per_child, hint)
        super().__init__(
            max_workers, mp_context, initializer, initargs, max_tasks_per_child=max_tasks_per_child
        )

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Submit as a `concurrent.futures.ProcessPoolExecutor` does, with the context."""
        return super().submit(as_here(fn), *args, **kwargs)


class ContextThreadPoolExecutor(ThreadPoolExecutor):
    """A thread pool whose tasks run in the context they were submitted from.

    Submitted outside a run, a task has no context either. What an earlier task or an
    initializer has entered and not left is not there for the next.

    Args:
        max_workers, thread_name_prefix, initializer, initargs: As for a
            `concurrent.futures.ThreadPoolExecutor`.

    Raises:
        InvalidRequestError: *max_workers* is no whole number from 1 to a million, *initializer*
            cannot be called, *initargs* is no tuple, or *thread_name_prefix* is no str.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> None:
        call = "ContextThreadPoolExecutor"
        _check_pool(call, max_workers, initializer, initargs)
        check_text(call, "thread_name_prefix", thread_name_prefix)
        super().__init__(max_workers, thread_name_prefix, initializer, initargs)

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Submit as a `concurrent.futures.ThreadPoolExecutor` does, with the context."""
        return super().submit(as_here(fn), *args, **kwargs)

"""What runs on Dask's workers: calls, and what ends them when they must end."""

import os
import threading
import time
from functools import partial
from typing import Any

from runstore.executors._deadline import GRACE, calm, interrupt
from runstore.executors._remote import Order, perform
from runstore.lifetime import ForkSafeLock

__all__ = ["on_worker", "running", "stop", "topic"]

_LAST_WORDS = 0.5  # seconds for a message to leave a worker that is about to die


def topic(owner: str) -> str:
    """Name the topic on which workers tell an executor of calls that are deaf."""
    return f"runstore-{owner}"


_threads: dict[int, str] = {}  # threads that run a call, and whose it is
_threads_lock = ForkSafeLock()


def on_worker(order: Order, *values: Any) -> Any:
    """Make a call, in a thread of the worker's."""
    import distributed

    thread = threading.get_ident()
    with _threads_lock.held:
        _threads[thread] = order.owner
    try:
        return perform(order, values, partial(_give_up, distributed.get_worker(), order))
    finally:
        with _threads_lock.held:
            del _threads[thread]
        calm(thread)


def _give_up(worker: Any, order: Order) -> None:
    """End a call that is deaf to its timeout: say so, and kill the worker if it is brought back."""
    killed = worker.nanny is not None
    worker.log_event(topic(order.owner), {"call": order.number, "killed": killed})
    if killed:
        time.sleep(_LAST_WORDS)
        os._exit(1)


def running(owner: str) -> int:
    """Return how many calls of *owner* run in this process."""
    return list(_threads.values()).count(owner)


def stop(owner: str, dask_worker: Any) -> None:
    """Interrupt the calls of *owner*, and kill the worker if they are deaf to it."""
    with _threads_lock.held:
        for thread, whose in _threads.items():
            if whose == owner:
                interrupt(thread)
    if dask_worker.nanny is not None and running(owner):
        threading.Thread(target=_kill_for, args=(owner,), daemon=True).start()


def _kill_for(owner: str) -> None:
    time.sleep(GRACE)
    if running(owner):
        os._exit(1)

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
    """Return the topic on which workers report calls that ignored their timeout."""
    return f"runstore-{owner}"


_calls: dict[int, Order] = {}  # by the thread that runs it
_calls_lock = ForkSafeLock()


def on_worker(order: Order, *values: Any) -> Any:
    """Make a call, in a thread of the worker's."""
    import distributed

    thread = threading.get_ident()
    with _calls_lock.held:
        _calls[thread] = order
    try:
        return perform(order, values, partial(_give_up, distributed.get_worker(), order))
    finally:
        with _calls_lock.held:
            del _calls[thread]
        calm(thread)


def _give_up(worker: Any, order: Order) -> None:
    """Report a call that ignored its timeout; kill its worker if a nanny starts another."""
    killed = worker.nanny is not None
    order.abandoned = True
    worker.log_event(topic(order.owner), {"call": order.number, "killed": killed})
    if killed:
        time.sleep(_LAST_WORDS)
        os._exit(1)


def running(owner: str) -> int:
    """Return how many calls of *owner* run in this process, but for those that were abandoned."""
    return sum(order.owner == owner and not order.abandoned for order in list(_calls.values()))


def stop(owner: str, dask_worker: Any) -> None:
    """Interrupt the calls of *owner*; kill the worker if they ignore it and it has a nanny."""
    with _calls_lock.held:
        for thread, order in _calls.items():
            if order.owner == owner:
                interrupt(thread)
    if dask_worker.nanny is not None and running(owner):
        threading.Thread(target=_kill_for, args=(owner,), daemon=True).start()


def _kill_for(owner: str) -> None:
    time.sleep(GRACE)
    if running(owner):
        os._exit(1)

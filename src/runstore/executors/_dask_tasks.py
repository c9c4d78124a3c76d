"""What runs on Dask's workers: calls, and how they are stopped."""

import os
import threading
import time
from functools import partial
from typing import Any

from runstore.executors._deadline import GRACE, calm, interrupt
from runstore.executors._remote import TaskSpec, perform
from runstore.lifetime import ForkSafeLock

__all__ = ["on_worker", "running", "stop", "topic"]

_SEND = 0.5  # seconds for a message to leave a worker that is about to be killed


def topic(owner: str) -> str:
    """Return the topic on which workers report calls that ignored their timeout."""
    return f"runstore-{owner}"


_calls: dict[int, TaskSpec] = {}  # by the thread that runs it
_calls_lock = ForkSafeLock()


def on_worker(spec: TaskSpec, *values: Any) -> Any:
    """Make a call, in a thread of the worker."""
    import distributed

    thread = threading.get_ident()
    with _calls_lock.held:
        _calls[thread] = spec
    try:
        return perform(spec, values, partial(_give_up, distributed.get_worker(), spec))
    finally:
        with _calls_lock.held:
            del _calls[thread]
        calm(thread)


def _give_up(worker: Any, spec: TaskSpec) -> None:
    """Report a call that ignored its timeout; kill its worker if a nanny starts another."""
    killed = worker.nanny is not None
    spec.abandoned = True
    worker.log_event(topic(spec.owner), {"call": spec.number, "killed": killed})
    if killed:
        time.sleep(_SEND)
        os._exit(1)


def running(owner: str) -> int:
    """Return how many calls of *owner* run in this process, but for those that were abandoned."""
    return sum(spec.owner == owner and not spec.abandoned for spec in list(_calls.values()))


def stop(owner: str, dask_worker: Any) -> None:
    """Interrupt the calls of *owner*; kill the worker if they ignore it and it has a nanny."""
    with _calls_lock.held:
        for thread, spec in _calls.items():
            if spec.owner == owner:
                interrupt(thread)
    if dask_worker.nanny is not None and running(owner):
        threading.Thread(target=_kill_for, args=(owner,), daemon=True).start()


def _kill_for(owner: str) -> None:
    time.sleep(GRACE)
    if running(owner):
        os._exit(1)

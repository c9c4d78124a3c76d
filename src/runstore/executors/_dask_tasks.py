"""What runs on Dask's workers: calls, and how they are stopped."""

import os
import pickle
import threading
import time
from functools import partial
from typing import Any

from runstore.context import Note
from runstore.executors._bundle import Report, perform_all
from runstore.executors._deadline import GRACE, calm, interrupt
from runstore.executors._logs import LogLine, Sending, sending
from runstore.executors._remote import Noted, TaskSpec, note_with, perform
from runstore.lifetime import ForkSafeLock, forget_at_fork

__all__ = [
    "OWN",
    "lines_of",
    "log_topic",
    "note_of",
    "on_worker",
    "on_worker_all",
    "report_of",
    "result_of",
    "running",
    "stop",
    "topic",
]

_SEND = 0.5  # seconds for a message to leave a worker that is about to be killed


def topic(owner: str) -> str:
    """Return the topic on which workers report calls that ignored their timeout."""
    return f"runstore-{owner}"


def log_topic(owner: str) -> str:
    """Return the topic on which workers send what stages log."""
    return f"runstore-{owner}-logs"


def lines_of(event: tuple[float, bytes]) -> list[LogLine]:
    """Return what an event on that topic brings."""
    lines: list[LogLine] = pickle.loads(event[1])  # noqa: S301 - from a worker that runs our code
    return lines


OWN = "_RUNSTORE_DASK_WORKER"
"""A variable in the environment of workers that were started for a run, and end with it."""


class _Calls:
    """The calls that this process is making, by the thread. A forked child makes none of them."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self.forget()
        forget_at_fork(self)

    def forget(self) -> None:
        self._specs: dict[int, TaskSpec] = {}

    def begin(self, thread: int, spec: TaskSpec) -> None:
        with self._lock.held:
            self._specs[thread] = spec

    def end(self, thread: int) -> None:
        with self._lock.held:
            del self._specs[thread]

    def running(self, owner: str) -> int:
        known = list(self._specs.values())
        return sum(spec.owner == owner and not spec.abandoned for spec in known)

    def interrupt(self, owner: str) -> None:
        with self._lock.held:
            for thread, spec in self._specs.items():
                if spec.owner == owner:
                    interrupt(thread)


_calls = _Calls()


def on_worker(spec: TaskSpec, *values: Any) -> Any:
    """Make a call, in a thread of the worker."""
    import distributed

    thread = threading.get_ident()
    _calls.begin(thread, spec)
    try:
        worker = distributed.get_worker()
        with sending(_sink_for(worker, spec.owner)):
            result = perform(spec, values, partial(_give_up, worker, spec))
        note = note_with(spec.lease, result)
        return result if note is None else Noted(result, note)
    finally:
        _calls.end(thread)
        calm(thread)


def on_worker_all(spec: TaskSpec, *values: Any) -> tuple[Report, list[Any] | None]:
    """Make several calls, in a thread of the worker."""
    import distributed

    thread = threading.get_ident()
    _calls.begin(thread, spec)
    try:
        with sending(_sink_for(distributed.get_worker(), spec.owner)):
            return perform_all(spec, values, lambda lease: None, told=True)
    finally:
        _calls.end(thread)
        calm(thread)


def _sink_for(worker: Any, owner: str) -> Sending:
    own = OWN in os.environ
    return Sending(
        lambda lines: worker.log_event(log_topic(owner), pickle.dumps(lines)),
        stays=own,
        console=own,
    )


def report_of(made: tuple[Report, list[Any] | None]) -> Report:
    """Return the small part of what `on_worker_all` returned."""
    return made[0]


def note_of(made: Any) -> Note | None:
    """Return the note of what `on_worker` returned."""
    return made.note if type(made) is Noted else None


def result_of(made: tuple[Report, list[Any]], at: int) -> Any:
    """Return one large result of several."""
    return made[1][at]


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
    return _calls.running(owner)


def stop(owner: str, dask_worker: Any) -> None:
    """Interrupt the calls of *owner*; kill the worker if they ignore it and it has a nanny."""
    _calls.interrupt(owner)
    if dask_worker.nanny is not None and running(owner):
        threading.Thread(target=_kill_for, args=(owner,), daemon=True).start()


def _kill_for(owner: str) -> None:
    time.sleep(GRACE)
    if running(owner):
        os._exit(1)

"""The executor of one machine: a few supervising threads, each with one call at a time."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from runstore.arguments import check_choice
from runstore.context import Lease
from runstore.errors import InvalidRequestError
from runstore.executors._base import Call, check_count
from runstore.executors._failures import given_up
from runstore.executors._logs import OnLog
from runstore.executors._processes import ProcessWorker
from runstore.executors._threads import ThreadWorker
from runstore.workers import joined

__all__ = ["LocalExecutor"]

_TOGETHER = 256  # calls that a process gets at a time, at most
_LONG = 0.05  # seconds that as many calls should take as go together


class _Worker(Protocol):
    begun: float
    """When the calls were sent that were made last, by `time.monotonic`."""

    def run_all(
        self,
        calls: Sequence[Call],
        ended: Callable[[int, Any, BaseException | None], None],
        back: Callable[[Sequence[int]], None],
    ) -> None: ...
    def drop(self, positions: Sequence[int]) -> None: ...
    def close(self) -> None: ...
    def kill(self) -> None: ...


class _Order(Future[Any]):
    """The future of a call that waits for a worker, or is with one."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self.call = call
        self.taken_by: tuple[_Worker, int] | None = None  # a worker, and the position there
        self.unwanted = False
        self.begun = False  # as far as its state goes; a worker may have given it back

    def begin(self) -> bool:
        """Return whether it is to be given to a worker: it was not cancelled."""
        if self.begun and self.unwanted:
            self.set_exception(CancelledError())
            return False
        self.begun = self.begun or self.set_running_or_notify_cancel()
        return self.begun

    def cancel(self) -> bool:
        """Cancel the call; if a worker has it and has not begun, it fails soon instead."""
        self.unwanted = True
        if super().cancel():
            return True
        if (taken_by := self.taken_by) is not None:
            taken_by[0].drop([taken_by[1]])
        return False


class LocalExecutor:
    """Runs calls side by side in threads or processes of this machine.

    The threads are daemons, unlike those of `concurrent.futures`: a stage that
    hangs does not delay the exit of the program.

    Args:
        mode: ``threads`` share memory with the caller; ``processes`` do not, use
            every core, and can be killed when they take too long.
        workers: How many calls run at once; by default one per CPU.
        import_path: Folders that processes look for modules in first.

    Raises:
        InvalidRequestError: An argument is none of these.
    """

    name = "local"
    location = None

    def __init__(
        self,
        mode: Literal["threads", "processes"] = "threads",
        workers: int | None = None,
        import_path: Sequence[str] = (),
    ) -> None:
        check_choice("executor_options", "mode", mode, ("threads", "processes"))
        check_count("workers", workers)
        self.on_log: OnLog | None = None
        self._mode = mode
        self._slots = workers or os.cpu_count() or 1
        self._import_path = tuple(import_path)
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._orders: deque[_Order] = deque()
        # Calls that have failed, as long as nobody has said what becomes of others.
        self._undecided: set[Future[Any]] = set()
        self._pace: tuple[object, float] = (None, _LONG)  # of which calls, seconds of each
        self._team: list[tuple[threading.Thread, _Worker]] = []
        self._open_calls = 0
        self._closed = False

    @property
    def in_process(self) -> bool:
        """True for threads."""
        return self._mode == "threads"

    @property
    def slots(self) -> int:
        """The number of workers."""
        return self._slots

    def room(self) -> int:
        """See `Executor.room`."""
        together = 1 if self.in_process else self._together()
        with self._lock:
            if self._undecided:  # the caller takes the failure first: no other stage may begin
                return 0
            return max(0, self._slots * (1 if together == 1 else 2 * together) - self._open_calls)

    def settled(self, taken: Sequence[Future[Any]]) -> None:
        """See `Executor.settled`."""
        if self._undecided:
            with self._changed:
                self._undecided.difference_update(taken)
                self._changed.notify_all()

    def submit_all(self, calls: Sequence[Call]) -> Sequence[Future[Any]]:
        """See `Executor.submit_all`."""
        return [self.submit(call) for call in calls]

    def submit(self, call: Call) -> Future[Any]:
        """Start *call* as soon as a worker is free; cancelling works until then.

        Raises:
            InvalidRequestError: The executor is closed.
        """
        order = _Order(call)
        with self._changed:
            if self._closed:
                raise InvalidRequestError(f"{call.label} was not started: the executor is closed")
            if len(self._team) < min(self._slots, self._open_calls + 1):
                self._hire()
            self._open_calls += 1
            self._orders.append(order)
            self._changed.notify()
        return order

    def start(self, needs: Mapping[str, Mapping[str, float]]) -> None:
        """Nothing to do: workers start with their first call, and resources are not counted."""

    def everywhere(self, function: Callable[..., Any], *args: Any) -> Mapping[str, Any]:
        """Return nothing: everything is on this machine."""
        return {}

    def fetch(self, held: Any) -> Any:
        """Return *held*: results come to this process as they are."""
        return held

    def divide(
        self, held: Any, listed: Callable[[Any], list[Any]], label: str
    ) -> Future[list[Any]]:
        """Return the items of *held*, made here and now."""
        future: Future[list[Any]] = Future()
        try:
            future.set_result(listed(held))
        except Exception as exc:  # noqa: BLE001 - iterating over a stage's value is its own code
            future.set_exception(exc)
        return future

    def revoke(self, leases: Sequence[Lease], reason: str) -> None:
        """Nothing to do: threads see the caller's leases, and processes end with the executor."""

    def close(self, *, kill: bool = False) -> None:
        """End every worker; can be called again.

        Args:
            kill: Cancel what has not started and do not wait for what runs.
        """
        with self._changed:
            self._closed = True
            team, self._team = self._team, []
            if kill:
                self._cancel_waiting()
            self._changed.notify_all()
        if kill:
            for _, worker in team:
                worker.kill()
        if not kill or not self.in_process:
            for thread, _ in team:
                joined(thread)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(kill=error is not None)

    def __repr__(self) -> str:
        return f"LocalExecutor(mode={self._mode!r}, workers={self._slots})"

    def _hire(self) -> None:
        worker: _Worker
        if self.in_process:
            worker = ThreadWorker()
        else:
            worker = ProcessWorker(self._import_path, self.on_log)
        thread = threading.Thread(
            target=self._supervise,
            args=(worker,),
            name=f"runstore local {len(self._team)}",
            daemon=True,
        )
        thread.start()
        self._team.append((thread, worker))

    def _together(self) -> int:
        """Return how many of the calls of now a process should get at a time."""
        return max(1, min(_TOGETHER, int(_LONG / max(self._pace[1], 1e-6))))

    def _taken(self, most: int) -> list[_Order]:
        """Wait for calls; nothing if the executor is closed and no call is left."""
        with self._changed:
            while not self._orders or (self._undecided and not self._closed):
                if self._closed:
                    return []
                self._changed.wait()
            taken = [self._orders.popleft()]
            call = taken[0].call
            most = min(most, 1 + len(self._orders) // self._slots)
            if self._pace[0] is not call.shared or not call.shared or call.timeout is not None:
                return taken
            while self._orders and len(taken) < most and _fit(call, self._orders[0].call):
                taken.append(self._orders.popleft())
            return taken

    def _supervise(self, worker: _Worker) -> None:
        while taken := self._taken(1 if self.in_process else self._together()):
            orders = [one for one in taken if one.begin()]
            for _ in range(len(taken) - len(orders)):
                self._settled()
            del taken
            if not orders:
                continue
            for at, order in enumerate(orders):
                order.taken_by = worker, at
            ended = 0

            def end(
                at: int, result: Any, error: BaseException | None, orders: Any = orders
            ) -> None:
                nonlocal ended
                ended += 1
                order, orders[at] = orders[at], None
                try:
                    if error is not None and order.call.decides:
                        with self._lock:
                            self._undecided.add(order)
                    if error is not None and order.call.lease is not None:
                        order.call.lease.revoke(given_up(error))
                finally:
                    self._settled()
                    if error is not None:
                        order.set_exception(error)
                    else:
                        order.set_result(result)

            kind = orders[0].call.shared
            calls = [order.call for order in orders]

            def back(positions: Sequence[int], orders: Any = orders) -> None:
                given_back = [orders[at] for at in positions]
                for at in positions:
                    orders[at] = None
                self._take_back(given_back)

            try:
                worker.run_all(calls, end, back)
            except BaseException as exc:  # noqa: BLE001 - a fault of ours must not be waited for
                for at in [at for at, order in enumerate(orders) if order is not None]:
                    end(at, None, exc)
            if ended:
                self._paced(kind, (time.monotonic() - worker.begun) / ended)
            del orders, calls, end, back, kind  # an idle worker must not keep values alive
        worker.close()

    def _paced(self, kind: object, seconds: float) -> None:
        """Note how long each of some calls took; one that was slow once does not count for much."""
        known, before = self._pace
        if known is kind and seconds > before:
            seconds = (3 * before + seconds) / 4
        self._pace = kind, seconds

    def _take_back(self, orders: list[_Order]) -> None:
        """Queue calls that have not begun anew, before others; end those that were cancelled."""
        for order in orders:
            order.taken_by = None
            if order.unwanted:
                self._settled()
                order.set_exception(CancelledError())
        with self._changed:
            self._orders.extendleft(one for one in reversed(orders) if not one.unwanted)
            self._changed.notify_all()

    def _settled(self) -> None:
        with self._lock:
            self._open_calls -= 1

    def _cancel_waiting(self) -> None:
        waiting, self._orders = self._orders, deque()
        for order in waiting:
            if not order.cancel():
                order.set_exception(CancelledError())
            self._open_calls -= 1


def _fit(one: Call, other: Call) -> bool:
    """Return whether two calls can go together."""
    return one.function is other.function and one.shared is other.shared and other.timeout is None

"""The executor of one machine: a few supervising threads, each with one call at a time."""

import contextlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from runstore.arguments import check_choice
from runstore.context import Lease
from runstore.errors import InvalidRequestError
from runstore.executors._base import Call, check_count
from runstore.executors._failures import given_up
from runstore.executors._processes import ProcessWorker
from runstore.executors._threads import ThreadWorker
from runstore.workers import joined

__all__ = ["LocalExecutor"]

_Order = tuple[Call, "Future[Any]"] | None


class _Worker(Protocol):
    def run(self, call: Call) -> Any: ...
    def close(self) -> None: ...
    def kill(self) -> None: ...


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
        self._mode = mode
        self._slots = workers or os.cpu_count() or 1
        self._import_path = tuple(import_path)
        self._lock = threading.Lock()
        self._orders: SimpleQueue[_Order] = SimpleQueue()
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

    def submit(self, call: Call) -> Future[Any]:
        """Start *call* as soon as a worker is free; cancelling works until then.

        Raises:
            InvalidRequestError: The executor is closed.
        """
        future: Future[Any] = Future()
        with self._lock:
            if self._closed:
                raise InvalidRequestError(f"{call.label} was not started: the executor is closed")
            if len(self._team) < min(self._slots, self._open_calls + 1):
                self._hire()
            self._open_calls += 1
            self._orders.put((call, future))
        return future

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
        with self._lock:
            self._closed = True
            team, self._team = self._team, []
            if kill:
                self._cancel_waiting()
            for _ in team:
                self._orders.put(None)
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
        worker = ThreadWorker() if self.in_process else ProcessWorker(self._import_path)
        thread = threading.Thread(
            target=self._supervise,
            args=(worker,),
            name=f"runstore local {len(self._team)}",
            daemon=True,
        )
        thread.start()
        self._team.append((thread, worker))

    def _supervise(self, worker: _Worker) -> None:
        while (order := self._orders.get()) is not None:
            call, future = order
            if future.set_running_or_notify_cancel():
                try:
                    result = worker.run(call)
                except BaseException as exc:  # noqa: BLE001 - a stage's own error, for who waits
                    try:
                        if call.lease is not None:
                            call.lease.revoke(given_up(exc))
                    finally:
                        self._settled()
                        future.set_exception(exc)
                else:
                    self._settled()
                    future.set_result(result)
                    del result
            else:
                self._settled()
            del order, call, future  # an idle worker must not keep values alive
        worker.close()

    def _settled(self) -> None:
        with self._lock:
            self._open_calls -= 1

    def _cancel_waiting(self) -> None:
        with contextlib.suppress(Empty):
            while (order := self._orders.get_nowait()) is not None:
                order[1].cancel()
                self._open_calls -= 1

"""What executors on a cluster have in common: calls go out as task specs, results stay there.

The result of a future is a `RemoteResult`: the engine's own handle. If it is an argument of
another call, the engine moves the value to that call's worker. Only `fetch` brings it here.
"""

import operator
import secrets
import threading
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from runstore import beside, by_value
from runstore.context import Lease
from runstore.errors import (
    ExecutorUnavailableError,
    InvalidRequestError,
    UnsupportedValueError,
)
from runstore.executors._base import Call
from runstore.executors._folder import beside_of, state_of
from runstore.executors._logs import LogLine, OnLog
from runstore.executors._pending import Bundle, Pending, RemoteResult
from runstore.executors._remote import BriefResult, TaskSpec, in_brief
from runstore.executors._together import Together
from runstore.faults import is_own_fault
from runstore.workers import SLICE

__all__ = ["Bundle", "ClusterExecutor", "Pending", "RemoteResult", "not_unpickled"]


def not_unpickled(error: Exception) -> UnsupportedValueError:
    """Return the error for a result that cannot be unpickled in this process."""
    return UnsupportedValueError(
        f"the result of the last stage cannot be unpickled here ({type(error).__name__}: {error}): "
        "put it into the object_store and return its name"
    )


class ClusterExecutor(Together):
    """Runs calls on a cluster whose engine queues them.

    Args:
        import_path: Folders in which workers look for modules first.
    """

    name: ClassVar[str]
    in_process = False
    slots = None

    def __init__(self, import_path: Sequence[str] = ()) -> None:
        super().__init__()
        self.on_log: OnLog | None = None
        self._modules = beside_of(import_path)
        self._folders = tuple((folder, state_of(Path(folder))) for folder in import_path)
        self._owner = secrets.token_hex(8)
        self._lock = threading.RLock()
        self._numbered = 0
        self._open: dict[int, Pending] = {}
        self._connected = False
        self._closed = False

    @abstractmethod
    def _connect(self) -> None:
        """Start or reach the engine; if that fails, `_disconnect` follows."""

    @abstractmethod
    def _disconnect(self, *, kill: bool) -> None:
        """End the connection, and the workers that were started; all may be half-made."""

    @abstractmethod
    def _check(self, label: str, needs: Mapping[str, float]) -> None:
        """Raise InvalidRequestError if no worker can have what a call needs."""

    @abstractmethod
    def _send(self, pending: Pending, spec: TaskSpec, refs: list[Any]) -> None:
        """Submit *spec* to the engine; set ``pending.ref``, and end *pending* when it ends."""

    @abstractmethod
    def _gather(self, refs: list[Any]) -> list[Any]:
        """Bring values here."""

    @abstractmethod
    def _revoke(self, pending: Sequence[Pending], *, kill: bool) -> None:
        """Cancel calls; with *kill* also those that run, if the engine can."""

    def start(self, needs: Mapping[str, Mapping[str, float]]) -> None:
        """See `Executor.start`."""
        self._started("the run")
        for label, wanted in needs.items():
            self._check(label, wanted)

    def submit(self, call: Call) -> Future[Any]:
        """See `Executor.submit`."""
        self._started(call.label)
        pending = self._pending(call)
        self._send_alone(pending)
        return pending

    def _pending(self, call: Call) -> Pending:
        with self._lock:
            self._numbered += 1
            pending = Pending(
                *(call, self._numbered, lambda one: self._revoke([one], kill=False)),
                self._modules,
            )
            self._open[pending.number] = pending
        pending.add_done_callback(self._settled)
        return pending

    def _send_alone(self, pending: Pending) -> None:
        call, pending.kept_alone = pending.call, True
        try:
            spec, refs = self._spec_of(call, pending.number)
        except Exception as exc:  # noqa: BLE001 - the pickling of a user's value is the user's code
            if is_own_fault(exc):
                pending.fail(exc)
                return
            error = UnsupportedValueError(
                f"{call.label} cannot be sent to a worker: its function or an argument cannot be "
                f"pickled ({type(exc).__name__}: {exc}). Pass data through the object_store"
            )
            error.__cause__ = exc
            pending.fail(error)
            return
        try:
            self._send(pending, spec, refs)
        except Exception as exc:  # noqa: BLE001 - of an engine that has gone away: any class
            pending.fail(self._unsent(call, exc))

    def _unsent(self, call: Call, reason: Exception) -> Exception:
        if is_own_fault(reason):
            return reason
        unavailable = ExecutorUnavailableError(
            f"{call.label} could not be sent to {self.name} ({type(reason).__name__}: {reason}): "
            "the cluster or the connection to it has gone away"
        )
        unavailable.__cause__ = reason
        return unavailable

    def fetch(self, held: Any) -> Any:
        """See `Executor.fetch`."""
        with beside.in_front(self._modules):
            if isinstance(held, RemoteResult):
                return self._gather([held.ref])[0]
            if type(held) is not list:
                return _unpickled(held)
            refs = [item.ref for item in held if isinstance(item, RemoteResult)]
            values = iter(self._gather(refs) if refs else ())
            return [
                next(values) if isinstance(item, RemoteResult) else _unpickled(item)
                for item in held
            ]

    def divide(
        self, held: Any, listed: Callable[[Any], list[Any]], label: str
    ) -> Future[list[Any]]:
        """See `Executor.divide`. If all items together are at most a mebibyte, they come here."""
        future: Future[list[Any]] = Future()
        if not isinstance(held, RemoteResult):
            future.set_result(list(held))  # a mapped stage's result is a list of its items'
            return future
        threading.Thread(
            target=self._divide,
            args=(future, held, listed, label),
            name=f"runstore items of {label}",
            daemon=True,
        ).start()
        return future

    def revoke(self, leases: Sequence[Lease], reason: str) -> None:
        """See `Executor.revoke`; here the workers end with the executor."""
        return

    def close(self, *, kill: bool = False) -> None:
        """See `Executor.close`."""
        with self._lock:
            self._closed = True
            open_calls = list(self._open.values())
        if kill:
            for pending in open_calls:
                Future.cancel(pending)  # before the engine says that it was: we know why
            self._revoke(open_calls, kill=True)
        else:
            while wait(open_calls, SLICE).not_done:
                pass
        with self._lock:
            connected, self._connected = self._connected, False
        if connected:
            self._disconnect(kill=kill)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(kill=error is not None)

    def _take_lines(self, lines: list[LogLine]) -> None:
        """Pass on what stages have logged on workers."""
        if self.on_log is not None:
            self.on_log(lines)

    def _started(self, label: str) -> None:
        with self._lock:
            if self._closed:
                raise InvalidRequestError(f"{label} was not started: the executor is closed")
            if not self._connected:
                try:
                    self._connect()
                except BaseException:  # also Ctrl-C: workers of our own do not hear of it
                    self._disconnect(kill=True)
                    raise
                self._connected = True

    def _settled(self, future: Future[Any]) -> None:
        assert isinstance(future, Pending)
        with self._lock:
            self._open.pop(future.number, None)
        if self.bundles and future.kept_alone:
            self._pace.ended(future.call.shared, self._counted[1])

    def _divide(
        self,
        future: Future[list[Any]],
        held: RemoteResult,
        listed: Callable[[Any], list[Any]],
        label: str,
    ) -> None:
        try:
            items = self.submit(Call(listed, (held,), label)).result()
            brief = self.submit(Call(in_brief, (items,), label)).result()
            count, pickled = self.fetch(brief)
            if pickled is not None:
                found = by_value.loads(pickled)
            else:
                each = [
                    self.submit(Call(operator.itemgetter(index), (items,), label))
                    for index in range(count)
                ]
                found = [one.result() for one in each]
        except BaseException as exc:  # noqa: BLE001 - a stage's own error, for who waits
            future.set_exception(exc)
        else:
            future.set_result(found)


def _unpickled(held: Any) -> Any:
    if type(held) is not BriefResult:
        return held
    try:
        return by_value.loads(held.data)
    except Exception as exc:  # the unpickling of a user's value is the user's code
        if is_own_fault(exc):
            raise
        raise not_unpickled(exc) from exc

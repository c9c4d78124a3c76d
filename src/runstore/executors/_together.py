"""How calls leave for a cluster: quick ones together, and what they have in common once."""

import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, ClassVar

from runstore import beside, by_value
from runstore.buffers import flat
from runstore.executors._base import Call
from runstore.executors._bundle import LARGE, NOT_MADE, Pace, Report
from runstore.executors._failures import Failure, unpack
from runstore.executors._pending import Bundle, Pending, RemoteResult
from runstore.executors._remote import ArgRef, Rest, TaskSpec
from runstore.executors._shared import Shared
from runstore.faults import is_own_fault

__all__ = ["Together"]

_TASKS = 32  # that an engine gets at least, as long as there are calls
_COUNT_AGAIN = 5.0  # seconds until the threads of the workers are counted again


class Together(ABC):
    """The part of a `ClusterExecutor` that divides calls into tasks."""

    bundles: ClassVar[bool] = False
    """Whether it sends quick calls together, and what calls have in common once."""

    _modules: beside.Modules | None
    _folders: tuple[tuple[str, str], ...]
    _owner: str
    _lock: threading.RLock
    _open: dict[int, Pending]
    _connected: bool

    def __init__(self) -> None:
        self._pace = Pace()
        self._given_back: list[Pending] = []  # that a worker has not begun
        self._blobs: dict[str, tuple[weakref.ref[Shared], Any]] = {}
        self._kind: object = None  # of the calls that were sent last
        self._most = 1  # how many of them go together
        self._counted = (0.0, 1)

    @abstractmethod
    def _started(self, label: str) -> None: ...

    @abstractmethod
    def _pending(self, call: Call) -> Pending: ...

    @abstractmethod
    def _send_alone(self, pending: Pending) -> None: ...

    @abstractmethod
    def _unsent(self, call: Call, reason: Exception) -> Exception: ...

    @abstractmethod
    def submit(self, call: Call) -> Future[Any]:
        """See `Executor.submit`."""

    def _send_bundle(self, bundle: Bundle, spec: TaskSpec, refs: list[Any]) -> None:
        """Submit several calls as one task; set ``bundle.ref``, and `_report` when it has ended."""
        raise NotImplementedError

    def _keep(self, data: bytes, key: str) -> Any:
        """Hand the engine what calls have in common, for all workers, and return its handle."""
        raise NotImplementedError

    def _threads(self) -> int:
        """Return how many calls the engine makes at once."""
        return 1

    def room(self) -> int | None:
        """See `Executor.room`."""
        if not self.bundles:
            return None
        return max(0, self._at_once() * self._pace.together(self._kind) - len(self._open))

    def _at_once(self) -> int:
        """Return how many tasks the engine should have: enough for all workers, and for growth."""
        counted, threads = self._counted
        if time.monotonic() - counted > _COUNT_AGAIN:
            threads = self._threads() if self._connected else 1
            self._counted = time.monotonic(), threads
        return max(_TASKS, 4 * threads)

    def settled(self, taken: Sequence[Future[Any]]) -> None:
        """See `Executor.settled`."""
        if self._given_back:
            self._send_again()

    def submit_all(self, calls: Sequence[Call]) -> Sequence[Future[Any]]:
        """See `Executor.submit_all`."""
        if not self.bundles or len(calls) < 2:
            return [self.submit(call) for call in calls]
        self._started(calls[0].label)
        pending = [self._pending(call) for call in calls]
        self._send_some(pending)
        return pending

    def _send_some(self, pending: Sequence[Pending]) -> None:
        """Send calls, quick ones of one kind together."""
        together: list[Pending] = []
        for one in pending:
            kind = one.call.shared
            if together and (kind is not together[0].call.shared or len(together) >= self._most):
                self._send_together(together)
                together = []
            if not kind or one.call.timeout is not None or one.alone:
                self._send_alone(one)
                continue
            self._kind = kind
            self._most = min(
                self._pace.together(kind), 1 + len(pending) // max(1, 2 * self._counted[1])
            )
            together.append(one)
        if together:
            self._send_together(together)

    def _send_again(self) -> None:
        """Send what workers have given back."""
        with self._lock:
            back, self._given_back = self._given_back, []
        if back:
            self._send_some([one for one in back if not one.done()])

    def _send_together(self, pending: list[Pending]) -> None:
        if len(pending) == 1:
            self._send_alone(pending[0])
            return
        bundle = Bundle(pending, pending[0].call.shared)
        for one in pending:
            one.bundle, one.kept_alone = bundle, False
        try:
            spec, refs = self._spec_of_all(pending)
        except Exception as exc:  # noqa: BLE001 - the pickling of a user's value is the user's code
            if is_own_fault(exc):
                for one in pending:
                    one.fail(exc)
                return
            for one in pending:  # so that each that cannot cross has its own error
                one.bundle = None
                self._send_alone(one)
            return
        try:
            self._send_bundle(bundle, spec, refs)
        except Exception as exc:  # noqa: BLE001 - engines raise anything, as ValueError
            for one in pending:
                one.fail(self._unsent(one.call, exc))

    def _report(self, bundle: Bundle, report: Report, large: Callable[[int], Any]) -> None:
        """End the calls of a task of which a worker has reported.

        Args:
            bundle: The task.
            report: What became of each.
            large: Makes the handle of a result that stayed there.
        """
        made = [one for one in report.outcomes if one != NOT_MADE]
        if made:
            seconds = report.seconds / len(made)
            self._pace.took(bundle.kind, 1.0 if LARGE in made else seconds)
        with self._lock:
            for one, outcome in zip(bundle.pending, report.outcomes, strict=True):
                if outcome == NOT_MADE and not one.done():
                    self._given_back.append(one)
        for at, (one, outcome) in enumerate(zip(bundle.pending, report.outcomes, strict=True)):
            if outcome == NOT_MADE:
                continue
            one.noted(outcome.note if isinstance(outcome, Failure) else report.notes.get(at))
            if outcome == LARGE:
                one.end(RemoteResult(None, partial(large, at)))
            elif isinstance(outcome, Failure):
                one.fail(unpack(outcome, self._modules))
            else:
                one.end(outcome)
        decides = bundle.pending[0].call.decides
        if not (decides and any(isinstance(one, Failure) for one in report.outcomes)):
            self._send_again_soon()  # else `settled` does

    def _send_again_soon(self) -> None:
        """Send what was given back, in a thread: those of engines must not wait for the engine."""
        if self._given_back:
            threading.Thread(
                target=self._send_again, name="runstore given back", daemon=True
            ).start()

    def _broken(self, bundle: Bundle) -> None:
        """Let each call of a task whose worker died be made again, by itself."""
        with self._lock:
            left = [one for one in bundle.pending if not one.done()]
            for one in left:
                one.alone, one.bundle = True, None
            self._given_back += left
        self._send_again_soon()

    def _spec_of(self, call: Call, number: int) -> tuple[TaskSpec, list[Any]]:
        keys, refs = self._shared_refs(call)
        args = (*self._rest_of(call, refs), *(_packed(arg, refs) for arg in call.args))
        payload = by_value.dumps((call.function, args))
        spec = TaskSpec(
            *(number, call.label, payload, call.timeout, self._folders, self._owner),
            *(call.lease, keys),
        )
        return spec, refs

    def _spec_of_all(self, pending: Sequence[Pending]) -> tuple[TaskSpec, list[Any]]:
        first = pending[0].call
        keys, refs = self._shared_refs(first)
        rest = self._rest_of(first, refs)
        calls = [
            (tuple([_packed(arg, refs) for arg in one.call.args]), one.call.lease)
            for one in pending
        ]
        payload = by_value.dumps((first.function, rest, calls, first.decides))
        label = f"{len(pending)} calls from {first.label} on"
        spec = TaskSpec(
            *(pending[0].number, label, payload, None, self._folders, self._owner),
            *(None, keys, len(pending)),
        )
        return spec, refs

    def _shared_refs(self, call: Call) -> tuple[tuple[str, ...], list[Any]]:
        """Return the digests of what a call has in common with others, and the engine's handles."""
        common = [one for one in call.shared if not one.copied]
        if not self.bundles:
            return (), []
        found = [self._blob(one) for one in common]
        return tuple(key for key, _ in found), [ref for _, ref in found]

    def _rest_of(self, call: Call, refs: list[Any]) -> list[Any]:
        """Return what goes with the payload of what a call has in common with others."""
        return [
            Rest(tuple(_packed(item, refs) for item in one.value)) if one.copied else one.value
            for one in call.shared
            if one.copied or not self.bundles
        ]

    def _blob(self, shared: Shared) -> tuple[str, Any]:
        key, crossing = shared.crossing()
        with self._lock:
            for old, (alive, _) in list(self._blobs.items()):
                if alive() is None and old != key:
                    del self._blobs[old]
            if key not in self._blobs:
                data = (
                    by_value.dumps(shared.value)
                    if crossing.buffers
                    else b"".join(map(bytes, map(flat, crossing.stream)))
                )
                self._blobs[key] = weakref.ref(shared), self._keep(data, key)
            return key, self._blobs[key][1]


def _packed(arg: Any, refs: list[Any]) -> Any:
    """Return an argument as it is sent; results that the engine has are added to *refs*."""
    if isinstance(arg, RemoteResult):
        refs.append(arg.ref)
        return ArgRef(len(refs) - 1)
    if type(arg) is list and any(isinstance(item, RemoteResult) for item in arg):
        return [_packed(item, refs) for item in arg]
    return arg

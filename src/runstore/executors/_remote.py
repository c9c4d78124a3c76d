"""What a worker of a cluster does with a call: the side of `_cluster.py` that runs there."""

import contextlib
import io
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, NamedTuple

from runstore import beside, by_value
from runstore.context import Lease, Note, is_exact, kept_result
from runstore.errors import UnsupportedValueError
from runstore.executors._deadline import ExpiredError, deadline
from runstore.executors._failures import Failure, given_up, pack, timed_out
from runstore.faults import is_own_fault
from runstore.lifetime import Bounded

__all__ = [
    "PLAIN",
    "ArgRef",
    "BriefResult",
    "FailedError",
    "Noted",
    "Rest",
    "TaskSpec",
    "filled",
    "in_brief",
    "note_with",
    "perform",
    "pickled_small",
    "shared_values",
]

_BRIEF = 1 << 20  # bytes of items that travel with the calls instead of staying where they are
PLAIN = frozenset({type(None), bool, int, float, str, bytes})


class ArgRef(NamedTuple):
    """Stands in a task spec for an argument that the engine brings."""

    number: int


class BriefResult(NamedTuple):
    """A small result that the caller has; it is unpickled where it is used."""

    data: bytes


class TaskSpec:
    """A call, or several, as they are sent to a worker; engines show its repr.

    Attributes:
        number: Of the call, or of the first one.
        label: Its name in messages.
        payload: The pickle of function and arguments.
        timeout: Seconds, or None.
        folders: Where modules are looked for first, and what state they are in.
        owner: Of the executor.
        lease: Of the call.
        shared: The digests of what the calls have in common with others: the engine brings
            that as the first of the values.
        count: How many calls they are.
    """

    def __init__(
        self,
        number: int,
        label: str,
        payload: bytes,
        timeout: float | None,
        folders: tuple[tuple[str, str], ...],
        owner: str,
        lease: Lease | None = None,
        shared: tuple[str, ...] = (),
        count: int = 1,
    ) -> None:
        self.shared = shared
        self.count = count
        self.number = number
        self.label = label
        self.payload = payload
        self.timeout = timeout
        self.folders = folders
        self.owner = owner
        self.lease = lease
        self.abandoned = False
        """Whether it ignored its timeout, where it runs, and cannot be stopped."""

    def __repr__(self) -> str:
        return f"<{self.label}>"


class FailedError(Exception):
    """Carries a failure through an engine, which would change or lose some errors."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure

    def __str__(self) -> str:
        return self.failure.reason[:500]  # engines cut long ones, and lose the rest


def perform(
    spec: TaskSpec, values: tuple[Any, ...], give_up: Callable[[], None], *, told: bool = True
) -> Any:
    """Make the call and return its result, which can be pickled.

    Args:
        spec: What to call.
        values: The arguments that its references stand for.
        give_up: Called in another thread if the call ignores its timeout.
        told: Whether the engine tells this process in time that the call was given up.

    Raises:
        FailedError: The call failed, for any reason.
    """
    if spec.lease is not None and told:
        spec.lease.told = True
    try:
        # A context of its own, or a variable set by one stage would be seen by the next; a
        # copy, since engines keep there what lets a task submit further ones.
        return copy_context().run(_perform, spec, values, give_up)
    except BaseException as exc:  # noqa: BLE001 - a stage's own error, raised by the caller
        if spec.lease is not None:
            spec.lease.revoke(given_up(exc))
        failure = pack(exc, spec.lease)
    raise FailedError(failure)


def _perform(spec: TaskSpec, values: tuple[Any, ...], give_up: Callable[[], None]) -> Any:
    with contextlib.ExitStack() as stack:
        for path, state in spec.folders:
            modules = beside.modules_of(path, state)
            stack.enter_context(beside.activated(modules))
            stack.enter_context(beside.within(modules))
        with beside.alone():
            function, args = by_value.loads(spec.payload)
            common = shared_values(spec.shared, values)
        args = (*common, *(filled(arg, values) for arg in args))
        del values
        if spec.timeout is None:
            result = function(*args)
        else:
            try:
                with deadline(spec.timeout, give_up, partial(_no_more_writes, spec)):
                    result = function(*args)
            except ExpiredError:
                raise timed_out(spec.label, spec.timeout, "it was told to stop") from None
        _check_pickles(spec.label, result)
    return result


def _no_more_writes(spec: TaskSpec) -> None:
    """Revoke the lease of a call whose timeout is over, before it is interrupted."""
    if spec.lease is not None:
        spec.lease.revoke("it took longer than its timeout and was given up")


def note_with(lease: Lease | None, result: Any, *, stays: bool = True) -> Note | None:
    """Return what the call of a lease has read and written, and what a record keeps of its result.

    Args:
        lease: Of the call; no stage's call has none.
        result: What it returned.
        stays: Whether the result stays on its worker.
    """
    if lease is None or lease.trace is None:
        return None
    note = lease.noted()
    if not stays:
        return note
    return (note or Note())._replace(result=(kept_result(result), is_exact(result)))


class Noted:
    """A result that stays on a worker, and the note of the call. No tuple: engines look into it."""

    __slots__ = ("note", "value")

    def __init__(self, value: Any, note: Note) -> None:
        self.value = value
        self.note = note

    def __reduce__(self) -> tuple[Any, ...]:
        return Noted, (self.value, self.note)


def filled(arg: Any, values: tuple[Any, ...]) -> Any:
    """Return an argument with what the engine has brought, and with brief results unpickled."""
    if type(arg) is ArgRef:
        found = values[arg.number]
        return found.value if type(found) is Noted else found
    if type(arg) is BriefResult:
        return by_value.loads(arg.data)
    if type(arg) is list:
        return [filled(item, values) if type(item) in _STANDS_IN else item for item in arg]
    if type(arg) is Rest:
        return tuple(filled(item, values) for item in arg.items)
    return arg


class Rest(NamedTuple):
    """The arguments that all calls of a stage have, of which the engine brings some."""

    items: tuple[Any, ...]


_STANDS_IN = (ArgRef, BriefResult)


def shared_values(keys: tuple[str, ...], values: tuple[Any, ...]) -> list[Any]:
    """Return what calls have in common, unpickled once in this process."""
    found = []
    for key, data in zip(keys, values, strict=False):
        folder = beside.current()
        known = _shared.get((key, folder))
        if known is None:
            known = (by_value.loads(data),)
            _shared.put((key, folder), known)
        found.append(known[0])
    return found


_shared: Bounded[tuple[str, object], tuple[Any]] = Bounded(64)  # contexts of runs, code of stages


class _Nowhere:
    """A file that keeps nothing of what is written to it."""

    def write(self, data: Any) -> int:
        return len(data)


class _TooLongError(Exception):
    """More was written to a `_Short` than it takes."""


class _Short(io.BytesIO):
    """A file that takes so many bytes."""

    def __init__(self, most: int = _BRIEF) -> None:
        super().__init__()
        self._most = most

    def write(self, data: Any) -> int:
        if self.tell() + memoryview(data).nbytes > self._most:
            raise _TooLongError
        return super().write(data)


def _check_pickles(label: str, result: object) -> None:
    """Raise if the result cannot be pickled; the bytes are not kept.

    Else the engine would find out when another worker asks for it, and might retry for ever.
    """
    if type(result) in PLAIN:
        return
    try:
        pickler = by_value.Pickler(_Nowhere(), protocol=5, buffer_callback=lambda buffer: None)
        pickler.dump(result)
    except Exception as exc:  # the pickling of a user's value is the user's code
        if is_own_fault(exc):
            raise
        raise UnsupportedValueError(
            f"{label} returned a {type(result).__qualname__}, which cannot be pickled and so "
            f"cannot leave its worker ({type(exc).__name__}: {exc}): put it into the object_store "
            "and return its name"
        ) from exc


def pickled_small(label: str, result: object, most: int) -> bytes | None:
    """Return the pickle of a result; None if it is longer than *most* bytes, and can be pickled.

    Raises:
        UnsupportedValueError: It cannot be pickled.
    """
    with _Short(most) as file:
        try:
            by_value.Pickler(file, 5).dump(result)
            return file.getvalue()
        except Exception:  # noqa: BLE001 - too long, or the next line says what it is
            _check_pickles(label, result)
    return None


def in_brief(items: list[Any]) -> tuple[int, bytes | None]:
    """Return how many items there are and, if they are small, what they are."""
    with _Short() as file:
        try:
            by_value.Pickler(file).dump(items)  # no further than that: they may be huge
        except _TooLongError:
            return len(items), None
        return len(items), file.getvalue()

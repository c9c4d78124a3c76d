"""What a worker of a cluster does with a call: the side of `_cluster.py` that runs there."""

import contextlib
import io
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, NamedTuple

from runstore import beside, by_value
from runstore.context import Lease
from runstore.errors import UnsupportedValueError
from runstore.executors._deadline import ExpiredError, deadline
from runstore.executors._failures import Failure, given_up, pack, timed_out

__all__ = ["ArgRef", "FailedError", "TaskSpec", "in_brief", "perform"]

_BRIEF = 1 << 20  # bytes of items that travel with the calls instead of staying where they are
_PLAIN = frozenset({type(None), bool, int, float, str, bytes})


class ArgRef(NamedTuple):
    """Stands in a task spec for an argument that the engine brings."""

    number: int


class TaskSpec:
    """A call as it is sent to a worker; engines show its repr."""

    def __init__(
        self,
        number: int,
        label: str,
        payload: bytes,
        timeout: float | None,
        folders: tuple[tuple[str, str], ...],
        owner: str,
        lease: Lease | None = None,
    ) -> None:
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
        failure = pack(exc)
    raise FailedError(failure)


def _perform(spec: TaskSpec, values: tuple[Any, ...], give_up: Callable[[], None]) -> Any:
    with contextlib.ExitStack() as stack:
        for path, state in spec.folders:
            modules = beside.modules_of(path, state)
            stack.enter_context(beside.activated(modules))
            stack.enter_context(beside.within(modules))
        with beside.alone():
            function, args = by_value.loads(spec.payload)
        args = tuple(_filled(arg, values) for arg in args)
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


def _filled(arg: Any, values: tuple[Any, ...]) -> Any:
    if type(arg) is ArgRef:
        return values[arg.number]
    if type(arg) is list:
        return [values[item.number] if type(item) is ArgRef else item for item in arg]
    return arg


class _Nowhere:
    """A file that keeps nothing of what is written to it."""

    def write(self, data: Any) -> int:
        return len(data)


class _TooLongError(Exception):
    """More was written to a `_Short` than it takes."""


class _Short(io.BytesIO):
    """A file that takes `_BRIEF` bytes."""

    def write(self, data: Any) -> int:
        if self.tell() + memoryview(data).nbytes > _BRIEF:
            raise _TooLongError
        return super().write(data)


def _check_pickles(label: str, result: object) -> None:
    """Raise if the result cannot be pickled; the bytes are not kept.

    Else the engine would find out when another worker asks for it, and might retry for ever.
    """
    if type(result) in _PLAIN:
        return
    try:
        pickler = by_value.Pickler(_Nowhere(), protocol=5, buffer_callback=lambda buffer: None)
        pickler.dump(result)
    except Exception as exc:
        raise UnsupportedValueError(
            f"{label} returned a {type(result).__qualname__}, which cannot be pickled and so "
            f"cannot leave its worker ({type(exc).__name__}: {exc}): put it into the object_store "
            "and return its name"
        ) from exc


def in_brief(items: list[Any]) -> tuple[int, bytes | None]:
    """Return how many items there are and, if they are small, what they are."""
    with _Short() as file:
        try:
            by_value.Pickler(file).dump(items)  # no further than that: they may be huge
        except _TooLongError:
            return len(items), None
        return len(items), file.getvalue()

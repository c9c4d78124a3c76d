"""Several quick calls as one task of a cluster: what is sent, and what comes back of each."""

import contextlib
import time
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, NamedTuple

from runstore import beside, by_value
from runstore.context import Lease, Note
from runstore.executors._failures import Failure, given_up, pack
from runstore.executors._remote import (
    PLAIN,
    BriefResult,
    TaskSpec,
    filled,
    note_with,
    pickled_small,
    shared_values,
)

__all__ = ["LARGE", "NOT_MADE", "Pace", "Report", "perform_all"]

TOGETHER = 256  # calls of one task, at most
_LONG = 0.05  # seconds that as many calls should take as go together
_TOO_LONG = 0.25  # seconds after which a task begins none of its calls any more
_SMALL = 4096  # bytes of a pickled result that comes with the report
_SEEN = 16  # calls by whose ends the pace is told


class Report(NamedTuple):
    """What became of the calls of one task.

    Attributes:
        outcomes: Of each call a plain value, a `BriefResult`, a `Failure`, `LARGE` or `NOT_MADE`.
        seconds: How long those that were made have taken together.
        notes: Of calls that have ended well, by position: what they read and wrote.
    """

    outcomes: list[Any]
    seconds: float
    notes: dict[int, Note]


class _Mark(NamedTuple):
    """Stands in a report for a result that stays where it is, or for none."""

    name: str


LARGE, NOT_MADE = _Mark("large"), _Mark("not made")


class Pace:
    """How quick the calls of one kind are, and so how many go together."""

    def __init__(self) -> None:
        self._kind: object = None
        self._seconds: float | None = None
        self._ends: deque[float] = deque(maxlen=_SEEN)

    def together(self, kind: object) -> int:
        """Return how many calls of this kind should be one task."""
        if kind is not self._kind or self._seconds is None:
            return 1
        return max(1, min(TOGETHER, int(_LONG / max(self._seconds, 1e-6))))

    def ended(self, kind: object, at_once: int) -> None:
        """Note that a call that was alone has ended, of which so many are made at once."""
        if kind is not self._kind:
            self._kind, self._seconds = kind, None
            self._ends.clear()
        self._ends.append(time.monotonic())
        if len(self._ends) == _SEEN:
            self._seconds = (self._ends[-1] - self._ends[0]) / (_SEEN - 1) * at_once

    def took(self, kind: object, seconds: float) -> None:
        """Note how long each call of a task has taken."""
        if kind is self._kind:
            self._seconds = seconds
            self._ends.clear()


# What follows runs on the workers.


def perform_all(
    spec: TaskSpec, values: tuple[Any, ...], prepare: Callable[[Lease], None], told: bool
) -> tuple[Report, list[Any] | None]:
    """Make calls one after the other, and report of each; large results are returned beside.

    Args:
        spec: What to call: function, what it has in common, and of each call arguments and lease.
        values: The arguments that its references stand for.
        prepare: Called with the lease of each call.
        told: Whether the engine tells this process in time that a call was given up.
    """
    begun = time.monotonic()
    outcomes: list[Any] = []
    results: list[Any] = []  # the large ones, at their places
    with contextlib.ExitStack() as stack:
        for path, state in spec.folders:
            modules = beside.modules_of(path, state)
            stack.enter_context(beside.activated(modules))
            stack.enter_context(beside.within(modules))
        try:
            with beside.alone():
                function, rest, calls, decides = by_value.loads(spec.payload)
                common = shared_values(spec.shared, values)
                first = (*common, *(filled(one, values) for one in rest))
        except BaseException as exc:  # noqa: BLE001 - the unpickling of a user's value is its code
            return Report([pack(exc)] * spec.count, 0.0, {}), None
        notes: dict[int, Note] = {}
        late = False
        for args, lease in calls:
            late = late or bool(outcomes and time.monotonic() - begun > _TOO_LONG)
            made = not late and (lease is None or _may_begin(lease, prepare, told))
            outcome, result = NOT_MADE, None
            if made:
                call = partial(_made, function, first, args, values, lease)
                outcome, result = copy_context().run(call)
                late = decides and isinstance(outcome, Failure)
            if made and not isinstance(outcome, Failure):
                note = note_with(lease, result, stays=outcome == LARGE)
                if note is not None:
                    notes[len(outcomes)] = note
            outcomes.append(outcome)
            results.append(result)
    report = Report(outcomes, time.monotonic() - begun, notes)
    return report, results if LARGE in outcomes else None


def _may_begin(lease: Lease, prepare: Callable[[Lease], None], told: bool) -> bool:
    """Return whether a call was not cancelled, as far as that is known here."""
    prepare(lease)
    if told:
        lease.told = True
    return lease.probe is not None or lease.revoked is None  # to probe may take a request


def _made(
    function: Callable[..., Any],
    first: tuple[Any, ...],
    args: tuple[Any, ...],
    values: tuple[Any, ...],
    lease: Lease | None,
) -> tuple[Any, Any]:
    """Make a call; return its outcome for the report, and its result if that is large."""
    try:
        result = function(*first, *(filled(arg, values) for arg in args))
        if type(result) in PLAIN:
            if not isinstance(result, (str, bytes)) or len(result) <= _SMALL:
                return result, None
            return LARGE, result
        small = pickled_small("the call", result, _SMALL)
    except BaseException as exc:  # noqa: BLE001 - a stage's own error, raised by the caller
        if lease is not None:
            lease.revoke(given_up(exc))
        return pack(exc, lease), None
    return (LARGE, result) if small is None else (BriefResult(small), None)

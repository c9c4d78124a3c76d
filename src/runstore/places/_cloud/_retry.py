"""Retry with growing pauses until the store's timeout, or less where waiting does not help."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from runstore.places._cloud._wire import Failure
from runstore.workers import check_stopped, pause

__all__ = ["Deadline", "persist"]

T = TypeVar("T")

_ATTEMPTS = 12
_FIRST_PAUSE = 0.05  # seconds; doubled with each attempt
_LONGEST_PAUSE = 6.0
_SHORTEST_REQUEST = 0.25  # seconds; with less than that left, nothing is begun
_SHORT_LIVED = 3.0  # seconds that a failure is given which goes away soon or not at all


class Deadline:
    """When to give up, and how long one request may take until then.

    A single request gets a third of the whole, so that one that hangs can be
    made again.

    Args:
        timeout: Seconds from now.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._end = time.monotonic() + timeout

    @property
    def left(self) -> float:
        """Seconds left; negative when it is over."""
        return self._end - time.monotonic()

    @property
    def request(self) -> float:
        """Seconds that the next request may take."""
        return max(_SHORTEST_REQUEST, min(self._end - time.monotonic(), self._timeout / 3))


def persist(
    call: Callable[[float], T],
    deadline: Deadline,
    failed: list[Failure] | None = None,
    first: list[Failure] | None = None,
) -> T:
    """Call until it succeeds, fails for good, or *deadline* is near.

    A port that refuses connections, or an answer that is not S3's, is tried again for a few
    seconds only: a server that is being started is there by then.

    Args:
        call: Makes one request, in at most the seconds it is given.
        deadline: When to give up.
        failed: Takes in what went wrong on the way.
        first: What the first attempt has raised, which the caller has made just now. It is taken
            out: an error that is raised must not be held by the code that it passes through.

    Raises:
        Failure: The last one.
    """
    began = time.monotonic()
    for attempt in range(_ATTEMPTS):
        check_stopped()
        try:
            if first:
                raise first.pop()
            return call(deadline.request)
        except Failure as failure:
            if failed is not None:
                failed.append(failure)
            # Jitter spreads the clients that one bad moment has brought into step.
            seconds = min(_FIRST_PAUSE * 2**attempt, _LONGEST_PAUSE) * random.uniform(0.5, 1)  # noqa: S311
            late = deadline.left < seconds + _SHORTEST_REQUEST
            late |= failure.short_lived and time.monotonic() + seconds - began > _SHORT_LIVED
            if not failure.transient or late or attempt == _ATTEMPTS - 1:
                raise
        pause(seconds)
    raise AssertionError("unreachable")

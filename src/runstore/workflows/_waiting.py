"""The calls of a run that have not been submitted: ready, over their stage's limit, or delayed."""

import heapq
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from runstore.context import Lease

__all__ = ["Attempt", "Waiting"]


class Attempt(NamedTuple):
    """One attempt of one call."""

    stage: str
    at: int | None  # index of the item
    args: tuple[Any, ...]
    number: int = 1
    lease: Lease | None = None  # as soon as it is sent


class Waiting:
    """The attempts that wait.

    Args:
        limits: How many attempts of a stage may be under way at once, of stages with a limit.
    """

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._limits = limits
        self._ready: deque[Attempt] = deque()
        self._behind: dict[str, deque[Attempt]] = {name: deque() for name in limits}
        self._under_way: Counter[str] = Counter()  # of stages with a limit: ready or submitted
        self._delayed: list[tuple[float, int, Attempt]] = []  # a heap, by when they are due
        self._numbered = 0

    def add(self, attempt: Attempt) -> None:
        """Add an attempt behind all others."""
        self._behind.get(attempt.stage, self._ready).append(attempt)

    def again(self, attempt: Attempt, delay: float) -> None:
        """Add a retry: before all others, or when *delay* seconds are over."""
        if delay <= 0:
            self._behind.get(attempt.stage, self._ready).appendleft(attempt)
            return
        self._numbered += 1
        heapq.heappush(self._delayed, (time.monotonic() + delay, self._numbered, attempt))

    @property
    def delayed(self) -> bool:
        """Whether there are retries that are not due yet."""
        return bool(self._delayed)

    def due(self) -> float | None:
        """Return when the next delayed retry is due, by `time.monotonic`; None without one."""
        return self._delayed[0][0] if self._delayed else None

    def ready(self) -> int:
        """Return how many attempts can be submitted now."""
        while self._delayed and self._delayed[0][0] <= time.monotonic():
            attempt = heapq.heappop(self._delayed)[2]
            self._behind.get(attempt.stage, self._ready).appendleft(attempt)
        for name, limit in self._limits.items():
            behind = self._behind[name]
            while behind and self._under_way[name] < limit:
                self._under_way[name] += 1
                self._ready.append(behind.popleft())
        return len(self._ready)

    def take(self) -> Attempt:
        """Remove the next attempt that is ready, and return it."""
        return self._ready.popleft()

    def ended(self, stage: str) -> None:
        """Note that a submitted attempt of a stage has ended."""
        if stage in self._limits:
            self._under_way[stage] -= 1

    def keep_only(self, wanted: Callable[[str], bool]) -> None:
        """Drop the attempts of all stages but those that *wanted* says."""
        for one in self._ready:
            if not wanted(one.stage):
                self.ended(one.stage)
        self._ready = deque(one for one in self._ready if wanted(one.stage))
        for name, behind in self._behind.items():
            if not wanted(name):
                behind.clear()
        self._delayed = [one for one in self._delayed if wanted(one[2].stage)]
        heapq.heapify(self._delayed)

"""The state of each stage while a run goes on."""

import time
import traceback
from datetime import datetime
from typing import Any, Literal

from runstore.context import StageRecord, now
from runstore.workflow._plan import PlannedStage

__all__ = ["StageProgress", "reason_of"]

_LONGEST_REASON = 2000  # characters; the whole text is in StageError.traceback


class StageProgress:
    """The state of one stage; only the scheduler changes it.

    Args:
        planned: The stage.
    """

    def __init__(self, planned: PlannedStage) -> None:
        self.planned = planned
        self.name = planned.stage.name
        self.state: Literal["pending", "running", "finished", "failed", "skipped"] = "pending"
        self.error: str | None = None
        self.seconds: float | None = None
        self._items: int | None = None
        self._attempts = 0
        self._results: dict[int, Any] = {}
        self._failed_items: dict[int, str] = {}
        self._started_at: datetime | None = None
        self._finished_at: datetime | None = None
        self._begun = 0.0

    @property
    def total(self) -> int:
        """How many calls it has, retries not counted."""
        return 1 if self._items is None else self._items

    @property
    def done(self) -> int:
        """How many of them have ended."""
        return len(self._results) + len(self._failed_items)

    @property
    def failed(self) -> int:
        """How many items have failed and were left out."""
        return len(self._failed_items)

    def expect(self, items: int) -> None:
        """Set how many items a mapped stage has."""
        self._items = items

    def start(self) -> None:
        """Set the state to running: its first call is being submitted."""
        self.state = "running"
        self._started_at, self._begun = now(), time.monotonic()

    def attempt(self) -> None:
        """Count a call."""
        self._attempts += 1

    def keep(self, index: int, result: Any) -> None:
        """Keep the result of one call."""
        self._results[index] = result

    def leave_out(self, index: int, reason: str) -> None:
        """Record that an item failed and is left out of the result."""
        self._failed_items[index] = reason

    def finish(self) -> Any:
        """Set the state to finished, and return the stage's result."""
        self._end("finished")
        results = [self._results[index] for index in sorted(self._results)]
        self._results = dict.fromkeys(self._results)  # so that the values are not kept here
        return results[0] if self.planned.map_on is None else results

    def fail(self, reason: str) -> None:
        """Set the state to failed."""
        self.error = reason
        self._results = dict.fromkeys(self._results)
        self._end("failed")

    def skip(self) -> None:
        """Set the state to skipped, since a stage it depends on failed."""
        self.state = "skipped"

    def record(self) -> StageRecord:
        """Return the state as part of the run's record."""
        return StageRecord(
            name=self.name,
            state=self.state,
            started_at=self._started_at,
            finished_at=self._finished_at,
            attempts=self._attempts,
            items=self._items,
            failed_items=dict(sorted(self._failed_items.items())),
            error=self.error,
        )

    def _end(self, state: Literal["finished", "failed"]) -> None:
        if self._started_at is None:
            self.start()
        self.state = state
        self._finished_at, self.seconds = now(), time.monotonic() - self._begun


def reason_of(error: BaseException) -> str:
    """Return type and message of *error*, for a record."""
    reason = "".join(traceback.format_exception_only(error)).strip()
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}…"

"""The state of each stage while a run goes on."""

import json
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal

from runstore.context import (
    MOST_USES,
    Note,
    ObjectUse,
    StageRecord,
    is_kept,
    now,
    short_reason,
    target_name,
)
from runstore.secret_names import Secrets
from runstore.workflows._code import source_digest
from runstore.workflows._plan import PlannedStage

__all__ = ["StageFailure", "StageProgress", "reason_of"]

_MOST_REASONS = 64 * 1024  # characters of reasons of a stage's failed items, all together
_MOST_KEPT = 64 * 1024  # characters of the results that a record keeps of one stage
_MOST_INEXACT = 1000
_SHORT_REASON = 100


@dataclass(frozen=True)
class StageFailure:
    """The first failure of a run; *index* is the item's, if it was one."""

    stage: str
    index: int | None
    error: BaseException


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
        self._told = 0  # characters of the reasons of failed items
        self._kept: dict[int, Any] = {}  # results, as the record keeps them
        self._kept_size = 0
        self._uses: tuple[dict[object, ObjectUse], dict[object, ObjectUse]] = ({}, {})
        self._left_out = [0, 0]
        self._digest: tuple[str | None] | None = None  # of the source, when it was made
        self._inexact: list[int] = []
        self._keys: dict[str, set[str]] = {"input": set(), "config": set()}
        self._taken: StageRecord | None = None  # in the run that this one goes on with
        self._taken_items = 0
        self._origin: str | None = None
        self.why: str | None = None

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

    def not_made(self) -> None:
        """Take back a call that was counted, and was cancelled before it began."""
        self._attempts -= 1

    def keep(self, index: int, result: Any, kept: Callable[[], tuple[Any, bool]]) -> None:
        """Keep the result of one call.

        Args:
            index: Of the item; 0 if the stage is not mapped.
            result: What goes to other stages.
            kept: Returns what the record keeps of it, and whether that is exactly the result; not
                called if the record has too much by now.
        """
        self._results[index] = result
        if self._kept_size <= _MOST_KEPT:
            found, exact = kept()
            self._kept[index] = found
            self._kept_size += len(json.dumps(found))
            if not (exact and is_kept(found)) and len(self._inexact) <= _MOST_INEXACT:
                self._inexact.append(index)

    def take_over(self, record: StageRecord, origin: str) -> None:
        """Let the stage be finished as it was in the run *origin*, where it ran."""
        self._taken, self._origin = record, origin
        self._items = record.items
        self._failed_items = dict(record.failed_items)
        self.state = "finished"

    def take_items(
        self,
        items: Mapping[int, Any],
        uses: tuple[ObjectUse, ...],
        record: StageRecord,
        origin: str,
    ) -> None:
        """Let some items be done, as they were in the run *origin*.

        Args:
            items: Their results, by index.
            uses: What they have written.
            record: Of the stage in that run.
            origin: That run.
        """
        self._origin, self._taken_items = origin, len(items)
        for index, result in items.items():
            self.keep(index, result, partial(_as_it_is, result))
        self._uses[1].update({f"{use.ref.partition('@')[0]} {use.part}": use for use in uses})
        self._uses[0].update({use.ref: use for use in record.reads})
        self._keys["input"] |= record.input_read.keys()
        self._keys["config"] |= record.config_read.keys()

    def note(self, index: int | None, note: Note | None, attempt: int | None = None) -> None:
        """Keep what an attempt has read and written; later ones of the same object replace it.

        Args:
            index: Of the item; None if the stage is not mapped.
            note: What the attempt has noted.
            attempt: Its number, if it has failed and is made again.
        """
        if note is None:
            return
        self._keys["input"].update(note.input)
        self._keys["config"].update(note.config)
        self._left_out[0] += note.reads_left_out
        self._left_out[1] += note.writes_left_out
        of_call = {"item": index, "attempt": attempt}
        changes = {name: value for name, value in of_call.items() if value is not None}
        for kind, uses in enumerate((note.reads, note.writes)):
            known = self._uses[kind]
            for use in uses:
                of_version = (use.digest, use.version) if kind == 0 else ()
                key: object = (use.namespace, use.run, use.name, use.part, *of_version)
                old = known.get(key)
                if old is None and len(known) >= MOST_USES:
                    self._left_out[kind] += 1
                elif old is None or kind == 1 or (attempt is None and old.attempt is not None):
                    known[key] = use.model_copy(update=changes) if changes else use

    def leave_out(self, index: int, reason: str) -> None:
        """Record that an item failed and is left out of the result.

        Of many items the later reasons are cut, and those after them left away: the record is
        written and read as a whole.
        """
        if self._told > _MOST_REASONS:
            reason = "…"
        elif self._told > _MOST_REASONS // 2 and len(reason) > _SHORT_REASON:
            reason = f"{reason[:_SHORT_REASON]}…"
        self._told += len(reason)
        self._failed_items[index] = reason

    def finish(self) -> Any:
        """Set the state to finished, and return the stage's result."""
        self._end("finished")
        results = [self._results[index] for index in sorted(self._results)]
        self._results = dict.fromkeys(self._results)  # so that the values are not kept here
        return results if self.planned.mapped else results[0]

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
        if self._taken is not None:
            changes = {"attempts": 0, "origin": self._origin, "why": None}
            return self._taken.model_copy(update=changes)
        return StageRecord(
            name=self.name,
            state=self.state,
            started_at=self._started_at,
            finished_at=self._finished_at,
            attempts=self._attempts,
            items=self._items,
            failed_items=dict(sorted(self._failed_items.items())),
            error=self.error,
            target=target_name(self.planned.stage.target),
            source=self._source(),
            result=self._kept_result(),
            item_results=self._kept_items(),
            reads=tuple(self._uses[0].values()),
            writes=tuple(self._uses[1].values()),
            reads_left_out=self._left_out[0],
            writes_left_out=self._left_out[1],
            inexact=tuple(self._inexact) if len(self._inexact) <= _MOST_INEXACT else (-1,),
            origin=self._origin,
            taken_items=self._taken_items,
            why=self.why,
        )

    def keys_read(self, kind: str) -> set[str]:
        """Return the keys of ``input`` or ``config`` that it has read."""
        return self._keys[kind]

    def _source(self) -> str | None:
        if self._digest is None:
            self._digest = (source_digest(self.planned.function),)
        return self._digest[0]

    def _kept_result(self) -> Any:
        if self.state != "finished":
            return None
        if not self.planned.mapped:
            return self._kept.get(0)
        if self._kept_size > _MOST_KEPT:
            reason = f"its items are longer than {_MOST_KEPT:,} characters as JSON: put() them"
            return {"type": "builtins.list", "kept": False, "reason": reason}
        return [self._kept[index] for index in sorted(self._kept)]

    def _kept_items(self) -> dict[int, Any]:
        if self.state == "finished" or not self.planned.mapped:
            return {}
        return {index: item for index, item in sorted(self._kept.items()) if is_kept(item)}

    def _end(self, state: Literal["finished", "failed"]) -> None:
        if self._started_at is None:
            self.start()
        self.state = state
        self._finished_at, self.seconds = now(), time.monotonic() - self._begun


def _as_it_is(result: Any) -> tuple[Any, bool]:
    return result, True


def reason_of(error: BaseException, secrets: Secrets) -> str:
    """Return type and message of *error*, for a record; all of it is in StageError.traceback.

    Args:
        error: What was raised.
        secrets: Of the run; none of them is in the text.
    """
    told = "".join(traceback.format_exception_only(error)).strip()
    return short_reason(secrets.masked(told))

"""Which call is made next: stages in the order of the graph, items side by side."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue
from typing import Any

from runstore.context import Lease, StageRecord, WorkflowRunContext, attempt_key, bind
from runstore.executors import Call, Executor, given_up
from runstore.workers import taken
from runstore.workflow._events import Reporter
from runstore.workflow._plan import Plan
from runstore.workflow._progress import StageProgress, reason_of
from runstore.workflow._targets import listed, run_stage

__all__ = ["Scheduler", "StageFailure"]


@dataclass(frozen=True)
class StageFailure:
    """The first failure of a run; *index* is the item's, if it was one."""

    stage: str
    index: int | None
    error: BaseException


@dataclass(frozen=True)
class _Attempt:
    stage: str
    index: int | None
    args: tuple[Any, ...]
    number: int = 1
    lease: Lease | None = None  # as soon as it is sent


class Scheduler:
    """Runs the stages of one plan, once.

    It submits as many calls as the executor has slots, so calls that do not run yet
    can be dropped here. Everything except the stages' own code happens in the thread
    that calls `run`.

    Args:
        plan: What is to be run.
        ctx: The context of the run; every call gets a copy, at its stage.
        executor: Where calls run.
        reporter: Reports the events.
        at_stage_end: Called when a stage has ended well; what it raises ends the run.
    """

    def __init__(
        self,
        plan: Plan,
        ctx: WorkflowRunContext,
        executor: Executor,
        reporter: Reporter,
        at_stage_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._at_stage_end = at_stage_end
        self.failure: StageFailure | None = None
        self.result: Any = None
        self._plan = plan
        self._ctx = ctx
        self._executor = executor
        self._reporter = reporter
        self._sorter = plan.sorter()
        self._stages = {name: StageProgress(planned) for name, planned in plan.stages.items()}
        self._last = next(reversed(self._stages))
        self._users = _users(plan)
        self._held: dict[str, Any] = {}  # results that are still to be passed on
        self._waiting: deque[_Attempt] = deque()
        self._flying: dict[Future[Any], _Attempt] = {}
        self._dividing: dict[Future[Any], _Attempt] = {}  # mapped stages whose items are sought
        self._landed: SimpleQueue[Future[Any]] = SimpleQueue()

    @property
    def finished(self) -> int:
        """How many stages are finished."""
        return sum(stage.state == "finished" for stage in self._stages.values())

    def run(self) -> None:
        """Run the stages. Once one has failed, no other is started.

        Afterwards `failure` is the first failure or None, and `result` is what the last
        stage of the definition returned.
        """
        self._sorter.prepare()
        while True:
            self._queue_ready()
            while self._waiting and self._has_slot():
                self._send(self._waiting.popleft())
            if not self._flying and not self._dividing:
                break
            landed = taken(self._landed)
            if self._ctx.lease is not None:
                self._ctx.lease.check()  # the run may have been deleted, or given up as a whole
            if landed in self._dividing:
                self._divided(self._dividing.pop(landed), landed)
            else:
                self._land(landed)
        if self.failure is None:
            self.result = self._executor.fetch(self.result)
        else:
            self._skip_dependents()

    def interrupt(self, reason: str) -> None:
        """Set every running stage to failed."""
        for stage in self._stages.values():
            if stage.state == "running":
                stage.fail(reason)

    def records(self) -> tuple[StageRecord, ...]:
        """Return the record of each stage, in the order of the definition."""
        return tuple(stage.record() for stage in self._stages.values())

    def _has_slot(self) -> bool:
        slots = self._executor.slots
        return slots is None or len(self._flying) < slots

    def _queue_ready(self) -> None:
        """Queue the calls of every stage whose dependencies are done."""
        while self.failure is None and (ready := self._sorter.get_ready()):
            for name in sorted(ready, key=list(self._stages).index):
                if self.failure is None:
                    self._queue(name)

    def _queue(self, name: str) -> None:
        stage = self._stages[name]
        planned = stage.planned
        rest = tuple(self._held[other] for other in planned.passes)
        if planned.map_on is None:
            self._waiting.append(_Attempt(name, None, rest))
            return
        # The value is divided where it is: it may be too large to be brought here.
        future = self._executor.divide(
            self._held[planned.map_on],
            partial(listed, name, planned.map_on),
            f"mapping over stage {planned.map_on!r}",
        )
        self._dividing[future] = _Attempt(name, None, rest)
        future.add_done_callback(self._landed.put)

    def _divided(self, attempt: _Attempt, future: "Future[list[Any]]") -> None:
        stage = self._stages[attempt.stage]
        if self.failure is not None:
            return  # another stage has failed meanwhile, and this one has not begun
        if (error := future.exception()) is not None:
            self._fail(attempt, error)
            return
        items = future.result()
        stage.expect(len(items))
        for index, item in enumerate(items):
            self._waiting.append(_Attempt(attempt.stage, index, (item, *attempt.args)))
        if not items:
            self._start(stage)
            self._finish(stage)

    def _start(self, stage: StageProgress) -> None:
        stage.start()
        self._reporter.stage(stage.name, "running", 0, stage.total)

    def _send(self, attempt: _Attempt) -> None:
        stage = self._stages[attempt.stage]
        if stage.state == "pending":
            self._start(stage)
        stage.attempt()
        definition = stage.planned.stage
        lease = self._lease_of(attempt)
        ctx = self._ctx.at_stage(attempt.stage, attempt.number, attempt.index).leased(lease)
        call = Call(
            bind(partial(run_stage, stage.planned.function), ctx),
            attempt.args,
            _label(attempt.stage, attempt.index),
            definition.timeout,
            definition.resources,
            lease,
        )
        future = self._executor.submit(call)
        self._flying[future] = replace(attempt, lease=lease)
        future.add_done_callback(self._landed.put)

    def _land(self, future: "Future[Any]") -> None:
        attempt = self._flying.pop(future)
        stage = self._stages[attempt.stage]
        if stage.state != "running":
            return  # another item has failed the stage meanwhile
        error = future.exception()
        if error is not None and attempt.lease is not None:
            attempt.lease.revoke(given_up(error))  # before it is tried again
        if error is None:
            self._keep(stage, attempt, future.result())
        elif attempt.number <= stage.planned.stage.retries:
            again = replace(attempt, number=attempt.number + 1)
            self._reporter.retry(
                stage.name, stage.done, stage.total, again.number, reason_of(error)
            )
            self._waiting.appendleft(again)
        elif attempt.index is not None and stage.planned.stage.options.on_item_error == "skip":
            stage.leave_out(attempt.index, reason_of(error))
            self._advance(stage)
        else:
            self._fail(attempt, error)

    def _keep(self, stage: StageProgress, attempt: _Attempt, result: Any) -> None:
        stage.keep(attempt.index or 0, result)
        self._advance(stage)

    def _advance(self, stage: StageProgress) -> None:
        if stage.planned.map_on is not None:
            self._reporter.item(stage.name, stage.done, stage.total, stage.failed)
        if stage.done == stage.total:
            self._finish(stage)

    def _finish(self, stage: StageProgress) -> None:
        result = stage.finish()
        if stage.name == self._last:
            self.result = result
        if self._users[stage.name]:
            self._held[stage.name] = result
        for other in stage.planned.needs:
            self._users[other].discard(stage.name)
            if not self._users[other]:
                self._held.pop(other, None)  # no other stage needs it, and it may be large
        self._sorter.done(stage.name)
        self._reporter.stage(stage.name, "finished", stage.done, stage.total, stage.seconds)
        self._at_stage_end()

    def _fail(self, attempt: _Attempt, error: BaseException) -> None:
        stage = self._stages[attempt.stage]
        stage.fail(reason_of(error))
        if self.failure is None:
            self.failure = StageFailure(attempt.stage, attempt.index, error)
        self._waiting = deque(
            other for other in self._waiting if self._stages[other.stage].state == "running"
        )
        self._cancel_items(attempt.stage)
        self._reporter.stage(
            stage.name, "failed", stage.done, stage.total, stage.seconds, stage.error
        )

    def _cancel_items(self, stage: str) -> None:
        """Cancel a stage's other items, as far as they can be cancelled."""
        cancelled = [
            other.lease
            for future, other in self._flying.items()
            if other.stage == stage and future.cancel() and other.lease is not None
        ]
        reason = "another item of its stage has failed, and it was cancelled"
        for lease in cancelled:
            lease.revoke(reason)
        self._executor.revoke(cancelled, reason)

    def _lease_of(self, attempt: _Attempt) -> Lease:
        name, run = attempt.stage, self._ctx.run
        return Lease(
            attempt_key(run.uid, name, attempt.number, attempt.index),
            f"attempt {attempt.number} of {_label(name, attempt.index)} of run "
            f"'{run.namespace}/{run.name}'",
            self._ctx.lease,
        )

    def _skip_dependents(self) -> None:
        for name in self._plan.sorter().static_order():
            stage = self._stages[name]
            below = (self._stages[other].state for other in stage.planned.needs)
            if stage.state == "pending" and any(state in ("failed", "skipped") for state in below):
                stage.skip()
                self._reporter.stage(name, "skipped", 0, stage.total)


def _users(plan: Plan) -> dict[str, set[str]]:
    """Return, for each stage, which others are given its result."""
    users: dict[str, set[str]] = {name: set() for name in plan.stages}
    for name, planned in plan.stages.items():
        for other in (*planned.passes, *([planned.map_on] if planned.map_on else [])):
            users[other].add(name)
    return users


def _label(stage: str, index: int | None) -> str:
    return f"stage {stage!r}" if index is None else f"item {index} of stage {stage!r}"

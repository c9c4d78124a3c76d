"""Which call is made next: stages in the order of the graph, items in parallel."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from runstore.context import (
    Note,
    StageRecord,
    WorkflowRunContext,
    is_exact,
    kept_result,
    parameter_digest,
)
from runstore.errors import UnsupportedValueError
from runstore.executors import Executor, Shared, given_up, is_remote, kinds_of, pickled
from runstore.workers import taken
from runstore.workflows._calls import StageCalls
from runstore.workflows._events import Reporter
from runstore.workflows._graph import input_items, not_made, users_of
from runstore.workflows._logs import RunLogs
from runstore.workflows._plan import Plan
from runstore.workflows._progress import StageFailure, StageProgress, reason_of
from runstore.workflows._resume import Resumed
from runstore.workflows._retries import delay_of, is_retried
from runstore.workflows._secrets import secrets_of
from runstore.workflows._targets import listed
from runstore.workflows._waiting import Attempt, Waiting

__all__ = ["Scheduler"]

_LARGEST_RESULT = 64 << 20  # bytes of a mapped last stage's result that a cluster sends here
_AT_ONCE = 1000  # calls that are submitted at a time to an executor that takes any number


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
        logs: What stages log.
        resumed: What is taken over of an earlier run.
        at_progress: Called when something has ended, with whether that is a whole stage; what
            it raises ends the run.
        due: Returns when it has to be called next, by `time.monotonic`; None if that is open.
    """

    def __init__(
        self,
        plan: Plan,
        ctx: WorkflowRunContext,
        executor: Executor,
        reporter: Reporter,
        logs: RunLogs,
        resumed: Resumed | None = None,
        at_progress: Callable[[bool], None] = lambda ended: None,
        due: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._due = due
        self._resumed = resumed
        self._logs = logs
        self._at_progress = at_progress
        self.failure: StageFailure | None = None
        self.result: Any = None
        self._plan = plan
        self._ctx = ctx
        self._reason = partial(reason_of, secrets=secrets_of(ctx))
        self._executor = executor
        self._reporter = reporter
        self._sorter = plan.sorter()
        self._stages = {name: StageProgress(planned) for name, planned in plan.stages.items()}
        self._last = next(reversed(self._stages))
        self._users = users_of(plan)
        self._held: dict[str, Any] = {}  # results that are still to be passed on
        self._context = Shared(ctx)
        self._calls: dict[str, StageCalls] = {}
        limits = {name: one.stage.options.max_at_once for name, one in plan.stages.items()}
        self._waiting = Waiting({name: most for name, most in limits.items() if most})
        self._flying: dict[Future[Any], Attempt] = {}
        self._dividing: dict[Future[Any], Attempt] = {}  # mapped stages whose items are sought
        self._landed: SimpleQueue[Future[Any] | None] = SimpleQueue()  # None: lines have come
        logs.wake = self.wake

    def wake(self) -> None:
        """Look now whether the run has to end; from any thread."""
        self._landed.put(None)

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
            self._send_waiting()
            if not self._flying and not self._dividing and not self._waiting.delayed:
                break
            landed = self._next_landed()
            if self._ctx.lease is not None:
                self._ctx.lease.check()  # the run may have been deleted, or given up as a whole
            for future in landed:
                if future in self._dividing:
                    self._divided(self._dividing.pop(future), future)
                else:
                    self._land(future)
            self._executor.settled(landed)
            del landed
        if self.failure is None:
            self.result = self._brought(self.result)
        else:
            self._skip_dependents()

    def _next_landed(self) -> "list[Future[Any]]":
        """Wait for calls that have ended; there are none if lines come or a retry is due before."""
        dues = self._waiting.due(), self._due(), self._logs.due
        times = [at for at in dues if at is not None]
        try:
            landed = [taken(self._landed, min(times, default=None))]
        except Empty:
            if self._logs.save_due() or self._due() is not None:
                self._at_progress(False)  # the record says where the copies are
            return []
        while not self._landed.empty():
            landed.append(self._landed.get())
        self._logs.deliver()
        if self._logs.save_due():
            self._at_progress(False)
        return [future for future in landed if future is not None]

    def interrupt(self, reason: str) -> None:
        """Set every running stage to failed."""
        for stage in self._stages.values():
            if stage.state == "running":
                stage.fail(reason)

    def records(self) -> tuple[StageRecord, ...]:
        """Return the record of each stage, in the order of the definition."""
        return tuple(map(self._record, self._stages.values()))

    def _record(self, stage: StageProgress) -> StageRecord:
        record = stage.record()
        if record.origin is not None and record.state == "finished" and not record.attempts:
            return record  # taken over whole
        changes: dict[str, Any] = {"code": dict(self._plan.code.get(stage.name, {}))}
        for kind, values in (("input", self._ctx.input), ("config", self._ctx.config)):
            keys = stage.keys_read(kind)
            if kind == "input" and stage.planned.map_input is not None:
                keys = {*keys, stage.planned.map_input}
            changes[f"{kind}_read"] = {key: parameter_digest(values, key) for key in sorted(keys)}
        if (log := self._logs.key(stage.name)) is not None:
            changes["logs"] = log
        return record.model_copy(update=changes)

    def _queue_ready(self) -> None:
        """Queue the calls of every stage whose dependencies are done."""
        while self.failure is None and (ready := self._sorter.get_ready()):
            for name in sorted(ready, key=list(self._stages).index):
                if self.failure is None:
                    self._queue(name)

    def _queue(self, name: str) -> None:
        stage = self._stages[name]
        planned = stage.planned
        if self._resumed is not None:
            stage.why = self._resumed.why.get(name)
            if (kept := self._resumed.kept.get(name)) is not None and kept.whole:
                stage.take_over(kept.record, kept.origin)
                self._finished(stage, kept.result, f"taken over from run {kept.origin}")
                return
        rest = tuple(self._held[other] for other in planned.passes)
        self._calls[name] = StageCalls(planned, self._context, rest if planned.mapped else ())
        if not planned.mapped:
            self._waiting.add(Attempt(name, None, rest))
            return
        if planned.map_input is not None:
            self._divided(Attempt(name, None, ()), input_items(self._ctx, planned))
            return
        assert planned.map_on is not None
        # The value is divided where it is: it may be too large to be brought here.
        future = self._executor.divide(
            self._held[planned.map_on],
            partial(listed, name, planned.map_on),
            f"mapping over stage {planned.map_on!r}",
        )
        self._dividing[future] = Attempt(name, None, ())
        future.add_done_callback(self._landed.put)

    def _divided(self, attempt: Attempt, future: "Future[list[Any]]") -> None:
        stage = self._stages[attempt.stage]
        if self.failure is not None:
            return  # another stage has failed meanwhile, and this one has not begun
        if (error := future.exception()) is not None:
            self._fail(attempt, error)
            return
        items = future.result()
        stage.expect(len(items))
        taken = self._take_items(stage, len(items))
        for index, item in enumerate(items):
            if index not in taken:
                self._waiting.add(Attempt(attempt.stage, index, (item,)))
        if len(taken) == len(items):
            self._start(stage)
            self._finish(stage)

    def _take_items(self, stage: StageProgress, count: int) -> Mapping[int, Any]:
        """Take over the items of a mapped stage that an earlier run has done."""
        kept = None if self._resumed is None else self._resumed.kept.get(stage.name)
        if kept is None:
            return {}
        items = {index: result for index, result in kept.items.items() if index < count}
        stage.take_items(items, kept.writes, kept.record, kept.origin)
        return items

    def _start(self, stage: StageProgress) -> None:
        stage.start()
        self._reporter.stage(stage.name, "running", stage.done, stage.total, why=stage.why)

    def _brought(self, held: Any) -> Any:
        """Return the result of the last stage in this process.

        The items of a mapped stage may be many, and stay on a cluster if they are large.
        """
        if not self._stages[self._last].planned.mapped or self._executor.slots is not None:
            return self._executor.fetch(held)
        found: list[Any] = []
        size, step = 0, 1
        while len(found) < len(held):
            some = self._executor.fetch(held[len(found) : len(found) + step])
            size += pickled(some).size
            found += some
            if size > _LARGEST_RESULT and len(found) < len(held):
                reason = (
                    f"its {len(held)} items are larger than {_LARGEST_RESULT >> 20} MiB and were "
                    "left on the cluster: put() them"
                )
                return {"type": "builtins.list", "kept": False, "reason": reason}
            step = 2 * step if size < _LARGEST_RESULT // 4 else 1
        return found

    def _send_waiting(self) -> None:
        """Submit as many calls as the executor takes now."""
        while waiting := self._waiting.ready():
            room = self._executor.room()
            count = min(waiting, _AT_ONCE if room is None else room)
            if count < 1:
                return
            attempts = [self._prepared(self._waiting.take()) for _ in range(count)]
            calls = [self._calls[one.stage].call(one.number, one.at, one.args) for one in attempts]
            futures = self._executor.submit_all(calls)
            for attempt, call, future in zip(attempts, calls, futures, strict=True):
                self._flying[future] = attempt._replace(lease=call.lease)
                future.add_done_callback(self._landed.put)

    def _prepared(self, attempt: Attempt) -> Attempt:
        stage = self._stages[attempt.stage]
        if stage.state == "pending":
            self._start(stage)
        stage.attempt()
        return attempt

    def _land(self, future: "Future[Any]") -> None:
        attempt = self._flying.pop(future)
        self._waiting.ended(attempt.stage)
        stage = self._stages[attempt.stage]
        if self._executor.slots is not None and not_made(future):
            stage.not_made()
        note = None if attempt.lease is None else attempt.lease.noted()
        retried = self._is_retried(stage, attempt, future)
        stage.note(attempt.at, note, attempt.number if retried else None)
        if stage.state != "running":  # another item has failed the stage meanwhile
            if not future.cancelled() and future.exception() is None:
                held = future.result()
                stage.keep(attempt.at or 0, None, partial(self._kept, held, note))
            return
        error = future.exception()
        if error is not None and attempt.lease is not None:
            attempt.lease.revoke(given_up(error))  # before it is tried again
        if error is None:
            self._keep(stage, attempt, future.result(), note)
        elif retried:
            again = attempt._replace(number=attempt.number + 1)
            delay = delay_of(stage.planned.stage, attempt.number)
            self._reporter.retry(
                stage.name, stage.done, stage.total, again.number, self._reason(error), delay
            )
            self._waiting.again(again, delay)
        elif attempt.at is not None and stage.planned.stage.options.on_item_error == "skip":
            stage.leave_out(attempt.at, self._reason(error))
            self._advance(stage)
        else:
            self._fail(attempt, error)

    def _is_retried(self, stage: StageProgress, attempt: Attempt, future: "Future[Any]") -> bool:
        if stage.state != "running" or future.cancelled():
            return False
        if (error := future.exception()) is None:
            return False
        planned = stage.planned
        kinds = kinds_of(error) if planned.retry_on else ()
        return is_retried(planned.stage, planned.retry_on, attempt.number, kinds)

    def _keep(self, stage: StageProgress, attempt: Attempt, result: Any, note: Note | None) -> None:
        stage.keep(attempt.at or 0, result, partial(self._kept, result, note))
        self._advance(stage)

    def _kept(self, held: Any, note: Note | None) -> tuple[Any, bool]:
        """Return what the record keeps of a result, and whether that is exactly the result.

        It may have stayed on a cluster.
        """
        if note is not None and note.result is not None:
            return note.result
        if is_remote(held):
            return {"type": "?", "kept": False, "reason": "it stayed on the cluster"}, False
        try:
            result = self._executor.fetch(held)
        except UnsupportedValueError as exc:  # it cannot be unpickled here
            return {"type": "?", "kept": False, "reason": str(exc)}, False
        return kept_result(result), is_exact(result)

    def _advance(self, stage: StageProgress) -> None:
        if stage.planned.mapped:
            self._reporter.item(stage.name, stage.done, stage.total, stage.failed)
        if stage.done == stage.total:
            self._finish(stage)
        else:
            self._at_progress(False)

    def _finish(self, stage: StageProgress) -> None:
        self._finished(stage, stage.finish())

    def _finished(self, stage: StageProgress, result: Any, how: str | None = None) -> None:
        """Pass on the result of a finished stage.

        Args:
            stage: The stage.
            result: What it returned.
            how: Said in the event.
        """
        self._calls.pop(stage.name, None)
        if stage.name == self._last:
            self.result = result
        if self._users[stage.name]:
            self._held[stage.name] = result
        for other in stage.planned.needs:
            self._users[other].discard(stage.name)
            if not self._users[other]:
                self._held.pop(other, None)  # no other stage needs it, and it may be large
        self._sorter.done(stage.name)
        done = stage.total if how is not None else stage.done
        self._reporter.stage(stage.name, "finished", done, stage.total, stage.seconds, why=how)
        self._at_progress(True)
        self._logs.save(stage.name)

    def _fail(self, attempt: Attempt, error: BaseException) -> None:
        stage = self._stages[attempt.stage]
        stage.fail(self._reason(error))
        if self.failure is None:
            self.failure = StageFailure(attempt.stage, attempt.at, error)
        self._waiting.keep_only(lambda name: self._stages[name].state == "running")
        self._cancel_items(attempt.stage)
        self._reporter.stage(
            stage.name, "failed", stage.done, stage.total, stage.seconds, stage.error
        )
        self._at_progress(True)

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

    def _skip_dependents(self) -> None:
        for name in self._plan.sorter().static_order():
            stage = self._stages[name]
            below = (self._stages[other].state for other in stage.planned.needs)
            if stage.state == "pending" and any(state in ("failed", "skipped") for state in below):
                stage.skip()
                self._reporter.stage(name, "skipped", 0, stage.total)

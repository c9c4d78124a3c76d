"""Running a workflow, from its definition to the record of its run."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from runstore import beside
from runstore.arguments import (
    check_callable,
    check_flag,
    check_keys,
    check_nested,
    check_text,
    guided,
)
from runstore.context import (
    Config,
    Lease,
    Workflow,
    WorkflowRun,
    WorkflowRunContext,
    find_run_context,
    kept_values,
    new_run,
    now,
    surrounding,
)
from runstore.errors import (
    InvalidNameError,
    RunCancelledError,
    RunStoreError,
    StageError,
    StaleRunError,
)
from runstore.executors import Executor, open_executor, traceback_text
from runstore.secret_names import Secrets
from runstore.workflows._cards import check_cards, put_card
from runstore.workflows._code import commit_of, versions_here
from runstore.workflows._events import Reporter, RunEvent
from runstore.workflows._keeper import Keeper
from runstore.workflows._load import as_source, values_for
from runstore.workflows._logs import RunLogs
from runstore.workflows._placement import check_placement, check_shared
from runstore.workflows._plan import Plan, make_plan
from runstore.workflows._progress import StageFailure, reason_of
from runstore.workflows._resume import Resumed, copied_over, resumed
from runstore.workflows._resume_from import earlier_run, given_before
from runstore.workflows._run_record import RunRecord, left_out_of
from runstore.workflows._scheduler import Scheduler
from runstore.workflows._secrets import secrets_around, secrets_of
from runstore.workflows._signals import TerminatedError, terminable

__all__ = ["run_workflow"]


@guided
def run_workflow(
    workflow: Workflow | Mapping[str, Any] | str | os.PathLike[str],
    input: Mapping[str, Any] | None = None,  # noqa: A002 - the context's field
    namespace: str | None = None,
    executor: str = "local",
    executor_options: Mapping[str, Any] | None = None,
    config: Mapping[str, Any]
    | Sequence[Config | Mapping[str, Any] | str | os.PathLike[str]]
    | None = None,
    source: str = "manual",
    store: Any = None,
    run: str | None = None,
    raise_on_failure: bool = True,
    on_event: Callable[[RunEvent], None] | None = None,
    resume: str | None = None,
) -> WorkflowRun:
    """Run the stages of a workflow and return the record of the run.

    Everything that can be checked before the run is checked before anything runs or is
    written. The record is written when the run starts and when it ends, however it ends.
    Stages that do not depend on each other run side by side. Once a stage has failed, no
    other is started, and those that run may finish. A call that failed, was cancelled or
    took longer than its timeout can no longer write, nor can what it left running; and
    nothing of the run can write once it has ended.

    In the main thread SIGTERM and SIGHUP end the run as Ctrl-C does, and then the
    process; the program's own signal handlers are not replaced.

    Args:
        workflow: A `Workflow`, a dict of the same shape, or the path of a YAML file;
            modules beside that file can be its targets. Or ``module:name`` of a workflow
            in Python; the module is looked for in the working directory first.
        input: What stages find in ``get_run_context().input``.
        namespace: The namespace of the run; by default that of the run in which it is called, as
            by a stage; outside a run the setting ``RUNSTORE_NAMESPACE``, else ``default``.
        executor: ``local``, ``dask`` or ``ray``.
        executor_options: For ``local``: ``mode``, ``threads`` (default) or
            ``processes``, and ``workers``, by default one per CPU. For ``dask`` and
            ``ray``: the ``address`` of a cluster; without it one is started for the run,
            with ``workers``, ``resources``, ``dashboard`` and, for Dask, ``threads`` per
            worker.
        config: A dict of values, or a list of Configs, dicts of that shape and paths
            of YAML files, of which those that select the workflow are merged.
        source: What triggered the run.
        store: Where objects and records go: a URL, a path, an address or an
            `runstore.ObjectStore`; by default that of the run in which it is called; outside a
            run ``RUNSTORE_URL``, else ``.runstore`` under the working directory.
        run: The run's name, unique in its namespace; by default
            ``<workflow>-<time>-<random>``.
        raise_on_failure: Whether a failed run raises; otherwise its record is returned.
        on_event: Called with every `RunEvent`, in the calling thread.
        resume: The name of an earlier run of the same workflow, in the same namespace: what it has
            done is taken over, as far as nothing has changed since; see docs/resume.md. *input*
            and *config* are those of that run unless they are given.

    Returns:
        The record: ``.state``, ``.stages``, and ``.result``, what the last stage of the
        definition returned. If that is a mapped stage on a cluster whose items have more than
        64 MiB, they stay there, and ``.result`` is a dict with the type and this reason.

    Raises:
        InvalidWorkflowError: Workflow or config are wrong.
        InvalidNameError: *namespace* or *run* cannot be one.
        InvalidRequestError: Executor, its options or *input* are not understood, no
            worker has the resources of a stage, or the store is one that the workers
            do not share.
        MissingExtraError: The engine is not installed.
        ExecutorUnavailableError: The engine could not be started or reached.
        ObjectExistsError: There is a run of this name already.
        RunCancelledError: Somebody has cancelled it; its record says so.
        StaleRunError: The run was deleted while it went on; no record is written.
        StageError: A stage failed; ``__cause__`` is its own error and ``run`` the record.
        StorageError: The record could not be written.
    """
    # Not at the top: worker processes import this module and do not need it.
    from runstore.runs import this_process
    from runstore.store import ObjectStore

    check_text("run_workflow", "executor", executor)
    check_keys("run_workflow", "executor_options", executor_options, optional=True)
    check_text("run_workflow", "source", source)
    check_text("run_workflow", "run", run, optional=True, error=InvalidNameError)
    check_flag("run_workflow", "raise_on_failure", raise_on_failure)
    check_callable("run_workflow", "on_event", on_event, optional=True)
    check_keys("run_workflow", "input", input, optional=True)
    check_nested("run_workflow", "input", input)
    check_text("run_workflow", "resume", resume, optional=True, error=InvalidNameError)
    origin = as_source(workflow)
    definition = origin.workflow
    check_cards(definition)
    namespace, address = surrounding(find_run_context(), namespace, store, "run_workflow")
    earlier, before = None, dict[str, dict[str, Any]]()
    if resume is not None:
        earlier = earlier_run(address, namespace, resume, definition)
        before = given_before(earlier, input=input is None, config=config is None)
        input = before.get("input", input)  # noqa: A001
    values = before["config"] if "config" in before else values_for(definition, config)
    check_nested("run_workflow", "config", values)
    record = new_run(definition.metadata.name, namespace=namespace, name=run, source=source)
    folders = [str(origin.folder)] if origin.folder else []
    engine = open_executor(executor, executor_options, folders)
    check_shared(address, engine)
    modules = None if origin.folder is None else beside.modules_of(origin.folder)
    with beside.activated(modules), beside.within(modules), beside.alone():
        plan = make_plan(origin, input)
    objects = ObjectStore.from_address(address)
    lease = _lease_of(record)
    keeper = Keeper(objects.backend, record, lease)
    runner = this_process().model_copy(update={"renews": keeper.every})
    record = record.model_copy(update={"runner": runner})
    ctx = WorkflowRunContext(
        input=dict(input or {}),
        namespace=namespace,
        executor=executor,
        definition=definition.by_name(),
        run=record,
        config=values,
        store=address,
    ).leased(lease)
    record = record.model_copy(
        update={
            "input": kept_values(dict(input or {})),
            "config": kept_values(values),
            "definition": ctx.definition.model_dump(mode="json", exclude_defaults=True),
            "executor": executor,
            "commit": commit_of(origin.folder),
            "versions": versions_here(),
            "resumed": resume,
            "file": origin.named,
        }
    )
    try:
        logs = RunLogs(record, objects, keeper.every, secrets_around())
        engine.on_log = logs.come
        with terminable(), engine:
            engine.start(plan.needs())
            check_placement(address, engine)
            others = left_out_of(record, input, values)
            run_record = RunRecord(objects, record, new=run is not None, refers_to=others)
            # The keeper ends in here: a signal ends the process at the end of `terminable`.
            with beside.activated(modules), beside.within(modules), logs.taken(), keeper:
                taken = None if earlier is None else resumed(plan, ctx, earlier, objects)
                record, failure = _carry_out(
                    *(plan, ctx, engine, Reporter(record, on_event), run_record, record, logs),
                    *(keeper, taken),
                )
    finally:
        lease.revoke("its run has ended")  # also of a run that never began: it may have a sign
    if definition.spec.card:
        put_card(objects, record)
    if failure is not None and raise_on_failure:
        raise _stage_error(failure, record, secrets_of(ctx))
    return record


def _carry_out(
    plan: Plan,
    ctx: WorkflowRunContext,
    engine: Executor,
    reporter: Reporter,
    run_record: RunRecord,
    first: WorkflowRun,
    logs: RunLogs,
    keeper: Keeper,
    taken: Resumed | None,
) -> tuple[WorkflowRun, StageFailure | None]:
    begun, total = time.monotonic(), len(plan.stages)
    secrets = secrets_of(ctx)

    def so_far() -> WorkflowRun:
        return first.model_copy(update={"stages": scheduler.records()})

    def progress(ended: bool) -> None:
        run_record.update(so_far, ended=ended)

    scheduler = Scheduler(
        plan, ctx, engine, reporter, logs, taken, progress, lambda: run_record.due
    )

    def end(error: str | None = None) -> WorkflowRun:
        state: Literal["finished", "failed"] = "finished" if error is None else "failed"
        record = first.model_copy(
            update={
                "state": state,
                "finished_at": now(),
                "result": scheduler.result,
                "error": error,
                "stages": scheduler.records(),
                "versions": first.versions | versions_here(),
            }
        )
        reporter.run(state, scheduler.finished, total, time.monotonic() - begun, error)
        return record

    try:
        run_record.begin()
        keeper.wake = scheduler.wake
        keeper.begin()
        reporter.run("running", 0, total)
        if engine.location is not None:
            reporter.executor(engine.location, total)
        if taken is not None:
            copied_over(run_record.objects, taken.kept, first)
        scheduler.run()
        _no_more_writes(ctx, engine)
        engine.close()  # first, so that nothing of the run is left when the record says it ended
        logs.deliver()
        run_record.check()
    except BaseException as exc:
        try:
            _no_more_writes(ctx, engine)
            engine.close(kill=True)
            logs.deliver()
        finally:  # also after a second Ctrl-C
            # Without a record there is none to end, or it is that of another run. But an interrupt
            # may have come just after it was written.
            if run_record.begun or not isinstance(exc, RunStoreError):
                stopped = isinstance(exc, (KeyboardInterrupt, SystemExit, TerminatedError))
                reason = "interrupted" if stopped else reason_of(exc, secrets)
                if keeper.ending == "cancel":
                    reason = "cancelled"
                run_record.deleted = keeper.ending == "delete"
                scheduler.interrupt(reason)
                record = end(reason)
                if not run_record.is_gone():
                    logs.save()
                    _write(run_record, record, exc)
        if isinstance(exc, StaleRunError) and keeper.ending is not None:
            raise _ended_by(keeper.ending, first) from exc
        raise
    logs.save()
    failure = scheduler.failure
    record = end(f"{_what(failure)}: {reason_of(failure.error, secrets)}" if failure else None)
    _write(run_record, record, _stage_error(failure, record, secrets) if failure else None)
    return record, failure


def _ended_by(wish: str, run: WorkflowRun) -> StaleRunError:
    """Return the error for a run that somebody has ended."""
    ref = f"{run.namespace}/{run.name}"
    if wish == "cancel":
        return RunCancelledError(f"run {ref!r} was cancelled, so it was stopped", ref)
    return StaleRunError(
        f"run {ref!r} was deleted while it went on, so it was stopped and no record of it is "
        "written",
        ref,
    )


def _lease_of(run: WorkflowRun) -> Lease:
    """Return the lease of a new run; one that a stage starts ends with the stage's attempt."""
    outer = find_run_context()
    label = f"run '{run.namespace}/{run.name}'"
    return Lease(run.uid, label, None if outer is None else outer.lease)


def _no_more_writes(ctx: WorkflowRunContext, engine: Executor) -> None:
    if ctx.lease is not None:
        ctx.lease.revoke("its run has ended")
        engine.revoke([ctx.lease], "its run has ended")


def _write(run_record: RunRecord, record: WorkflowRun, error: BaseException | None) -> None:
    """Write the record; if that fails, *error* still comes first, with a note."""
    try:
        run_record.write(record)
    except RunStoreError as exc:
        if error is None:
            raise
        error.add_note(f"The record of the run could not be written either: {exc}")
        raise error from (error.__cause__ or exc)


def _stage_error(failure: StageFailure, record: WorkflowRun, secrets: Secrets) -> StageError:
    ref = f"{record.namespace}/{record.name}"
    error = StageError(
        f"{_what(failure)} of run {ref!r} failed: {reason_of(failure.error, secrets)}",
        ref,
        failure.stage,
        secrets.masked(traceback_text(failure.error)),
        record,
    )
    error.__cause__ = failure.error
    return error


def _what(failure: StageFailure) -> str:
    item = "" if failure.index is None else f" (item {failure.index})"
    return f"stage {failure.stage!r}{item}"

"""A run with a record, without a workflow: for notebooks and scripts whose runs others find."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from runstore.context import (
    Lease,
    StageRecord,
    Trace,
    Workflow,
    WorkflowRun,
    WorkflowRunContext,
    find_run_context,
    kept_values,
    now,
    run_context,
    use_run_context,
)
from runstore.errors import RunStoreError
from runstore.workflows._code import commit_of, versions_here
from runstore.workflows._keeper import Keeper
from runstore.workflows._progress import reason_of
from runstore.workflows._run_record import RunRecord, left_out_of
from runstore.workflows._secrets import secrets_of

__all__ = ["recorded_run"]


class recorded_run:  # noqa: N801 - used like a function: a context manager
    """Enter a new run that has a record, like a run of `run_workflow`.

    Inside the block all is as with `run_context`. The record is written when the block begins and
    when it ends: it says what the run was given, what was read and written through
    `object_store`, and how it ended. So the run is listed, is the latest of its workflow if it has
    finished, is shown as ``lost`` if its process was killed, and can be cancelled: then every
    write is refused. When the block has ended nothing of it can write any more.

    Args:
        namespace: By default the setting ``RUNSTORE_NAMESPACE``, else ``default``.
        run: The run's name, unique in its namespace; by default ``<workflow>-<time>-<random>``.
        config: What ``get_run_context().config`` holds.
        input: What ``get_run_context().input`` holds.
        workflow: A name, or a definition; its stages are not run.
        store: Where objects and the record go, as for `run_context`.
        source: What triggered the run.

    Raises:
        InvalidNameError: *namespace* or *run* cannot be one.
        InvalidRequestError: Another argument is of a wrong type.
        SettingsError: The settings or *store* are not understood.
        ObjectExistsError: At the beginning of the block: there is a run of this name already.
        StorageError: The record could not be written.
    """

    def __init__(
        self,
        namespace: str | None = None,
        run: str | None = None,
        config: Mapping[str, Any] | None = None,
        input: Mapping[str, Any] | None = None,  # noqa: A002 - the field's name
        workflow: str | Workflow = "interactive",
        store: Any = None,
        source: str = "manual",
    ) -> None:
        self._named = run is not None
        self._made = run_context(namespace, run, config, input, workflow, store, source)
        self._block: _Block | None = None

    def __enter__(self) -> WorkflowRunContext:
        with self._made as ctx:
            pass
        self._block = _Block(ctx, new=self._named)
        return self._block.enter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        block, self._block = self._block, None
        if block is not None:
            block.leave(error)


class _Block:
    """One time that a run is entered.

    Args:
        ctx: The context.
        new: Whether there must be no run of its name yet.
    """

    def __init__(self, ctx: WorkflowRunContext, *, new: bool) -> None:
        from runstore.runs import this_process
        from runstore.store import ObjectStore

        objects, run, outer = ObjectStore.from_address(ctx.store), ctx.run, find_run_context()
        label = f"run '{run.namespace}/{run.name}'"
        self._lease = Lease(run.uid, label, None if outer is None else outer.lease)
        self._lease.trace = Trace()
        self._keeper = Keeper(objects.backend, run, self._lease)
        self._secrets = secrets_of(ctx)
        self._run: WorkflowRun = run.model_copy(
            update={
                "runner": this_process().model_copy(update={"renews": self._keeper.every}),
                "input": kept_values(dict(ctx.input)),
                "config": kept_values(dict(ctx.config)),
                "executor": "none",
                "commit": commit_of(None),
                "versions": versions_here(),
            }
        )
        others = left_out_of(self._run, ctx.input, ctx.config)
        self._record = RunRecord(objects, self._run, new=new, refers_to=others)
        self._inside: AbstractContextManager[WorkflowRunContext] = use_run_context(
            ctx.leased(self._lease)
        )

    def enter(self) -> WorkflowRunContext:
        """Write the record and enter."""
        self._record.begin()
        self._keeper.begin()
        return self._inside.__enter__()

    def leave(self, error: BaseException | None) -> None:
        """Leave, and write how it ended."""
        self._inside.__exit__(None, None, None)
        note = self._lease.noted()
        self._lease.revoke("its run has ended")
        wish, reason = self._keeper.ending, None
        if wish == "cancel":
            reason = "cancelled"
        elif isinstance(error, (KeyboardInterrupt, SystemExit)):
            reason = "interrupted"
        elif error is not None:
            reason = reason_of(error, self._secrets)
        state = "finished" if reason is None else "failed"
        stage = StageRecord.model_validate(
            {
                "name": self._run.workflow,
                "state": state,
                "started_at": self._run.started_at,
                "finished_at": now(),
                "attempts": 1,
                "error": reason,
            }
        )
        if note is not None:
            stage = stage.model_copy(update=note._asdict() | {"result": None})
        changes: dict[str, Any] = {
            "state": state,
            "finished_at": now(),
            "error": reason,
            "stages": (stage,),
            "versions": self._run.versions | versions_here(),
        }
        try:
            if wish != "delete" and not self._record.is_gone():
                self._record.write(self._run.model_copy(update=changes))
        except RunStoreError as exc:
            if error is None:
                raise
            error.add_note(f"The record of the run could not be written either: {exc}")
        finally:
            self._keeper.end()

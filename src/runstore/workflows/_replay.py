"""One stage of an earlier run again, here: on what it read then, and without touching that run."""

import os
import re
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from runstore import beside
from runstore.arguments import (
    check_callable,
    check_instance,
    check_keys,
    check_nested,
    check_text,
    path_text,
    unfit,
)
from runstore.context import (
    Lease,
    ObjectUse,
    StageRecord,
    StoreAddress,
    Workflow,
    WorkflowRun,
    WorkflowRunContext,
    bind,
    find_run_context,
    new_run,
    surrounding,
)
from runstore.errors import (
    InvalidNameError,
    InvalidRequestError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from runstore.executors import traceback_text
from runstore.keys import Place
from runstore.scratch import new_folder
from runstore.secret_names import Secrets
from runstore.workflows._load import Source, values_for
from runstore.workflows._plan import Plan, PlannedStage, make_plan
from runstore.workflows._progress import reason_of
from runstore.workflows._replay_inputs import Asking, arguments_of, given_for, visible
from runstore.workflows._replayed import Replay, compared
from runstore.workflows._targets import run_stage

if TYPE_CHECKING:
    from runstore.store import ObjectStore

__all__ = ["replay"]


def replay(
    run: str | WorkflowRun,
    stage: str,
    *,
    item: int | None = None,
    input: Mapping[str, Any] | None = None,  # noqa: A002 - as in run_workflow
    config: Any = None,
    code: str | os.PathLike[str] | None = None,
    function: Callable[..., Any] | None = None,
    namespace: str | None = None,
    store: Any = None,
    scratch: str | os.PathLike[str] | None = None,
) -> Replay:
    """Run one stage of an earlier run again, in this process, and compare it with what was.

    It gets the recorded input, config and results of other stages, and reads the recorded objects:
    each must still have its digest. What it writes goes to a scratch store; nothing is written to
    the store of the run.

    Args:
        run: The run's name, or its record.
        stage: The name of the stage.
        item: The index of the item, if the stage is mapped; by default the one that failed, else
            the first.
        input: Inputs that count instead of the recorded ones, by key. The others stay. A secret
            must be given again, as the record does not keep it.
        config: Config as for `run_workflow`, whose keys count in the same way.
        code: The folder in which the stage's module is looked for; by default that of the
            workflow's file, if it is there, else the working directory.
        function: The stage's code itself, as for one of a script or notebook.
        namespace: The run's namespace; by default that of the record, else as for `run_workflow`.
        store: The store of the run, as for `run_workflow`.
        scratch: A folder for the scratch store; by default a new one for temporary files, which
            is kept.

    Returns:
        What became of it; also if it failed.

    Raises:
        InvalidNameError: *run*, *stage* or *namespace* cannot be one.
        InvalidRequestError: The record does not keep what the stage needs, or an argument is wrong.
        InvalidWorkflowError: The stage's code cannot be imported, or *config* is wrong.
        ObjectNotFoundError: There is no such run, stage or item, or an object that it read is gone.
        PreconditionFailedError: An object that it read was replaced since.
        StorageError: The place failed.
    """
    from runstore.store import ObjectStore

    if not isinstance(run, WorkflowRun):
        check_text("replay", "run", run, error=InvalidNameError)
    check_text("replay", "stage", stage, error=InvalidNameError)
    check_text("replay", "namespace", namespace, optional=True, error=InvalidNameError)
    check_callable("replay", "function", function, optional=True)
    check_keys("replay", "input", input, optional=True)
    check_nested("replay", "input", input)
    if item is not None and (type(item) is not int or item < 0):
        raise unfit("replay", "item", "a whole number from 0, or None", item)
    for argument, path in (("code", code), ("scratch", scratch)):
        if path is not None:
            check_instance("replay", argument, path, (str, os.PathLike), "a path")
            path_text(argument, path, InvalidRequestError)
    here, address = surrounding(find_run_context(), namespace, store, "replay")
    origin = ObjectStore.from_address(address)
    if not isinstance(run, WorkflowRun):
        run = origin.read_run(run, namespace=here)
    _check_executed_here(run)
    record = _record_of(run, stage)
    folder = _folder(run, code)
    modules = beside.modules_of(folder)
    with beside.activated(modules), beside.within(modules):
        given = _given(run, input, config)
        plan = _plan(given, stage, folder, function)
        planned = plan.stages[stage]
        item = _item(run, planned, item)
        args = arguments_of(given, planned, item)
        _check_reads(origin, run, record)
        place, keep = _scratch(origin, run, record, visible(run, plan, record), scratch)
        return _made(run, given, record, planned, item, args, place, keep)


def _check_executed_here(run: WorkflowRun) -> None:
    """Raise if an orchestrator has executed the run: its record does not have the workflow."""
    ref = f"{run.namespace}/{run.name}"
    if run.definition is None and run.executor is not None and run.executor == run.source:
        raise InvalidRequestError(
            f"run {ref} was executed by {run.source}, and only {run.source} knows the functions of "
            f"its stages: run it again there. Its objects can be read here: runstore ls {ref}",
            ref,
        )


def _record_of(run: WorkflowRun, stage: str) -> StageRecord:
    found = next((one for one in run.stages if one.name == stage), None)
    if found is None:
        names = ", ".join(repr(one.name) for one in run.stages) or "none"
        raise ObjectNotFoundError(
            f"run {run.namespace}/{run.name} has no stage {stage!r}; its stages are {names}", stage
        )
    return found


def _given(run: WorkflowRun, input: Mapping[str, Any] | None, config: Any) -> WorkflowRun:  # noqa: A002
    """Return the record with what was given now over the recorded input and config."""
    update: dict[str, Any] = {}
    if input:
        update["input"] = {**(run.input or {}), **input}
    if config is not None and run.definition is not None:
        values = values_for(Workflow.model_validate(run.definition), config, "replay")
        check_nested("replay", "config", values)
        update["config"] = {**(run.config or {}), **values}
    return run.model_copy(update=update)


def _folder(run: WorkflowRun, code: str | os.PathLike[str] | None) -> Path:
    if code is not None:
        folder = Path(code)
        if not os.path.isdir(folder):  # noqa: PTH112 - raises nothing
            raise InvalidRequestError(f"replay: code={str(folder)!r} is no folder", str(folder))
        return folder.absolute()
    if run.file is not None and Path(run.file).is_absolute() and Path(run.file).parent.is_dir():
        return Path(run.file).parent
    return Path.cwd()


def _plan(run: WorkflowRun, stage: str, folder: Path, function: Callable[..., Any] | None) -> Plan:
    """Return the plan of the recorded workflow, with the code of the folder."""
    if run.definition is None:
        raise InvalidRequestError(
            f"the record of run {run.namespace}/{run.name} was written by an earlier version of "
            "runstore and does not have the workflow",
            run.name,
        )
    definition = Workflow.model_validate(run.definition)
    others = {"target": _OTHER, "retry_on": ()}  # whose code need not be there
    own = {} if function is None else {"target": function}
    stages = [
        one.model_copy(update=own if one.name == stage else others)
        for one in definition.spec.stages
    ]
    spec = definition.spec.model_copy(update={"stages": tuple(stages)})
    definition = definition.model_copy(update={"spec": spec})
    with beside.alone():
        return make_plan(Source(definition, home=folder), run.input)


_OTHER = "builtins:print"
_ITEM = re.compile(r"stage '(.*?)' \(item (\d+)\): ")


def _item(run: WorkflowRun, planned: PlannedStage, item: int | None) -> int | None:
    name = planned.stage.name
    if not planned.mapped:
        if item is not None:
            raise InvalidRequestError(f"stage {name!r} is not mapped, so it has no item {item}")
        return None
    if item is not None:
        return item
    failed = _ITEM.match(run.error or "")
    if failed is not None and failed[1] == name:
        return int(failed[2])
    record = next((one for one in run.stages if one.name == name), None)
    return min(record.failed_items, default=0) if record is not None else 0


def _check_reads(origin: "ObjectStore", run: WorkflowRun, record: StageRecord) -> None:
    """Raise unless the objects that the stage read are as they were."""
    own = {use.ref for use in record.writes}
    for use in record.reads:
        if use.attempt is not None:
            continue  # an attempt that failed and was made again may have read another version
        if use.part is not None or use.ref in own:
            continue
        place = Place(use.namespace, use.run, use.name)
        view = origin.at(namespace=use.namespace, run=use.run)
        if use.digest is None:
            if use.run not in (None, run.name):
                view.stat(use.name, scope=place.scope)  # that run has to be there, at least
        elif view.ref(use.name, scope=place.scope).digest != use.digest:
            raise PreconditionFailedError(
                f"{place} was replaced since stage {record.name!r} read it, so the stage cannot be "
                "run on what it read then",
                str(place),
            )


def _scratch(
    origin: "ObjectStore",
    run: WorkflowRun,
    record: StageRecord,
    shown: Callable[[str], bool],
    folder: str | os.PathLike[str] | None,
) -> tuple["ObjectStore", Callable[[ObjectUse], str]]:
    """Return a store over that of the run, and what copies an object of the run to it."""
    from runstore.objects import Overlay, StoredObjects  # which only replays need
    from runstore.runs import ReadThen
    from runstore.store import ObjectStore, opened_over

    where = new_folder("runstore-replay-") if folder is None else os.fspath(folder)
    upper = ObjectStore(where)
    url = f"replay://{upper.address.url.partition('://')[2]}"
    over = Overlay(upper.backend, origin.backend, shown, read_then=ReadThen(run, record))
    store = opened_over(StoreAddress(url=url, pickle=origin.address.pickle), over)
    from_origin = Overlay(upper.backend, origin.backend, lower_first=True)
    objects = StoredObjects(from_origin, origin.address.pickle)

    def keep(use: ObjectUse) -> str:
        source = Place(use.namespace, use.run, use.name)
        target = Place(use.namespace, f"{run.name[:100]}-recorded", use.name)
        objects.copy(source, target)
        return str(target)

    return store, keep


def _made(
    run: WorkflowRun,
    given: WorkflowRun,
    record: StageRecord,
    planned: PlannedStage,
    item: int | None,
    args: tuple[Any, ...],
    place: "ObjectStore",
    keep: Callable[[ObjectUse], str],
) -> Replay:
    name = planned.stage.name
    uid = new_run(run.workflow, namespace=run.namespace).uid
    lease = Lease(f"replay {uid}", f"the replay of stage {name!r}")
    lease.trace = asking = Asking(given)
    ctx = WorkflowRunContext(
        input=given_for(given, record, "input"),
        config=given_for(given, record, "config"),
        namespace=run.namespace,
        executor="replay",
        definition=Workflow.model_validate(run.definition),
        run=run.model_copy(update={"uid": uid, "stages": (), "source": "replay"}),
        store=place.address,
    ).leased(lease)
    at = ctx.at_stage(name, 1, item, lazily=True).leased(lease)
    begun, error, result = time.monotonic(), None, None
    try:
        result = bind(partial(run_stage, planned.function, planned.keywords), at)(*args)
    except Exception as exc:  # noqa: BLE001 - the stage's own error is what is looked for
        error = exc
    finally:
        lease.revoke("its replay has ended")
    if asking.asked is not None:
        raise asking.asked
    secrets, note = Secrets(ctx.input, ctx.config), lease.noted()
    before = [use for use in record.writes if item is None or use.item == item]
    return Replay(
        run=run,
        stage=name,
        item=item,
        state="finished" if error is None else "failed",
        result=result,
        error=None if error is None else reason_of(error, secrets),
        traceback=None if error is None else secrets.masked(traceback_text(error)),
        before=_result_before(record, item),
        error_before=_error_before(run, record, item),
        written=compared(before, [] if note is None else list(note.writes)),
        seconds=time.monotonic() - begun,
        store=place,
        folder=place.address.url.partition("://")[2],
        state_before=_state_before(run, record, item),
        _keep=keep,
    )


def _result_before(record: StageRecord, item: int | None) -> Any:
    if item is None:
        return record.result
    if record.state != "finished":
        return record.item_results.get(item)
    at = item - sum(1 for index in record.failed_items if index < item)
    kept = isinstance(record.result, list) and at < len(record.result)
    return record.result[at] if kept and item not in record.failed_items else None


_State = Literal["pending", "running", "finished", "failed", "skipped"]


def _state_before(run: WorkflowRun, record: StageRecord, item: int | None) -> _State:
    """Return how a stage or item ended; an item of which nothing is recorded did not run."""
    if item is None or record.state in ("pending", "skipped"):
        return record.state
    if item in record.failed_items or _error_before(run, record, item) is not None:
        return "failed"
    if record.state == "finished" or item in record.item_results:
        return "finished"
    return "running" if _may_have_begun(record, item) else "pending"


def _may_have_begun(record: StageRecord, item: int) -> bool:
    """Return whether an item may have run, of a stage that has not finished."""
    wrote = any(use.item == item for use in record.writes)
    return wrote or len(record.item_results) + len(record.failed_items) < record.attempts


def _error_before(run: WorkflowRun, record: StageRecord, item: int | None) -> str | None:
    if item is None:
        return record.error
    failed = _ITEM.match(run.error or "")
    if failed is not None and failed[1] == record.name:
        return record.error if int(failed[2]) == item else None
    return record.failed_items.get(item)

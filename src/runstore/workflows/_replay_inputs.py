"""What a stage that is run again is given, and what it can see of the earlier run."""

from collections.abc import Callable
from typing import Any, Literal

from runstore.context import EVERY_KEY, StageRecord, Trace, WorkflowRun, is_kept
from runstore.errors import InvalidRequestError, ObjectNotFoundError
from runstore.keys import Place, key_of, parts_folder
from runstore.workflows._plan import Plan, PlannedStage
from runstore.workflows._resume_from import is_whole, not_kept

__all__ = ["Asking", "arguments_of", "given_for", "visible"]

_Kind = Literal["input", "config"]


def given_for(run: WorkflowRun, record: StageRecord, kind: _Kind) -> dict[str, Any]:
    """Return the input or config of a run, as far as its record keeps it.

    Raises:
        InvalidRequestError: It does not keep what the stage has read.
    """
    values: dict[str, Any] = getattr(run, kind) or {}
    lost = lost_keys(run, kind)
    read = record.input_read if kind == "input" else record.config_read
    missing = lost if EVERY_KEY in read else [key for key in lost if key in read]
    if missing:
        raise _asked_again(run, kind, missing[0])
    return {key: value for key, value in values.items() if key not in lost}


def lost_keys(run: WorkflowRun, kind: _Kind) -> list[str]:
    """Return the keys of input or config whose values the record of a run does not keep."""
    values: dict[str, Any] = getattr(run, kind) or {}
    return [key for key, value in values.items() if not is_whole(value)]


def _asked_again(run: WorkflowRun, kind: _Kind, key: str) -> InvalidRequestError:
    option = f"--input {key}=…" if kind == "input" else f"--config FILE with {key!r}"
    return InvalidRequestError(
        f"{not_kept(run, kind, key)}. Give it again: {option} (in Python: "
        f"replay(…, {kind}={{{key!r}: …}}))",
        f"{run.namespace}/{run.name}",
    )


class Asking(Trace):
    """Collects what a replayed stage does; raises if it reads a value that the record lacks.

    Attributes:
        asked: What was raised. The stage may have caught it, but its replay is worth nothing.
    """

    __slots__ = ("_run", "asked")

    def __init__(self, run: WorkflowRun) -> None:
        super().__init__()
        self._run = run
        self.asked: InvalidRequestError | None = None

    def looked_at(self, kind: str) -> Callable[[str], None]:
        """Return what is to be called with each key of ``input`` or ``config`` that is read."""
        which: _Kind = "input" if kind == "input" else "config"
        told, lost = super().looked_at(kind), lost_keys(self._run, which)

        def read(key: str) -> None:
            missing = lost[0] if lost and key == EVERY_KEY else key
            if missing in lost:
                self.asked = _asked_again(self._run, which, missing)
                raise self.asked
            told(key)

        return read


def arguments_of(run: WorkflowRun, planned: PlannedStage, item: int | None) -> tuple[Any, ...]:
    """Return the positional arguments of the stage's call: its item, and results of others.

    Raises:
        InvalidRequestError: The record does not keep one of them.
        ObjectNotFoundError: It has no such item.
    """
    rest = tuple(_result(run, name, planned.stage.name) for name in planned.passes)
    if item is None:
        return rest
    if planned.map_input is not None:
        items = (run.input or {}).get(planned.map_input)
        if not is_whole(items):
            raise _asked_again(run, "input", planned.map_input)
    else:
        items = _result(run, str(planned.map_on), planned.stage.name)
    found = list(items) if isinstance(items, (list, dict, str)) else []
    if item >= len(found):
        raise ObjectNotFoundError(
            f"stage {planned.stage.name!r} of run {run.namespace}/{run.name} has no item {item}: "
            f"it has {_items(len(found))}",
            planned.stage.name,
        )
    return (found[item], *rest)


def _items(count: int) -> str:
    if count < 2:
        return "only item 0" if count else "none"
    return "items 0 and 1" if count == 2 else f"items 0 to {count - 1}"


def _result(run: WorkflowRun, name: str, stage: str) -> Any:
    record = next(one for one in run.stages if one.name == name)
    if record.state != "finished":
        raise InvalidRequestError(
            f"stage {stage!r} cannot be run on what stage {name!r} returned, which was "
            f"{record.state} in run {run.namespace}/{run.name}",
            name,
        )
    if not is_kept(record.result):
        raise InvalidRequestError(
            f"stage {stage!r} needs what stage {name!r} returned, which the record of run "
            f"{run.namespace}/{run.name} does not keep ({record.result['reason']})",
            name,
        )
    return record.result


def visible(run: WorkflowRun, plan: Plan, record: StageRecord) -> Callable[[str], bool]:
    """Return which keys of the run's store a stage sees: not what was written beside or after it.

    Args:
        run: The run.
        plan: Its workflow.
        record: Of the stage.
    """
    before, left = set[str](), [record.name]
    while left:
        for name in plan.stages[left.pop()].needs:
            if name not in before:
                before.add(name)
                left.append(name)
    # What an earlier stage wrote was there, even if it was replaced since.
    earlier = [use for one in run.stages if one.name in before for use in one.writes]
    there = {use.ref.partition("@")[0] for use in earlier}
    read = {use.ref.partition("@")[0] for use in record.reads}
    hidden: set[str] = set()
    folders: list[str] = []
    for stage in run.stages:
        if stage.name in before:
            continue
        for use in stage.writes:
            ref = use.ref.partition("@")[0]
            if ref not in there and (ref not in read or stage.name == record.name):
                place = Place(use.namespace, use.run, use.name)
                hidden.add(key_of(place))
                folders.append(parts_folder(place))
    beneath = tuple(folders)

    def shown(key: str) -> bool:
        return key not in hidden and not key.startswith(beneath)

    return shown

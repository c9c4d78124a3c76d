"""One call of a stage, as an executor gets it: what it has in common with others, and its own."""

from functools import partial
from typing import Any

from runstore.context import Lease, Trace, WorkflowRunContext, attempt_key, bind, known_lease
from runstore.executors import Call, LogLevels, Shared, levels_here, sink_here, taking
from runstore.workflows._plan import PlannedStage
from runstore.workflows._targets import run_stage

__all__ = ["StageCalls"]

_Code = tuple[Any, tuple[str, ...], LogLevels]  # function, keywords, levels of the caller
_Scope = tuple[str, int, int | None]  # stage, attempt, index of the item


class StageCalls:
    """Makes the calls of one stage.

    Args:
        planned: The stage.
        ctx: The context of the run, which all stages have in common.
        rest: The arguments that every call gets behind its item, if the stage is mapped.
    """

    def __init__(self, planned: PlannedStage, ctx: "Shared", rest: tuple[Any, ...] = ()) -> None:
        self._planned = planned
        self._run = ctx.value.run
        self._lease = ctx.value.lease
        code = Shared((planned.function, planned.keywords, levels_here()))
        self._shared = (ctx, code, Shared(rest, copied=True)) if rest else (ctx, code)

    def call(self, number: int, index: int | None, args: tuple[Any, ...]) -> Call:
        """Return the call of an attempt.

        Args:
            number: Of the attempt, from 1.
            index: Of the item, if the stage is mapped.
            args: Its own arguments.
        """
        stage = self._planned.stage
        label = (
            f"stage {stage.name!r}" if index is None else f"item {index} of stage {stage.name!r}"
        )
        return Call(
            _with_rest if len(self._shared) == 3 else _alone,
            ((stage.name, number, index), *args),
            label,
            stage.timeout,
            stage.resources,
            _lease_of(self._run, self._lease, (stage.name, number, index)),
            self._shared,
            decides=(number > stage.retries or bool(stage.retry_on))
            and stage.options.on_item_error == "fail",
        )


def _label(stage: str, index: int | None) -> str:
    return f"stage {stage!r}" if index is None else f"item {index} of stage {stage!r}"


def _lease_of(run: Any, parent: Lease | None, scope: _Scope) -> Lease:
    """Return the lease of an attempt in this process."""
    name, number, index = scope
    key = attempt_key(run.uid, name, number, index)
    known = known_lease(key)
    if known is not None:
        return known
    label = f"attempt {number} of {_label(name, index)} of run '{run.namespace}/{run.name}'"
    return Lease(key, label, parent)


def _alone(ctx: WorkflowRunContext, code: _Code, scope: _Scope, *args: Any) -> Any:
    """Make a call where it runs."""
    function, keywords, levels = code
    lease = _lease_of(ctx.run, ctx.lease, scope)
    lease.trace = Trace()
    at = ctx.at_stage(*scope, lazily=True).leased(lease)
    call = bind(partial(run_stage, function, keywords), at)
    sink = sink_here()
    if sink is None:  # a thread of the caller, whose logging it is
        return call(*args)
    with taking(ctx.run.uid, sink, levels):
        return call(*args)


def _with_rest(
    ctx: WorkflowRunContext,
    code: _Code,
    rest: tuple[Any, ...],
    scope: _Scope,
    *args: Any,
) -> Any:
    """Make a call whose last arguments are those of every call of its stage."""
    return _alone(ctx, code, scope, *args, *rest)

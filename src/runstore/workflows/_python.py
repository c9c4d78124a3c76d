"""Workflows written in Python: functions that say what they need, and the workflow of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar, overload

from pydantic import ValidationError

from runstore.arguments import check_callable, check_keys, check_text, guided, unfit
from runstore.context import Metadata, Stage, StageOptions, Workflow, WorkflowSpec, reasons
from runstore.errors import InvalidWorkflowError

__all__ = ["STAGE", "stage", "workflow"]

F = TypeVar("F", bound=Callable[..., Any])

STAGE = "__runstore_stage__"
"""The attribute in which a decorated function has its `Stage`."""

_Dependency = str | Stage | Callable[..., Any]
_Errors = str | type[BaseException] | Sequence[str | type[BaseException]]


@overload
def stage(function: F) -> F: ...


@overload
def stage(
    *,
    name: str | None = None,
    depends_on: _Dependency | Sequence[_Dependency] = (),
    map_on: _Dependency | None = None,
    on_item_error: Literal["fail", "skip"] = "fail",
    resources: Mapping[str, Any] | None = None,
    max_at_once: int | None = None,
    retries: int = 0,
    retry_delay: float = 0,
    retry_backoff: float = 2,
    retry_max_delay: float | None = None,
    retry_jitter: float = 0.1,
    retry_on: _Errors = (),
    timeout: float | None = None,
    description: str = "",
    version: str = "",
) -> Callable[[F], F]: ...


@guided
def stage(
    function: Any = None,
    *,
    name: str | None = None,
    depends_on: _Dependency | Sequence[_Dependency] = (),
    map_on: _Dependency | None = None,
    on_item_error: Literal["fail", "skip"] = "fail",
    resources: Mapping[str, Any] | None = None,
    max_at_once: int | None = None,
    retries: int = 0,
    retry_delay: float = 0,
    retry_backoff: float = 2,
    retry_max_delay: float | None = None,
    retry_jitter: float = 0.1,
    retry_on: _Errors = (),
    timeout: float | None = None,
    description: str = "",
    version: str = "",
) -> Any:
    """Declare how a function runs as a stage; it can be called, imported and pickled as before.

    Use it as ``@stage`` or ``@stage(depends_on=…)``, and give the functions to `workflow`.
    The same function is returned, and marked: `workflow` finds there what was declared, also if
    it is given the function later, in another workflow. To have the function in several workflows
    with different options, leave it unmarked and pass ``Stage(name=…, target=function, …)``.

    Args:
        function: The stage's code.
        name: Unique in its workflow; by default the function's name.
        depends_on: Functions, stages or their names, whose results are passed in this order.
        map_on: The function or stage whose result is mapped over, or the key of the run's
            input: the function is called once per item.
        on_item_error, max_at_once: As for `StageOptions`.
        resources, retries, timeout, description, version: As for `Stage`.
        retry_delay, retry_backoff, retry_max_delay, retry_jitter, retry_on: As for `Stage`.

    Raises:
        InvalidWorkflowError: An argument cannot be one of a stage.
        InvalidRequestError: What is decorated cannot be called.
    """
    if function is not None:
        check_callable("stage", "function", function)
    check_text("stage", "name", name, optional=True, error=InvalidWorkflowError)
    check_keys("stage", "resources", resources, optional=True)
    others: Any = depends_on if _is_several(depends_on) else (depends_on,)
    # All but the function is checked here, and not when something is decorated.
    given: dict[str, Any] = {
        "type": "simple" if map_on is None else "parameterized",
        "depends_on": tuple(_reference("depends_on", one) for one in others),
        "resources": dict(resources or {}),
        "retries": retries,
        "retry_delay": retry_delay,
        "retry_backoff": retry_backoff,
        "retry_max_delay": retry_max_delay,
        "retry_jitter": retry_jitter,
        "retry_on": retry_on,
        "timeout": timeout,
        "description": description,
        "version": version,
    }
    options: dict[str, Any] = {
        "map_on": None if map_on is None else _reference("map_on", map_on),
        "on_item_error": on_item_error,
        "max_at_once": max_at_once,
    }
    if name is None and function is not None:
        name = _name_of(function)
    template = _checked(name, given, options)

    def described(function: F) -> F:
        check_callable("stage", "function", function)
        named = _name_of(function) if name is None else name
        made = template.model_copy(update={"name": named, "target": function})
        setattr(function, STAGE, made)
        return function

    return described if function is None else described(function)


@guided
def workflow(
    name: str,
    *stages: Stage | Callable[..., Any],
    annotations: Mapping[str, str] | None = None,
) -> Workflow:
    """Return the workflow of these stages.

    Args:
        name: The workflow's name.
        stages: Functions decorated with `stage`, plain functions, and `Stage` objects. The
            result of a run is what the last one returns.
        annotations: By which Configs can select it.

    Raises:
        InvalidWorkflowError: There is no stage, or one has no name. Names and dependencies are
            checked when it is run.
        InvalidRequestError: An argument is of a wrong type.
    """
    check_text("workflow", "name", name, error=InvalidWorkflowError)
    check_keys("workflow", "annotations", annotations, optional=True)
    if not stages:
        raise InvalidWorkflowError(f"workflow {name!r} has no stages: pass at least one", name)
    return Workflow(
        metadata=Metadata(name=name, annotations=dict(annotations or {})),
        spec=WorkflowSpec(stages=tuple(map(_stage_of, stages))),
    )


def _checked(name: str | None, given: dict[str, Any], options: dict[str, Any]) -> Stage:
    """Return a stage of these values, which has no code yet."""
    try:
        made = Stage.model_validate(
            {"name": "stage" if name is None else name, "target": "builtins:print", **given}
        )
        return made.model_copy(update={"options": StageOptions.model_validate(options)})
    except ValidationError as exc:
        of = "stage" if name is None else f"stage {name!r}"
        raise InvalidWorkflowError(f"{of}: {reasons(exc)}") from exc


def _is_several(given: Any) -> bool:
    if isinstance(given, (str, bytes, bytearray, memoryview)):  # sequences, too
        return False
    return isinstance(given, Sequence)


def _stage_of(given: Any) -> Stage:
    if isinstance(given, Stage):
        return given
    check_callable("workflow", "stages", given)
    described = getattr(given, STAGE, None)
    if isinstance(described, Stage):
        return described
    return Stage(name=_name_of(given), target=given)


def _reference(argument: str, given: Any) -> str:
    if isinstance(given, str):
        return given
    if isinstance(given, Stage) or callable(given):
        return _stage_of(given).name
    raise unfit(
        *("stage", argument, "a function, a stage or the name of one", given),
        error=InvalidWorkflowError,
    )


def _name_of(function: Any) -> str:
    name = getattr(getattr(function, "func", function), "__name__", "")  # functools.partial
    if not name or name == "<lambda>":
        what = f"that is a {'lambda' if name else type(function).__name__}"
        raise InvalidWorkflowError(
            f"a stage {what} has no name of its own: write Stage(name=…, target=…)"
        )
    return str(name)

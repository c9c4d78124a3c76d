"""The definitions that users write: workflows of stages, and configs.

Frozen pydantic models: they can be compared, pickled by value and shown, and nothing here reads a
clock, a file or the environment.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal, Self
from uuid import UUID

from pydantic import BeforeValidator, Field, field_serializer, model_validator

from runstore.arguments import LONGEST_AGE, seconds_in
from runstore.context._values import Value
from runstore.displays import pairs, some
from runstore.errors import InvalidWorkflowError, RunStoreError

__all__ = [
    "Config",
    "ConfigSpec",
    "Metadata",
    "Retention",
    "Selector",
    "Stage",
    "StageOptions",
    "Workflow",
    "WorkflowSpec",
    "target_name",
]

Target = str | Callable[..., Any]
"""A stage's code: ``package.module.function``, ``package.module:function`` or a callable."""


class _Definition(Value):
    """A part of a workflow or config."""

    _refused_as: ClassVar[type[RunStoreError]] = InvalidWorkflowError


def _number(value: Any) -> Any:
    if isinstance(value, bool):  # which Python, and pydantic with it, takes as 0 or 1
        raise ValueError("Input should be a number, not true or false")
    return value


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


class Metadata(_Definition):
    """The name of a resource, and annotations by which Configs can select it.

    Attributes:
        uid, created_at, updated_at: Of whatever keeps the definition; runstore only keeps them.
    """

    name: str = Field(min_length=1)
    annotations: dict[str, str] = Field(default_factory=dict)
    uid: Annotated[str, BeforeValidator(_as_text)] | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


_LONGEST_CALL = 366 * 86_400.0  # seconds; clocks of the system fail far beyond it
_Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]


def _as_names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _as_error_names(value: Any) -> Any:
    """Return names of errors, where classes or a single one were given."""
    several = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(target_name(one) if isinstance(one, type) else one for one in several)


def _in_numbers(value: Any) -> Any:
    """Return resources with ``memory`` in bytes, without those that are None."""
    if not isinstance(value, Mapping):
        return value
    given = {name: amount for name, amount in value.items() if amount is not None}
    if isinstance(given.get("memory"), str):
        given["memory"] = _number_of_bytes(given["memory"])
    return given


_UNITS: dict[str, int] = {"": 1, "B": 1} | {
    f"{letter}{end}": base**power
    for power, letter in enumerate("KMGTP", 1)
    for base, ends in ((1000, ("", "B")), (1024, ("I", "IB")))
    for end in ends
}


def _number_of_bytes(text: str) -> float:
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", text)
    unit = None if found is None else _UNITS.get(found[2].upper())
    if found is None or unit is None:
        raise ValueError(f"{text!r} is no amount of memory: write bytes, or as in 8GB or 512MiB")
    return float(found[1]) * unit


class StageOptions(_Definition):
    """How a stage is run.

    Attributes:
        map_on: For a parameterized stage, the stage whose result is mapped over, or the key
            of the run's input whose value is; by default the first stage it depends on.
        on_item_error: ``fail`` (default) fails the stage with its first failed item;
            ``skip`` leaves the item out of the result and notes it in the record.
            ``allow_partial_failure: true`` means the same as ``skip``.
        max_at_once: How many items of the stage run at once at most; None for as many as the
            executor runs.
    """

    map_on: str | None = None
    on_item_error: Literal["fail", "skip"] = "fail"
    max_at_once: Annotated[int, BeforeValidator(_number)] | None = Field(default=None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _with_partial_failure(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or "allow_partial_failure" not in data:
            return data
        rest = dict(data)
        allowed = rest.pop("allow_partial_failure")
        if not isinstance(allowed, bool):
            raise ValueError("allow_partial_failure is true or false")
        meant = "skip" if allowed else "fail"
        if rest.setdefault("on_item_error", meant) != meant:
            raise ValueError("allow_partial_failure and on_item_error contradict each other")
        return rest


class Stage(_Definition):
    """One stage of a workflow.

    Attributes:
        name: Unique in its workflow.
        target: An import string, or the callable itself.
        type: ``simple`` is called once, ``parameterized`` once per item of what it
            maps over.
        depends_on: The stages whose results are passed, in this order, as
            positional arguments.
        options: See `StageOptions`.
        resources: What one call needs, for the engine: ``cpus``, ``gpus``,
            ``memory`` (bytes, or text like ``8GB`` or ``512MiB``), or names of the cluster's own.
        retries: How often a failed call is tried again; 0 to 100.
        retry_delay: Seconds from a failure to the first retry.
        retry_backoff: By how much the delay grows from one retry to the next; 1 keeps it.
        retry_max_delay: Seconds that no delay exceeds, or None.
        retry_jitter: By which part of it each delay is changed at random, up or down; 0 to 1.
        retry_on: The errors after which a call is tried again, with those derived from them: names
            as ``ConnectionError`` or ``package.module.Error``, or classes. Empty for all errors.
        timeout: Seconds one call may take, at most a year, or None.
        description, version: For people.
        priority: Kept for definitions of Flowdapt; the order of stages is that of the graph.
    """

    name: str = Field(min_length=1)
    target: Target
    type: Literal["simple", "parameterized"] = "simple"
    depends_on: Annotated[tuple[str, ...], BeforeValidator(_as_names)] = ()
    options: StageOptions = Field(default_factory=StageOptions.model_construct)
    resources: Annotated[
        dict[str, Annotated[_Number, Field(ge=0)]], BeforeValidator(_in_numbers)
    ] = Field(default_factory=dict)
    retries: Annotated[int, BeforeValidator(_number)] = Field(default=0, ge=0, le=100)
    retry_delay: _Number = Field(default=0, ge=0, le=_LONGEST_CALL)
    retry_backoff: _Number = Field(default=2, ge=1, le=100)
    retry_max_delay: Annotated[_Number, Field(ge=0, le=_LONGEST_CALL)] | None = None
    retry_jitter: _Number = Field(default=0.1, ge=0, le=1)
    retry_on: Annotated[tuple[str, ...], BeforeValidator(_as_error_names)] = ()
    timeout: Annotated[_Number, Field(gt=0, le=_LONGEST_CALL)] | None = None
    description: str = ""
    version: str = ""
    priority: int | None = None

    @field_serializer("target")
    def _target_by_name(self, target: Target) -> str:
        return target_name(target)


def _in_seconds(value: Any) -> Any:
    return seconds_in(value) if isinstance(value, (str, timedelta)) else _number(value)


class Retention(_Definition):
    """How long the runs of a workflow are kept, for `runstore.ObjectStore.plan_gc`.

    A run stays as long as one of these says so. What is None says nothing.

    Attributes:
        keep_last: The newest so many, whatever became of them.
        keep_finished: The newest so many that have finished.
        older_than: Seconds, or text like ``30d``: runs that ended less than so long ago.
    """

    keep_last: Annotated[int, BeforeValidator(_number), Field(ge=0)] | None = None
    keep_finished: Annotated[int, BeforeValidator(_number), Field(ge=0)] | None = None
    older_than: (
        Annotated[float, BeforeValidator(_in_seconds), Field(ge=0, le=LONGEST_AGE)] | None
    ) = None


class WorkflowSpec(_Definition):
    """The stages of a workflow, in the order in which they were written down.

    Attributes:
        stages: The stages.
        retention: How long its runs are kept; see `Retention`.
        card: Whether each run puts its page as ``card.html``, when it has ended.
    """

    stages: tuple[Stage, ...] = Field(min_length=1)
    card: bool = False
    retention: Retention | None = None


class Workflow(_Definition):
    """A workflow definition; as YAML, as a dict of the same shape, or built in Python."""

    kind: Literal["workflow"] = "workflow"
    metadata: Metadata
    spec: WorkflowSpec

    def _repr_html_(self) -> str:
        rows = [
            [one.name, target_name(one.target), ", ".join(one.depends_on), one.type]
            for one in self.spec.stages
        ]
        told = pairs({"workflow": self.metadata.name})
        return told + some(["stage", "target", "depends on", "type"], rows)

    def by_name(self) -> Self:
        """Return the same definition with callables replaced by their names: plain data."""
        stages = tuple(
            stage.model_copy(update={"target": target_name(stage.target)})
            for stage in self.spec.stages
        )
        return self.model_copy(update={"spec": self.spec.model_copy(update={"stages": stages})})


def target_name(target: Target) -> str:
    """Return the import string that says where *target* was defined."""
    if isinstance(target, str):
        return target
    inner = getattr(target, "func", target)  # functools.partial
    module = getattr(inner, "__module__", None) or type(inner).__module__
    return f"{module}:{getattr(inner, '__qualname__', type(inner).__qualname__)}"


class Selector(_Definition):
    """Which workflows a Config applies to.

    ``type: name`` selects the workflow called *value*; ``type: annotation`` those
    whose annotations have every key of *value* with the same text. With a ``kind`` other
    than ``workflow`` it selects no workflow.
    """

    kind: str | None = None
    type: Literal["name", "annotation"] = "name"
    value: str | dict[str, str]


class ConfigSpec(_Definition):
    """The values of a Config, and which workflows get them: all, if there is no selector."""

    selector: Selector | None = None
    data: dict[str, Any] = Field(default_factory=dict)


class Config(_Definition):
    """A configuration resource; see `runstore.context.merge_configs` for how several combine."""

    kind: Literal["config"] = "config"
    metadata: Metadata
    spec: ConfigSpec

"""The values a run consists of: its definition, its configuration, its record, its context.

All are frozen pydantic models without behaviour that touches the world: they can
be compared, pickled by value and shown, and nothing here reads a clock, a file
or the environment.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_serializer,
    model_validator,
)

from runstore.arguments import LONGEST_WAIT
from runstore.context._lease import Lease, attempt_key, known_lease
from runstore.errors import (
    InvalidRequestError,
    InvalidWorkflowError,
    MissingInputError,
    RunStoreError,
)
from runstore.names import check_namespace, check_run

__all__ = [
    "Config",
    "ConfigSpec",
    "Metadata",
    "PicklePolicy",
    "RunProcess",
    "RunState",
    "Selector",
    "Stage",
    "StageOptions",
    "StageRecord",
    "StageScope",
    "StoreAddress",
    "Workflow",
    "WorkflowRun",
    "WorkflowRunContext",
    "WorkflowSpec",
]

PicklePolicy = Literal["allow", "warn", "deny", "signed"]
"""What a store does with values that can only be pickled; see `runstore.ObjectStore`."""

RunState = Literal["pending", "running", "finished", "failed", "lost"]
"""``lost`` is what others see of a run that says ``running`` and whose process is gone."""

Target = str | Callable[..., Any]
"""A stage's code: ``package.module.function``, ``package.module:function`` or a callable."""


if TYPE_CHECKING:
    _Model = BaseModel
else:

    class _Making(type(BaseModel)):
        """Raises an error of runstore if a model that a caller makes is invalid.

        Models that pydantic makes inside another one are not affected: it collects all mistakes.
        """

        def __call__(cls, *args, **kwargs):
            try:
                return super().__call__(*args, **kwargs)
            except ValidationError as exc:
                raise cls._refused_as(f"{cls.__name__}: {reasons(exc)}") from exc

    class _Model(BaseModel, metaclass=_Making):
        """The base of all models."""


def reasons(exc: ValidationError) -> str:
    """Return all mistakes, each with the path of its field; values are not shown."""
    told = []
    for error in exc.errors(include_url=False, include_input=False, include_context=False):
        path = ".".join(str(step) for step in error["loc"] if step != "[key]")
        told.append(f"{path}: {error['msg']}" if path else error["msg"])
    return "; ".join(told)


class _Value(_Model):
    """A frozen value; unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    _refused_as: ClassVar[type[RunStoreError]] = InvalidRequestError


class _Definition(_Value):
    """A part of a workflow or config."""

    _refused_as: ClassVar[type[RunStoreError]] = InvalidWorkflowError


def _number(value: Any) -> Any:
    if isinstance(value, bool):  # which Python, and pydantic with it, takes as 0 or 1
        raise ValueError("Input should be a number, not true or false")
    return value


class Metadata(_Definition):
    """The name of a resource, and annotations by which Configs can select it."""

    name: str = Field(min_length=1)
    annotations: dict[str, str] = {}


_LONGEST_CALL = 366 * 86_400.0  # seconds; clocks of the system fail far beyond it
_Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]


def _as_names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class StageOptions(_Definition):
    """How a stage is run.

    Attributes:
        map_on: For a parameterized stage, the stage whose result is mapped over;
            by default the one it depends on.
        on_item_error: ``fail`` (default) fails the stage with its first failed item;
            ``skip`` leaves the item out of the result and notes it in the record.
    """

    map_on: str | None = None
    on_item_error: Literal["fail", "skip"] = "fail"


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
            ``memory`` (bytes), or names of the cluster's own.
        retries: How often a failed call is tried again; 0 to 100.
        timeout: Seconds one call may take, at most a year, or None.
    """

    name: str = Field(min_length=1)
    target: Target
    type: Literal["simple", "parameterized"] = "simple"
    depends_on: Annotated[tuple[str, ...], BeforeValidator(_as_names)] = ()
    options: StageOptions = StageOptions()
    resources: dict[str, Annotated[_Number, Field(ge=0)]] = {}
    retries: Annotated[int, BeforeValidator(_number)] = Field(default=0, ge=0, le=100)
    timeout: Annotated[_Number, Field(gt=0, le=_LONGEST_CALL)] | None = None

    @field_serializer("target")
    def _target_by_name(self, target: Target) -> str:
        return target_name(target)


class WorkflowSpec(_Definition):
    """The stages of a workflow, in the order in which they were written down."""

    stages: tuple[Stage, ...] = Field(min_length=1)


class Workflow(_Definition):
    """A workflow definition; as YAML, as a dict of the same shape, or built in Python."""

    kind: Literal["workflow"] = "workflow"
    metadata: Metadata
    spec: WorkflowSpec

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
    whose annotations have every key of *value* with the same text.
    """

    type: Literal["name", "annotation"]
    value: str | dict[str, str]


class ConfigSpec(_Definition):
    """The values of a Config, and which workflows get them: all, if there is no selector."""

    selector: Selector | None = None
    data: dict[str, Any] = {}


class Config(_Definition):
    """A configuration resource; see `runstore.context.merge_configs` for how several combine."""

    kind: Literal["config"] = "config"
    metadata: Metadata
    spec: ConfigSpec


class StageRecord(_Value):
    """The record of one stage.

    Attributes:
        state: ``skipped`` if something it depends on failed.
        attempts: Calls made, retries included; of a mapped stage, over all items.
        items: How many items a mapped stage had, or None.
        failed_items: Index to reason, for items left out by ``on_item_error: skip``.
        error: The reason of a failure: type and message.
    """

    name: str
    state: Literal["pending", "running", "finished", "failed", "skipped"] = "pending"
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempts: int = 0
    items: int | None = None
    failed_items: dict[int, str] = {}
    error: str | None = None


class RunProcess(_Value):
    """The process that executes a run, so that others on its host can see that it is gone.

    Attributes:
        host: The name of its machine.
        space: The boot and the container in which *pid* is valid; None where that is
            unknown: then nobody can see whether the process is gone.
        pid: Its process number.
        started: When it started, in ticks since the boot, since numbers are used again.
    """

    host: str
    space: str | None = None
    pid: int
    started: int | None = None


class WorkflowRun(_Value):
    """The record of one run.

    Attributes:
        uid: A UUID.
        name: The run's scope in the store; unique in its namespace.
        workflow: The name of its workflow.
        source: What triggered it: ``manual``, ``cli``, ``schedule``…
        state: pending, running, finished or failed; as seen by others also lost.
        result: What the last stage returned.
        error: Why it failed: stage, type and message.
        stages: The record of each stage, in the order of the definition.
        runner: The process that executes it, if it was started by `runstore.run_workflow`.
    """

    uid: str
    name: Annotated[str, AfterValidator(check_run)]
    namespace: Annotated[str, AfterValidator(check_namespace)] = "default"
    workflow: str
    source: str = "manual"
    started_at: datetime | None = None
    finished_at: datetime | None = None
    state: RunState = "pending"
    result: Any = None
    error: str | None = None
    stages: tuple[StageRecord, ...] = ()
    runner: RunProcess | None = None


class StoreAddress(_Value):
    """Where a store is and how it behaves: what is needed to open it elsewhere, and no secret.

    Attributes:
        url: Absolute; ``memory://name``, ``file:///path``, ``s3://bucket/prefix``…
        options: Non-secret storage options only. Secrets come from the environment
            of the process that opens the store.
        kept: Key of the credentials that the process which was given them keeps in memory.
            Useless in any other process.
        allow_torn: Whether readers may see half of a write, where the place cannot do better.
        filesystem: Where the store was made with ``fs=``: a token of the object in its process,
            and the filesystem and the path in it as JSON, without secrets.
    """

    url: str
    engine: str | None = None
    pickle: PicklePolicy = "allow"
    durable: bool = False
    timeout: float = Field(default=60, gt=0, le=LONGEST_WAIT, allow_inf_nan=False)
    options: dict[str, Any] = {}
    kept: str | None = None
    allow_torn: bool = False
    filesystem: str | None = None


class StageScope(_Value):
    """Where in a run the code is: stage, attempt (from 1), and index of a mapped item."""

    name: str
    attempt: int = 1
    map_index: int | None = None


class RunParameters(dict[str, Any]):
    """The input or config of a run: a dict whose KeyError says how to pass a missing key."""

    def __missing__(self, key: str) -> Any:
        known = ", ".join(map(repr, self)) or "nothing"
        raise MissingInputError(
            f"this run was given no {key!r} (it has {known}): pass it on the command line with "
            f"--input {key}=… or --config FILE, in Python with run_workflow(input=…, config=…), or "
            "read it with .get() and a default",
            key,
        )


Given = RunParameters  # its name in pickles of earlier versions
RunParametersField = Annotated[dict[str, Any], AfterValidator(RunParameters)]


class WorkflowRunContext(_Value):
    """What a stage can know about its run.

    Attributes:
        input: The parameters the run was started with.
        namespace: The namespace the run works in.
        executor: The name of the executor it runs on.
        definition: The workflow, as data.
        run: The record of this run so far.
        config: The merge of every Config whose selector matches the workflow.
        store: Where `runstore.object_store` keeps things.
        stage: The stage being run, or None outside one.
    """

    input: RunParametersField = RunParameters()
    namespace: Annotated[str, AfterValidator(check_namespace)]
    executor: str = "none"
    definition: Workflow
    run: WorkflowRun
    config: RunParametersField = RunParameters()
    store: StoreAddress
    stage: StageScope | None = None

    _lease: Lease | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _find_lease(self) -> Self:
        """Find the lease that a context of this run and attempt had before it was dumped."""
        if self._lease is None:
            stage, uid = self.stage, self.run.uid
            attempt = stage and attempt_key(uid, stage.name, stage.attempt, stage.map_index)
            self._lease = known_lease(*([attempt] if attempt else []), uid)
        return self

    @property
    def lease(self) -> Lease | None:
        """Its lease; None if it may always write, as a run that was entered by hand."""
        private = self.__pydantic_private__  # by its own name, pydantic takes a microsecond
        return None if private is None else private["_lease"]

    def leased(self, lease: Lease | None) -> Self:
        """Return the same context, which may write until *lease* is revoked."""
        copied = self.model_copy()
        copied._lease = lease
        return copied

    def at_stage(self, name: str, attempt: int = 1, map_index: int | None = None) -> Self:
        """Return the same context at a stage, with input and config of its own to change.

        Dicts and lists in them are copied, so that a stage that writes to one
        behaves alike in a thread and in a process; what they hold is shared.
        """
        return self.model_copy(
            update={
                "input": RunParameters(_own(dict(self.input))),
                "config": RunParameters(_own(dict(self.config))),
                "stage": StageScope(name=name, attempt=attempt, map_index=map_index),
            }
        )


def _own(value: Any) -> Any:
    if type(value) is dict:
        return {key: _own(item) for key, item in value.items()}
    if type(value) is list:
        return [_own(item) for item in value]
    return value

"""The values a run consists of: its context, and where its objects go.

All are frozen pydantic models without behaviour that touches the world: they can
be compared, pickled by value and shown, and nothing here reads a clock, a file
or the environment.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from runstore.arguments import LONGEST_WAIT
from runstore.context._definitions import Workflow
from runstore.context._lease import Lease, attempt_key, known_lease
from runstore.context._parameters import RunParameters
from runstore.context._records import WorkflowRun, shown_values
from runstore.context._values import Value
from runstore.displays import pairs
from runstore.names import check_namespace

__all__ = [
    "PicklePolicy",
    "StageScope",
    "StoreAddress",
    "WorkflowRunContext",
]

PicklePolicy = Literal["allow", "warn", "deny", "signed"]
"""What a store does with values that can only be pickled; see `runstore.ObjectStore`."""


class StoreAddress(Value):
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
    options: dict[str, Any] = Field(default_factory=dict)
    kept: str | None = None
    allow_torn: bool = False
    filesystem: str | None = None


class StageScope(Value):
    """Where in a run the code is: stage, attempt (from 1), and index of a mapped item."""

    name: str
    attempt: int = 1
    map_index: int | None = None


Given = RunParameters  # its name in pickles of earlier versions


def _input(values: dict[str, Any]) -> RunParameters:
    return RunParameters(values).named("input")


def _config(values: dict[str, Any]) -> RunParameters:
    return RunParameters(values).named("config")


_Input = Annotated[dict[str, Any], AfterValidator(_input)]
_Config = Annotated[dict[str, Any], AfterValidator(_config)]


class WorkflowRunContext(Value):
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

    input: _Input = _input({})
    namespace: Annotated[str, AfterValidator(check_namespace)]
    executor: str = "none"
    definition: Workflow
    run: WorkflowRun
    config: _Config = _config({})
    store: StoreAddress
    stage: StageScope | None = None

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Yield what a repr shows: names of run and workflow instead of all that is in them."""
        shown = {"run": f"{self.namespace}/{self.run.name}", "workflow": self.run.workflow}
        shown |= {"executor": self.executor, "store": self.store.url}
        yield from shown.items()
        for name, value in super().__repr_args__():
            if name in ("stage", "input", "config"):
                yield name, value

    def _repr_html_(self) -> str:
        stage = self.stage
        at = None if stage is None else f"{stage.name}, attempt {stage.attempt}"
        if stage is not None and stage.map_index is not None:
            at = f"{at}, item {stage.map_index}"
        return pairs(
            {
                "run": f"{self.namespace}/{self.run.name}",
                "workflow": self.definition.metadata.name,
                "stage": at,
                "executor": self.executor,
                "store": self.store.url,
                "input": shown_values(self.input),
                "config": shown_values(self.config),
            }
        )

    _lease: Lease | None = PrivateAttr(None)
    _lent: bool = PrivateAttr(False)
    _found: bool = PrivateAttr(False)

    @model_validator(mode="after")
    def _find_lease(self) -> Self:
        """Find the lease that a context of this run and attempt had before it was dumped."""
        if self._lease is None:
            stage, uid = self.stage, self.run.uid
            attempt = stage and attempt_key(uid, stage.name, stage.attempt, stage.map_index)
            self._lease = known_lease(*([attempt] if attempt else []), uid)
        return self

    @classmethod
    def of_checked(
        cls,
        *,
        input: dict[str, Any],  # noqa: A002 - the field's name
        config: dict[str, Any],
        **values: Any,
    ) -> "WorkflowRunContext":
        """Return a context of values that have been checked, without building the models.

        Args:
            input, config: They are copied.
            values: All others.
        """
        values |= {"input": _input(input), "config": _config(config)}
        made = cls.model_construct(**values)
        made._lease = known_lease(made.run.uid)
        return made

    @property
    def lease(self) -> Lease | None:
        """Its lease; None if it may always write, as a run that was entered by hand."""
        private = self.__pydantic_private__  # by its own name, pydantic takes a microsecond
        return None if private is None else private["_lease"]

    @property
    def found(self) -> bool:
        """Whether it is that of an orchestrator's run, which runstore has not started."""
        private = self.__pydantic_private__
        return private is not None and private.get("_found") is True

    def as_found(self) -> Self:
        """Note that it is that of an orchestrator's run; return it."""
        self._found = True
        return self

    def leased(self, lease: Lease | None) -> Self:
        """Return the same context, which may write until *lease* is revoked."""
        copied = self.model_copy()
        copied._lease = lease
        return copied

    def at_stage(
        self, name: str, attempt: int = 1, map_index: int | None = None, *, lazily: bool = False
    ) -> Self:
        """Return the same context at a stage, with input and config of its own to change.

        Dicts and lists in them are copied, so that a stage that writes to one
        behaves alike in a thread and in a process; what they hold is shared.

        Args:
            name, attempt, map_index: As of `StageScope`.
            lazily: Copy when the stage asks for its context. Until then only code that looks
                at neither input nor config may have it.
        """
        scope = StageScope(name=name, attempt=attempt, map_index=map_index)
        copied = self.model_copy(update={"stage": scope})
        copied._lent = True
        return copied if lazily else copied.owned()

    @property
    def lent(self) -> bool:
        """Whether input and config are those of other contexts, too; see `at_stage`."""
        private = self.__pydantic_private__
        return private is not None and private["_lent"] is True

    def owned(self) -> Self:
        """Return the same context, with input and config of its own."""
        own = {
            "input": _input(_own(dict(self.input))),
            "config": _config(_own(dict(self.config))),
        }
        trace = None if self.lease is None else self.lease.trace
        if trace is not None:
            own = {key: one.telling(trace.looked_at(key)) for key, one in own.items()}
        copied = self.model_copy(update=own)
        copied._lent = False
        return copied


def _own(value: Any) -> Any:
    if type(value) is dict:
        return {key: _own(item) for key, item in value.items()}
    if type(value) is list:
        return [_own(item) for item in value]
    return value

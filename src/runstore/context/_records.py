"""The record of a run: what ran, with what, and what it read and wrote. Frozen values."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from runstore.context._values import Value
from runstore.displays import brief, instant, pairs, seconds, table
from runstore.names import check_namespace, check_run
from runstore.secret_names import without_secrets

__all__ = [
    "ObjectUse",
    "RunProcess",
    "RunState",
    "StageRecord",
    "WorkflowRun",
    "short_reason",
    "shown_values",
]

RunState = Literal["pending", "running", "finished", "failed", "lost"]
"""``lost`` is what others see of a run that says ``running`` and whose process is gone."""

_LONGEST_REASON = 2000  # characters
_REF = re.compile(r"runstore://([^/]+)/([^/]+)/(.*?)(?:@([0-9a-f]{32}))?", re.DOTALL)


class ObjectUse(Value):
    """An object that a stage has read or written.

    Attributes:
        ref: ``runstore://<namespace>/<run>/<name>@<digest>``, as `runstore.ObjectRef`; without
            ``@<digest>`` where the digest of the data was not at hand, as of a streamed file.
        size: Stored bytes.
        rows: Of a table; an array's length; else None.
        type: ``module.QualName`` of the value, where known.
        version: The place's own name of this version: of what was written, and of what was read
            where there is no digest.
        part: The key of the part, as JSON, if it is a part of an object.
        item: In a mapped stage the index of the item that wrote it, or of one that read it.
        attempt: Which attempt has used it, if that one failed and was made again, and the attempt
            that counts has not used it.
    """

    ref: str
    size: int
    rows: int | None = None
    type: str | None = None
    version: str | None = None
    part: str | None = None
    item: int | None = None
    attempt: int | None = None

    @property
    def namespace(self) -> str:
        """The namespace of the object."""
        return self._parts()[0]

    @property
    def run(self) -> str | None:
        """The run of the object; None for what the namespace's runs share."""
        run = self._parts()[1]
        return None if run == "_shared" else run

    @property
    def name(self) -> str:
        """The name of the object."""
        return self._parts()[2]

    @property
    def digest(self) -> str | None:
        """The digest in the reference, or None."""
        return self._parts()[3]

    def _parts(self) -> tuple[str, str, str, str | None]:
        match = _REF.fullmatch(self.ref)
        return ("", "", self.ref, None) if match is None else match.groups()  # type: ignore[return-value]


class StageRecord(Value):
    """The record of one stage.

    Attributes:
        state: ``skipped`` if something it depends on failed.
        attempts: Calls made, retries included; of a mapped stage, over all items.
        items: How many items a mapped stage had, or None.
        failed_items: Index to reason, for items left out by ``on_item_error: skip``. All reasons
            together have some 64,000 characters at most; of many items the last ones have none.
        error: The reason of a failure: type and message.
        target: The import string of its function.
        source: A digest of the function's source; None where it has none.
        result: What it returned, if it has finished and JSON can keep it; else a dict with its
            ``type``, ``kept: false`` and the ``reason``. Of a mapped stage a list.
        item_results: Index to result of the items that have ended well, of a mapped stage that has
            not finished.
        reads: What it has read through the object store, each version once. Some 1,000 at most.
        writes: What it has written; of a name the last version.
        reads_left_out, writes_left_out: How many more there were; what was used again counts again.
        logs: Where a copy of what it logged is, or None.
        code: Digests of the parts that its code consists of, by name: functions, classes and
            values of the user's own, what modules do when they are imported; and the versions of
            Python and of the libraries that these use.
        input_read, config_read: Digests of the values of the keys that it has read, by key; of all
            keys under ``*``.
        inexact: Indexes of the results that the record does not keep exactly; 0 of a stage that is
            not mapped; -1 for all.
        origin: The run in which it ran, if it was taken over from that one, whole or in part.
        taken_items: How many items were taken over, of a mapped stage.
        why: Why it was run again, in a run that goes on with an earlier one.
    """

    name: str
    state: Literal["pending", "running", "finished", "failed", "skipped"] = "pending"
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempts: int = 0
    items: int | None = None
    failed_items: dict[int, str] = Field(default_factory=dict)
    error: str | None = None
    target: str | None = None
    source: str | None = None
    result: Any = None
    item_results: dict[int, Any] = Field(default_factory=dict)
    reads: tuple[ObjectUse, ...] = ()
    writes: tuple[ObjectUse, ...] = ()
    reads_left_out: int = 0
    writes_left_out: int = 0
    logs: str | None = None
    code: dict[str, str] = Field(default_factory=dict)
    input_read: dict[str, str] = Field(default_factory=dict)
    config_read: dict[str, str] = Field(default_factory=dict)
    inexact: tuple[int, ...] = ()
    origin: str | None = None
    taken_items: int = 0
    why: str | None = None


class RunProcess(Value):
    """The process that executes a run, so that others on its host can see that it is gone.

    Attributes:
        host: The name of its machine.
        space: The boot and the container in which *pid* is valid; None where that is
            unknown: then nobody can see whether the process is gone.
        pid: Its process number.
        started: When it started, in ticks since the boot, since numbers are used again.
        renews: How often it renews a file, in seconds, by which others see that the run goes on;
            None if it does not.
    """

    host: str
    space: str | None = None
    pid: int
    started: int | None = None
    renews: float | None = None


class WorkflowRun(Value):
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
        input, config: The values the stages were given. What JSON cannot keep is replaced by its
            type and the reason. None in records of earlier versions.
        definition: The workflow, as plain data; `Workflow.model_validate` reads it.
        executor: The name of the executor.
        commit: What is checked out in the folder of the workflow, or else in the working
            directory; None outside of a repository. Files may have been changed since.
        versions: Python and libraries, by name.
        resumed: The run that it goes on with, or None.
        file: The file of the workflow, or ``module:name``; None if it came from Python.
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
    input: dict[str, Any] | None = None
    config: dict[str, Any] | None = None
    definition: dict[str, Any] | None = None
    executor: str | None = None
    commit: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    resumed: str | None = None
    file: str | None = None

    def _repr_html_(self) -> str:
        shown = pairs(
            {
                "run": f"{self.namespace}/{self.name}",
                "workflow": self.workflow,
                "state": self.state,
                "source": self.source,
                "started": instant(self.started_at),
                "duration": seconds(self.started_at, self.finished_at),
                "input": shown_values(self.input),
                "config": shown_values(self.config),
                "result": None if self.result is None else brief(without_secrets(self.result)),
                "error": self.error,
            }
        )
        if not self.stages:
            return shown
        titles = ["stage", "state", "duration", "items", "calls", "error"]
        return shown + table(titles, map(_stage_row, self.stages))


def _stage_row(stage: StageRecord) -> list[object]:
    took = seconds(stage.started_at, stage.finished_at)
    return [stage.name, stage.state, took, stage.items, stage.attempts, stage.error]


def short_reason(reason: str) -> str:
    """Return why something failed as a record keeps it, of some 2,000 characters at most."""
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}…"


def shown_values(values: dict[str, Any] | None) -> str | None:
    """Return input or config for people, without what is secret by its name."""
    if not values:
        return None
    shown = without_secrets(dict(values.items()))
    return ", ".join(f"{name}={value!r}" for name, value in shown.items())

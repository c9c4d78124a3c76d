"""What code in a run of an orchestrator reads and writes, and the light record of that run.

`observed_target` gives what a store's verbs work under in such a run. At the first write it writes
the record of the run; what was read and written is added to that when the process ends, or earlier
by a hook of the orchestrator: two writes of a record for a run and a process, however many objects
there are. What cannot be written of a record is logged: the run goes on.
"""

import atexit
import logging
import os
import sys
from contextvars import Context
from typing import Any, Literal

from runstore.context import (
    Note,
    StageRecord,
    StageScope,
    StoreAddress,
    Trace,
    WorkflowRun,
    WorkflowRunContext,
    kept_values,
    now,
    short_reason,
)
from runstore.errors import RunStoreError
from runstore.lifetime import ForkSafeLock, forget_at_fork
from runstore.objects import traced
from runstore.places import Backend
from runstore.secret_names import Secrets
from runstore.store._objects import Objects
from runstore.store._target import Target

__all__ = ["Observed", "observed_target", "run_has_ended", "stage_has_ended", "tell_records"]

_log = logging.getLogger("runstore.store")

_AT_ONCE = 64  # runs of which a process keeps what it has not told yet
_REMEMBERED = 256  # runs that have ended, or were told, of which the secrets are still known
_LAST = -100  # after the finalizers of others that use the store

StageEnd = Literal["finished", "failed"]
_Scope = tuple[str, str | None, str, str, str]  # three of the store, the namespace and the run


class Observed:
    """An attempt of a stage: collects what it uses, and lets it write whatever happens.

    It stays in its process: pickled it is None.

    Args:
        run: The run.
        scope: Where in the run.
    """

    __slots__ = ("_error", "_run", "_scope", "_started", "_state", "trace")

    def __init__(self, run: "_Run", scope: StageScope | None) -> None:
        self._run = run
        self._scope = scope
        self._started = now()
        self._state: Literal["running", "finished", "failed"] = "running"
        self._error: str | None = None
        self.trace = Trace()

    def check(self) -> None:
        """It may always write: the orchestrator stops what it gives up."""

    def begin(self, write: object) -> None:
        """Let *write* be published, in a run that has a record."""
        self._run.begin(self)

    def end(self, write: object) -> None:
        """*write* has been published, or has failed."""

    def ended(self, state: StageEnd, error: str | None) -> None:
        """Note how the attempt has ended."""
        self._state = state
        self._error = None if error is None else short_reason(self._run.masked(error))

    def told(self) -> StageRecord | None:
        """Return what there is to tell of it, once; None if that is nothing."""
        note = self.trace.taken()
        if note is None and self._state == "running":
            return None
        return self.record(Note() if note is None else note)

    def record(self, note: Note) -> StageRecord:
        """Return its record as of now, with what *note* names."""
        scope, workflow = self._scope, self._run.workflow
        index = None if scope is None else scope.map_index
        uses = {"reads": note.reads, "writes": note.writes}
        if index is not None:
            uses = {
                kind: tuple(use.model_copy(update={"item": index}) for use in each)
                for kind, each in uses.items()
            }
        return StageRecord(
            name=workflow if scope is None else scope.name,
            state=self._state,
            error=self._error,
            started_at=self._started,
            finished_at=now(),
            attempts=1 if scope is None else scope.attempt,
            items=None if index is None else index + 1,
            reads_left_out=note.reads_left_out,
            writes_left_out=note.writes_left_out,
            **uses,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _nobody, ()


def _nobody() -> None:
    return None


class _Run:
    """A run of which code in this process is a part."""

    def __init__(self, address: StoreAddress, ctx: WorkflowRunContext) -> None:
        self._address = address
        self._ctx = ctx
        self._begun = False
        self._first = ForkSafeLock()
        self._telling = ForkSafeLock()  # another one: what it writes may take long
        self.secrets = Secrets(ctx.input, ctx.config)
        self.masked = self.secrets.masked
        self.stages: dict[StageScope | None, Observed] = {}

    @property
    def workflow(self) -> str:
        """The name of its workflow."""
        return self._ctx.run.workflow

    def begin(self, attempt: Observed) -> None:
        """Write the record, once in a process; a failure is logged, and not tried again.

        Args:
            attempt: Which writes first.
        """
        if self._begun:
            return
        with self._first.held:  # others wait: what they write would be in a run without a record
            if not self._begun:
                self._write_record(attempt)
                self._begun = True

    def _write_record(self, attempt: Observed) -> None:
        from runstore.runs._light import begin_light

        ctx = self._ctx
        run = ctx.run.model_copy(
            update={
                "executor": ctx.executor,
                "input": kept_values(dict(ctx.input)),
                "versions": {"python": sys.version.partition(" ")[0]},
            }
        )
        try:
            Context().run(begin_light, self._backend(), run, attempt.record(Note()))
        except RunStoreError as exc:
            _log.warning("the record of run %s was not written: %s", self._name, exc)

    def tell(self) -> None:
        """Add to the record what the stages have read and written since the last time.

        A failure is logged, of whatever kind: it ends neither the stage nor what is told of others.
        """
        with self._telling.held:
            told = [each for one in list(self.stages.values()) if (each := one.told()) is not None]
            if not told:
                return
            from runstore.runs._light import tell_light

            run = self._ctx.run
            try:
                Context().run(tell_light, self._backend(), run.namespace, run.name, told)
            except RunStoreError as exc:
                _log.warning("the record of run %s does not tell all: %s", self._name, exc)
            except Exception:  # noqa: BLE001 - a place of another package may raise anything
                _log.exception("the record of run %s does not tell all", self._name)

    def is_in(self, backend: Backend) -> bool:
        """Return whether its store is surely that of *backend*."""
        at = self._address
        return (at.url, at.filesystem) == (backend.url, None) and not at.options

    def close(self, state: StageEnd, error: str | None) -> None:
        """Write into its record how it has ended; a failure is logged."""
        from runstore.runs._light import close_light

        run = self._ctx.run
        try:
            close_light(self._backend(), run.namespace, run.name, state, error)
        except RunStoreError as exc:
            _log.warning(
                "the record of run %s in %s does not say that it has ended: %s",
                *(self._name, self._address.url, exc),
            )

    def _backend(self) -> Backend:
        from runstore.store import ObjectStore

        return ObjectStore.from_address(self._address).backend  # what was used may be closed

    @property
    def _name(self) -> str:
        return f"{self._ctx.run.namespace}/{self._ctx.run.name}"


class _Runs:
    """The runs of which this process has something to tell; it tells that before it ends."""

    def __init__(self) -> None:
        self.forget()
        forget_at_fork(self)

    def forget(self) -> None:
        """Start anew in a forked child: what was noted is the parent's to tell."""
        self._lock = ForkSafeLock()
        self._runs: dict[_Scope, _Run] = {}
        self._secrets: dict[_Scope, Secrets] = {}  # of those that are dropped
        self._told_at_end = False

    def of(self, address: StoreAddress, ctx: WorkflowRunContext) -> _Run:
        """Return the run of a context."""
        options = str(address.options) if address.options else ""
        scope = (address.url, address.filesystem, options, ctx.namespace, ctx.run.name)
        found = self._runs.get(scope)
        if found is not None:
            return found
        with self._lock.held:
            found = self._runs.setdefault(scope, _Run(address, ctx))
            if not self._told_at_end:
                self._told_at_end = True
                _before_end()
            old = list(self._runs.items())[:-_AT_ONCE]
            for one, _ in old:
                self._forget_run(one)
        for _, run in old:
            run.tell()
        return found

    def drop(self, namespace: str, run: str) -> None:
        """Forget a run that has ended."""
        with self._lock.held:
            for scope in [one for one in self._runs if one[3:] == (namespace, run)]:
                self._forget_run(scope)

    def _forget_run(self, scope: _Scope) -> None:
        """Forget a run but for its secrets: how it has ended may be told again, or elsewhere."""
        secrets = self._runs.pop(scope).secrets
        if secrets.settled():
            self._secrets[scope] = secrets
            for old in list(self._secrets)[:-_REMEMBERED]:
                del self._secrets[old]

    def masked(self, namespace: str, run: str, text: str) -> str:
        """Return a text without the secrets that this process knows of a run."""
        with self._lock.held:
            known = [*self._secrets.items(), *((at, one.secrets) for at, one in self._runs.items())]
        for scope, secrets in known:
            if scope[3:] == (namespace, run):
                text = secrets.masked(text)
        return text

    def matching(self, namespace: str | None, run: str | None) -> list[_Run]:
        """Return the runs of this name."""
        return [
            found
            for (*_, space, name), found in list(self._runs.items())
            if run in (None, name) and namespace in (None, space)
        ]


_runs = _Runs()


def observed_target(objects: Objects, address: StoreAddress, ctx: WorkflowRunContext) -> Target:
    """Return what the verbs work on in the run of an orchestrator.

    Args:
        objects: Those of the store.
        address: The store's.
        ctx: The context, which was found.
    """
    run, stage = _runs.of(address, ctx), ctx.stage
    seen = run.stages.get(stage)
    if seen is None:
        seen = run.stages.setdefault(stage, Observed(run, stage))
    name = None if stage is None else stage.name
    of = ctx.namespace, ctx.run.name, run.workflow, name
    return Target(traced(objects, seen), *of, seen, address)


def stage_has_ended(run: str, stage: StageScope, state: StageEnd, error: str | None = None) -> None:
    """Note how an attempt has ended, of which this process may have something to tell.

    Args:
        run: The name of the run.
        stage: The attempt.
        state, error: How.
    """
    for found in _runs.matching(None, run):
        attempt = found.stages.get(stage)
        if attempt is not None:
            attempt.ended(state, error)


def tell_records(run: str | None = None) -> None:
    """Write what is not told yet, of one run or of all."""
    for found in _runs.matching(None, run):
        found.tell()


def run_has_ended(
    backend: Backend, namespace: str, run: str, state: StageEnd, error: str | None = None
) -> WorkflowRun | None:
    """Write how a run has ended; return its record, None if it has none.

    It is written in every store in which this process has written in the run. Where others than
    *backend* fail, that is logged. The secrets that this process knows of the run are masked, also
    if it is told again.

    Args:
        backend: Where. This record is returned.
        namespace, run: The run.
        state, error: How.

    Raises:
        StorageError: The place failed.
    """
    from runstore.runs._light import close_light

    tell_records(run)
    known = _runs.matching(namespace, run)
    error = None if error is None else _runs.masked(namespace, run, error)
    _runs.drop(namespace, run)
    for found in known:
        if not found.is_in(backend):
            found.close(state, error)
    return close_light(backend, namespace, run, state, error)


def _before_end() -> None:
    """Let this process tell what it knows before it ends."""
    atexit.register(_tell_of, os.getpid())
    util = sys.modules.get("multiprocessing.util")
    if util is not None:  # whose children run none of what atexit has
        util.Finalize(None, _tell_of, (os.getpid(),), exitpriority=_LAST)


def _tell_of(pid: int) -> None:
    if pid == os.getpid():  # a child that was forked has inherited the call
        tell_records()

"""Which runs a stage meant that is run again: those that it read then, and never a later one."""

from datetime import UTC, datetime
from typing import NamedTuple

from runstore.context import StageRecord, WorkflowRun
from runstore.errors import ObjectNotFoundError, PreconditionFailedError
from runstore.places import Backend
from runstore.runs._pages import newest_first
from runstore.runs._records import read_run, start_of

__all__ = ["ReadThen"]


class ReadThen(NamedTuple):
    """What tells which earlier run a stage meant by ``run=-1`` or ``workflow=``.

    Attributes:
        run: The run that is replayed.
        stage: The record of the stage.
    """

    run: WorkflowRun
    stage: StageRecord

    def meant(
        self, backend: Backend, namespace: str, workflow: str | None, count: int, *, earlier: bool
    ) -> str | None:
        """Return the name of the run that was meant, None if there was none.

        That is one which the stage read then, as its record says; else one that had finished and
        began before the run that is replayed.

        Args:
            backend: The place.
            namespace: Of the run that is meant.
            workflow: Of that run; None for any.
            count: 1 for the newest, 2 for the one before it.
            earlier: Whether only runs count that began before the replayed one.

        Raises:
            PreconditionFailedError: A run that the stage read has no record any more, so that it
                is not known which one was meant.
            StorageError: The place failed.
        """
        uses = [use for use in self.stage.reads if use.attempt is None]
        names = {use.run for use in uses if use.namespace == namespace and use.run}
        read, gone = list[WorkflowRun](), list[str]()
        for name in sorted(name for name in names if not self._is_own(namespace, name)):
            try:
                one = read_run(backend, name, namespace)
            except ObjectNotFoundError:
                gone.append(name)
                continue
            if _fits(one, workflow) and not (earlier and start_of(one) > start_of(self.run)):
                read.append(one)
        if len(read) >= count:
            return sorted(read, key=start_of, reverse=True)[count - 1].name
        found = self._before(backend, namespace, workflow, count)
        if gone and found is not None and found not in names:
            raise PreconditionFailedError(
                f"stage {self.stage.name!r} read run {namespace}/{gone[0]} then, of which the "
                "record is gone, so it is not known whether that one is meant or "
                f"{namespace}/{found}: read it by its name, run=",
                f"{namespace}/{gone[0]}",
            )
        return found

    def _is_own(self, namespace: str, name: str) -> bool:
        return (namespace, name) == (self.run.namespace, self.run.name)

    def _before(
        self, backend: Backend, namespace: str, workflow: str | None, count: int
    ) -> str | None:
        start, ended = start_of(self.run), self.stage.finished_at
        for one in newest_first(backend, namespace, before=start):
            if self._is_own(namespace, one.name) or not _fits(one, workflow):
                continue
            if start_of(one) <= start and not _is_later(one.finished_at, ended):
                count -= 1
                if not count:
                    return one.name
        return None


def _fits(run: WorkflowRun, workflow: str | None) -> bool:
    return run.state == "finished" and workflow in (None, run.workflow)


def _is_later(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and _utc(one) > _utc(other)


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)

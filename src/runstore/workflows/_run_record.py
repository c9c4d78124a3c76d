"""The record of a run while this process executes the run."""

import logging
import time
from collections.abc import Callable, Iterable
from contextvars import Context
from typing import TYPE_CHECKING, Any

from runstore.context import WorkflowRun
from runstore.errors import (
    ObjectNotFoundError,
    PreconditionFailedError,
    RunStoreError,
    StaleRunError,
    StorageError,
)

if TYPE_CHECKING:
    from runstore.store import ObjectStore

__all__ = ["RunRecord", "left_out_of"]

_log = logging.getLogger("runstore.workflow")

_BETWEEN_ITEMS = 1.0  # seconds between two writes while no stage ends
_BETWEEN_STAGES = 1.0  # seconds at most from the end of a stage to the write, if one was just made
_SHARE = 20  # of the time of many quick stages, a write takes one in so many parts


def left_out_of(run: WorkflowRun, *values: Any) -> set[tuple[str, str]]:
    """Return the runs that input and config refer to and their kept form in the record does not.

    Args:
        run: The record.
        values: Input and config, whole.
    """
    from runstore.runs import referred_runs

    return referred_runs(list(values)) - referred_runs([run.input, run.config])


class RunRecord:
    """The record of a run; once somebody has deleted it, it is not written again.

    Args:
        objects: Where it is.
        run: The run.
        new: Whether there must be none of its name yet.
        refers_to: Namespace and name of runs that it refers to, which its record does not name.
    """

    def __init__(
        self,
        objects: "ObjectStore",
        run: WorkflowRun,
        *,
        new: bool,
        refers_to: Iterable[tuple[str, str]] = (),
    ) -> None:
        self._refers_to = refers_to
        self.objects = objects
        self._run = run
        self._new = new
        self._version: str | None = None  # as it was written last, where places name versions
        self._written = (0.0, 0.0)  # when that was, and how long it took
        self.deleted = False
        """Whether somebody deletes the run, so that it must not be written any more."""
        self.begun = False
        """Whether it was written."""
        self.due: float | None = None
        """When it has to be written anew, by `time.monotonic`; None if nothing has happened."""
        self._ended = False  # whether a stage has ended since

    def begin(self) -> None:
        """Write it as it is when the run starts.

        Raises:
            ObjectExistsError: There is one of that name, and there must be none.
            StorageError: The place failed.
        """
        from runstore.runs import note_reads

        self.objects.write_run(self._run, new=self._new)
        for other in self._refers_to:  # the record has not all of a long input
            note_reads(self.objects.backend, (self._run.namespace, self._run.name), other)
        self._written = time.monotonic(), 0.0
        self.begun = True

    def is_gone(self) -> bool:
        """Return whether it was deleted, or replaced by another run's; False if that is unknown."""
        from runstore.runs import find_record

        run = self._run
        if self.deleted:
            return True
        try:
            found, self._version = find_record(self.objects.backend, run.name, run.namespace)
        except ObjectNotFoundError:
            return True
        except RunStoreError:
            return False  # an outage is no deletion
        return found.uid != run.uid

    def check(self) -> None:
        """Return if it is still there, as far as can be told.

        Raises:
            StaleRunError: It is gone.
        """
        if self.is_gone():
            ref = f"{self._run.namespace}/{self._run.name}"
            raise StaleRunError(
                f"run {ref!r} was deleted while it went on, so it was stopped and no record of it "
                "is written",
                ref,
            )

    def update(self, made: Callable[[], WorkflowRun], *, ended: bool) -> None:
        """Write what has become of the run so far; if it was written just now, `due` says when.

        If the place fails, that is logged: the run continues, and its end is written in any case.

        Args:
            made: Returns the run as it is now.
            ended: Whether a stage has ended; else it is written once a second, at most.

        Raises:
            StaleRunError: The record is gone.
        """
        at, took = self._written
        self._ended = self._ended or ended
        wait = min(_SHARE * took, _BETWEEN_STAGES) if self._ended else _BETWEEN_ITEMS
        if time.monotonic() - at < wait:
            self.due = at + wait
            return
        begun = time.monotonic()
        self.due, self._ended = None, False
        if self._version is None:
            self.check()
        try:
            Context().run(self._replace, made())
        except StaleRunError:
            raise
        except RunStoreError as exc:
            where = f"{self._run.namespace}/{self._run.name}"
            _log.warning("run %s: its record could not be brought up to date: %s", where, exc)
        self._written = begun, time.monotonic() - begun

    def _replace(self, run: WorkflowRun) -> None:
        """Write over the version that was written or seen last."""
        from runstore.runs import replace_record

        for _ in range(3):
            try:
                self._version = replace_record(self.objects.backend, run, self._version)
                return
            except PreconditionFailedError:
                self.check()  # else somebody has added something to it
            except StorageError:
                if self._version is None:
                    raise
                self.check()
                self._version = None  # as on a disk without locks, which compares nothing

    def write(self, run: WorkflowRun) -> None:
        """Write it as *run*; if it has finished it is the newest of its workflow from now on.

        Raises:
            StorageError: The place failed.
        """
        from runstore.runs import move_latest

        # In no context: this may run in a stage that was given up, and must record its run's end.
        Context().run(self.objects.write_run, run)
        if run.state == "finished":
            try:
                Context().run(move_latest, self.objects.backend, run)
            except RunStoreError as exc:  # the record is what counts
                where = f"{run.namespace}/{run.name}"
                _log.warning("run %s: others may not find it as the latest yet: %s", where, exc)

"""The record of a run while this process executes the run."""

from contextvars import Context
from typing import TYPE_CHECKING

from runstore.context import WorkflowRun
from runstore.errors import ObjectNotFoundError, RunStoreError, StaleRunError

if TYPE_CHECKING:
    from runstore.store import ObjectStore

__all__ = ["RunRecord"]


class RunRecord:
    """The record of a run; once somebody has deleted it, it is not written again.

    Args:
        objects: Where it is.
        run: The run.
        new: Whether there must be none of its name yet.
    """

    def __init__(self, objects: "ObjectStore", run: WorkflowRun, *, new: bool) -> None:
        self._objects = objects
        self._run = run
        self._new = new
        self.begun = False
        """Whether it was written."""

    def begin(self) -> None:
        """Write it as it is when the run starts.

        Raises:
            ObjectExistsError: There is one of that name, and there must be none.
            StorageError: The place failed.
        """
        self._objects.write_run(self._run, new=self._new)
        self.begun = True

    def is_gone(self) -> bool:
        """Return whether it was deleted, or replaced by another run's; False if that is unknown."""
        run = self._run
        try:
            return self._objects.read_run(run.name, namespace=run.namespace).uid != run.uid
        except ObjectNotFoundError:
            return True
        except RunStoreError:
            return False  # an outage is no deletion

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

    def write(self, run: WorkflowRun) -> None:
        """Write it as *run*.

        Raises:
            StorageError: The place failed.
        """
        # In no context: this may run in a stage that was given up, and must record its run's end.
        Context().run(self._objects.write_run, run)

"""Keeps a run alive for others: renews its file, and hears of wishes that it should end."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from runstore.context import Lease, WorkflowRun
from runstore.errors import RunStoreError
from runstore.workers import PATIENCE

if TYPE_CHECKING:
    from runstore.places import Backend
    from runstore.runs import Beat

__all__ = ["Keeper"]

_log = logging.getLogger("runstore.workflow")


class Keeper:
    """Renews the file of a run in a separate thread, from `begin` to `end`.

    If the file is gone, or somebody wishes the run to end, the run's lease is revoked and `wake`
    is called.

    Args:
        backend: Where the file is.
        run: The run.
        lease: Of the run.
    """

    def __init__(self, backend: "Backend", run: WorkflowRun, lease: Lease) -> None:
        from runstore.runs import LOST_AFTER, beats

        self._long = LOST_AFTER / 2
        self._backend = backend
        self._run = run
        self._lease = lease
        self.every = beats(backend)
        """Seconds between two renewals; None if no other process sees the place."""
        self.wake: Callable[[], None] = lambda: None
        """Called in the thread when the run has to end."""
        self.ending: Literal["cancel", "delete"] | None = None
        """Why it has to end, if somebody wishes it."""
        self._beat: Beat | None = None
        self._lock = threading.Lock()
        self._renewed_at = 0.0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Write the file, and keep renewing it.

        Raises:
            StorageError: The place failed.
        """
        if self.every is None:
            return
        from runstore.runs import begin_beats

        self._beat = begin_beats(self._backend, self._run)
        self._renewed_at = time.monotonic()
        self._lease.probe = self._checked
        self._thread = threading.Thread(target=self._keep, name="runstore keeper", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop, and remove the file; if that fails, it grows old."""
        if self._beat is None:
            return
        from runstore.runs import end_beats

        self._over.set()
        with self._lock:
            self._beat = None
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(PATIENCE)  # it may be in a request
        self._lease.probe = None
        with contextlib.suppress(RunStoreError):
            end_beats(self._backend, self._run)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    def _keep(self) -> None:
        assert self.every is not None
        while not self._over.wait(self.every):
            try:
                self._renew()
            except RunStoreError as exc:  # an outage; the run continues
                where = f"{self._run.namespace}/{self._run.name}"
                told = "run %s may look lost to others: its sign of life was not written: %s"
                _log.warning(told, where, exc)
            if self.ending is not None:
                self._lease.revoke(_REASONS[self.ending])
                self.wake()
                return

    def _checked(self) -> str | None:
        """Return why nothing may be written any more, after this process stood still for long."""
        if self._beat is not None and time.monotonic() - self._renewed_at > self._long:
            with contextlib.suppress(RunStoreError):
                self._renew()  # it may count as lost, and have been deleted meanwhile
        return None if self.ending is None else _REASONS[self.ending]

    def _renew(self) -> None:
        from runstore.runs import renewed

        with self._lock:
            if self._beat is None or self.ending is not None:
                return
            found = renewed(self._backend, self._run, self._beat)
            if found is None:
                self.ending = "delete"
            else:
                self._beat, self.ending = found, found.asked
                self._renewed_at = time.monotonic()


_REASONS = {"cancel": "it was cancelled", "delete": "its run was deleted"}

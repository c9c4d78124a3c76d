"""What became of a task on Dask, as the outcome of the call: its result, its error, or its loss."""

import contextlib
from concurrent.futures import CancelledError
from functools import partial
from typing import Any

from runstore.errors import ExecutorUnavailableError, WorkflowError
from runstore.executors._cluster import Pending
from runstore.executors._failures import unpack
from runstore.executors._remote import FailedError

__all__ = ["error_of", "killed", "landed", "lost"]


def killed(label: str) -> str:
    """Return the message for a call whose workers died."""
    return (
        f"{label} did not end: the Dask workers that ran it died, one after the other, which is "
        "what the system does when memory runs out; their logs tell more"
    )


def _ended(pending: Pending, note: Any) -> None:
    """End the future of a call that has ended well, when its note is there, or is lost."""
    if note.status == "finished" and not pending.done():  # else it was cancelled, with its note
        with contextlib.suppress(Exception):  # lost just now, with its worker: it is no result
            pending.noted(note.result())
    pending.succeed()


def error_of(ref: Any) -> BaseException | None:
    """Return the error of a task that has ended, or None if it has ended well.

    If its worker has died since, Dask runs it again: `exception` waits for that. It returns None
    if the task has ended well by then, or is lost once more.
    """
    while ref.status != "finished":
        try:
            error: BaseException | None = ref.exception()
        except BaseException as exc:  # noqa: BLE001 - whatever it is, someone waits for it
            return exc
        if error is not None:
            return error
        if ref.status == "cancelled":
            return CancelledError(ref.key)
    return None


def landed(pending: Pending, note: Any, ref: Any) -> None:
    """End the future of a call that has ended; runs in a thread of the client."""
    error = error_of(ref)
    if error is None:
        if note is None:
            pending.succeed()
        else:
            note.add_done_callback(partial(_ended, pending))
        return
    label = pending.call.label
    if isinstance(error, FailedError):
        pending.noted(error.failure.note)
        pending.fail(unpack(error.failure, pending.modules))
    elif type(error).__name__ == "KilledWorker":
        pending.fail(_because(WorkflowError(killed(label)), error))
    elif ref.status == "cancelled":
        pending.fail(_because(lost(label), error))
    else:
        failed = WorkflowError(f"{label} did not run on Dask: {type(error).__name__}: {error}")
        pending.fail(_because(failed, error))


def lost(label: str) -> ExecutorUnavailableError:
    """Return the error of a call that the scheduler no longer knows."""
    return ExecutorUnavailableError(
        f"{label} was lost: the Dask scheduler went away, or somebody cancelled the call there"
    )


def _because(error: WorkflowError, cause: BaseException | None) -> WorkflowError:
    error.__cause__ = cause
    return error

"""The newest finished run of each workflow, named by one small file: finding it is one request.

    <namespace>/_latest/<workflow>.json      {"run": name, "started_at": time, ...}

It only moves forward: it is replaced by compare-and-swap, and by a run that started later. It is
never the truth: the records are.
"""

import json
import random
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import NamedTuple

from runstore.buffers import flat
from runstore.context import WorkflowRun
from runstore.errors import (
    CorruptObjectError,
    InvalidNameError,
    ObjectExistsError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StorageError,
)
from runstore.keys import latest_key
from runstore.places import Backend
from runstore.runs._pages import newest_first
from runstore.runs._records import find_record

__all__ = ["forget_latest", "latest_finished", "latest_named", "move_latest", "settle_latest"]

_PATIENCE = 30.0  # seconds in which others may be first, again and again
_PAUSE = 0.01  # seconds until the second try; later ones wait longer


class _Pointer(NamedTuple):
    run: str
    started_at: datetime

    @property
    def order(self) -> tuple[datetime, str]:
        return self.started_at, self.run


_NONE = _Pointer("", datetime(1, 1, 1, tzinfo=UTC))  # all that there were are deleted


def move_latest(backend: Backend, run: WorkflowRun) -> bool:
    """Let the newest finished run of a workflow be *run*, unless a later one is already.

    Args:
        backend: The place.
        run: A run that has finished, whose record is written.

    Returns:
        Whether it is now.

    Raises:
        StorageError: The place failed, or others were first for too long.
    """
    if run.started_at is None:
        return False
    ours = _Pointer(run.name, _utc(run.started_at))

    def later(found: _Pointer | None) -> _Pointer | None:
        return ours if found is None or found.order < ours.order else None

    return _changed(backend, run.namespace, run.workflow, later) == ours


def forget_latest(backend: Backend, namespace: str, workflow: str, run: str) -> None:
    """Let the newest finished run of a workflow be another one, if it is *run*, which is to go.

    To be called before anything of it is removed: then no reader is led to a run that is gone.

    Raises:
        StorageError: The place failed, or others were first for too long.
    """

    def before(found: _Pointer | None) -> _Pointer | None:
        if found is None or found.run != run:
            return None
        for one in newest_first(backend, namespace):
            if one.name == run or one.workflow != workflow or one.started_at is None:
                continue
            if one.state == "finished":
                return _Pointer(one.name, _utc(one.started_at))
        return _NONE

    _changed(backend, namespace, workflow, before)


def settle_latest(
    backend: Backend,
    namespace: str,
    workflow: str,
    gone: Collection[str],
    newest: tuple[str, float] | None,
) -> None:
    """Let the newest finished run of a workflow be none of those that are *gone*.

    It is *newest* then, also if nobody has said so yet, as after a run that was killed at its end.

    Args:
        backend: The place.
        namespace, workflow: Of the runs.
        gone: Runs that are being removed.
        newest: Name and start, in seconds since 1970, of the newest finished run that stays.

    Raises:
        StorageError: The place failed, or others were first for too long.
    """
    ours = None
    if newest is not None and newest[1] > float("-inf"):
        ours = _Pointer(newest[0], datetime.fromtimestamp(newest[1], UTC))

    def settled(found: _Pointer | None) -> _Pointer | None:
        if found is None:
            return None  # then the records are asked
        if ours is None:
            return _NONE if found.run in gone else None
        return ours if found.run in gone or found.order < ours.order else None

    _changed(backend, namespace, workflow, settled)


def _changed(
    backend: Backend,
    namespace: str,
    workflow: str,
    change: Callable[["_Pointer | None"], "_Pointer | None"],
) -> "_Pointer | None":
    """Replace what a file says by what *change* makes of it, None to leave it; return what it says.

    Raises:
        StorageError: The place failed, or others were first for too long.
    """
    key, facts = latest_key(namespace, workflow), backend.probe()
    until, pause = time.monotonic() + _PATIENCE, _PAUSE
    while True:
        found, version = _read(backend, key)
        new = change(found)
        if new is None:
            return found
        document = {"run": new.run, "started_at": new.started_at.isoformat(), "workflow": workflow}
        try:
            # Where nothing is conditional, the look just now has to do.
            backend.put(
                key,
                [json.dumps(document, indent=1).encode(errors="backslashreplace")],
                if_absent=version is None and facts.create is True,
                if_match=version if facts.compare_and_swap is True else None,
            )
            return new
        except (ObjectExistsError, PreconditionFailedError) as exc:
            if time.monotonic() > until:
                raise StorageError(
                    f"{backend.url}/{key} was changed by others again and again for "
                    f"{_PATIENCE:g} s, so it does not name run {new.run!r} yet",
                    f"{namespace}/{new.run}",
                ) from exc
        time.sleep(pause * random.random())  # noqa: S311 - no secret
        pause = min(2 * pause, 0.5)


def latest_named(backend: Backend, namespace: str, workflow: str) -> str | None:
    """Return the name of the newest finished run of a workflow, by one request; None if none is.

    Whoever removes a run says first that it is not the newest any more. Where a look costs no
    request, it is seen to that the run is there and has finished, as after a file was removed by
    hand.

    Raises:
        InvalidNameError: *namespace* cannot be one.
        StorageError: The place failed.
    """
    found, version = _read(backend, latest_key(namespace, workflow))
    if found is None and version is None:
        return None
    if found is None or (found.run and not _is_there(backend, namespace, found.run)):
        return latest_finished(backend, namespace, workflow)
    return found.run or None


def _is_there(backend: Backend, namespace: str, run: str) -> bool:
    """Return whether a run is there and has finished, as far as that costs no request."""
    if not backend.guarantees.mapped:
        return True
    try:
        return find_record(backend, run, namespace)[0].state == "finished"
    except ObjectNotFoundError:
        return False
    except (CorruptObjectError, InvalidNameError):
        return True  # its objects may be whole


def latest_finished(backend: Backend, namespace: str, workflow: str) -> str | None:
    """Return the name of the newest finished run of a workflow, from the records; None if none is.

    Raises:
        StorageError: The place failed.
    """
    for run in newest_first(backend, namespace):
        if run.workflow == workflow and run.state == "finished":
            return run.name
    return None


def _read(backend: Backend, key: str) -> tuple[_Pointer | None, str | None]:
    """Return what a file names, None if that cannot be read; and its version, None if none is."""
    try:
        data, entry = backend.get(key)
    except ObjectNotFoundError:
        return None, None
    try:
        document = json.loads(flat(data).tobytes())
        started = _utc(datetime.fromisoformat(document["started_at"]))
        return _Pointer(str(document["run"]), started), entry.version
    except (ValueError, KeyError, TypeError, RecursionError):
        return None, entry.version or ""  # damaged: whoever finishes next writes it anew


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)

"""Whether a run goes on: a small file that its process writes again and again, wherever that is.

    <namespace>/_alive/<run>.json      {"uid": …, "beat": 17, "asked": null}

The process that executes a run renews the file every few seconds, and removes it when the run has
ended. So the file of a run that was killed grows old. Its age is told by the place's own clock: who
asks writes a file beside it and compares the two times of the place. No clock of a host counts.

Others write a wish into the file, ``cancel`` or ``delete``. The process finds it at its next
renewal, since that replaces the version that it has written and no other.
"""

import json
import threading
import time
from datetime import datetime
from typing import Literal, NamedTuple

from runstore.buffers import flat
from runstore.context import WorkflowRun
from runstore.errors import (
    AccessDeniedError,
    CorruptObjectError,
    InvalidRequestError,
    ObjectNotFoundError,
    PreconditionFailedError,
    RunActiveError,
    StorageError,
)
from runstore.keys import alive_key, record_key, scope_of
from runstore.places import Backend, Entry, changed_at

__all__ = [
    "LOST_AFTER",
    "RENEWED",
    "Asked",
    "Beat",
    "Liveness",
    "ask",
    "await_end",
    "beats",
    "begin_beats",
    "end_beats",
    "last_beats",
    "place_time",
    "renewed",
]

RENEWED = 5.0
"""Seconds between two renewals; near by it is one second."""

LOST_AFTER = 60.0
"""Seconds without a renewal after which a run counts as lost."""

_MOMENT = 0.5  # seconds

Asked = Literal["cancel", "delete"]


class Beat(NamedTuple):
    """The file of a run that goes on, as it was written last.

    Attributes:
        number: How often it was renewed.
        version: Of the file, where the place names versions.
        asked: What somebody wishes.
    """

    number: int
    version: str | None
    asked: Asked | None = None


def beats(backend: Backend) -> float | None:
    """Return how often a run on this place is renewed; None where no other process sees it."""
    facts = backend.guarantees
    if not facts.shared:
        return None
    return 1.0 if facts.mapped else RENEWED


def begin_beats(backend: Backend, run: WorkflowRun) -> Beat:
    """Write the file of a run that begins.

    Raises:
        StorageError: The place failed.
    """
    return Beat(0, _put(backend, run.namespace, run.name, run.uid, 0, None, None).version)


def renewed(backend: Backend, run: WorkflowRun, last: Beat) -> Beat | None:
    """Renew the file of a run; None if it is gone, or another run's: then this one must end.

    Raises:
        StorageError: The place failed; nothing is known.
    """
    swaps = last.version is not None and backend.probe().compare_and_swap is True
    if swaps:
        try:
            entry = _put(
                *(backend, run.namespace, run.name, run.uid, last.number + 1, None, last.version)
            )
            return Beat(last.number + 1, entry.version)
        except (PreconditionFailedError, ObjectNotFoundError):
            pass  # somebody has written a wish, or has removed it
    found = _read(backend, run.namespace, run.name)
    if found is None or found[0] != run.uid:
        return None
    beat = found[1]
    if beat.asked is None and not swaps:
        entry = _put(backend, run.namespace, run.name, run.uid, beat.number + 1, None, None)
        return Beat(beat.number + 1, entry.version)
    return beat


def end_beats(backend: Backend, run: WorkflowRun) -> None:
    """Remove the file of a run that has ended, if it is there and not that of another run.

    Raises:
        StorageError: The place failed.
    """
    found = _read(backend, run.namespace, run.name)
    if found is None or found[0] != run.uid:
        return
    key = alive_key(run.namespace, run.name)
    for error in backend.delete_many([key], missing_ok=True).values():
        raise error


def last_beats(backend: Backend, namespace: str) -> dict[str, float]:
    """Return when each run of a namespace was renewed last, in seconds since 1970, by name.

    Raises:
        StorageError: The place failed.
    """
    folder, found = alive_key(namespace, ""), dict[str, float]()
    for entry in backend.list(folder):
        name = scope_of(entry.key[len(folder) :].removesuffix(".json"))
        if name is not None:
            found[name] = entry.modified.timestamp()
    return found


def place_time(backend: Backend, namespace: str) -> datetime:
    """Return what time it is by the clock of the place, by which it dates objects.

    Raises:
        AccessDeniedError: Nothing may be written there.
        StorageError: The place failed.
    """
    key = alive_key(namespace, None)
    while True:
        backend.put(key, [b"{}"])
        try:
            return backend.head(key).modified
        except ObjectNotFoundError:
            time.sleep(0.01)  # another one has removed it, and does not need it any more


def ask(backend: Backend, run: WorkflowRun, wish: Asked) -> bool:
    """Ask a run that goes on to end; it does within two renewals. False if it has no file.

    Raises:
        StorageError: The place failed.
    """
    while True:
        found = _read(backend, run.namespace, run.name)
        if found is None or found[0] != run.uid:
            return False
        beat = found[1]
        if beat.asked in (wish, "delete"):
            return True
        swaps = beat.version is not None and backend.probe().compare_and_swap is True
        try:
            version = beat.version if swaps else None
            _put(backend, run.namespace, run.name, run.uid, beat.number, wish, version)
            return True
        except (PreconditionFailedError, ObjectNotFoundError):
            time.sleep(0.05)  # it was renewed just now


def await_end(backend: Backend, run: WorkflowRun, patience: float = 2 * LOST_AFTER) -> None:
    """Wait until a run that was asked to end has removed its file, or does not renew it any more.

    Raises:
        RunActiveError: It goes on nevertheless.
        StorageError: The place failed.
    """
    seen: Beat | None = None
    moved = begun = time.monotonic()
    while True:
        found = _read(backend, run.namespace, run.name)
        if found is None or found[0] != run.uid:
            return
        if found[1] != seen:
            seen, moved = found[1], time.monotonic()
        if time.monotonic() - moved > LOST_AFTER:
            return  # nobody renews it
        if time.monotonic() - begun > patience:
            ref = f"{run.namespace}/{run.name}"
            raise RunActiveError(f"run {ref!r} was asked to end and goes on: stop it first", ref)
        time.sleep(0.2)


class Liveness:
    """Which runs of a namespace are renewed; the place is asked once, when the first is in doubt.

    Args:
        backend: The place.
        namespace: Whose runs.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        self._backend = backend
        self._namespace = namespace
        self._lock = threading.Lock()
        self._ages: dict[str, float] | None = None
        self._now: datetime | None = None

    def is_lost(self, run: WorkflowRun) -> bool:
        """Return whether a run that says ``running`` was renewed too long ago.

        Where that cannot be told, as by who may not write to the place, it is not.

        Raises:
            StorageError: The place failed.
        """
        with self._lock:
            if self._ages is None:
                self._ages = self._asked()
        if not self._ages:
            return False  # it cannot be told
        age = self._ages.get(alive_key(run.namespace, run.name))
        return self._is_missed(run) if age is None else age > LOST_AFTER

    def _is_missed(self, run: WorkflowRun) -> bool:
        """Return whether a run without a file says that it runs, also after a moment.

        The file is written just after the record, and removed just after the record's last version.
        That may take long, so a run whose record was written just now is not missed yet.
        """
        from runstore.runs._records import find_record

        assert self._now is not None
        try:
            record = self._backend.head(record_key(run.namespace, run.name))
            if (self._now - changed_at(self._backend, record)).total_seconds() <= LOST_AFTER:
                return False
            time.sleep(_MOMENT)
            if _read(self._backend, run.namespace, run.name) is not None:
                return False
            now, _ = find_record(self._backend, run.name, run.namespace)
        except (ObjectNotFoundError, CorruptObjectError):
            return False
        return now.uid == run.uid and now.state == "running"

    def _asked(self) -> dict[str, float]:
        """Return how many seconds ago each file was written, by key; of none if it is unknown."""
        now = alive_key(self._namespace, None)
        try:
            self._backend.put(now, [b"{}"])
        except (AccessDeniedError, InvalidRequestError):
            return {}
        found = {one.key: one for one in self._backend.list(alive_key(self._namespace, ""))}
        if now not in found:
            return {}
        self._now = latest = changed_at(self._backend, found[now])
        return {
            key: (latest - changed_at(self._backend, one)).total_seconds()
            for key, one in found.items()
        }


def _put(
    backend: Backend,
    namespace: str,
    name: str,
    uid: str,
    number: int,
    asked: Asked | None,
    version: str | None,
) -> Entry:
    data = json.dumps({"uid": uid, "beat": number, "asked": asked}).encode()
    return backend.put(alive_key(namespace, name), [data], if_match=version)


def _read(backend: Backend, namespace: str, name: str) -> tuple[str, Beat] | None:
    try:
        data, entry = backend.get(alive_key(namespace, name))
        document = json.loads(flat(data).tobytes())
        asked = document["asked"]
        known = asked if asked in ("cancel", "delete") else None
        return str(document["uid"]), Beat(int(document["beat"]), entry.version, known)
    except ObjectNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        where = f"{backend.url}/{alive_key(namespace, name)}"
        raise StorageError(f"{where} is damaged: remove it", where) from exc

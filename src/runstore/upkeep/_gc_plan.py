"""Making a plan of what goes: the records, the pins and one listing of each namespace are read."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from runstore.context import entered_runs
from runstore.errors import (
    CorruptObjectError,
    MissingExtraError,
    ObjectNotFoundError,
    UnsupportedFormatError,
)
from runstore.keys import PARTS, SHARED, Place, key_of, log_key, reads_key, scope_folder, scope_of
from runstore.objects import PARTS_AGE, unnamed_parts
from runstore.parts import parsed_part_file
from runstore.places import Entry, leftovers, list_with_parts
from runstore.runs import (
    UNREADABLE,
    RunLook,
    Seen,
    is_of_run,
    last_beats,
    living,
    logged_runs,
    marks_folder,
    marks_of,
    objects_of_run,
    reading_runs,
)
from runstore.steps import Report, each_told, reporting
from runstore.upkeep._gc import GcPlan, GcRequest, Orphans, PlannedRun
from runstore.upkeep._gc_known import (
    Known,
    keeps_shared_parts,
    known_of,
    readers,
    unseen_readers,
    warn,
)
from runstore.upkeep._retention import QUIET, judged
from runstore.workers import Workers

if TYPE_CHECKING:
    from runstore.upkeep._whole_store import WholeStore

__all__ = ["LEFTOVERS_AGE", "planned"]

LEFTOVERS_AGE = 86_400.0
"""Seconds since the last write to what an interrupted write has left; the longest puts are over."""

_AT_ONCE = 32  # objects that are asked who wrote them


def planned(store: "WholeStore", request: GcRequest) -> GcPlan:
    """Make a plan; see `runstore.ObjectStore.plan_gc`."""
    asked = [] if request.namespace is None else [request.namespace]
    known = known_of(store, needed=asked)
    read = readers(known)
    runs: list[PlannedRun] = []
    orphans: list[Orphans] = []
    kept: Counter[str] = Counter()
    unseen = unseen_readers(known)
    wanted = [*known.runs] if request.namespace is None else [request.namespace]
    with reporting(f"looking at what is stored in {store.address.url}") as report:
        for namespace in wanted:
            one = _Namespace(store, namespace, request, known, read, report)
            going = one.runs(kept)
            if unseen is not None and going:
                kept[unseen] += len(going)
                going = []
            runs += going
            if request.orphans:
                orphans += one.orphans()
    if request.orphans and request.namespace is None and request.workflow is None:
        orphans += _leftovers(store, request)
    return GcPlan(
        store.address.url,
        request.made_at,
        tuple(runs),
        tuple(orphans),
        dict(kept),
        store,
        request,
        known,
    )


class _Stored:
    """What a run has stored, as far as it was listed."""

    __slots__ = ("newest", "parts", "seen")

    def __init__(self) -> None:
        self.seen = Seen()
        self.newest = 0.0
        self.parts = False

    def add(self, entry: Entry, below: str) -> None:
        self.seen = self.seen.with_entry(entry)
        self.newest = max(self.newest, entry.modified.timestamp())
        self.parts = self.parts or below.startswith(f"{PARTS}/")


class _Namespace:
    """The plan for one namespace."""

    def __init__(
        self,
        store: "WholeStore",
        namespace: str,
        request: GcRequest,
        known: Known,
        read: Mapping[str, Mapping[str, str]],
        report: Report,
    ) -> None:
        self._objects = store._objects
        self._report = report
        self._namespace = namespace
        self._request = request
        self._all = known
        self._known = known.runs.get(namespace, {})
        self._marks = marks_of(store.backend, namespace)
        self._pinned = frozenset(
            run for run, marks in self._marks.items() if run is not None and marks.pinned
        )
        self._read = read.get(namespace, {})
        self._ours = {run for space, run in entered_runs() if space == namespace}
        self._stored = self._listed()
        self._beats = last_beats(store.backend, namespace)
        self._going: set[str] = set()

    def _listed(self) -> dict[str | None, _Stored]:
        """Add up what is stored by run; None for what runs share."""
        first = scope_folder(self._namespace, None).partition("/")[0] + "/"
        folders: dict[str, _Stored] = {}
        listed = list_with_parts(self._objects.backend, first)
        for entry in each_told(listed, self._report):
            folder, slash, below = entry.key[len(first) :].partition("/")
            if slash and is_of_run(below):
                stored = folders.get(folder)
                if stored is None:
                    stored = folders[folder] = _Stored()
                stored.add(entry, below)
        by_run: dict[str | None, _Stored] = {}
        for folder, stored in folders.items():
            run = None if folder == SHARED else scope_of(folder)
            if run is not None or folder == SHARED:
                by_run[run] = stored
        return by_run

    def runs(self, kept: "Counter[str]") -> list[PlannedRun]:
        """Return the runs that go, oldest first, and count the others by the reason."""
        request, going = self._request, list[PlannedRun]()
        verdicts = judged(
            map(self._dated, self._known.values()),
            request.rules,
            request.now,
            self._pinned,
            self._read,
            request.workflow,
        )
        for look in sorted(self._known.values(), key=lambda one: one.started):
            verdict = verdicts.get(look.name)
            if look.removal is not None:
                if self._is_wanted(look):
                    going.append(self._planned(look, f"removal interrupted: {look.removal.reason}"))
            elif look.state == UNREADABLE:
                kept["its record cannot be read"] += 1
            elif verdict is not None and verdict.goes:
                going.append(self._planned(look, verdict.reason))
            elif verdict is not None:
                kept[verdict.reason] += 1
        going += self._unrecorded(kept)
        self._going = {run.run for run in going}
        return going

    def _dated(self, look: RunLook) -> RunLook:
        """Return the same with the last sign of a run whose record does not say when it ended."""
        if look.ended is not None or living(look.state):
            return look
        stored, beat = self._stored.get(look.name), self._beats.get(look.name, 0.0)
        last = max(look.started, look.written, beat, 0.0 if stored is None else stored.newest)
        return replace(look, ended=last)

    def _is_wanted(self, look: RunLook) -> bool:
        assert look.removal is not None
        wanted, record = self._request.workflow, look.removal.record or {}
        return wanted is None or record.get("workflow") == wanted

    def _planned(self, look: RunLook, reason: str) -> PlannedRun:
        stored = self._stored.get(look.name)
        return PlannedRun(
            self._namespace,
            look.name,
            reason,
            look.workflow,
            look.state,
            _instant(look.started),
            look,
            Seen() if stored is None else stored.seen,
        )

    def _unrecorded(self, kept: "Counter[str]") -> Iterator[PlannedRun]:
        """Yield the runs that go of those that have objects and no record, as interactive ones."""
        oldest = self._request.rules.older_than
        if self._request.workflow is not None:
            return
        for run, stored in self._stored.items():
            if run is None or run in self._known:
                continue
            if run in self._pinned:
                kept["pinned"] += 1
            elif run in self._read:
                kept[f"read by {self._read[run]}, which goes on"] += 1
            elif run in self._ours:
                kept["it is the run of this code"] += 1
            elif oldest is None or self._request.now - stored.newest < oldest:
                kept["no record, and no rule says that it goes"] += 1
            elif stored.newest <= 0:
                kept["no record, and the place does not say when it was written to"] += 1
            elif self._request.now - stored.newest < QUIET:
                kept["no record, and it was written to within a day"] += 1
            elif self._objects.backend.probe().create is not True:
                kept["no record, and the place cannot tell whether one is written meanwhile"] += 1
            elif not self._is_ours(run):
                kept["no record, and some of its files may be those of other programs"] += 1
            else:
                yield PlannedRun(
                    self._namespace,
                    run,
                    f"no record, last written {_instant(stored.newest):%Y-%m-%d %H:%M} UTC",
                    None,
                    None,
                    None,
                    RunLook(run, None, ""),
                    stored.seen,
                )

    def _is_ours(self, run: str) -> bool:
        """Return whether every file that is stored under the run says that runstore wrote it.

        A folder with files of another program looks like a run, too.
        """
        scope = scope_folder(self._namespace, run)
        found = objects_of_run(self._objects.backend, self._namespace, run)
        while some := list(islice(found, _AT_ONCE)):
            with Workers(len(some), "runstore-gc") as workers:
                if not all(workers.map(partial(self._is_signed, run, len(scope)), some)):
                    return False
        return True

    def _is_signed(self, run: str, cut: int, entry: Entry) -> bool:
        below = entry.key[cut:]
        if below.startswith(f"{PARTS}/"):
            return parsed_part_file(below.rpartition("/")[2]) is not None
        try:
            header = self._objects.header(entry.key)
        except (CorruptObjectError, UnsupportedFormatError, ObjectNotFoundError):
            return False
        return (
            header is not None
            and (header.namespace, header.run) == (self._namespace, run)
            and key_of(Place(self._namespace, run, header.name)) == entry.key
        )

    def orphans(self) -> Iterator[Orphans]:
        """Yield what is of nothing any more in this namespace; to be called after `runs`."""
        latest = self._request.now - PARTS_AGE
        for run, stored in self._stored.items():
            if not stored.parts or not self._may_lose_parts(run):
                continue
            for place, entries in unnamed_parts(self._objects, self._namespace, run, latest):
                if all(entry.modified.timestamp() <= 0 for entry in entries):
                    continue  # the place does not say how old they are
                if run is None and keeps_shared_parts(self._all, self._namespace, entries):
                    continue
                yield Orphans(
                    "parts",
                    str(place),
                    "no seal names them, and nothing was put or sealed for a week",
                    len(entries),
                    sum(entry.size for entry in entries),
                    self._namespace,
                    run,
                )
        if self._request.workflow is not None:
            return
        backend, namespace = self._objects.backend, self._namespace
        for run in self._marks:
            if run is not None and run not in self._known and run not in self._stored:
                ref = f"{backend.url}/{marks_folder(namespace, run)}"
                yield Orphans("marks", ref, "the run is gone", 1, 0, namespace, run)
        said = {*logged_runs(backend, namespace), *reading_runs(backend, namespace)}
        for run in sorted(said):
            if run not in self._known and run not in self._stored and self._has_said(run):
                ref = f"{backend.url}/{log_key(namespace, run, '')}"
                yield Orphans("logs", ref, "the run is gone", 1, 0, namespace, run)

    def _has_said(self, run: str) -> bool:
        """Return whether there is a log, or a note of a read: some servers keep empty folders."""
        folders = (log_key(self._namespace, run, ""), reads_key(self._namespace, run))
        backend = self._objects.backend
        return any(next(iter(backend.list(folder)), None) is not None for folder in folders)

    def _may_lose_parts(self, run: str | None) -> bool:
        workflow = self._request.workflow
        if run is None:
            return workflow is None
        look = self._known.get(run)
        if look is None:
            return workflow is None and run not in self._pinned and run not in self._going
        return (
            workflow in (None, look.workflow)
            and not living(look.state)
            and run not in self._pinned
            and run not in self._going
            and look.state != UNREADABLE
        )


def _leftovers(store: "WholeStore", request: GcRequest) -> Iterator[Orphans]:
    url, age = store.backend.url, LEFTOVERS_AGE + time.time() - request.now
    try:
        found = leftovers(store.backend, age)
    except MissingExtraError as exc:
        warn(f"unfinished uploads are not looked for: {exc}")
        return
    for one in found:
        reason = f"nobody has written to it since {one.modified:%Y-%m-%d %H:%M} UTC"
        yield Orphans(one.kind, f"{url}/{one.key}", reason, 1, one.size)


def _instant(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None

"""Runs, newest first, in pages: records are read as far as they are asked for."""

import heapq
import warnings
from collections.abc import Callable, Generator, Iterator
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from runstore.arguments import printable
from runstore.context import WorkflowRun
from runstore.errors import InvalidRequestError, RunStoreError, StorageError, UnreadableWarning
from runstore.keys import record_key, scope_of
from runstore.places import Backend
from runstore.runs._candidates import candidates, from_index, latest_named, named_start
from runstore.runs._records import liveness_of, read_with_row, start_of
from runstore.runs._tagged import tagged_runs
from runstore.workers import Workers

if TYPE_CHECKING:
    from runstore.runs._index import Indexed
    from runstore.runs._look import RunLook

__all__ = ["Later", "done_now", "newest_first", "page_of_runs"]

Later = Callable[[Callable[[], None]], None]
"""Called with something that has to be done, and does it, now or later."""

_AT_ONCE = 32  # records that are read at a time where each is a request
_ALL_AT_ONCE = 1000
_MANY_SKIPPED = 128  # runs for which also a disk reads the index


def done_now(what: Callable[[], None]) -> None:
    """Do what there is to do."""
    what()


def newest_first(
    backend: Backend,
    namespace: str,
    *,
    at_once: int = _AT_ONCE,
    before: float | None = None,
    whole: bool = False,
    fits: "Callable[[WorkflowRun | RunLook], bool] | None" = None,
    skip: int = 0,
    later: "Later" = done_now,
) -> Generator[WorkflowRun]:
    """Yield the runs of a namespace, those that started last first; records are read in turn.

    A run whose name says an earlier time than its record counts as of the time in its name: it
    would have to be read to know better. A record that cannot be read costs a warning.

    Args:
        backend: The place.
        namespace: Whose runs.
        at_once: How many records are read at a time, where each is a request.
        before: Only runs that started at this time or before, in seconds since 1970.
        whole: Whether all of them are going to be asked for, or most of them passed over.
        fits: Only runs that it returns true for; of what the index knows, no other is read.
        skip: How many of the first of these are left out. None is read that the index knows. The
            others are: a name tells neither the order within a millisecond nor what the record
            says.
        later: Called with what writes the index again, which may take many requests; by default
            that is done at once.

    Raises:
        StorageError: The place failed, or refused every record.
    """
    whole = whole or fits is not None or skip >= _MANY_SKIPPED
    found, indexed = candidates(backend, namespace, whole=whole)
    left, some = [(-at, "", key) for at, key in found], False
    if indexed is not None and (fits is not None or skip):
        left = _by_index(indexed, namespace, left, fits)
        some = len(found) > sum(not name for _, name, _ in left)  # the index knows some
    if before is not None:
        left = [one for one in left if _may_be_before(one[2], before)]
    read = partial(read_with_row, backend, namespace, liveness_of(backend, namespace))
    heap: list[tuple[float, str, WorkflowRun]] = []  # of what has been read
    denied, position = list[StorageError](), 0
    try:
        while position < len(left) or heap:
            while heap and (position >= len(left) or heap[0][:2] < left[position][:2]):
                one = heapq.heappop(heap)[2]
                if skip:
                    skip -= 1
                else:
                    yield one
            if position >= len(left):
                continue
            if skip and left[position][1]:  # the index knows it, and it is the next one
                skip, position = skip - 1, position + 1
                continue
            keys = [key for _, _, key in left[position : position + at_once]]
            position += len(keys)
            outcomes: list[WorkflowRun | RunStoreError] = []
            if indexed is not None:
                known = dict(from_index(indexed, backend, namespace, keys))
                outcomes += known.values()
                keys = [key for key in keys if key not in known]
            if backend.guarantees.mapped or len(keys) < 2:
                got = [read(key) for key in keys]
            else:
                with Workers(len(keys), "runstore-runs") as workers:
                    got = workers.map(read, keys)
            for each, row in filter(None, got):
                outcomes.append(each)
                if indexed is not None and row is not None:
                    indexed.add(row)
            for outcome in outcomes:
                if isinstance(outcome, WorkflowRun):
                    some = True
                    if (before is None or _start(outcome) <= before) and (
                        fits is None or fits(outcome)
                    ):
                        heapq.heappush(heap, (*_order(outcome)[:2], outcome))
                else:
                    if isinstance(outcome, StorageError):
                        denied.append(outcome)
                    _warn(outcome)
    except GeneratorExit:  # nobody asks for more
        if indexed is not None:  # so that the next look reads less
            later(indexed.save)
        raise
    if indexed is not None:
        later(indexed.save)
    if denied and not some:
        raise denied[0]  # none can be read: that must not look like no runs


def _by_index(
    indexed: "Indexed",
    namespace: str,
    left: list[tuple[float, str, str]],
    fits: "Callable[[WorkflowRun | RunLook], bool] | None",
) -> list[tuple[float, str, str]]:
    """Return the records without those that do not fit, where they stand if the index knows it."""
    folder, known = record_key(namespace, ""), indexed.looks()
    rest = list[tuple[float, str, str]]()
    for at, _, key in left:
        look = known.get(scope_of(key[len(folder) :].removesuffix(".json")) or "")
        if look is None:
            rest.append((at, "", key))
        elif fits is None or fits(look):
            rest.append((-min(look.started, latest_named(key)), _reversed(look.name), key))
    return sorted(rest)


def page_of_runs(
    backend: Backend,
    namespaces: list[str],
    wanted: "Callable[[WorkflowRun | RunLook], bool] | None",
    since: datetime | None,
    limit: int | None,
    page: str | None,
    tag: str | None = None,
) -> tuple[list[WorkflowRun], str | None]:
    """Return some runs of namespaces, newest first, and where to go on; see `ObjectStore.runs`.

    Args:
        backend: The place.
        namespaces: Whose runs.
        wanted: Whether a run is asked for; by default all are.
        since: Only runs that started at this time or later.
        limit: At most so many; None for all.
        page: Where to go on.
        tag: Only runs that have it.
    """
    start = None if page is None else _parsed(page)
    before = None if start is None else -start[0]
    at_once = min(_AT_ONCE, _ALL_AT_ONCE if limit is None else limit + 1)
    each: list[Iterator[WorkflowRun]]
    if tag is not None:
        each = [iter(sorted(tagged_runs(backend, one, tag), key=_order)) for one in namespaces]
    else:
        whole = limit is None and since is None
        each = [
            newest_first(*(backend, one), at_once=at_once, before=before, whole=whole, fits=wanted)
            for one in namespaces
        ]
    runs = heapq.merge(*each, key=_order)
    first = float("-inf") if since is None else since.timestamp()
    selected = (
        run
        for run in _until(runs, first)
        if (start is None or _order(run) > start) and (wanted is None or wanted(run))
    )
    found = list(selected if limit is None else islice(selected, limit))
    more = limit is not None and len(found) == limit and bool(found)
    return found, _text(found[-1]) if more else None


def _may_be_before(key: str, before: float) -> bool:
    """Return whether a run may have started by then, as far as can be told unread."""
    named = named_start(key)
    return named is None or named.timestamp() <= before


def _until(runs: Iterator[WorkflowRun], first: float) -> Iterator[WorkflowRun]:
    for run in runs:
        if _start(run) < first:
            return
        yield run


def _start(run: WorkflowRun) -> float:
    """Return when a run started, but no time that its name rules out; by this runs are sorted."""
    return min(start_of(run), latest_named(f"{run.name}.json"))


def _order(run: WorkflowRun) -> tuple[float, str, str]:
    return -_start(run), _reversed(run.name), run.namespace


def _reversed(name: str) -> str:
    """Return a text by which names sort backwards."""
    return "".join(chr(0x10FFFF - ord(letter)) for letter in name) + chr(0x10FFFF)


def _text(run: WorkflowRun) -> str:
    return f"{_start(run)!r}/{run.namespace}/{run.name}"


def _parsed(page: str) -> tuple[float, str, str]:
    at, _, rest = page.partition("/")
    namespace, slash, name = rest.partition("/")
    try:
        if slash:
            return -float(at), _reversed(name), namespace
    except ValueError:
        pass
    raise InvalidRequestError(
        f"runs: page={page[:60]!r} is none: pass the attribute `next` of the page before"
    )


def _warn(error: RunStoreError) -> None:
    warnings.warn(UnreadableWarning(printable(f"left out of the runs: {error}")), stacklevel=4)

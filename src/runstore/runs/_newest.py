"""The newest runs, found by their names: few records are read, however many there are."""

import warnings
from functools import partial

from runstore.arguments import printable
from runstore.context import WorkflowRun
from runstore.errors import RunStoreError, StorageError, UnreadableWarning
from runstore.places import Backend
from runstore.runs._candidates import candidates, from_index
from runstore.runs._records import liveness_of, read_with_row, start_of
from runstore.workers import Workers

__all__ = ["newest_runs"]

_AT_ONCE = 16  # records that are read at a time


def newest_runs(backend: Backend, namespace: str, most: int) -> list[WorkflowRun]:
    """Return the runs of a namespace that started last, newest first.

    A run that was given no name of its own has the time of its start in it; another one
    started before its record was last written. So records are read from the end.

    Args:
        backend: The place.
        namespace: Whose runs.
        most: How many, from 1.

    Raises:
        InvalidNameError: *namespace* cannot be one.
        StorageError: The place failed, or refused every record that was read.
    """
    left, indexed = candidates(backend, namespace)
    found: list[WorkflowRun] = []
    failed: list[Exception] = []
    read, position = partial(read_with_row, backend, namespace, liveness_of(backend, namespace)), 0
    while position < len(left):
        if len(found) >= most and start_of(found[most - 1]) >= left[position][0]:
            break
        window = left[position : position + max(1, min(_AT_ONCE, most - len(found)))]
        position += len(window)
        keys = [key for _, key in window]
        if indexed is not None:
            known = dict(from_index(indexed, backend, namespace, keys))
            found += known.values()
            keys = [key for key in keys if key not in known]
        if backend.guarantees.mapped or len(keys) < 2:
            got = [read(key) for key in keys]
        else:
            with Workers(len(keys), "runstore-runs") as workers:
                got = workers.map(read, keys)
        outcomes = list[WorkflowRun | RunStoreError]()
        for outcome, row in filter(None, got):
            outcomes.append(outcome)
            if indexed is not None and row is not None:
                indexed.add(row)
        found += [one for one in outcomes if isinstance(one, WorkflowRun)]
        failed += [one for one in outcomes if isinstance(one, Exception)]
        found.sort(key=start_of, reverse=True)
    if indexed is not None:
        indexed.save()  # so that the next look reads less
    denied = [error for error in failed if isinstance(error, StorageError)]
    if denied and not found:
        raise denied[0]  # none can be read: that must not look like no runs
    for error in failed:
        warnings.warn(UnreadableWarning(printable(f"left out of the runs: {error}")), stacklevel=2)
    return found[:most]

"""The runs that have a tag."""

import warnings
from functools import partial

from runstore.arguments import printable
from runstore.context import WorkflowRun
from runstore.errors import UnreadableWarning
from runstore.keys import record_key
from runstore.places import Backend
from runstore.runs._marks import marks_of
from runstore.runs._records import liveness_of, read_listed, start_of
from runstore.workers import Workers

__all__ = ["tagged_runs"]

_AT_ONCE = 32  # records that are read at a time


def tagged_runs(backend: Backend, namespace: str, tag: str) -> list[WorkflowRun]:
    """Return the runs of a namespace that have a tag, newest first; no other record is read.

    A record that cannot be read is left out, with an `UnreadableWarning`.

    Raises:
        StorageError: The place failed.
    """
    marks = marks_of(backend, namespace)
    names = [run for run, one in marks.items() if run is not None and tag in one.tags]
    keys = [record_key(namespace, name) for name in names]
    read = partial(read_listed, backend, namespace, liveness_of(backend, namespace))
    if backend.guarantees.mapped or len(keys) < 2:
        outcomes = [read(key) for key in keys]
    else:
        with Workers(min(_AT_ONCE, len(keys)), "runstore-runs") as workers:
            outcomes = workers.map(read, keys)
    for error in outcomes:
        if isinstance(error, Exception):
            told = printable(f"left out of the runs: {error}")
            warnings.warn(UnreadableWarning(told), stacklevel=2)
    runs = [one for one in outcomes if isinstance(one, WorkflowRun)]
    return sorted(runs, key=start_of, reverse=True)

"""Runs to clean up, places that stop or watch at every change, and a program that is killed."""

import sys
from datetime import UTC, datetime, timedelta

from runstore import ObjectStore
from runstore.context import new_run
from runstore.places import Wrapper
from runstore.store._objects import Objects

START = datetime(2026, 1, 1, tzinfo=UTC)


def record(store, name, day=0, state="finished", workflow="train", namespace="dev", **more):
    """Write the record of a run that began and ended on a day."""
    at = START + timedelta(days=day)
    ended = None if state in ("running", "pending") else at
    changes = {"state": state, "started_at": at, "finished_at": ended, **more}
    run = new_run(workflow, namespace=namespace, name=name).model_copy(update=changes)
    store.write_run(run)
    return run


def stocked(store, name, day=0, **how):
    """Write a run with a few objects, one of them of parts."""
    run = record(store, name, day, **how)
    view = store.at(namespace=run.namespace, run=name)
    view.put("x", name)
    view.put("deep/y", [day])
    for part in range(3):
        view.put("parts", [name, part], part=part)
    view.put_many({f"many/{n}": n for n in range(3)})
    return run


def sealed(store, name, namespace="dev"):
    """Put an object of two parts into a run."""
    import pandas as pd

    view = store.at(namespace=namespace, run=name)
    for part in range(2):
        view.put("frame", pd.DataFrame({"n": [part]}), part=part)
    view.seal("frame")
    return view


def keys_in(store):
    """Return everything that is stored, with its bytes, past the verbs."""
    backend = store.backend
    keys = {entry.key for entry in backend.list("")}
    for folder in backend.folders(""):
        keys |= {entry.key for entry in backend.list_with_parts(folder)}
    return {key: bytes(backend.get(key)[0]) for key in keys}


class StopError(BaseException):
    """The process is killed here."""


class Steps(Wrapper):
    """A place that calls a function before every change, one key at a time."""

    def __init__(self, backend, before):
        super().__init__(backend)
        self.before = before

    def put(self, key, buffers, **how):
        self.before("put", key)
        return self._backend.put(key, buffers, **how)

    def delete(self, key):
        self.before("delete", key)
        return self._backend.delete(key)

    def delete_many(self, keys, *, missing_ok=False):
        errors = {}
        for key in list(keys):
            self.before("delete", key)
            errors |= self._backend.delete_many([key], missing_ok=missing_ok)
        return errors


def through(store, before):
    """Return the same store, which calls *before* before every change."""
    other = ObjectStore.from_address(store.address)
    twin = ObjectStore.__new__(ObjectStore)
    twin.address, twin._brought_credentials = other.address, False
    twin._now = Objects(Steps(store.backend, before), "allow")
    return twin


if __name__ == "__main__":  # the program that is killed
    told = through(ObjectStore(sys.argv[1]), lambda *_: print("change", flush=True))
    told.plan_gc(keep_last=2, orphans=False).apply()

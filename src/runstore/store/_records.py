"""Run records: one small JSON document per run, beside the run's objects."""

import warnings
from datetime import UTC
from functools import partial

from runstore.arguments import printable
from runstore.buffers import Buffer, flat
from runstore.context import WorkflowRun, revoke
from runstore.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    BucketNotFoundError,
    CorruptObjectError,
    ObjectExistsError,
    ObjectNotFoundError,
    RunActiveError,
    RunStoreError,
    StorageError,
    UnreadableWarning,
)
from runstore.keys import is_shortened, record_key, scope_folder, scope_of
from runstore.names import check_namespace
from runstore.places import Backend
from runstore.store._record_file import parsed_record, record_bytes
from runstore.store._runner import seen_from_here
from runstore.workers import Workers

__all__ = [
    "ask_to_delete",
    "delete_record",
    "delete_unnamed",
    "list_runs",
    "read_record",
    "read_run",
    "write_run",
]

_AT_ONCE = 32  # records that are read at a time where each is a request


def write_run(backend: Backend, run: WorkflowRun, *, new: bool = False) -> None:
    """Write the record of *run*, all or nothing; see `ObjectStore.write_run`."""
    key = record_key(run.namespace, run.name)
    try:
        backend.put(key, [record_bytes(run)], if_absent=new)
    except ObjectExistsError as exc:
        ref = f"{run.namespace}/{run.name}"
        raise ObjectExistsError(
            f"there is a run {run.name!r} in namespace {run.namespace!r} already: give the new one "
            "another name, or none",
            ref,
        ) from exc


def read_run(backend: Backend, name: str, namespace: str) -> WorkflowRun:
    """Read a record; see `ObjectStore.read_run`."""
    ref = f"{namespace}/{name}"
    key = record_key(namespace, name)
    try:
        data, _ = backend.get(key)
    except ObjectNotFoundError as exc:
        raise ObjectNotFoundError(
            f"no record of a run {name!r} in namespace {namespace!r} ({backend.url})", ref
        ) from exc
    record = parsed_record(flat(data).tobytes(), namespace, name, f"{backend.url}/{key}")
    return seen_from_here(record)


def delete_record(backend: Backend, name: str, namespace: str) -> bool:
    """Remove a record, and return whether there was one."""
    try:
        backend.delete(record_key(namespace, name))
    except ObjectNotFoundError:
        return False
    return True


def ask_to_delete(backend: Backend, name: str, namespace: str, *, force: bool) -> None:
    """Raise if a run goes on, or with *force* revoke its lease.

    Raises:
        RunActiveError: It goes on, as far as its record says.
    """
    try:
        run = read_run(backend, name, namespace)
    except (ObjectNotFoundError, CorruptObjectError):
        return  # nothing says that it goes on
    if run.state != "running":
        return
    ref = f"{namespace}/{name}"
    if not force:
        raise RunActiveError(
            f"run {ref!r} is not deleted: its record says that it is running. Wait until it has "
            "ended, or stop it. If it was killed on another host, or must go at once: "
            "delete_run(…, force=True), in a shell `runstore rm --force`",
            ref,
        )
    revoke([run.uid], "its run was deleted")


def delete_unnamed(backend: Backend, namespace: str, run: str) -> int:
    """Remove the objects of a run that no list has, since their names are only inside them.

    Those are damaged objects under shortened keys; whatever else is not ours stays.

    Returns:
        How many there were.

    Raises:
        StorageError: One could not be removed.
    """
    scope = scope_folder(namespace, run)
    keys = [entry.key for entry in backend.list(scope) if is_shortened(entry.key[len(scope) :])]
    for error in backend.delete_many(keys, missing_ok=True).values():
        raise error
    return len(keys)


def list_runs(backend: Backend, namespace: str | None) -> list[WorkflowRun]:
    """Read all records, far away several at a time; see `ObjectStore.runs`."""
    if namespace is None:
        names = [scope_of(folder.rstrip("/")) for folder in backend.folders("")]
    else:
        names = [check_namespace(namespace)]
    runs: list[WorkflowRun] = []
    left_out: list[RunStoreError] = []
    for name in filter(None, names):
        try:
            entries = list(backend.list(record_key(name, "")))
        except AccessDeniedError as exc:
            if namespace is not None:
                raise
            left_out.append(exc)
            continue
        # An empty object with a slash is how consoles of S3 stand in for a folder.
        keys = [entry.key for entry in entries if not entry.key.endswith("/")]
        for found in _all_listed(backend, name, keys):
            if isinstance(found, WorkflowRun):
                runs.append(found)
            elif found is not None:
                left_out.append(found)
    denied = [exc for exc in left_out if isinstance(exc, StorageError)]
    if denied and not runs:
        raise denied[0]  # none can be read: that must not look like no runs
    for error in left_out:
        told = printable(f"left out of the runs: {error}")
        warnings.warn(UnreadableWarning(told), stacklevel=3)
    return sorted(runs, key=_start, reverse=True)


def _start(run: WorkflowRun) -> float:
    """Return when a run started, in seconds; a record written by hand may lack a time or a zone."""
    at = run.started_at
    if at is None:
        return float("-inf")
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _all_listed(
    backend: Backend, namespace: str, keys: list[str]
) -> list[WorkflowRun | RunStoreError | None]:
    """Read the records at *keys*; each is a run, why it cannot be read, or None if it is gone."""
    read = partial(_listed, backend, namespace)
    if backend.guarantees.mapped or len(keys) < 2:
        return [read(key) for key in keys]
    with Workers(min(_AT_ONCE, len(keys)), "runstore-runs") as workers:
        return workers.map(read, keys)


def _listed(backend: Backend, namespace: str, key: str) -> WorkflowRun | RunStoreError | None:
    try:
        _run_at(backend, namespace, key)  # before it is read: a client may not take the key
        data, _ = backend.get(key)
        return seen_from_here(read_record(data, backend, namespace, key))
    except ObjectNotFoundError:
        return None  # deleted while we list
    except (BackendUnavailableError, BucketNotFoundError):
        raise  # it is the place that failed, not this record
    except (CorruptObjectError, StorageError) as exc:
        return exc


def read_record(data: Buffer, backend: Backend, namespace: str, key: str) -> WorkflowRun:
    """Return the record in *data*, read at *key*.

    Raises:
        CorruptObjectError: It is damaged, or no record: the folder of records may hold any file.
    """
    name = _run_at(backend, namespace, key)
    return parsed_record(flat(data).tobytes(), namespace, name, f"{backend.url}/{key}")


def _run_at(backend: Backend, namespace: str, key: str) -> str:
    """Return the name of the run whose record is at *key*.

    Raises:
        CorruptObjectError: It is no run's.
    """
    name = scope_of(key.removeprefix(record_key(namespace, "")).removesuffix(".json"))
    if name is None or record_key(namespace, name) != key:
        where = f"{backend.url}/{key}"
        raise CorruptObjectError(f"{where} is no run record: it has no run's name", where)
    return name

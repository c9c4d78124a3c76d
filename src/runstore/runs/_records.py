"""Run records: one small JSON document per run, beside the run's objects."""

import warnings
from collections.abc import Iterator
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING

from runstore.arguments import printable
from runstore.buffers import Buffer, flat
from runstore.context import WorkflowRun, revoke
from runstore.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    BucketNotFoundError,
    CorruptObjectError,
    InvalidRequestError,
    ObjectExistsError,
    ObjectNotFoundError,
    RunActiveError,
    RunStoreError,
    StorageError,
    UnreadableWarning,
)
from runstore.keys import PARTS, alive_key, is_shortened, record_key, scope_folder, scope_of
from runstore.names import check_namespace
from runstore.places import Backend, Entry, names_in, prune
from runstore.runs._journal import Journal, forget_index, is_kept, note_run, read_journal
from runstore.runs._record_file import parsed_record, record_bytes
from runstore.runs._runner import seen_from_here, this_process
from runstore.runs._stage_logs import delete_logs
from runstore.texts import state_told

if TYPE_CHECKING:
    from runstore.runs._alive import Liveness
    from runstore.runs._index_file import Row

__all__ = [
    "ask_to_delete",
    "cancel_run",
    "delete_record",
    "delete_unnamed",
    "find_record",
    "list_runs",
    "liveness_of",
    "read_listed",
    "read_record",
    "read_run",
    "read_with_row",
    "recorded_runs",
    "replace_record",
    "runs_beginning",
    "start_of",
    "write_run",
]


def write_run(backend: Backend, run: WorkflowRun, *, new: bool = False) -> None:
    """Write the record of *run*, all or nothing; see `ObjectStore.write_run`."""
    key = record_key(run.namespace, run.name)
    note_run(backend, run.namespace, run.name)
    try:
        backend.put(key, [record_bytes(run)], if_absent=new)
    except ObjectExistsError as exc:
        ref = f"{run.namespace}/{run.name}"
        if _is_being_removed(backend, run):
            raise ObjectExistsError(
                f"the run {ref!r} is being removed by a clean-up: let that end, by `runstore gc "
                "--apply` if it was interrupted; or give the new run another name, or none",
                ref,
            ) from exc
        raise ObjectExistsError(
            f"there is a run {run.name!r} in namespace {run.namespace!r} already: give the new one "
            "another name, or none",
            ref,
        ) from exc
    if run.state in ("finished", "failed"):  # an index that is just being made may have the old one
        note_run(backend, run.namespace, run.name)


def _is_being_removed(backend: Backend, run: WorkflowRun) -> bool:
    from runstore.runs._removal import removal_of

    try:
        return removal_of(backend, run.namespace, run.name) is not None
    except RunStoreError:
        return False  # that there is one is what has to be said


def find_record(backend: Backend, name: str, namespace: str) -> tuple[WorkflowRun, str | None]:
    """Return a record as it is written, and its version, for `replace_record`.

    Raises:
        ObjectNotFoundError: There is none.
        CorruptObjectError: It cannot be read.
        StorageError: The place failed.
    """
    key = record_key(namespace, name)
    data, entry = backend.get(key)
    text = flat(data).tobytes()
    return parsed_record(text, namespace, name, f"{backend.url}/{key}"), entry.version


def replace_record(backend: Backend, run: WorkflowRun, version: str | None) -> str | None:
    """Write a record over the one of this version, and return the new version.

    Where a place cannot compare, or there is no version, it is written as it is; then None is
    returned, and the caller has to look first whether it is still there.

    Raises:
        PreconditionFailedError: It is another version by now, or gone.
        StorageError: The place failed.
    """
    compares = version is not None and backend.probe().compare_and_swap is True
    key, data = record_key(run.namespace, run.name), [record_bytes(run)]
    entry = backend.put(key, data, if_match=version if compares else None)
    return entry.version if compares else None


def read_run(backend: Backend, name: str, namespace: str) -> WorkflowRun:
    """Read a record; see `ObjectStore.read_run`."""
    ref = f"{namespace}/{name}"
    key = record_key(namespace, name)
    try:
        data, _ = backend.get(key)
    except ObjectNotFoundError as exc:
        error = ObjectNotFoundError(
            f"no record of a run {name!r} in namespace {namespace!r} ({backend.url})", ref
        )
        error.look = partial(_near, backend, namespace, name)
        raise error from exc
    record = parsed_record(flat(data).tobytes(), namespace, name, f"{backend.url}/{key}")
    return seen_from_here(record, liveness_of(backend, namespace))


def _near(backend: Backend, namespace: str, name: str) -> str:
    from runstore.runs._near import near_runs  # only for messages

    return near_runs(backend, namespace, name)


def liveness_of(backend: Backend, namespace: str) -> "Liveness":
    """Return what tells which runs of a namespace go on; the place is asked when that matters."""
    from runstore.runs._alive import Liveness

    return Liveness(backend, namespace)


def delete_record(backend: Backend, name: str, namespace: str) -> bool:
    """Remove the record of a run whose objects are gone, and return whether there was one.

    Where folders stay when nothing is left in them, those of the run are removed, too.
    """
    from runstore.runs._reads import delete_reads

    delete_logs(backend, namespace, name)
    delete_reads(backend, namespace, name)
    backend.delete_many([alive_key(namespace, name)], missing_ok=True)
    note_run(backend, namespace, name, gone=True)
    try:
        backend.delete(record_key(namespace, name))
        found = True
    except ObjectNotFoundError:
        found = False
    for folder in (scope_folder(namespace, name), record_key(namespace, "")):
        prune(backend, folder)
    forget_index(backend, namespace)
    return found


def ask_to_delete(
    backend: Backend, name: str, namespace: str, *, force: bool
) -> WorkflowRun | None:
    """Raise if a run goes on, or with *force* let it end first; return its record, if it has one.

    Raises:
        RunActiveError: It goes on; or with *force* it could not be ended.
    """
    try:
        run = read_run(backend, name, namespace)
    except (ObjectNotFoundError, CorruptObjectError):
        return None  # nothing says that it goes on
    if run.state != "running":
        return run
    ref = f"{namespace}/{name}"
    if not force:
        raise RunActiveError(
            f"run {ref!r} is not deleted: its record says that it is running. Wait until it has "
            "ended, or stop it. If it was killed on another host, or must go at once: "
            "delete_run(…, force=True), in a shell `runstore rm --force`",
            ref,
        )
    revoke([run.uid], "its run was deleted")
    runner, here = run.runner, this_process()
    if runner is not None and runner.renews and (runner.host, runner.pid) != (here.host, here.pid):
        from runstore.runs._alive import ask, await_end

        if ask(backend, run, "delete"):
            await_end(backend, run)
    return run


def cancel_run(backend: Backend, name: str, namespace: str) -> None:
    """Ask a run that goes on to stop; see `ObjectStore.cancel_run`."""
    run, ref = read_run(backend, name, namespace), f"{namespace}/{name}"
    if run.state != "running":
        raise InvalidRequestError(f"run {ref!r} does not go on: it {state_told(run.state)}", ref)
    from runstore.runs._alive import ask

    if not ask(backend, run, "cancel"):
        raise InvalidRequestError(
            f"run {ref!r} cannot be asked to stop: its process does not look for it, as one of an "
            "earlier version, or in a store in memory. Stop the process instead",
            ref,
        )


def delete_unnamed(backend: Backend, namespace: str, run: str) -> int:
    """Remove what is of a run and in no list, such as parts that were not sealed.

    Those are also damaged objects under shortened keys; whatever else is not ours stays.

    Returns:
        How many there were.

    Raises:
        StorageError: One could not be removed.
    """
    scope = scope_folder(namespace, run)
    keys = [entry.key for entry in backend.list(scope) if is_shortened(entry.key[len(scope) :])]
    keys += [entry.key for entry in backend.list(f"{scope}{PARTS}/")]
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
            journal = read_journal(backend, name) if is_kept(backend) else None
            entries = list(backend.list(record_key(name, "")))
        except AccessDeniedError as exc:
            if namespace is not None:
                raise
            left_out.append(exc)
            continue
        # An empty object with a slash is how consoles of S3 stand in for a folder.
        entries = [entry for entry in entries if not entry.key.endswith("/")]
        for found in _all_listed(backend, name, entries, journal):
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
    return sorted(runs, key=start_of, reverse=True)


def recorded_runs(backend: Backend, namespace: str) -> list[str]:
    """Return the names of the runs of a namespace that have a record, sorted; none is read.

    Where a listing costs many requests, an index that is complete tells them.

    Raises:
        InvalidNameError: *namespace* cannot be one.
        StorageError: The place failed.
    """
    if is_kept(backend):
        from runstore.runs._index import Indexed

        index = Indexed.complete(backend, namespace, read_journal(backend, namespace))
        indexed = None if index is None else index.names()
        if indexed is not None:
            return sorted(indexed)
    folder = record_key(namespace, "")
    keys = (key for key in names_in(backend, folder) if key.endswith(".json"))
    names = (scope_of(key[len(folder) :].removesuffix(".json")) for key in keys)
    return sorted(filter(None, names))


def runs_beginning(backend: Backend, namespace: str, beginning: str) -> list[str]:
    """Return the names of runs with a record that begin so, sorted; no record is read.

    Raises:
        InvalidNameError: *namespace* or *beginning* cannot be one.
        StorageError: The place failed.
    """
    folder = record_key(namespace, "")
    start = record_key(namespace, beginning).removesuffix(".json")
    keys = (entry.key for entry in backend.list(start) if entry.key.endswith(".json"))
    names = (scope_of(key[len(folder) :].removesuffix(".json")) for key in keys)
    return sorted(name for name in names if name is not None and name.startswith(beginning))


def start_of(run: WorkflowRun) -> float:
    """Return when a run started, in seconds; a record written by hand may lack a time or a zone."""
    at = run.started_at
    if at is None:
        return float("-inf")
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _all_listed(
    backend: Backend, namespace: str, entries: list[Entry], journal: Journal | None
) -> Iterator[WorkflowRun | RunStoreError]:
    """Yield each run of these records, or why one cannot be read; the index spares most reads."""
    from runstore.runs._index import Indexed, named_records, read_each

    listed = named_records(namespace, entries)
    indexed = Indexed(backend, namespace, listed, journal)
    known, liveness = set[str](), liveness_of(backend, namespace)
    for name, text in indexed.records(indexed.looks()):
        key = listed[name].key
        try:
            yield parsed_record(text.encode(), namespace, name, f"{backend.url}/{key}")
            known.add(key)
        except CorruptObjectError:
            continue  # the record itself says what is wrong

    def read(entry: Entry) -> "tuple[WorkflowRun | RunStoreError, Row | None] | None":
        return read_with_row(backend, namespace, liveness, entry.key)

    for found, row in read_each(backend, read, [one for one in entries if one.key not in known]):
        if row is not None:
            indexed.add(row)
        yield found
    indexed.save()


def read_listed(
    backend: Backend, namespace: str, liveness: "Liveness", key: str
) -> WorkflowRun | RunStoreError | None:
    """Return the run of a record, why it cannot be read, or None if it is gone."""
    found = read_with_row(backend, namespace, liveness, key)
    return None if found is None else found[0]


def read_with_row(
    backend: Backend, namespace: str, liveness: "Liveness", key: str
) -> "tuple[WorkflowRun | RunStoreError, Row | None] | None":
    """Read a record, and return also what the index keeps of it; None if it is gone."""
    from runstore.runs._index_file import Row
    from runstore.runs._look import is_final, look_of

    try:
        name = _run_at(backend, namespace, key)  # before it is read: a client may not take the key
        data, entry = backend.get(key)
        text, where = flat(data).tobytes(), f"{backend.url}/{key}"
        run = parsed_record(text, namespace, name, where)
        look = look_of(run, text, entry.version)
        return seen_from_here(run, liveness), Row(look, text.decode()) if is_final(look) else None
    except ObjectNotFoundError:
        return None  # deleted while we list
    except (BackendUnavailableError, BucketNotFoundError):
        raise  # it is the place that failed, not this record
    except (CorruptObjectError, StorageError) as exc:
        return exc, None


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

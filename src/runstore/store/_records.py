"""Run records: one small JSON document per run, beside the run's objects."""

import json
from typing import Any

from pydantic import ValidationError

from runstore.backends import Backend
from runstore.buffers import flat
from runstore.codecs import type_name
from runstore.context import WorkflowRun
from runstore.errors import CorruptObjectError, ObjectExistsError, ObjectNotFoundError
from runstore.keys import record_key, scope_of

__all__ = ["delete_record", "list_runs", "read_run", "write_run"]

_LARGEST_RESULT = 64 * 1024  # bytes of JSON; larger results belong into the object store


def write_run(backend: Backend, run: WorkflowRun, *, new: bool = False) -> None:
    """Write the record of *run*, all or nothing; see `ObjectStore.write_run`."""
    document = run.model_dump(mode="json", exclude={"result"})
    document["result"] = _kept(run.result)
    key = record_key(run.namespace, run.name)
    data = json.dumps(document, indent=1).encode()
    try:
        backend.put(key, [data], if_absent=new)
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
    try:
        data, _ = backend.get(record_key(namespace, name))
    except ObjectNotFoundError as exc:
        raise ObjectNotFoundError(
            f"no record of a run {name!r} in namespace {namespace!r} ({backend.url})", ref
        ) from exc
    return _parsed(flat(data).tobytes(), ref)


def delete_record(backend: Backend, name: str, namespace: str) -> bool:
    """Remove a record, and say whether there was one."""
    try:
        backend.delete(record_key(namespace, name))
    except ObjectNotFoundError:
        return False
    return True


def list_runs(backend: Backend, namespace: str | None) -> list[WorkflowRun]:
    """Read all records; see `ObjectStore.runs`."""
    if namespace is None:
        names = [scope_of(folder.rstrip("/")) for folder in backend.folders("")]
    else:
        names = [namespace]
    runs = []
    for name in filter(None, names):
        for entry in backend.list(record_key(name, "")):
            try:
                data, _ = backend.get(entry.key)
            except ObjectNotFoundError:
                continue  # deleted while we list
            runs.append(_parsed(flat(data).tobytes(), entry.key))
    return sorted(runs, key=lambda run: (run.started_at is not None, run.started_at), reverse=True)


def _parsed(data: bytes, ref: str) -> WorkflowRun:
    try:
        return WorkflowRun.model_validate_json(data)
    except ValidationError as exc:
        raise CorruptObjectError(f"the run record {ref} cannot be read: {exc}", ref) from exc


def _kept(result: Any) -> Any:
    """Give a result as JSON if it is small enough, else say what it was."""
    try:
        text = json.dumps(result)
    except (TypeError, ValueError, RecursionError):
        text = None
    if text is not None and len(text) <= _LARGEST_RESULT:
        return result
    return {"type": type_name(type(result)), "kept": False}

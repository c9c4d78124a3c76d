"""The earlier run that a new run resumes, and its definition, input and config."""

from typing import Any, Literal

from runstore.context import (
    ObjectUse,
    StageRecord,
    StoreAddress,
    Workflow,
    WorkflowRun,
    is_kept,
)
from runstore.errors import InvalidRequestError, RunActiveError

__all__ = ["earlier_run", "given_before", "is_whole", "not_kept", "reads_that_count"]


_Kind = Literal["input", "config"]


def earlier_run(
    address: StoreAddress, namespace: str, name: str, definition: Workflow
) -> WorkflowRun:
    """Return the record of the run that a new run of a workflow resumes.

    Raises:
        InvalidNameError: *name* cannot be one.
        ObjectNotFoundError: There is no such run.
        CorruptObjectError: Its record cannot be read.
        RunActiveError: It still runs.
        InvalidRequestError: It is one of another workflow.
        StorageError: The place failed.
    """
    from runstore.store import ObjectStore  # not at the top: workers do not need it

    found = ObjectStore.from_address(address).read_run(name, namespace=namespace)
    ref = f"{namespace}/{name}"
    if found.state in ("running", "pending"):
        raise RunActiveError(
            f"run {ref!r} cannot be resumed: its record says that it is {found.state}. Wait until "
            "it has ended, or stop it",
            ref,
        )
    if found.workflow != definition.metadata.name:
        raise InvalidRequestError(
            f"run {ref!r} is a run of workflow {found.workflow!r}, so workflow "
            f"{definition.metadata.name!r} cannot resume it",
            ref,
        )
    return found


def given_before(
    run: WorkflowRun,
    *,
    input: bool,  # noqa: A002
    config: bool,
) -> dict[str, dict[str, Any]]:
    """Return the input and the config that a run was given, those that are asked for, by kind.

    One error names all that the record does not keep.

    Raises:
        InvalidRequestError: The record does not keep all of it.
    """
    ref, found = f"{run.namespace}/{run.name}", dict[str, dict[str, Any]]()
    unknown, missing, again = list[str](), list[str](), list[str]()
    kinds: dict[_Kind, bool] = {"input": input, "config": config}
    for kind in (kind for kind, asked in kinds.items() if asked):
        values: dict[str, Any] | None = getattr(run, kind)
        if values is None:
            unknown.append(kind)
            continue
        gone = [key for key, value in values.items() if not is_whole(value)]
        if gone:
            missing += [_named(run, kind, key) for key in gone]
            again.append(_again(kind, values))
        found[kind] = dict(values)
    reasons = list[str]()
    if unknown:
        reasons.append(
            f"the record of run {ref!r} does not say which {' and '.join(unknown)} it was given: "
            f"give {' and '.join(f'{kind}=' for kind in unknown)}"
        )
    if missing:
        what = f"{', '.join(missing[:-1])} and {missing[-1]}" if missing[1:] else missing[0]
        reasons.append(f"the record of run {ref!r} does not keep {what}. {'. '.join(again)}")
    if reasons:
        raise InvalidRequestError(". Also, ".join(reasons), ref)
    return found


def not_kept(run: WorkflowRun, kind: _Kind, key: str) -> str:
    """Return that a value of a record only stands in for what was given, as an error says it."""
    of_run = f"the record of run '{run.namespace}/{run.name}'"
    return f"{of_run} does not keep {_named(run, kind, key)}"


def _named(run: WorkflowRun, kind: _Kind, key: str) -> str:
    value = (getattr(run, kind) or {})[key]
    what = f"the secret {kind}" if _of_a_secret(value) else f"of its {kind} the value"
    return f"{what} {key!r}"


def _of_a_secret(value: Any) -> bool:
    if not is_kept(value):
        return "secret" in str(value.get("reason"))
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(_of_a_secret, inner))


def _again(kind: _Kind, values: dict[str, Any]) -> str:
    """Return how to give input or config once more: all of it, as nothing is merged."""
    if kind == "config":
        return "Give the config again: --config FILE (in Python: config=…)"
    options = " ".join(f"--input {key}=…" for key in values)
    return f"Give the input again: {options} (in Python: input={{…}})"


def is_whole(value: Any) -> bool:
    """Return whether a value of a record is what was given, and stands in for nothing."""
    if not is_kept(value):
        return False
    if isinstance(value, dict):
        return all(map(is_whole, value.values()))
    return all(map(is_whole, value)) if isinstance(value, list) else True


def reads_that_count(record: StageRecord) -> list[ObjectUse]:
    """Return what a stage has read on which its result and its objects depend.

    What an attempt read that failed and was made again counts only if something that such an
    attempt wrote was not written again.
    """
    left = any(use.attempt is not None for use in record.writes)
    return [use for use in record.reads if left or use.attempt is None]

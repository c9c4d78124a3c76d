"""A run record as a file: JSON that people can read, with a digest of its fields.

The field ``schema`` is the version of what the fields mean: 1 is not written, 2 has what stages
read and wrote, the values the run was given, the definition and the code. A field is only ever
added, so every version reads the records of every other one, as far as it knows their fields.

The field ``digest`` stands last and covers all others: the XXH3-128 of their canonical JSON (keys
sorted, no blanks, ASCII). So blanks and line ends may change, and a value may not. A record without
a digest, of an older runstore or of another program, is read without this check.

JSON has no numbers that are not finite, and strict readers refuse them. Such a number is ``null``,
and the field ``not_finite`` says what it is: ``{"NaN": ["/result/loss"]}``, each a JSON Pointer
(RFC 6901). Records of earlier versions have it as Python's `json` writes it, and are read as well.
"""

import json
from collections.abc import Iterator
from math import isfinite
from typing import Any

import xxhash
from pydantic import BaseModel, ValidationError
from pydantic_core import to_jsonable_python

from runstore.context import (
    ObjectUse,
    RunProcess,
    StageRecord,
    WorkflowRun,
    kept_result,
    kept_values,
    reasons,
)
from runstore.errors import CorruptObjectError, ObjectNotFoundError

__all__ = ["REMOVED", "SCHEMA", "parsed_record", "record_bytes"]

SCHEMA = 2
"""The version of the records that are written here."""

_PREFIX = "xxh3_128:"

_MOST_OF_RECORD = (
    20_000  # objects that the stages of a record name, all together; some 4 MB of JSON
)


REMOVED = "removed"
"""The state in a record's place while the objects of its run are removed; see `runs._removal`."""


def record_bytes(run: WorkflowRun) -> bytes:
    """Return the record of *run* as a file.

    A result that JSON would change, or that is too large, is replaced by its type and the reason,
    and so is each such value of input and config.
    """
    plain = {name: getattr(run, name) for name in type(run).model_fields}
    plain |= {"result": 0, "input": 0, "config": 0, "stages": 0}
    document = {"schema": SCHEMA} | to_jsonable_python(_readable(plain))
    document["result"] = kept_result(run.result)
    document["input"], document["config"] = map(_values_or_none, (run.input, run.config))
    left = [_MOST_OF_RECORD]
    document["stages"] = [_stage(stage, left) for stage in run.stages]
    try:
        return _dumped(document)
    except ValueError:  # it has a number that is not finite
        document["not_finite"] = _taken_out(document)
        return _dumped(document)


def _dumped(document: dict[str, Any]) -> bytes:
    document.pop("digest", None)
    document["digest"] = _digest(document)
    return json.dumps(document, indent=1, allow_nan=False).encode()


_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _taken_out(document: dict[str, Any]) -> dict[str, list[str]]:
    """Replace numbers that are not finite by None; return where they were, by what they are."""
    found: dict[str, list[str]] = {}
    for pointer, holder, key in _not_finite_in(document, ""):
        found.setdefault(_NOT_FINITE[repr(holder[key])], []).append(pointer)
        holder[key] = None
    return found


def _not_finite_in(value: Any, above: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield each number that is not finite: its JSON Pointer, what holds it, under which key."""
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        pointer = f"{above}/{str(key).replace('~', '~0').replace('/', '~1')}"
        if isinstance(item, float) and not isfinite(item):
            yield pointer, value, key
        elif isinstance(item, (dict, list)):
            yield from _not_finite_in(item, pointer)


def _put_back(document: dict[str, Any], found: Any) -> None:
    """Do what undoes `_taken_out`.

    Raises:
        ValueError, LookupError, TypeError, AttributeError: *found* is not what that has returned.
    """
    for what, pointers in found.items():
        if what not in _NOT_FINITE.values():
            raise ValueError(f"{what!r} is no number")
        for pointer in pointers:
            holder: Any = document
            *path, last = [
                part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]
            ]
            for part in path:
                holder = holder[int(part) if isinstance(holder, list) else part]
            last = int(last) if isinstance(holder, list) else last
            if holder[last] is not None:
                raise ValueError(f"{pointer} is not null")
            holder[last] = float(what)


def _stage(stage: StageRecord, left: list[int]) -> dict[str, Any]:
    """Return the record of a stage as JSON; *left* is how many objects may still be named."""
    fields = {name: getattr(stage, name) for name in type(stage).model_fields}
    fields |= {"result": 0, "item_results": 0, "reads": 0, "writes": 0}
    document: dict[str, Any] = to_jsonable_python(_readable(fields))
    document["result"] = kept_result(stage.result)
    document["item_results"] = {
        str(index): kept_result(item) for index, item in stage.item_results.items()
    }
    for kind, uses in (("writes", stage.writes), ("reads", stage.reads)):
        named = uses[: left[0]]
        left[0] -= len(named)
        document[kind] = [_use(one) for one in named]
        document[f"{kind}_left_out"] += len(uses) - len(named)
    return document


def _use(use: ObjectUse) -> dict[str, Any]:
    fields = {name: getattr(use, name) for name in type(use).model_fields}
    kept: dict[str, Any] = _readable(
        {name: value for name, value in fields.items() if value is not None}
    )
    return kept


def _values_or_none(values: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if values is None else kept_values(values)


def parsed_record(data: bytes, namespace: str, name: str, where: str) -> WorkflowRun:
    """Return the record in *data*.

    Args:
        data: The file.
        namespace, name: The run whose record it must be.
        where: The file, for messages.

    Raises:
        CorruptObjectError: It is no record, was changed, or is the record of another run.
    """
    ref = f"{namespace}/{name}"
    try:
        document = json.loads(data)
        if not isinstance(document, dict):
            raise CorruptObjectError(f"the run record {where} is not a JSON object", ref)
        digest = document.pop("digest", None)
        fits = digest is None or digest == _digest(document)
    except (ValueError, RecursionError) as exc:
        raise CorruptObjectError(f"the run record {where} is not JSON: {exc}", ref) from exc
    if not fits:
        raise CorruptObjectError(
            f"the run record {where} was changed after it was written: its digest does not fit. If "
            "it was edited on purpose, remove the field 'digest'",
            ref,
        )
    if document.get("state") == REMOVED:
        raise ObjectNotFoundError(f"the run {ref!r} was removed ({where})", ref)
    try:
        _put_back(document, document.pop("not_finite", {}))
    except (ValueError, LookupError, TypeError, AttributeError) as exc:
        raise CorruptObjectError(
            f"the run record {where} cannot be read: its field 'not_finite' is wrong: {exc}", ref
        ) from exc
    try:
        known = _known(document)
        run = WorkflowRun.model_validate(_readable(known) if _may_be_lone(data) else known)
    except (ValidationError, RecursionError) as exc:
        why = reasons(exc) if isinstance(exc, ValidationError) else str(exc)
        raise CorruptObjectError(f"the run record {where} cannot be read: {why}", ref) from exc
    if (run.namespace, run.name) != (namespace, name):
        raise CorruptObjectError(
            f"the run record {where} is the record of {run.namespace}/{run.name}: it was copied or "
            "moved outside runstore",
            ref,
        )
    return run


def _readable(value: Any) -> Any:
    """Return *value* with lone surrogates in its texts written out: JSON in UTF-8 has none."""
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, BaseModel):
        return _readable({name: getattr(value, name) for name in type(value).model_fields})
    if isinstance(value, dict):
        return {_readable(key): _readable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_readable(item) for item in value]
    return value


def _may_be_lone(data: bytes) -> bool:
    """Return whether a record may have lone surrogates. To look for them in its values takes long.

    They come from an escape, from bytes that begin so, or from another encoding, which has zeros.
    """
    return b"\\ud" in data or b"\\uD" in data or b"\xed" in data or b"\0" in data


def _known(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out fields that a newer runstore has added."""

    def fields(part: Any, model: type[BaseModel]) -> Any:
        if not isinstance(part, dict):
            return part
        names = model.model_fields  # once: pydantic looks it up each time
        return {name: item for name, item in part.items() if name in names}

    known: dict[str, Any] = fields(document, WorkflowRun)
    if isinstance(stages := known.get("stages"), list):
        known["stages"] = stages = [fields(stage, StageRecord) for stage in stages]
        for stage in stages:
            for kind in ("reads", "writes"):
                if isinstance(stage, dict) and isinstance(uses := stage.get(kind), list):
                    stage[kind] = [fields(use, ObjectUse) for use in uses]
    if "runner" in known:
        known["runner"] = fields(known["runner"], RunProcess)
    return known


def _digest(document: dict[str, Any]) -> str:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    return _PREFIX + xxhash.xxh3_128_hexdigest(canonical)

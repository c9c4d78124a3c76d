"""A run record as a file: JSON that people can read, with a digest of its fields.

The field ``digest`` stands last and covers all others: the XXH3-128 of their canonical JSON (keys
sorted, no blanks, ASCII). So blanks and line ends may change, and a value may not. A record without
a digest, of an older runstore or of another program, is read without this check.
"""

import json
from typing import Any

import xxhash
from pydantic import BaseModel, ValidationError
from pydantic_core import to_jsonable_python

from runstore.codecs import type_name
from runstore.context import RunProcess, StageRecord, WorkflowRun, reasons
from runstore.errors import CorruptObjectError

__all__ = ["kept_result", "parsed_record", "record_bytes"]

_LARGEST_RESULT = 64 * 1024  # characters of JSON; larger results belong into the object store
_DEEPEST_RESULT = 64
_LONGEST_INT = 4096  # bits; Python refuses to read decimal numbers of more than 4,300 digits
_PREFIX = "xxh3_128:"


class _NotKept(Exception):  # noqa: N818 - a reason, not an error
    """Why a result is not kept in the record."""


def record_bytes(run: WorkflowRun) -> bytes:
    """Return the record of *run* as a file.

    A result that JSON would change, or that is too large, is replaced by its type and the reason.
    """
    fields = _readable(
        {name: getattr(run, name) for name in type(run).model_fields} | {"result": 0}
    )
    document = to_jsonable_python(fields) | {"result": kept_result(run.result)}
    document["digest"] = _digest(document)
    return json.dumps(document, indent=1).encode()


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
    try:
        run = WorkflowRun.model_validate(_readable(_known(document)))
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


def kept_result(result: Any) -> Any:
    """Return *result* as it comes back from JSON, or its type and why it is not kept.

    Tuples become lists, and subclasses of int, float and str the plain number or text.
    """
    try:
        kept = _plain(result, [_LARGEST_RESULT], _DEEPEST_RESULT)
        if len(json.dumps(kept)) <= _LARGEST_RESULT:
            return kept
        reason = _TOO_LARGE
    except _NotKept as exc:
        reason = str(exc)
    return {"type": type_name(type(result)), "kept": False, "reason": reason}


_TOO_LARGE = f"as JSON it is longer than {_LARGEST_RESULT:,} characters: put() it"


def _plain(value: Any, left: list[int], deepest: int) -> Any:
    """Return *value* as lists, dicts with str as keys, text and numbers; its own code is not run.

    *left* is how many characters may follow, so that the walk of a huge or cyclic value ends.
    """
    left[0] -= 2
    if left[0] < 0:
        raise _NotKept(_TOO_LARGE)
    if deepest < 0:
        raise _NotKept(f"it is nested more than {_DEEPEST_RESULT} deep, or contains itself")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, left)
    if isinstance(value, int):
        if int.bit_length(value) > _LONGEST_INT:
            raise _NotKept("it has an int that is too long for JSON")
        return int.__index__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, dict):
        items = dict.items(value)
        for key, _ in items:
            if not isinstance(key, str):
                raise _NotKept(
                    f"it has a key of type {type(key).__name__}, which JSON would change"
                )
        return {_text(key, left): _plain(item, left, deepest - 1) for key, item in items}
    if isinstance(value, list):
        return [_plain(item, left, deepest - 1) for item in list.__iter__(value)]
    if isinstance(value, tuple):
        return [_plain(item, left, deepest - 1) for item in tuple.__iter__(value)]
    raise _NotKept(f"JSON has no form for the {type(value).__name__} in it")


def _text(value: str, left: list[int]) -> str:
    left[0] -= str.__len__(value)
    if left[0] < 0:
        raise _NotKept(_TOO_LARGE)
    try:
        str.encode(value)
    except UnicodeEncodeError:
        raise _NotKept("it has text with lone surrogates, which is not Unicode") from None
    return str.__str__(value)


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


def _known(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out fields that a newer runstore has added."""

    def fields(part: Any, model: type[BaseModel]) -> Any:
        if not isinstance(part, dict):
            return part
        return {name: item for name, item in part.items() if name in model.model_fields}

    known: dict[str, Any] = fields(document, WorkflowRun)
    if isinstance(stages := known.get("stages"), list):
        known["stages"] = [fields(stage, StageRecord) for stage in stages]
    if "runner" in known:
        known["runner"] = fields(known["runner"], RunProcess)
    return known


def _digest(document: dict[str, Any]) -> str:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    return _PREFIX + xxhash.xxh3_128_hexdigest(canonical)

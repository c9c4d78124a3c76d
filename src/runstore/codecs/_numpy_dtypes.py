"""NumPy dtypes as JSON and back, and what of an item's bytes its dtype refers to."""

import json
from typing import Any, Literal

import numpy as np

from runstore.errors import MissingExtraError

__all__ = ["described", "dtype_of", "has_gaps", "has_twin", "has_twin_within", "without_gaps"]

_ML = "ml_dtypes"


def described(dtype: np.dtype[Any]) -> Any:
    """Return *dtype* as JSON, or None if it would not come back the same."""
    if dtype.isbuiltin == 2:  # another package's
        return _described_ml(dtype)
    if not _is_describable(dtype):
        return None
    if has_twin(dtype):
        return dtype.char
    try:
        descr = np.lib.format.dtype_to_descr(dtype)
    except ValueError:  # overlapping fields
        return None
    back = np.lib.format.descr_to_dtype(descr)
    same = back == dtype and back.type is dtype.type and _is_aligned_like(back, dtype)
    return json.loads(json.dumps(descr)) if same else None


def dtype_of(descr: Any) -> np.dtype[Any]:
    """Rebuild a dtype from what `described` gave.

    Raises:
        MissingExtraError: It is of a package that is not installed.
        ValueError, TypeError: It is of no dtype that `described` takes.
    """
    if isinstance(descr, dict):
        return _ml_dtype(descr[_ML])
    dtype: np.dtype[Any] = np.lib.format.descr_to_dtype(_tuples(descr))
    if not _is_describable(dtype):
        raise ValueError(f"{dtype} is no dtype of an array of ours")
    return dtype


def _described_ml(dtype: np.dtype[Any]) -> Any:
    kind = dtype.type
    if kind.__module__ != _ML or dtype.metadata or not dtype.isnative:
        return None
    return {_ML: kind.__name__}


def _ml_dtype(name: str) -> np.dtype[Any]:
    try:
        import ml_dtypes
    except ModuleNotFoundError as exc:
        raise MissingExtraError(
            f"an array of {name} needs 'ml_dtypes': pip install ml_dtypes", _ML
        ) from exc
    kind = getattr(ml_dtypes, name, None)
    if not isinstance(kind, type) or kind.__module__ != _ML:
        raise MissingExtraError(
            f"an array of {name} needs a newer 'ml_dtypes' than {ml_dtypes.__version__}: "
            "pip install --upgrade ml_dtypes",
            _ML,
        )
    dtype = np.dtype(kind)
    if dtype.isbuiltin != 2:
        raise ValueError(f"{name} is no dtype of {_ML}")
    return dtype


def has_twin(dtype: np.dtype[Any]) -> bool:
    """Return whether it is longlong or its like: of the size of another type, but not that type."""
    return dtype.isbuiltin == 1 and dtype.isnative and np.dtype(dtype.str).char != dtype.char


def has_twin_within(dtype: np.dtype[Any]) -> bool:
    """Return whether it is such a type, or has a field of one."""
    if dtype.subdtype:
        return has_twin_within(dtype.base)
    fields = [part[0] for part in (dtype.fields or {}).values()]
    return any(map(has_twin_within, fields)) if fields else has_twin(dtype)


def has_gaps(dtype: np.dtype[Any]) -> bool:
    """Return whether items have bytes that belong to no field: padding, or fields left out."""
    if dtype.subdtype:
        return has_gaps(dtype.base)
    fields = [part[0] for part in (dtype.fields or {}).values()]
    if not fields:
        return False
    return sum(field.itemsize for field in fields) < dtype.itemsize or any(map(has_gaps, fields))


def without_gaps(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Copy *array*, in rows or columns, with zeros in the bytes that belong to no field."""
    order: Literal["F", "C"] = "F" if array.flags.fnc else "C"
    copied = np.zeros_like(array, order=order)  # which fills the fields, and nothing but them
    if not array.dtype.hasobject:  # those are not stored as the memory they lie in
        rows = np.asarray(copied)
        (rows.T if order == "F" else rows).reshape(-1).view("u1")[...] = 0
    _fill(copied, array)
    return copied


def _fill(target: np.ndarray[Any, Any], source: np.ndarray[Any, Any]) -> None:
    if not source.dtype.names:
        target[...] = source
        return
    for name in source.dtype.names:
        _fill(target[name], source[name])


def _is_describable(dtype: np.dtype[Any]) -> bool:
    """Return whether NumPy's own description leaves nothing out."""
    if dtype.hasobject or dtype.kind not in "biufcmMSUV" or dtype.metadata or not dtype.itemsize:
        return False
    parts = [dtype.base] if dtype.subdtype else [part[0] for part in (dtype.fields or {}).values()]
    return all(map(_is_describable, parts))


def _is_aligned_like(one: np.dtype[Any], other: np.dtype[Any]) -> bool:
    if one.subdtype:
        return _is_aligned_like(one.base, other.base)
    return one.isalignedstruct == other.isalignedstruct and all(
        _is_aligned_like(one[name], other[name]) for name in one.names or ()
    )


def _tuples(descr: Any) -> Any:
    """Undo what JSON does to a dtype description: fields and subarrays are tuples."""
    if isinstance(descr, str):
        return descr
    return [
        tuple(_tuples(part) if i == 1 else _shape(part) for i, part in enumerate(field))
        for field in descr
    ]


def _shape(part: Any) -> Any:
    return tuple(part) if isinstance(part, list) else part

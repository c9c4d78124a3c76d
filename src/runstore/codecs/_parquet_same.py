"""Whether Python objects that Arrow kept came back as they were."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from operator import attrgetter
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa

__all__ = ["are_same", "is_exact", "is_same"]

_NONE = type(None)
# Types of which equal ones are the same; the numbers of True and 1 are, and so are their types.
_BY_VALUE = frozenset((bool, bytes, date, int, str, timedelta, UUID, _NONE))


_EXACT: dict[type, tuple[Any, ...]] = {
    bool: (pa.bool_(),),
    bytes: (pa.binary(), pa.large_binary()),
    date: (pa.date32(),),
    float: (pa.float64(),),
    int: (pa.int64(),),
    str: (pa.string(), pa.large_string()),
}


def is_exact(cells: list[Any], column: Any) -> bool:
    """Return whether Arrow keeps cells of these types exactly, so that none has to be read back.

    Args:
        cells: The cells, None among them or not.
        column: What Arrow made of them.
    """
    kinds = set(map(type, cells)) - {_NONE}
    if kinds == {np.ndarray}:
        return _are_exact_arrays([cell for cell in cells if cell is not None], column)
    return _is_exact(cells, kinds, column.type)


def _is_exact(cells: list[Any], kinds: set[type], of: Any) -> bool:
    if len(kinds) != 1:
        return not kinds
    (kind,) = kinds
    if kind is not list:
        return of in _EXACT.get(kind, ())
    if not (pa.types.is_list(of) or pa.types.is_large_list(of)):
        return False
    items = list(chain.from_iterable(filter(None, cells)))
    return _is_exact(items, set(map(type, items)) - {_NONE}, of.value_type)


def _are_exact_arrays(arrays: list[Any], column: Any) -> bool:
    dtypes = set(map(attrgetter("dtype"), arrays))
    if len(dtypes) != 1 or set(map(attrgetter("ndim"), arrays)) != {1}:
        return False
    dtype, of = dtypes.pop(), column.type
    if dtype.kind not in "iuf" or not dtype.isnative or dtype.itemsize > 8:
        return False
    known = (pa.list_(pa.from_numpy_dtype(dtype)), pa.large_list(pa.from_numpy_dtype(dtype)))
    return of in known and not column.values.null_count


def are_same(ones: list[Any], others: list[Any]) -> bool:
    """Return whether all cells are the same, by calls into C for all of them at once.

    Returns:
        False also where only `is_same` can say it.
    """
    kinds = list(map(type, ones))
    if kinds != list(map(type, others)):
        return False
    distinct = set(kinds)
    if distinct <= _BY_VALUE:
        return ones == others
    distinct.discard(_NONE)
    if len(distinct) != 1:
        return False
    if _NONE in kinds:
        ones, others = ([cell for cell in some if cell is not None] for some in (ones, others))
    compare = _COMPARE.get(distinct.pop())
    return compare is not None and compare(ones, others)


def _lists(ones: list[Any], others: list[Any]) -> bool:
    if list(map(len, ones)) != list(map(len, others)):
        return False
    return are_same(list(chain.from_iterable(ones)), list(chain.from_iterable(others)))


def _dicts(ones: list[Any], others: list[Any]) -> bool:
    if not _lists(ones, others):  # of their keys
        return False
    values = (list(chain.from_iterable(map(dict.values, some))) for some in (ones, others))
    return are_same(*values)


def _floats(ones: list[Any], others: list[Any]) -> bool:
    bits = (np.fromiter(some, "f8", len(some)).tobytes() for some in (ones, others))
    return next(bits) == next(bits)


def _arrays(ones: list[Any], others: list[Any]) -> bool:
    dtypes = set(map(attrgetter("dtype"), chain(ones, others)))
    shapes = (list(map(attrgetter("shape"), some)) for some in (ones, others))
    if len(dtypes) != 1 or dtypes.pop().hasobject or next(shapes) != next(shapes):
        return False
    data = (np.concatenate(some, axis=None).tobytes() for some in (ones, others))
    return next(data) == next(data)


def _printed(ones: list[Any], others: list[Any]) -> bool:
    return list(map(str, ones)) == list(map(str, others))


def _times(ones: list[Any], others: list[Any]) -> bool:
    if ones != others or not _printed(ones, others):
        return False
    told = ([(type(one.tzinfo), one.fold) for one in some] for some in (ones, others))
    return next(told) == next(told)


_COMPARE: dict[type, Callable[[list[Any], list[Any]], bool]] = {
    datetime: _times,
    Decimal: _printed,
    dict: _dicts,
    float: _floats,
    list: _lists,
    np.ndarray: _arrays,
    time: _times,
    tuple: _lists,
}


def is_same(one: Any, other: Any) -> bool:
    """Return whether a cell came back as it is: its type, and those of its parts, too."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        same = one.dtype == other.dtype and one.shape == other.shape
        if not same or one.dtype != object:
            return bool(same and one.tobytes() == other.tobytes())
        return all(map(is_same, one.tolist(), other.tolist()))
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(map(is_same, one.values(), other.values()))
    if isinstance(one, float):
        return np.float64(one).tobytes() == np.float64(other).tobytes() or one != one != other
    if one is other:
        return True
    zone = getattr(one, "tzinfo", None), getattr(other, "tzinfo", None)
    fold = getattr(one, "fold", 0) == getattr(other, "fold", 0)
    return bool(one == other and str(one) == str(other) and type(zone[0]) is type(zone[1]) and fold)

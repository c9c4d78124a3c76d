"""The Python values of an Arrow column, as `to_pylist` gives them, by calls into C for all of them.

What only Arrow knows, as nulls among numbers, is left to it.
"""

from collections.abc import Iterator
from itertools import chain, islice, pairwise, repeat
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as kinds

__all__ = ["arrays_in", "values_in"]


def _chunks(column: Any) -> list[Any]:
    return list(column.chunks) if isinstance(column, pa.ChunkedArray) else [column]


def values_in(column: Any) -> list[Any]:
    """Return what `to_pylist` of a column returns."""
    return list(chain.from_iterable(map(_values, _chunks(column))))


def _values(array: Any) -> list[Any]:
    kind, found = array.type, None
    if kinds.is_string(kind) or kinds.is_large_string(kind):
        found = array.to_numpy(zero_copy_only=False)
    elif not array.null_count:
        if kinds.is_boolean(kind) or kinds.is_integer(kind) or kinds.is_floating(kind):
            found = array.to_numpy(zero_copy_only=False)
        elif kinds.is_date32(kind):
            found = array.view(pa.int32()).to_numpy().astype("M8[D]")
        elif kinds.is_list(kind) or kinds.is_large_list(kind):
            offsets = array.offsets.to_numpy()
            first, last = int(offsets[0]), int(offsets[-1])
            rest = iter(_values(array.values.slice(first, last - first)))
            return list(map(list, map(islice, repeat(rest), np.diff(offsets).tolist())))
    if found is None or found.dtype == np.float16:
        return list(array.to_pylist())
    values: list[Any] = found.tolist()
    return values


def arrays_in(column: Any) -> Iterator[Any]:
    """Return each list of a column as an array of its own, or None for a missing one."""
    return chain.from_iterable(map(_arrays, _chunks(column)))


def _arrays(lists: Any) -> Iterator[Any]:
    if lists.values.null_count:  # an array has another dtype with them than without
        for cell in lists:
            array = cell.values.to_numpy(zero_copy_only=False) if cell.is_valid else None
            yield None if array is None else array.copy()
        return
    items = lists.values.to_numpy(zero_copy_only=False)
    bounds, valid = lists.offsets.to_pylist(), lists.is_valid().to_pylist()
    for (start, end), there in zip(pairwise(bounds), valid, strict=True):
        yield items[start:end].copy() if there else None

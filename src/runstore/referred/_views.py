"""Text and bytes as views: a view of more than 12 bytes says in which buffer they are, and where.

Filters, slices and joins copy the views alone, so the buffers hold whatever the parent held.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from runstore.referred._bits import Bits, same_buffer, unused_pieces
from runstore.referred._ranges import gathered, merged

__all__ = ["fills_its_buffers", "long_bytes", "referred_views", "text_buffers", "views_in"]

_INLINE = 12  # bytes; longer text is in a buffer
_AT_ONCE = 1 << 16  # views
Views = np.ndarray[Any, np.dtype[np.int32]]  # of each: length, prefix, buffer, offset


def text_buffers(array: pa.Array) -> list[pa.Buffer]:
    """Return the buffers that the long items of a view array are in; each may be empty."""
    # Before pyarrow 22 one that no item needs may be None.
    return [_EMPTY if buffer is None else buffer for buffer in array.buffers()[2:]]


_EMPTY = pa.py_buffer(b"")


def views_in(array: pa.Array) -> Views:
    """Return the views of an array, four numbers each."""
    if not len(array):
        return np.empty((0, 4), "i4")
    return np.frombuffer(array.buffers()[1], "i4").reshape(-1, 4)[array.offset :][: len(array)]


def long_bytes(array: pa.Array) -> int:
    """Return how many bytes the views refer to, counting what several share each time."""
    lengths = views_in(array)[:, 0]
    total = 0
    for start in range(0, len(lengths), _AT_ONCE):
        some = lengths[start : start + _AT_ONCE]
        total += int(some[some > _INLINE].sum(dtype="i8"))
    return total


def fills_its_buffers(array: pa.Array, used: Bits | None) -> bool:
    """Return whether the views refer to all of the buffers, one after the other."""
    views, sizes = views_in(array), [buffer.size for buffer in text_buffers(array)]
    if used is not None and any(
        views[piece][unused].any() for piece, unused in unused_pieces(used, len(views))
    ):
        return False
    at, end = -1, 0  # the buffer that is gone through, and how far
    for start in range(0, len(views), _AT_ONCE):
        some = views[start : start + _AT_ONCE]
        some = some[some[:, 0] > _INLINE]
        if not len(some):
            continue
        where, first = some[:, 2], some[:, 3]
        last = first + some[:, 0].astype("i8")
        same = where[1:] == where[:-1]
        if not (first[1:] == np.where(same, last[:-1], 0)).all():
            return False
        breaks = np.flatnonzero(~same)
        joints = [(at, end, int(where[0]), int(first[0]))]
        joints += [
            (int(where[i]), int(last[i]), int(where[i + 1]), int(first[i + 1])) for i in breaks
        ]
        for old, reached, new, begin in joints:
            if new == old and begin == reached:
                continue
            if new != old + 1 or begin != 0 or (old >= 0 and reached != sizes[old]):
                return False
        at, end = int(where[-1]), int(last[-1])
    return at == len(sizes) - 1 and (at < 0 or end == sizes[at])


def referred_views(array: pa.Array, validity: pa.Buffer | None, used: Bits | None) -> pa.Array:
    """Return *array* with its own buffers cut down to what its views refer to.

    What several views share stays shared, so the result is never larger.

    Args:
        array: Of binary or string views.
        validity: Its valid slots, exactly.
        used: The slots that count; the others become empty.
    """
    if fills_its_buffers(array, used):
        old, size = array.buffers(), 16 * len(array)
        views = None if old[1] is None else old[1].slice(16 * array.offset, size)
        if same_buffer(views, old[1]) and same_buffer(validity, old[0]):
            return array
        return pa.Array.from_buffers(
            array.type, len(array), [validity, views, *text_buffers(array)]
        )
    views = views_in(array).copy()
    if used is not None:
        for piece, unused in unused_pieces(used, len(views)):
            views[piece][unused] = 0
    kept: list[pa.Buffer] = []
    longer = np.flatnonzero(views[:, 0] > _INLINE)
    homes = views[longer, 2]
    for home, buffer in enumerate(text_buffers(array)):
        mine = longer[homes == home]
        if not len(mine):
            continue
        ranges = merged(views[mine, 3].astype("i8"), views[mine, 0].astype("i8"))
        views[mine, 3] = ranges.moved
        views[mine, 2] = len(kept)
        kept.append(gathered(buffer, ranges))
    return pa.Array.from_buffers(array.type, len(array), [validity, pa.py_buffer(views), *kept])

"""Stretches of a buffer that several views refer to, merged: each byte is kept once."""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

__all__ = ["Ranges", "gathered", "merged"]

Integers = np.ndarray[Any, np.dtype[np.int64]]


class Ranges(NamedTuple):
    """Disjoint stretches, sorted, and where each view lies when nothing is between them.

    Attributes:
        starts, ends: Of the stretches.
        moved: The new start of each view.
    """

    starts: Integers
    ends: Integers
    moved: Integers


def merged(starts: Integers, sizes: Integers) -> Ranges:
    """Merge views that overlap or touch.

    Args:
        starts, sizes: Of each view; at least one, none empty.
    """
    if (starts[1:] >= starts[:-1]).all():
        order = None
        firsts, ends = starts, starts + sizes
    else:
        order = np.argsort(starts, kind="stable")
        firsts = starts[order]
        ends = firsts + sizes[order]
    reach = np.maximum.accumulate(ends)
    begins = np.ones(len(firsts), bool)
    begins[1:] = firsts[1:] > reach[:-1]
    at = np.flatnonzero(begins)
    range_starts = firsts[at]
    range_ends = reach[np.append(at[1:], len(firsts)) - 1]
    before = np.cumsum(range_ends - range_starts) - (range_ends - range_starts)
    of = np.cumsum(begins) - 1
    moved = firsts - range_starts[of] + before[of]
    if order is not None:
        back = np.empty_like(moved)
        back[order] = moved
        moved = back
    return Ranges(range_starts, range_ends, moved)


def gathered(buffer: pa.Buffer, ranges: Ranges) -> pa.Buffer:
    """Return the bytes of the stretches, without what is between them; one is not copied."""
    starts, ends = ranges.starts, ranges.ends
    if len(starts) == 1:
        return buffer.slice(int(starts[0]), int(ends[0] - starts[0]))
    # Arrow's filter copies every second piece of the buffer.
    offsets = np.empty(2 * len(starts) + 1, "i8")
    offsets[0] = 0
    offsets[1::2] = starts
    offsets[2::2] = ends
    pieces = pa.Array.from_buffers(
        pa.large_binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), buffer]
    )
    wanted = np.zeros(len(offsets) - 1, bool)
    wanted[1::2] = True
    kept = pieces.filter(pa.array(wanted))
    return kept.buffers()[2].slice(0, int((ends - starts).sum()))

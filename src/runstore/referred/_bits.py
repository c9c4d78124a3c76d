"""Packed bits: which slots of an array are valid, and which of them anything refers to."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

__all__ = [
    "Bits",
    "exact_bits",
    "pack",
    "repeated",
    "same_buffer",
    "unpack",
    "unused_pieces",
    "used_in",
]

Bits = np.ndarray[Any, np.dtype[np.uint8]]
"""One bit a slot, lowest first, beginning at the first bit; spare bits are 0."""

_AT_ONCE = 1 << 16  # slots; a multiple of 8


def exact_bits(buffer: pa.Buffer, offset: int, count: int) -> pa.Buffer:
    """Return *count* bits from *offset* on as a buffer of their own; shared where it fits."""
    size, skipped, spare = -(-count // 8), offset % 8, count % 8
    if not skipped:
        part = buffer.slice(offset // 8, size)
        if not spare or not part[size - 1] >> spare:
            return part
    bits = _shifted(np.frombuffer(buffer, "u1")[offset // 8 :], skipped, size)
    if spare:
        bits[-1] &= (1 << spare) - 1
    return pa.py_buffer(bits)


def _shifted(data: Bits, skipped: int, size: int) -> Bits:
    bits: Bits = np.right_shift(data[:size], skipped, dtype="u1")
    if skipped:
        more: Bits = np.left_shift(data[1 : size + 1], 8 - skipped, dtype="u1")
        bits[: len(more)] |= more
    return bits


def same_buffer(new: pa.Buffer | None, old: pa.Buffer | None) -> bool:
    """Return whether *new* is *old*, or is not written, as bits without a null and no data."""
    if new is None or old is None:
        return new is None or not new.size
    return bool(new.address == old.address and new.size == old.size)


def used_in(validity: pa.Buffer | None, used: Bits | None) -> Bits | None:
    """Return which slots are valid and used; None if all are."""
    if validity is None:
        return used
    bits = np.frombuffer(validity, "u1")
    return bits if used is None else bits & used


def pack(flags: "np.ndarray[Any, Any]") -> Bits:
    """Return flags as bits."""
    return np.packbits(flags, bitorder="little")


def unpack(bits: Bits, start: int, stop: int) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Return the flags of these slots; *start* is a multiple of 8."""
    part = bits[start // 8 : -(-stop // 8)]
    return np.unpackbits(part, count=stop - start, bitorder="little").view(bool)


def repeated(bits: Bits, counts: Any, slots: int) -> Bits:
    """Return the bits of items: each slot has as many as *counts* says."""
    return pack(np.repeat(unpack(bits, 0, slots), counts))


def unused_pieces(
    bits: Bits, slots: int
) -> Iterator[tuple[slice, "np.ndarray[Any, np.dtype[np.bool_]]"]]:
    """Return the stretches that have unused slots, each with where they are."""
    for start in range(0, slots, _AT_ONCE):
        stop = min(start + _AT_ONCE, slots)
        flags = unpack(bits, start, stop)
        if not flags.all():
            yield slice(start, stop), ~flags

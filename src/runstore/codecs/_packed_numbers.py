"""Python's integers and floats as an array: looked at and copied by one pass of C.

To look at the type of each item costs as much as pickle takes for the item. So `marshal` writes
them, a piece at a time: an item of exactly these types is one byte that names the type, and the
number. The bytes stay in memory and are not a stored format. An item of another type names another,
so that shows in the first byte that differs.
"""

import gc
import marshal
import struct
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any

import numpy as np

__all__ = ["NUMBERS", "numbers_in", "numbers_of_dict"]

Array = np.ndarray[Any, Any]

NUMBERS = (int, float)

_PIECE = 1 << 13  # items whose objects and bytes fit into a core's cache together
_LOOKED_AT = 64  # items of a piece whose type is looked at before
_VERSION = 2  # of marshal: floats in binary, and nothing is looked up in a table
_HEAD = 5  # bytes: a list, and how many items it has

_LARGE = ord("l")  # names an int of more than 32 bits: how many digits, less than 0 with a minus
_DIGITS = 1 << np.arange(0, 62, 15, dtype="i8")  # from each on a number has one digit more

_BEGINS = _HEAD + 5 * np.arange(_PIECE)  # of each number of a piece, if all are small
_COUNT = np.arange(1, 5)  # bytes that tell how many digits a large one has

_RECORDS = {
    int: (ord("i"), np.dtype([("tag", "u1"), ("number", "<i4")])),
    float: (ord("g"), np.dtype([("tag", "u1"), ("number", "<f8")])),
}


def numbers_in(items: Collection[Any], kind: type) -> Array | None:
    """Return *items* as an array of int32, int64 or float64; None if they are no such numbers.

    Args:
        items: A list, tuple, or a view of a dict.
        kind: ``int`` or ``float``, the type of the first item.
    """
    count, at, wide = len(items), 0, False
    found = np.empty(count, _RECORDS[kind][1]["number"].newbyteorder("="))
    try:
        for piece in _pieces(items):
            numbers = _large_numbers(piece) if wide else _numbers(piece, kind)
            end = at + len(piece)
            if numbers is None or end > count:
                return None
            if numbers.dtype.itemsize > found.dtype.itemsize:
                found = found.astype(numbers.dtype)
                wide = True  # the pieces behind it are likely to have large ones, too
            found[at:end] = numbers
            at = end
    except RuntimeError:  # a dict that is changed meanwhile
        return None
    return found if at == count else None


def numbers_of_dict(value: dict[Any, Any]) -> tuple[Array, Array] | None:
    """Return keys and values as arrays of int32 or float64; None if they are no such numbers."""
    kinds = tuple(type(next(iter(part), None)) for part in (value, value.values()))
    if not _RECORDS.keys() >= set(kinds) or _has_parts(value):
        return None
    try:
        written = marshal.dumps(value, _VERSION)
    except ValueError:
        return None
    (of_key, key), (of_value, item) = (_RECORDS[kind] for kind in kinds)
    record = np.dtype([("key", key), ("value", item)])
    if len(written) != record.itemsize * len(value) + 2:  # one byte before, and one behind
        return None
    records = np.frombuffer(written, record, len(value), offset=1)
    keys, values = records["key"], records["value"]
    if (keys["tag"] != of_key).any() or (values["tag"] != of_value).any():
        return None
    return np.ascontiguousarray(keys["number"]), np.ascontiguousarray(values["number"])


def _has_parts(value: dict[Any, Any]) -> bool:
    """Return whether a key or a value may hold other objects, which could be very many."""
    return gc.is_tracked(value) and bool(
        gc.get_referents(*value.values()) or gc.get_referents(*value)
    )


def _pieces(items: Collection[Any]) -> Iterator[list[Any]]:
    if isinstance(items, list):
        for start in range(0, len(items), _PIECE):
            yield items[start : start + _PIECE]
        return
    rest = iter(items)
    while piece := list(islice(rest, _PIECE)):
        yield piece


def _numbers(piece: list[Any], kind: type) -> Array | None:
    """Return the numbers of a piece; None if one is of another type, or too large."""
    some = piece[:: len(piece) // _LOOKED_AT + 1]
    # A value with parts could become very large: `marshal` writes a part once per occurrence.
    if set(map(type, some)) != {kind} or gc.get_referents(*piece):
        return None
    tag, record = _RECORDS[kind]
    try:
        written = marshal.dumps(piece, _VERSION)
    except ValueError:
        return None
    if len(written) == _HEAD + record.itemsize * len(piece):
        records = np.frombuffer(written, record, offset=_HEAD)
        if (records["tag"] == tag).all():
            numbers: Array = records["number"]
            return numbers
    return None if kind is float else _large_numbers(piece, written)


def _large_numbers(piece: list[Any], written: bytes | None = None) -> Array | None:
    """Return integers of up to 64 bits; None if one is of another type, or larger.

    Args:
        piece: The items.
        written: What `marshal` writes of them, if that is known.
    """
    try:
        numbers = np.frombuffer(struct.pack(f"={len(piece)}q", *piece), "=i8")
        if written is None:  # of what is packed as a number, nothing holds others
            written = marshal.dumps(piece, _VERSION)
    except (struct.error, ValueError):
        return None
    return numbers if _is_of(written, numbers) else None


def _is_of(written: bytes, numbers: Array) -> bool:
    """Return whether what `marshal` wrote is these very numbers, each exactly an int.

    How long each of them is follows from its value. So it is known where each begins, and there
    the byte stands that names its type, and the size: of another type it would be another byte.
    """
    large = np.flatnonzero(numbers.astype("i4") != numbers)
    values = numbers[large]
    digits = np.searchsorted(_DIGITS, np.abs(values), side="right")
    extra = 2 * digits
    if len(written) != _HEAD + _RECORDS[int][1].itemsize * len(numbers) + int(extra.sum()):
        return False
    # Each begins behind those before it, which are longer by what is behind large ones.
    starts = _BEGINS[: len(numbers)].copy()
    starts[1:] += np.cumsum(_spread(extra, large, len(numbers)))[:-1]
    data = np.frombuffer(written, "u1")
    expected = np.full(len(numbers), _RECORDS[int][0], "u1")
    expected[large] = _LARGE
    told = data[starts[large][:, None] + _COUNT].view("<i4")[:, 0]
    return bool(
        (data[starts] == expected).all() and (told == np.where(values < 0, -digits, digits)).all()
    )


def _spread(some: Array, places: Array, count: int) -> Array:
    spread = np.zeros(count, "i8")
    spread[places] = some
    return spread

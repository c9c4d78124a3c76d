"""Geometries from well-known binary, which is looked at before GEOS reads it.

GEOS calls itself once for each level of a collection, so one that is nested some ten thousand
times ends the process, and takes less than a megabyte.
"""

import struct
from typing import Any

import numpy as np
import shapely

from runstore.errors import CorruptObjectError

__all__ = ["from_wkb"]

_DEEPEST = 500  # levels of collections
_LEAST = 9  # bytes of a level: byte order, type, how many parts
_OF_PARTS = (4, 5, 6, 7)  # types: of points, lines, polygons, any
_SIDES = {0: 2, 1: 3, 2: 3, 3: 4}  # numbers of a place, by the thousands of the type


def from_wkb(cells: Any, ref: str) -> Any:
    """Return the geometries of an array of ``bytes`` and None.

    Raises:
        CorruptObjectError: They are something else, or nested more than 500 levels deep.
    """
    cells = np.asarray(cells, object)
    for cell in cells.flat:
        if cell is not None and type(cell) is not bytes:
            raise CorruptObjectError(f"{ref} is damaged: a geometry is no bytes", ref)
        if cell is not None and len(cell) > _DEEPEST * _LEAST and _may_be_deep(cell):
            _check_depth(cell, ref)
    try:
        return shapely.from_wkb(cells)
    except (shapely.errors.GEOSException, TypeError) as exc:
        raise CorruptObjectError(f"{ref} is damaged: {exc}", ref) from exc


def _may_be_deep(data: bytes) -> bool:
    """Return whether as many headers of collections as are too many may be in it."""
    view = np.frombuffer(data, np.uint8)
    found = 0
    for order, at in ((1, "<u4"), (0, ">u4")):
        starts = np.flatnonzero(view[:-8] == order) + 1
        codes = view[starts[:, None] + np.arange(4)].reshape(-1).view(at) & 0x1FFFFFFF
        found += int(np.isin(codes % 1000, _OF_PARTS).sum())
    return found > _DEEPEST


def _check_depth(data: bytes, ref: str) -> None:
    """Go through the headers; what is cut off or of an unknown type is left to GEOS."""
    at, open_parts = 0, [1]  # parts that are still to come, of each level
    while open_parts:
        if not open_parts[-1]:
            open_parts.pop()
            continue
        open_parts[-1] -= 1
        if len(open_parts) > _DEEPEST:
            raise CorruptObjectError(
                f"{ref} is damaged: a geometry is nested more than {_DEEPEST} levels deep", ref
            )
        try:
            order = "<" if data[at] == 1 else ">"
            (code,) = struct.unpack_from(f"{order}I", data, at + 1)
            at += 5 + (4 if code & 0x20000000 else 0)
            plain = code & 0x1FFFFFFF
            sides = _SIDES.get(plain // 1000, 4) + bool(code & 1 << 31) + bool(code & 1 << 30)
            kind = plain % 1000
            if kind == 1:
                at += 8 * sides
                continue
            (count,) = struct.unpack_from(f"{order}I", data, at)
            at += 4
            if kind == 2:
                at += 8 * sides * count
            elif kind == 3:
                for _ in range(count):
                    (points,) = struct.unpack_from(f"{order}I", data, at)
                    at += 4 + 8 * sides * points
            elif kind in _OF_PARTS:
                open_parts.append(count)
            else:
                return
        except (struct.error, IndexError):
            return

"""What differs between two stored objects, or two runs, as data."""

from typing import Any

import numpy as np

from runstore.errors import InvalidRequestError, ObjectNotFoundError, UnsupportedValueError
from runstore.keys import Place, key_of
from runstore.objects import ObjectInfo, digest_now, missing, read_seal
from runstore.seals import SEALED
from runstore.steps import reporting
from runstore.store._changes import changes
from runstore.store._differences import Change, ObjectDiff
from runstore.store._objects import Objects

__all__ = ["diff_objects", "same_content"]

_LARGEST_VALUE = 64 << 20  # bytes in memory of plain data that is compared item by item


def diff_objects(objects: Objects, one: Place, other: Place) -> ObjectDiff:
    """Compare two objects; see `ObjectStore.diff`."""
    infos = _described(objects, one), _described(objects, other)
    metadata = changes(infos[0].metadata, infos[1].metadata)
    if same_content(objects, *infos):
        return ObjectDiff(*infos, True, "digest", metadata=metadata)
    same_type = infos[0].python_type == infos[1].python_type
    if infos[0].pickled or infos[1].pickled:
        return ObjectDiff(*infos, False, "digest", metadata=metadata)  # nothing is unpickled
    if infos[0].codec == infos[1].codec == "numpy":
        return _arrays(objects, infos, metadata, same_type)
    if all(info.rows is not None or info.format == "csv" for info in infos):
        from runstore.store._diff_tables import compared  # loads Arrow's compute functions

        try:
            table, beside = compared(objects, *infos)
        except (InvalidRequestError, UnsupportedValueError):
            pass  # not tables, or not to Arrow
        else:
            beside = beside or _differs_beside(objects, *infos)
            beside = table.equal and same_type and beside
            equal = table.equal and same_type and not beside
            return ObjectDiff(*infos, equal, "table", table=table, beside=beside, metadata=metadata)
    if all(_is_plain_data(info) for info in infos):
        left, right = (objects.get(place, pickle="deny") for place in (one, other))
        found = changes(left, right)
        equal = not found and same_type
        return ObjectDiff(*infos, equal, "values", changes=found, metadata=metadata)
    return ObjectDiff(*infos, False, "digest", metadata=metadata)


def _differs_beside(objects: Objects, one: ObjectInfo, other: ObjectInfo) -> bool:
    if one.codec != other.codec or one.codec in (None, SEALED):
        return False  # of another type, which is told
    left, right = (objects.header(key_of(info.place)) for info in (one, other))
    return left is not None and right is not None and left.spec != right.spec


def _described(objects: Objects, place: Place) -> ObjectInfo:
    try:
        return objects.stat(place)
    except ObjectNotFoundError as exc:
        raise missing(objects, place) from exc


def same_content(objects: Objects, one: ObjectInfo, other: ObjectInfo) -> bool:
    """Return whether two objects hold the same value, by their digests; True is sure.

    A file without a digest is read, in pieces, if the other has the same size.
    """
    if one.codec == other.codec == SEALED:
        return _same_parts(objects, one, other)
    if one.codec is None or other.codec is None:
        if one.codec is not other.codec or one.size != other.size:
            return False
    elif one.digest != other.digest or one.python_type != other.python_type:
        return False
    return digest_now(objects, one.place) == digest_now(objects, other.place)


def _same_parts(objects: Objects, one: ObjectInfo, other: ObjectInfo) -> bool:
    if (one.python_type, one.parts, one.rows) != (other.python_type, other.parts, other.rows):
        return False
    seals = [read_seal(objects, info.place)[0] for info in (one, other)]
    parts = [[(part.part, part.digest, part.more) for part in seal.parts] for seal in seals]
    return parts[0] == parts[1] and seals[0].kind == seals[1].kind


def _is_plain_data(info: ObjectInfo) -> bool:
    if info.format == "json":
        return info.size <= _LARGEST_VALUE
    return info.codec == "json" and (info.nbytes or info.size) <= _LARGEST_VALUE


_ITEMS = 1 << 20  # of an array that are compared at a time


def _arrays(
    objects: Objects,
    infos: tuple[ObjectInfo, ObjectInfo],
    metadata: tuple[Change, ...],
    same_type: bool,
) -> ObjectDiff:
    left, right = (objects.get(info.place, pickle="deny") for info in infos)
    if left.shape != right.shape or left.dtype.kind != right.dtype.kind:
        return ObjectDiff(*infos, False, "array", metadata=metadata)
    one, other = left.reshape(-1), right.reshape(-1)
    count = 0
    what = " and ".join(str(info.place) for info in infos)
    with reporting(f"comparing {what}", len(one), "items") as report:
        for at in range(0, len(one), _ITEMS):
            count += _differing(one[at : at + _ITEMS], other[at : at + _ITEMS])
            report.at(min(at + _ITEMS, len(one)))
    equal = not count and left.dtype == right.dtype and same_type
    return ObjectDiff(*infos, equal, "array", items=count, metadata=metadata)


def _differing(one: "np.ndarray[Any, Any]", other: "np.ndarray[Any, Any]") -> int:
    differ = one != other
    if one.dtype.kind in "fcmM":  # NaN and NaT are equal to themselves
        differ &= ~((one != one) & (other != other))
    return int(np.count_nonzero(differ))

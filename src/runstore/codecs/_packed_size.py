"""What the items of a packed column take in memory as Python's objects: by far more than stored.

A row of one bit may be a dict of some hundred bytes. So a file of a megabyte could fill memory,
and what is read is measured before it is made, and likewise when it is put.
"""

import sys
from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

__all__ = ["LIGHT", "objects_of"]

Spec = dict[str, Any]

LIGHT = 4
"""Objects count a quarter of what they take: a list of small numbers is no attack."""

_POINTER = 8
_ARRAY = 144  # bytes of one without its items
_FRAME = 2048
_EACH = {"bool": 0, "float": 24, "complex": 32, "date": 32, "timedelta": 40, "time": 40}
_OTHER = 56  # of a number, a text of some letters, a time


def objects_of(column: pa.Array, spec: Spec) -> int:
    """Return about how many bytes the items of a column take; of no fewer than there are."""
    count, kind, part = len(column), spec["k"], column.type
    if kind == "codes" and kinds.is_dictionary(part):
        return _POINTER * count + objects_of(column.dictionary, spec["of"])
    if kind in ("tuple", "dict") and isinstance(spec["of"], list) and kinds.is_struct(part):
        parts = zip((column.field(at) for at in range(part.num_fields)), spec["of"], strict=False)
        each = _dict_of(len(spec["of"])) if kind == "dict" else 40 + _POINTER * len(spec["of"])
        return (_POINTER + each) * count + sum(objects_of(one, how) for one, how in parts)
    if kind in ("tuple", "list") and (kinds.is_list(part) or kinds.is_large_list(part)):
        return (_POINTER + 64) * count + objects_of(column.values, spec["of"])
    if kind == "array":
        return (_POINTER + _ARRAY) * count
    if kind == "frames":
        return (_POINTER + _FRAME) * count
    return (_POINTER + _EACH.get(kind, _OTHER)) * count


def _dict_of(keys: int) -> int:
    return sys.getsizeof(dict.fromkeys(range(keys)))

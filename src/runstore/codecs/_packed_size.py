"""What the items of a packed column take in memory as Python's objects: by far more than stored.

A row of one bit may be a dict of some hundred bytes. So a file of a megabyte could fill memory,
and what is read is measured before it is made, and likewise when it is put.
"""

import sys
from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

__all__ = ["objects_of"]

Spec = dict[str, Any]

_POINTER = 8
_ARRAY = 144  # bytes of one without its items
_FRAME = 4096
_EACH = {"bool": 0, "float": 24, "complex": 32, "date": 32, "timedelta": 40, "time": 40, "int": 32}
_OTHER = 64  # of a text of some letters, a time
_DECIMAL = 128
_TEXT = 4  # bytes of a character, at most
_OF_BYTES = ("bytes", "decimal", "large int", "str")
_AGAIN = 24  # bytes of an item that is put to its place among missing ones


def objects_of(column: pa.Array, spec: Spec) -> int:
    """Return about how many bytes the items of a column take; of no fewer than there are."""
    count, kind, part = len(column), spec["k"], column.type
    if spec.get("nulls"):
        return _AGAIN * count + objects_of(column, {**spec, "nulls": False})
    if kind == "codes" and kinds.is_dictionary(part):
        code = _POINTER if part.index_type.bit_width == 8 else _POINTER + _EACH["int"]
        return (_POINTER + code) * count + objects_of(column.dictionary, spec["of"])
    if kind in ("tuple", "dict") and isinstance(spec["of"], list) and kinds.is_struct(part):
        parts = zip((column.field(at) for at in range(part.num_fields)), spec["of"], strict=False)
        each = _dict_of(len(spec["of"])) if kind == "dict" else 56 + _POINTER * len(spec["of"])
        return (_POINTER + each) * count + sum(objects_of(one, how) for one, how in parts)
    if kind in ("tuple", "list") and (kinds.is_list(part) or kinds.is_large_list(part)):
        return (_POINTER + 80) * count + objects_of(column.values, spec["of"])
    if kind == "array":
        return (_POINTER + _ARRAY) * count
    if kind == "frames":
        return (_POINTER + _FRAME) * count
    each = _DECIMAL if kind == "decimal" else _EACH.get(kind, _OTHER)
    if kind == "int" and part == pa.uint8():
        each = 0  # which Python has one object of
    return (_POINTER + each) * count + (_TEXT * column.nbytes if kind in _OF_BYTES else 0)


def _dict_of(keys: int) -> int:
    return sys.getsizeof(dict.fromkeys(range(keys)))

"""The items of a large container as one Arrow column and back, by calls into C alone.

Items are of one type, or None. Tuples of one length are a struct, other tuples and lists a
column of lists, dicts of the same keys a struct; their parts are columns by the same rules.
A value that occurs in a column many times is stored once, in a dictionary.
"""

import operator
from collections.abc import Callable, Collection, Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain, compress, cycle, islice, repeat
from typing import Any

import numpy as np
import pyarrow as pa

from runstore.codecs._base import Opened, type_name
from runstore.codecs._packed_arrays import arrays_back, encode_arrays, list_column, offsets_of
from runstore.codecs._packed_numbers import NUMBERS, numbers_in
from runstore.codecs._packed_scalars import (
    DECODERS,
    UnpackableError,
    encode_scalars,
    number_column,
)
from runstore.codecs._types import check_type, is_dictionary
from runstore.errors import CorruptObjectError

__all__ = ["FRAMES", "Packer", "SharedError", "UnpackableError", "unpacked"]

Items = list[Any]
Spec = dict[str, Any]

_DEEPEST = 8  # levels of containers
_WIDEST = 64  # parts of a tuple or keys of a dict that are columns
_SAMPLE = 512  # items of text that tell whether equal ones are frequent

# Objects that may stand in many places; of the others, pickle writes each one, too.
_REPEATED = frozenset((str, bytes, date, datetime, time, timedelta, Decimal))
_NONE = type(None)
FRAMES = ("pandas.DataFrame", "pandas.core.frame.DataFrame")
"""The type of frames that are packed; in pandas 3 and before."""
_MAY_REPEAT = ("list", "value")  # parts of a container; keys and the items of a set are distinct


class SharedError(Exception):
    """An array occurs twice, and has to be one object again."""


class Packer:
    """Packs the containers of one value.

    Args:
        arrays: Whether arrays may be packed.

    Attributes:
        held: The arrays that were packed, by identity.
    """

    def __init__(self, *, arrays: bool = True) -> None:
        self._arrays = arrays
        self._kept: list[Items] = []  # alive, so that no other object has their identity
        self._new: set[int] = set()
        self.held: set[int] = set()

    def columns(self, parts: dict[str, Collection[Any]]) -> list[tuple[pa.Array, Spec]]:
        """Return each of *parts* as `column` does. If all have one, their arrays are held.

        Args:
            parts: The items of a ``list`` or ``set``, or the ``key`` and ``value`` of a dict.
        """
        self._new = set()
        columns = [self.column(items, equal=name in _MAY_REPEAT) for name, items in parts.items()]
        self.held |= self._new
        return columns

    def column(
        self, items: Collection[Any], depth: int = 0, *, equal: bool = True
    ) -> tuple[pa.Array, Spec]:
        """Return *items* as a column, and what `unpacked` needs.

        Args:
            items: A list, tuple or set, or a view of a dict.
            depth: In how many containers they are.
            equal: Whether some may be equal.

        Raises:
            UnpackableError: They are not of one type, or there is no column for them.
            SharedError: An array is in two places.
        """
        first = type(next(iter(items), None))
        if first in NUMBERS and (numbers := numbers_in(items, first)) is not None:
            return number_column(numbers)
        if depth == 0 or not isinstance(items, list):
            items = list(items)  # a list of its own, which nothing else changes
        kinds = {first} if items else set()
        if items and operator.countOf(map(type, items), first) < len(items):
            kinds = set(map(type, items))
        if _NONE not in kinds:
            return self._dense(kinds, items, depth, equal)
        present = np.fromiter(map(operator.is_not, items, repeat(None)), "?", len(items))
        kinds.discard(_NONE)
        column, spec = self._dense(kinds, list(compress(items, present)), depth, equal)
        places = np.where(present, np.cumsum(present) - 1, 0)
        spread = column.take(pa.array(places, pa.int64(), mask=~present))
        return spread, spec | {"nulls": True}

    def _dense(
        self, kinds: set[type], items: Items, depth: int, equal: bool
    ) -> tuple[pa.Array, Spec]:
        """Return items without None as a column."""
        if not kinds:
            return pa.array([], pa.bool_()), {"k": "bool"}
        kind = next(iter(kinds))
        if len(kinds) > 1 or depth > _DEEPEST:
            raise UnpackableError
        if equal and kind in _REPEATED:
            return _repeated(kind, items)
        if kind is np.ndarray:
            self._hold(items)
            return encode_arrays(items)
        if type_name(kind) in FRAMES:
            self._hold(items)
            from runstore.codecs._packed_frames import encode_frames

            return encode_frames(items)
        container = _CONTAINERS.get(kind)
        if container is not None:
            return container(self, items, depth + 1)
        return encode_scalars(kind, items)

    def _hold(self, arrays: Items) -> None:
        if not self._arrays:
            raise UnpackableError
        ids = set(map(id, arrays))
        if len(ids) < len(arrays) or not self.held.isdisjoint(ids) or self._new & ids:
            raise SharedError
        self._new |= ids
        self._kept.append(arrays)

    def tuples(self, items: Items, depth: int) -> tuple[pa.Array, Spec]:
        """Return tuples as a struct if they are of one length, else as lists."""
        lengths = set(map(len, items))
        length = lengths.pop()
        if lengths or not 0 < length <= _WIDEST:
            return self._lists("tuple", items, depth)
        parts = (list(map(operator.itemgetter(at), items)) for at in range(length))
        return self._struct({"k": "tuple"}, parts, depth)

    def lists(self, items: Items, depth: int) -> tuple[pa.Array, Spec]:
        """Return lists as a column of lists."""
        if _distinct(_ids(items)) < len(items):
            raise UnpackableError
        return self._lists("list", items, depth)

    def _lists(self, kind: str, items: Items, depth: int) -> tuple[pa.Array, Spec]:
        counts = np.fromiter(map(len, items), "i8", len(items))
        flat = list(chain.from_iterable(items))
        if len(flat) != int(counts.sum()):
            raise UnpackableError  # changed meanwhile
        column, spec = self.column(flat, depth)
        return list_column(column, counts), {"k": kind, "of": spec}

    def dicts(self, items: Items, depth: int) -> tuple[pa.Array, Spec]:
        """Return dicts of the same keys, all of them text, as a struct."""
        keys = tuple(items[0])
        if not 0 < len(keys) <= _WIDEST or set(map(type, keys)) != {str}:
            raise UnpackableError
        if set(map(len, items)) != {len(keys)} or not all(map(_is_text, keys)):
            raise UnpackableError
        # The keys of dicts that were made by one piece of code are nearly always the same objects.
        if not all(map(operator.is_, chain.from_iterable(items), cycle(keys))) and (
            set(map(type, chain.from_iterable(items))) != {str} or set(map(tuple, items)) != {keys}
        ):
            raise UnpackableError
        if _distinct(_ids(items)) < len(items):
            raise UnpackableError
        flat = list(chain.from_iterable(map(dict.values, items)))
        if len(flat) != len(keys) * len(items):
            raise UnpackableError  # changed meanwhile
        parts = (flat[at :: len(keys)] for at in range(len(keys)))
        return self._struct({"k": "dict", "keys": list(keys)}, parts, depth)

    def _struct(self, spec: Spec, parts: Iterable[Items], depth: int) -> tuple[pa.Array, Spec]:
        columns, specs = [], []
        for items in parts:
            column, part = self.column(items, depth)
            columns.append(column)
            specs.append(part)
        names = [str(at) for at in range(len(columns))]
        return pa.StructArray.from_arrays(columns, names), spec | {"of": specs}


_CONTAINERS: dict[type, Callable[[Packer, Items, int], tuple[pa.Array, Spec]]] = {
    dict: Packer.dicts,
    list: Packer.lists,
    tuple: Packer.tuples,
}


def _is_text(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def _ids(items: Items) -> np.ndarray[Any, Any]:
    return np.fromiter(map(id, items), "i8", len(items))


def _distinct(ids: np.ndarray[Any, Any]) -> int:
    ordered = np.sort(ids)
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + min(1, len(ordered))


def _repeated(kind: type, items: Items) -> tuple[pa.Array, Spec]:
    """Return items as a column, or as codes if the same objects or texts are in many places."""
    ids = _ids(items)
    if 2 * _distinct(ids) <= len(items):
        codes = pa.array(ids).dictionary_encode()
        indices = codes.indices.to_numpy()
        first = np.zeros(len(codes.dictionary), "i8")
        first[indices[::-1]] = np.arange(len(items) - 1, -1, -1)
        column, spec = encode_scalars(kind, list(map(items.__getitem__, first.tolist())))
        if not pa.types.is_struct(column.type):
            return _coded(indices, column), {"k": "codes", "of": spec}
    column, spec = encode_scalars(kind, items)
    if kind in (str, bytes):
        some = items[:: len(items) // _SAMPLE + 1]
        if 4 * len(set(some)) <= 3 * len(some):
            coded = column.dictionary_encode()
            if 2 * len(coded.dictionary) <= len(items):
                column = _coded(coded.indices.to_numpy(), coded.dictionary)
                return column, {"k": "codes", "of": spec}
    return column, spec


def _coded(indices: Any, labels: pa.Array) -> pa.Array:
    for narrow in ("i1", "i2", "i4"):
        if len(labels) <= np.iinfo(narrow).max + 1:
            indices = indices.astype(narrow)
            break
    return pa.DictionaryArray.from_arrays(pa.array(indices), labels)


def unpacked(opened: Opened, column: pa.Array, spec: Spec) -> Items:
    """Rebuild the items that `Packer.column` was given, on the memory of *opened*.

    Raises:
        CorruptObjectError: Column and spec do not fit each other.
    """
    if spec.get("nulls"):
        present = column.is_valid().to_numpy(zero_copy_only=False)
        items = unpacked(opened, column.drop_null(), {**spec, "nulls": False})
        spread = np.empty(len(column), object)  # of None
        spread[present] = np.fromiter(items, object, len(items))
        found: Items = spread.tolist()
        return found
    if column.null_count:
        raise _unfit(opened)
    match spec["k"]:
        case "codes":
            check_type(opened, column.type, is_dictionary)
            labels = unpacked(opened, column.dictionary, spec["of"])
            return list(map(labels.__getitem__, column.indices.to_numpy().tolist()))
        case "tuple" | "dict" if isinstance(spec["of"], list):
            return _unpacked_struct(opened, column, spec)
        case "tuple" | "list":
            offsets, inner = offsets_of(opened, column)
            rest = iter(unpacked(opened, inner, spec["of"]))
            make = tuple if spec["k"] == "tuple" else list
            return list(map(make, map(islice, repeat(rest), np.diff(offsets).tolist())))
        case "array":
            return arrays_back(opened, column, spec)
        case "frames":
            from runstore.codecs._packed_frames import frames_back

            return frames_back(opened, column, spec)
    decoder = DECODERS.get(spec["k"])
    if decoder is None:
        raise CorruptObjectError(
            f"{opened.ref} has items of unknown kind {spec['k']!r}", opened.ref
        )
    return decoder(opened, column, spec)


def _unpacked_struct(opened: Opened, column: pa.Array, spec: Spec) -> Items:
    check_type(opened, column.type, pa.types.is_struct)
    if not 0 < len(spec["of"]) == column.type.num_fields:
        raise _unfit(opened)
    parts = [
        unpacked(opened, part, how) for part, how in zip(column.flatten(), spec["of"], strict=True)
    ]
    rows = zip(*parts, strict=True)
    if spec["k"] == "tuple":
        return list(rows)
    return list(map(dict, map(zip, repeat(spec["keys"]), rows)))


def _unfit(opened: Opened) -> CorruptObjectError:
    return CorruptObjectError(f"{opened.ref} is damaged: items are missing", opened.ref)

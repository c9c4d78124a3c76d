"""One Arrow array, of any type, freed of what it does not refer to."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as kinds

from runstore.lifetime import load_module
from runstore.referred._bits import (
    Bits,
    exact_bits,
    pack,
    repeated,
    same_buffer,
    unpack,
    unused_pieces,
    used_in,
)
from runstore.referred._empty import empty_array
from runstore.referred._ranges import merged
from runstore.referred._views import referred_views

__all__ = ["WIDTHS", "offsets_of", "referred_array"]


def referred_array(array: pa.Array, used: Bits | None = None) -> pa.Array:
    """Return an equal array whose buffers hold nothing that it does not refer to.

    Slots of nulls are blank in it: 0, empty, or the NaT of a time. Dictionaries stay whole:
    they are part of the value. Buffers that fit are shared, and an array of which all fit is
    returned itself.

    Args:
        array: Of any type.
        used: The slots that count; the others become blank.
    """
    kind = array.type
    width = WIDTHS.get(kind.id)
    if width and used is None and not array.null_count and _fits(array, width):
        return array  # nearly all columns, at once
    if isinstance(kind, pa.BaseExtensionType):
        storage = referred_array(array.storage, used)
        return array if storage is array.storage else pa.ExtensionArray.from_storage(kind, storage)
    if kinds.is_null(kind):
        return array
    if kinds.is_dictionary(kind):
        return _dictionary(array, used)
    if kinds.is_run_end_encoded(kind):
        return _run_ends(array, used)
    rebuild = next((build for applies, build in _REBUILDS if applies(kind)), _fixed)
    validity = None
    if array.null_count and not kinds.is_union(kind):
        validity = exact_bits(array.buffers()[0], array.offset, len(array))
    return rebuild(array, validity, used_in(validity, used))


# Flat arrays -------------------------------------------------------------------------------------


def _fixed(array: pa.Array, validity: pa.Buffer | None, used: Bits | None) -> pa.Array:
    """Numbers, times, truth values and bytes of one width."""
    count, buffers = len(array), array.buffers()
    old, width = buffers[1], array.type.bit_width
    if old is None or not width:
        return array
    if width == 1:
        data = exact_bits(old, array.offset, count)
        if used is not None:
            bits = np.frombuffer(data, "u1")
            if (bits & ~used).any():
                data = pa.py_buffer(bits & used)
    else:
        data = _exact(old, array.offset * width // 8, count * width // 8)
        if used is not None:
            data = _blanked(data, array.type, count, used)
    if same_buffer(data, old) and same_buffer(validity, buffers[0]):
        return array
    return pa.Array.from_buffers(array.type, count, [validity, data])


def _exact(buffer: pa.Buffer, start: int, size: int) -> pa.Buffer:
    return buffer if not start and buffer.size == size else buffer.slice(start, size)


_NAT = np.iinfo("i8").min


def _blanked(data: pa.Buffer, kind: pa.DataType, count: int, used: Bits) -> pa.Buffer:
    """Return *data* with zeros in the unused slots; itself if they are blank already."""
    width = data.size // count if count else 1
    item = np.dtype({1: "u1", 2: "u2", 4: "u4", 8: "i8"}.get(width, (np.void, width)))
    items = np.frombuffer(data, item)
    times = kinds.is_timestamp(kind) or kinds.is_duration(kind)
    for piece, unused in unused_pieces(used, count):
        if _has_data(items[piece][unused], times):
            break
    else:
        return data
    items = items.copy()
    for piece, unused in unused_pieces(used, count):
        some = items[piece][unused]
        if _has_data(some, times):
            items[piece][unused] = np.zeros(1, item)
    return pa.py_buffer(items.view("u1"))


def _has_data(items: Any, times: bool) -> bool:
    if items.dtype.kind == "V":
        return bool(np.ascontiguousarray(items).view("u1").any())
    return bool(((items != 0) & (items != _NAT)).any() if times else items.any())


def offsets_of(array: pa.Array) -> Any:
    """Return the offsets of a list or of text, one more than there are slots."""
    wide = (kinds.is_large_list, kinds.is_large_string, kinds.is_large_binary)
    item = "i8" if any(is_wide(array.type) for is_wide in wide) else "i4"
    buffer = array.buffers()[1]
    if not len(array) or buffer is None:
        return np.zeros(1, item)
    return np.frombuffer(buffer, item)[array.offset :][: len(array) + 1]


def _rebased(array: pa.Array, offsets: Any) -> pa.Buffer:
    old = array.buffers()[1]
    if offsets[0]:
        return pa.py_buffer(offsets - offsets[0])
    if old is None or not len(array):
        return pa.py_buffer(np.zeros(1, offsets.dtype))
    return _exact(old, array.offset * offsets.itemsize, offsets.nbytes)


def _text(array: pa.Array, validity: pa.Buffer | None, used: Bits | None) -> pa.Array:
    """Text and bytes with offsets."""
    offsets, count = offsets_of(array), len(array)
    if used is not None and _has_text(offsets, used, count):
        whole = [pa.py_buffer(used), *array.buffers()[1:]]
        if array.offset:
            whole[1] = pa.py_buffer(offsets)
        filled = load_module("pyarrow.compute").fill_null(
            pa.Array.from_buffers(array.type, count, whole), pa.scalar(b"").cast(array.type)
        )
        again = pa.Array.from_buffers(array.type, count, [validity, *filled.buffers()[1:]])
        return _text(again, validity, None)
    _, places, data = array.buffers()
    exact = _rebased(array, offsets)
    kept = None
    if data is not None:
        kept = _exact(data, int(offsets[0]), int(offsets[-1] - offsets[0]))
    same = same_buffer(exact, places) and same_buffer(kept, data)
    if same and same_buffer(validity, array.buffers()[0]):
        return array
    return pa.Array.from_buffers(array.type, count, [validity, exact, kept])


def _has_text(offsets: Any, used: Bits, count: int) -> bool:
    return any(
        np.diff(offsets[piece.start : piece.stop + 1])[unused].any()
        for piece, unused in unused_pieces(used, count)
    )


# Arrays of arrays --------------------------------------------------------------------------------


def _lists(array: pa.Array, validity: pa.Buffer | None, used: Bits | None) -> pa.Array:
    offsets = offsets_of(array)
    first, last = int(offsets[0]), int(offsets[-1])
    whole = _child(array)
    items = whole if not first and last == len(whole) else whole.slice(first, last - first)
    of_items = None if used is None else repeated(used, np.diff(offsets), len(array))
    kept, exact = referred_array(items, of_items), _rebased(array, offsets)
    old = array.buffers()[:2]
    if kept is whole and same_buffer(exact, old[1]) and same_buffer(validity, old[0]):
        return array
    return pa.Array.from_buffers(array.type, len(array), [validity, exact], children=[kept])


def _child(array: pa.Array) -> pa.Array:
    """Return the items of a list or map, those included that it does not refer to."""
    if kinds.is_map(array.type):
        keys, items = array.keys, array.items
        fields = [array.type.key_field, array.type.item_field]
        return pa.StructArray.from_arrays([keys, items], fields=fields)
    return array.values


def _fixed_lists(array: pa.Array, validity: pa.Buffer | None, used: Bits | None) -> pa.Array:
    size, count = array.type.list_size, len(array)
    whole = array.values
    start, length = array.offset * size, count * size
    items = whole if not start and length == len(whole) else whole.slice(start, length)
    of_items = None if used is None else repeated(used, size, count)
    kept = referred_array(items, of_items)
    if kept is whole and same_buffer(validity, array.buffers()[0]):
        return array
    return pa.Array.from_buffers(array.type, count, [validity], children=[kept])


def _structs(array: pa.Array, validity: pa.Buffer | None, used: Bits | None) -> pa.Array:
    fields = [array.field(i) for i in range(array.type.num_fields)]
    kept = [referred_array(field, used) for field in fields]
    same = all(new is old for new, old in zip(kept, fields, strict=True))
    if same and not array.offset and same_buffer(validity, array.buffers()[0]):
        return array
    return pa.Array.from_buffers(array.type, len(array), [validity], children=kept)


def _unions(array: pa.Array, validity: pa.Buffer | None, used: Bits | None) -> pa.Array:
    count, kind = len(array), array.type
    if not count:  # its buffers need not be of a whole number of items
        return empty_array(kind)
    codes = np.frombuffer(array.buffers()[1], "i1")[array.offset :][:count]
    buffers = [None, pa.py_buffer(codes)]
    everyone = np.ones(count, bool) if used is None else unpack(used, 0, count)
    children = []
    if kind.mode == "sparse":
        for i, code in enumerate(kind.type_codes):
            child = array.field(i)[:count]
            children.append(referred_array(child, pack(everyone & (codes == code))))
    else:
        offsets = np.frombuffer(array.buffers()[2], "i4")[array.offset :][:count].copy()
        for i, code in enumerate(kind.type_codes):
            mine = codes == code
            places = offsets[mine]
            first, end = (int(places.min()), int(places.max()) + 1) if len(places) else (0, 0)
            counts = np.zeros(end - first, bool)
            counts[offsets[mine & everyone] - first] = True
            children.append(referred_array(array.field(i).slice(first, end - first), pack(counts)))
            offsets[mine] -= first
        buffers.append(pa.py_buffer(offsets))
    return pa.Array.from_buffers(kind, count, buffers, children=children)


def _list_views(array: pa.Array, validity: pa.Buffer | None, used: Bits | None) -> pa.Array:
    item = "i8" if kinds.is_large_list_view(array.type) else "i4"
    count, buffers = len(array), array.buffers()
    empty = np.empty(0, item)
    starts, sizes = (
        np.frombuffer(buffer, item)[array.offset :][:count] if count else empty
        for buffer in buffers[1:3]
    )
    if used is not None:
        sizes = np.where(unpack(used, 0, count), sizes, 0).astype(item)
    longer = np.flatnonzero(sizes)
    moved = np.zeros(count, item)
    items = array.values
    if len(longer):
        ranges = merged(starts[longer].astype("i8"), sizes[longer].astype("i8"))
        moved[longer] = ranges.moved
        parts = [
            items.slice(int(start), int(end - start))
            for start, end in zip(ranges.starts, ranges.ends, strict=True)
        ]
        items = parts[0] if len(parts) == 1 else pa.concat_arrays(parts)
    else:
        items = items.slice(0, 0)
    places = [validity, pa.py_buffer(moved), pa.py_buffer(np.ascontiguousarray(sizes))]
    return pa.Array.from_buffers(array.type, count, places, children=[referred_array(items)])


def _dictionary(array: pa.Array, used: Bits | None) -> pa.Array:
    codes, labels = array.indices, array.dictionary
    kept, kept_labels = referred_array(codes, used), referred_array(labels)
    if kept is codes and kept_labels is labels:
        return array
    ordered = array.type.ordered
    return pa.DictionaryArray.from_arrays(kept, kept_labels, ordered=ordered, safe=False)


def _run_ends(array: pa.Array, used: Bits | None) -> pa.Array:
    """Runs, cut at both ends; a run of which one slot is used is used."""
    first, count = array.find_physical_offset(), array.find_physical_length()
    ends = array.run_ends.slice(first, count)
    numbers = np.minimum(ends.to_numpy() - array.offset, len(array)).astype(
        ends.type.to_pandas_dtype()
    )
    of_runs = None
    if used is not None and count:
        begins = np.concatenate([[0], numbers[:-1]])
        of_runs = pack(np.logical_or.reduceat(unpack(used, 0, len(array)), begins))
    values = referred_array(array.values.slice(first, count), of_runs)
    if values is array.values and not array.offset:
        return array
    return pa.RunEndEncodedArray.from_buffers(
        array.type, len(array), [None], children=[pa.array(numbers), values]
    )


WIDTHS = {
    kind.id: kind.bit_width // 8
    for kind in (
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.timestamp("s"), pa.duration("s")),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.date32()),
        *(pa.float16(), pa.float32(), pa.float64()),
    )
}


def _fits(array: pa.Array, width: int) -> bool:
    """Return whether numbers without nulls are all that is in their buffer."""
    data = array.buffers()[1]
    return not array.offset and data is not None and bool(data.size == width * len(array))


Rebuild = Callable[[pa.Array, pa.Buffer | None, Bits | None], pa.Array]


def _is_view(kind: pa.DataType) -> bool:
    return bool(kinds.is_string_view(kind) or kinds.is_binary_view(kind))


def _has_offsets(kind: pa.DataType) -> bool:
    wide = kinds.is_large_string(kind) or kinds.is_large_binary(kind)
    return bool(wide or kinds.is_string(kind) or kinds.is_binary(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_map(kind))


def _is_list_view(kind: pa.DataType) -> bool:
    return bool(kinds.is_list_view(kind) or kinds.is_large_list_view(kind))


_REBUILDS: tuple[tuple[Callable[[Any], bool], Rebuild], ...] = (
    (kinds.is_primitive, _fixed),
    (_is_view, referred_views),
    (_has_offsets, _text),
    (_is_list, _lists),
    (kinds.is_fixed_size_list, _fixed_lists),
    (kinds.is_struct, _structs),
    (_is_list_view, _list_views),
    (kinds.is_union, _unions),
)

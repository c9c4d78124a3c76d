"""Arrays without items, of any type: Arrow's own ways end the process for some."""

import pyarrow as pa
import pyarrow.types as kinds

__all__ = ["empty_array", "empty_batch"]

_NOTHING = pa.py_buffer(b"")
_ZERO = pa.py_buffer(bytes(8))  # the only offset


def empty_batch(schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch of that schema without rows."""
    return pa.RecordBatch.from_arrays(list(map(empty_array, schema.types)), schema=schema)


def empty_array(kind: pa.DataType) -> pa.Array:
    """Return an array of that type without items."""
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, empty_array(kind.storage_type))
    if kinds.is_dictionary(kind):
        codes, labels = pa.array([], kind.index_type), empty_array(kind.value_type)
        return pa.DictionaryArray.from_arrays(codes, labels, ordered=kind.ordered, safe=False)
    if kinds.is_run_end_encoded(kind):
        runs = [pa.array([], kind.run_end_type), empty_array(kind.value_type)]
        return pa.RunEndEncodedArray.from_buffers(kind, 0, [None], children=runs)
    if not kinds.is_nested(kind):
        return pa.array([], kind)
    if kinds.is_map(kind):
        buffers, parts = [None, _ZERO], [pa.struct([kind.key_field, kind.item_field])]
    else:
        buffers, parts = _buffers(kind), [kind.field(at).type for at in range(kind.num_fields)]
    return pa.Array.from_buffers(kind, 0, buffers, children=list(map(empty_array, parts)))


def _buffers(kind: pa.DataType) -> list[pa.Buffer | None]:
    if kinds.is_list(kind) or kinds.is_large_list(kind):
        return [None, _ZERO]
    if kinds.is_list_view(kind) or kinds.is_large_list_view(kind):
        return [None, _NOTHING, _NOTHING]
    if kinds.is_union(kind):
        return [None, _NOTHING] if kind.mode == "sparse" else [None, _NOTHING, _NOTHING]
    return [None]

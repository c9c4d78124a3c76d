"""Compression in Arrow files: how much at once, and what some releases of pyarrow get wrong."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from runstore.errors import UnsupportedValueError

__all__ = ["check_writable", "compressed_apart", "compression_for"]

_COMPRESSED = 24 << 20  # bytes that are compressed together

_MAJOR = int(pa.__version__.partition(".")[0])


def compression_for(schema: pa.Schema, compression: str | None) -> str | None:
    """Return *compression*, or None if this pyarrow ends the process while it compresses so.

    Before pyarrow 24 it does at views of text that were cast from short text.
    """
    if compression is None or _MAJOR >= 24:
        return compression
    views = (pa.types.is_string_view, pa.types.is_binary_view)
    found = (part for kind in schema.types for part in _parts(kind))
    return None if any(is_view(part) for part in found for is_view in views) else compression


def check_writable(schema: pa.Schema, ref: str) -> None:
    """Raise UnsupportedValueError if this pyarrow writes such a table so that nobody can read it.

    Before pyarrow 26 it writes a buffer too many for extension types whose storage has no bits
    of validity: nulls, unions and runs. It ends the process while it compresses some of them.
    """
    if _MAJOR >= 26:
        return
    for field in schema:
        for part in _parts(field.type):
            if isinstance(part, pa.BaseExtensionType) and _has_no_validity(part.storage_type):
                raise UnsupportedValueError(
                    f"cannot store {ref}: column {field.name!r} has the type {part}, which is "
                    f"stored as {part.storage_type}, and pyarrow {pa.__version__} writes that so "
                    "that nobody can read it. Install pyarrow 26 or newer, or store another type",
                    ref,
                )


def _has_no_validity(kind: pa.DataType) -> bool:
    told = pa.types.is_null(kind) or pa.types.is_union(kind) or pa.types.is_run_end_encoded(kind)
    return bool(told)


def _parts(kind: Any) -> Iterator[pa.DataType]:
    """Return a type and all types it is made of."""
    yield kind
    if isinstance(kind, pa.BaseExtensionType):
        yield from _parts(kind.storage_type)
    elif pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        yield from _parts(kind.value_type)
    else:
        for i in range(kind.num_fields):
            yield from _parts(kind.field(i).type)


def compressed_apart(
    schema: pa.Schema, batches: Sequence[pa.RecordBatch], nbytes: int
) -> Iterable[pa.RecordBatch]:
    """Cut large batches: Arrow keeps all of a batch that it compresses until it writes it."""
    rows = sum(batch.num_rows for batch in batches)
    if nbytes <= _COMPRESSED or any(map(_has_labels, schema.types)):
        return batches
    some = max(1, rows * _COMPRESSED // nbytes)
    return (
        batch.slice(start, some) for batch in batches for start in range(0, batch.num_rows, some)
    )


def _has_labels(kind: pa.DataType) -> bool:
    return "dictionary<" in str(kind)  # those of each batch would have to be the same

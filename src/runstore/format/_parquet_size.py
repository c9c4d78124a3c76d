"""How much memory a Parquet file takes, known before it is decoded."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from runstore.buffers import Buffer, flat
from runstore.errors import CorruptObjectError
from runstore.format._flatbuffer import MalformedError
from runstore.format._guard import Guard
from runstore.format._thrift import page_sizes

__all__ = ["check_size"]

_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
_OFFSET = 8  # bytes per text or list, besides what is in it


def check_size(metadata: Any, data: Buffer, guard: Guard, ref: str) -> None:
    """Raise UnsupportedFormatError if *guard* does not accept what a file takes in memory.

    In a store that is not trusted the pages themselves are asked, too, and texts to which
    many rows may refer are counted.

    Raises:
        CorruptObjectError: The pages are not where the file says.
        pa.ArrowException: They cannot be decoded.
    """
    file = flat(data)
    decoded, longest = 0, 0
    texts: set[str] = set()
    for group in range(metadata.num_row_groups):
        of_group = metadata.row_group(group)
        for index in range(metadata.num_columns):
            chunk = of_group.column(index)
            rows = max(chunk.num_values, of_group.num_rows, 0)
            decoded += _WIDTHS.get(chunk.physical_type, _OFFSET) * rows
            if guard.trusted or not file.nbytes:
                continue
            try:
                sizes = list(page_sizes(_pages(chunk, file)))
            except MalformedError as exc:
                raise CorruptObjectError(f"{ref} is damaged: {exc}", ref) from exc
            decoded += sum(sizes)
            if chunk.physical_type == "BYTE_ARRAY" and sizes:
                longest += rows * max(sizes)  # a page holds no longer text
                texts.add(chunk.path_in_schema)
    guard.check_decoded(decoded, file.nbytes, ref)
    if not guard.allows(decoded + longest, file.nbytes):
        guard.check_decoded(decoded + _texts(data, texts), file.nbytes, ref)


def _texts(data: Buffer, columns: set[str]) -> int:
    """Return how many bytes of text columns have, each text kept once while they are counted."""
    total = 0
    source = pa.BufferReader(pa.py_buffer(data))
    file = pq.ParquetFile(source, read_dictionary=sorted(columns))
    for batch in file.iter_batches(columns=sorted(columns)):
        total += sum(map(_bytes_of, batch.columns))
    return total


def _bytes_of(array: Any) -> int:
    kind = array.type
    if pa.types.is_dictionary(kind):
        lengths = pc.binary_length(array.dictionary).take(array.indices)
        return int(pc.sum(lengths, min_count=0).as_py())
    if pa.types.is_struct(kind):
        return sum(_bytes_of(array.field(i)) for i in range(kind.num_fields))
    if pa.types.is_map(kind):
        return _bytes_of(array.keys) + _bytes_of(array.items)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _bytes_of(array.values)
    return int(array.nbytes)


def _pages(chunk: Any, file: memoryview) -> memoryview:
    starts = [chunk.data_page_offset, chunk.dictionary_page_offset]
    start = min(start for start in starts if start)
    size = chunk.total_compressed_size
    if start < 4 or size < 0 or start + size > file.nbytes:
        raise MalformedError("a column lies outside the file")
    return file[start : start + size]

"""How much memory a Parquet file takes, known before it is decoded."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from runstore.buffers import Buffer, flat
from runstore.containers._flatbuffer import MalformedError
from runstore.containers._guard import Guard
from runstore.containers._seal import footer_start
from runstore.containers._thrift import Chunk, column_chunks, page_sizes
from runstore.errors import CorruptObjectError

__all__ = ["check_size", "decoded_size"]

# Bytes of a value by the number of its physical type: truth values, integers, floats.
_WIDTHS = {0: 1, 1: 4, 2: 8, 3: 12, 4: 4, 5: 8}
_OFFSET = 8  # bytes per text or list, besides what is in it
_TEXT = 6


def decoded_size(footer: bytes, guard: Guard) -> int:
    """Return what `check_size` will take a file for that is just being written.

    Args:
        footer: Its last bytes, from where the footer begins.
        guard: Of those who will read it.
    """
    decoded = sum(_width(chunk) * chunk.values for chunk in column_chunks(footer))
    if guard.trusted:
        return decoded
    told = pq.read_metadata(pa.BufferReader(b"PAR1" + footer))
    for i in range(told.num_row_groups):
        group = told.row_group(i)
        chunks = (group.column(j) for j in range(group.num_columns))
        decoded += sum(chunk.total_uncompressed_size for chunk in chunks)
    return decoded


def check_size(data: Buffer, rows: int, columns: int, guard: Guard, ref: str) -> None:
    """Raise UnsupportedFormatError if *guard* does not accept what a file takes in memory.

    In a store that is not trusted the pages themselves are asked, too, and texts to which
    many rows may refer are counted.

    Args:
        data: The whole file; nothing is checked of one that is not here.
        rows, columns: How many the file says that it has.
        guard: What is accepted.
        ref: What to call it in errors.

    Raises:
        CorruptObjectError: The pages are not where the file says.
        pa.ArrowException: They cannot be decoded.
    """
    file = flat(data)
    if not file.nbytes or (guard.trusted and guard.allows(rows * columns * _OFFSET, file.nbytes)):
        return
    decoded, longest = 0, 0
    texts: set[bytes] = set()
    try:
        for chunk in column_chunks(bytes(file[footer_start(file[-10:], file.nbytes, ref) :])):
            decoded += _width(chunk) * chunk.values
            if guard.trusted:
                continue
            sizes = list(page_sizes(_pages(chunk, file)))
            decoded += sum(sizes)
            if chunk.kind == _TEXT and sizes:
                longest += chunk.values * max(sizes)  # a page holds no longer text
                texts.add(b".".join(chunk.path))
    except MalformedError as exc:
        raise CorruptObjectError(f"{ref} is damaged: {exc}", ref) from exc
    guard.check_decoded(decoded, file.nbytes, ref)
    if not guard.allows(decoded + longest, file.nbytes):
        guard.check_decoded(decoded + _texts(data, texts), file.nbytes, ref)


def _width(chunk: Chunk) -> int:
    return _WIDTHS.get(chunk.kind, _OFFSET)


def _texts(data: Buffer, columns: set[bytes]) -> int:
    """Return how many bytes of text columns have, each text kept once while they are counted."""
    total = 0
    names = sorted(column.decode() for column in columns)
    source = pa.BufferReader(pa.py_buffer(data))
    file = pq.ParquetFile(source, read_dictionary=names)
    for batch in file.iter_batches(columns=names):
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


def _pages(chunk: Chunk, file: memoryview) -> memoryview:
    if not (chunk.values or chunk.start or chunk.size):
        return file[:0]  # without rows, some kinds of columns have no page
    if chunk.start < 4 or chunk.size < 0 or chunk.start + chunk.size > file.nbytes:
        raise MalformedError("a column lies outside the file")
    return file[chunk.start : chunk.start + chunk.size]

"""How much memory a Parquet file takes, known before it is decoded."""

from typing import Any

from runstore.errors import CorruptObjectError
from runstore.format._flatbuffer import MalformedError
from runstore.format._guard import Guard
from runstore.format._thrift import page_sizes

__all__ = ["check_size"]

_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
_OFFSET = 8  # bytes per text or list, besides what is in it


def check_size(metadata: Any, file: memoryview, guard: Guard, ref: str) -> None:
    """Raise UnsupportedFormatError if *guard* does not accept what a file takes in memory.

    In a store that is not trusted the pages themselves are asked. A text that many rows
    refer to counts once.

    Raises:
        CorruptObjectError: The pages are not where the file says.
    """
    decoded = 0
    for group in range(metadata.num_row_groups):
        of_group = metadata.row_group(group)
        for index in range(metadata.num_columns):
            chunk = of_group.column(index)
            width = _WIDTHS.get(chunk.physical_type, _OFFSET)
            decoded += width * max(chunk.num_values, of_group.num_rows, 0)
            if guard.trusted or not file.nbytes:
                continue
            try:
                decoded += sum(page_sizes(_pages(chunk, file)))
            except MalformedError as exc:
                raise CorruptObjectError(f"{ref} is damaged: {exc}", ref) from exc
    guard.check_decoded(decoded, file.nbytes, ref)


def _pages(chunk: Any, file: memoryview) -> memoryview:
    starts = [chunk.data_page_offset, chunk.dictionary_page_offset]
    start = min(start for start in starts if start)
    size = chunk.total_compressed_size
    if start < 4 or size < 0 or start + size > file.nbytes:
        raise MalformedError("a column lies outside the file")
    return file[start : start + size]

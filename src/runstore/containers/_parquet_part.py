"""A remote Parquet file, of which only the requested column chunks are read, in parallel."""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow.parquet as pq

from runstore.containers._header import Header
from runstore.containers._parquet import StoredParquet

__all__ = ["StoredParquetPart"]


class StoredParquetPart(StoredParquet):
    """See `StoredParquet`.

    Args:
        file: Opened on what reads from afar.
        header: What the file says about itself.
        ref: What to call it in errors.
        fetch: Reads ranges of the file, from a byte to a byte, before they are asked for.
    """

    def __init__(
        self,
        file: pq.ParquetFile,
        header: Header | None,
        ref: str,
        fetch: Callable[[list[tuple[int, int]]], None],
    ) -> None:
        super().__init__(b"", file, header, ref)
        self._fetch = fetch

    def project(self, columns: Sequence[int]) -> StoredParquet:
        """See `StoredParquet.project`; the columns are read, and nothing else."""
        names = [self._file.schema_arrow.names[i] for i in set(columns)]
        whole, parts = set(names), tuple(f"{name}." for name in names)
        told = self._file.metadata
        ranges = []
        for group in range(told.num_row_groups):
            for index in range(told.num_columns):
                chunk = told.row_group(group).column(index)
                path = chunk.path_in_schema
                if path in whole or path.startswith(parts):
                    ranges.append(_range_of(chunk))
        self._fetch(ranges)
        return super().project(columns)


def _range_of(chunk: Any) -> tuple[int, int]:
    start = chunk.data_page_offset
    if chunk.has_dictionary_page and chunk.dictionary_page_offset is not None:
        start = min(start, chunk.dictionary_page_offset)
    return start, start + chunk.total_compressed_size

"""The containers: self-describing, digest-carrying Arrow and Parquet files.

`docs/format.md` is the specification; this room is its implementation. It knows
record batches and bytes, neither values nor places.
"""

from typing import TYPE_CHECKING, Any

from runstore.containers._file_digest import check_file, keeps_digest, with_digest
from runstore.containers._footer import columns_beside, read_footer, readdressed, schema_in
from runstore.containers._guard import Guard
from runstore.containers._header import FORMAT_VERSION, Header
from runstore.containers._messages import schema_entries
from runstore.containers._part import open_part
from runstore.containers._pieces import PIECES
from runstore.containers._piecewise import ArrowPieces, ParquetPieces, open_pieces
from runstore.containers._ranges import Range, guarantee
from runstore.containers._read import Stored, Verify, open_arrow
from runstore.containers._seal import Seal, footer_start, has_signature, signature_at
from runstore.containers._small import SmallFile, SmallFiles, learn_small, open_small
from runstore.containers._write import Written, arrow_file

if TYPE_CHECKING:
    from runstore.containers._parquet import StoredParquet, open_parquet, parquet_file
    from runstore.containers._parquet_rows import ParquetRows
    from runstore.containers._row_window import ArrowRows, Column, LeftOut

__all__ = [
    "FORMAT_VERSION",
    "PIECES",
    "ArrowPieces",
    "ArrowRows",
    "Column",
    "Guard",
    "Header",
    "LeftOut",
    "ParquetPieces",
    "ParquetRows",
    "Range",
    "Seal",
    "SmallFile",
    "SmallFiles",
    "Stored",
    "StoredParquet",
    "Verify",
    "Written",
    "arrow_file",
    "check_file",
    "columns_beside",
    "footer_start",
    "guarantee",
    "has_signature",
    "keeps_digest",
    "learn_small",
    "open_arrow",
    "open_parquet",
    "open_part",
    "open_pieces",
    "open_small",
    "parquet_file",
    "read_footer",
    "readdressed",
    "schema_entries",
    "schema_in",
    "signature_at",
    "with_digest",
]


def __getattr__(name: str) -> Any:
    if name in ("StoredParquet", "open_parquet", "parquet_file"):  # slow to import, seldom used
        from runstore.containers import _parquet

        return getattr(_parquet, name)
    if name == "ParquetRows":
        from runstore.containers._parquet_rows import ParquetRows

        return ParquetRows
    if name in ("ArrowRows", "Column", "LeftOut"):
        from runstore.containers import _row_window

        return getattr(_row_window, name)
    raise AttributeError(f"module 'runstore.containers' has no attribute {name!r}")

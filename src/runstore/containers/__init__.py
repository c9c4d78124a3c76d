"""The containers: self-describing, digest-carrying Arrow and Parquet files.

`docs/format.md` is the specification; this room is its implementation. It knows
record batches and bytes, neither values nor places.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from runstore.containers._guard import Guard
from runstore.containers._header import FORMAT_VERSION, Header
from runstore.containers._messages import schema_entries
from runstore.containers._pieces import PIECES
from runstore.containers._ranges import Range, guarantee
from runstore.containers._read import Stored, Verify, open_arrow
from runstore.containers._seal import Seal, footer_start, has_signature, signature_at
from runstore.containers._small import SmallFile, SmallFiles, learn_small, open_small
from runstore.containers._streamed import Written
from runstore.containers._write import arrow_file

if TYPE_CHECKING:
    from runstore.containers._file_digest import check_file, keeps_digest, with_digest
    from runstore.containers._footer import columns_beside, read_footer, readdressed, schema_in
    from runstore.containers._parquet import StoredParquet, open_parquet, parquet_file
    from runstore.containers._parquet_rows import ParquetRows
    from runstore.containers._part import open_part
    from runstore.containers._piecewise import ArrowPieces, ParquetPieces, open_pieces
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

# Few stages need these: they are imported with the first use.
_LATER = {
    **dict.fromkeys(("check_file", "keeps_digest", "with_digest"), "_file_digest"),
    **dict.fromkeys(("columns_beside", "read_footer", "readdressed", "schema_in"), "_footer"),
    **dict.fromkeys(("StoredParquet", "open_parquet", "parquet_file"), "_parquet"),
    "ParquetRows": "_parquet_rows",
    "open_part": "_part",
    **dict.fromkeys(("ArrowPieces", "ParquetPieces", "open_pieces"), "_piecewise"),
    **dict.fromkeys(("ArrowRows", "Column", "LeftOut"), "_row_window"),
}


if not TYPE_CHECKING:  # or mypy would take it for what has every name

    def __getattr__(name: str) -> Any:
        if name not in _LATER:
            raise AttributeError(f"module 'runstore.containers' has no attribute {name!r}")
        found = getattr(import_module(f"runstore.containers.{_LATER[name]}"), name)
        globals()[name] = found  # what is called for each object is looked up once
        return found

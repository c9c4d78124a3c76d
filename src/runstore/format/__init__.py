"""The containers: self-describing, digest-carrying Arrow and Parquet files.

`docs/format.md` is the specification; this room is its implementation. It knows
record batches and bytes, neither values nor places.
"""

from typing import TYPE_CHECKING, Any

from runstore.format._file_digest import check_file, with_digest
from runstore.format._footer import read_footer, readdressed, schema_in
from runstore.format._guard import Guard
from runstore.format._header import FORMAT_VERSION, Header
from runstore.format._part import open_part
from runstore.format._read import Stored, Verify, open_arrow
from runstore.format._seal import Seal, footer_start, has_signature, signature_at
from runstore.format._write import Written, arrow_file

if TYPE_CHECKING:
    from runstore.format._parquet import StoredParquet, open_parquet, parquet_file

__all__ = [
    "FORMAT_VERSION",
    "Guard",
    "Header",
    "Seal",
    "Stored",
    "StoredParquet",
    "Verify",
    "Written",
    "arrow_file",
    "check_file",
    "footer_start",
    "has_signature",
    "open_arrow",
    "open_parquet",
    "open_part",
    "parquet_file",
    "read_footer",
    "readdressed",
    "schema_in",
    "signature_at",
    "with_digest",
]


def __getattr__(name: str) -> Any:
    if name in ("StoredParquet", "open_parquet", "parquet_file"):  # slow to import, seldom used
        from runstore.format import _parquet

        return getattr(_parquet, name)
    raise AttributeError(f"module 'runstore.format' has no attribute {name!r}")

"""The container: one self-describing, digest-carrying Arrow file per object.

`docs/format.md` is the specification; this room is its implementation. It knows
record batches and bytes, neither values nor places.
"""

from runstore.format._header import FORMAT_VERSION, Header
from runstore.format._read import Stored, Verify, open_arrow, read_header, read_schema, readdressed
from runstore.format._seal import Seal, footer_start
from runstore.format._write import Written, arrow_file, footer_entries

__all__ = [
    "FORMAT_VERSION",
    "Header",
    "Seal",
    "Stored",
    "Verify",
    "Written",
    "arrow_file",
    "footer_entries",
    "footer_start",
    "open_arrow",
    "read_header",
    "read_schema",
    "readdressed",
]

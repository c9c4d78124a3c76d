"""What an object's last bytes tell without the rest: header, digest, schema.

The parsers are given the footer behind the format's magic, as a file whose body
is missing; neither looks at the body before data is asked for.
"""

from typing import Any

import pyarrow as pa

from runstore.buffers import Buffer
from runstore.errors import CorruptObjectError
from runstore.format._header import Header
from runstore.format._read import ARROW_ERRORS, header_in
from runstore.format._seal import is_sealed, reseal

__all__ = ["read_footer", "readdressed", "schema_in"]


def read_footer(footer: bytes, ref: str) -> tuple[Header, str, bool] | None:
    """Read header, body digest and whether it is signed from a footer, up to the end of the file.

    Returns:
        The signature is not checked. None for a file that runstore did not write.

    Raises:
        CorruptObjectError: The footer is damaged.
        UnsupportedFormatError: It is of a newer format version.
    """
    if not is_sealed(footer, ref):
        return None
    try:
        entries = _parsed(footer).metadata or {}
    except ARROW_ERRORS as exc:
        raise CorruptObjectError(f"{ref} is damaged: {exc}", ref) from exc
    header = header_in(entries, ref)
    digest = entries.get(b"runstore.body", b"").decode(errors="replace")
    return header, digest, b"runstore.signature" in entries


def schema_in(footer: bytes, ref: str) -> pa.Schema:
    """Read the Arrow schema from a footer, up to the end of the file.

    Raises:
        CorruptObjectError: The footer is damaged.
    """
    try:
        if _is_parquet(footer):
            return _parsed(footer).schema.to_arrow_schema().remove_metadata()
        return _parsed(footer).schema
    except ARROW_ERRORS as exc:
        raise CorruptObjectError(f"{ref} is damaged: {exc}", ref) from exc


def _is_parquet(footer: bytes) -> bool:
    return footer.endswith(b"PAR1")


def _parsed(footer: bytes) -> Any:
    if _is_parquet(footer):
        import pyarrow.parquet as pq

        return pq.read_metadata(pa.BufferReader(b"PAR1" + footer))
    return pa.ipc.RecordBatchFileReader(pa.py_buffer(b"ARROW1\0\0" + footer))


def readdressed(
    footer: bytes, old: Header, new: Header, body: Buffer = b"", key: bytes | None = None
) -> bytes | None:
    """Rewrite a footer for a copy of the object under another key.

    With *body* and *key* it is signed again; it has to be signed with that key.

    Returns:
        A footer of the same length; None if the new header does not fit into it,
        so that the object has to be written anew.
    """
    document = (old.to_json() or b"").rstrip()
    at = footer.find(document)
    if at < 0:
        return None
    end = at + len(document)
    while footer[end : end + 1] == b" ":
        end += 1
    text = new.to_json(end - at)
    return None if text is None else reseal(footer, footer[at:end], text, body, key)

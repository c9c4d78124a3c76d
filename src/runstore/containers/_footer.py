"""Read the last bytes of an object without the rest: header, digest, schema.

Header and digest of an Arrow file are read by our own parser, which executes nothing.
Schemas, and Parquet, take Arrow's: it is given the footer behind the format's magic,
as a file whose body is missing, and does not look at the body before data is asked for.
"""

import base64
from typing import Any

import pyarrow as pa
import xxhash

from runstore.buffers import Buffer
from runstore.containers._flatbuffer import MalformedError
from runstore.containers._guard import Guard
from runstore.containers._header import Header
from runstore.containers._messages import extension_names
from runstore.containers._read import ARROW_ERRORS, footer_of, header_in, unreadable
from runstore.containers._seal import is_sealed, reseal
from runstore.errors import CorruptObjectError

__all__ = ["check_extensions", "columns_beside", "read_footer", "readdressed", "schema_in"]


def read_footer(
    footer: bytes, ref: str, guard: Guard | None = None
) -> tuple[Header, str, bool] | None:
    """Read header, body digest and whether it is signed from a footer, up to the end of the file.

    Args:
        footer: Its bytes.
        ref: What to call the object in errors.
        guard: With one that trusts nobody, nothing of the file can be executed.

    Returns:
        The signature is not checked. None for a file that runstore did not write.

    Raises:
        CorruptObjectError: The footer is damaged.
        UnsupportedFormatError: It is of a newer format version.
    """
    if not is_sealed(footer, ref):
        return None
    entries = entries_in(footer, ref, guard)
    header = header_in(entries, ref)
    digest = entries.get(b"runstore.body", b"").decode(errors="replace")
    return header, digest, b"runstore.signature" in entries


def entries_in(footer: bytes, ref: str, guard: Guard | None) -> dict[bytes, bytes]:
    """Read the key-values of a footer, up to the end of the file.

    Raises:
        CorruptObjectError: The footer is damaged.
    """
    if not _is_parquet(footer):
        return footer_of(footer, ref).entries
    try:
        if guard is not None and not guard.trusted:
            return _parquet_entries(footer)
        return _parquet_metadata(footer).metadata or {}
    except (MalformedError, *ARROW_ERRORS) as exc:
        raise CorruptObjectError(f"{ref} is damaged: {exc}", ref) from exc


def columns_beside(footer: bytes, ref: str, guard: Guard | None = None) -> str | None:
    """Return a digest of names, types and metadata of the columns, where no body holds them.

    Arguments and errors as for `read_footer`.

    Returns:
        Of a Parquet file the digest. None of an Arrow file, whose body begins with its schema.
    """
    if not _is_parquet(footer):
        return None
    from runstore.containers._parquet_types import SECONDS

    state = xxhash.xxh3_128()
    for key, value in sorted(entries_in(footer, ref, guard).items()):
        if key == SECONDS or not key.startswith(b"runstore."):
            for part in (key, value):
                state.update(len(part).to_bytes(8, "little") + part)
    return state.hexdigest()


def check_extensions(footer: bytes, ref: str, guard: Guard) -> None:
    """Check the extension types that a footer's schema names, before Arrow asks their classes.

    Raises:
        CorruptObjectError: The footer is damaged.
        UnsafePickleError: *guard* does not accept them.
    """
    if guard.trusted:
        return
    try:
        if not _is_parquet(footer):
            names = footer_of(footer, ref).extensions
        else:
            schema = _parquet_entries(footer).get(b"ARROW:schema")
            names = extension_names(base64.b64decode(schema, validate=True)) if schema else set()
    except ValueError as exc:  # MalformedError is one
        raise CorruptObjectError(f"{ref} is damaged: {exc}", ref) from exc
    guard.check_extensions(names, ref)


def schema_in(footer: bytes, ref: str, guard: Guard | None = None) -> pa.Schema:
    """Read the Arrow schema from a footer, up to the end of the file.

    Raises:
        CorruptObjectError: The footer is damaged.
        UnsafePickleError: *guard* does not accept its extension types.
    """
    if guard is not None:
        check_extensions(footer, ref, guard)
    try:
        if _is_parquet(footer):
            from runstore.containers._parquet_types import with_seconds

            told = _parquet_metadata(footer)
            schema = told.schema.to_arrow_schema().remove_metadata()
            return with_seconds(schema, told.metadata or {})
        return pa.ipc.RecordBatchFileReader(pa.py_buffer(b"ARROW1\0\0" + footer)).schema
    except ARROW_ERRORS as exc:
        raise unreadable(ref, None, exc) from exc


def _parquet_metadata(footer: bytes) -> Any:
    import pyarrow.parquet as pq

    return pq.read_metadata(pa.BufferReader(b"PAR1" + footer))


def _is_parquet(footer: bytes) -> bool:
    """Return whether it is the footer of a Parquet file."""
    return footer.endswith(b"PAR1")


def readdressed(
    footer: bytes,
    old: Header,
    new: Header,
    body: Buffer = b"",
    key: bytes | None = None,
    signed_with: bytes | None = None,
) -> bytes | None:
    """Rewrite a footer for a copy of the object under another key.

    With *body* and *key* it is signed again; *signed_with* is the key that it is signed
    with, if that is another.

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
    return None if text is None else reseal(footer, footer[at:end], text, body, key, signed_with)


def _parquet_entries(footer: bytes) -> dict[bytes, bytes]:
    from runstore.containers._thrift import parquet_entries  # few objects are Parquet files

    return parquet_entries(footer)

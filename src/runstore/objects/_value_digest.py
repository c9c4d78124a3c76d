"""The digest of a stored value, by which references name its version."""

import json

import xxhash

from runstore import containers
from runstore.containers import Guard, Header

__all__ = ["earlier_digest", "value_digest"]


def value_digest(header: Header, body: str, footer: bytes, ref: str, guard: Guard) -> str:
    """Return the digest of a value: of its data, and of what the codec needs to rebuild it.

    Args:
        header: Of its object.
        body: The digest of the object's body.
        footer: Of its file. That of a Parquet file has the columns, which are not in its body.
        ref: What to call the object in errors.
        guard: As for `runstore.containers.read_footer`.
    """
    columns = containers.columns_beside(footer, ref, guard)
    return _digest(header, body, *([] if columns is None else [columns]))


def earlier_digest(header: Header, body: str) -> str:
    """Return the digest that references of earlier versions have; that of Parquet was another."""
    return _digest(header, body)


def _digest(header: Header, body: str, *columns: str) -> str:
    parts = [body, header.type, header.codec, header.codec_version, header.spec, *columns]
    return xxhash.xxh3_128_hexdigest(json.dumps(parts, sort_keys=True).encode())

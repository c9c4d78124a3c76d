"""Seals: the list of the parts that are one object, as rows of a small table.

A seal names exact writes of parts: key, write id, digest, rows and size, in order. Where a part
lies follows from its key and write id, so a seal cannot name a file outside of its own folder.
"""

import json
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Any

import pyarrow as pa

from runstore.errors import CorruptObjectError
from runstore.parts import PartKey, is_write_id, part_in, part_order, part_text

__all__ = ["SEALED", "SEAL_VERSION", "Sealed", "SealedPart", "seal_rows", "seal_spec", "sealed_in"]

SEALED = "sealed"
"""What stands as the codec in the header of a seal, by which it is known."""

SEAL_VERSION = 1
"""Of the layout of a seal; stands in its header."""

_SCHEMA = pa.schema(
    [
        pa.field("part", pa.string(), nullable=False),
        pa.field("write_id", pa.string(), nullable=False),
        pa.field("digest", pa.string(), nullable=False),
        pa.field("rows", pa.int64()),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("more", pa.string()),
    ]
)

_LEAST = 40  # bytes of a row: offsets, numbers, a write id


@dataclass(frozen=True, slots=True)
class SealedPart:
    """One part, as its seal names it.

    Attributes:
        part: The key; of a folder's file its path.
        write_id: Of the write that is meant.
        digest: ``xxh3_128:`` and 32 hex digits: of the part's data, as `ObjectInfo.digest`; of a
            file without a header, of all its bytes.
        rows: Of a table; an array's length; else None.
        size: Stored bytes of the file.
        more: What else is kept of it, JSON: as the mode of a file.
    """

    part: PartKey
    write_id: str
    digest: str
    rows: int | None
    size: int
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a seal says.

    Attributes:
        kind: What the parts are together: ``parts`` of one value, or files of a ``folder``.
        parts: In the order of their keys.
        layout: What all parts have in common; see `runstore.codecs.layout_of`.
        extension: Of the part files: ``arrow``, or ``file`` for files without a header.
    """

    kind: str
    parts: tuple[SealedPart, ...]
    layout: dict[str, Any] | None = None
    extension: str = "arrow"

    @property
    def size(self) -> int:
        """Stored bytes of all parts."""
        return sum(part.size for part in self.parts)


def seal_rows(sealed: Sealed) -> pa.RecordBatch:
    """Return what the Arrow file of a seal holds: a row for each part."""
    parts = sealed.parts
    columns = [
        pa.array([part_text(one.part) for one in parts], pa.string()),
        pa.array([one.write_id for one in parts], pa.string()),
        pa.array([one.digest for one in parts], pa.string()),
        pa.array([one.rows for one in parts], pa.int64()),
        pa.array([one.size for one in parts], pa.int64()),
        pa.array([json.dumps(one.more) if one.more else None for one in parts], pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)


def seal_spec(sealed: Sealed) -> dict[str, Any]:
    """Return what the header of a seal says of the parts together."""
    spec: dict[str, Any] = {
        "kind": sealed.kind,
        "size": sealed.size,
        "count": len(sealed.parts),
        "extension": sealed.extension,
    }
    if sealed.layout is not None:
        spec["layout"] = sealed.layout
    return spec


def sealed_in(table: pa.Table, spec: dict[str, Any], ref: str, size: int) -> Sealed:
    """Return the seal with these rows and this spec; every entry is checked.

    Args:
        table, spec: What `seal_rows` and `seal_spec` gave.
        ref: What to call it in errors.
        size: Bytes of its file. A seal is not compressed: its rows are no more than fit into it.

    Raises:
        CorruptObjectError: They are no seal.
    """
    try:
        if table.num_rows * _LEAST > size:
            raise ValueError("it has more rows than its file has room for")
        return _sealed_in(table, spec)
    except (ValueError, KeyError, TypeError, pa.ArrowException) as exc:
        raise CorruptObjectError(f"{ref} is no seal of parts: {exc}", ref) from exc


def _sealed_in(table: pa.Table, spec: dict[str, Any]) -> Sealed:
    if table.schema != _SCHEMA:
        raise ValueError("its columns are others")
    if spec["extension"] not in ("arrow", "file") or not isinstance(spec["kind"], str):
        raise ValueError("it names no kind of parts")
    parts = []
    for row in chain.from_iterable(map(pa.RecordBatch.to_pylist, table.to_batches(1024))):
        if not is_write_id(row["write_id"]):
            raise ValueError(f"{row['write_id'][:70]!r} is no write id")
        if row["size"] < 0 or (row["rows"] is not None and row["rows"] < 0):
            raise ValueError("a part has a negative size")
        more = {} if row["more"] is None else json.loads(row["more"])
        if not isinstance(more, dict):
            raise TypeError("what it says of a part is no object of JSON")
        parts.append(SealedPart(part_in(row.pop("part")), **row | {"more": more}))
    found = Sealed(spec["kind"], tuple(parts), spec.get("layout"), spec["extension"])
    if found.kind == "parts" and not parts:
        raise ValueError("it names no parts")
    for one, following in pairwise(parts):
        if part_order(one.part) >= part_order(following.part):
            raise ValueError("its parts are not in order, each once")
    if (spec["size"], spec["count"]) != (found.size, len(parts)):
        raise ValueError("it counts its parts wrong")
    return found

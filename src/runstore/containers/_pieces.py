"""The pieces of a file that is read in parts: where they lie, their digests, what is in them.

A piece is a record batch of an Arrow file, with the dictionaries in front of it, or a row group
of a Parquet file. A file of several has a list of them in its footer, so that each can be
checked without the others, and left out where a filter selects none of its rows.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import xxhash

from runstore.containers._ranges import Range, has_range, is_orderly, range_of
from runstore.errors import CorruptObjectError

__all__ = ["PIECES", "PieceLog", "Pieces"]

PIECES = b"runstore.pieces"
"""The key in the footer."""

_TRIED = 4  # pieces after which a column whose values overlap is left out
_LONGEST = 1 << 62


@dataclass(slots=True)
class Pieces:
    """The list of a file's pieces.

    Attributes:
        starts, ends: Where each begins, and ends, in the file.
        rows: How many rows each has.
        digests: Of the bytes of each; 32 hexadecimal digits.
        ranges: By the number of a column, the smallest and largest value in each piece, and
            whether there are nulls; None for a piece of which that is not known.
    """

    starts: list[int]
    ends: list[int]
    rows: list[int]
    digests: list[str]
    ranges: dict[int, list[Range | None]] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """Return it as it stands in the footer."""
        document: dict[str, Any] = {"ends": self.ends, "rows": self.rows, "xxh3": self.digests}
        if self.ranges:
            document["ranges"] = self.ranges
        return json.dumps(document, separators=(",", ":")).encode("ascii")

    @classmethod
    def from_json(cls, text: bytes, body: int, ref: str) -> "Pieces":
        """Read what `to_json` gave.

        Args:
            text: As it stands in the footer.
            body: Where the footer begins.
            ref: What to call the object in errors.

        Raises:
            CorruptObjectError: It is no such list.
        """
        try:
            document = json.loads(text)
            ends, rows = document["ends"], document["rows"]
            digests = document["xxh3"]
            starts = [0, *ends[:-1]]
            numbers = all(type(n) is int and 0 <= n < _LONGEST for n in (*ends, *rows))
            if not numbers or not all(type(one) is str for one in digests):
                raise ValueError("a number of it is none")
            if not len(ends) == len(rows) == len(digests):
                raise ValueError("its lists differ in length")
            if sorted(ends) != ends or (ends and ends[-1] > body):
                raise ValueError("a piece lies outside the data")
            ranges = {}
            for column, found in document.get("ranges", {}).items():
                if len(found) != len(ends) or not all(map(is_orderly, found)):
                    raise ValueError("a range of values is none")
                ranges[int(column)] = [None if one is None else tuple(one) for one in found]
            return cls(starts, ends, rows, digests, ranges)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
            raise CorruptObjectError(
                f"{ref} is damaged: its list of pieces cannot be read: {exc}", ref
            ) from exc


class PieceLog:
    """Notes the pieces of a file while it is written.

    Args:
        schema: That of the batches.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._digest = xxhash.xxh3_128()
        self._at = 0
        self._rows = 0
        self._found = Pieces([], [], [], [])
        self._columns = {i: _Column() for i, kind in enumerate(schema.types) if has_range(kind)}

    @property
    def has_several(self) -> bool:
        """Whether there is more than one; the digest of the file is that of a single one."""
        return len(self._found.ends) > 1

    def begin(self, batch: pa.RecordBatch) -> None:
        """Note what is in the piece to come."""
        self._rows = batch.num_rows
        for i in list(self._columns):
            if not self._columns[i].add(batch.column(i)):
                del self._columns[i]

    def add(self, data: memoryview) -> None:
        """Take in the next bytes of the file."""
        self._digest.update(data)
        self._at += data.nbytes

    def end(self) -> None:
        """Note that all bytes of the piece have come."""
        found = self._found
        found.starts.append(found.ends[-1] if found.ends else 0)
        found.ends.append(self._at)
        found.rows.append(self._rows)
        found.digests.append(self._digest.hexdigest())
        self._digest = xxhash.xxh3_128()

    def close(self) -> Pieces:
        """Return the list."""
        self._found.ranges = {
            i: column.ranges for i, column in self._columns.items() if column.tells()
        }
        return self._found


class _Column:
    """The ranges of a column, as long as they tell pieces apart."""

    def __init__(self) -> None:
        self.ranges: list[Range | None] = []
        self._apart = 0
        self._last: tuple[Any, Any] | None = None

    def add(self, column: pa.Array) -> bool:
        """Note the range of a piece; return whether to go on with this column."""
        known = range_of(column)
        if known is None:
            self.ranges.append(None)
        else:
            told, low, high = known
            self.ranges.append(told)
            last, self._last = self._last, (low, high)
            self._apart += last is None or _are_apart((low, high), last)
        return len(self.ranges) < _TRIED or self.tells()

    def tells(self) -> bool:
        """Return whether neighbouring pieces have values of their own, for the most part."""
        return 2 * self._apart > len(self.ranges) and not all(r is None for r in self.ranges)


def _are_apart(one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    """Return whether two ranges have no more than an end in common, or one is a single value."""
    if one[0] is None or other[0] is None or one[0] == one[1]:
        return True
    return bool(one[0] >= other[1] or one[1] <= other[0])

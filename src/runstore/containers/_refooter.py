"""Key-values for the footer of an Arrow file that are known only when its data is written.

Arrow's writer takes the key-values of a footer before the first batch. So the footer that
it wrote is put behind a new root table with the key-values of the end: both refer to the
same schema and the same list of batches.
"""

import struct

from runstore.containers._flatbuffer import Table
from runstore.errors import UnsupportedValueError

__all__ = ["with_entries"]

_END = 10  # bytes of the footer's length and the magic
_FIELDS = 5  # of a footer: version, schema, dictionaries, batches, key-values
_VTABLE, _TABLE = 4, 20  # where the list of fields begins, and the table
_TABLE_SIZE = 24
_PAIRS = _TABLE + _TABLE_SIZE  # where the list of key-values begins
_PAIR_VTABLE = struct.pack("<4H", 8, 12, 4, 8)  # a key-value has two references
_MOST = 1 << 31


def with_entries(tail: bytes, entries: dict[bytes, bytes]) -> bytes:
    """Return the end of an Arrow file with these key-values in its footer, and no others.

    Args:
        tail: The last bytes of the file, from somewhere before the footer on.
        entries: Key to value.

    Raises:
        UnsupportedValueError: The footer would be longer than the format allows.
    """
    length = int.from_bytes(tail[-_END : -_END + 4], "little")
    start = len(tail) - _END - length
    old = tail[start:-_END]
    root = Table.root(memoryview(old))
    pairs = _pairs(entries)
    shift = -(-(_PAIRS + len(pairs)) // 8) * 8  # what follows keeps its alignment
    footer = bytearray(shift)
    struct.pack_into("<I", footer, 0, _TABLE)
    fields = [4, *(0 if root.position(i) is None else 4 + 4 * i for i in (1, 2, 3)), 20]
    struct.pack_into(f"<{2 + _FIELDS}H", footer, _VTABLE, 4 + 2 * _FIELDS, _TABLE_SIZE, *fields)
    struct.pack_into("<ih", footer, _TABLE, _TABLE - _VTABLE, root.number(0, 2))
    for field in (1, 2, 3):
        at, target = _TABLE + 4 + 4 * field, root.position(field)
        if target is not None:
            struct.pack_into("<I", footer, at, shift + target - at)
    struct.pack_into("<I", footer, _TABLE + 20, _PAIRS - (_TABLE + 20))
    footer[_PAIRS : _PAIRS + len(pairs)] = pairs
    if len(footer) + len(old) >= _MOST:
        raise UnsupportedValueError("it has too many batches for one Arrow file")
    new = bytes(footer) + old
    return tail[:start] + new + struct.pack("<i", len(new)) + tail[-6:]


def _pairs(entries: dict[bytes, bytes]) -> bytes:
    """Return a list of key-values, the tables behind it."""
    count = len(entries)
    vtable = 4 + 4 * count
    out = bytearray(struct.pack("<I", count) + bytes(4 * count) + _PAIR_VTABLE)
    for i, (key, value) in enumerate(entries.items()):
        table = len(out)
        struct.pack_into("<I", out, 4 + 4 * i, table - (4 + 4 * i))
        first, second = _text(key), _text(value)
        out += struct.pack("<iII", table - vtable, 8, 4 + len(first))
        out += first + second
    return bytes(out)


def _text(text: bytes) -> bytes:
    """Return a text with its length in front and a zero behind, padded to whole words."""
    return struct.pack("<I", len(text)) + text + bytes(4 - len(text) % 4)

"""Values that are one small cell, encoded and decoded in one step.

Text, bytes and JSON are put most often. Their cells hold what `TextCodec`,
`BytesCodec` and `JsonCodec` put there.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from runstore.codecs._base import Codec, type_name
from runstore.codecs._cells import schema_of
from runstore.codecs._python import (
    FROM,
    BytesCodec,
    JsonCodec,
    TextCodec,
    encoded_json,
    has_columns,
    is_json,
)

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SmallKind", "is_small_kind", "small_kinds", "value_in"]


class SmallKind(NamedTuple):
    """How values of one type become a cell.

    Attributes:
        type: The name of the type.
        codec: Which codec reads them.
        schema: Of their files.
        spec: For the codec.
        cell: Returns the cell of a value; None if that is not small, or another codec keeps it.
    """

    type: str
    codec: Codec
    schema: "pa.Schema"
    spec: dict[str, Any]
    cell: Callable[[Any], bytes | None]


def _text(value: str) -> bytes | None:
    try:
        return value.encode()
    except UnicodeEncodeError:  # a lone surrogate is not text to Arrow
        return None


def _scalar(value: Any) -> bytes | None:
    return encoded_json(value) if is_json(value) else None


def _container(value: Any) -> bytes | None:
    if len(value) >= FROM or has_columns(value) or not is_json(value):
        return None
    return encoded_json(value)


def _bytes(value: bytes) -> bytes:
    return value


_BYTES, _TEXT, _JSON = BytesCodec(), TextCodec(), JsonCodec()


def _kind(kind: type, codec: Codec, column: str, cell: Callable[[Any], bytes | None]) -> SmallKind:
    spec = {"type": kind.__name__} if codec is _BYTES else {}
    return SmallKind(type_name(kind), codec, schema_of(column), spec, cell)


small_kinds: dict[type, SmallKind] = {
    bytes: _kind(bytes, _BYTES, "data", _bytes),
    bytearray: _kind(bytearray, _BYTES, "data", bytes),
    str: _kind(str, _TEXT, "text", _text),
    **{
        kind: _kind(kind, _JSON, "json", cell)
        for kind, cell in (
            *((one, _scalar) for one in (type(None), bool, int, float)),
            *((one, _container) for one in (dict, list)),
        )
    },
}
"""By the exact type of the value."""


def is_small_kind(codec: str, version: int) -> bool:
    """Return whether `value_in` rebuilds what this version of a codec has written."""
    return codec in _DECODERS and version == 1


def value_in(codec: str, spec: dict[str, Any], cell: bytes) -> Any:
    """Rebuild a value from its cell.

    Raises:
        ValueError, KeyError, RecursionError: The cell is not what the codec writes.
    """
    return _DECODERS[codec](cell, spec)


_DECODERS: dict[str, Callable[[bytes, dict[str, Any]], Any]] = {
    "bytes": lambda cell, spec: cell if spec["type"] == "bytes" else _bytearray(cell, spec),
    "str": lambda cell, spec: cell.decode(),
    "json": lambda cell, spec: json.loads(cell.decode()),
}


def _bytearray(cell: bytes, spec: dict[str, Any]) -> bytearray:
    return {"bytearray": bytearray}[spec["type"]](cell)

"""Which Arrow types a decoder accepts: those that its encoder writes, and no others."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

from runstore.codecs._base import Opened
from runstore.errors import CorruptObjectError

__all__ = [
    "check_type",
    "is_binary",
    "is_binary_of_any_width",
    "is_date",
    "is_dictionary",
    "is_duration",
    "is_fixed_binary",
    "is_number",
    "is_text",
    "is_text_or_binary",
    "is_time",
    "is_timestamp",
    "is_truth",
]

Accepts = Callable[[Any], bool]


def check_type(opened: Opened, kind: pa.DataType, accepts: Accepts) -> None:
    """Raise CorruptObjectError unless *accepts* takes a column's type."""
    if isinstance(kind, pa.BaseExtensionType) or not accepts(kind):
        raise CorruptObjectError(
            f"{opened.ref} is damaged: a column of type {kind} stands where its description says "
            "that there is another",
            opened.ref,
        )


def is_number(kind: pa.DataType) -> bool:
    """Return whether it is an integer or a float."""
    return bool(kinds.is_integer(kind) or kinds.is_floating(kind))


def is_text(kind: pa.DataType) -> bool:
    """Return whether it is text with offsets."""
    return bool(kinds.is_large_string(kind) or kinds.is_string(kind))


def is_binary(kind: pa.DataType) -> bool:
    """Return whether it is bytes with offsets."""
    return bool(kinds.is_large_binary(kind) or kinds.is_binary(kind))


def is_binary_of_any_width(kind: pa.DataType) -> bool:
    """Return whether it is bytes, with offsets or of one width."""
    return is_binary(kind) or is_fixed_binary(kind)


def is_text_or_binary(kind: pa.DataType) -> bool:
    """Return whether it is text or bytes with offsets."""
    return is_text(kind) or is_binary(kind)


def is_dictionary(kind: pa.DataType) -> bool:
    """Return whether it is codes and a dictionary."""
    return bool(kinds.is_dictionary(kind))


def is_timestamp(kind: pa.DataType) -> bool:
    """Return whether it is points in time."""
    return bool(kinds.is_timestamp(kind))


def is_duration(kind: pa.DataType) -> bool:
    """Return whether it is lengths of time."""
    return bool(kinds.is_duration(kind))


def is_truth(kind: pa.DataType) -> bool:
    """Return whether it is true and false."""
    return bool(kinds.is_boolean(kind))


def is_date(kind: pa.DataType) -> bool:
    """Return whether it is days."""
    return bool(kinds.is_date32(kind))


def is_fixed_binary(kind: pa.DataType) -> bool:
    """Return whether it is bytes of one width."""
    return bool(kinds.is_fixed_size_binary(kind))


def is_time(kind: pa.DataType) -> bool:
    """Return whether it is times of day in microseconds."""
    return bool(kind == pa.time64("us"))

"""What a reader takes of a file: the exact types that the encoder writes, and no others.

A file may have any tag in any place. A range, say, takes a few bytes, and billions of them once it
is made a list of: so no part is gone through before its type is known.
"""

from typing import Any

from runstore.errors import CorruptObjectError

__all__ = ["all_exactly", "exactly"]


def exactly(part: Any, ref: str, *kinds: type | None) -> Any:
    """Return *part*.

    Args:
        part: What was read.
        ref: The object, for messages.
        kinds: The types that it may have; None stands for the value None.

    Raises:
        CorruptObjectError: It is of another type, or of a class made of one of them.
    """
    if type(part) in kinds or (part is None and None in kinds):
        return part
    told = " or ".join("None" if kind is None else kind.__name__ for kind in kinds)
    raise CorruptObjectError(
        f"{ref} is damaged: a {type(part).__name__} stands where {told} belongs", ref
    )


def all_exactly(parts: Any, ref: str, *kinds: type | None, count: int | None = None) -> list[Any]:
    """Return *parts*, which is a list.

    Args:
        parts: What was read.
        ref: The object, for messages.
        kinds: The types that its items may have.
        count: How many items it has.

    Raises:
        CorruptObjectError: It is no list, has another number of items, or one of another type.
    """
    found: list[Any] = exactly(parts, ref, list)
    if count is not None and len(found) != count:
        raise CorruptObjectError(f"{ref} is damaged: {len(found)} parts, not {count}", ref)
    for part in found:
        exactly(part, ref, *kinds)
    return found

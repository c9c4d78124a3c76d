"""Leftovers of interrupted writes in a place, for clean-up."""

from datetime import datetime
from typing import Literal, NamedTuple

from runstore.places._base import Backend

__all__ = ["Leftover", "leftovers"]


class Leftover(NamedTuple):
    """What an interrupted write has left, and `Backend.sweep` removes.

    Attributes:
        key: Where it is, below the place's root; of an upload the key that it was for.
        kind: ``temporary``; an ``upload`` that was neither completed nor aborted; a ``probe``, by
            which the place was asked what it can do.
        size: Bytes; 0 where the place does not say, as of uploads.
        modified: When it was last written to, UTC.
    """

    key: str
    kind: Literal["temporary", "upload", "probe"]
    size: int
    modified: datetime


def leftovers(backend: Backend, older_than: float) -> list[Leftover]:
    """Return what `Backend.sweep` would remove now, as far as the place can list it.

    A place that can has a method of this name; of another one nothing is known.

    Args:
        backend: The place.
        older_than: As of `Backend.sweep`.

    Raises:
        MissingExtraError: What lists it is not installed.
        StorageError: The place failed.
    """
    look = getattr(backend, "leftovers", None)
    found: list[Leftover] = [] if look is None else look(older_than)
    return found

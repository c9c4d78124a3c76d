"""Sizes as texts for people; times, types and shapes are in `runstore.texts`."""

from runstore.texts import human_size

__all__ = ["size"]


def size(nbytes: int | None) -> str:
    """Return a number of bytes as text: ``1.2 KB``; an empty text for None."""
    return "" if nbytes is None else human_size(nbytes)

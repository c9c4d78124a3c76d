"""What differs between two pieces of plain data: dicts, lists, texts and numbers."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from runstore.store._differences import Change

__all__ = ["changes"]


_MOST = 10_000  # differences that are told of one piece of data


def changes(one: Any, other: Any) -> tuple[Change, ...]:
    """Return the differences of two pieces of plain data, in the order of the first; some at most.

    NaN is equal to itself; 1, 1.0 and True are not equal to each other, nor a list to a tuple.
    """
    return tuple(islice(_differences(one, other, ""), _MOST))


def _differences(one: Any, other: Any, path: str) -> Iterator[Change]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key, item in one.items():
            at = f"{path}.{key}" if path else str(key)
            if key in other:
                yield from _differences(item, other[key], at)
            else:
                yield Change(at, "removed", item, None)
        for key, item in other.items():
            if key not in one:
                yield Change(f"{path}.{key}" if path else str(key), "added", None, item)
    elif isinstance(one, (list, tuple)) and isinstance(other, type(one)):
        for position, (left, right) in enumerate(zip(one, other, strict=False)):
            yield from _differences(left, right, f"{path}[{position}]")
        for position, item in enumerate(one[len(other) :], len(other)):
            yield Change(f"{path}[{position}]", "removed", item, None)
        for position, item in enumerate(other[len(one) :], len(one)):
            yield Change(f"{path}[{position}]", "added", None, item)
    elif not _same(one, other):
        yield Change(path, "changed", one, other)


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    return bool(one == other or (isinstance(one, float) and one != one and other != other))

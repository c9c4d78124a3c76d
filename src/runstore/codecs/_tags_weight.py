"""What a tree of tagged JSON takes in memory: its lists and dicts, and what its tags become."""

import re

from runstore.weights import json_weight

__all__ = ["COPYING", "weight_of"]

COPYING = frozenset(("$array", "$graph", "$image", "$masked", "$poly", "$rng", "$sparse"))
"""Tags of which the value is made by copying arrays, which may stand in many places."""

_ROUGH = 1 << 20  # bytes that every file may take

# Bytes of values that take far more than their text and the lists and dicts in it.
_HEAVY = {
    "$array": 128,
    "$categories": 1024,
    "$crs": 1 << 16,
    "$deque": 1024,
    "$dtype": 512,
    "$geometry": 1024,
    "$graph": 2048,
    "$image": 1024,
    "$masked": 1024,
    "$offset": 512,
    "$pandas_dtype": 1024,
    "$pattern": 4096,
    "$pendulum": 1024,
    "$pint": 1024,
    "$poly": 1024,
    "$random": 4096,
    "$rng": 1 << 14,
    "$sparse": 1024,
}


_ASCII = re.compile(r"\\u00([2-7][0-9a-fA-F])")


def weight_of(text: str) -> int:
    """Return a bound of the bytes that a tree takes with the values of its tags.

    Arrays and packed containers, which are leaves of the tree, are not counted.
    """
    found = json_weight(text, _ROUGH)
    if "\\u00" in text:  # which JSON also takes for the letters of a tag
        text = _ASCII.sub(lambda found: chr(int(found[1], 16)), text)
    if "$" in text:
        found += sum(cost * text.count(f'"{tag}"') for tag, cost in _HEAVY.items())
    return found

"""How much memory JSON takes as Python objects: weighed by its text, before it is parsed.

A few characters of JSON can become a list or dict of a hundred bytes. Whoever reads a file that
another may have forged has to know how much it would take before anything is made of it.
"""

import re

__all__ = ["json_weight"]

# Bytes, at most, that a character of JSON stands for: the object that begins there, or the place
# of an item in it with the number or the head of the text there.
_COSTS = {"[": 96, "{": 208, ",": 56, ":": 112}
_TEXT = 64  # bytes of a text besides its characters
_WIDEST = 4  # bytes of a character of a text that is not ASCII
_STRING = re.compile(r'"[^"]*"')


def json_weight(text: str, enough: int = 0) -> int:
    """Return a bound of the bytes that ``json.loads(text)`` takes, the text itself included.

    The bound is at most about a hundred times the text. The time grows with the text.

    Args:
        text: JSON, or anything else.
        enough: A bound up to this many bytes may be a rough one.
    """
    own = len(text) * (2 if text.isascii() else 2 * _WIDEST)  # and the texts in it
    rough = own + _structure(text) + text.count('"') // 2 * _TEXT
    if rough <= enough:
        return rough
    plain = text.replace("\\\\", "").replace('\\"', "")  # so that a quote ends a text
    return own + _structure(_STRING.sub("", plain)) + plain.count('"') // 2 * _TEXT


def _structure(text: str) -> int:
    return sum(text.count(sign) * cost for sign, cost in _COSTS.items())

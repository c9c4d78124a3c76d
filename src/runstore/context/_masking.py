"""The secrets of one run, and texts without them: errors and log lines say what a stage tells them.

A text is masked before it is cut. Else the beginning of a secret would stay.
"""

import json
import re
from functools import cached_property
from typing import Any
from urllib.parse import quote, quote_plus

from runstore.secret_names import NOT_SHOWN, secret_texts

__all__ = ["Secrets"]

_SHORTEST = 4  # characters; a shorter one would be found in any text
_WORD = 8  # characters; a shorter one counts only as a whole word


class Secrets:
    """The values that a run was given as secrets, by the rule of `without_secrets`.

    Args:
        values: Its input and its config.
    """

    def __init__(self, *values: Any) -> None:
        self._values = values

    def __repr__(self) -> str:
        return "Secrets()"

    def masked(self, text: str) -> str:
        """Return a text with ``(not shown)`` for each secret in it.

        A secret is found as it is, as `repr` and JSON write it, and as a URL has it. One of fewer
        than 4 characters stays, and one of fewer than 8 is found only as a whole word.
        """
        pattern = self._pattern
        return text if pattern is None else pattern.sub(NOT_SHOWN, text)

    @cached_property
    def _pattern(self) -> "re.Pattern[str] | None":
        found = {text.strip() for value in self._values for text in secret_texts(value)}
        forms = {form for text in found if len(text) >= _SHORTEST for form in _forms(text)}
        if not forms:
            return None
        return re.compile("|".join(map(_sought, sorted(forms, key=len, reverse=True))))


def _forms(text: str) -> set[str]:
    """Return how a secret may stand in a text: as it is, as `repr` and JSON write it, in a URL."""
    readable = text.encode(errors="replace").decode()  # which lone surrogates are not
    in_url = {quote(readable, safe=""), quote(readable), quote_plus(readable)}
    return {text, repr(text)[1:-1], json.dumps(text)[1:-1], *in_url}


def _sought(form: str) -> str:
    escaped = re.escape(form)
    return escaped if len(form) >= _WORD else rf"(?<![^\W_]){escaped}(?![^\W_])"

"""Which storage options may travel with a store's address, and which values must not be shown.

The names are told here for all places together; a place may add some of its own.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from functools import cached_property
from pathlib import Path
from typing import Any

__all__ = [
    "NOT_SHOWN",
    "Secrets",
    "is_secret",
    "is_secret_setting",
    "secret_texts",
    "split_secrets",
    "without_secrets",
]

NOT_SHOWN = "(not shown)"
"""Stands for a secret where values are shown."""


# These are compiled with the first use, which few processes make: that takes milliseconds.
# What is once secret by name for some protocol counts as secret for all.
_OPTIONS = (
    r"pass(word|phrase|wd|code)?$|secret|token|credential|(account|access|api|private|shared)_?key"
    r"|^key$|^sas|_sas|connection_string|^auth|_auth$|authorization|cookie|headers?$|client_cert"
    r"|certificate|^cert$|pkey|client_keys|customer_?key"
)
# Of values of a workflow only text counts, and only names that can hardly mean anything else: a
# config has max_tokens, tokenizer and key columns.
_SETTINGS = (
    r"(^|[^a-z])(pass(words?|phrases?|wd|codes?)|pwd|secrets?|tokens?|credentials?|authorization"
    r"|cookies?"
    r"|(account|access|api|auth|client|encryption|master|private|secret|shared|signing)[^a-z]*keys?"
    r"|connection[^a-z]*string|sas)$"
)
_CREDENTIALS = r"://[^/@\s]*:[^/@\s]+@"
# What a text tells by name: connection strings (``Password=…;``, ``host=h password=…``), and the
# query of a URL. There are fewer names than above: a text has max_tokens=512, too.
_IN_TEXT = (
    r"(passw(or)?d|passphrase|(?<![a-z])(pass|pwd)"
    r"|(access|account|api|private|secret|signing)[_ -]?key"
    r"|(?<![a-z])(client[_-]?)?secret|shared[_ -]?access[_ -]?signature)\s*=\s*[^\s;&=]"
    r"|[?&]([\w.-]*[_.-])?(access|auth|id|refresh)?(token|sig|signature|authorization)=[^\s&#]"
)
_WORDS = frozenset({"anon", "cloud", "google_default", "browser", "cache"})  # tokens of gcsfs
_DEEPEST = 16
_SHORTEST = 4  # characters; a shorter one would be found in any text
_WORD = 8  # characters; a shorter one counts only as a whole word
_PATHS = r"token|client_keys|cert|credential"


def split_secrets(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options that may be seen and written down, and those that may not.

    An option that JSON cannot hold stays in the process, too.
    """
    secret = {name: value for name, value in options.items() if is_secret(name, value)}
    return {name: value for name, value in options.items() if name not in secret}, secret


def is_secret(name: str, value: Any) -> bool:
    """Return whether an option must not leave the process."""
    if value is None or isinstance(value, bool):
        return False
    if isinstance(value, Mapping):
        return any(is_secret(str(inner), one) for inner, one in value.items())
    if re.search(_OPTIONS, name, re.IGNORECASE):
        return not (isinstance(value, str) and value in _WORDS) and not _is_path(name, value)
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return True
    return isinstance(value, str) and re.search(r"://[^/@]*:[^/@]*@", value) is not None


def is_secret_setting(name: str, value: object) -> bool:
    """Return whether a value of a workflow's config or input must not be written down.

    It is text or bytes whose name says so (``api_key``, ``dbPassword``, ``hf_token``), a dict or
    set of such a name that has text in it, or text with a password or signature in it: a URL with
    a user or a query, or a connection string. The items of a list are looked at one by one.
    """
    if isinstance(value, (Mapping, Set)):
        return _is_secret_name(name) and _has_text(value, _DEEPEST)
    if not isinstance(value, (str, bytes, bytearray)) or not value:
        return False
    return _is_secret_name(name) or (isinstance(value, str) and _tells_a_secret(value))


def _is_secret_name(name: str) -> bool:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.search(_SETTINGS, words, re.IGNORECASE) is not None


def _tells_a_secret(text: str) -> bool:
    if "://" in text and re.search(_CREDENTIALS, text) is not None:
        return True
    return "=" in text and re.search(_IN_TEXT, text, re.IGNORECASE) is not None


def _has_text(value: object, deepest: int) -> bool:
    """Return whether there is text in a value, or it is too deep to say."""
    if isinstance(value, (str, bytes, bytearray)):
        return bool(value)
    if not isinstance(value, (Mapping, Set, list, tuple)):
        return False
    if deepest <= 0:
        return True
    if isinstance(value, dict):
        inner: Iterable[Any] = dict.values(value)
    else:
        inner = value.values() if isinstance(value, Mapping) else value
    return any(_has_text(one, deepest - 1) for one in inner)


def without_secrets(value: Any, name: str = "", deepest: int = _DEEPEST) -> Any:
    """Return a value of a workflow as it may be shown: with `NOT_SHOWN` instead of secrets.

    Args:
        value: Dicts, lists and tuples are copied as plain ones; all else stays as it is.
        name: Its name, for `is_secret_setting`. The items of a list have the name of the list.
        deepest: How deep the copy goes. What lies deeper, or contains itself, is left out.
    """
    if is_secret_setting(name, value):
        return NOT_SHOWN
    if not isinstance(value, (dict, list, tuple)):
        return value
    if deepest <= 0:
        return "…"
    if isinstance(value, dict):
        return {
            key: without_secrets(one, key if isinstance(key, str) else "", deepest - 1)
            for key, one in dict.items(value)
        }
    if isinstance(value, list):
        return [without_secrets(one, name, deepest - 1) for one in list.__iter__(value)]
    return tuple(without_secrets(one, name, deepest - 1) for one in tuple.__iter__(value))


def secret_texts(value: Any, name: str = "", deepest: int = _DEEPEST) -> Iterator[str]:
    """Yield the texts of all secrets in a value of a workflow: what `without_secrets` leaves out.

    Of a URL, a connection string and the like both the whole text and the password in it.

    Args:
        value: Any value.
        name: Its name, for `is_secret_setting`. The items of a list have the name of the list.
        deepest: How deep it is looked through.
    """
    if is_secret_setting(name, value):
        yield from _texts_in(value, deepest)
    elif deepest > 0 and isinstance(value, dict):
        for key, one in dict.items(value):
            yield from secret_texts(one, key if isinstance(key, str) else "", deepest - 1)
    elif deepest > 0 and isinstance(value, (list, tuple)):
        items = list.__iter__(value) if isinstance(value, list) else tuple.__iter__(value)
        for one in items:
            yield from secret_texts(one, name, deepest - 1)


def _texts_in(value: Any, deepest: int) -> Iterator[str]:
    """Yield every text in a secret."""
    if isinstance(value, str):
        yield value
        yield from _told_in(value)
    elif isinstance(value, (bytes, bytearray)):
        yield value.decode(errors="backslashreplace")
        yield repr(bytes(value))[2:-1]
    elif deepest > 0 and isinstance(value, (Mapping, Set, list, tuple)):
        if isinstance(value, dict):
            inner: Iterable[Any] = dict.values(value)
        else:
            inner = value.values() if isinstance(value, Mapping) else value
        for one in inner:
            yield from _texts_in(one, deepest - 1)


def _told_in(text: str) -> Iterator[str]:
    """Yield the passwords and signatures in a text."""
    if "://" in text:
        yield from (found[1] for found in re.finditer(r"://[^/@\s:]*:([^/@\s]+)@", text))
    if "=" in text:
        for found in re.finditer(_IN_TEXT, text, re.IGNORECASE):
            yield re.split(r"[\s;&#\"']", text[found.end() - 1 :], maxsplit=1)[0]


def _is_path(name: str, value: Any) -> bool:
    """Return whether it is the name of a file, or several, that every host has its own of."""
    if not re.search(_PATHS, name, re.IGNORECASE):
        return False
    names = value if isinstance(value, (list, tuple)) else [value]
    return bool(names) and all(
        isinstance(one, str) and one.startswith(("/", "~")) and Path(one).expanduser().is_file()
        for one in names
    )


class Secrets:
    """The values that a run was given as secrets, by the rule of `without_secrets`.

    A text is masked before it is cut. Else the beginning of a secret would stay.

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
    from urllib.parse import quote, quote_plus  # not at the top: few processes need it

    readable = text.encode(errors="replace").decode()  # which lone surrogates are not
    in_url = {quote(readable, safe=""), quote(readable), quote_plus(readable)}
    return {text, repr(text)[1:-1], json.dumps(text)[1:-1], *in_url}


def _sought(form: str) -> str:
    escaped = re.escape(form)
    return escaped if len(form) >= _WORD else rf"(?<![^\W_]){escaped}(?![^\W_])"

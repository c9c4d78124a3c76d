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
    "shown_address",
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
_CREDENTIALS = r"://[^/@\s:]*:([^/@\s]+)@"  # without a choice of colons: that takes linear time
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
_RANDOM = 16  # characters; letters and digits that are no word that others contain; a line of a key
_LONGEST = 4 << 10  # characters of a text that is sought as a whole because of what is in it
_LONG = 16 << 10  # characters; a longer one is sought only as it is
# No secrets, and in many messages: what stands for nothing, and the words of tracebacks and logins.
_NO_SECRETS = frozenset(
    {"none", "null", "true", "false", "undefined", "unknown", "default", "required", "optional"}
    | {"line", "file", "error", "module", "self", "return", "raise", "import", "main"}
    | {"user", "username", "password", "passwd", "secret", "token", "name", "value", "string"}
)
# Of a dict with a secret name: what its values say of themselves is plainly public.
_PUBLIC = (
    r"(^|[^a-z])(user(_?name)?|login|region(_?name)?|zone|host(_?name)?|port|database|db(_?name)?"
    r"|schema|endpoint(_?url)?|scheme|protocol|driver|type|project(_?id)?|bucket)$"
)
_ESCAPED = r"(\\([abfnrtv]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})|%[0-9a-fA-F]{2})$"
_PREFIX = 4  # characters by which a text is looked through; none that is sought has fewer
_PATHS = r"token|client_keys|cert|credential"


def split_secrets(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options that may be seen and written down, and those that may not.

    An option that JSON cannot hold stays in the process, too.
    """
    secret = {name: value for name, value in options.items() if is_secret(name, value)}
    return {name: value for name, value in options.items() if name not in secret}, secret


def is_secret(name: str, value: Any, deepest: int = _DEEPEST) -> bool:
    """Return whether an option must not leave the process; one that is too deep stays, too."""
    if value is None or isinstance(value, bool):
        return False
    if isinstance(value, Mapping):
        if deepest <= 0:  # as one that is in itself, which JSON cannot hold
            return True
        return any(is_secret(str(inner), one, deepest - 1) for inner, one in value.items())
    if re.search(_OPTIONS, name, re.IGNORECASE):
        return not (isinstance(value, str) and value in _WORDS) and not _is_path(name, value)
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return True
    return isinstance(value, str) and re.search(r"://[^/@]*:[^/@]*@", value) is not None


def shown_address(url: str) -> str:
    """Return a URL without user, password and what a query says, which may be a token."""
    return re.sub(r"(?<=[?&])([^=&]*)=[^&]*", r"\1=…", re.sub(r"(?<=://)[^/@]*@", "…@", url))


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
    return re.search(_SETTINGS, _words(name), re.IGNORECASE) is not None


def _words(name: str) -> str:
    """Return a name with its words apart: ``dbPassword`` as ``db_Password``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)


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

    Of a URL, a connection string and the like both the whole text, unless it is long, and the
    password in it, also decoded. Of a secret of several lines both the whole and each long line.

    Args:
        value: Any value.
        name: Its name, for `is_secret_setting`. The items of a list have the name of the list.
        deepest: How deep it is looked through.
    """
    if is_secret_setting(name, value):
        if isinstance(value, str) and not _is_secret_name(name):
            if len(value) <= _LONGEST:
                yield value
            yield from _told_in(value)
        else:
            yield from _texts_in(value, deepest, "credential" in name.casefold())
    elif deepest > 0 and isinstance(value, dict):
        for key, one in dict.items(value):
            yield from secret_texts(one, key if isinstance(key, str) else "", deepest - 1)
    elif deepest > 0 and isinstance(value, (list, tuple)):
        items = list.__iter__(value) if isinstance(value, list) else tuple.__iter__(value)
        for one in items:
            yield from secret_texts(one, name, deepest - 1)


def _texts_in(value: Any, deepest: int, fields: bool = False) -> Iterator[str]:
    """Yield every text in a secret, but for what its own name says to be public.

    Args:
        value: The secret.
        deepest: How deep it is looked through.
        fields: Whether the names in a dict are those of fields, also if none has a secret name:
            of ``secrets={"database": …}`` they say what each secret is for.
    """
    if isinstance(value, str):
        yield value
        yield from _lines_of(value)
        yield from _told_in(value)
    elif isinstance(value, (bytes, bytearray)):
        text = value.decode(errors="backslashreplace")
        yield text
        yield from _lines_of(text)
        yield repr(bytes(value))[2:-1]
    elif deepest > 0 and isinstance(value, Mapping):
        items = list(dict.items(value) if isinstance(value, dict) else value.items())
        names = [key if isinstance(key, str) else "" for key, _ in items]
        fields = fields or any(map(_is_secret_name, names))
        for name, (_, one) in zip(names, items, strict=True):
            if fields and isinstance(one, str) and re.search(_PUBLIC, _words(name), re.IGNORECASE):
                yield from secret_texts(one)
            else:
                yield from _texts_in(one, deepest - 1, fields)
    elif deepest > 0 and isinstance(value, (Set, list, tuple)):
        for one in value:
            yield from _texts_in(one, deepest - 1, fields)


def _lines_of(text: str) -> Iterator[str]:
    """Yield the long lines of a secret of several: a traceback of a group sets each in a frame."""
    lines = text.split("\n")
    if len(lines) > 1:
        stripped = (line.strip() for line in lines)
        yield from (one for one in stripped if len(one) >= _RANDOM and not one.startswith("-----"))


def _told_in(text: str) -> Iterator[str]:
    """Yield the passwords and signatures in a text, as they are and decoded."""
    from urllib.parse import unquote, unquote_plus  # not at the top: few processes need it

    if "://" in text:
        for found in re.finditer(_CREDENTIALS, text):
            yield from (found[1], unquote(found[1]))
    if "=" in text:
        for found in re.finditer(_IN_TEXT, text, re.IGNORECASE):
            value = _value_at(text, found.end() - 1)
            yield from (value, unquote(value), unquote_plus(value))
            yield re.split(r"[#\"']", value, maxsplit=1)[0]
            if value[:1] in ("'", '"', "{"):
                inner = value[1:-1]
                yield from (inner, inner.replace(value[-1] * 2, value[-1]))
                yield re.sub(r"\\(.)", r"\1", inner)
    if re.match(r"\s*[A-Za-z][\w-]*\s+\S+\s*\Z", text[:_LONG]) and len(text) <= _LONG:
        scheme, bare = text.split()  # as a header has it
        if scheme.casefold() in ("bearer", "basic", "token", "apikey", "bot", "negotiate"):
            yield bare


def _value_at(text: str, start: int) -> str:
    """Return the value of a connection string that begins there, with its quotes."""
    quoted = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|\{[^}]*\}", re.DOTALL)
    found = quoted.match(text, start, start + _LONGEST)
    if found is not None:
        return found[0]
    rest = re.compile(r"[^\s;&]*").match(text, start)
    return "" if rest is None else rest[0]


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
        values: Its input and its config; also the `Secrets` of others.
    """

    def __init__(self, *values: Any) -> None:
        self._values = values

    def __repr__(self) -> str:
        return "Secrets()"

    def settled(self) -> bool:
        """Drop the values and keep what is sought; return whether there is anything."""
        some = bool(self._forms)
        self._values = ()
        return some

    def masked(self, text: str) -> str:
        """Return a text with ``(not shown)`` for each secret in it.

        A secret is found as it is, as `repr` and JSON write it, and as a URL has it. One of fewer
        than 4 characters stays. One of fewer than 8, or that looks like a word or a number, is
        found only as a whole word. The time grows with the text, not with the number of secrets.
        """
        forms, lengths = self._forms, self._lengths
        if not forms:
            return text
        parts, kept, at, last = list[str](), 0, 0, len(text) - _PREFIX
        while at <= last:
            for length in lengths.get(text[at : at + _PREFIX], ()):
                end = at + length
                if text[at:end] in forms and _stands_alone(text, at, end):
                    parts += (text[kept:at], NOT_SHOWN)
                    kept = end
                    break
            at = max(at + 1, kept)
        return "".join((*parts, text[kept:]))

    @cached_property
    def _forms(self) -> frozenset[str]:
        of_others = [one._forms for one in self._values if isinstance(one, Secrets)]
        found = {text.strip() for value in self._values for text in secret_texts(value)}
        sought = (one for one in found if one.casefold() not in _NO_SECRETS)
        forms = (form for one in sought if len(one) >= _SHORTEST for form in _forms_of(one))
        return frozenset(form for form in forms if len(form) >= _SHORTEST).union(*of_others)

    @cached_property
    def _lengths(self) -> dict[str, list[int]]:
        """How long the forms with this beginning are, the longest first."""
        lengths: dict[str, set[int]] = {}
        for form in self._forms:
            lengths.setdefault(form[:_PREFIX], set()).add(len(form))
        return {prefix: sorted(each, reverse=True) for prefix, each in lengths.items()}


def _forms_of(text: str) -> set[str]:
    """Return how a secret may stand in a text: as it is, as `repr` and JSON write it, in a URL."""
    from urllib.parse import quote, quote_plus  # not at the top: few processes need it

    if len(text) > _LONG or (text.isascii() and text.isalnum()):
        return {text}
    readable = text.encode(errors="replace").decode()  # which lone surrogates are not
    in_url = {quote(readable, safe=""), quote(readable), quote_plus(readable)}
    in_url |= {re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), one) for one in in_url}
    in_json = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    again = {form for one in in_json for form in (json.dumps(one)[1:-1], *_in_repr(one))}
    return {text, *_in_repr(text), ascii(f'"{text}')[2:-1], *in_json, *again, *in_url}


def _in_repr(text: str) -> tuple[str, str]:
    """Return how `repr` writes a text: alone, and within one that has the other quotes, too."""
    return repr(text)[1:-1], repr(f'"{text}')[2:-1]


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Return whether what is found there is no part of a word, or may be one."""
    form = text[start:end]
    is_word = re.fullmatch(r"\w+", form) is not None
    if is_word and len(form) >= _RANDOM:
        is_word = not (re.search(r"\d", form) and re.search(r"[^\W\d_]", form))
    elif len(form) < _WORD:
        is_word = True
    if not is_word:
        return True
    before, after = text[start - 1 : start], text[end : end + 1]
    if after.isalnum():
        return False
    return not before.isalnum() or re.search(_ESCAPED, text[max(0, start - 6) : start]) is not None

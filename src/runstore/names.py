"""What may be called what: the rules for object names, runs and namespaces.

The rules are the same on every backend and are checked before any I/O, so a
name that works on a laptop works in the bucket. How a good name becomes a key
is `runstore.keys`' business.
"""

import unicodedata

from runstore.errors import InvalidNameError

__all__ = ["MAX_NAME_BYTES", "MAX_SCOPE_BYTES", "check_name", "check_namespace", "check_run"]

MAX_NAME_BYTES = 512
"""The longest object name, in bytes of UTF-8."""

MAX_SCOPE_BYTES = 128
"""The longest run or namespace, in bytes of UTF-8."""

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-/. ")


def check_name(name: str) -> str:
    """Return *name* if it can name an object, unchanged.

    Args:
        name: 1 to 512 bytes of NFC-normalised UTF-8; parts are separated by ``/``.

    Raises:
        InvalidNameError: Empty, too long, not a string, not NFC, with a control
            character or lone surrogate, with an empty, ``.`` or ``..`` part, or
            with a leading or trailing ``/``.
    """
    _check_text("object name", name, MAX_NAME_BYTES)
    for part in name.split("/"):
        if part in ("", ".", ".."):
            what = "an empty part" if part == "" else f"the part {part!r}"
            raise InvalidNameError(
                f"object name {name!r} has {what}: write parts separated by single slashes, "
                "like 'train/features'",
                name,
            )
    return name


def check_run(run: str) -> str:
    """Return *run* if it can name a run, unchanged. Rules as for a namespace."""
    return _check_scope("run", run)


def check_namespace(namespace: str) -> str:
    """Return *namespace* if it can name a namespace, unchanged.

    Args:
        namespace: 1 to 128 bytes of NFC-normalised UTF-8, without ``/`` and without
            a leading ``_`` (reserved for what the store keeps beside the runs).

    Raises:
        InvalidNameError: It breaks one of these rules.
    """
    return _check_scope("namespace", namespace)


def _check_scope(what: str, text: str) -> str:
    _check_text(what, text, MAX_SCOPE_BYTES)
    if "/" in text:
        raise InvalidNameError(
            f"{what} {text!r} contains '/', which separates the parts of a reference: use another "
            "character, such as '-' or '.'",
            text,
        )
    if text in (".", ".."):
        raise InvalidNameError(f"{what} {text!r} stands for a folder: give it a name", text)
    if text.startswith("_"):
        raise InvalidNameError(
            f"{what} {text!r} starts with '_', which is reserved for the store itself", text
        )
    return text


def _check_text(what: str, text: str, longest: int) -> None:
    if not isinstance(text, str):
        raise InvalidNameError(f"{what} must be a str, not {type(text).__name__}")
    if not text:
        raise InvalidNameError(f"{what} is empty")
    if len(text) <= longest and _PLAIN.issuperset(text):
        return  # nearly every name: plain ASCII needs none of the checks below
    for char in text:
        category = unicodedata.category(char)
        if category in ("Cc", "Cs"):
            kind = "control character" if category == "Cc" else "lone surrogate"
            raise InvalidNameError(f"{what} {text!r} contains the {kind} {char!r}", ascii(text))
    if not unicodedata.is_normalized("NFC", text):
        raise InvalidNameError(
            f"{what} {text!r} is not NFC-normalised, so it would look like another name: "
            "pass unicodedata.normalize('NFC', name)",
            text,
        )
    if len(text.encode()) > longest:
        raise InvalidNameError(
            f"{what} {text[:40]!r}… is {len(text.encode())} bytes long, at most {longest} are "
            "allowed",
            text,
        )

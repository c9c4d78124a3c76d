"""The signing key, and what is signed with it: who may write a pickle that is loaded here."""

import os

from runstore import format as containers
from runstore.buffers import Buffer, flat
from runstore.errors import SettingsError, UnsafePickleError

__all__ = ["check_signature", "signing_key"]

_VARIABLE = "RUNSTORE_SIGNING_KEY"
_SHORTEST = 16  # bytes; a shorter key can be guessed


def signing_key(ref: str, doing: str) -> bytes:
    """Return the key, looked up anew each time: it is kept nowhere.

    Args:
        ref: The object concerned.
        doing: What cannot be done without it, for the message.

    Raises:
        UnsafePickleError: There is none.
        SettingsError: It is too short to protect anything.
    """
    key = os.environ.get(_VARIABLE)
    if key is None:
        from runstore.settings import current_settings

        secret = current_settings().signing_key
        key = secret.get_secret_value() if secret is not None else None
    if not key:
        raise UnsafePickleError(
            f"cannot {doing} {ref}: under pickle='signed' that takes the signing key, and there is "
            f"none here. Set {_VARIABLE} in the environment",
            ref,
        )
    if len(key.encode()) < _SHORTEST:
        raise SettingsError(
            f"the signing key is shorter than {_SHORTEST} bytes and could be guessed: set "
            f"{_VARIABLE} to a long random text, such as `openssl rand -hex 32` prints"
        )
    return key.encode()


def check_signature(data: Buffer, ref: str, key: bytes, doing: str) -> None:
    """Raise UnsafePickleError unless the object is signed with *key*, every byte of it."""
    view = flat(data)
    start = containers.footer_start(view[-10:], view.nbytes, ref)
    footer = bytes(view[start:])
    if containers.signature_at(view[:start], footer, key) is not None:
        return
    reason = (
        "its signature does not fit: it was changed, or signed with another key"
        if containers.has_signature(footer)
        else "it is not signed: it was written under another policy, or by somebody else"
    )
    raise UnsafePickleError(
        f"cannot {doing} {ref} under pickle='signed': {reason}. Nothing was unpickled. If you "
        "trust it, get() it with pickle='allow' and put() it again",
        ref,
    )

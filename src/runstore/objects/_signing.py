"""The signing keys, and the check of signatures: only who has a key can write what is loaded."""

import hashlib
import hmac
import os
from typing import NamedTuple

from runstore import containers
from runstore.buffers import Buffer, flat
from runstore.errors import SettingsError, UnsafePickleError

__all__ = ["SigningKeys", "check_signature", "signing_keys"]

_VARIABLE = "RUNSTORE_SIGNING_KEY"
_OLD = "RUNSTORE_SIGNING_KEYS_OLD"
_SCOPE = "RUNSTORE_SIGNING_SCOPE"
_SHORTEST = 16  # bytes; a shorter key can be guessed


class SigningKeys(NamedTuple):
    """The keys for signatures.

    Attributes:
        current: Signs new objects, and is accepted.
        old: Are accepted, too, until all objects have been signed anew.
    """

    current: bytes
    old: tuple[bytes, ...] = ()


def signing_keys(ref: str, doing: str) -> SigningKeys:
    """Return the keys. They are read at each call and not kept.

    All are taken from the environment, or all from the files of settings.

    Args:
        ref: The object concerned.
        doing: What cannot be done without them, for the message: ``load``.

    Raises:
        UnsafePickleError: There is none.
        SettingsError: One is too short to protect anything.
    """
    key, old, scope = (os.environ.get(name) for name in (_VARIABLE, _OLD, _SCOPE))
    more = old.split() if old is not None else []
    if key is None:  # only then are files read, which takes longer than signing
        from runstore.settings import current_settings

        settings = current_settings()
        if settings.signing_key is not None:
            key = settings.signing_key.get_secret_value()
        more = [secret.get_secret_value() for secret in settings.signing_keys_old]
        scope = settings.signing_scope
    if not key:
        raise UnsafePickleError(
            f"cannot {doing} {ref}: under pickle='signed' that takes the signing key, and there is "
            f"none here. Set {_VARIABLE} in the environment. What holds no pickle can be read "
            "with pickle='deny'",
            ref,
        )
    keys = [_scoped(text.encode(), scope or "") for text in (key, *more)]
    return SigningKeys(keys[0], tuple(keys[1:]))


def _scoped(key: bytes, scope: str) -> bytes:
    if len(key) < _SHORTEST:
        raise SettingsError(
            f"the signing key is shorter than {_SHORTEST} bytes and could be guessed: set "
            f"{_VARIABLE} (and {_OLD}, if there are any) to a long random text, such as "
            "`openssl rand -hex 32` prints"
        )
    if not scope:
        return key
    return hmac.digest(key, b"runstore.signing_scope\0" + scope.encode(), hashlib.sha256)


def check_signature(data: Buffer, ref: str, keys: SigningKeys, doing: str) -> bytes:
    """Return the key that the object is signed with, every byte of it.

    Raises:
        UnsafePickleError: It is signed with none of them.
    """
    view = flat(data)
    start = containers.footer_start(view[-10:], view.nbytes, ref)
    footer = bytes(view[start:])
    signed = containers.has_signature(footer)
    for key in (keys.current, *keys.old) if signed else ():
        if containers.signature_at(view[:start], footer, key) is not None:
            return key
    reason = (
        "its signature does not fit: it was changed, or signed with another key or in another "
        f"signing scope ({_OLD} takes further keys)"
        if signed
        else "it is not signed: it was written under another policy, or by somebody else"
    )
    raise UnsafePickleError(
        f"cannot {doing} {ref} under pickle='signed': {reason}. Nothing was unpickled. If you "
        "trust it, get() it with pickle='allow' and put() it again; what holds no pickle can be "
        "read with pickle='deny'",
        ref,
    )

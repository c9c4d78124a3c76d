"""The key by which an address names credentials that stay in this process.

A context may outlive the store that it was made with, so the credentials live as long as any
address that names them. They are not here: this room holds no secret, just the key.
"""

import secrets
from typing import Any

from runstore.lifetime import WeakValues

__all__ = ["CredentialsKey", "is_of_this_process", "known_key"]

_MARK = secrets.token_hex(8)  # of this process and its forks
_known: "WeakValues[str, CredentialsKey]" = WeakValues()


class CredentialsKey(str):
    """A random text that is one object within a process: credentials are kept as long as it lives.

    Copied, or pickled and unpickled, it is the same object. In another process it is a plain
    text that names nothing.
    """

    __slots__ = ("__weakref__",)

    @classmethod
    def new(cls) -> "CredentialsKey":
        """Return a new key."""
        key = cls(f"{_MARK}{secrets.token_hex(16)}")
        _known.put(str(key), key)
        return key

    def __copy__(self) -> "CredentialsKey":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "CredentialsKey":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, (str(self),)


def _arrived(text: str) -> str:
    return _known.get(text) or text


def known_key(text: str) -> CredentialsKey | None:
    """Return the key with this text, if it lives in this process."""
    return _known.get(text)


def is_of_this_process(key: str) -> bool:
    """Return whether *key* was made by this process, or by one that it was forked from."""
    return key.startswith(_MARK)

"""What requests are signed with, in the order of AWS, and never older than one request.

Options, then an explicit profile, then the environment's keys, then what botocore finds: the
profile that only the environment names, SSO, roles, containers, the machine.
"""

import os
import subprocess
import threading
from typing import Any, NamedTuple

from runstore.errors import MissingExtraError
from runstore.places._cloud._causes import NO_CREDENTIALS
from runstore.places._cloud._logs import hushed
from runstore.places._cloud._wire import Failure
from runstore.places._s3._environment import variables

__all__ = ["Credentials", "Keys"]

# What decides which credentials botocore finds. A change makes it look again.
_DECISIVE = (
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"),
    *("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_SESSION_NAME"),
    *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    *("AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
    *("AWS_EC2_METADATA_DISABLED", "AWS_EC2_METADATA_SERVICE_ENDPOINT"),
)
_HIDDEN = "***"

# As the interpreter has them: they are compared for each request, and decoded after a change.
_KEYS = (
    *(b"AWS_ACCESS_KEY_ID", b"AWS_SECRET_ACCESS_KEY"),
    *(b"AWS_SESSION_TOKEN", b"AWS_SECURITY_TOKEN"),
)


class Keys(NamedTuple):
    """An access key; not for printing."""

    key: str
    secret: str
    token: str | None

    def __repr__(self) -> str:
        return f"Keys({_HIDDEN})"


class Credentials:
    """The credentials of one store in one process.

    Args:
        key, secret, token: Given as options; they are used as they are.
        profile: Given as an option; what the environment says is passed over.
        region: Where a role is assumed, if the profile has one.
    """

    def __init__(
        self,
        key: str | None = None,
        secret: str | None = None,
        token: str | None = None,
        profile: str | None = None,
        region: str = "us-east-1",
    ) -> None:
        self._given = Keys(key, secret, token) if key is not None and secret is not None else None
        self._profile = profile
        self._region = region
        self._found: tuple[tuple[str | None, ...], Any] | None = None
        self._looking = threading.Lock()
        self._shown = self._given
        self._checked: tuple[tuple[Any, ...], Keys | None] | None = None

    def __eq__(self, other: object) -> bool:
        """Whether both are looked up in the same way. Clients are shared by that."""
        return isinstance(other, Credentials) and self._way == other._way

    def __hash__(self) -> int:
        return hash(self._way)

    @property
    def _way(self) -> tuple[Keys | None, str | None, str]:
        return self._given, self._profile, self._region

    def at_hand(self) -> Keys | None:
        """Return the keys that were given or stand in the environment; None if there are none.

        Raises:
            Failure: The environment has half of them, or they cannot be sent.
        """
        if self._given is not None:
            return self._given
        if self._profile is not None:
            return None
        there = tuple(map(variables().get, _KEYS))
        if self._checked is None or self._checked[0] != there:
            self._checked = there, _environment()
        keys = self._checked[1]
        self._shown = keys or self._shown
        return keys

    def current(self) -> Keys | None:
        """Return what to sign the next request with; None if obstore has to look by itself.

        A failure is not remembered: the next call looks again.

        Raises:
            Failure: There are none, or they cannot be renewed.
            MissingExtraError: A profile is asked for and botocore is not installed.
        """
        keys = self.at_hand() or self._looked_up()
        self._shown = keys or self._shown
        return keys

    def source(self) -> str:
        """Return in words where the next request's keys come from.

        Raises:
            Failure, MissingExtraError: As for `current`.
        """
        if self._given is not None:
            return "the options of the store"
        if self.at_hand() is not None:
            return "AWS_ACCESS_KEY_ID in the environment"
        if self.current() is None or self._found is None:
            return "what obstore finds by itself: botocore is not installed"
        named = self._profile or os.environ.get("AWS_PROFILE")
        way = str(getattr(self._found[1], "method", "botocore"))
        return f"the profile {named!r} ({way})" if named else way

    def forget(self) -> None:
        """Look again next time: a server refused what was found, which may have been replaced."""
        self._found = None

    def hidden(self, text: str) -> str:
        """Return *text* without the credentials, which some servers quote in an answer."""
        for word in self._shown or ():
            if word:
                text = text.replace(word, _HIDDEN)
        return text

    def _looked_up(self) -> Keys | None:
        try:
            from botocore import exceptions as known
            from botocore.session import Session
        except ModuleNotFoundError as exc:
            named = self._profile or os.environ.get("AWS_PROFILE")
            if named is None:
                return None
            raise MissingExtraError(
                f"the profile {named!r} is looked up with botocore: pip install 'runstore[s3]'"
            ) from exc
        # What a profile names (a program, a file, a server) fails in its own way.
        foreign = (known.BotoCoreError, known.ClientError, OSError, ValueError)
        decisive = tuple(os.environ.get(name) for name in _DECISIVE)
        with self._looking, hushed():
            try:
                if self._found is None or self._found[0] != decisive:
                    session = Session(profile=self._profile)
                    session.set_config_variable("region", self._region)
                    self._found = decisive, session.get_credentials()
                found = self._found[1]
                frozen = found.get_frozen_credentials() if found is not None else None
            except (*foreign, KeyError, subprocess.SubprocessError) as exc:
                self._found = None
                reason = f"{type(exc).__name__}: {exc}"
                raise Failure(403, NO_CREDENTIALS, reason, sent=False) from exc
            if frozen is None or not frozen.access_key or not frozen.secret_key:
                self._found = None
                raise Failure(403, NO_CREDENTIALS, "none were found", sent=False)
        return _checked(Keys(frozen.access_key, frozen.secret_key, frozen.token), "the profile")


def _environment() -> Keys | None:
    key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not key and not secret:
        return None
    if not key or not secret:
        there, missing = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
        if not key:
            there, missing = missing, there
        reason = f"{there} is set, and {missing} is not"
        raise Failure(403, NO_CREDENTIALS, reason, sent=False)
    token = os.environ.get("AWS_SESSION_TOKEN") or os.environ.get("AWS_SECURITY_TOKEN")
    return _checked(Keys(key, secret, token or None), "the environment")


def _checked(keys: Keys, source: str) -> Keys:
    """Refuse what cannot stand in a header; obstore would break off without an error of its own."""
    for name, word in zip(("key id", "secret", "token"), keys, strict=True):
        if word and not (word.isascii() and word.isprintable() and word == word.strip()):
            reason = f"the {name} from {source} has white space or unprintable characters in it"
            raise Failure(403, NO_CREDENTIALS, reason, sent=False)
    return keys

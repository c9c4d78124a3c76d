"""A client of S3 on obstore, which makes small requests several times as fast as s3fs.

What it has no call for (conditions on multipart uploads, uploads begun by
others) is left to s3fs, where that is installed.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.util import find_spec
from time import monotonic
from typing import Any

from runstore.errors import MissingExtraError, SettingsError
from runstore.lifetime import load_module
from runstore.places._cloud import _causes as causes
from runstore.places._cloud._obstore import SENT_AT_ONCE, ObstoreClient
from runstore.places._cloud._obstore_failures import Failures, as_failure
from runstore.places._cloud._obstore_process import before_forks, is_lost
from runstore.places._cloud._wire import CloudClient, Condition, Failure, Got, Parts, Span
from runstore.places._s3._config import S3Config
from runstore.places._s3._credentials import Credentials
from runstore.places._s3._direct import S3Direct
from runstore.places._s3._obstore_settings import not_taken, settings, unruly
from runstore.places._s3._s3fs import S3fsClient
from runstore.places._s3._server import Server
from runstore.places._s3._small import SmallRequests

__all__ = ["S3ObstoreClient", "is_usable"]

_ASKED_AGAIN = timedelta(minutes=1)  # botocore renews credentials ten minutes before they end
_LEAST = 0.25  # seconds for a request, where another attempt has taken the time
_LOGIN = frozenset({"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"})


def is_usable(config: S3Config) -> bool:
    """Return whether obstore works here and does what *config* says.

    Its threads are lost in a process that was forked after its use. It obeys some variables even
    against explicit settings. It cannot set access control lists.
    """
    return not is_lost() and unruly(config) is None and config.written.acl is None


class S3ObstoreClient(ObstoreClient):
    """A bucket of S3 through obstore.

    Args:
        config: How to reach it.
        timeout: Seconds, the longest a request will ever be given.
    """

    def __init__(self, config: S3Config, timeout: float) -> None:
        try:
            super().__init__(f"s3://{config.bucket}", timeout, _S3Failures(config))
        except ModuleNotFoundError as exc:
            raise MissingExtraError(
                "s3:// through obstore needs 'obstore': pip install 'runstore[s3-fast]'"
            ) from exc
        if found := unruly(config):
            raise SettingsError(
                f"{found} is set, which obstore obeys whatever it is told, and s3fs does not: "
                "unset it, or choose engine='s3fs'"
            )
        written = config.written
        if written.acl is not None:
            raise SettingsError(
                "obstore cannot set the ACL of an object: choose engine='s3fs', or omit ACL"
            )
        if find_spec("s3fs") is not None:
            session = "runstore.places._s3._session"
            before_forks(lambda: load_module(session).load_model())
        self._config = config
        server = Server(config)
        self.direct = S3Direct(server)
        self._small = SmallRequests(server)
        self._provider = _Provider(config.credentials) if config.credentials is not None else None
        self._class = {"Storage-Class": written.storage_class} if written.storage_class else {}
        self._tags = {"tags": dict(written.tags)} if written.tags else {}
        self._other: Parts | None = None

    @property
    def _instead_of_obstore(self) -> str:
        return "install runstore[s3]"

    @property
    def parts(self) -> Parts | None:
        """Uploads step by step, through s3fs."""
        if self._other is None:
            try:
                self._other = S3fsClient(self._config, self._longest)
            except MissingExtraError:
                return None
        return self._other

    def put(
        self,
        name: str,
        body: Sequence[memoryview],
        mark: str,
        condition: Condition,
        timeout: float,
    ) -> str:
        """See `CloudClient.put`; obstore sends what is large, and what only it can send."""
        if sum([view.nbytes for view in body]) <= SENT_AT_ONCE:
            end = monotonic() + timeout
            tag = self._small.put(name, body, mark, condition, timeout)
            if tag is not None:
                return tag
            timeout = max(_LEAST, end - monotonic())
        return super().put(name, body, mark, condition, timeout)

    def get(
        self,
        name: str,
        span: Span | None,
        if_match: str | None,
        timeout: float,
        into: memoryview | None = None,
    ) -> Got:
        """See `CloudClient.get`; obstore reads what is large, and what only it can read."""
        if into is None and span is not None:
            end = monotonic() + timeout
            got = self._small.get(name, span, if_match, timeout)
            if got is not None:
                return got
            timeout = max(_LEAST, end - monotonic())
        return super().get(name, span, if_match, timeout, into)

    def retire(self) -> None:
        """See `CloudClient.retire`."""
        self._small.retire()
        if isinstance(self._other, S3fsClient):
            self._other.retire()

    def _attributes(self, mark: str) -> dict[str, str]:
        return {self.mark: mark, **self._class}

    def _instead(self, failure: Failure) -> CloudClient:
        """Return the client for a listing that obstore cannot make, or raise *failure*."""
        other = self.parts if failure.code == causes.FOREIGN_KEY else None
        if not isinstance(other, S3fsClient):
            raise failure
        return other

    def _asked_before(self) -> bool:
        """Return whether runstore has credentials: else obstore looks for some by itself.

        They are asked for here, and not only by obstore: what it makes of a failure has no cause.
        """
        return self._provider is not None and self._provider.credentials.current() is not None

    def _made(self, time: float, bulk: bool, persistent: bool) -> Any:
        from obstore.store import S3Store

        provider = self._provider if self._asked_before() else None
        extra: dict[str, Any] = {"credential_provider": provider} if provider is not None else {}
        try:
            return S3Store(
                self._config.bucket,
                **settings(self._config, time, bulk=bulk),
                retry_config={
                    "max_retries": 6 if persistent else 0,
                    "retry_timeout": timedelta(seconds=time / 2 if persistent else time),
                },
                **extra,
            )
        except (self._api.exceptions.BaseError, ValueError, TypeError, OSError) as exc:
            raise not_taken(exc, self._config) from exc


class _S3Failures(Failures):
    """Those of S3: refused credentials are looked up anew, and are in no traceback."""

    def __init__(self, config: S3Config) -> None:
        super().__init__(partial(as_failure, host=config.base.partition("://")[2]))
        self._credentials = config.credentials

    def seen(self, failure: Failure) -> None:
        """Forget credentials that were refused: they may have been replaced."""
        if failure.code in _LOGIN and self._credentials is not None:
            self._credentials.forget()
            self.stores.clear()

    def shown(self, exc: BaseException) -> BaseException:
        """Return the exception for a traceback: servers quote keys and tokens in an error."""
        text = str(exc)
        hidden = self._credentials.hidden(text) if self._credentials is not None else text
        return exc if hidden == text else type(exc)(hidden)


class _Provider:
    """Gives obstore the credentials it signs with; it keeps them as long as it is told.

    The environment's do not change for this client: with another environment there is another.
    """

    refresh_threshold = timedelta(0)

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials

    def __call__(self) -> dict[str, Any]:
        keys = self.credentials.current()
        assert keys is not None  # or the store would have none of this
        fixed = self.credentials.at_hand() is not None
        return {
            "access_key_id": keys.key,
            "secret_access_key": keys.secret,
            "token": keys.token,
            "expires_at": None if fixed else datetime.now(UTC) + _ASKED_AGAIN,
        }

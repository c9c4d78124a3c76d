"""Object stores whose clients are obstore's alone: Google and Azure."""

import os
import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar

from runstore.errors import InvalidRequestError, SettingsError
from runstore.places._base import Backend
from runstore.places._cloud._backend import CloudBackend, Opened
from runstore.places._cloud._conditions import Probe
from runstore.places._cloud._obstore import ObstoreClient
from runstore.places._cloud._obstore_failures import Failures, as_failure
from runstore.places._cloud._obstore_process import is_lost
from runstore.places._cloud._upload import Uploader
from runstore.places._cloud._wire import Failure
from runstore.places._wrapper import Wrapper

__all__ = ["ObstorePlace", "ServiceBackend", "ServiceClient", "Variables"]

_IN_BULK = re.compile(r"Bulk delete request failed for key .*?: (.*) \(code: (\d{3})\)")
_CONNECT = 10.0  # seconds for a connection, at most


class Variables:
    """The environment variables that a client is made from, at one moment.

    Args:
        names: Which.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(names)
        self._found = self._look()

    def _look(self) -> tuple[str | None, ...]:
        return tuple(map(os.environ.get, self._names))

    def is_current(self) -> bool:
        """Return whether none has changed since."""
        return self._found == self._look()


class ServiceClient(ObstoreClient):
    """A bucket of a service through obstore.

    Args:
        where: The bucket's URL, without a slash at its end.
        timeout: Seconds, the longest a request will ever be given.
        make: Makes obstore's store; it is called with what all stores are given.
        host: Whom it asks, for people.
        codes: S3's codes for those of the service.
    """

    def __init__(
        self,
        where: str,
        timeout: float,
        make: Callable[..., Any],
        host: str,
        codes: Mapping[str, str],
    ) -> None:
        super().__init__(where, timeout, Failures(partial(_as_failure, host=host, codes=codes)))
        self._make = make

    def delete_batch(self, names: Sequence[str], timeout: float) -> dict[str, Failure]:
        """See `CloudClient.delete_batch`: all are left to be removed one by one.

        obstore has one answer for all, of which nobody can say what it is about.
        """
        return dict.fromkeys(names, Failure(405, "", "one by one", sent=False))

    def _made(self, time: float, bulk: bool, persistent: bool) -> Any:
        options = {
            "timeout": timedelta(seconds=time),
            # Shorter than the whole, so that a request that was never sent is known as such.
            "connect_timeout": timedelta(seconds=min(time * 0.9, _CONNECT)),
        }
        retry = {
            "max_retries": 6 if persistent else 0,
            "retry_timeout": timedelta(seconds=time / 2 if persistent else time),
        }
        try:
            return self._make(client_options=options, retry_config=retry)
        except (self._api.exceptions.BaseError, ValueError, TypeError, OSError) as exc:
            reason = str(exc).partition("\n")[0].strip()
            raise SettingsError(f"obstore does not take these settings ({reason})") from exc


def _as_failure(exc: BaseException, host: str, codes: Mapping[str, str]) -> Failure:
    if found := _IN_BULK.search(str(exc)):  # how one of several is told, and a single one, too
        status = int(found[2])
        return Failure(status, "NoSuchKey" if status == 404 else "", found[1])
    failure = as_failure(exc, host)
    failure.code = codes.get(failure.code, failure.code)
    if type(exc).__name__ == "AlreadyExistsError":
        failure.status, failure.code = 412, "PreconditionFailed"
    return failure


class ServiceBackend(CloudBackend):
    """Objects under a prefix of a bucket of Google's or Azure's.

    Args:
        url: As the user wrote it.
        bucket: The bucket.
        prefix: The prefix of every key; it ends with a slash or is empty.
        timeout: Seconds without an answer, retries included.
        options: fsspec's storage options.
    """

    engine = "obstore"
    variables: ClassVar[tuple[str, ...]]
    """Those of the environment that a client may be made from."""

    def __init__(
        self, url: str, bucket: str, prefix: str, timeout: float, options: Mapping[str, Any]
    ) -> None:
        super().__init__(url, prefix, timeout)
        self._bucket = bucket
        self._options = dict(options)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    @abstractmethod
    def _client(self, timeout: float) -> tuple[ServiceClient, str]:
        """Return a client, and whom it asks."""

    @abstractmethod
    def presigned(self, key: str, seconds: int, method: str) -> str:
        """Return a URL for one kind of request on an object, good for some seconds from now on.

        Raises:
            InvalidRequestError: Requests of this store are not signed by a key.
            MissingExtraError: What signs is not installed.
        """

    def _unsigned(self, key: str) -> InvalidRequestError:
        return InvalidRequestError(
            f"presign: requests to {self.url} are not signed by a key of an account, so no URL can "
            "stand for one: open the store with such a key, or give out the file itself, with "
            "get_file()",
            self._ref(key),
        )

    @abstractmethod
    def reader_options(self, reader: str) -> dict[str, Any]:
        """Return the options with which another library reads the bucket; they hold secrets.

        Args:
            reader: ``pandas``, ``polars``, ``duckdb`` or ``pyarrow``.

        Raises:
            InvalidRequestError: *reader* cannot be given these credentials.
        """

    def _opened_now(self) -> Opened:
        now = Variables(self.variables)
        client, host = self._client(self._timeout / 3)
        probe = Probe((host, self._bucket), self._prefix)
        uploader = Uploader(client, probe, self._timeout)
        return Opened(os.getpid(), now, client, uploader, probe, sorted_by_key=True)

    def close(self) -> None:
        """See `runstore.places.Backend.close`."""
        super().close()
        self._options = {}


class ObstorePlace(Wrapper):
    """A place on obstore, whose threads a forked child has not: there it is another backend.

    Args:
        backend: The place on obstore.
        other: Opens the same place without it; raises if it cannot.
    """

    def __init__(self, backend: ServiceBackend, other: Callable[[], Backend]) -> None:
        self._first, self._make_other = backend, other
        self._second: Backend | None = None

    @property
    def _backend(self) -> Backend:  # type: ignore[override]
        if not is_lost():
            return self._first
        if self._second is None:
            self._second = self._make_other()
        return self._second

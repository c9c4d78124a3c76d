"""A bucket of S3, or a prefix of one, as a backend."""

import builtins
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from runstore.errors import MissingExtraError, StoreClosedError
from runstore.places._cloud._backend import CloudBackend, Opened
from runstore.places._cloud._causes import WRONG_REGION
from runstore.places._cloud._conditions import Probe
from runstore.places._cloud._retry import Deadline, persist
from runstore.places._cloud._upload import Uploader
from runstore.places._cloud._wire import CloudClient, Failure, Parts, Upload
from runstore.places._guarantees import Guarantees
from runstore.places._leftovers import Leftover
from runstore.places._s3._clients import ENGINES, client_of, engine_of, forget_client
from runstore.places._s3._config import S3Config
from runstore.places._s3._environment import Environment
from runstore.places._s3._handover import presigned, reader_options
from runstore.places._s3._options import check_timeout, split_options, split_url

__all__ = ["ENGINES", "S3Backend"]

_GUARANTEES = Guarantees(
    atomic_put="native",
    create=None,
    compare_and_swap=None,
    ranges=True,
    versions="content",
    server_copy=True,
    mapped=False,
    shared=True,
)
_SORTED_BY_KEY = (".amazonaws.com", ".amazonaws.com.cn")  # hosts; other servers may not sort so


class S3Backend(CloudBackend):
    """Objects under ``s3://bucket/prefix``, on any server that speaks S3.

    Nothing is opened before the first use, and a forked process opens its own.

    Args:
        url: ``s3://bucket`` or ``s3://bucket/prefix``.
        engine: ``obstore`` or ``s3fs``; by default the first of them that is installed.
        timeout: Seconds without an answer, retries included.
        options: fsspec's storage options.

    Raises:
        SettingsError: The URL, the engine or an option is not understood.
        MissingExtraError: No engine is installed, or not the one asked for.
    """

    promised = _GUARANTEES
    copies_with_tail = True

    def __init__(
        self,
        url: str,
        *,
        engine: str | None = None,
        timeout: float = 60,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._bucket, prefix = split_url(url)
        super().__init__(f"s3://{self._bucket}/{prefix}", prefix, check_timeout(timeout, url))
        self._public, _ = split_options(options or {})
        self._options = dict(options or {})
        self._forced = engine
        self.engine = engine_of(engine)

    def __repr__(self) -> str:
        return f"S3Backend({self.url!r}, engine={self.engine!r})"

    def __reduce__(self) -> tuple[Any, ...]:  # without what is secret
        return _reopened, (self.url, self._forced, self._timeout, self._public)

    def sweep(self, older_than: float) -> int:
        """See `runstore.places.Backend.sweep`: aborts multipart uploads, removes probes."""
        swept = super().sweep(older_than)
        with self._translated(self.url, "sweep"):
            parts = self._open().client.parts
            if parts is None:
                raise MissingExtraError(
                    "obstore cannot list unfinished uploads: pip install 'runstore[s3]'", self.url
                )
            for upload in self.unfinished(older_than):
                try:
                    parts.abort(upload.name, upload.id, self._timeout / 3)
                    swept += 1
                except Failure as failure:
                    if failure.status != 404:  # it was completed or aborted meanwhile
                        raise
        return swept

    def leftovers(self, older_than: float) -> builtins.list[Leftover]:
        """See `runstore.places._leftovers.leftovers`."""
        cut = len(self._prefix)
        return super().leftovers(older_than) + [
            Leftover(upload.name[cut:], "upload", 0, upload.begun)
            for upload in self.unfinished(older_than)
        ]

    def unfinished(self, older_than: float = 0) -> builtins.list[Upload]:
        """Return the multipart uploads under the prefix that are as old as that, in seconds.

        What counts is the newest part, so that an upload of days is not taken for abandoned.

        Raises:
            MissingExtraError: The engine cannot list them and s3fs is not installed.
            StorageError: The place failed.
        """
        latest = time.time() - older_than
        with self._translated(self.url, "list unfinished uploads of"):
            parts = self._open().client.parts
            if parts is None:
                raise MissingExtraError(
                    "obstore cannot list unfinished uploads: pip install 'runstore[s3]'", self.url
                )
            try:
                found = persist(
                    lambda t: builtins.list(parts.begun(self._prefix, t)), Deadline(self._timeout)
                )
            except Failure as failure:
                if failure.status != 501 and failure.code != "NoSuchUpload":
                    raise
                return []  # servers that cannot list them
            old = [
                upload
                for upload in found
                # Some servers take the prefix for a suggestion.
                if upload.name.startswith(self._prefix) and upload.begun.timestamp() <= latest
            ]
            if older_than <= 0:
                return old
            return [upload for upload in old if self._written(parts, upload) <= latest]

    def _written(self, parts: Parts, upload: Upload) -> float:
        try:
            at = persist(lambda t: parts.written(upload, t), Deadline(self._timeout))
        except Failure as failure:
            if failure.status not in (404, 501):
                raise
            return upload.begun.timestamp()  # it is over, or the server cannot list its parts
        return at.timestamp()

    def reader_options(self, reader: str) -> dict[str, Any]:
        """Return the options with which another library reads the bucket; they hold secrets.

        Args:
            reader: ``pandas``, ``polars``, ``duckdb`` or ``pyarrow``.

        Raises:
            AccessDeniedError: There are no credentials, or they cannot be renewed.
        """
        with self._translated(self.url, "read"):
            return reader_options(self._config(), reader)

    def reached_by(self) -> dict[str, str]:
        """Return in words how the bucket is reached: server, region, source of the credentials.

        Raises:
            SettingsError: An option or a variable is not understood.
            AccessDeniedError: There are no credentials, or they cannot be renewed.
        """
        with self._translated(self.url, "read"):
            config = self._config()
            signed = config.credentials
            return {
                "endpoint": config.endpoint,
                "region": config.region,
                "credentials": "none: requests are not signed"
                if signed is None
                else signed.source(),
            }

    def presigned(self, key: str, seconds: int, method: str) -> str:
        """Return a URL for one kind of request on an object, good for some seconds from now on.

        Raises:
            InvalidRequestError: Requests of this store are not signed.
            AccessDeniedError: There are no credentials, or they cannot be renewed.
        """
        with self._translated(self._ref(key), "read"):
            return presigned(self._config(), self._name(key), seconds, method, datetime.now(UTC))

    def _config(self) -> S3Config:
        if self._closed:
            raise StoreClosedError(f"{self.url} was closed: open another store", self.url)
        return S3Config.resolve(self._bucket, self._options)

    def _forget(self, client: CloudClient) -> None:
        """See `CloudBackend._forget`."""
        forget_client(client)

    def _complete(self, failure: Failure) -> None:
        """Ask for the region that the bucket is in, which obstore does not pass on."""
        if failure.code == WRONG_REGION and not failure.reason and self._mine is not None:
            parts = self._mine.client.parts
            failure.reason = parts.region(self._timeout / 3) if parts is not None else ""

    def _opened_now(self) -> Opened:
        now = Environment()
        config = self._config()
        longest = self._timeout / 3
        client = client_of(self.engine, self._forced is not None, config, longest, now)
        self.engine = client.engine
        probe = Probe((config.endpoint, self._bucket), self._prefix)
        uploader = Uploader(client, probe, self._timeout)
        by_key = str(urlsplit(config.endpoint).hostname).endswith(_SORTED_BY_KEY)
        return Opened(os.getpid(), now, client, uploader, probe, by_key)

    def close(self) -> None:
        """See `runstore.places.Backend.close`; a client that others use stays open."""
        super().close()
        self._options = {}


def _reopened(url: str, engine: str | None, timeout: float, options: dict[str, Any]) -> S3Backend:
    return S3Backend(url, engine=engine, timeout=timeout, options=options)

"""A client on obstore, which makes small requests several times as fast as s3fs.

What it has no call for (conditions on multipart uploads, uploads begun by
others) is left to s3fs, where that is installed.
"""

import builtins
import os
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from runstore.backends._s3._attended import attended, attended_write
from runstore.backends._s3._loop import MAYBE, EventLoop
from runstore.backends._s3._options import S3Config
from runstore.backends._s3._s3fs import S3fsClient
from runstore.backends._s3._wire import (
    MARK,
    RANGE_IGNORED,
    Condition,
    Failure,
    Got,
    Item,
    Parts,
    Span,
    quoted,
)
from runstore.errors import MissingExtraError, SettingsError, StorageError

__all__ = ["ObstoreClient", "is_usable"]

_AT_ONCE = 8  # parts in flight
_PAGE = 1000
_SENT_AT_ONCE = 64 << 10  # bytes of a request that the system takes over at once
_COLLECTED = 32 << 20  # bytes of an answer that are held twice, at most
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([^<]+)</Code>")
_MESSAGE = re.compile(r"<Message>([^<]+)</Message>")
_UNSENT = ("tcp connect error", "dns error", "Connection refused", "client error (Connect)")
_LOGIN = ("Unauthenticated", "PermissionDenied", "credential", "Credential")

_used_in: int | None = None  # the process whose threads obstore's runtime has


def is_usable() -> bool:
    """Say whether obstore works here: its threads are lost in a process forked after its use."""
    return _used_in in (None, os.getpid())


class ObstoreClient:
    """A bucket through obstore.

    Args:
        bucket: Its name.
        config: How to reach it.
        timeout: Seconds, the longest a request will ever be given.
    """

    engine = "obstore"
    streams = True

    def __init__(self, bucket: str, config: S3Config, timeout: float) -> None:
        global _used_in
        try:
            import obstore
        except ModuleNotFoundError as exc:
            raise MissingExtraError(
                "s3:// through obstore needs 'obstore': pip install 'runstore[s3-fast]'"
            ) from exc
        if not is_usable():
            raise StorageError(
                f"obstore was used before this process was forked, and cannot be used in it (s3://"
                f"{bucket}): start processes by spawn or forkserver, or install runstore[s3]"
            )
        _used_in = os.getpid()
        self._api = obstore
        self._bucket, self._config, self._longest = bucket, config, timeout
        self._provider = _credentials(config)
        self._stores: dict[tuple[float, bool, bool], Any] = {}
        self._other: Parts | None = None
        self._loop: EventLoop | None = None

    @property
    def parts(self) -> Parts | None:
        """Uploads step by step, through s3fs."""
        if self._other is None:
            try:
                self._other = S3fsClient(self._bucket, self._config, self._longest)
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
        """See `S3Client.put`."""
        mode: Any = "overwrite"
        if condition.if_absent:
            mode = "create"
        elif condition.if_match is not None:
            mode = {"e_tag": condition.if_match}
        data: Any = body[0] if len(body) == 1 else b"".join(body)
        given: Any = {"attributes": {MARK: mark}, "mode": mode, "use_multipart": False}
        ref, store = f"s3://{self._bucket}/{name}", self._store(timeout)

        def at_once() -> Any:
            with _failures():
                return self._api.put(store, name, data, **given)

        async def in_time() -> Any:
            with _failures():
                return await self._api.put_async(store, name, data, **given)

        # A small request is sent as soon as it is begun, so cancelling it prevents nothing.
        if len(data) <= _SENT_AT_ONCE:
            return _tag(attended_write(at_once, MAYBE.format(ref)))
        return _tag(self._event_loop.write(in_time(), None, ref))

    def stream(
        self, name: str, blocks: Iterator[memoryview], size: int, mark: str, timeout: float
    ) -> str:
        """See `S3Client.stream`."""
        steps = _Steps(blocks)

        async def upload() -> Any:
            with _failures():
                return await self._api.put_async(
                    self._store(timeout, persistent=True),
                    name,
                    steps,
                    attributes={MARK: mark},
                    use_multipart=True,
                    chunk_size=size,
                    max_concurrency=_AT_ONCE,
                )

        ref = f"s3://{self._bucket}/{name}"
        return _tag(self._event_loop.write(upload(), None, ref, steps.stop))

    @property
    def _event_loop(self) -> EventLoop:
        if self._loop is None:
            self._loop = EventLoop.shared()
        return self._loop

    def get(
        self,
        name: str,
        span: Span | None,
        if_match: str | None,
        timeout: float,
        into: memoryview | None = None,
    ) -> Got:
        """See `S3Client.get`."""
        return attended(lambda: self._get(name, span, if_match, timeout, into))

    def _get(
        self,
        name: str,
        span: Span | None,
        if_match: str | None,
        timeout: float,
        into: memoryview | None,
    ) -> Got:
        options: Any = {}
        if span is not None and span.start is None:
            options["range"] = {"suffix": span.length}
        elif span is not None and span.start is not None:
            options["range"] = (span.start, span.start + span.length)
        if if_match is not None:
            options["if_match"] = if_match
        with _failures():
            answer = self._api.get(self._store(timeout), name, options=options)
            meta, (start, end) = answer.meta, answer.range
            if not meta["e_tag"]:
                raise Failure(0, "", "the answer has no ETag: it is not an object's")
            length = end - start
            if into is not None and length > into.nbytes:
                raise Failure(412, "PreconditionFailed", "another version came: it is larger")
            if into is None:
                data = memoryview(bytearray(memoryview(answer.bytes())))
                filled = data.nbytes
            elif length <= _COLLECTED:  # one copy less than a stream makes
                data, found = into[:length], memoryview(answer.bytes())
                filled = found.nbytes
                if filled == length:
                    data[:] = found
            else:
                data, filled = into[:length], 0
                for chunk in answer.stream(min_chunk_size=1 << 20):
                    view = memoryview(chunk)
                    if filled + view.nbytes > length:
                        raise Failure(0, "", "more bytes came than announced")
                    data[filled : filled + view.nbytes] = view
                    filled += view.nbytes
        if filled != length:
            raise Failure(0, "", f"{filled} bytes came of {length}")
        mark = answer.attributes.get(MARK)
        return Got(data, meta["size"], quoted(meta["e_tag"]), _utc(meta["last_modified"]), mark)

    def pages(
        self, prefix: str, after: str | None, timeout: float
    ) -> Iterator[builtins.list[Item]]:
        """See `S3Client.pages`.

        obstore asks for page after page as long as the server says that more follow. But
        it takes an error document for an empty page, and the last one. A page that is not
        full is the end; nothing, or nothing behind a full page, is believed when it is
        said twice.
        """
        doubts = 0
        while doubts < 2:
            found = 0
            for page in self._stream(prefix, after, timeout):
                yield page
                found, after = len(page), page[-1].name
            if 0 < found < _PAGE:
                return
            doubts = 1 if found else doubts + 1

    def _stream(
        self, prefix: str, after: str | None, timeout: float
    ) -> Iterator[builtins.list[Item]]:
        def begun() -> Any:
            store = self._store(timeout)
            return iter(self._api.list(store, prefix or None, offset=after, chunk_size=_PAGE))

        with _failures():
            steps = attended(begun)
            while page := attended(lambda: next(steps, None)):
                yield [
                    Item(o["path"], o["size"], _utc(o["last_modified"]), quoted(o["e_tag"] or ""))
                    for o in page
                ]

    def folders(self, prefix: str, timeout: float) -> builtins.list[str]:
        """See `S3Client.folders`."""
        store = self._store(timeout)
        for _ in range(2):  # see pages()
            with _failures():
                found = attended(lambda: self._api.list_with_delimiter(store, prefix or None))
            if found["common_prefixes"]:
                break
        return [f"{name[len(prefix) :]}/" for name in found["common_prefixes"]]

    def delete(self, name: str, timeout: float) -> None:
        """See `S3Client.delete`."""
        store = self._store(timeout, bulk=False)
        with _failures():
            attended(lambda: self._api.delete(store, name))

    def delete_batch(self, names: Sequence[str], timeout: float) -> dict[str, Failure]:
        """See `S3Client.delete_batch`; obstore tells of the first refusal alone."""
        store = self._store(timeout)
        with _failures():
            attended(lambda: self._api.delete(store, builtins.list(names)))
        return {}

    def retire(self) -> None:
        """See `S3Client.retire`; obstore's own connections are shared with nobody."""
        if isinstance(self._other, S3fsClient):
            self._other.retire()

    def _store(self, timeout: float, *, bulk: bool = True, persistent: bool = False) -> Any:
        """Give a store whose requests end within *timeout*.

        A store's timeout is fixed when it is made, and it has connections of its
        own; so there are few, each with half the time of the one before.
        """
        time = self._longest
        while time > timeout * 1.01 and time > 0.1:
            time /= 2
        found = self._stores.get((time, bulk, persistent))
        if found is None:
            found = self._stores[time, bulk, persistent] = self._made(time, bulk, persistent)
        return found

    def _made(self, time: float, bulk: bool, persistent: bool) -> Any:
        from obstore.store import S3Store

        config, extra = self._config, dict[str, Any]()
        if config.encryption:
            given = dict(config.encryption)
            extra["server_side_encryption"] = given.get("ServerSideEncryption")
            extra["sse_kms_key_id"] = given.get("SSEKMSKeyId")
        client: Any = {
            "timeout": timedelta(seconds=time),
            "connect_timeout": timedelta(seconds=min(time, 10)),
            "allow_http": config.endpoint is not None and config.endpoint.startswith("http:"),
        }
        if config.verify is False:
            client["allow_invalid_certificates"] = True
        elif isinstance(config.verify, str):
            with open(config.verify, "rb") as file:  # noqa: PTH123
                client["root_certificate"] = file.read()
        if self._provider is not None:
            extra["credential_provider"] = self._provider
        if not bulk:
            extra["disable_bulk_delete"] = True
        try:
            return S3Store(
                self._bucket,
                endpoint=_endpoint(config, self._bucket),
                region=config.region,
                virtual_hosted_style_request=not config.path_style,
                skip_signature=config.anon,
                request_payer=config.requester_pays,
                client_options=client,
                retry_config={
                    "max_retries": 6 if persistent else 0,
                    "retry_timeout": timedelta(seconds=time / 2 if persistent else time),
                },
                **extra,
            )
        except (self._api.exceptions.BaseError, ValueError, TypeError) as exc:
            raise SettingsError(f"obstore does not take these settings: {exc}") from exc


class _Steps:
    """The blocks of an upload; once it is stopped, the next one is an error, which aborts it."""

    def __init__(self, blocks: Iterator[memoryview]) -> None:
        self._blocks = blocks
        self._stopped = False
        self._ended = False

    def __iter__(self) -> Iterator[memoryview]:
        return self

    def __next__(self) -> memoryview:
        if self._stopped:
            raise Failure(0, "", "the upload was interrupted")
        try:
            return next(self._blocks)
        except StopIteration:
            self._ended = True
            raise

    def stop(self) -> bool:
        """Abort the upload; say whether that may be too late."""
        self._stopped = True
        return self._ended


class _failures:  # noqa: N801 - used as a function; a class costs a request less than a generator
    """Turn what obstore raises into `Failure`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, exc: BaseException | None, traceback: Any) -> None:
        if exc is None or isinstance(exc, Failure):
            return
        from obstore.exceptions import BaseError

        if isinstance(exc, (BaseError, FileNotFoundError)):
            raise _failure(exc) from exc


def _failure(exc: Exception) -> Failure:
    text, name = str(exc), type(exc).__name__
    text = text.partition("Debug source:")[0]
    status = int(found[1]) if (found := _STATUS.search(text)) else 0
    code = found[1] if (found := _CODE.search(text)) else ""
    if found := _MESSAGE.search(text):
        return Failure(status, code, found[1])
    if "non-partial response" in text:
        return Failure(416, RANGE_IGNORED, "the whole object came where a range was asked for")
    if status:
        return Failure(status, code, "no reason given")
    if any(word in text for word in _UNSENT):
        return Failure(0, "", "no connection to the server", sent=False)
    if any(word in name or word in text for word in _LOGIN):
        return Failure(403, "NoCredentials", "no usable credentials were found")
    timed_out = "timed out" in text or "operation timed out" in str(exc)
    reason = "no answer in time" if timed_out else "the connection or the answer broke off"
    return Failure(0, "", reason, cut=timed_out)


def _tag(answer: Any) -> str:
    if not answer["e_tag"]:
        raise Failure(0, "", "the answer has no ETag: it is not a write's")
    return quoted(str(answer["e_tag"]))


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _endpoint(config: S3Config, bucket: str) -> str:
    """Give the endpoint always, so that obstore does not take another from the environment."""
    endpoint = config.endpoint or f"https://s3.{config.region}.amazonaws.com"
    if config.path_style:
        return endpoint
    parts = urlsplit(endpoint)
    return parts._replace(netloc=f"{bucket}.{parts.netloc}").geturl()


def _credentials(config: S3Config) -> Any:
    """Give a function that gives credentials; None where obstore looks for them itself."""
    if config.anon:
        return None
    if config.key is not None and config.secret is not None:
        return _Fixed(config.key, config.secret, config.token)
    if config.profile is None:
        key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
        if key and secret:
            return _Fixed(key, secret, os.environ.get("AWS_SESSION_TOKEN"))
    try:
        from botocore.session import Session
    except ModuleNotFoundError as exc:
        if config.profile is None:
            return None
        raise MissingExtraError(
            f"the profile {config.profile!r} is looked up with botocore: pip install 'runstore[s3]'"
        ) from exc
    found = Session(profile=config.profile).get_credentials()
    if found is None:
        raise Failure(403, "NoCredentials", "no credentials were found", sent=False)
    return _Renewed(found)


class _Fixed:
    """Credentials that stay; not shown in any repr."""

    def __init__(self, key: str, secret: str, token: str | None) -> None:
        self._given = {"access_key_id": key, "secret_access_key": secret, "token": token}

    def __call__(self) -> dict[str, Any]:
        return {**self._given, "expires_at": None}


class _Renewed:
    """Credentials that botocore renews when they end."""

    def __init__(self, found: Any) -> None:
        self._found = found

    def __call__(self) -> dict[str, Any]:
        now = self._found.get_frozen_credentials()
        return {
            "access_key_id": now.access_key,
            "secret_access_key": now.secret_key,
            "token": now.token,
            "expires_at": datetime.now(UTC) + timedelta(minutes=5),
        }

"""A client on obstore, which makes small requests several times as fast as s3fs.

What it has no call for (conditions on multipart uploads, uploads begun by
others) is left to s3fs, where that is installed.
"""

import builtins
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import Any

from runstore.errors import MissingExtraError, SettingsError, StorageError
from runstore.lifetime import forget_at_fork, load_module
from runstore.places._s3 import _causes as causes
from runstore.places._s3._attended import attended, attended_write
from runstore.places._s3._conditions import HIDDEN
from runstore.places._s3._config import S3Config
from runstore.places._s3._credentials import Credentials
from runstore.places._s3._loop import MAYBE, EventLoop, answered
from runstore.places._s3._obstore_failures import as_failure
from runstore.places._s3._obstore_settings import not_taken, settings, unruly
from runstore.places._s3._rust import lent
from runstore.places._s3._s3fs import S3fsClient
from runstore.places._s3._wire import (
    MARK,
    Condition,
    Failure,
    Got,
    Item,
    Parts,
    Span,
    quoted,
)

__all__ = ["ObstoreClient", "is_usable"]

_AT_ONCE = 8  # parts in flight
_PAGE = 1000
_SENT_AT_ONCE = 64 << 10  # bytes of a request that the system takes over at once
_COLLECTED = 32 << 20  # bytes of an answer that are held twice, at most
_ASKED_AGAIN = timedelta(minutes=1)  # botocore renews credentials ten minutes before they end
_ANSWERS_OF_S3 = frozenset({"NoSuchKey", "NoSuchObject", "AccessDenied", "InvalidRange"})
_LOGIN = frozenset({"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"})


class _Runtime:
    """Whose threads obstore works with: those of the process that used it first, and no other."""

    def __init__(self) -> None:
        self.pid: int | None = None
        self._prepared = False
        forget_at_fork(self)

    @property
    def lost(self) -> bool:
        return self.pid not in (None, os.getpid())

    def prepare(self) -> None:
        """Load what the child will use, once: in each child it would take most of a second."""
        if self.pid == os.getpid() and not self._prepared and find_spec("s3fs") is not None:
            self._prepared = True
            load_module("runstore.places._s3._session").load_model()

    def forget(self) -> None:
        """Keep what is known: that the threads are another process's."""


_runtime = _Runtime()


def is_usable(config: S3Config) -> bool:
    """Return whether obstore works here and does what *config* says.

    Its threads are lost in a process forked after its use, and some variables it obeys whatever
    it is told.
    """
    return not _runtime.lost and unruly(config) is None


class ObstoreClient:
    """A bucket through obstore.

    Args:
        config: How to reach it.
        timeout: Seconds, the longest a request will ever be given.
    """

    engine = "obstore"
    streams = True

    def __init__(self, config: S3Config, timeout: float) -> None:
        try:
            import obstore
        except ModuleNotFoundError as exc:
            raise MissingExtraError(
                "s3:// through obstore needs 'obstore': pip install 'runstore[s3-fast]'"
            ) from exc
        if _runtime.lost:
            raise StorageError(
                f"obstore was used before this process was forked, and cannot be used in it (s3://"
                f"{config.bucket}): start processes by spawn or forkserver, or install runstore[s3]"
            )
        if found := unruly(config):
            raise SettingsError(
                f"{found} is set, which obstore obeys whatever it is told, and s3fs does not: "
                "unset it, or choose engine='s3fs'"
            )
        _runtime.pid = os.getpid()
        self._api = obstore
        self._config, self._longest = config, timeout
        self._stores: dict[tuple[float, bool, bool, bool], Any] = {}
        self._failures = _Failures(config, self._stores)
        self._provider = _Provider(config.credentials) if config.credentials is not None else None
        self._other: Parts | None = None
        self._loop: EventLoop | None = None

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
        """See `S3Client.put`."""
        mode: Any = "overwrite"
        if condition.if_absent:
            mode = "create"
        elif condition.if_match is not None:
            mode = {"e_tag": condition.if_match}
        data: Any = lent(body[0] if len(body) == 1 else b"".join(body))
        given: Any = {"attributes": {MARK: mark}, "mode": mode, "use_multipart": False}
        ref, store = f"s3://{self._config.bucket}/{name}", self._store(timeout)

        def at_once() -> Any:
            with self._failures:
                return self._api.put(store, name, data, **given)

        async def in_time() -> Any:
            with self._failures:
                return await answered(lambda: self._api.put_async(store, name, data, **given))

        # A small request is sent as soon as it is begun, so cancelling it prevents nothing.
        if data.nbytes <= _SENT_AT_ONCE:
            return _tag(attended_write(at_once, MAYBE.format(ref)))
        return _tag(self._event_loop.write(in_time(), None, ref))

    def stream(
        self, name: str, blocks: Iterator[memoryview], size: int, mark: str, timeout: float
    ) -> str:
        """See `S3Client.stream`."""
        steps, store = _Steps(blocks), self._store(timeout, persistent=True)

        async def upload() -> Any:
            with self._failures:
                return await answered(
                    lambda: self._api.put_async(
                        store,
                        name,
                        steps,
                        attributes={MARK: mark},
                        use_multipart=True,
                        chunk_size=size,
                        max_concurrency=_AT_ONCE,
                    )
                )

        ref = f"s3://{self._config.bucket}/{name}"
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
        with self._failures:
            answer = self._api.get(self._store(timeout), name, options=options)
            meta, (start, end) = answer.meta, answer.range
            if not meta["e_tag"]:
                raise Failure(0, causes.NOT_S3, "an answer without an ETag")
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
        it takes any document for an empty page, and the last one: an error's, a login page. A
        page that is not full is the end; nothing, or nothing behind a full page, is believed
        when it is said twice, and by S3.
        Where it meets a key that it cannot have, s3fs goes on.
        """
        doubts, begun = 0, after
        while doubts < 2:
            found = 0
            try:
                for page in self._stream(prefix, after, timeout):
                    # It leaves out a slash at the end, by which a key stands in for a folder.
                    yield [item for item in page if item.name.startswith(prefix)]
                    found, after = len(page), page[-1].name
            except Failure as failure:
                yield from self._instead(failure).pages(prefix, after, timeout)
                return
            if 0 < found < _PAGE:
                return
            doubts = 1 if found else doubts + 1
        if after == begun:
            self._prove(timeout)

    def _stream(
        self, prefix: str, after: str | None, timeout: float
    ) -> Iterator[builtins.list[Item]]:
        def begun() -> Any:
            store = self._store(timeout)
            return iter(self._api.list(store, prefix or None, offset=after, chunk_size=_PAGE))

        with self._failures:
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
            try:
                with self._failures:
                    found = attended(lambda: self._api.list_with_delimiter(store, prefix or None))
            except Failure as failure:
                return self._instead(failure).folders(prefix, timeout)
            if found["common_prefixes"]:
                break
        else:
            self._prove(timeout)
        return [f"{name[len(prefix) :]}/" for name in found["common_prefixes"]]

    def _instead(self, failure: Failure) -> S3fsClient:
        """Return the client for a listing that obstore cannot make, or raise *failure*."""
        other = self.parts if failure.code == causes.FOREIGN_KEY else None
        if not isinstance(other, S3fsClient):
            raise failure
        return other

    def _prove(self, timeout: float) -> None:
        """Raise `Failure` unless S3 answers: it says of an object that there is none.

        A refusal of S3's own is a proof, too: the credentials may be good for listings alone.
        """
        try:
            self.get(f"{HIDDEN}nothing", Span(0, 1), None, timeout)
        except Failure as failure:
            if failure.code == causes.RANGE_IGNORED:  # so there is one: any name will do there
                raise Failure(0, causes.NOT_S3, "an answer for an object that is none") from failure
            if failure.code not in _ANSWERS_OF_S3:
                raise

    def delete(self, name: str, timeout: float) -> None:
        """See `S3Client.delete`."""
        store = self._store(timeout, bulk=False)
        with self._failures:
            attended(lambda: self._api.delete(store, name))

    def delete_batch(self, names: Sequence[str], timeout: float) -> dict[str, Failure]:
        """See `S3Client.delete_batch`; obstore tells of the first refusal alone."""
        store = self._store(timeout)
        with self._failures:
            attended(lambda: self._api.delete(store, builtins.list(names)))
        return {}

    def retire(self) -> None:
        """See `S3Client.retire`; obstore's own connections are shared with nobody."""
        if isinstance(self._other, S3fsClient):
            self._other.retire()

    def _store(self, timeout: float, *, bulk: bool = True, persistent: bool = False) -> Any:
        """Return a store whose requests end within *timeout*.

        A store's timeout is fixed when it is made, and it has connections of its
        own; so there are few, each with half the time of the one before.

        Raises:
            Failure: There are no credentials.
        """
        # Asked here, and not only by obstore: what it makes of a failure has no cause.
        own = self._provider is not None and self._provider.credentials.current() is not None
        time = self._longest
        while time > timeout * 1.01 and time > 0.1:
            time /= 2
        found = self._stores.get((time, bulk, persistent, own))
        if found is None:
            found = self._made(time, bulk, persistent, self._provider if own else None)
            self._stores[time, bulk, persistent, own] = found
        return found

    def _made(self, time: float, bulk: bool, persistent: bool, provider: "_Provider | None") -> Any:
        from obstore.store import S3Store

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
            return lent(next(self._blocks))
        except StopIteration:
            self._ended = True
            raise

    def stop(self) -> bool:
        """Abort the upload; say whether that may be too late."""
        self._stopped = True
        return self._ended


class _Failures:
    """Turn what obstore raises into `Failure`; one object, used again and again."""

    def __init__(self, config: S3Config, stores: dict[Any, Any]) -> None:
        self._credentials, self._stores = config.credentials, stores
        self._host = config.base.partition("://")[2]

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, exc: BaseException | None, traceback: Any) -> None:
        if exc is None or isinstance(exc, Failure):
            return
        from obstore.exceptions import BaseError

        # A panic of Rust is no Exception, and its class cannot be imported.
        panic = type(exc).__name__ == "PanicException"
        if not isinstance(exc, (BaseError, FileNotFoundError, FileExistsError)) and not panic:
            return
        failure = as_failure(exc, self._host)
        if failure.code in _LOGIN and self._credentials is not None:
            self._credentials.forget()
            self._stores.clear()  # each has a copy of them
        raise failure from self._hidden(exc)

    def _hidden(self, exc: BaseException) -> BaseException:
        """Return the exception for a traceback: servers quote keys and tokens in an error."""
        text = str(exc)
        hidden = self._credentials.hidden(text) if self._credentials is not None else text
        return exc if hidden == text else type(exc)(hidden)


def _tag(answer: Any) -> str:
    if not answer["e_tag"]:
        raise Failure(0, causes.NOT_S3, "an answer to a write without an ETag")
    return quoted(str(answer["e_tag"]))


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


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

"""A client on aiobotocore, which s3fs brings: one botocore call per request.

The requests run on an event loop of our own. The filesystem of s3fs itself, with its retries,
caches and translations of errors, is not used: `runstore.places._cloud` has them.
"""

import asyncio
import builtins
import os
import time
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from runstore.buffers import Buffer
from runstore.errors import MissingExtraError
from runstore.lifetime import Shared, load_module
from runstore.places._cloud import _causes as causes
from runstore.places._cloud._arriving import Direct
from runstore.places._cloud._loop import EventLoop
from runstore.places._cloud._wire import MARK, Condition, Failure, Got, Item, Span, Upload, quoted
from runstore.places._s3._botocore_failures import (
    STRANGER,
    answered,
    as_failure,
    refused_item,
)
from runstore.places._s3._config import S3Config
from runstore.places._s3._direct import S3Direct
from runstore.places._s3._environment import Environment
from runstore.places._s3._server import Server

__all__ = ["S3fsClient"]

T = TypeVar("T")

_CHUNK = 1 << 20  # bytes of an answer taken at a time, at most
_LOGIN = frozenset({"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"})


class _Connection:
    """A client of botocore and its connections, shared by all stores of one configuration.

    They are closed with the last reference to it.
    """

    def __init__(self, config: S3Config, timeout: float) -> None:
        try:
            open_client = load_module("runstore.places._s3._session").open_client
        except ModuleNotFoundError as exc:
            raise MissingExtraError(
                f"s3:// through s3fs needs {exc.name!r}: pip install 'runstore[s3]'"
            ) from exc
        self.loop = EventLoop.shared()
        self._leaving = AsyncExitStack()
        self._open = partial(open_client, config, timeout, self._leaving)
        self._connecting = asyncio.Lock()
        self._connected: Any = None
        self.loop.attend(self)
        weakref.finalize(self, _close, os.getpid(), self.loop, self._leaving).atexit = False

    async def client(self) -> Any:
        """Return botocore's client, made at the first call."""
        if self._connected is None:
            async with self._connecting:
                if self._connected is None:
                    self._connected = await self._open()
        return self._connected

    async def leave(self) -> None:
        """Close the connections."""
        await self._leaving.aclose()


def _close(pid: int, loop: EventLoop, leaving: AsyncExitStack) -> None:
    if os.getpid() == pid:  # a fork has no right to the connections
        loop.let_go(leaving.aclose())


_connections: Shared[tuple[S3Config, float, Environment], _Connection] = Shared()


class S3fsClient:
    """A bucket through s3fs.

    Args:
        config: How to reach it.
        timeout: Seconds, the longest a request will ever be given.
    """

    engine = "s3fs"
    streams = False

    def __init__(self, config: S3Config, timeout: float) -> None:
        self._bucket, self._host = config.bucket, config.base.partition("://")[2]
        self._credentials = config.credentials
        self._written, self._customers = config.written.of_botocore, config.written.customers
        self._customers_source = config.written.customers_source
        self._payer = {"RequestPayer": "requester"} if config.requester_pays else {}
        self.direct: Direct | None = S3Direct(Server(config))
        key = config, timeout, Environment()
        self._connection = _connections.get(key, lambda: _Connection(config, timeout))

    @property
    def parts(self) -> "S3fsClient":
        """See `CloudClient.parts`."""
        return self

    def put(
        self,
        name: str,
        body: Sequence[memoryview],
        mark: str,
        condition: Condition,
        timeout: float,
    ) -> str:
        """See `CloudClient.put`."""
        given = {"Body": b"".join(body), "Metadata": {MARK: mark}, **self._written}
        return _tag(self._write("put_object", timeout, Key=name, **given, **_conditions(condition)))

    def stream(
        self, name: str, blocks: Iterable[Buffer], size: int, mark: str, timeout: float
    ) -> str:
        """Not used: ``parts`` does it."""
        raise NotImplementedError

    def get(
        self,
        name: str,
        span: Span | None,
        if_match: str | None,
        timeout: float,
        into: memoryview | None = None,
    ) -> Got:
        """See `CloudClient.get`."""
        given = {"Range": span.header} if span is not None else {}
        given |= self._customers
        if if_match is not None:
            given["IfMatch"] = if_match
        return self._run(partial(self._read, name, given, into), timeout)

    def pages(
        self, prefix: str, after: str | None, timeout: float
    ) -> Iterator[builtins.list[Item]]:
        """See `CloudClient.pages`."""
        given = {"Prefix": prefix} | ({"StartAfter": after} if after is not None else {})
        for page in self._listed("list_objects_v2", given, timeout):
            yield [
                Item(o["Key"], o["Size"], _utc(o["LastModified"]), quoted(o.get("ETag", "")))
                for o in page.get("Contents", ())
            ]

    def folders(self, prefix: str, timeout: float) -> builtins.list[str]:
        """See `CloudClient.folders`."""
        pages = self._listed("list_objects_v2", {"Prefix": prefix, "Delimiter": "/"}, timeout)
        found = [common["Prefix"] for page in pages for common in page.get("CommonPrefixes", ())]
        return [name[len(prefix) :] for name in found]

    def delete(self, name: str, timeout: float) -> None:
        """See `CloudClient.delete`."""
        self._run(partial(self._call, "delete_object", Key=name), timeout)

    def delete_batch(self, names: Sequence[str], timeout: float) -> dict[str, Failure]:
        """See `CloudClient.delete_batch`."""
        # Not quiet: what is not in the answer was not removed.
        wanted = {"Objects": [{"Key": name} for name in names], "Quiet": False}
        answer = self._run(partial(self._call, "delete_objects", Delete=wanted), timeout)
        errors = {error.get("Key", ""): error for error in answer.get("Errors", ())}
        removed = {item.get("Key", "") for item in answer.get("Deleted", ())}
        if not errors and not removed:
            raise Failure(0, causes.NOT_S3, f"{self._host}: an answer without a list")
        return {
            name: refused_item(error.get("Code", ""), error.get("Message", "refused"))
            for name in names
            if name not in removed and (error := errors.get(name, {})).get("Code") != "NoSuchKey"
        }

    def retire(self) -> None:
        """See `CloudClient.retire`."""
        _connections.drop(self._connection)

    def create(self, name: str, mark: str, timeout: float) -> str:
        """See `Parts.create`."""
        given = {"Metadata": {MARK: mark}, **self._written}
        answer = self._run(
            partial(self._call, "create_multipart_upload", Key=name, **given), timeout
        )
        if not answer.get("UploadId"):
            raise Failure(0, causes.NOT_S3, f"{self._host}: an answer without an upload's id")
        return str(answer["UploadId"])

    def send(
        self, name: str, upload: str, number: int, body: Sequence[memoryview], timeout: float
    ) -> str:
        """See `Parts.send`."""
        given = {"UploadId": upload, "PartNumber": number, "Body": b"".join(body)}
        given |= self._customers
        return _tag(self._run(partial(self._call, "upload_part", Key=name, **given), timeout))

    def copy(
        self,
        name: str,
        upload: str,
        number: int,
        source: str,
        span: Span,
        version: str,
        timeout: float,
    ) -> str:
        """See `Parts.copy`."""
        given = {
            "UploadId": upload,
            "PartNumber": number,
            "CopySource": {"Bucket": self._bucket, "Key": source},
            "CopySourceRange": span.header,
            "CopySourceIfMatch": version,
            **self._customers,
            **self._customers_source,
        }
        try:
            answer = self._run(partial(self._call, "upload_part_copy", Key=name, **given), timeout)
        except Failure as failure:
            if failure.condition_failed:
                raise Failure(412, causes.SOURCE_CHANGED, "the source was replaced") from failure
            raise
        return _tag(answer.get("CopyPartResult") or {})

    def complete(
        self, name: str, upload: str, tags: Sequence[str], condition: Condition, timeout: float
    ) -> str:
        """See `Parts.complete`."""
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
        given = {"UploadId": upload, "MultipartUpload": {"Parts": parts}, **_conditions(condition)}
        given |= self._customers
        return _tag(self._write("complete_multipart_upload", timeout, Key=name, **given))

    def abort(self, name: str, upload: str, timeout: float) -> None:
        """See `Parts.abort`."""
        self._run(partial(self._call, "abort_multipart_upload", Key=name, UploadId=upload), timeout)

    def begun(self, prefix: str, timeout: float) -> Iterator[Upload]:
        """See `Parts.begun`."""
        for page in self._listed("list_multipart_uploads", {"Prefix": prefix}, timeout):
            for upload in page.get("Uploads", ()):
                yield Upload(upload["Key"], upload["UploadId"], _utc(upload["Initiated"]))

    def written(self, upload: Upload, timeout: float) -> datetime:
        """See `Parts.written`."""
        given: dict[str, Any] = {"Key": upload.name, "UploadId": upload.id}
        newest, until = upload.begun, time.monotonic() + timeout
        while True:
            left = until - time.monotonic()
            page = self._run(partial(self._call, "list_parts", **given), left)
            newest = max([newest, *(_utc(part["LastModified"]) for part in page.get("Parts", ()))])
            if not page.get("IsTruncated"):
                return newest
            given["PartNumberMarker"] = page["NextPartNumberMarker"]

    def region(self, timeout: float) -> str:
        """See `Parts.region`."""
        try:
            self._run(partial(self._call, "head_bucket"), timeout)
        except Failure as failure:
            return failure.reason if failure.code == causes.WRONG_REGION else ""
        return ""

    def _listed(self, method: str, given: dict[str, str], timeout: float) -> Iterator[Any]:
        while True:
            page = self._run(partial(self._call, method, **given), timeout)
            if not {"IsTruncated", "Name", "Bucket"} & page.keys():
                raise Failure(0, causes.NOT_S3, f"{self._host}: an answer that is no list")
            yield page
            if not page.get("IsTruncated"):
                return
            if "NextContinuationToken" in page:
                given = given | {"ContinuationToken": page["NextContinuationToken"]}
            elif "NextKeyMarker" in page:
                marker = {"KeyMarker": page["NextKeyMarker"]}
                given = given | marker | {"UploadIdMarker": page.get("NextUploadIdMarker", "")}
            else:
                raise Failure(0, causes.NOT_S3, f"{self._host}: a list that does not go on")

    async def _read(self, name: str, given: dict[str, str], into: memoryview | None) -> Got:
        answer = await self._call("get_object", Key=name, **given)
        if "ETag" not in answer:
            raise Failure(0, causes.NOT_S3, f"{self._host}: an answer without an ETag")
        length, ranged = int(answer["ContentLength"]), answer.get("ContentRange")
        if into is None:
            into = memoryview(bytearray(length))
        if length > into.nbytes:
            raise Failure(412, "PreconditionFailed", "another version came: it is larger")
        filled = 0
        body = answer["Body"]
        async with body:  # before aiobotocore 3 it gives aiohttp's own answer
            async for chunk in _chunks(body, self._host):
                if filled + len(chunk) > length:
                    raise Failure(0, "", "more bytes came than announced")
                into[filled : filled + len(chunk)] = chunk
                filled += len(chunk)
        if filled != length:
            raise Failure(0, "", f"{filled} bytes came of {length}")
        total = ranged.rpartition("/")[2] if ranged else ""
        size = int(total) if total.isdigit() else length
        mark = answer.get("Metadata", {}).get(MARK)
        data: Buffer = into[:length]
        return Got(data, size, quoted(answer["ETag"]), _utc(answer["LastModified"]), mark)

    async def _call(self, method: str, **given: Any) -> Any:
        import aiohttp
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        try:
            client = await self._connection.client()
            payer = self._payer if method != "list_multipart_uploads" else {}
            answer = await getattr(client, method)(Bucket=self._bucket, **payer, **given)
        except ClientError as exc:
            failure = answered(exc.response)
            if failure.code in _LOGIN and self._credentials is not None:
                self._credentials.forget()
            raise failure from exc
        except (BotoCoreError, ResponseParserError, aiohttp.ClientError, OSError) as exc:
            # aiobotocore reads an error's document outside of its own handling of errors
            raise as_failure(exc, self._host) from exc
        if STRANGER in answer:
            raise Failure(0, causes.NOT_S3, f"{self._host}: an answer that is not XML")
        return answer

    def _write(self, method: str, timeout: float, **given: Any) -> Any:
        """Call what makes an object visible."""
        ref, loop = f"s3://{self._bucket}/{given['Key']}", self._connection.loop
        with _Noted(self._host) as noted:
            return loop.write(
                partial(noted.during, partial(self._call, method, **given)), timeout, ref
            )

    def _run(self, work: Callable[[], Coroutine[Any, Any, T]], timeout: float) -> T:
        with _Noted(self._host) as noted:
            return self._connection.loop.run(partial(noted.during, work), timeout)


class _Noted:
    """Whether a request had a connection, which tells one that was cut from one never sent."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._seen: list[bool] = []

    async def during(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        from runstore.places._s3._session import WATCHES, connected

        connected.set(self._seen)
        self._seen += [] if WATCHES else [True]
        return await work()

    def __enter__(self) -> "_Noted":
        return self

    def __exit__(self, kind: Any, exc: BaseException | None, traceback: Any) -> None:
        if isinstance(exc, Failure) and exc.cut and not self._seen:
            reason = f"{self._host}: no connection to the server in time"
            raise Failure(0, "", reason, sent=False) from exc


async def _chunks(body: Any, host: str) -> AsyncIterator[bytes]:
    from aiohttp import ClientError
    from botocore.exceptions import BotoCoreError

    try:
        async for chunk in body.iter_chunks(_CHUNK):
            yield chunk
    except (BotoCoreError, ClientError, OSError) as exc:
        raise Failure(0, "", f"{host}: the answer broke off ({type(exc).__name__})") from exc


def _tag(answer: Any) -> str:
    tag = answer.get("ETag")
    if not tag:
        raise Failure(0, causes.NOT_S3, "an answer to a write without an ETag")
    return quoted(str(tag))


def _conditions(condition: Condition) -> dict[str, str]:
    if condition.if_absent:
        return {"IfNoneMatch": "*"}
    return {"IfMatch": condition.if_match} if condition.if_match is not None else {}


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)

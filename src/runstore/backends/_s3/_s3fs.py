"""A client on s3fs: its session, options and connections, one botocore call per request.

The requests run on an event loop of our own. s3fs' retries, caches and translations of
errors are left out; ours are above.
"""

import asyncio
import builtins
import os
import weakref
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from runstore.backends._s3._environment import Environment, environment
from runstore.backends._s3._loop import EventLoop
from runstore.backends._s3._options import S3Config
from runstore.backends._s3._wire import MARK, Condition, Failure, Got, Item, Span, Upload, quoted
from runstore.buffers import Buffer
from runstore.errors import MissingExtraError
from runstore.lifetime import Shared

__all__ = ["S3fsClient"]

T = TypeVar("T")

_CHUNK = 1 << 20  # bytes of an answer taken at a time, at most
_CONNECT = 10.0  # seconds for a connection, at most


class _Connection:
    """What every bucket of one configuration shares: s3fs' session and its connections.

    They are closed when nobody holds it any more.
    """

    def __init__(self, config: S3Config, timeout: float) -> None:
        try:
            from s3fs import S3FileSystem
        except ModuleNotFoundError as exc:
            raise MissingExtraError(
                f"s3:// through s3fs needs {exc.name!r}: pip install 'runstore[s3]'"
            ) from exc
        self.loop = EventLoop.shared()
        self.fs = S3FileSystem(
            **_arguments(config, timeout),
            asynchronous=True,
            skip_instance_cache=True,
            use_listings_cache=False,
        )
        self._connecting = asyncio.Lock()
        self._connected: Any = None
        self.loop.attend(self)
        weakref.finalize(self, _close, os.getpid(), self.loop, self.fs).atexit = False

    async def client(self) -> Any:
        """Return botocore's client, made at the first call."""
        if self._connected is None:
            async with self._connecting:
                self._connected = await self.fs.set_session()
        return self._connected

    async def leave(self) -> None:
        """Close the connections."""
        await _leave(self.fs)


async def _leave(fs: Any) -> None:
    creator = getattr(fs, "_s3creator", None)  # s3fs has one when it was first used
    if creator is not None:
        await creator.__aexit__(None, None, None)


def _close(pid: int, loop: EventLoop, fs: Any) -> None:
    if os.getpid() == pid:  # a fork has no right to the connections
        loop.let_go(_leave(fs))


_connections: Shared[tuple[S3Config, float, Environment], _Connection] = Shared()


class S3fsClient:
    """A bucket through s3fs.

    Args:
        bucket: Its name.
        config: How to reach it.
        timeout: Seconds, the longest a request will ever be given.
    """

    engine = "s3fs"
    streams = False

    def __init__(self, bucket: str, config: S3Config, timeout: float) -> None:
        self._bucket = bucket
        self._encryption = dict(config.encryption)
        key = config, timeout, environment()
        self._connection = _connections.get(key, lambda: _Connection(config, timeout))

    @property
    def parts(self) -> "S3fsClient":
        """See `S3Client.parts`."""
        return self

    def put(
        self,
        name: str,
        body: Sequence[memoryview],
        mark: str,
        condition: Condition,
        timeout: float,
    ) -> str:
        """See `S3Client.put`."""
        given = {"Body": b"".join(body), "Metadata": {MARK: mark}, **self._encryption}
        return _tag(self._write("put_object", timeout, Key=name, **given, **_conditions(condition)))

    def stream(
        self, name: str, blocks: Iterator[memoryview], size: int, mark: str, timeout: float
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
        """See `S3Client.get`."""
        given = {"Range": span.header} if span is not None else {}
        if if_match is not None:
            given["IfMatch"] = if_match
        return self._run(self._read(name, given, into), timeout)

    def pages(
        self, prefix: str, after: str | None, timeout: float
    ) -> Iterator[builtins.list[Item]]:
        """See `S3Client.pages`."""
        given = {"Prefix": prefix} | ({"StartAfter": after} if after is not None else {})
        for page in self._listed("list_objects_v2", given, timeout):
            yield [
                Item(o["Key"], o["Size"], _utc(o["LastModified"]), quoted(o["ETag"]))
                for o in page.get("Contents", ())
            ]

    def folders(self, prefix: str, timeout: float) -> builtins.list[str]:
        """See `S3Client.folders`."""
        pages = self._listed("list_objects_v2", {"Prefix": prefix, "Delimiter": "/"}, timeout)
        found = [common["Prefix"] for page in pages for common in page.get("CommonPrefixes", ())]
        return [name[len(prefix) :] for name in found]

    def delete(self, name: str, timeout: float) -> None:
        """See `S3Client.delete`."""
        self._run(self._call("delete_object", Key=name), timeout)

    def delete_batch(self, names: Sequence[str], timeout: float) -> dict[str, Failure]:
        """See `S3Client.delete_batch`."""
        wanted = {"Objects": [{"Key": name} for name in names], "Quiet": True}
        answer = self._run(self._call("delete_objects", Delete=wanted), timeout)
        return {
            error["Key"]: _refusal(error.get("Code", ""), error.get("Message", "refused"))
            for error in answer.get("Errors", ())
            if error.get("Code") != "NoSuchKey"
        }

    def retire(self) -> None:
        """See `S3Client.retire`."""
        _connections.drop(self._connection)

    def create(self, name: str, mark: str, timeout: float) -> str:
        """See `Parts.create`."""
        given = {"Metadata": {MARK: mark}, **self._encryption}
        answer = self._run(self._call("create_multipart_upload", Key=name, **given), timeout)
        return str(answer["UploadId"])

    def send(
        self, name: str, upload: str, number: int, body: Sequence[memoryview], timeout: float
    ) -> str:
        """See `Parts.send`."""
        given = {"UploadId": upload, "PartNumber": number, "Body": b"".join(body)}
        return _tag(self._run(self._call("upload_part", Key=name, **given), timeout))

    def complete(
        self, name: str, upload: str, tags: Sequence[str], condition: Condition, timeout: float
    ) -> str:
        """See `Parts.complete`."""
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
        given = {"UploadId": upload, "MultipartUpload": {"Parts": parts}, **_conditions(condition)}
        return _tag(self._write("complete_multipart_upload", timeout, Key=name, **given))

    def abort(self, name: str, upload: str, timeout: float) -> None:
        """See `Parts.abort`."""
        self._run(self._call("abort_multipart_upload", Key=name, UploadId=upload), timeout)

    def begun(self, prefix: str, timeout: float) -> Iterator[Upload]:
        """See `Parts.begun`."""
        for page in self._listed("list_multipart_uploads", {"Prefix": prefix}, timeout):
            for upload in page.get("Uploads", ()):
                yield Upload(upload["Key"], upload["UploadId"], _utc(upload["Initiated"]))

    def _listed(self, method: str, given: dict[str, str], timeout: float) -> Iterator[Any]:
        while True:
            page = self._run(self._call(method, **given), timeout)
            yield page
            if not page.get("IsTruncated"):
                return
            if "NextContinuationToken" in page:
                given = given | {"ContinuationToken": page["NextContinuationToken"]}
            else:
                marker = {"KeyMarker": page["NextKeyMarker"]}
                given = given | marker | {"UploadIdMarker": page.get("NextUploadIdMarker", "")}

    async def _read(self, name: str, given: dict[str, str], into: memoryview | None) -> Got:
        answer = await self._call("get_object", Key=name, **given)
        if "ETag" not in answer:
            raise Failure(0, "", "the answer has no ETag: it is not an object's")
        length, ranged = int(answer["ContentLength"]), answer.get("ContentRange")
        if into is None:
            into = memoryview(bytearray(length))
        if length > into.nbytes:
            raise Failure(412, "PreconditionFailed", "another version came: it is larger")
        filled = 0
        async with answer["Body"] as body:
            async for chunk in _chunks(body):
                if filled + len(chunk) > length:
                    raise Failure(0, "", "more bytes came than announced")
                into[filled : filled + len(chunk)] = chunk
                filled += len(chunk)
        if filled != length:
            raise Failure(0, "", f"{filled} bytes came of {length}")
        size = int(ranged.rpartition("/")[2]) if ranged else length
        mark = answer.get("Metadata", {}).get(MARK)
        data: Buffer = into[:length]
        return Got(data, size, quoted(answer["ETag"]), _utc(answer["LastModified"]), mark)

    async def _call(self, method: str, **given: Any) -> Any:
        import aiohttp
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            operation, fs = getattr(await self._connection.client(), method), self._connection.fs
            arguments = fs._get_s3_method_kwargs(operation, Bucket=self._bucket, **given)
            return await operation(**arguments)
        except ClientError as exc:
            error = exc.response.get("Error", {})
            status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            code = "" if str(error.get("Code", "")).isdigit() else str(error.get("Code", ""))
            raise Failure(status, code, str(error.get("Message") or "no reason given")) from exc
        except BotoCoreError as exc:
            raise _failure(exc) from exc
        except (aiohttp.ClientError, OSError) as exc:
            # aiobotocore reads an error's document outside of its own handling of errors
            raise Failure(0, "", f"the connection failed ({type(exc).__name__})") from exc

    def _write(self, method: str, timeout: float, **given: Any) -> Any:
        """Call what makes an object visible."""
        ref = f"s3://{self._bucket}/{given['Key']}"
        return self._connection.loop.write(self._call(method, **given), timeout, ref)

    def _run(self, work: Coroutine[Any, Any, T], timeout: float) -> T:
        return self._connection.loop.run(work, timeout)


async def _chunks(body: Any) -> AsyncIterator[bytes]:
    from aiohttp import ClientError
    from botocore.exceptions import BotoCoreError

    try:
        async for chunk in body.iter_chunks(_CHUNK):
            yield chunk
    except BotoCoreError as exc:
        raise _failure(exc) from exc
    except (ClientError, OSError) as exc:
        raise Failure(0, "", f"the answer broke off ({type(exc).__name__})") from exc


def _failure(exc: Exception) -> Failure:
    from botocore import exceptions as known

    name = type(exc).__name__
    unsent = (known.EndpointConnectionError, known.ConnectTimeoutError, known.ProxyConnectionError)
    if isinstance(exc, unsent):
        return Failure(0, "", f"no connection to the server ({name})", sent=False)
    away = (known.HTTPClientError, known.ReadTimeoutError, known.IncompleteReadError)
    if isinstance(exc, (*away, known.ResponseStreamingError)) or name == "ResponseParserError":
        return Failure(0, "", f"the connection failed ({name})")
    login = (known.NoCredentialsError, known.PartialCredentialsError, known.TokenRetrievalError)
    if isinstance(exc, (*login, known.CredentialRetrievalError, known.SSOError)):
        return Failure(403, "NoCredentials", str(exc))
    return Failure(400, name, str(exc))


def _refusal(code: str, message: str) -> Failure:
    return Failure(403 if code == "AccessDenied" else 400, code, message)


def _tag(answer: Any) -> str:
    tag = answer.get("ETag")
    if not tag:
        raise Failure(0, "", "the answer has no ETag: it is not a write's")
    return quoted(str(tag))


def _conditions(condition: Condition) -> dict[str, str]:
    if condition.if_absent:
        return {"IfNoneMatch": "*"}
    return {"IfMatch": condition.if_match} if condition.if_match is not None else {}


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _arguments(config: S3Config, timeout: float) -> dict[str, Any]:
    client: dict[str, Any] = {"region_name": config.region}
    if config.verify is not None:
        client["verify"] = config.verify
    settings = {
        "connect_timeout": min(_CONNECT, timeout),
        "read_timeout": timeout,
        "retries": {"total_max_attempts": 1},
        "max_pool_connections": 64,
        "s3": {"addressing_style": "path" if config.path_style else "virtual"},
        # Objects carry a digest of their own, and older servers do not know S3's newer ones.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }
    given = {
        "endpoint_url": config.endpoint,
        "key": config.key,
        "secret": config.secret,
        "token": config.token,
        "anon": config.anon,
        "requester_pays": config.requester_pays,
        "client_kwargs": client,
        "config_kwargs": settings,
    }
    return given | ({"profile": config.profile} if config.profile and not config.key else {})

"""A place of one's own, whole: an in-house service that keeps blobs over HTTP.

The service (``tests/servers/blobs.py`` is one) knows five requests::

    PUT    /blobs/KEY              If-None-Match: * and If-Match; answers with an ETag
    GET    /blobs/KEY              Range and If-None-Match; ETag, X-Size, X-Modified
    DELETE /blobs/KEY
    GET    /blobs?prefix=…&after=… a page: {"blobs": [{"key", "size", "modified", "etag"}], "more"}

To open ``blobs://host:port/name`` in every process, a package says in its pyproject.toml::

    [project.entry-points."runstore.places"]
    blobs = "blob_place:open_blobs"

or a script does ``runstore.places.register_place("blobs", open_blobs)``.
"""

import builtins
import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.message import Message
from typing import NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from runstore.buffers import Buffer, flat
from runstore.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    IndeterminateWriteError,
    NotModifiedError,
    ObjectExistsError,
    ObjectNotFoundError,
    PreconditionFailedError,
    RunStoreError,
    StorageError,
)
from runstore.places import (
    Backend,
    Entry,
    Guarantees,
    Opening,
    Tail,
    copy_through,
    delete_each,
    is_hidden,
)


def open_blobs(opening: Opening) -> Backend:
    """Open ``blobs://host:port/name``; the option ``token`` is what the service wants to see."""
    opening.refuse_engine()
    return BlobBackend(opening.url, opening.options.get("token", ""), opening.timeout)


open_blobs.secrets = frozenset({"token"})  # type: ignore[attr-defined] # it stays in the process


class Answer(NamedTuple):
    """What the service said."""

    status: int
    headers: Message
    body: bytes


class BlobBackend:
    """Objects in the blob service.

    Args:
        url: ``blobs://host:port/name``.
        token: What lets us in.
        timeout: Seconds for one request.
    """

    guarantees = Guarantees(
        atomic_put="native",
        create=True,
        compare_and_swap=True,
        ranges=True,
        versions="write",
        server_copy=False,
        mapped=False,
        shared=True,
    )

    def __init__(self, url: str, token: str, timeout: float) -> None:
        parts = urlsplit(url)
        self.url = url.rstrip("/")
        self._base = f"http://{parts.netloc}/blobs"
        self._name = parts.path.strip("/")
        self._token = token
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"BlobBackend({self.url!r})"

    def probe(self) -> Guarantees:
        """Return what the service promises; nothing has to be asked."""
        return self.guarantees

    def put(
        self,
        key: str,
        buffers: Iterable[Buffer],
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> Entry:
        """Write an object in one request; what iterating *buffers* raises comes before it."""
        body = b"".join(map(flat, buffers))
        headers = {"If-None-Match": "*"} if if_absent else {}
        if if_match is not None:
            headers["If-Match"] = if_match
        ref = self._ref(key)
        answer = self._ask("PUT", self._blob(key), ref, headers, body)
        if answer.status == 412:
            if if_absent:
                raise ObjectExistsError(f"{ref} exists already: choose another name", ref)
            raise PreconditionFailedError(f"{ref} is not the version {if_match!r} any more", ref)
        return _entry(key, answer.headers)

    def get(
        self, key: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> tuple[Buffer, Entry]:
        """Read an object in one request."""
        ref = self._ref(key)
        headers = {} if if_none_match is None else {"If-None-Match": if_none_match}
        answer = self._ask("GET", self._blob(key), ref, headers)
        if answer.status == 304:
            raise NotModifiedError(f"{ref} is still the version {if_none_match!r}", ref)
        entry = _entry(key, answer.headers)
        if if_match is not None and entry.version != if_match:
            raise PreconditionFailedError(f"{ref} is not the version {if_match!r} any more", ref)
        return bytearray(answer.body), entry

    def tail(self, key: str, length: int) -> tuple[Buffer, Entry]:
        """Read the end of an object in one request."""
        headers = {"Range": f"bytes=-{length}"}
        answer = self._ask("GET", self._blob(key), self._ref(key), headers)
        return answer.body, _entry(key, answer.headers)

    def read(self, key: str, start: int, length: int, version: str) -> Buffer:
        """Read a range of one version; the answer says of which version it is."""
        ref = self._ref(key)
        headers = {"Range": f"bytes={start}-{start + max(length, 1) - 1}"}
        answer = self._ask("GET", self._blob(key), ref, headers)
        if answer.headers["ETag"] != version:
            raise PreconditionFailedError(f"{ref} is not the version {version!r} any more", ref)
        if start + length > int(answer.headers["X-Size"]):
            raise StorageError(f"{ref} has no {length} bytes from {start} on", ref)
        return answer.body[:length]

    def head(self, key: str) -> Entry:
        """Describe an object: a GET of its last byte."""
        return self.tail(key, 1)[1]

    def list(self, prefix: str) -> Iterator[Entry]:
        """Return the objects below *prefix*, without what is in hidden folders there."""
        return (entry for entry in self._below(prefix) if not is_hidden(entry.key, prefix))

    def _below(self, prefix: str) -> Iterator[Entry]:
        """Return everything below *prefix*, a page a request."""
        root, after, more = f"{self._name}/", "", True
        while more:
            query = urlencode({"prefix": root + prefix, "after": after})
            page = json.loads(self._ask("GET", f"?{query}", self._ref(prefix)).body)
            more = page["more"]
            for blob in page["blobs"]:
                after = blob["key"]
                key = after.removeprefix(root)
                modified = datetime.fromtimestamp(blob["modified"], UTC)
                yield Entry(key, blob["size"], modified, blob["etag"])

    def folders(self, prefix: str) -> builtins.list[str]:
        """Return the folders directly below *prefix*; the service knows none, so it lists all."""
        rests = (entry.key[len(prefix) :] for entry in self._below(prefix))
        names = {f"{rest.partition('/')[0]}/" for rest in rests if "/" in rest}
        return sorted(name for name in names if not name.startswith("."))

    def copy(
        self, source: str, target: str, *, if_absent: bool = False, tail: Tail | None = None
    ) -> Entry:
        """Copy through this process."""
        return copy_through(self, source, target, if_absent, tail)

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._ask("DELETE", self._blob(key), self._ref(key))

    def delete_many(
        self, keys: Iterable[str], *, missing_ok: bool = False
    ) -> dict[str, RunStoreError]:
        """Remove objects, one after the other."""
        return delete_each(self, keys, missing_ok)

    def sweep(self, older_than: float) -> int:
        """Remove nothing: a write that was interrupted leaves nothing behind."""
        return 0

    def close(self) -> None:
        """Do nothing: no connection is kept."""

    def _ask(
        self,
        method: str,
        path: str,
        ref: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Make one request. An outage and a denial never look like a miss."""
        sent = {"Authorization": f"Bearer {self._token}", **(headers or {})}
        request = urllib.request.Request(  # noqa: S310 - of this service
            f"{self._base}{path}", body, sent, method=method
        )
        doing = f"cannot {method} {ref}"
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as found:  # noqa: S310
                return Answer(found.status, found.headers, found.read())
        except urllib.error.HTTPError as exc:
            with exc:
                if exc.code in (304, 412):
                    return Answer(exc.code, exc.headers, b"")
                kind: type[RunStoreError] = {
                    401: AccessDeniedError,
                    403: AccessDeniedError,
                    404: ObjectNotFoundError,
                }.get(exc.code, BackendUnavailableError if exc.code >= 500 else StorageError)
                raise kind(f"{doing}: the service answers {exc.code} {exc.reason}", ref) from exc
        except (OSError, urllib.error.URLError) as exc:
            if method == "PUT" and not isinstance(_reason(exc), ConnectionRefusedError):
                raise IndeterminateWriteError(
                    f"{ref} may have been written or not: {_reason(exc)}", ref
                ) from exc
            raise BackendUnavailableError(f"{doing}: {_reason(exc)}", ref) from exc

    def _blob(self, key: str) -> str:
        return f"/{quote(f'{self._name}/{key}')}"

    def _ref(self, key: str) -> str:
        return f"{self.url}/{key}"


def _reason(exc: BaseException) -> object:
    return getattr(exc, "reason", exc)


def _entry(key: str, headers: Message) -> Entry:
    modified = datetime.fromtimestamp(float(headers["X-Modified"]), UTC)
    return Entry(key, int(headers["X-Size"]), modified, headers["ETag"])


if __name__ == "__main__":
    from runstore import ObjectStore
    from runstore.places import register_place

    register_place("blobs", open_blobs)
    with suppress(BackendUnavailableError):
        print(ObjectStore("blobs://127.0.0.1:8080/demo").namespaces())

"""What an S3 client is to us: one call, one request, no retries, one kind of failure."""

import builtins
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from runstore.buffers import Buffer
from runstore.places._cloud import _causes as causes

if TYPE_CHECKING:
    from runstore.places._cloud._arriving import Direct

__all__ = [
    "MARK",
    "CloudClient",
    "Condition",
    "Failure",
    "Got",
    "Item",
    "Parts",
    "Span",
    "Upload",
    "quoted",
]

MARK = "runstore-write"
"""The user metadata that tells one write from another: a lost answer can be looked up."""

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_TRANSIENT_CODES = frozenset(
    {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "OperationAborted"}
    | {"ConditionalRequestConflict", "Throttling"}
)
_HOPELESS = frozenset(
    {causes.UNKNOWN_HOST, causes.UNTRUSTED, causes.SELF_SIGNED, causes.TLS_FAILED}
    | {causes.PROXY_REFUSED, causes.NO_CREDENTIALS, causes.WRONG_REGION, causes.ENGINE_FAILED}
    | {causes.FOREIGN_KEY}
    | {"RequestTimeTooSkewed"}
)
_SHORT_LIVED = frozenset({causes.REFUSED, causes.NAME_SERVICE, causes.NOT_S3})
_REFUSED_UNDONE = frozenset({408, 425, 429, 503})  # the server says that it did nothing


class Failure(Exception):  # noqa: N818 - an answer, not yet an error
    """A request that was not answered as it should be.

    Args:
        status: The HTTP status; 0 if there was no usable answer.
        code: S3's own code, as ``NoSuchKey``, or a code of `_causes`; empty if there is none.
        reason: For people.
        sent: Whether the server may have seen the whole request.
        cut: Whether the wait was ended here, so that the server may still work on it.
    """

    def __init__(
        self, status: int, code: str, reason: str, sent: bool = True, cut: bool = False
    ) -> None:
        super().__init__(status, code, reason, sent, cut)
        self.status = status
        self.code = code
        self.reason = reason
        self.sent = sent
        self.cut = cut

    @property
    def transient(self) -> bool:
        """Whether the same request may well succeed later."""
        if self.code in _HOPELESS:
            return False
        known = self.code in _TRANSIENT_CODES or self.code in _SHORT_LIVED
        return known or self.status in _TRANSIENT or self.status == 0

    @property
    def short_lived(self) -> bool:
        """Whether it goes away within seconds or not at all."""
        return self.code in _SHORT_LIVED

    @property
    def unsure(self) -> bool:
        """Whether the request may have been carried out all the same."""
        return self.transient and self.sent and self.status not in _REFUSED_UNDONE

    @property
    def condition_failed(self) -> bool:
        """Whether a condition of the request did not hold."""
        return self.status in (304, 412) or self.code == "PreconditionFailed"

    @property
    def no_such_key(self) -> bool:
        """Whether S3 says that there is no such object, the bucket being there.

        A bare 404 does not say so: any web server gives one.
        """
        return self.code in ("NoSuchKey", "NoSuchObject")

    @property
    def no_such_range(self) -> bool:
        """Whether the object has none of the bytes asked for: it is empty."""
        return self.status == 416 or self.code == "InvalidRange"


class Condition(NamedTuple):
    """What must hold for a write to be carried out."""

    if_absent: bool = False
    if_match: str | None = None

    def __bool__(self) -> bool:
        return self.if_absent or self.if_match is not None


class Span(NamedTuple):
    """A range of bytes: *length* from *start*, or the last *length* if *start* is None."""

    start: int | None
    length: int

    @property
    def header(self) -> str:
        """As HTTP writes it."""
        if self.start is None:
            return f"bytes=-{self.length}"
        return f"bytes={self.start}-{self.start + self.length - 1}"


class Got(NamedTuple):
    """The answer to a GET: the bytes asked for, and what the whole object is."""

    data: Buffer
    size: int
    version: str
    modified: datetime
    mark: str | None


class Item(NamedTuple):
    """One object of a listing."""

    name: str
    size: int
    modified: datetime
    version: str | None


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload that was begun and neither completed nor aborted."""

    name: str
    id: str
    begun: datetime


class Parts(Protocol):
    """Multipart uploads, step by step."""

    def create(self, name: str, mark: str, timeout: float) -> str:
        """Begin an upload and return its id."""
        ...

    def send(
        self, name: str, upload: str, number: int, body: Sequence[memoryview], timeout: float
    ) -> str:
        """Send one part, numbered from 1, and return its ETag."""
        ...

    def copy(
        self,
        name: str,
        upload: str,
        number: int,
        source: str,
        span: "Span",
        version: str,
        timeout: float,
    ) -> str:
        """Make a range of one version of another object a part, and return its ETag."""
        ...

    def complete(
        self, name: str, upload: str, tags: Sequence[str], condition: Condition, timeout: float
    ) -> str:
        """Make the object of its parts, and return its ETag."""
        ...

    def abort(self, name: str, upload: str, timeout: float) -> None:
        """Forget an upload and its parts."""
        ...

    def written(self, upload: Upload, timeout: float) -> datetime:
        """Return when the newest part of an upload was written, or if it has none, its begin."""
        ...

    def begun(self, prefix: str, timeout: float) -> Iterator[Upload]:
        """Return the uploads under *prefix*."""
        ...

    def region(self, timeout: float) -> str:
        """Return the region that the bucket is said to be in; empty if that is not said."""
        ...


def quoted(tag: str) -> str:
    """Return an ETag with its quotes, which some servers leave out in some answers."""
    return tag if tag.endswith('"') else f'"{tag}"'


class CloudClient(Protocol):
    """The requests an engine can make. Each raises `Failure`, and nothing else of the network.

    Names are whole keys of the bucket. ETags keep their quotes. *timeout* is in
    seconds, for the one request.
    """

    engine: str

    direct: "Direct | None"
    """Reads large ranges past the client; None where nothing does."""

    @property
    def parts(self) -> Parts | None:
        """Step-by-step uploads, with conditions; None where the engine has none."""
        ...

    streams: bool
    """Whether ``stream`` works; it is preferred to ``parts`` where no condition is asked for."""

    def put(
        self,
        name: str,
        body: Sequence[memoryview],
        mark: str,
        condition: Condition,
        timeout: float,
    ) -> str:
        """Write an object in one request and return its ETag."""
        ...

    def stream(
        self, name: str, blocks: Iterable[Buffer], size: int, mark: str, timeout: float
    ) -> str:
        """Write an object as parts of *size* bytes, taking *blocks* as they come.

        Aborted if *blocks* raises, which is passed on. Other requests do not wait for `Paced` ones.
        """
        ...

    def get(
        self,
        name: str,
        span: Span | None,
        if_match: str | None,
        timeout: float,
        into: memoryview | None = None,
    ) -> Got:
        """Read an object or a range of it; with *into* the data is put there."""
        ...

    def pages(
        self, prefix: str, after: str | None, timeout: float
    ) -> Iterator[builtins.list[Item]]:
        """Return the objects under *prefix* behind *after*, up to a thousand at a time."""
        ...

    def folders(self, prefix: str, timeout: float) -> builtins.list[str]:
        """Return what comes between *prefix* and the next slash, with the slash."""
        ...

    def delete(self, name: str, timeout: float) -> None:
        """Remove an object, whether or not it is there."""
        ...

    def delete_batch(self, names: Sequence[str], timeout: float) -> dict[str, Failure]:
        """Remove up to a thousand objects in one request; give those that were refused."""
        ...

    def retire(self) -> None:
        """Share connections with no client that is made from now on.

        Connections are closed when nobody holds the last client that has them.
        """
        ...

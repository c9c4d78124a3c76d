"""A client on obstore: what all kinds of stores have in common."""

import builtins
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from runstore.buffers import Buffer, Paced, fill
from runstore.errors import StorageError
from runstore.places._cloud import _causes as causes
from runstore.places._cloud._arriving import Direct
from runstore.places._cloud._attended import attended, attended_write
from runstore.places._cloud._conditions import HIDDEN
from runstore.places._cloud._loop import MAYBE, EventLoop, answered
from runstore.places._cloud._obstore_blocks import Blocks, PacedBlocks
from runstore.places._cloud._obstore_failures import Failures
from runstore.places._cloud._obstore_process import is_lost, used_here
from runstore.places._cloud._rust import lent, taken_over
from runstore.places._cloud._wire import (
    MARK,
    CloudClient,
    Condition,
    Failure,
    Got,
    Item,
    Parts,
    Span,
    quoted,
)

__all__ = ["SENT_AT_ONCE", "ObstoreClient"]

SENT_AT_ONCE = 64 << 10
"""Bytes of a request that the system takes over at once."""

_AT_ONCE = 8  # parts in flight
_PAGE = 1000
_COLLECTED = 32 << 20  # bytes of an answer that are held twice, at most
_ANSWERS = frozenset({"NoSuchKey", "NoSuchObject", "AccessDenied", "InvalidRange"})
_CHANGES_AT_MOST = 5  # of an object between two requests for its end


class ObstoreClient(ABC):
    """A bucket through obstore. What a kind of store adds is how its store is made.

    Args:
        where: The bucket's URL, without a slash at its end.
        timeout: Seconds, the longest a request will ever be given.
        failures: Turns what obstore raises into `Failure`.
    """

    engine = "obstore"
    streams = True
    direct: Direct | None = None

    mark: ClassVar[str] = MARK
    """The name of the user metadata that tells one write from another."""

    suffixes: ClassVar[bool] = True
    """Whether the server takes a request for the last bytes of an object."""

    def __init__(self, where: str, timeout: float, failures: Failures) -> None:
        import obstore

        if is_lost():
            raise StorageError(
                f"obstore was used before this process was forked, and cannot be used in it "
                f"({where}): start processes by spawn or forkserver, or {self._instead_of_obstore}"
            )
        used_here()
        self._api = obstore
        self._where, self._longest = where, timeout
        self._stores = failures.stores
        self._failures = failures
        self._tags: dict[str, Any] = {}
        self._loop: EventLoop | None = None

    @property
    def _instead_of_obstore(self) -> str:
        """The way out, for a message."""
        return "use another engine"

    @property
    def parts(self) -> Parts | None:
        """Uploads step by step: obstore has none."""
        return None

    @abstractmethod
    def _made(self, time: float, bulk: bool, persistent: bool) -> Any:
        """Return a store of obstore.

        Args:
            time: Seconds that a request may take.
            bulk: Whether several objects are removed by one request.
            persistent: Whether it tries again by itself.
        """

    def _attributes(self, mark: str) -> dict[str, str]:
        """Return what is said of an object that is written."""
        return {self.mark: mark}

    def _mode_of(self, store: Any, name: str, version: str) -> Any:
        """Return obstore's way to say that *version* is to be replaced.

        Raises:
            Failure: It is another version already.
        """
        return {"e_tag": version}

    def put(
        self,
        name: str,
        body: Sequence[memoryview],
        mark: str,
        condition: Condition,
        timeout: float,
    ) -> str:
        """See `CloudClient.put`."""
        store = self._store(timeout)
        mode: Any = "create" if condition.if_absent else "overwrite"
        if condition.if_match is not None:
            mode = self._mode_of(store, name, condition.if_match)
        size = body[0].nbytes if len(body) == 1 else sum(view.nbytes for view in body)
        if len(body) > 1 and size <= SENT_AT_ONCE:  # each costs a thread of obstore's a turn
            body = (memoryview(b"".join(body)),)

        def data() -> Any:  # several are sent as they are, one after the other
            return lent(body[0]) if len(body) == 1 else map(lent, body)

        given: Any = {
            "attributes": self._attributes(mark),
            "mode": mode,
            "use_multipart": False,
            **self._tags,
        }
        ref = f"{self._where}/{name}"

        def at_once() -> Any:
            with self._failures:
                return self._api.put(store, name, data(), **given)

        async def in_time() -> Any:
            with self._failures:
                return await answered(lambda: self._api.put_async(store, name, data(), **given))

        # A small request is sent as soon as it is begun, so cancelling it prevents nothing.
        if size <= SENT_AT_ONCE:
            return _tag(attended_write(at_once, MAYBE.format(ref)))
        return _tag(self._event_loop.write(in_time, None, ref))

    def stream(
        self, name: str, blocks: Iterable[Buffer], size: int, mark: str, timeout: float
    ) -> str:
        """See `CloudClient.stream`."""
        steps = (PacedBlocks if isinstance(blocks, Paced) else Blocks)(blocks)
        store = self._store(timeout, persistent=True)

        async def upload() -> Any:
            with self._failures:
                return await answered(
                    lambda: self._api.put_async(
                        store,
                        name,
                        steps,
                        attributes=self._attributes(mark),
                        **self._tags,
                        use_multipart=True,
                        chunk_size=size,
                        max_concurrency=_AT_ONCE,
                    )
                )

        ref = f"{self._where}/{name}"
        return _tag(self._event_loop.write(upload, None, ref, steps.stop))

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
        """See `CloudClient.get`."""
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
        if span is not None and span.start is None and not self.suffixes:
            span, if_match = self._spelled_out(name, span, timeout)
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
                data = taken_over(answer.bytes())
                filled = data.nbytes
            elif length <= _COLLECTED:  # one copy less than a stream makes
                data, found = into[:length], memoryview(answer.bytes())
                filled = found.nbytes
                if filled == length:
                    fill(data, found)
            else:
                data, filled = into[:length], 0
                for chunk in answer.stream(min_chunk_size=1 << 20):
                    view = memoryview(chunk)
                    if filled + view.nbytes > length:
                        raise Failure(0, "", "more bytes came than announced")
                    fill(data[filled : filled + view.nbytes], view)
                    filled += view.nbytes
        if filled != length:
            raise Failure(0, "", f"{filled} bytes came of {length}")
        mark = answer.attributes.get(self.mark)
        return Got(data, meta["size"], quoted(meta["e_tag"]), _utc(meta["last_modified"]), mark)

    def _spelled_out(self, name: str, span: Span, timeout: float) -> tuple[Span | None, str | None]:
        """Return the last bytes of an object as a range, and of which version; None for all."""
        try:
            found = self._get(name, Span(0, 1), None, timeout, None)
        except Failure as failure:
            if failure.no_such_range:
                return None, None
            raise
        length = min(found.size, span.length)
        return Span(found.size - length, length), found.version

    def pages(
        self, prefix: str, after: str | None, timeout: float
    ) -> Iterator[builtins.list[Item]]:
        """See `CloudClient.pages`.

        obstore asks for page after page as long as the server says that more follow. But
        it takes any document for an empty page, and the last one: an error's, a login page. A
        page that is not full is the end; nothing, or nothing behind a full page, is believed
        when it is said twice, and by S3.
        Where it meets a key that it cannot have, another engine goes on, if there is one.

        It knows no prefix that ends within a part of a key. So it begins just before such a one,
        and ends with the first key behind it.
        """
        folder, slash, begin = prefix.rpartition("/")
        if begin:
            before = f"{prefix[:-1]}{chr(ord(prefix[-1]) - 1)}~"  # no key of runstore is in between
            after = before if after is None else max(after, before)
        under = folder + slash
        doubts, begun = 0, after
        while doubts < 2:
            found = 0
            try:
                for page in self._stream(under, after, timeout):
                    # It leaves out a slash at the end, by which a key stands in for a folder.
                    yield [item for item in page if item.name.startswith(prefix)]
                    found, after = len(page), page[-1].name
                    if after > prefix and not after.startswith(prefix):
                        return
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
        """See `CloudClient.folders`."""
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

    def _instead(self, failure: Failure) -> CloudClient:
        """Return the client for a listing that obstore cannot make, or raise *failure*."""
        raise failure

    def _prove(self, timeout: float) -> None:
        """Raise `Failure` unless the store answers: it says of an object that there is none.

        A refusal of its own is a proof, too: the credentials may be good for listings alone.
        """
        try:
            self.get(f"{HIDDEN}nothing", Span(0, 1), None, timeout)
        except Failure as failure:
            if failure.code == causes.RANGE_IGNORED:  # so there is one: any name will do there
                raise Failure(0, causes.NOT_S3, "an answer for an object that is none") from failure
            if failure.code not in _ANSWERS:
                raise

    def delete(self, name: str, timeout: float) -> None:
        """See `CloudClient.delete`."""
        store = self._store(timeout, bulk=False)
        with self._failures:
            attended(lambda: self._api.delete(store, name))

    def delete_batch(self, names: Sequence[str], timeout: float) -> dict[str, Failure]:
        """See `CloudClient.delete_batch`; obstore tells of the first refusal alone."""
        store = self._store(timeout)
        with self._failures:
            attended(lambda: self._api.delete(store, builtins.list(names)))
        return {}

    def retire(self) -> None:  # noqa: B027 - most have nothing to do
        """See `CloudClient.retire`; obstore's connections are shared with nobody."""

    def _store(self, timeout: float, *, bulk: bool = True, persistent: bool = False) -> Any:
        """Return a store whose requests end within *timeout*.

        A store's timeout is fixed when it is made, and it has connections of its
        own; so there are few, each with half the time of the one before.

        Raises:
            Failure: There are no credentials.
        """
        more = self._asked_before()
        time = self._longest
        while time > timeout * 1.01 and time > 0.1:
            time /= 2
        key = (time, bulk, persistent, more)
        found = self._stores.get(key)
        if found is None:
            found = self._stores[key] = self._made(time, bulk, persistent)
        return found

    def _asked_before(self) -> object:
        """Return what a store depends on besides; it is looked at before each request.

        Raises:
            Failure: There are no credentials.
        """
        return None


def _tag(answer: Any) -> str:
    if not answer["e_tag"]:
        raise Failure(0, causes.NOT_S3, "an answer to a write without an ETag")
    return quoted(str(answer["e_tag"]))


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)

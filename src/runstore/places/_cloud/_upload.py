"""Upload one object, by a single PUT or in parts, and recover when the response is lost."""

import itertools
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from threading import BoundedSemaphore

import numpy as np

from runstore.buffers import Buffer, Paced, flat
from runstore.errors import IndeterminateWriteError
from runstore.lifetime import unique_id
from runstore.places._base import Entry, Tail
from runstore.places._cloud._causes import NOT_S3, SOURCE_CHANGED
from runstore.places._cloud._conditions import Probe
from runstore.places._cloud._retry import Deadline, persist
from runstore.places._cloud._wire import CloudClient, Condition, Failure, Parts, Span
from runstore.workers import PATIENCE, Workers, awaited, check_stopped, spared

__all__ = ["SINGLE", "Blocks", "Uploader"]

SINGLE = 8 << 20
"""An object that is no larger is put in one request."""

_PART = 8 << 20  # of the first parts; S3 takes 10,000 at most, so later ones are larger
_STREAMED_PART = 8 << 20  # where the engine cuts, all are alike: up to 80 GB
_SMALLEST_PART = 5 << 20  # but for the last
_LARGEST_COPY = 5 << 29  # bytes of a part that the server copies; half of what S3 allows
_SLOWEST_COPY = 20 << 20  # bytes a second
_NO_COPY = frozenset({400, 405, 501})  # the server has no such copy
_AT_ONCE = 4
_LARGE_AT_ONCE = 2  # objects that go up in parts, each with some in memory
_LARGEST_PUT = 5 << 30
_ASK = 0.5  # seconds for the question whether a lost write landed, at least


class Blocks:
    """Buffers cut and gathered into parts, without copying any; counts what it gave."""

    def __init__(self, buffers: Iterable[Buffer]) -> None:
        self._views = (view for buffer in buffers if (view := flat(buffer)).nbytes)
        self._held: memoryview | None = None
        self.size = 0

    def take(self, size: int) -> list[memoryview]:
        """Return the next *size* bytes as views; fewer at the end."""
        taken: list[memoryview] = []
        while size:
            view = self._held if self._held is not None else next(self._views, None)
            if view is None:
                break
            self._held = view[size:] if view.nbytes > size else None
            taken.append(view[:size])
            size -= taken[-1].nbytes
            self.size += taken[-1].nbytes
        return taken

    def put_back(self, views: list[memoryview]) -> None:
        """Take *views* back, to be given again first."""
        held = [self._held] if self._held is not None else []
        self._views = itertools.chain(views, held, self._views)  # type: ignore[assignment]
        self._held = None
        self.size -= sum(view.nbytes for view in views)


class Uploader:
    """Puts of one client.

    Args:
        client: Makes the requests.
        probe: Knows whether conditions are kept.
        timeout: Seconds for one request, retries included.
    """

    def __init__(self, client: CloudClient, probe: Probe, timeout: float) -> None:
        self._client = client
        self._probe = probe
        self._timeout = timeout
        self._large = BoundedSemaphore(_LARGE_AT_ONCE)

    def put(self, name: str, buffers: Iterable[Buffer], condition: Condition) -> tuple[str, int]:
        """Write an object; give its ETag and size.

        Raises:
            Failure: It was not written.
            IndeterminateWriteError: Nobody can say.
        """
        if type(buffers) is tuple and len(buffers) == 1:  # as small objects come
            view = flat(buffers[0])
            if 0 < view.nbytes <= SINGLE:
                return self._single(name, [view], condition), view.nbytes
        blocks = Blocks(buffers)
        first = blocks.take(SINGLE + 1)
        if blocks.size <= SINGLE:
            return self._single(name, first, condition), blocks.size
        if isinstance(buffers, Paced):  # nobody waits until it ends
            return self._put_large(name, blocks, first, condition, paced=True), blocks.size
        with self._large:
            return self._put_large(name, blocks, first, condition), blocks.size

    def _put_large(
        self,
        name: str,
        blocks: Blocks,
        first: list[memoryview],
        condition: Condition,
        *,
        paced: bool = False,
    ) -> str:
        if not condition and self._client.streams:
            blocks.put_back(first)
            return self._streamed(name, blocks, paced)
        parts = self._client.parts
        if parts is not None and (
            not condition or self._probe.keeps_in_parts(self._client, condition, self._timeout)
        ):
            blocks.put_back(first)
            send = partial(self._send, name, blocks, parts)
            return self._in_parts(name, send, condition, parts)
        # The condition holds for one request alone; S3 takes 5 GiB in one.
        first += blocks.take(_LARGEST_PUT)
        if blocks.size > _LARGEST_PUT:
            raise Failure(
                400, "EntityTooLarge", "this server keeps conditions only up to 5 GiB", sent=False
            )
        return self._single(name, first, condition)

    def _single(self, name: str, body: list[memoryview], condition: Condition) -> str:
        mark = unique_id()
        client, deadline = self._client, Deadline(self._timeout * 0.9)
        check_stopped()
        try:
            return client.put(name, body, mark, condition, deadline.request)  # most often
        except Failure as first:
            failed: list[Failure] = []
            try:
                return persist(
                    lambda t: client.put(name, body, mark, condition, t), deadline, failed, [first]
                )
            except Failure:
                return self._after(name, mark, failed)

    def _streamed(self, name: str, blocks: Blocks, paced: bool) -> str:
        mark, taken_all = secrets.token_hex(16), False

        def steps() -> Iterator[memoryview]:
            nonlocal taken_all
            # Views of at most a part's size, so that few are on their way at a time.
            while taken := blocks.take(_STREAMED_PART):
                yield from taken
            taken_all = True

        given = Paced(steps()) if paced else steps()
        try:
            return self._client.stream(name, given, _STREAMED_PART, mark, self._timeout / 3)
        except Failure as failure:
            # The client tries again by itself: an earlier attempt may have completed it.
            failure.sent |= taken_all
            return self._after(name, mark, [failure])

    def copy(self, source: str, name: str, tail: Tail, condition: Condition) -> str | None:
        """Write an object whose first bytes are those of another, which the server copies.

        Returns:
            Its ETag; None if it is too small for parts, or this server or client has no such copy.

        Raises:
            Failure: It was not written; `SOURCE_CHANGED` if the source is another version by now.
            IndeterminateWriteError: Nobody can say.
        """
        parts = self._client.parts
        if parts is None or tail.keep < _SMALLEST_PART:
            return None
        if condition and not self._probe.keeps_in_parts(self._client, condition, self._timeout):
            return None
        count = -(-tail.keep // _LARGEST_COPY)
        bounds = [tail.keep * i // count for i in range(count + 1)]
        end = [view for buffer in tail.buffers if (view := flat(buffer)).nbytes]

        def one(upload: str, number: int) -> str:
            span = Span(bounds[number - 1], bounds[number] - bounds[number - 1])
            deadline = Deadline(self._timeout + span.length / _SLOWEST_COPY)
            version = tail.version
            return persist(
                lambda t: parts.copy(name, upload, number, source, span, version, t), deadline
            )

        def send(upload: str) -> list[str]:
            with Workers(_AT_ONCE, "runstore-s3-copy") as workers:
                tags = workers.map(lambda number: one(upload, number), range(1, count + 1))
            if end:
                sent = partial(parts.send, name, upload, count + 1, end)
                tags.append(persist(sent, Deadline(self._timeout)))
            # Some servers ignore the condition: what is there before and after was copied.
            self._check_is(source, tail.version)
            return tags

        try:
            return self._in_parts(name, send, condition, parts)
        except Failure as failure:
            if failure.status in _NO_COPY:
                return None
            raise

    def update(
        self, name: str, buffers: Iterable[Buffer], old: Entry, condition: Condition
    ) -> tuple[str, int] | None:
        """Write an object over an earlier version of it; what is alike is copied by the server.

        The earlier version is read part by part, and compared: what goes up is what differs.

        Returns:
            Its ETag and size; None if this client has no parts, or conditions do not hold for
            them: then nothing was done.

        Raises:
            Failure: It was not written; `SOURCE_CHANGED` if there is another version by now.
            IndeterminateWriteError: Nobody can say.
        """
        parts = self._client.parts
        if parts is None or old.version is None:
            return None
        if condition and not self._probe.keeps_in_parts(self._client, condition, self._timeout):
            return None
        if type(buffers) is tuple and len(buffers) == 1:  # as small objects come
            view = flat(buffers[0])
            if 0 < view.nbytes <= SINGLE:
                return self._single(name, [view], condition), view.nbytes
        blocks = Blocks(buffers)
        first = blocks.take(SINGLE + 1)
        if blocks.size <= SINGLE:
            return self._single(name, first, condition), blocks.size
        blocks.put_back(first)
        with self._large:
            send = partial(self._send_changes, name, blocks, parts, old)
            return self._in_parts(name, send, condition, parts), blocks.size

    def _send_changes(
        self, name: str, blocks: Blocks, parts: Parts, old: Entry, upload: str
    ) -> list[str]:
        """Make each part of the old version where it is the same, and send the others."""
        version = old.version
        assert version is not None

        def one(number: int, span: Span, body: list[memoryview]) -> str:
            if self._is_alike(name, span, body, old):
                try:
                    return persist(
                        lambda t: parts.copy(name, upload, number, name, span, version, t),
                        Deadline(self._timeout),
                    )
                except Failure as failure:
                    if failure.status not in _NO_COPY:
                        raise
            return persist(
                lambda t: parts.send(name, upload, number, body, t), Deadline(self._timeout)
            )

        tags: list[str] = []
        under_way: deque[Future[str]] = deque()
        with Workers(_AT_ONCE, "runstore-s3-update") as workers:
            for number in itertools.count(1):
                start = blocks.size
                body = blocks.take(_SMALLEST_PART * 4 ** (number // 2000))
                if not body:
                    break
                if len(under_way) == _AT_ONCE:
                    tags.append(awaited(under_way.popleft()))
                span = Span(start, blocks.size - start)
                under_way.append(workers.submit(one, number, span, body))
            tags.extend(map(awaited, under_way))
        # Some servers ignore the condition: what is there before and after was copied.
        self._check_is(name, version)
        return tags

    def _is_alike(self, name: str, span: Span, body: list[memoryview], old: Entry) -> bool:
        """Return whether the old version has these bytes at the same place."""
        if span.start is None or span.start + span.length > old.size:
            return False
        there = persist(
            lambda t: self._client.get(name, span, old.version, t), Deadline(self._timeout)
        )
        if there.version != old.version:
            raise Failure(412, SOURCE_CHANGED, "the object was replaced")
        view, at = flat(there.data), 0
        for part in body:
            if not _equal(view[at : at + part.nbytes], part):
                return False
            at += part.nbytes
        return at == view.nbytes

    def _check_is(self, name: str, version: str) -> None:
        look = partial(self._client.get, name, Span(0, 1), None)
        if persist(look, Deadline(self._timeout)).version != version:
            raise Failure(412, SOURCE_CHANGED, "the source was replaced")

    def _in_parts(
        self,
        name: str,
        send: Callable[[str], list[str]],
        condition: Condition,
        parts: Parts,
    ) -> str:
        mark = secrets.token_hex(16)
        upload = persist(lambda t: parts.create(name, mark, t), Deadline(self._timeout))
        failed: list[Failure] = []
        try:
            tags = send(upload)
            deadline = Deadline(self._timeout * 0.9)
            return persist(
                lambda t: parts.complete(name, upload, tags, condition, t), deadline, failed
            )
        except BaseException as exc:  # whatever it was, also Ctrl-C: leave no parts behind
            if not isinstance(exc, IndeterminateWriteError):
                patience = 10 if isinstance(exc, Exception) else PATIENCE / 2
                with suppress(Failure), spared():
                    _abort(name, upload, parts, Deadline(min(self._timeout / 3, patience)))
            if failed:
                return self._after(name, mark, failed)
            raise

    def _send(self, name: str, blocks: Blocks, parts: Parts, upload: str) -> list[str]:
        """Send the parts, a few at a time; a part has its own deadline, so progress moves it."""

        def one(number: int, body: list[memoryview]) -> str:
            return persist(
                lambda t: parts.send(name, upload, number, body, t), Deadline(self._timeout)
            )

        tags: list[str] = []
        under_way: deque[Future[str]] = deque()
        with Workers(_AT_ONCE, "runstore-s3-put") as workers:
            for number in itertools.count(1):
                body = blocks.take(_PART * 4 ** (number // 2000))
                if not body:
                    break
                if len(under_way) == _AT_ONCE:
                    tags.append(awaited(under_way.popleft()))
                under_way.append(workers.submit(one, number, body))
            tags.extend(map(awaited, under_way))
        return tags

    def _after(self, name: str, mark: str, failed: list[Failure]) -> str:
        """Find out what became of a write whose answers were not what they should be.

        A write that was carried out and not acknowledged meets itself when it is
        made again: as a condition that does not hold, or an upload that is gone.
        HTTP libraries make some again unasked, so a conflict is always looked into.

        Returns:
            The ETag, if it is there.

        Raises:
            Failure: It is not.
            IndeterminateWriteError: Nobody can say.
        """
        last = failed[-1]
        if not last.condition_failed and not any(failure.unsure for failure in failed):
            raise last
        try:
            deadline = Deadline(max(_ASK, self._timeout * 0.1))
            there = persist(lambda t: self._client.get(name, Span(0, 1), None, t), deadline)
        except Failure as failure:
            known = failure.no_such_key or failure.no_such_range
            if all(answer.code == NOT_S3 for answer in (*failed, failure)):
                raise last from failure  # S3 was never reached
        else:
            if there.mark == mark:
                return there.version
            known = True
        if known and (not last.transient or not any(failure.cut for failure in failed)):
            raise last
        raise IndeterminateWriteError(
            f"the server did not say in time whether it wrote {name} ({last.reason}); it may still "
            "do so. Look, or write again",
            name,
        ) from last


def _equal(one: memoryview, other: memoryview) -> bool:
    """Compare bytes as fast as memory gives them."""
    return one.nbytes == other.nbytes and np.array_equal(
        np.frombuffer(one, np.uint8), np.frombuffer(other, np.uint8)
    )


def _abort(name: str, upload: str, parts: Parts, deadline: Deadline) -> None:
    """Remove an upload and its parts.

    Twice, since S3 keeps a part that was on its way at the first time; then it says that there is
    no such upload. https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html

    Raises:
        Failure: There is nothing more to be removed, or it could not be asked in time.
    """
    for _ in range(2):
        persist(lambda t: parts.abort(name, upload, t), deadline)

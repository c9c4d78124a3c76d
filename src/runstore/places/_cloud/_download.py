"""Download one object: a first range that tells its size, then the rest of that version."""

from runstore.buffers import allocated, fill, flat
from runstore.places._cloud._arriving import in_one_stream
from runstore.places._cloud._causes import RANGE_IGNORED
from runstore.places._cloud._retry import Deadline, persist
from runstore.places._cloud._wire import CloudClient, Failure, Got, Span
from runstore.steps import Report, reporting
from runstore.workers import Workers, check_stopped

__all__ = ["BEGINNING", "FIRST", "download", "part", "ranged"]

FIRST = 8 << 20
"""Bytes that are asked for at once; an object that is no larger is one request."""

BEGINNING = Span(0, FIRST)
"""What is asked for first."""

_RANGE = 16 << 20
_AT_ONCE = 4
_STREAMED = 4 << 20  # bytes that are worth a connection of their own
_TORN_AT_MOST = 3  # after so many replacements in the middle, one request reads the whole


def ranged(client: CloudClient, name: str, span: Span, deadline: Deadline) -> Got:
    """Read a range. An empty object has no range: return no bytes."""
    check_stopped()
    try:
        return client.get(name, span, None, deadline.request)  # most often this is all
    except Failure as failure:
        return _ranged_again(client, name, span, deadline, [failure])


def _ranged_again(
    client: CloudClient, name: str, span: Span, deadline: Deadline, first: list[Failure]
) -> Got:
    try:
        return persist(lambda t: client.get(name, span, None, t), deadline, first=first)
    except Failure as failure:
        if not failure.no_such_range:
            raise
    got = persist(lambda t: client.get(name, None, None, t), deadline)
    start = got.size - span.length if span.start is None else span.start
    end = max(0, start) + (span.length if span.start is not None else got.size)
    return got._replace(data=flat(got.data)[max(0, start) : end])


def download(client: CloudClient, name: str, timeout: float) -> Got:
    """Read one version of an object into one private, writable buffer.

    Raises:
        Failure: It is not there, or the server failed for *timeout* seconds.
    """
    deadline, torn = Deadline(timeout), 0
    while True:
        got = ranged(client, name, BEGINNING, deadline)
        if got.size <= FIRST and flat(got.data).nbytes >= got.size:
            return got
        data = allocated(got.size)
        try:
            if torn >= _TORN_AT_MOST:
                return persist(lambda t, into=data: _whole(client, name, t, into), deadline)  # type: ignore[misc]
            fill(data[: flat(got.data).nbytes], got.data)
            _rest(client, name, got, data, timeout)
        except Failure as failure:
            if not (failure.condition_failed or failure.no_such_key or failure.status == 416):
                raise
            torn += 1
            if deadline.left <= 0:
                raise Failure(
                    0, "", "it is replaced faster than it can be read", sent=False
                ) from failure
            continue
        return got._replace(data=data)


def part(client: CloudClient, name: str, span: Span, version: str, timeout: float) -> memoryview:
    """Read a range of one version, in several requests at a time if it is a long one.

    Raises:
        Failure: It is another version by now, or not there, or the server failed.
    """
    assert span.start is not None
    data = allocated(span.length)
    try:
        with reporting(f"reading {name}", span.length, "bytes") as report:
            _fill(client, name, version, span.start, data, timeout, report)
    except Failure as failure:
        if failure.code != RANGE_IGNORED:
            raise
        got = persist(lambda t: client.get(name, None, None, t), Deadline(timeout))
        data = flat(got.data)[span.start : span.start + span.length]
        _full(got._replace(data=data), span, version)
    return data


def _rest(client: CloudClient, name: str, got: Got, data: memoryview, timeout: float) -> None:
    """Fill *data* behind the first range."""
    first = flat(got.data).nbytes
    with reporting(f"reading {name}", data.nbytes, "bytes") as report:
        report.add(first)
        _fill(client, name, got.version, first, data[first:], timeout, report)


def _fill(
    client: CloudClient,
    name: str,
    version: str,
    start: int,
    data: memoryview,
    timeout: float,
    report: Report,
) -> None:
    """Fill *data* from *start* on; every range is of the same version, or refused."""
    missing = [(0, data.nbytes)]
    direct = client.direct
    if direct is not None and direct.is_usable and data.nbytes >= _STREAMED:
        missing = in_one_stream(direct, name, version, start, data, timeout / 3, report.add)
    for begin, end in missing:
        _fill_by_ranges(client, name, version, start + begin, data[begin:end], timeout, report)


def _fill_by_ranges(
    client: CloudClient,
    name: str,
    version: str,
    start: int,
    data: memoryview,
    timeout: float,
    report: Report,
) -> None:
    def one(at: int) -> None:
        into = data[at : at + _RANGE]
        span = Span(start + at, into.nbytes)
        # Progress moves the deadline: what is large may take long, what stalls may not.
        persist(
            lambda t: _full(client.get(name, span, version, t, into), span, version),
            Deadline(timeout),
        )
        report.add(into.nbytes)

    starts = range(0, data.nbytes, _RANGE)
    if len(starts) == 1:
        one(0)
        return
    with Workers(min(_AT_ONCE, len(starts)), "runstore-s3-get") as workers:
        workers.map(one, starts)


def _full(part: Got, span: Span, version: str) -> Got:
    if part.version != version:
        raise Failure(412, "PreconditionFailed", "another version came")
    assert span.start is not None
    if span.start + span.length > part.size:
        raise Failure(416, "InvalidRange", f"it has {part.size} bytes")
    if flat(part.data).nbytes != span.length:
        raise Failure(0, "", f"{flat(part.data).nbytes} bytes came of {span.length}")
    return part


def _whole(client: CloudClient, name: str, timeout: float, into: memoryview) -> Got:
    """Read everything in one request, of whatever version; *into* may be too small by now."""
    got = client.get(name, None, None, timeout, into)
    if flat(got.data).nbytes != got.size:
        raise Failure(412, "PreconditionFailed", "another version came")
    return got

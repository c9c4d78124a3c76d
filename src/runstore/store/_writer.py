"""A table that is written piece by piece, and published when its block ends well.

The place takes a series of buffers, and asks for them. A block of code gives pieces instead.
So the place works in a thread, and the two take turns: `Writer.write` returns when the place
asks for the next piece, and nothing of the last one is needed any more.
"""

import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from runstore.arguments import unfit
from runstore.buffers import Buffer, Paced
from runstore.context import PicklePolicy
from runstore.errors import InvalidRequestError, StorageError
from runstore.keys import AnyPlace, Place, extension_at, key_of
from runstore.objects import ObjectInfo, container_of, describe
from runstore.places import Entry
from runstore.steps import counted, reporting
from runstore.store._metadata import own_metadata
from runstore.store._objects import Objects
from runstore.store._stream_file import StreamFile
from runstore.workers import PATIENCE, SLICE, Workers, awaited

__all__ = ["Writer", "open_writer", "put_pieces"]


class _GivenUpError(Exception):
    """The block has ended by an error: nothing is published. It never leaves the writer."""


class Writer:
    """Writes one table, in a ``with`` block; what `runstore.ObjectStore.writer` returns.

    Nobody sees anything of it before the block has ended without an error. If it ends by one,
    or the process is killed, the old object is as it was.

    Args:
        objects: Where it is stored; writable ones.
        place: What it is stored as.
        stream: Makes the file.
        if_absent, if_match: As for `ObjectStore.put`.
    """

    def __init__(
        self,
        objects: Objects,
        place: AnyPlace,
        stream: StreamFile,
        if_absent: bool,
        if_match: str | None,
    ) -> None:
        self._objects = objects
        self._place = place
        self._ref = str(place)
        self._stream = stream
        self._conditions: dict[str, Any] = {"if_absent": if_absent, "if_match": if_match}
        self._turns = _Turns()
        self._workers = Workers(1, "runstore-writer")
        self._put: Future[tuple[Entry, str | None]] | None = None
        self._pid = 0
        self._ended = False
        self._info: ObjectInfo | None = None
        self.rows = 0
        """How many have been written."""

    @property
    def info(self) -> ObjectInfo:
        """What was stored.

        Raises:
            InvalidRequestError: The block has not ended yet, or ended by an error.
        """
        if self._info is None:
            raise InvalidRequestError(
                f"{self._ref} has not been stored: its block goes on, or failed"
            )
        return self._info

    def __enter__(self) -> Self:
        if self._pid:
            raise InvalidRequestError(f"the writer of {self._ref} is used a second time", self._ref)
        self._pid = os.getpid()
        return self

    def write(self, piece: Any) -> None:
        """Write the rows of a piece after those that were written so far.

        When this returns, nothing of *piece* is needed any more. A piece that is refused is not
        written, and the writer goes on without it.

        Args:
            piece: A ``pyarrow.Table`` or ``RecordBatch``, a pandas or polars ``DataFrame``: as the
                first one, in type, columns and their types.

        Raises:
            UnsupportedValueError: It is none, does not fit the first piece, or cannot be stored
                exactly; the message names the column.
            InvalidRequestError: The writer's block has not begun, or is over.
            StorageError: The place failed; the old object is intact.
        """
        self._check_open()
        batches = self._stream.add(piece)
        if batches and self._put is None:
            self._begin()
        for batch in batches:
            self._turns.give(batch, self._put)
        self.rows += sum(batch.num_rows for batch in batches)

    def write_all(self, pieces: Iterable[Any]) -> None:
        """Write each of *pieces*; what iterating them raises comes out as it is.

        Raises:
            InvalidRequestError: They cannot be iterated over.
            UnsupportedValueError, StorageError: As for `write`.
        """
        self._check_open()
        if isinstance(pieces, (str, bytes)) or not isinstance(pieces, Iterable):
            raise InvalidRequestError(
                f"write_all: pieces must be several tables, not a {type(pieces).__name__}",
                self._ref,
            )
        if hasattr(pieces, "__dataframe__") or isinstance(pieces, (pa.Table, pa.RecordBatch)):
            raise InvalidRequestError("write_all: that is one table: call write()", self._ref)
        for piece in pieces:
            self.write(piece)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pid != os.getpid():
            return  # a forked child: the parent writes
        try:
            if error is not None:
                self._give_up(error)
                return
            self._publish()
        finally:
            self._ended = True

    def _publish(self) -> None:
        try:
            if self._put is None:  # no rows: but maybe a schema
                self._begin()
            assert self._put is not None
            self._turns.end()
            entry, digest = awaited(self._put)
        except BaseException as error:
            self._give_up(error)
            raise
        self._workers.__exit__(None, None, None)
        self._info = _described(self._objects, self._place, entry, self._stream, digest)

    def _give_up(self, error: BaseException) -> None:
        """End the write; wait for it, so that nothing of it appears later."""
        published = self._turns.give_up()
        if self._put is not None and not self._put.done():
            patience = 10 * PATIENCE if published or isinstance(error, Exception) else PATIENCE
            wait_for = threading.Event()
            self._put.add_done_callback(lambda _: wait_for.set())
            wait_for.wait(patience)
        self._workers.__exit__(type(error), error, None)
        if published and not isinstance(error, Exception):
            error.add_note(f"{self._ref} was being published when that came: it may be there.")

    def _begin(self) -> None:
        """Let the place ask for the file, in a thread."""
        key, turns = key_of(self._place), self._turns

        def put() -> tuple[Entry, str | None]:
            written = self._stream.file(turns.batches())
            with reporting(f"storing {self._place}", None, "bytes") as report:
                pieces = turns.last_look(written)
                data = Paced(counted(pieces, report) if report else pieces)
                entry = self._objects.backend.put(key, data, **self._conditions)
            return entry, written.digest

        self._put = self._workers.submit(copy_context().run, put)

    def _check_open(self) -> None:
        if not self._pid or self._ended:
            state = "is over" if self._ended else "has not begun"
            raise InvalidRequestError(
                f"the block of the writer of {self._ref} {state}: write inside of "
                "`with object_store.writer(name) as w`",
                self._ref,
            )
        if self._pid != os.getpid():
            raise InvalidRequestError(
                f"the writer of {self._ref} belongs to another process: give each its own, or let "
                "each put a part",
                self._ref,
            )


def put_pieces(
    objects: Objects,
    place: AnyPlace,
    pieces: Iterator[Any],
    policy: PicklePolicy,
    *,
    if_absent: bool,
    if_match: str | None,
    **how: Any,
) -> ObjectInfo:
    """Write a table while its pieces come, in the caller's thread; see `Objects.put`."""
    stream = StreamFile(place, policy, **how)
    with Writer(objects, place, stream, if_absent, if_match) as writer:
        writer.write_all(pieces)
    return writer.info


def open_writer(
    objects: Objects,
    place: Place,
    schema: Any,
    *,
    if_absent: bool,
    if_match: str | None,
    metadata: dict[str, Any] | None,
    **how: Any,
) -> Writer:
    """Return a writer; see `StreamVerbs.writer`."""
    key_of(place)  # refuses a bad name
    if schema is not None and not isinstance(schema, pa.Schema):
        raise unfit("writer", "schema", "a pyarrow.Schema or None", schema)
    if if_absent and if_match is not None:
        raise InvalidRequestError(
            f"writer of {place}: if_absent wants no object and if_match wants one; choose",
            str(place),
        )
    metadata = own_metadata(place, metadata, False)
    stream = StreamFile(place, objects.policy, schema=schema, metadata=metadata, **how)
    return Writer(objects, place, stream, if_absent, if_match)


def _described(
    objects: Objects, place: AnyPlace, entry: Entry, stream: StreamFile, digest: str | None
) -> ObjectInfo:
    """Return the description of a table that has just been written piece by piece."""
    schema = partial(objects.read_schema, entry.key, place)
    container = container_of(extension_at(place))
    return describe(place, entry, container, stream.header, digest, stream.signed, schema)


class _Turns:
    """Hands batches to the thread of the place, one at a time."""

    def __init__(self) -> None:
        self._given: SimpleQueue[pa.RecordBatch | None] = SimpleQueue()
        self._wanted = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._over = False
        self._publishing = False

    def give(self, batch: pa.RecordBatch, put: "Future[Any] | None") -> None:
        """Hand over a batch; return when the next one is asked for."""
        assert put is not None
        self._wait(put)
        self._given.put(batch)
        del batch
        self._wait(put)
        self._wanted.release()  # for the next one

    def _wait(self, put: "Future[Any]") -> None:
        while not self._wanted.acquire(timeout=SLICE):
            if put.done():
                put.result()  # raises what went wrong
                raise StorageError("the place has not taken the whole table")

    def end(self) -> None:
        """Mark the end: there is no further batch."""
        self._given.put(None)

    def give_up(self) -> bool:
        """Let nothing be published; return whether that was just being done."""
        with self._lock:
            self._over = True
            publishing = self._publishing
        self._given.put(None)
        return publishing

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches as they are given."""
        while True:
            self._wanted.release()
            batch = self._given.get()
            if self._over:
                raise _GivenUpError
            if batch is None:
                return
            yield batch
            del batch

    def last_look(self, buffers: Iterable[Buffer]) -> Iterator[Buffer]:
        """Yield *buffers*; raise after the last one if nothing may be published any more."""
        yield from buffers
        with self._lock:
            if self._over:
                raise _GivenUpError
            self._publishing = True

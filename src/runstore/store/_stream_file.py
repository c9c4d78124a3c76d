"""The file of a table that comes piece by piece, which is never whole in memory."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from runstore import codecs, containers
from runstore.codecs import Joined, Pickling
from runstore.containers import Header, Written
from runstore.context import PicklePolicy
from runstore.errors import RunStoreError, UnsupportedValueError
from runstore.keys import AnyPlace, PartPlace, extension_at
from runstore.objects import container_of, guard_of, signing_keys
from runstore.parts import part_text
from runstore.referred import nbytes_of, referred_batches
from runstore.store._encoding import versions_of

__all__ = ["StreamFile"]

_LEAST = 8 << 20  # bytes of a batch that is written; smaller pieces are gathered
_MOST = 32 << 20  # of a batch; larger pieces are cut


class StreamFile:
    """A table that is being stored.

    Args:
        place: What it is stored as.
        policy: The pickle policy; a table in pieces has none, but may be signed.
        schema: What columns the pieces have; None if the first one says.
        metadata, compression, workflow, stage: As for `Objects.put`.

    Attributes:
        header: What the file says of itself; complete when all of it has been written.

    Raises:
        UnsupportedValueError: The format has no tables.
    """

    header: Header

    def __init__(
        self,
        place: AnyPlace,
        policy: PicklePolicy,
        *,
        schema: pa.Schema | None = None,
        metadata: dict[str, Any] | None = None,
        compression: str | None = None,
        workflow: str | None = None,
        stage: str | None = None,
    ) -> None:
        self._ref = str(place)
        extension = extension_at(place)
        container = container_of(extension)
        if codecs.stored_as_file(extension, pa.table({})):
            raise UnsupportedValueError(
                f"cannot store {place} piece by piece: .{extension} is written whole. Use a name "
                "that ends in .parquet, or without an extension",
                self._ref,
            )
        self._parquet = container == "parquet"
        self._policy: PicklePolicy = policy
        signed = policy == "signed"
        self._key = signing_keys(self._ref, "store").current if signed else None
        self._compression = compression
        self._joined = Joined(container, Pickling("allow", self._ref), schema)
        self._known: dict[str, Any] = {
            "namespace": place.namespace,
            "run": place.run,
            "name": place.name,
            "workflow": workflow,
            "stage": stage,
            "metadata": metadata or {},
            "write_id": secrets.token_hex(8),
        }
        if isinstance(place, PartPlace):
            self._known |= {"part": part_text(place.part), "write_id": place.write_id}

    def add(self, piece: Any) -> list[pa.RecordBatch]:
        """Return the rows of a piece, as `file` takes them; they may share its memory.

        Raises:
            UnsupportedValueError: It does not fit the pieces before it, or cannot be stored
                exactly. The others are not affected.
        """
        try:
            return [part for batch in self._joined.add(piece) for part in _cut(batch)]
        except RunStoreError as exc:
            what = exc.message.removeprefix("cannot store ").removeprefix(f"{self._ref}: ")
            raise UnsupportedValueError(f"cannot store {self._ref}: {what}", self._ref) from exc

    def file(self, batches: Iterator[pa.RecordBatch]) -> Written:
        """Return the file of these batches, which are taken while it is written.

        Of a batch nothing is needed any more when the next one is asked for.
        """
        first = next(batches, None)
        header = self._header()  # raises where nothing tells the columns
        schema = self._joined.schema
        gathered = _gathered(first, batches)
        del first
        dictionaries = header.codec in codecs.PARQUET_CODECS
        if self._parquet:
            written = containers.parquet_file(
                schema,
                gathered,
                header,
                compression=self._compression or "zstd",
                key=self._key,
                dictionaries=dictionaries,
                finish=self._header,
            )
        else:
            written = containers.arrow_file(
                schema,
                gathered,
                header,
                compression=self._compression,
                key=self._key,
                cut=self._joined.cut,
                finish=self._header,
            )
        written.guard = guard_of(self._policy, self._key is not None)
        return written

    @property
    def signed(self) -> bool:
        """Whether the file gets a signature."""
        return self._key is not None

    def _header(self) -> Header:
        """Return what the file says of itself, as far as the pieces have come."""
        try:
            told = self._joined.described()
        except UnsupportedValueError as exc:
            raise UnsupportedValueError(
                f"cannot store {self._ref}: {exc.message}", self._ref
            ) from exc
        self.header = Header(
            **self._known,
            **told,
            created_at=datetime.now(UTC),
            layout=self._joined.layout if "part" in self._known else {},
            versions=versions_of(told["codec"], {}),
        )
        return self.header


def _cut(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut a batch into parts of about the largest size that is written at a time."""
    size = nbytes_of([batch])
    count = max(1, -(-size // _MOST))
    rows = max(1, -(-batch.num_rows // count))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _gathered(
    first: pa.RecordBatch | None, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Join small batches, of which private copies are kept, until there is enough of them."""
    held: list[pa.RecordBatch] = []
    size = 0
    batch = first
    del first
    while batch is not None:
        own = nbytes_of([batch])
        if own >= _LEAST and not held:
            yield batch
        else:
            held.append(_copied(batch))
            size += own
        del batch
        if size >= _LEAST:
            yield from _joined(held)
            held, size = [], 0
        batch = next(batches, None)
    if held:
        yield from _joined(held)


def _copied(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch on memory of its own: whoever wrote it may change theirs."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(allow_64bit=True)
    with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(next(referred_batches([batch])))
    return pa.ipc.open_stream(sink.getvalue()).read_next_batch()


def _joined(held: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    try:
        return pa.Table.from_batches(held).combine_chunks().to_batches()  # type: ignore[no-any-return]
    except pa.ArrowNotImplementedError:  # for some types Arrow cannot
        return held

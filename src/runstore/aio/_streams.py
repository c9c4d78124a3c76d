"""Tables that are written and read piece by piece, to await."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import pyarrow as pa

from runstore.aio._calls import reading, whole
from runstore.aio._pool import Pool
from runstore.keys import Scope
from runstore.store import ObjectInfo, Verbs, Writer

__all__ = ["AsyncStreamVerbs", "AsyncWriter"]

T = TypeVar("T")
_END = object()


class AsyncWriter:
    """Writes one table, in an ``async with`` block; see `runstore.ObjectStore.writer`.

    If the task is cancelled, nothing of the table appears.
    """

    def __init__(self, pool: Pool, writer: Writer) -> None:
        self._pool = pool
        self._writer = writer

    @property
    def rows(self) -> int:
        """How many have been written."""
        return self._writer.rows

    @property
    def info(self) -> ObjectInfo:
        """What was stored; raises InvalidRequestError before the block has ended well."""
        return self._writer.info

    async def __aenter__(self) -> Self:
        self._writer.__enter__()
        return self

    async def write(self, piece: Any) -> None:
        """Write the rows of a piece; see `runstore.store.Writer.write`."""
        writer = self._writer
        await whole(self._pool, lambda: writer.write(piece))

    async def write_all(self, pieces: AsyncIterable[Any] | Iterable[Any]) -> None:
        """Write each of *pieces*, which may be iterated over by ``for`` or by ``async for``."""
        writer = self._writer
        if isinstance(pieces, AsyncIterable):
            async for piece in pieces:
                await self.write(piece)
        else:
            await whole(self._pool, lambda: writer.write_all(pieces))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        writer = self._writer
        await whole(self._pool, lambda: writer.__exit__(kind, error, traceback))


class AsyncStreamVerbs(ABC):
    """The verbs that write and read tables piece by piece, to await."""

    @abstractmethod
    def _taken(self) -> tuple[Verbs, Pool]:
        """Return the verbs to call, and the threads to call them in; raise if there are none."""

    def writer(
        self,
        name: str,
        schema: pa.Schema | None = None,
        *,
        scope: Scope = "run",
        metadata: dict[str, Any] | None = None,
        if_absent: bool = False,
        if_match: str | None = None,
        compression: Literal["auto", "lz4", "zstd"] | None = "auto",
    ) -> AsyncWriter:
        """Return what writes one table, in an ``async with``; see `runstore.ObjectStore.writer`."""
        verbs, pool = self._taken()
        writer = verbs.writer(
            name,
            schema,
            scope=scope,
            metadata=metadata,
            if_absent=if_absent,
            if_match=if_match,
            compression=compression,
        )
        return AsyncWriter(pool, writer)

    def iter_batches(
        self,
        name: str,
        *,
        columns: list[Any] | None = None,
        filters: Any = None,
        batch_rows: int | None = None,
        as_type: type | None = None,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
        verify: Literal["auto"] | bool = "auto",
    ) -> AsyncIterator[Any]:
        """Return the rows of a stored table; see `runstore.ObjectStore.iter_batches`.

        The table is opened when the first batch is awaited.
        """
        verbs, pool = self._taken()
        opened = verbs._opening_batches(
            name, columns, filters, batch_rows, as_type, scope, run, namespace, verify
        )
        return _awaited(pool, opened)

    async def scan(
        self,
        name: str,
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
        verify: Literal["auto"] | bool = "auto",
    ) -> Any:
        """Return a stored table as a dataset, whose methods block; see `ObjectStore.scan`."""
        verbs, pool = self._taken()
        return await reading(
            pool,
            lambda: verbs.scan(name, scope=scope, run=run, namespace=namespace, verify=verify),
        )


async def _awaited(pool: Pool, opened: Callable[[], Iterator[Any]]) -> AsyncIterator[Any]:
    batches = await reading(pool, opened)
    try:
        while (batch := await reading(pool, lambda: next(batches, _END))) is not _END:
            yield batch
            del batch
    finally:
        close = getattr(batches, "close", None)
        if close is not None:
            with suppress(ValueError):  # a cancelled call is still in it
                close()

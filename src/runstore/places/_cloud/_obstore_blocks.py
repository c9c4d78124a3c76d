"""The blocks of an upload, as obstore asks for them."""

import asyncio
from collections.abc import Iterable, Iterator

from runstore.buffers import Buffer, flat
from runstore.places._cloud._attended import beside
from runstore.places._cloud._rust import lent
from runstore.places._cloud._wire import Failure

__all__ = ["Blocks", "PacedBlocks"]


class Blocks:
    """The blocks of an upload; once it is stopped, the next one is an error, which aborts it."""

    def __init__(self, blocks: Iterable[Buffer]) -> None:
        self._blocks = iter(blocks)
        self._stopped = False
        self._ended = False

    def __iter__(self) -> Iterator[memoryview]:
        return self

    def __next__(self) -> memoryview:
        if self._stopped:
            raise Failure(0, "", "the upload was interrupted")
        try:
            return lent(flat(next(self._blocks)))
        except StopIteration:
            self._ended = True
            raise

    def stop(self) -> bool:
        """Abort the upload; say whether that may be too late."""
        self._stopped = True
        return self._ended


class PacedBlocks:
    """The same, for blocks that may be long in coming: none of obstore's threads waits for them."""

    def __init__(self, blocks: Iterable[Buffer]) -> None:
        self._inner = Blocks(blocks)
        self.stop = self._inner.stop

    def __aiter__(self) -> "PacedBlocks":
        return self

    async def __anext__(self) -> memoryview:
        block = await asyncio.wrap_future(beside(lambda: next(self._inner, None)))
        if block is None:
            raise StopAsyncIteration
        return block

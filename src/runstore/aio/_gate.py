"""How many calls of one event loop are in the threads at a time."""

import asyncio
from collections import deque
from types import TracebackType

__all__ = ["Gate"]


class Gate:
    """Lets a few in at a time, in the order in which they came: ``async with gate: …``.

    The others wait in the loop, where waiting is cheap: a thousand calls that begin at once
    would else be handed to the threads in one step of the loop, which would take long. Unlike a
    semaphore of asyncio it does not keep its loop alive.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was let in at the same moment
                self._leave()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # it may have been cancelled
                turn.set_result(None)
                return
        self._free += 1

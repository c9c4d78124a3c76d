"""`iter` to await: page after page, each read in a thread."""

import builtins
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from typing import TypeVar

from runstore.aio._calls import reading
from runstore.aio._pool import Pool
from runstore.keys import Scope
from runstore.store import ObjectInfo, Verbs

__all__ = ["AsyncPagingVerbs", "in_pages"]

T = TypeVar("T")

_PAGE = 1000  # objects that are brought from a thread at a time


class AsyncPagingVerbs(ABC):
    """The verb for more objects than one wants to hold, to be used with ``async for``."""

    @abstractmethod
    def _taken(self) -> tuple[Verbs, Pool]:
        """Return the verbs to call, and the threads to call them in; raise if there are none."""

    def iter(
        self,
        prefix: str = "",
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
        details: bool = False,
    ) -> AsyncIterator[ObjectInfo]:
        """Describe objects one after the other, by name; see `runstore.ObjectStore.iter`."""
        verbs, pool = self._taken()
        found = verbs.iter(prefix, scope=scope, run=run, namespace=namespace, details=details)
        return in_pages(pool, found, _PAGE)


async def in_pages(pool: Pool, found: Iterator[T], most: int) -> AsyncIterator[T]:
    """Yield what an iterator gives, *most* at a time brought from a thread."""
    while page := await reading(pool, lambda: builtins.list(islice(found, most))):
        for one in page:
            yield one

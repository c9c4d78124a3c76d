"""Clean-up, pins, tags and notes to await."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TypeVar

from runstore.aio._calls import reading, whole
from runstore.aio._pool import Pool
from runstore.arguments import check_instance
from runstore.runs import Marks
from runstore.store import GcPlan, GcReport, ObjectStore

__all__ = ["AsyncKeeping"]

T = TypeVar("T")


class AsyncKeeping(ABC):
    """The verbs of `runstore.store._keeping`; each is that of the same name."""

    _store: ObjectStore

    @abstractmethod
    def _open_pool(self) -> Pool:
        """Return the threads in which the calls are made."""

    async def _asked(self, function: Callable[[ObjectStore], T]) -> T:
        """Return what *function* reads; a cancelled one is not waited for."""
        return await reading(self._open_pool(), lambda: function(self._store))

    async def _changed(self, function: Callable[[ObjectStore], T]) -> T:
        """Do what *function* does, which writes; a cancelled one is waited for."""
        return await whole(self._open_pool(), lambda: function(self._store))

    async def plan_gc(
        self,
        keep_last: int | None = None,
        keep_finished: int | None = None,
        older_than: float | str | timedelta | None = None,
        workflow: str | None = None,
        namespace: str | None = None,
        orphans: bool = True,
    ) -> GcPlan:
        """Return what clean-up would remove; see `runstore.ObjectStore.plan_gc`."""
        rules = (keep_last, keep_finished, older_than, workflow, namespace, orphans)
        return await self._asked(lambda store: store.plan_gc(*rules))

    async def apply_gc(self, plan: GcPlan) -> GcReport:
        """Remove what is planned; see `runstore.store.GcPlan.apply`. Cancelling waits for its end.

        Args:
            plan: What `plan_gc` has returned.
        """
        check_instance("apply_gc", "plan", plan, GcPlan, "a GcPlan")
        return await self._changed(lambda _: plan.apply())

    async def pin(self, run: str, *, namespace: str | None = None, note: str = "") -> None:
        """Keep a run from clean-up; see `runstore.ObjectStore.pin`."""
        await self._changed(lambda store: store.pin(run, namespace=namespace, note=note))

    async def unpin(self, run: str, *, namespace: str | None = None) -> None:
        """Let clean-up remove a run again; see `runstore.ObjectStore.unpin`."""
        await self._changed(lambda store: store.unpin(run, namespace=namespace))

    async def tag(
        self,
        run: str | None,
        tags: Iterable[str],
        *,
        name: str | None = None,
        namespace: str | None = None,
    ) -> None:
        """Add tags to a run or an object; see `runstore.ObjectStore.tag`."""
        await self._changed(lambda store: store.tag(run, tags, name=name, namespace=namespace))

    async def untag(
        self,
        run: str | None,
        tags: Iterable[str],
        *,
        name: str | None = None,
        namespace: str | None = None,
    ) -> None:
        """Remove tags of a run or an object; see `runstore.ObjectStore.untag`."""
        await self._changed(lambda store: store.untag(run, tags, name=name, namespace=namespace))

    async def note(
        self,
        run: str | None,
        text: str,
        *,
        name: str | None = None,
        namespace: str | None = None,
    ) -> None:
        """Set the note of a run or an object; see `runstore.ObjectStore.note`."""
        await self._changed(lambda store: store.note(run, text, name=name, namespace=namespace))

    async def marks(self, run: str | None, *, namespace: str | None = None) -> Marks:
        """Return pin, tags and notes of a run; see `runstore.ObjectStore.marks`."""
        return await self._asked(lambda store: store.marks(run, namespace=namespace))

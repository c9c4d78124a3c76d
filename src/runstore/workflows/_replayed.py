"""What became of a stage that was run again, beside what was recorded of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from runstore.context import ObjectUse, WorkflowRun, kept_result
from runstore.displays import brief, pairs, some
from runstore.errors import ObjectNotFoundError
from runstore.keys import Place

if TYPE_CHECKING:
    from runstore.store import ObjectDiff, ObjectStore

__all__ = ["Replay", "Written", "compared"]


@dataclass(frozen=True)
class Written:
    """One object: as the stage wrote it then, and as it wrote it now.

    Attributes:
        name: Its name.
        scope: ``run`` or ``namespace``.
        before: As it was recorded; None if it was not written then.
        now: As it was written now; None if it was not.
    """

    name: str
    scope: Literal["run", "namespace"]
    before: ObjectUse | None
    now: ObjectUse | None

    @property
    def same(self) -> bool:
        """Whether both have the same digest."""
        one, other = self.before, self.now
        return one is not None and other is not None and one.digest == other.digest is not None


@dataclass(frozen=True)
class Replay:
    """What became of a stage that was run again.

    Attributes:
        run: The record of the earlier run.
        stage: The name of the stage.
        item: The index of the item, if it is mapped.
        state: ``finished`` or ``failed``, now.
        result: What it returned now.
        error: Why it failed now: type and message.
        traceback: Of that error.
        before: What it returned then, as the record keeps it.
        error_before: Why it failed then.
        state_before: What became of it then: as ``state``; or ``pending`` or ``skipped`` if it did
            not run, ``running`` if nothing tells how it ended. Of an item that of the item.
        written: The objects that it wrote then, now, or both, by name.
        seconds: How long it took now.
        store: The scratch store, with what it wrote now; what it did not write is that of the run.
        folder: Where what it wrote is, as a store of its own.
    """

    run: WorkflowRun
    stage: str
    item: int | None
    state: Literal["finished", "failed"]
    result: Any
    error: str | None
    traceback: str | None
    before: Any
    error_before: str | None
    written: tuple[Written, ...]
    seconds: float
    store: "ObjectStore"
    folder: str
    state_before: Literal["pending", "running", "finished", "failed", "skipped"]
    _keep: Callable[[ObjectUse], str] = field(repr=False, compare=False)

    def diff(self, name: str) -> "ObjectDiff | None":
        """Return what differs between an object as it was recorded and as it was written now.

        The recorded one is copied to the scratch store. None if it was not written then and now, or
        if the run's own store does not have it any more as it was recorded.

        Args:
            name: Of the object.

        Raises:
            StorageError: The place failed.
        """
        found = next((one for one in self.written if one.name == name), None)
        if found is None or found.before is None or found.now is None:
            return None
        place = Place(found.now.namespace, found.now.run, name)
        try:
            compared = self.store.diff(self._keep(found.before), str(place))
        except ObjectNotFoundError:
            return None
        return cast("ObjectDiff", compared)

    @property
    def same(self) -> bool:
        """Whether it ended as it did then, with the same result and the same objects.

        What did not run then, or did not end, is not the same.
        """
        ended = self.state == self.state_before and self.error == self.error_before
        result = self.error is not None or kept_result(self.result) == self.before
        return ended and result and all(one.same for one in self.written)

    def _repr_html_(self) -> str:
        told = pairs(
            {
                "run": f"{self.run.namespace}/{self.run.name}",
                "stage": self.stage,
                "item": self.item,
                "the same": "yes" if self.same else "no",
                "state": f"{self.state}; then {self.state_before}",
                "result": brief(self.result),
                "result then": brief(self.before),
                "error": self.error,
                "error then": self.error_before,
                "seconds": f"{self.seconds:,.2f}",
                "store": self.folder,
            }
        )
        rows = [[one.name, one.scope, "yes" if one.same else "no"] for one in self.written]
        return told + (some(["written", "scope", "the same"], rows) if rows else "")

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def compared(before: list[ObjectUse], now: list[ObjectUse]) -> tuple[Written, ...]:
    """Return the objects that were written before, now, or both, sorted by name."""
    then = {(use.name, use.run is None): use for use in before}
    here = {(use.name, use.run is None): use for use in now}
    return tuple(
        Written(name, "namespace" if shared else "run", then.get(key), here.get(key))
        for key in sorted({*then, *here})
        for name, shared in [key]
    )


def _lines(found: Replay) -> Iterator[str]:
    item = "" if found.item is None else f", item {found.item},"
    yield f"stage {found.stage}{item} of run {found.run.namespace}/{found.run.name}"
    yield f"  state   {found.state} after {found.seconds:.2f} s"
    if found.state_before not in ("finished", "failed"):
        yield from _alone(found)
        return
    if found.error is not None or found.error_before is not None:
        yield f"  error   now: {found.error or 'none'}"
        yield f"          before: {found.error_before or 'none'}"
    else:
        result = kept_result(found.result)
        same = "the same as before" if result == found.before else f"before: {found.before!r}"
        yield f"  result  {result!r}, {same}"
    for one in found.written:
        yield f"  object  {one.name}: {_difference(one)}"
    yield "nothing differs" if found.same else "there are differences"


def _alone(found: Replay) -> Iterator[str]:
    """Report a stage that has nothing to be compared with."""
    if found.error is not None:
        yield f"  error   {found.error}"
    else:
        yield f"  result  {kept_result(found.result)!r}"
    for one in found.written:
        yield f"  object  {one.name}: {_difference(one)}"
    if found.state_before == "running":
        yield "its end before is not known, so there is nothing to compare it with"
    else:
        yield "it did not run before, so there is nothing to compare it with"


def _difference(one: Written) -> str:
    if one.before is None:
        return "was not written before"
    if one.now is None:
        return "was written before, and is not now"
    if one.same:
        return "the same"
    sizes = f"{one.before.size:,} bytes before, {one.now.size:,} now"
    rows = f", {one.before.rows} rows before, {one.now.rows} now" if one.now.rows else ""
    return f"differs: {sizes}{rows}"

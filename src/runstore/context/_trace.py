"""What one attempt of a stage reads and writes, collected where it runs: no request, little work.

The store tells its attempt's `Trace` of every object. When the attempt has ended, the executor
takes a `Note` of it, which comes back with the result or the failure.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from runstore.context._parameters import EVERY_KEY
from runstore.context._records import ObjectUse

__all__ = ["MOST_USES", "Note", "Trace"]

MOST_USES = 1000
"""How many objects that were read, and that were written, are named of one attempt and stage."""

_Make = Callable[[], ObjectUse]


class Note(NamedTuple):
    """What is known of an attempt beside its result.

    Attributes:
        reads, writes: Some objects, at most `MOST_USES` of each.
        reads_left_out, writes_left_out: How many more there were.
        result: What `kept_result` makes of a result that stays on a worker, and whether that is
            exactly the result.
        input, config: The keys of the run's input and config that it has read.
    """

    reads: tuple[ObjectUse, ...] = ()
    writes: tuple[ObjectUse, ...] = ()
    reads_left_out: int = 0
    writes_left_out: int = 0
    result: tuple[Any, bool] | None = None
    input: tuple[str, ...] = ()
    config: tuple[str, ...] = ()


def _sorted(keys: set[str]) -> tuple[str, ...]:
    return (EVERY_KEY,) if EVERY_KEY in keys else tuple(sorted(keys))


class Trace:
    """Collects what an attempt reads and writes, from any of its threads."""

    __slots__ = ("_left_out", "_looked_at", "_reads", "_writes", "reached")

    def __init__(self) -> None:
        self._reads: dict[object, _Make] = {}
        self._writes: dict[object, _Make] = {}
        self._left_out = [0, 0]
        self.reached = set[tuple[str, str]]()
        """The folders of the runs of which anything was read, however much that was."""
        self._looked_at: dict[str, set[str]] = {"input": set(), "config": set()}

    def has_read(self, key: object) -> bool:
        """Return whether it is noted that a version of an object was read."""
        return key in self._reads

    def read(self, key: object, make: _Make, *, now: bool = False) -> None:
        """Note that a version of an object was read.

        Args:
            key: Of the version.
            make: Describes it, later.
            now: Let *make* describe it at once, since it holds much until then.
        """
        if key not in self._reads:
            self._keep(self._reads, 0, key, make, now)

    def wrote(self, key: object, make: _Make, *, now: bool = False) -> None:
        """Note that an object was written, or written anew.

        Args:
            key: Of the object.
            make: Describes it, later.
            now: As for `read`.
        """
        self._keep(self._writes, 1, key, make, now)

    def deleted(self, key: object) -> None:
        """Note that an object is gone: it is not among what was written any more."""
        self._writes.pop(key, None)

    def looked_at(self, kind: str) -> Callable[[str], None]:
        """Return what is to be called with each key of ``input`` or ``config`` that is read."""
        return self._looked_at[kind].add

    def note(self) -> Note | None:
        """Return what was collected; None if that is nothing."""
        reads, writes = (list(each.values()) for each in (self._reads, self._writes))
        keys = {kind: _sorted(found) for kind, found in self._looked_at.items()}
        if not reads and not writes and not any(keys.values()):
            return None
        made = [tuple(make() for make in each) for each in (reads, writes)]
        return Note(made[0], made[1], self._left_out[0], self._left_out[1], None, **keys)

    def taken(self) -> Note | None:
        """Return what was read and written since the last time; None if that is nothing.

        What other threads note meanwhile is in this note or in the next one.
        """
        made = []
        for uses in (self._reads, self._writes):
            newest_first = []
            while uses:
                try:
                    newest_first.append(uses.popitem()[1])
                except KeyError:  # another thread has noted that the last one is gone
                    break
            made.append(tuple(make() for make in reversed(newest_first)))
        (reads, writes), self._left_out = self._left_out, [0, 0]
        return Note(made[0], made[1], reads, writes) if any(made) or reads or writes else None

    def _keep(
        self, uses: dict[object, _Make], kind: int, key: object, make: _Make, now: bool
    ) -> None:
        if len(uses) < MOST_USES or key in uses:
            uses[key] = partial(_as_it_is, make()) if now else make
        else:
            self._left_out[kind] += 1


def _as_it_is(use: ObjectUse) -> ObjectUse:
    return use

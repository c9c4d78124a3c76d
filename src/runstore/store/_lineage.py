"""The verb that tells which stage of which run made an object, of what, and what was made of it."""

from abc import ABC, abstractmethod
from typing import Literal

from runstore import store  # types of results are loaded when they are needed
from runstore.arguments import check_choice, check_count
from runstore.keys import Scope
from runstore.store._refs import referred
from runstore.store._target import Target, place_of

__all__ = ["LineageVerbs"]


class LineageVerbs(ABC):
    """The verb that tells where an object comes from."""

    @abstractmethod
    def _target(self) -> Target:
        """Return what the verbs work on, at each call."""

    def lineage(
        self,
        name: str,
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
        direction: Literal["both", "back", "onwards"] = "both",
        runs: int = 1000,
    ) -> "store.Lineage":
        """Return what an object was made of, by which stages of which runs, and what of it.

        The record of a run says which objects each stage has read and written. Back from an
        object that costs a request for each run on the way; onwards, and for what runs share,
        the newest records of the namespace are read. What the records do not tell is in `gaps`.

        Args:
            name: As it was put; or what `ref` has returned, for that version, also if it is gone.
            scope, run, namespace: As for `get`.
            direction: ``back`` to what it was made of, ``onwards`` to what was made of it, or both.
            runs: How many of the newest runs of a namespace are looked through.

        Raises:
            NoRunContextError, InvalidNameError, InvalidRequestError: As for `get`.
            ObjectNotFoundError: Nothing is stored there.
            CorruptObjectError: What describes the object is damaged.
            StorageError: The place failed.
        """
        check_choice("lineage", "direction", direction, ("both", "back", "onwards"))
        check_count("lineage", "runs", runs)
        target = self._target()
        ref = referred("lineage", name, scope, run, namespace)
        place = (
            ref.place
            if ref is not None
            else place_of("lineage", target, name, scope, run, namespace)
        )
        from runstore.lineage import traced_lineage

        digest = None if ref is None else ref.digest
        return traced_lineage(target.objects, place, digest, direction, runs)

"""The records that lineage is read from: each once, and who used an object by its name."""

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from runstore.context import StageRecord, WorkflowRun
from runstore.errors import CorruptObjectError, ObjectNotFoundError
from runstore.keys import SHARED
from runstore.runs import newest_first, read_run

if TYPE_CHECKING:
    from runstore.context import ObjectUse
    from runstore.objects import StoredObjects

__all__ = ["Records", "Use"]


class Use(NamedTuple):
    """One stage's use of an object."""

    run: WorkflowRun
    stage: StageRecord
    use: "ObjectUse"


class Records:
    """Records of runs, as they are asked for.

    Args:
        objects: Where.
        most: How many runs of a namespace are looked through where nobody knows which it was.
    """

    def __init__(self, objects: "StoredObjects", most: int) -> None:
        self._backend = objects.backend
        self._most = most
        self._known: dict[tuple[str, str], WorkflowRun | None] = {}
        self._scanned: set[str] = set()
        self._readers: dict[str, list[Use]] = {}
        self._writers: dict[str, list[Use]] = {}
        self.gaps: dict[str, None] = {}

    @property
    def runs(self) -> list[WorkflowRun]:
        """All records that were read."""
        return [run for run in self._known.values() if run is not None]

    def of(self, namespace: str, name: str) -> WorkflowRun | None:
        """Return the record of a run; None if there is none that can be read."""
        key = namespace, name
        if key not in self._known:
            try:
                self._add(key, read_run(self._backend, name, namespace))
            except ObjectNotFoundError:
                self._known[key] = None
                self.gaps[f"run {namespace}/{name} has no record"] = None
            except CorruptObjectError as exc:
                self._known[key] = None
                self.gaps[f"the record of run {namespace}/{name} cannot be read: {exc}"] = None
        return self._known[key]

    def scan(self, namespace: str) -> None:
        """Read the newest records of a namespace."""
        if namespace in self._scanned:
            return
        self._scanned.add(namespace)
        found = list(islice(newest_first(self._backend, namespace), self._most))
        for run in found:
            if self._known.get((namespace, run.name)) is None:
                self._add((namespace, run.name), run)
        if len(found) == self._most:
            told = f"only the newest {self._most:,} runs of namespace {namespace} were looked at"
            self.gaps[told] = None

    def writers(self, ref: str) -> list[Use]:
        """Return who wrote an object, of the records that were read, in the order of the runs."""
        return self._writers.get(ref, [])

    def readers(self, ref: str) -> list[Use]:
        """Return who read an object, of the records that were read."""
        return self._readers.get(ref, [])

    def digest_of(self, use: "ObjectUse") -> str | None:
        """Return the digest of what was used.

        A file that was read in pieces has none; it has that of the write of the same version.
        """
        if use.digest is not None or use.version is None or use.part is not None:
            return use.digest
        if use.run is not None:
            self.of(use.namespace, use.run)
        found = {
            one.use.digest
            for one in self.writers(ref_of(use))
            if one.use.version == use.version and one.use.part is None
        }
        return found.pop() if len(found) == 1 else None

    def _add(self, key: tuple[str, str], run: WorkflowRun) -> None:
        self._known[key] = run
        for stage in run.stages:
            for uses, by_name in ((stage.reads, self._readers), (stage.writes, self._writers)):
                for use in uses:
                    by_name.setdefault(ref_of(use), []).append(Use(run, stage, use))


def ref_of(use: "ObjectUse") -> str:
    """Return the name of a used object, without its version."""
    return f"{use.namespace}/{use.run or SHARED}/{use.name}"

"""From an object back to what made it, and onwards to what was made of it."""

from collections import deque
from typing import TYPE_CHECKING, Any, Literal

from runstore.context import ObjectUse, StageRecord, WorkflowRun
from runstore.errors import CorruptObjectError, ObjectNotFoundError, UnsupportedFormatError
from runstore.keys import Place
from runstore.lineage._graph import (
    EdgeKind,
    Lineage,
    LineageEdge,
    LineageObject,
    LineageStage,
)
from runstore.lineage._records import Records, Use
from runstore.objects import digest_now, missing
from runstore.runs import start_of

if TYPE_CHECKING:
    from runstore.objects import StoredObjects

__all__ = ["Direction", "traced_lineage"]

Direction = Literal["both", "back", "onwards"]


def traced_lineage(
    objects: "StoredObjects", place: Place, digest: str | None, direction: Direction, most: int
) -> Lineage:
    """Return the lineage of an object; see `runstore.ObjectStore.lineage`.

    Args:
        objects: Where.
        place: The object.
        digest: Of which version; None for that which is there now.
        direction: Which way to go.
        most: How many runs of a namespace are looked through.
    """
    walk = _Walk(objects, Records(objects, most))
    root = walk.root(place, digest)
    if direction != "onwards":
        walk.back(root)
    if direction != "back":
        walk.onwards(root)
    return walk.found(root)


class _Walk:
    """The graph as far as it is known."""

    def __init__(self, objects: "StoredObjects", records: Records) -> None:
        self._of, self._records = objects, records
        self._objects: dict[str, LineageObject] = {}
        self._stages: dict[str, tuple[LineageStage, WorkflowRun | None, StageRecord | None]] = {}
        self._edges: dict[tuple[str, str, EdgeKind], bool] = {}

    def root(self, place: Place, digest: str | None) -> LineageObject:
        """Return the object that was asked for, with what is stored there, if that is still it."""
        try:
            info = self._of.stat(place)
            now = digest_now(self._of, place)
        except ObjectNotFoundError as exc:
            if digest is None:
                raise missing(self._of, place) from exc
            return self._object(place, digest)  # it is gone, and the records may know it
        if digest not in (None, now):
            return self._object(place, digest)
        return self._object(place, now, info.size, info.rows, info.python_type)

    def found(self, root: LineageObject) -> Lineage:
        """Return what was found."""
        stages = {name: one[0] for name, one in self._stages.items()}
        runs = {
            f"{run.namespace}/{run.name}": run
            for _, run, _ in self._stages.values()
            if run is not None
        }
        gaps = list(self._records.gaps)
        gaps += [
            f"stage {stage.id} used {stage.left_out:,} more objects than its record names"
            for stage in stages.values()
            if stage.left_out
        ]
        return Lineage(
            self._of.backend.url,
            root.id,
            self._objects,
            stages,
            tuple(LineageEdge(*edge, exact) for edge, exact in self._edges.items()),
            runs,
            tuple(gaps),
        )

    def back(self, root: LineageObject) -> None:
        """Find what an object was made of."""
        waiting: deque[LineageObject | LineageStage] = deque([root])
        seen = {root.id}
        while waiting:
            node = waiting.popleft()
            before = self._written_by(node) if isinstance(node, LineageObject) else self._took(node)
            for one in before:
                if one.id not in seen:
                    seen.add(one.id)
                    waiting.append(one)

    def onwards(self, root: LineageObject) -> None:
        """Find what was made of an object."""
        waiting: deque[LineageObject | LineageStage] = deque([root])
        seen = {root.id}
        while waiting:
            node = waiting.popleft()
            behind = self._read_by(node) if isinstance(node, LineageObject) else self._gave(node)
            for one in behind:
                if one.id not in seen:
                    seen.add(one.id)
                    waiting.append(one)

    def _written_by(self, node: LineageObject) -> list[LineageStage]:
        if node.run is not None:
            self._records.of(node.namespace, node.run)
        uses = self._records.writers(node.ref)
        if not any(self._is_of(use, node) for use in uses):
            # It was written by a run that its name does not tell: shared, copied, or by hand.
            self._records.scan(node.namespace)
            uses = self._records.writers(node.ref)
        exact = [use for use in uses if self._is_of(use, node)]
        if exact or uses:
            return [self._edge_from(use, node, bool(exact)) for use in exact or [_last(uses)]]
        found = self._by_header(node)
        if not found and (node.run is None or self._records.of(node.namespace, node.run)):
            self._records.gaps[f"no record that was read tells who wrote {node.ref}"] = None
        return found

    def _edge_from(self, use: Use, node: LineageObject, exact: bool) -> LineageStage:
        stage = self._stage(use.run, use.stage)
        known = exact and (use.use.digest == node.digest or use.use.part is not None)
        self._edge(stage.id, node.id, "writes", known)
        return stage

    def _by_header(self, node: LineageObject) -> list[LineageStage]:
        """Return the stage that an object names itself, where no record tells of it."""
        try:
            info = self._of.stat(Place(node.namespace, node.run, node.name))
        except (ObjectNotFoundError, CorruptObjectError, UnsupportedFormatError):
            return []
        if info.stage is None or info.workflow is None or node.run is None:
            return []
        key = f"{node.namespace}/{node.run}#{info.stage}"
        made = LineageStage(key, node.namespace, node.run, info.stage, info.workflow)
        self._stages.setdefault(key, (made, None, None))
        self._edge(key, node.id, "writes", False)
        return [made]

    def _took(self, node: LineageStage) -> list[LineageObject | LineageStage]:
        _, run, stage = self._stages[node.id]
        if run is None or stage is None:
            return []
        found: list[LineageObject | LineageStage] = []
        for use in stage.reads:
            one = self._used(use)
            self._edge(one.id, node.id, "reads", self._records.digest_of(use) is not None)
            found.append(one)
        for name in _depends_on(run, stage.name):
            before = next((each for each in run.stages if each.name == name), None)
            if before is not None:
                other = self._stage(run, before)
                self._edge(other.id, node.id, "after", True)
                found.append(other)
        return found

    def _read_by(self, node: LineageObject) -> list[LineageStage]:
        if node.run is not None:
            self._records.of(node.namespace, node.run)
        self._records.scan(node.namespace)
        found = []
        for use in self._records.readers(node.ref):
            if self._is_of(use, node):
                stage = self._stage(use.run, use.stage)
                digest = self._records.digest_of(use.use)
                exact = use.use.part is not None or (None is not digest == node.digest)
                self._edge(node.id, stage.id, "reads", exact)
                found.append(stage)
        return found

    def _gave(self, node: LineageStage) -> list[LineageObject | LineageStage]:
        _, run, stage = self._stages[node.id]
        if run is None or stage is None:
            return []
        found: list[LineageObject | LineageStage] = []
        for use in stage.writes:
            one = self._used(use)
            self._edge(node.id, one.id, "writes", use.digest is not None)
            found.append(one)
        for each in run.stages:
            if node.stage in _depends_on(run, each.name):
                other = self._stage(run, each)
                self._edge(node.id, other.id, "after", True)
                found.append(other)
        return found

    def _edge(self, source: str, target: str, kind: EdgeKind, exact: bool) -> None:
        """Note a step; of two notes of it one that is sure is enough."""
        self._edges[source, target, kind] = exact or self._edges.get((source, target, kind), False)

    def _used(self, use: ObjectUse) -> LineageObject:
        """Return the object of a use.

        A part has a digest of its own, and some uses have none: they are of the version that the
        records name, if that is one.
        """
        place = Place(use.namespace, use.run, use.name)
        known = self._records.digest_of(use)
        if known is not None and use.part is None:
            return self._object(place, known, use.size, use.rows, use.type)
        wholes = {
            one.use.digest: one.use
            for one in self._records.writers(str(place))
            if one.use.part is None and one.use.digest is not None
        }
        if len(wholes) == 1 and use.run is not None:
            ((digest, whole),) = wholes.items()
            return self._object(place, digest, whole.size, whole.rows, whole.type)
        what = (use.size, use.rows, use.type) if use.part is None else ()
        return self._object(place, None, *what)

    def _object(self, place: Place, digest: str | None, *what: Any) -> LineageObject:
        key = str(place) if digest is None else f"{place}@{digest}"
        made = LineageObject(key, *place, digest, *what)
        known = self._objects.setdefault(key, made)
        if known.size is None and made.size is not None:
            self._objects[key] = known = made
        return known

    def _is_of(self, use: Use, node: LineageObject) -> bool:
        """Return whether a use may be of this version: a part has a digest of its own."""
        digest = self._records.digest_of(use.use)
        return use.use.part is not None or None in (digest, node.digest) or digest == node.digest

    def _stage(self, run: WorkflowRun, stage: StageRecord) -> LineageStage:
        key = f"{run.namespace}/{run.name}#{stage.name}"
        if key not in self._stages:
            made = LineageStage(
                key,
                run.namespace,
                run.name,
                stage.name,
                run.workflow,
                stage.state,
                stage.started_at,
                stage.finished_at,
                stage.items,
                stage.target,
                stage.source,
                run.commit,
                stage.reads_left_out + stage.writes_left_out,
            )
            self._stages[key] = made, run, stage
        return self._stages[key][0]


def _last(uses: list[Use]) -> Use:
    return max(
        uses,
        key=lambda use: (
            use.stage.finished_at.timestamp() if use.stage.finished_at else start_of(use.run)
        ),
    )


def _depends_on(run: WorkflowRun, stage: str) -> list[str]:
    definition = run.definition or {}
    spec = definition.get("spec")
    stages = spec.get("stages") if isinstance(spec, dict) else None
    for one in stages if isinstance(stages, list) else ():
        if isinstance(one, dict) and one.get("name") == stage:
            names = one.get("depends_on") or []
            names = [names] if isinstance(names, str) else list(names)
            options = one.get("options")
            over = options.get("map_on") if isinstance(options, dict) else None
            return [*names, *([over] if isinstance(over, str) and over not in names else [])]
    return []

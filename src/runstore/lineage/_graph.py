"""What made what, as data: objects, the stages that wrote and read them, and the edges between."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from runstore.arguments import check_text
from runstore.displays import lines
from runstore.keys import SHARED

if TYPE_CHECKING:
    from runstore.context import WorkflowRun

__all__ = ["EdgeKind", "Lineage", "LineageEdge", "LineageObject", "LineageStage"]


EdgeKind = Literal["reads", "writes", "after"]


@dataclass(frozen=True)
class LineageObject:
    """One version of an object.

    Attributes:
        id: ``<namespace>/<run>/<name>``, with ``@<digest>`` where the version is known.
        namespace, name: Of the object.
        run: The run; None for what the namespace's runs share.
        digest: As in a reference; None where the record does not tell it.
        size: Stored bytes.
        rows: Of a table; an array's length; else None.
        type: ``module.QualName`` of the value, where known.
    """

    id: str
    namespace: str
    run: str | None
    name: str
    digest: str | None = None
    size: int | None = None
    rows: int | None = None
    type: str | None = None

    @property
    def ref(self) -> str:
        """Its name, without a version."""
        return f"{self.namespace}/{self.run or SHARED}/{self.name}"


@dataclass(frozen=True)
class LineageStage:
    """One stage of one run.

    Attributes:
        id: ``<namespace>/<run>#<stage>``.
        namespace, run, stage, workflow: Which it is.
        state: As recorded; None if the run has no record that tells of it.
        started_at, finished_at, items: As recorded.
        target: The import string of its function.
        source: A digest of the function's source.
        commit: The commit of the workflow's code.
        left_out: How many more objects it read and wrote than its record names.
    """

    id: str
    namespace: str
    run: str
    stage: str
    workflow: str
    state: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    items: int | None = None
    target: str | None = None
    source: str | None = None
    commit: str | None = None
    left_out: int = 0


@dataclass(frozen=True)
class LineageEdge:
    """One step, in the direction in which data goes.

    Attributes:
        source, target: Ids of objects and stages.
        kind: ``reads``: from an object to a stage; ``writes``: from a stage to an object;
            ``after``: from a stage to one that depends on it, which takes its result, or its turn.
        exact: False if the record names another version of the object, or none.
    """

    source: str
    target: str
    kind: EdgeKind
    exact: bool = True


@dataclass(frozen=True)
class Lineage:
    """Where an object comes from, and what was made of it.

    Attributes:
        store: The URL of the store.
        root: The id of the object that was asked for.
        objects, stages: All that is known, by id.
        edges: The steps between them.
        runs: The records of the stages' runs, ``<namespace>/<run>``: with input and config.
        gaps: What is not known, and why, in sentences.
    """

    store: str
    root: str
    objects: dict[str, LineageObject]
    stages: dict[str, LineageStage]
    edges: tuple[LineageEdge, ...]
    runs: "dict[str, WorkflowRun]" = field(repr=False)
    gaps: tuple[str, ...] = ()

    def before(self, node: str) -> Iterator[LineageEdge]:
        """Yield the edges that lead to an object or stage."""
        return (edge for edge in self.edges if edge.target == node)

    def behind(self, node: str) -> Iterator[LineageEdge]:
        """Yield the edges that lead on from an object or stage."""
        return (edge for edge in self.edges if edge.source == node)

    def drawn(self) -> list[LineageEdge]:
        """Return the edges that are worth drawing: no wait for a stage whose object is read."""
        writers: dict[str, set[str]] = {}
        for edge in self.edges:
            if edge.kind == "writes":
                writers.setdefault(edge.target, set()).add(edge.source)
        fed = {
            (writer, edge.target)
            for edge in self.edges
            if edge.kind == "reads"
            for writer in writers.get(edge.source, ())
        }
        return [
            edge
            for edge in self.edges
            if edge.kind != "after" or (edge.source, edge.target) not in fed
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain data that JSON can keep; of the runs what made a difference."""
        runs = {
            name: {
                "workflow": run.workflow,
                "state": run.state,
                "started_at": _text(run.started_at),
                "input": run.input,
                "config": run.config,
                "commit": run.commit,
                "executor": run.executor,
                "versions": dict(run.versions),
            }
            for name, run in self.runs.items()
        }
        stages = {
            name: {
                **asdict(stage),
                "started_at": _text(stage.started_at),
                "finished_at": _text(stage.finished_at),
            }
            for name, stage in self.stages.items()
        }
        return {
            "store": self.store,
            "root": self.root,
            "objects": {name: asdict(one) for name, one in self.objects.items()},
            "stages": stages,
            "edges": [asdict(edge) for edge in self.edges],
            "runs": runs,
            "gaps": list(self.gaps),
        }

    def tree(self) -> str:
        """Return it as a tree of text: what the object was made of, then what was made of it."""
        from runstore.lineage._tree import tree_of

        return tree_of(self)

    def _repr_html_(self) -> str:
        return lines(self.tree())

    def mermaid(self) -> str:
        """Return it as a flowchart for Mermaid, which GitHub and many notebooks draw."""
        from runstore.lineage._drawn import mermaid_of

        return mermaid_of(self)

    def dot(self) -> str:
        """Return it as a digraph for Graphviz."""
        from runstore.lineage._drawn import dot_of

        return dot_of(self)

    def openlineage(self, namespace: str | None = None) -> list[dict[str, Any]]:
        """Return it as events of OpenLineage, a START and an end for each stage; plain data.

        Args:
            namespace: OpenLineage's namespace of the jobs; by default ``runstore``. That of the
                datasets is the URL of the store.

        Raises:
            MissingExtraError: openlineage-python is not installed; with the pip line.
            InvalidRequestError: *namespace* is no str.
        """
        check_text("openlineage", "namespace", namespace, optional=True)
        from runstore.lineage._openlineage import events_of

        return events_of(self, namespace)


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()

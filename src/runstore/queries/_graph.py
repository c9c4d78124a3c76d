"""The stages of a run as a graph, with what their records say."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runstore.keys import SHARED
from runstore.queries._texts import size
from runstore.texts import duration, elapsed, short_type

if TYPE_CHECKING:
    from runstore.context import WorkflowRun
    from runstore.store import Lineage

__all__ = ["Graph", "Node", "lineage_graph", "stage_graph"]


@dataclass(frozen=True)
class Node:
    """One node of a graph.

    Attributes:
        key: What edges call it.
        label: Its name.
        detail: A second line.
        state: The state of the stage, or ``object``; ``root`` for the one that was asked for.
        address: Where it leads in the same page, or an empty text.
        place: Namespace, run and name of the object, or of the run of the stage without a name.
    """

    key: str
    label: str
    detail: str = ""
    state: str = ""
    address: str = ""
    place: tuple[str, str, str] | None = None


@dataclass(frozen=True)
class Graph:
    """Nodes, and which leads to which."""

    nodes: list[Node]
    edges: list[tuple[str, str]]


def stage_graph(run: "WorkflowRun") -> Graph:
    """Return the stages of a run, and which depends on which; no stages if that is not recorded."""
    depends = dependencies(run)
    if not depends and len(run.stages) > 1:
        return Graph([], [])
    nodes = [
        Node(stage.name, stage.name, _detail(stage), stage.state, f"#stage-{i}")
        for i, stage in enumerate(run.stages)
    ]
    known = {node.key for node in nodes}
    edges = []
    for name, before in depends.items():
        edges += [(one, name) for one in before if one in known and name in known]
    return Graph(nodes, edges)


def dependencies(run: "WorkflowRun") -> dict[str, list[str]]:
    """Return what each stage of a run depends on, by the definition in its record."""
    definition: Any = run.definition
    try:
        stages = definition["spec"]["stages"]
        found = {}
        for stage in stages:
            before = [str(one) for one in stage.get("depends_on") or ()]
            mapped = (stage.get("options") or {}).get("map_on")
            found[str(stage["name"])] = [*before, *([mapped] if mapped not in before else [])]
    except (TypeError, KeyError, AttributeError):  # a record may hold anything
        return {}
    return {name: [one for one in before if one] for name, before in found.items()}


def _detail(stage: Any) -> str:
    items = f"{stage.items:,} items" if stage.items is not None else ""
    return ", ".join(filter(None, (duration(elapsed(stage.started_at, stage.finished_at)), items)))


def lineage_graph(lineage: "Lineage") -> Graph:
    """Return what an object was made of, and what was made of it: objects, and stages of runs."""
    nodes = [
        Node(
            one.id,
            one.name,
            ", ".join(filter(None, (short_type(one.type), size(one.size)))),
            "root" if one.id == lineage.root else "object",
            place=(one.namespace, one.run or SHARED, one.name),
        )
        for one in lineage.objects.values()
    ]
    nodes += [
        Node(one.id, one.stage, one.run, one.state or "", place=(one.namespace, one.run, ""))
        for one in lineage.stages.values()
    ]
    known = {node.key for node in nodes}
    edges = [(edge.source, edge.target) for edge in lineage.drawn()]
    return Graph(nodes, [edge for edge in edges if known.issuperset(edge)])

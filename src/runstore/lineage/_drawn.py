"""Lineage as text for programs that draw graphs: Mermaid, Graphviz."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from runstore.arguments import printable
from runstore.lineage._graph import LineageObject, LineageStage
from runstore.texts import human_size

if TYPE_CHECKING:
    from runstore.lineage._graph import Lineage

__all__ = ["dot_of", "mermaid_of"]

_SIGNS = frozenset('"#<>&`\\;|[]{}')  # which Mermaid, or HTML in it, may read


def mermaid_of(found: "Lineage") -> str:
    """Return a flowchart: objects as boxes, stages as rounded ones, those of a run in a frame."""
    return "\n".join(_mermaid(found)) + "\n"


def _mermaid(found: "Lineage") -> Iterator[str]:
    names = _numbered(found)

    def node(one: "LineageObject | LineageStage", home: bool) -> str:
        lines = "<br/>".join(map(_entity, _label(one, home)))
        of_object = names[one.id].startswith("o")
        return names[one.id] + (f'["{lines}"]' if of_object else f'(["{lines}"])')

    yield "flowchart LR"
    runs, others = _by_run(found)
    for position, (run, nodes) in enumerate(runs.items()):
        yield f'  subgraph r{position}["{_entity(run)}"]'
        yield from (f"    {node(one, True)}" for one in nodes)
        yield "  end"
    yield from (f"  {node(one, False)}" for one in others)
    for edge in found.drawn():
        arrow = "-.->" if edge.kind == "after" or not edge.exact else "-->"
        yield f"  {names[edge.source]} {arrow} {names[edge.target]}"
    yield f"  style {names[found.root]} stroke-width:3px"


def _entity(text: str) -> str:
    """Return a text for a label between quotes; whatever Mermaid may read is an entity."""
    text = printable(text)
    return "".join(f"#{ord(c)};" if c in _SIGNS else c for c in text)


def dot_of(found: "Lineage") -> str:
    """Return a digraph: objects as boxes, stages as ellipses, in a cluster for each run."""
    return "\n".join(_dot(found)) + "\n"


def _dot(found: "Lineage") -> Iterator[str]:
    names = _numbered(found)

    def node(one: "LineageObject | LineageStage", home: bool) -> str:
        label = "\\n".join(map(_quoted, _label(one, home)))
        shape = "box" if names[one.id].startswith("o") else "ellipse"
        bold = ", penwidth=3" if one.id == found.root else ""
        return f'{names[one.id]} [shape={shape}, label="{label}"{bold}];'

    yield "digraph lineage {"
    yield "  rankdir=LR;"
    runs, others = _by_run(found)
    for position, (run, nodes) in enumerate(runs.items()):
        yield f"  subgraph cluster_{position} {{"
        yield f'    label="{_quoted(run)}";'
        yield from (f"    {node(one, True)}" for one in nodes)
        yield "  }"
    yield from (f"  {node(one, False)}" for one in others)
    for edge in found.drawn():
        style = " [style=dashed]" if edge.kind == "after" or not edge.exact else ""
        yield f"  {names[edge.source]} -> {names[edge.target]}{style};"
    yield "}"


def _quoted(text: str) -> str:
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')


def _numbered(found: "Lineage") -> dict[str, str]:
    """Return a name for each node that is a word in any language."""
    objects = {name: f"o{position}" for position, name in enumerate(found.objects)}
    return objects | {name: f"s{position}" for position, name in enumerate(found.stages)}


def _by_run(
    found: "Lineage",
) -> "tuple[dict[str, list[LineageObject | LineageStage]], list[LineageObject]]":
    """Return stages and objects by their run, and the objects that are of none."""
    runs: dict[str, list[LineageObject | LineageStage]] = {}
    others = []
    for stage in found.stages.values():
        runs.setdefault(f"{stage.namespace}/{stage.run}", []).append(stage)
    for one in found.objects.values():
        if one.run is None:
            others.append(one)
        else:
            runs.setdefault(f"{one.namespace}/{one.run}", []).append(one)
    return runs, others


def _label(one: "LineageObject | LineageStage", home: bool) -> list[str]:
    """Return the lines of a label; *home* if it is in the frame of its run."""
    if isinstance(one, LineageStage):
        return [one.stage if one.items is None else f"{one.stage} ({one.items:,} items)"]
    what = [] if one.rows is None else [f"{one.rows:,} rows"]
    what += [] if one.size is None else [human_size(one.size)]
    name = one.name if home else one.ref
    return [name, ", ".join(what)] if what else [name]

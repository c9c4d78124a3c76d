"""Lineage as a tree of text."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from runstore.arguments import printable
from runstore.lineage._graph import LineageEdge
from runstore.texts import human_size

if TYPE_CHECKING:
    from runstore.context import WorkflowRun
    from runstore.lineage._graph import Lineage, LineageObject, LineageStage

__all__ = ["tree_of"]

_LONGEST = 100  # characters of an input or config


def tree_of(found: "Lineage") -> str:
    """Return the object, what it was made of below it, then what was made of it, then the runs.

    What is of the object's own run has no run in front of it.
    """
    tree, root = _Tree(found), found.objects[found.root]
    lines = [root.ref + _what(root), *tree.below(found.root, back=True)]
    onwards = list(_Tree(found).below(found.root, back=False))
    if onwards:
        lines += ["read by", *onwards]
    if found.runs:
        lines += ["", *(line for run in found.runs.values() for line in _run(run))]
    lines += [f"not known: {gap}" for gap in found.gaps]
    return printable("\n".join(lines), lines=True)


class _Tree:
    """What was shown so far: each object and stage is opened once."""

    def __init__(self, found: "Lineage") -> None:
        self._found = found
        self._seen = {found.root}
        self._back: dict[str, list[LineageEdge]] = {}
        self._onwards: dict[str, list[LineageEdge]] = {}
        for edge in found.drawn():
            self._back.setdefault(edge.target, []).append(edge)
            self._onwards.setdefault(edge.source, []).append(edge)

    def below(self, root: str, *, back: bool) -> Iterator[str]:
        """Yield the lines below an object. A run may read what the run before has made, and so on.

        So this is no recursion: a chain of runs may be longer than Python's stack.
        """
        open_: list[tuple[str, Iterator[tuple[LineageEdge, bool]]]] = [
            ("", self._steps(root, back))
        ]
        while open_:
            indent, steps = open_[-1]
            edge, last = next(steps, (None, False))
            if edge is None:
                open_.pop()
                continue
            other = edge.source if back else edge.target
            text = self._named(other)
            if edge.kind == "after":
                text = f"{'after' if back else 'before'} {text}"
            elif not edge.exact:
                text += ", version not sure"
            known = other in self._seen
            yield indent + ("└── " if last else "├── ") + text + (" …" if known else "")
            if not known:
                self._seen.add(other)
                open_.append((indent + ("    " if last else "│   "), self._steps(other, back)))

    def _steps(self, node: str, back: bool) -> Iterator[tuple[LineageEdge, bool]]:
        """Yield the edges below an object or stage, each with whether it is the last one."""
        edges = (self._back if back else self._onwards).get(node, [])
        # A stage's objects come first, then the stages that it waited for.
        edges = sorted(
            edges, key=lambda edge: (edge.kind == "after", edge.source if back else edge.target)
        )
        return ((edge, position == len(edges) - 1) for position, edge in enumerate(edges))

    def _named(self, node: str) -> str:
        root, stage = self._found.objects[self._found.root], self._found.stages.get(node)
        one = self._found.objects[node] if stage is None else stage
        home = (one.namespace, one.run) == (root.namespace, root.run)
        if stage is not None:
            of = "" if home else f" of {stage.namespace}/{stage.run}"
            return f"stage {stage.stage}{of} ({', '.join(_went(stage))})"
        made = self._found.objects[node]
        return (made.name if home else made.ref) + _what(made)


def _what(one: "LineageObject") -> str:
    what = [] if one.type is None else [one.type.removeprefix("builtins.")]
    what += [] if one.rows is None else [f"{one.rows:,} rows"]
    what += [] if one.size is None else [human_size(one.size)]
    version = "" if one.digest is None else f" @{one.digest[:8]}"
    return version + (f" ({', '.join(what)})" if what else "")


def _went(one: "LineageStage") -> list[str]:
    what = [one.state or "no record"]
    what += [] if one.items is None else [f"{one.items:,} items"]
    what += [] if one.target is None else [one.target]
    what += [] if one.source is None else [f"source {one.source[-32:][:8]}"]
    return what


def _run(run: "WorkflowRun") -> Iterator[str]:
    commit = "" if run.commit is None else f", commit {run.commit[:12]}"
    yield f"run {run.namespace}/{run.name}: workflow {run.workflow}, {run.state}{commit}"
    for label, values in (("input", run.input), ("config", run.config)):
        if values:
            yield f"  {label} {_short(values)}"


def _short(values: dict[str, Any]) -> str:
    text = json.dumps(values, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"

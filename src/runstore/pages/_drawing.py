"""Drawings: where the nodes of a graph lie, and bars on a time line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from runstore.queries import Graph, Node, zoned

__all__ = ["Bar", "Box", "Drawing", "bars_of", "drawn", "ends_of"]

_WIDTH, _HEIGHT = 176, 46
_APART, _BELOW, _MARGIN = 44, 16, 8
_MOST = 150  # nodes of a graph that is drawn
_SWEEPS = 4


@dataclass(frozen=True)
class Box:
    """A node, and where it lies."""

    node: Node
    x: float
    y: float
    width: float = _WIDTH
    height: float = _HEIGHT


@dataclass(frozen=True)
class Line:
    """A line between two boxes, and whether it leads back, from right to left."""

    path: str
    back: bool = False


@dataclass(frozen=True)
class Drawing:
    """A graph from left to right: boxes, and the lines between them."""

    width: float
    height: float
    boxes: list[Box]
    lines: list[Line]


@dataclass(frozen=True)
class Bar:
    """A bar on a time line, in percent of its width."""

    x: float
    width: float


def drawn(graph: Graph) -> Drawing | None:
    """Lay out a graph; None if it has too many nodes to be looked at, or none."""
    if not 0 < len(graph.nodes) <= _MOST:
        return None
    nodes = {node.key: node for node in graph.nodes}
    circular = _circular(graph)
    depth = _depths(nodes, [edge for edge in graph.edges if edge not in circular])
    edges = [(edge[::-1] if edge in circular else edge) for edge in graph.edges]
    ways = [_way(one, other, depth) for one, other in edges]
    layers: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for key in [*nodes, *(key for way in ways for key in way[1:-1])]:
        layers[depth[key]].append(key)
    layers = _ordered([layer for layer in layers if layer], ways)
    heights = [sum(_height(key in nodes) for key in layer) for layer in layers]
    boxes, at = [], {}
    for i, layer in enumerate(layers):
        x, y = _MARGIN + i * (_WIDTH + _APART), _MARGIN + (max(heights) - heights[i]) / 2
        for key in layer:
            at[key] = x, y + (_height(key in nodes) - _BELOW) / 2
            if key in nodes:
                boxes.append(Box(nodes[key], x, y))
            y += _height(key in nodes)
    lines = [
        Line(_line([at[key] for key in way]), edge in circular)
        for way, edge in zip(ways, graph.edges, strict=True)
    ]
    width = 2 * _MARGIN + len(layers) * (_WIDTH + _APART) - _APART
    return Drawing(width, 2 * _MARGIN + max(heights) - _BELOW, boxes, lines)


def _height(is_node: bool) -> int:
    return (_HEIGHT if is_node else 0) + _BELOW


def _way(one: str, other: str, depth: dict[str, int]) -> list[str]:
    """Return what an edge passes: its ends, and a place in each layer between them.

    The places are added to *depth*, under keys that no node has.
    """
    between = [f"\0{one}\0{other}\0{i}" for i in range(depth[one] + 1, depth[other])]
    depth.update({key: depth[one] + 1 + i for i, key in enumerate(between)})
    return [one, *between, other]


def _circular(graph: Graph) -> set[tuple[str, str]]:
    """Return edges without which there is no circle; an object can be written after it was read."""
    behind: dict[str, list[str]] = {node.key: [] for node in graph.nodes}
    led_to = {other for _, other in graph.edges}
    for one, other in graph.edges:
        behind[one].append(other)
    found: set[tuple[str, str]] = set()
    done: set[str] = set()
    for first in sorted(behind, key=led_to.__contains__):  # those that nothing leads to come first
        if first in done:
            continue
        under_way = {first: iter(behind[first])}
        while under_way:
            key = next(reversed(under_way))
            step = next(under_way[key], None)
            if step is None:
                del under_way[key]
                done.add(key)
            elif step in under_way:
                found.add((key, step))
            elif step not in done:
                under_way[step] = iter(behind[step])
    return found


def _depths(keys: Iterable[str], edges: list[tuple[str, str]]) -> dict[str, int]:
    """Return the layer of each node, behind all that lead to it; there is no circle."""
    before: dict[str, set[str]] = {key: set() for key in keys}
    for one, other in edges:
        before[other].add(one)
    depth: dict[str, int] = {}
    left = list(before)
    while left:
        for key in [key for key in left if before[key] <= depth.keys()]:
            depth[key] = max((depth[one] for one in before[key]), default=-1) + 1
        left = [key for key in left if key not in depth]
    return depth


def _ordered(layers: list[list[str]], ways: list[list[str]]) -> list[list[str]]:
    """Order each layer by where the neighbours of its nodes are, so that few lines cross."""
    near: dict[str, list[str]] = {key: [] for layer in layers for key in layer}
    for way in ways:
        for one, other in pairwise(way):
            near[one].append(other)
            near[other].append(one)
    for sweep in range(_SWEEPS):
        at = {key: j for layer in layers for j, key in enumerate(layer)}
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            middle = {key: _mean([at[one] for one in near[key]], at[key]) for key in layer}
            layer.sort(key=middle.__getitem__)
            at |= {key: j for j, key in enumerate(layer)}
    return layers


def _mean(places: list[int], alone: int) -> float:
    return sum(places) / len(places) if places else alone


def _line(points: list[tuple[float, float]]) -> str:
    """Return the path of a line from the first box, past places between, to the last one."""
    x, y = points[0][0] + _WIDTH, points[0][1]
    path = f"M{x:g} {y:g}"
    for i, (left, middle) in enumerate(points[1:], 1):
        bend = max(_APART / 2, abs(left - x) / 2)
        path += f"C{x + bend:g} {y:g} {left - bend:g} {middle:g} {left:g} {middle:g}"
        x, y = left, middle
        if i < len(points) - 1:
            x += _WIDTH
            path += f"H{x:g}"
    return path


def bars_of(records: Sequence[Any], now: datetime | None = None) -> list[Bar | None]:
    """Return a bar for each run or stage on one time line; None for one that has not started.

    Args:
        records: Things with ``started_at`` and ``finished_at``.
        now: The end of what has none, by default the current time.
    """
    spans = _spans(records, now)
    first, last = _ends(spans)
    scale = 100 / ((last - first) or 1)
    return [None if span is None else _bar(span, first, scale) for span in spans]


def ends_of(records: Sequence[Any]) -> tuple[datetime | None, datetime | None]:
    """Return where the time line of `bars_of` begins and ends; None where nothing is on it."""
    spans = _spans(records, None)
    if not any(spans):
        return None, None
    first, last = (datetime.fromtimestamp(end, UTC) for end in _ends(spans))
    return first, last


def _spans(records: Sequence[Any], now: datetime | None) -> list[tuple[float, float] | None]:
    at = datetime.now(UTC) if now is None else now
    spans: list[tuple[float, float] | None] = []
    for one in records:
        if one.started_at is None:
            spans.append(None)
            continue
        running = one.state in ("running", "pending")
        end = one.finished_at or (at if running else one.started_at)
        start = zoned(one.started_at).timestamp()
        spans.append((start, max(start, zoned(end).timestamp())))
    return spans


def _ends(spans: list[tuple[float, float] | None]) -> tuple[float, float]:
    known = [span for span in spans if span is not None]
    return min((span[0] for span in known), default=0), max((span[1] for span in known), default=0)


def _bar(span: tuple[float, float], first: float, scale: float) -> Bar:
    width = max(0.8, (span[1] - span[0]) * scale)
    return Bar(round(min((span[0] - first) * scale, 100 - width), 2), round(width, 2))

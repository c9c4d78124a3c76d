"""networkx graphs: nodes and edges in their order, as lists and arrays.

A graph is dictionaries of dictionaries, and an edge that goes both ways is one dictionary in two
places. Here each is in a list once, and arrays say between which nodes it is.
"""

from typing import Any

import numpy as np

from runstore.codecs._exactly import all_exactly, exactly
from runstore.errors import CorruptObjectError

__all__ = ["GRAPHS", "graph_of", "graph_parts"]

GRAPHS = {
    "networkx.classes.graph.Graph": "Graph",
    "networkx.classes.digraph.DiGraph": "DiGraph",
    "networkx.classes.multigraph.MultiGraph": "MultiGraph",
    "networkx.classes.multidigraph.MultiDiGraph": "MultiDiGraph",
}
"""The types by name, and what networkx calls them."""

_TABLES = {"graph", "_node", "_adj", "_succ", "_pred"}
_VIEWS = {  # which it makes again
    *("__networkx_cache__", "adj", "nodes", "edges", "degree", "succ", "pred", "in_edges"),
    *("out_edges", "in_degree", "out_degree"),
}


def graph_parts(value: Any) -> tuple[str, Any] | None:
    """Return tag and parts of a graph; None for a view, or one with more than its tables."""
    name, state = type(value).__name__, vars(value)
    if not state.keys() <= _TABLES | _VIEWS:
        return None
    tables = [state[key] for key in ("graph", "_node")]
    ways = [value._adj, value._pred] if "Di" in name else [value._adj]
    if any(type(table) is not dict for table in (*tables, *ways)):
        return None
    attributes, nodes = tables
    numbers = {node: (at, node) for at, node in enumerate(nodes)}
    edges: dict[int, int] = {}
    kept: list[Any] = []
    told = []
    for way in ways:
        if len(way) != len(nodes) or any(a is not b for a, b in zip(way, nodes, strict=True)):
            return None
        counts, others, places = [], [], []
        for near in way.values():
            if type(near) is not dict:
                return None
            counts.append(len(near))
            for other, edge in near.items():
                if id(edge) not in edges:
                    edges[id(edge)] = len(kept)
                    kept.append(edge)
                at, node = numbers[other]
                if not _is_alike(other, node):
                    return None
                others.append(at)
                places.append(edges[id(edge)])
        told.append([np.array(part, "i8") for part in (counts, others, places)])
    if any(type(edge) is not dict for edge in kept):
        return None
    return "$graph", [name, attributes, list(nodes), list(nodes.values()), told, kept]


def _is_alike(one: Any, other: Any) -> bool:
    """Return whether two equal nodes cannot be told from each other, as 1 and 1.0 can."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if type(one) is tuple:
        return all(map(_is_alike, one, other))
    return type(one) in (int, str, bytes)


def graph_of(parts: Any, ref: str) -> Any:
    """Rebuild what `graph_parts` was given, without a call of networkx for a node or edge.

    Raises:
        CorruptObjectError: The parts do not fit each other.
    """
    import networkx as nx

    name, attributes, nodes, of_nodes, told, edges = parts
    exactly(nodes, ref, list)
    all_exactly([attributes, *exactly(of_nodes, ref, list), *exactly(edges, ref, list)], ref, dict)
    for way in all_exactly(told, ref, list):
        all_exactly(way, ref, np.ndarray, count=3)
    if name not in GRAPHS.values() or len(told) != (2 if "Di" in name else 1):
        raise CorruptObjectError(f"{ref} is damaged: {name!r} is no graph", ref)
    made: Any = getattr(nx, name)()
    table = dict(zip(nodes, of_nodes, strict=True))
    ways = [_way(nodes, edges, way, ref) for way in told]
    if len(table) != len(nodes):
        raise CorruptObjectError(f"{ref} is damaged: a graph has a node twice", ref)
    made.graph = attributes
    made._node = table
    made._adj = ways[0]
    if len(ways) > 1:
        made._succ, made._pred = ways
    return made


def _way(nodes: list[Any], edges: list[Any], parts: Any, ref: str) -> dict[Any, dict[Any, Any]]:
    counts, others, places = (np.asarray(part, "i8") for part in parts)
    fits = len(counts) == len(nodes) and len(others) == len(places) == int(counts.sum())
    for numbers, most in ((counts, len(others) + 1), (others, len(nodes)), (places, len(edges))):
        fits = fits and (not numbers.size or 0 <= int(numbers.min()) <= int(numbers.max()) < most)
    if not fits:
        raise CorruptObjectError(f"{ref} is damaged: a graph and its edges differ", ref)
    rest = zip(others.tolist(), places.tolist(), strict=True)
    way = {}
    for node, count in zip(nodes, counts.tolist(), strict=True):
        near = {}
        for _ in range(count):
            other, place = next(rest)
            near[nodes[other]] = edges[place]
        way[node] = near
    return way

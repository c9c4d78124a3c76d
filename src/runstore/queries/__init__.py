"""What people ask of a store: pages of runs, how an object begins, what is in its columns.

The command line and the browser view show the answers. They are data: plain values and texts, in
bounded memory, and nothing is unpickled for them.
"""

from runstore.queries._cells import Cell
from runstore.queries._graph import Graph, Node, lineage_graph, stage_graph
from runstore.queries._logs import StageLog, logs_of
from runstore.queries._preview import IMAGES, Look, Rows, Shape, look_at
from runstore.queries._profile import ColumnProfile, profiled
from runstore.queries._runs import (
    Found,
    NamespaceInfo,
    Page,
    latest_run,
    namespaces,
    objects_page,
    runs_page,
    searched,
    unrecorded,
    used,
)
from runstore.queries._texts import size
from runstore.texts import duration, elapsed, instant, shape, short_type, zoned

__all__ = [
    "IMAGES",
    "Cell",
    "ColumnProfile",
    "Found",
    "Graph",
    "Look",
    "NamespaceInfo",
    "Node",
    "Page",
    "Rows",
    "Shape",
    "StageLog",
    "duration",
    "elapsed",
    "instant",
    "latest_run",
    "lineage_graph",
    "logs_of",
    "look_at",
    "namespaces",
    "objects_page",
    "profiled",
    "runs_page",
    "searched",
    "shape",
    "short_type",
    "size",
    "stage_graph",
    "unrecorded",
    "used",
    "zoned",
]

"""Lineage: which stage of which run made an object, of what, and what was made of it.

It is read from the run records, which name what each stage has read and written. No value is
decoded. The verb is that of `runstore.ObjectStore`: `lineage`.
"""

from runstore.lineage._graph import Lineage, LineageEdge, LineageObject, LineageStage
from runstore.lineage._walk import Direction, traced_lineage

__all__ = [
    "Direction",
    "Lineage",
    "LineageEdge",
    "LineageObject",
    "LineageStage",
    "traced_lineage",
]

"""What is done with all of a store: its objects are listed, checked, told by kind, and cleaned up.

No value is decoded: this room imports no codec, and `make check` holds that. The verbs are those of
`runstore.ObjectStore`: `verify`, `audit`,
`plan_gc` and `sweep`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runstore.upkeep._across import every_object, objects_and_parts, with_parts
    from runstore.upkeep._audit import audited
    from runstore.upkeep._findings import Audit, Finding, RunUsage, Verified
    from runstore.upkeep._gc import GcPlan, GcReport, GcRequest, Orphans, PlannedRun
    from runstore.upkeep._gc_plan import planned
    from runstore.upkeep._retention import Rules
    from runstore.upkeep._sweep import swept
    from runstore.upkeep._verify import verified

__all__ = [
    "Audit",
    "Finding",
    "GcPlan",
    "GcReport",
    "GcRequest",
    "Orphans",
    "PlannedRun",
    "Rules",
    "RunUsage",
    "Verified",
    "audited",
    "every_object",
    "objects_and_parts",
    "planned",
    "swept",
    "verified",
    "with_parts",
]

# Few processes need these: they are imported with the first use.
_LATER = {
    **dict.fromkeys(("every_object", "objects_and_parts", "with_parts"), "_across"),
    "audited": "_audit",
    **dict.fromkeys(("Audit", "Finding", "RunUsage", "Verified"), "_findings"),
    **dict.fromkeys(("GcPlan", "GcReport", "GcRequest", "Orphans", "PlannedRun"), "_gc"),
    "planned": "_gc_plan",
    "Rules": "_retention",
    "swept": "_sweep",
    "verified": "_verify",
}


if not TYPE_CHECKING:  # or mypy would take it for what has every name

    def __getattr__(name: str) -> Any:
        if name not in _LATER:
            raise AttributeError(f"module 'runstore.upkeep' has no attribute {name!r}")
        return getattr(import_module(f"runstore.upkeep.{_LATER[name]}"), name)

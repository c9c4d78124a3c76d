"""What the page of a run shows, as values for its template."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from runstore.pages._drawing import bars_of, drawn
from runstore.queries import stage_graph, used

if TYPE_CHECKING:
    from runstore.context import WorkflowRun
    from runstore.store import ObjectInfo

__all__ = ["run_page"]

_USES = 200  # objects that are listed as read


def run_page(run: "WorkflowRun", objects: "Sequence[ObjectInfo]") -> dict[str, Any]:
    """Return the values of the template of a run.

    Args:
        run: Its record.
        objects: Those of its objects that are listed.
    """
    writes = {use.name: use for use in used(run, "writes") if use.part is None}
    return {
        "run": run,
        "graph": drawn(stage_graph(run)),
        "bars": bars_of(run.stages),
        "input": run.input,
        "config": run.config,
        "definition": run.definition,
        "executor": run.executor,
        "commit": run.commit,
        "versions": run.versions,
        "stages": run.stages,
        "objects": [_object(info, writes.get(info.name)) for info in objects],
        "reads": _reads(run),
    }


def _object(info: "ObjectInfo", use: Any) -> dict[str, Any]:
    """Return what is listed of an object: what it says itself, else what the record does."""
    known = info.python_type is not None or use is None
    return {
        "name": info.name,
        "type": info.python_type if known else use.type,
        "rows": info.rows if known else use.rows,
        "columns": info.columns,
        "size": info.size,
        "stage": info.stage,
        "created_at": info.created_at,
        "format": info.format,
    }


def _reads(run: "WorkflowRun") -> list[Any]:
    """Return what the run has read of other runs, and of what the namespace's runs share."""
    found: dict[str, Any] = {}
    for use in used(run, "reads"):
        if use.run != run.name and len(found) < _USES:
            found.setdefault(use.ref, use)
    return list(found.values())

"""What differs, as tables of HTML for notebooks."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from runstore.displays import brief, pairs, section
from runstore.texts import human_size

if TYPE_CHECKING:
    from runstore.context import WorkflowRun
    from runstore.store._differences import Change, ObjectDiff, RunDiff, TableDiff

__all__ = ["object_diff_html", "run_diff_html", "table_diff_html"]


def object_diff_html(diff: "ObjectDiff") -> str:
    """Return what differs between two objects."""
    told = pairs(
        {
            "one": str(diff.one.place),
            "other": str(diff.other.place),
            "equal": "yes" if diff.equal else "no",
            "by": diff.by,
            "items that differ": diff.items,
            "beside": "attributes, labels, index, categories or metadata" if diff.beside else None,
        }
    )
    told += "" if diff.table is None else table_diff_html(diff.table)
    return told + _changes("values", diff.changes) + _changes("metadata", diff.metadata)


def table_diff_html(diff: "TableDiff") -> str:
    """Return what differs between two tables."""
    rows = " and ".join(f"{count:,}" for count in diff.rows)
    order = "the same" if diff.same_order else "another"
    told = pairs({"rows": rows, "rows that differ": diff.differing, "order of columns": order})
    columns = []
    for one in diff.columns:
        first = "" if one.first is None else "row {:,}: {} → {}".format(*one.first)
        columns.append([one.name, one.one, one.other, one.differing, first])
    return told + section(
        "columns", ["column", "one", "other", "rows that differ", "first"], columns
    )


def run_diff_html(diff: "RunDiff") -> str:
    """Return what differs between two runs."""
    told = pairs(
        {
            "one": _run(diff.one),
            "other": _run(diff.other),
            "equal": "yes" if diff.equal else "no",
            "objects with the same content": diff.same,
        }
    )
    for part in ("input", "config", "code", "stages", "versions"):
        told += _changes(part, getattr(diff, part))
    objects = [
        [one.name, one.kind, *("" if of is None else human_size(of.size) for of in one[2:])]
        for one in diff.objects
    ]
    return told + section("objects", ["name", "kind", "one", "other"], objects)


def _run(run: "WorkflowRun | None") -> str:
    return "no record" if run is None else f"{run.namespace}/{run.name}"


def _changes(title: str, changes: "Iterable[Change]") -> str:
    rows = [[one.path, one.kind, brief(one.one), brief(one.other)] for one in changes]
    return section(title, ["where", "kind", "one", "other"], rows)

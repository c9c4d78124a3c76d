"""What differs, what goes and what was found, as tables of HTML for notebooks."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from runstore.displays import brief, instant, note, pairs, some
from runstore.texts import human_size

if TYPE_CHECKING:
    from runstore.context import WorkflowRun
    from runstore.store._findings import Audit, Change, ObjectDiff, RunDiff, TableDiff, Verified
    from runstore.store._gc import GcPlan, GcReport, Orphans, PlannedRun

__all__ = [
    "audit_html",
    "object_diff_html",
    "plan_html",
    "report_html",
    "run_diff_html",
    "table_diff_html",
    "verified_html",
]


def plan_html(plan: "GcPlan") -> str:
    """Return what would go, what stays by which reason, and that nothing is gone so far."""
    made = instant(plan.made_at)
    told = pairs({"store": plan.store, "made": made, "would remove": str(plan)})
    told += _section(
        "runs that go",
        ["run", "reason", "state", "started", "files", "size"],
        [
            [str(one), one.reason, one.state, instant(one.started_at), *_amount(one)]
            for one in plan.runs
        ],
    )
    told += _section(
        "of nothing any more",
        ["kind", "where", "reason", "files", "size"],
        [[one.kind, one.ref, one.reason, *_amount(one)] for one in plan.orphans],
    )
    told += _section("runs that stay", ["reason", "runs"], plan.kept.items())
    return told + note("Nothing was removed: apply() does that.")


def report_html(report: "GcReport") -> str:
    """Return what was removed, what stays after all, and what could not be removed."""
    amount = {"runs": len(report.runs), "files": report.objects, "size": human_size(report.bytes)}
    told = pairs(amount) + _section("removed", ["run"], [[one] for one in report.runs])
    told += _section("stays after all", ["what", "reason"], report.skipped.items())
    return told + _section("could not be removed", ["what", "reason"], report.failed.items())


def audit_html(audit: "Audit") -> str:
    """Return what an audit found: findings first."""
    told = pairs(
        {
            "store": audit.store,
            "objects": f"{audit.objects:,}",
            "size": human_size(audit.size),
            "run records": f"{audit.records:,}",
            "signed": f"{audit.signed:,}",
            "pickled": f"{audit.pickled:,}",
        }
    )
    told += _section(
        "to look at",
        ["kind", "what", "size", "detail"],
        [[one.kind, one.ref, human_size(one.size), one.detail] for one in audit.findings],
    ) or note("nothing to look at")
    told += _section(
        "runs",
        ["run", "objects", "size", "record"],
        [
            [one.ref, one.objects, human_size(one.size), "yes" if one.recorded else "no"]
            for one in audit.runs
        ],
    )
    told += _section("formats", ["format", "objects"], audit.formats.items())
    told += _section("types", ["type", "objects"], audit.types.items())
    versions = [
        [library, version, count]
        for library, found in audit.versions.items()
        for version, count in found.items()
    ]
    return told + _section("written with", ["library", "version", "objects"], versions)


def verified_html(found: "Verified") -> str:
    """Return what was found of one object."""
    if found.error is not None:
        state = "damaged" if found.damaged else "could not be checked"
    else:
        state = "whole" if found.has_digest else "not checked: its format has no digest"
    error = None if found.error is None else str(found.error)
    return pairs({"what": found.ref, "size": human_size(found.size), "is": state, "why": error})


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
    return told + _section(
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
    return told + _section("objects", ["name", "kind", "one", "other"], objects)


def _run(run: "WorkflowRun | None") -> str:
    return "no record" if run is None else f"{run.namespace}/{run.name}"


def _changes(title: str, changes: "Iterable[Change]") -> str:
    rows = [[one.path, one.kind, brief(one.one), brief(one.other)] for one in changes]
    return _section(title, ["where", "kind", "one", "other"], rows)


def _amount(one: "PlannedRun | Orphans") -> tuple[str, str]:
    return f"{one.objects:,}", human_size(one.bytes)


def _section(title: str, titles: Sequence[str], rows: "Iterable[Sequence[object]]") -> str:
    rows = list(rows)
    return note(f"{title}:") + some(titles, rows) if rows else ""

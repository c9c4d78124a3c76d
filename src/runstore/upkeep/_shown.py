"""What goes and what was found, as tables of HTML for notebooks."""

from typing import TYPE_CHECKING

from runstore.displays import instant, note, pairs, section
from runstore.texts import human_size

if TYPE_CHECKING:
    from runstore.upkeep._findings import Audit, Verified
    from runstore.upkeep._gc import GcPlan, GcReport, Orphans, PlannedRun

__all__ = ["audit_html", "plan_html", "report_html", "verified_html"]


def plan_html(plan: "GcPlan") -> str:
    """Return what would go, what stays by which reason, and that nothing is gone so far."""
    made = instant(plan.made_at)
    told = pairs({"store": plan.store, "made": made, "would remove": str(plan)})
    told += section(
        "runs that go",
        ["run", "reason", "state", "started", "files", "size"],
        [
            [str(one), one.reason, one.state, instant(one.started_at), *_amount(one)]
            for one in plan.runs
        ],
    )
    told += section(
        "of nothing any more",
        ["kind", "where", "reason", "files", "size"],
        [[one.kind, one.ref, one.reason, *_amount(one)] for one in plan.orphans],
    )
    told += section("runs that stay", ["reason", "runs"], plan.kept.items())
    return told + note("Nothing was removed: apply() does that.")


def report_html(report: "GcReport") -> str:
    """Return what was removed, what stays after all, and what could not be removed."""
    amount = {"runs": len(report.runs), "files": report.objects, "size": human_size(report.bytes)}
    told = pairs(amount) + section("removed", ["run"], [[one] for one in report.runs])
    told += section("stays after all", ["what", "reason"], report.skipped.items())
    return told + section("could not be removed", ["what", "reason"], report.failed.items())


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
    told += section(
        "to look at",
        ["kind", "what", "size", "detail"],
        [[one.kind, one.ref, human_size(one.size), one.detail] for one in audit.findings],
    ) or note("nothing to look at")
    told += section(
        "runs",
        ["run", "objects", "size", "record"],
        [
            [one.ref, one.objects, human_size(one.size), "yes" if one.recorded else "no"]
            for one in audit.runs
        ],
    )
    told += section("formats", ["format", "objects"], audit.formats.items())
    told += section("types", ["type", "objects"], audit.types.items())
    versions = [
        [library, version, count]
        for library, found in audit.versions.items()
        for version, count in found.items()
    ]
    return told + section("written with", ["library", "version", "objects"], versions)


def verified_html(found: "Verified") -> str:
    """Return what was found of one object."""
    if found.error is not None:
        state = "damaged" if found.damaged else "could not be checked"
    else:
        state = "whole" if found.has_digest else "not checked: its format has no digest"
    error = None if found.error is None else str(found.error)
    return pairs({"what": found.ref, "size": human_size(found.size), "is": state, "why": error})


def _amount(one: "PlannedRun | Orphans") -> tuple[str, str]:
    return f"{one.objects:,}", human_size(one.bytes)

"""`gc`, `pin`, `unpin`, `tag` and `note`: what goes, what stays, and what people say of it."""

from typing import TYPE_CHECKING, Annotated

import typer

from runstore.cli._exits import FAILED
from runstore.cli._options import DebugOption, JsonOption, StoreOption, open_store, told_in_shell
from runstore.cli._output import Column, counted, emit, emit_json, say, size, table
from runstore.cli._refs import Ref, parse_ref, parse_run, resolved
from runstore.cli._scopes import must_be_there
from runstore.cli._transfer import transfer
from runstore.errors import InvalidRequestError, ObjectNotFoundError
from runstore.keys import SHARED
from runstore.texts import instant

if TYPE_CHECKING:
    from runstore.store import GcPlan, GcReport, ObjectStore

__all__ = ["gc", "note", "pin", "tag", "unpin"]

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="NS/RUN, or NS/_latest.")]
MarkedArgument = Annotated[
    str, typer.Argument(metavar="REF", help="NS/RUN, NS/RUN/NAME or NS/_shared/NAME.")
]


def gc(
    keep_last: Annotated[
        int | None,
        typer.Option("--keep-last", min=0, metavar="N", help="Keep the newest N of a workflow."),
    ] = None,
    keep_finished: Annotated[
        int | None,
        typer.Option(
            "--keep-finished",
            min=0,
            metavar="N",
            help="Keep the newest N of a workflow that have finished; by default 1.",
        ),
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="AGE", help="Keep younger runs: 12h, 30d, 8w."),
    ] = None,
    workflow: Annotated[
        str | None, typer.Option("--workflow", "-w", help="Only runs of this workflow.")
    ] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Only this namespace.")
    ] = None,
    orphans: Annotated[
        bool,
        typer.Option("--orphans/--no-orphans", help="Look for what interrupted writes left, too."),
    ] = True,
    apply: Annotated[
        bool, typer.Option("--apply", help="Remove what is shown. Without it nothing is removed.")
    ] = False,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Show what clean-up would remove, and why; with --apply remove it.

    Each rule that is given has to let a run go. By default the rules are those of each workflow's
    definition (spec.retention); without any rule no run goes. Runs that are pinned, that go on, or
    that a run that goes on reads, always stay.
    """
    place = open_store(store)
    with transfer("looking at runs and objects"), told_in_shell(older_than="--older-than"):
        plan = place.plan_gc(
            keep_last, keep_finished, _age(older_than), workflow, namespace, orphans
        )
    _check_there(place, plan, workflow, namespace)
    report = None
    if apply:
        with transfer(f"removing {plan}"):
            report = plan.apply()
    if as_json:
        emit_json(plan.to_dict() | {"applied": None if report is None else _described(report)})
    else:
        _tell(plan, report)
    if report is not None and report.failed:
        raise typer.Exit(FAILED)


def _check_there(
    store: "ObjectStore", plan: "GcPlan", workflow: str | None, namespace: str | None
) -> None:
    """Refuse a namespace or workflow of which there is nothing: it is a slip of the pen."""
    if namespace is not None and namespace not in store.namespaces():
        raise ObjectNotFoundError(f"no namespace {namespace!r} in {store.url}", namespace)
    if workflow is not None and workflow not in plan._workflows():
        where = store.url if namespace is None else f"namespace {namespace!r} of {store.url}"
        raise ObjectNotFoundError(f"no run of a workflow {workflow!r} in {where}", workflow)


def _tell(plan: "GcPlan", report: "GcReport | None") -> None:
    """Show for people what goes or is gone."""
    _show(plan)
    for reason, count in sorted(plan.kept.items()):
        say(f"kept: {counted(count, 'run')}: {reason}")
    if report is None:
        say(f"would remove {plan}" + (": add --apply to do it" if plan else ""))
        return
    for ref, reason in report.skipped.items():
        say(f"kept: {ref}: {reason}")
    for ref, reason in report.failed.items():
        say(f"failed: {ref}: {reason}")
    gone, files = counted(len(report.runs), "run"), counted(report.objects, "file")
    say(f"removed {gone}, {files}, {size(report.bytes)}")


def _age(text: str | None) -> float | str | None:
    """Return an age as the store takes it: a plain number is seconds."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def _described(report: "GcReport") -> dict[str, object]:
    return {
        "runs": list(report.runs),
        "objects": report.objects,
        "bytes": report.bytes,
        "skipped": report.skipped,
        "failed": report.failed,
    }


def _show(plan: "GcPlan") -> None:
    if plan.runs:
        columns = [Column("run"), Column("started (UTC)"), Column("files", True)]
        columns += [Column("size", True), Column("why")]
        rows = [
            [str(run), instant(run.started_at), f"{run.objects:,}", size(run.bytes), run.reason]
            for run in plan.runs
        ]
        table(columns, rows)
    if plan.orphans:
        if plan.runs:
            emit("")
        columns = [Column("what"), Column("files", True), Column("size", True), Column("where")]
        table(
            [*columns, Column("why")],
            [
                [one.kind, f"{one.objects:,}", size(one.bytes), one.ref, one.reason]
                for one in plan.orphans
            ],
        )


def pin(
    run: RunArgument,
    note: Annotated[str, typer.Option("--note", help="Why, for people.")] = "",
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Keep a run from clean-up until it is unpinned."""
    place, at = _run_at(store, run)
    place.pin(at.run or "", namespace=at.namespace, note=note)
    say(f"pinned {at}")


def unpin(run: RunArgument, store: StoreOption = None, debug: DebugOption = False) -> None:
    """Let clean-up remove a run again."""
    place, at = _run_at(store, run)
    place.unpin(at.run or "", namespace=at.namespace)
    say(f"unpinned {at}")


def tag(
    ref: MarkedArgument,
    tags: Annotated[
        list[str] | None, typer.Argument(metavar="[TAG]...", help="Without one they are listed.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove these tags.")] = False,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Add tags to a run or an object, or remove some, and show which it has."""
    place, at = _marked_at(store, ref, complete=not tags)
    name = at.name or None
    if tags and remove:
        place.untag(at.only_run, tags, name=name, namespace=at.namespace)
    elif tags:
        place.tag(at.only_run, tags, name=name, namespace=at.namespace)
    else:
        _check_marked(place, at)
    marks = place.marks(at.only_run, namespace=at.namespace)
    if name is not None:
        marks = marks.objects.get(name, type(marks)())
    if as_json:
        told = {"tags": marks.tags, "note": marks.note, "pinned": marks.pinned}
        emit_json({"ref": str(at), **told, "pin_note": marks.pin_note})
        return
    for one in marks.tags:
        emit(one)


def note(
    ref: MarkedArgument,
    text: Annotated[
        str | None, typer.Argument(metavar="[TEXT]", help="Without it the note is shown.")
    ] = None,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Set the note of a run or an object; an empty one removes it."""
    place, at = _marked_at(store, ref, complete=text is None)
    name = at.name or None
    if text is not None:
        place.note(at.only_run, text, name=name, namespace=at.namespace)
        return
    _check_marked(place, at)
    marks = place.marks(at.only_run, namespace=at.namespace)
    found = marks if name is None else marks.objects.get(name)
    if found is not None and found.note is not None:
        emit(found.note)


def _check_marked(store: "ObjectStore", at: Ref) -> None:
    """Raise ObjectNotFoundError if there is no such run or object, which then has no marks."""
    if not at.name:
        must_be_there(store, at)
    elif not at.view(store).exists(at.name, scope=at.scope):
        raise ObjectNotFoundError(f"there is no object {str(at)!r} ({store.url})", str(at))


def _run_at(url: str | None, text: str) -> "tuple[ObjectStore, Ref]":
    place, at = _marked_at(url, str(parse_run(text)))
    if at.name or at.only_run is None:
        raise InvalidRequestError(f"{text!r} is no run: write NAMESPACE/RUN", text)
    return place, at


def _marked_at(url: str | None, text: str, *, complete: bool = False) -> "tuple[ObjectStore, Ref]":
    at = parse_ref(text)
    if at.run is None or (at.run == SHARED and not at.name):
        raise InvalidRequestError(
            f"{text!r} is neither a run nor an object: write NAMESPACE/RUN, NAMESPACE/RUN/NAME or "
            f"NAMESPACE/{SHARED}/NAME",
            text,
        )
    place = open_store(url)
    return place, resolved(place, at, complete=complete)

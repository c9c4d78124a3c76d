"""`runs`, `ls` and `du`: what is stored, and how large it is."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from runstore.cli._options import DebugOption, JsonOption, StoreOption, open_store
from runstore.cli._output import (
    Column,
    describe_info,
    duration,
    elapsed,
    emit,
    emit_json,
    instant,
    say,
    shape,
    short_type,
    size,
    table,
)
from runstore.cli._refs import Ref, parse_ref, resolved
from runstore.cli._scopes import (
    each_readable,
    folder_is_there,
    must_be_there,
    objects_in,
    objects_of,
    run_names,
    totals,
)
from runstore.errors import CorruptObjectError, ObjectNotFoundError, UnsupportedFormatError
from runstore.keys import SHARED

if TYPE_CHECKING:
    from runstore.context import WorkflowRun
    from runstore.store import ObjectStore

__all__ = ["du", "list_objects", "ls", "runs"]

_NUMBER = True


def runs(
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Only runs of this namespace.")
    ] = None,
    sizes: Annotated[
        bool, typer.Option("--sizes", help="Count what each run has stored, too.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="Only the newest N.")
    ] = None,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """List the records of runs, newest first."""
    place = open_store(store)
    records = place.runs(namespace)[:limit]
    counted = {
        (run.namespace, run.name): totals(objects_of(place, run.namespace, run.name))
        for run in records
        if sizes
    }
    if as_json:
        emit_json(
            {
                "store": place.url,
                "runs": [
                    _described(run) | counted.get((run.namespace, run.name), {}) for run in records
                ],
            }
        )
        return
    if not records:
        say(f"no runs in {place.url}")
        return
    titles = ["namespace", "run", "workflow", "state", "started (UTC)", "duration", "source"]
    columns = [Column(title, title == "duration") for title in titles]
    if sizes:
        columns += [Column("objects", _NUMBER), Column("size", _NUMBER)]
    rows = []
    for run in records:
        row = [run.namespace, run.name, run.workflow, run.state, instant(run.started_at)]
        row += [duration(_seconds(run)), run.source]
        if sizes:
            total = counted[run.namespace, run.name]
            row += [f"{total['objects']:,}", size(total["size"])]
        rows.append(row)
    table(columns, rows)


def ls(
    ref: Annotated[
        str | None,
        typer.Argument(metavar="REF", help="NS, NS/RUN, NS/_shared, or NS/RUN/PREFIX."),
    ] = None,
    details: Annotated[
        bool | None,
        typer.Option(
            "--details/--no-details",
            help="Read each object's type and shape; by default where that is cheap.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """List namespaces; the runs of one; the objects of a run."""
    place = open_store(store)
    if ref is None:
        _list_namespaces(place, as_json)
        return
    at = resolved(place, parse_ref(ref))
    details = place.backend.guarantees.mapped if details is None else details
    if at.run is None:
        _list_namespace(place, at.namespace, details, as_json)
    else:
        list_objects(place, at, details=details, as_json=as_json)


def du(
    ref: Annotated[str | None, typer.Argument(metavar="REF", help="NS or NS/RUN.")] = None,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Show how much is stored, the largest first."""
    place = open_store(store)
    parts: dict[str, dict[str, int]] = {}
    if ref is None:
        parts |= each_readable(
            place.namespaces(), lambda namespace: totals(objects_in(place, namespace))
        )
    else:
        at = resolved(place, parse_ref(ref))
        must_be_there(place, at)
        if at.run is None:
            for run in [*place.runs_with_objects(at.namespace), None]:
                total = totals(objects_of(place, at.namespace, run))
                if run is not None or total["objects"]:
                    parts[f"{at.namespace}/{run or SHARED}"] = total
        else:
            for info in at.view(place).list(at.name, scope=at.scope):
                parts[str(info.place)] = totals([info])
    largest = sorted(parts.items(), key=lambda item: (-item[1]["size"], item[0]))
    total = {key: sum(part[key] for part in parts.values()) for key in ("objects", "size")}
    if as_json:
        entries = [{"ref": name, **part} for name, part in largest]
        emit_json({"store": place.url, "entries": entries, "total": total})
        return
    table(
        [Column("size", _NUMBER), Column("objects", _NUMBER), Column("ref")],
        [
            [size(part["size"]), f"{part['objects']:,}", name]
            for name, part in [*largest, ("total", total)]
        ],
    )


def list_objects(store: "ObjectStore", at: Ref, *, details: bool, as_json: bool = False) -> None:
    """Print the objects of a scope; a damaged one is listed as damaged, and the others, too.

    Raises:
        ObjectNotFoundError: There is no such run or namespace.
    """
    view = at.view(store)
    found = view.list(at.name, scope=at.scope)
    if not found:
        must_be_there(store, at)
    damaged: dict[str, str] = {}
    if details:
        for position, info in enumerate(found):
            try:
                found[position] = view.stat(info.name, scope=at.scope)
            except (CorruptObjectError, UnsupportedFormatError) as exc:
                damaged[info.name] = str(exc)
            except ObjectNotFoundError:
                continue  # deleted while we list
    if as_json:
        objects = [describe_info(info) | {"error": damaged.get(info.name)} for info in found]
        document = {"store": store.url, "namespace": at.namespace, "run": at.only_run}
        emit_json(document | {"objects": objects})
        return
    if not found:
        say(f"no objects in {at}" if not at.name else f"no objects that begin with {str(at)!r}")
        return
    if details:
        titles = ["name", "type", "rows × columns", "size", "created (UTC)"]
    else:
        titles = ["name", "size", "created (UTC)"]
    rows = []
    for info in found:
        what = ["damaged" if info.name in damaged else short_type(info.python_type) or info.format]
        row = [info.name, *([*what, shape(info)] if details else [])]
        rows.append([*row, size(info.size), instant(info.created_at)])
    table([Column(title, title in ("rows × columns", "size")) for title in titles], rows)
    for reason in damaged.values():
        say(f"warning: {reason}")


def _list_namespaces(store: "ObjectStore", as_json: bool) -> None:
    def look(namespace: str) -> tuple[int, int]:
        return len(run_names(store, namespace)), len(objects_of(store, namespace, None))

    found = [
        {"namespace": namespace, "runs": runs, "shared": shared}
        for namespace, (runs, shared) in each_readable(store.namespaces(), look)
    ]
    if as_json:
        emit_json({"store": store.url, "namespaces": found})
    elif not found:
        missing = "" if folder_is_there(store.url) else ": there is no such folder"
        say(f"nothing is stored in {store.url}{missing}")
    else:
        table(
            [Column("namespace"), Column("runs", _NUMBER), Column("shared objects", _NUMBER)],
            [
                [str(entry["namespace"]), f"{entry['runs']:,}", f"{entry['shared']:,}"]
                for entry in found
            ],
        )


def _list_namespace(store: "ObjectStore", namespace: str, details: bool, as_json: bool) -> None:
    must_be_there(store, Ref(namespace))
    runs = run_names(store, namespace)
    sums = {name: totals(objects_of(store, namespace, name)) for name in runs}
    shared = Ref(namespace, SHARED)
    if as_json:
        entries = [
            (_described(run) if run else _unrecorded(namespace, name)) | sums[name]
            for name, run in runs.items()
        ]
        objects = shared.view(store).list(scope="namespace", details=details)
        document = {"store": store.url, "namespace": namespace, "runs": entries}
        emit_json(document | {"shared": [describe_info(info) for info in objects]})
        return
    if runs:
        titles = ["run", "state", "started (UTC)", "objects", "size"]
        rows = []
        for name, run in runs.items():
            row = [name, run.state, instant(run.started_at)] if run else [name, "no record", ""]
            rows.append([*row, f"{sums[name]['objects']:,}", size(sums[name]["size"])])
        table([Column(title, title in ("objects", "size")) for title in titles], rows)
    if shared.view(store).list(scope="namespace"):
        emit(("\n" if runs else "") + f"shared by all runs, {shared}:")
        list_objects(store, shared, details=details)


def _described(run: "WorkflowRun") -> dict[str, Any]:
    document = run.model_dump(mode="json")
    return {"ref": f"{run.namespace}/{run.name}", **document, "seconds": _seconds(run)}


def _unrecorded(namespace: str, name: str) -> dict[str, Any]:
    return {"ref": f"{namespace}/{name}", "name": name, "namespace": namespace, "state": None}


def _seconds(run: "WorkflowRun") -> float | None:
    return elapsed(run.started_at, run.finished_at)

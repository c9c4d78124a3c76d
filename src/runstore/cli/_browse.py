"""`runs`, `ls` and `du`: what is stored, and how large it is."""

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runstore.arguments import in_shell
from runstore.cli._completion import complete_namespace, complete_ref
from runstore.cli._options import DebugOption, JsonOption, StoreOption, open_store
from runstore.cli._output import Column, describe_info, emit, emit_json, say, shape, size, table
from runstore.cli._refs import Ref, parse_ref, resolved
from runstore.cli._scopes import (
    all_run_names,
    each_readable,
    folder_is_there,
    must_be_there,
    newest,
    run_names,
    sizes_of,
    stored_in,
    stored_of,
    totals,
    with_tag,
)
from runstore.cli._transfer import transfer
from runstore.errors import CorruptObjectError, ObjectNotFoundError, UnsupportedFormatError
from runstore.keys import SHARED
from runstore.texts import duration, elapsed, instant, short_type

if TYPE_CHECKING:
    from runstore.context import WorkflowRun
    from runstore.store import ObjectStore

__all__ = ["du", "list_objects", "ls", "runs"]

_NUMBER = True


class _State(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    LOST = "lost"


def runs(
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            "-n",
            help="Only runs of this namespace.",
            autocompletion=complete_namespace,
        ),
    ] = None,
    sizes: Annotated[
        bool, typer.Option("--sizes", help="Count what each run has stored, too.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="Only the newest N.")
    ] = None,
    tag: Annotated[
        str | None, typer.Option("--tag", "-t", help="Only runs that have this tag.")
    ] = None,
    workflow: Annotated[
        str | None, typer.Option("--workflow", "-w", metavar="NAME", help="Only of this workflow.")
    ] = None,
    state: Annotated[
        _State | None, typer.Option("--state", help="Only runs in this state.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="AGE", help="Only runs that began so lately: 12h, 30d."),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Only runs that this has started, as cli.")
    ] = None,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """List the records of runs, newest first."""
    place = open_store(store)
    with transfer("reading the records of runs"):
        if workflow is not None or state is not None or since is not None or source is not None:
            found = place.runs(
                namespace,
                workflow=workflow,
                state=None if state is None else state.value,
                since=since,
                tag=tag,
                limit=limit if source is None else None,
            )
            records = [run for run in found if source in (None, run.source)][:limit]
        elif tag is not None:
            records = with_tag(place, namespace, tag)[:limit]
        elif limit is None:
            records = place.runs(namespace)
        else:
            records = newest(place, namespace, limit)
        counted = {
            (run.namespace, run.name): stored_of(place, run.namespace, run.name)
            for run in records
            if sizes
        }
        if not records and namespace is not None:
            must_be_there(place, Ref(namespace))
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
        chosen = (workflow, state, since, source, tag) != (None,) * 5
        where = place.url if namespace is None else f"namespace {namespace!r} ({place.url})"
        say(f"no {'such ' if chosen else ''}runs with a record in {where}")
        spaces = [] if chosen else [namespace] if namespace is not None else place.namespaces()
        if spaces:
            one = in_shell(str(spaces[0])) if len(spaces) == 1 else "NAMESPACE"
            say(f"a run of run_context has none: `runstore ls {one}` lists every run")
        return
    titles = ["namespace", "run", "workflow", "state", "started (UTC)", "duration", "source"]
    spare = ("workflow", "duration", "source")
    columns = [Column(title, title == "duration", title in spare) for title in titles]
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
        typer.Argument(
            metavar="REF",
            help="NS, NS/RUN, NS/_shared, or NS/RUN/PREFIX.",
            autocompletion=complete_ref,
        ),
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
    at = resolved(place, parse_ref(ref), complete=True)
    details = place.backend.guarantees.mapped if details is None else details
    if at.run is None:
        _list_namespace(place, at.namespace, details, as_json)
    else:
        list_objects(place, at, details=details, as_json=as_json)


def du(
    ref: Annotated[
        str | None,
        typer.Argument(metavar="REF", help="NS or NS/RUN.", autocompletion=complete_ref),
    ] = None,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Show how much is stored, the largest first; parts that are not sealed so far, too."""
    place = open_store(store)
    with transfer("adding up"):
        parts = _sizes(place, ref)
    largest = sorted(parts.items(), key=lambda item: (-item[1]["size"], item[0]))
    total = _added_up(parts.values())
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


def _added_up(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    sums = {"objects": 0, "size": 0}
    for part in parts:
        sums = {key: sums[key] + part[key] for key in sums}
    return sums


def _sizes(place: "ObjectStore", ref: str | None) -> dict[str, dict[str, int]]:
    """Return how much is stored in each namespace, run or object that *ref* stands for."""
    parts: dict[str, dict[str, int]] = {}
    if ref is None:
        parts |= each_readable(
            place.namespaces(),
            lambda namespace: _added_up(stored_in(place, namespace).values()),
        )
        return parts
    at = resolved(place, parse_ref(ref), complete=True)
    must_be_there(place, at)
    if at.run is None:
        for run, sums in stored_in(place, at.namespace).items():
            parts[f"{at.namespace}/{run or SHARED}"] = sums
    else:
        found, alone = sizes_of(place, at.namespace, at.only_run, at.name)
        for info in found:
            parts[str(info.place)] = totals([info])
        for name, bytes_ in alone.items():
            parts[str(at.place(name))] = {"objects": 0, "size": bytes_}
    return parts


def list_objects(store: "ObjectStore", at: Ref, *, details: bool, as_json: bool = False) -> None:
    """Print the objects of a scope; a damaged one is listed as damaged, and the others, too.

    Raises:
        ObjectNotFoundError: There is no such run or namespace.
    """
    view = at.view(store)
    damaged: dict[str, str] = {}
    with transfer(f"listing {at}"):
        if details:
            found = view.list(at.name, scope=at.scope)
        else:
            found, _ = sizes_of(store, at.namespace, at.only_run, at.name)
        if not found:
            must_be_there(store, at)
        for position, info in enumerate(found if details else ()):
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
    spare = ("type", "rows × columns", "created (UTC)")
    numbers = ("rows × columns", "size")
    table([Column(title, title in numbers, title in spare) for title in titles], rows)
    for reason in damaged.values():
        say(f"warning: {reason}")


def _list_namespaces(store: "ObjectStore", as_json: bool) -> None:
    def look(namespace: str) -> tuple[int, int]:
        names, shared = all_run_names(store, namespace)
        return len(names), shared

    with transfer("listing namespaces"):
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
    with transfer(f"listing {namespace}"):
        must_be_there(store, Ref(namespace))
        found = stored_in(store, namespace)
        runs = run_names(store, namespace, found)
        sums = {name: found.get(name, _added_up(())) for name in runs}
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
        numbers, spare = ("objects", "size"), ("started (UTC)", "objects", "size")
        table([Column(title, title in numbers, title in spare) for title in titles], rows)
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

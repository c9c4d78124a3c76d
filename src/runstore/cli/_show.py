"""`show`: describes one object or run; pickled objects are not loaded unless asked for."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runstore.arguments import in_shell
from runstore.cli._completion import complete_ref
from runstore.cli._loading import loaded
from runstore.cli._options import DebugOption, JsonOption, StoreOption, open_store
from runstore.cli._output import Column, describe_info, emit, emit_json, fields, shape, size, table
from runstore.cli._preview import Preview, preview, print_preview
from runstore.cli._refs import Ref, object_place, parse_ref, resolved
from runstore.cli._resume import taken_over
from runstore.cli._scopes import must_be_there
from runstore.cli._transfer import transfer
from runstore.errors import InvalidRequestError, ObjectNotFoundError
from runstore.keys import key_of
from runstore.texts import duration, elapsed, instant, short_type

if TYPE_CHECKING:
    from runstore.store import ObjectInfo, ObjectStore

__all__ = ["show"]


def show(
    ref: Annotated[
        str,
        typer.Argument(
            metavar="REF",
            help="NS/RUN/NAME, NS/_shared/NAME, or NS/RUN.",
            autocompletion=complete_ref,
        ),
    ],
    rows: Annotated[
        int, typer.Option("--rows", min=0, metavar="N", help="How many rows or items to show.")
    ] = 10,
    load: Annotated[
        bool,
        typer.Option("--load", help="Unpickle a pickled object, which can run code stored in it."),
    ] = False,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Show what an object is and how it begins, or how a run went."""
    place = open_store(store, pickle=None if load else "deny")
    at = parse_ref(ref)
    if at.only_run is not None and not at.name:
        _show_run(place, resolved(place, at, complete=True), as_json)
        return
    if at.run is None or not at.name:
        raise InvalidRequestError(
            f"{ref!r} is no object or run: write NAMESPACE/RUN/NAME or NAMESPACE/RUN; `runstore "
            "tree` shows what there is",
            ref,
        )
    target = object_place(place, ref, complete=True)
    view = place.at(namespace=target.namespace, run=target.run)
    info = view.stat(target.name, scope=target.scope)
    shown = None
    if info.python_type == "folder":
        shown = _files_of(view.parts(target.name, scope=target.scope), rows)
    elif load or not _is_pickled(info):
        with transfer(f"reading {target}"):
            shown = preview(loaded(view, target), rows)
    location = f"{place.url}/{key_of(target)}".removeprefix("file://")
    if as_json:
        document = describe_info(info) | {"store": place.url, "location": location}
        document["schema"] = _schema(shown.columns if shown else None, info)
        emit_json(document | {"preview": shown.document if shown else None})
        return
    _print_info(info, location)
    emit("")
    if shown is not None:
        print_preview(shown)
        return
    for column in _schema(None, info):
        emit(f"{column['name']}: {column['type']}")
    emit("not loaded: it is pickled, and loading it can run code; show it with --load")


def _files_of(parts: "list[ObjectInfo]", count: int) -> Preview:
    """Return the first files of a stored folder, with their sizes."""
    rows = [[str(part.part), part.size] for part in parts[:count]]
    document = [{"path": path, "size": stored} for path, stored in rows]
    return Preview(document, [("path", "text"), ("size", "bytes")], rows, len(parts))


def _is_pickled(info: "ObjectInfo") -> bool:
    return bool(info.pickled) or info.format in ("pkl", "skops")


def _schema(columns: list[tuple[str, str]] | None, info: "ObjectInfo") -> list[dict[str, str]]:
    """Return the columns as their library calls them, or as they are stored if not loaded."""
    if columns is None and info.rows is None:
        return []
    if columns is None:
        columns = [(field.name, str(field.type)) for field in info.schema or ()]
    return [{"name": name, "type": kind} for name, kind in columns]


def _print_info(info: "ObjectInfo", location: str) -> None:
    stored = size(info.size)
    if info.nbytes is not None and info.nbytes != info.size:
        stored += f" stored, {size(info.nbytes)} in memory"
    by = " ".join(filter(None, (info.workflow, info.stage and f"stage {info.stage}")))
    kept = "as a pickle" if info.codec == "pickle" else "with pickled columns"
    fields(
        {
            "object": str(info.place),
            "type": short_type(info.python_type) or None,
            "rows × columns" if info.columns is not None else "length": shape(info) or None,
            "parts": None if info.parts is None else f"{info.parts:,}",
            "size": stored,
            "created": instant(info.created_at, " UTC"),
            "by": by or None,
            "format": f"{info.format}, {kept}" if info.pickled else info.format,
            "signed": _signed(info),
            "digest": info.digest,
            "version": info.version,
            "written with": ", ".join(f"{k} {v}" for k, v in info.versions.items()) or None,
            "metadata": json.dumps(info.metadata, ensure_ascii=False) if info.metadata else None,
            "where": location,
        }
    )


def _signed(info: "ObjectInfo") -> str | None:
    if info.signed:
        return "yes; the signature is checked when it is loaded under pickle='signed'"
    return "no" if info.pickled else None


def _show_run(store: "ObjectStore", at: Ref, as_json: bool) -> None:
    assert at.run is not None
    try:
        run = store.read_run(at.run, namespace=at.namespace)
    except ObjectNotFoundError as exc:
        must_be_there(store, at)  # or the error says what there is
        raise ObjectNotFoundError(
            f"{exc.message}. It has objects, as a run of run_context has: `runstore ls "
            f"{in_shell(str(at))}` lists them",
            str(at),
        ) from exc
    if as_json:
        emit_json({"store": store.url, **run.model_dump(mode="json")})
        return
    fields(
        {
            "run": str(at),
            "workflow": run.workflow,
            "state": run.state,
            "source": run.source,
            "started": instant(run.started_at, " UTC") or None,
            "duration": _span(run) or None,
            "result": None if run.result is None else json.dumps(run.result, ensure_ascii=False),
            "error": run.error,
        }
    )
    if not run.stages:
        return
    emit("")
    taken = {stage.name: taken_over(stage, at.namespace) for stage in run.stages}
    note = any(taken.values())
    table(
        [
            Column("stage"),
            Column("state"),
            Column("duration", right=True),
            Column("items", right=True),
            Column("calls", right=True),
            *([Column("note")] if note else []),
        ],
        [
            [
                stage.name,
                stage.state,
                "" if taken[stage.name].startswith("taken over") else _span(stage),
                "" if stage.items is None else f"{stage.items:,}",
                f"{stage.attempts:,}",
                *([taken[stage.name]] if note else []),
            ]
            for stage in run.stages
        ],
    )


def _span(record: Any) -> str:
    return duration(elapsed(record.started_at, record.finished_at))

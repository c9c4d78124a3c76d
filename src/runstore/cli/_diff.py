"""`diff`: what differs between two objects, or two runs."""

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runstore.cli._completion import complete_ref
from runstore.cli._exits import FAILED
from runstore.cli._options import DebugOption, JsonOption, StoreOption, open_store
from runstore.cli._output import Column, counted, describe_info, emit, emit_json, say, size, table
from runstore.cli._refs import parse_ref, resolved
from runstore.cli._transfer import transfer
from runstore.texts import short_type

if TYPE_CHECKING:
    from runstore.objects import ObjectInfo
    from runstore.store import Change, ObjectDiff, ObjectStore, RunDiff, TableDiff

__all__ = ["diff", "show_difference"]

_LONGEST = 60  # characters of a value in a line


def diff(
    one: Annotated[
        str,
        typer.Argument(metavar="REF", help="NS/RUN/NAME or NS/RUN.", autocompletion=complete_ref),
    ],
    other: Annotated[
        str, typer.Argument(metavar="REF", help="Another one.", autocompletion=complete_ref)
    ],
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 1 if there is a difference.")
    ] = False,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Show what differs: schema, rows and values of two tables; of two runs what went in and out.

    Tables are compared row by row, in order. Nothing that is pickled is loaded.
    """
    from runstore.store import ObjectDiff

    place = open_store(store)
    names = [_name(place, text) for text in (one, other)]
    with transfer(f"comparing {names[0]} and {names[1]}"):
        found = place.diff(*names)
    if as_json:
        told = _object_as_json(found) if isinstance(found, ObjectDiff) else _run_as_json(found)
        emit_json({"store": place.url, **told})
    elif isinstance(found, ObjectDiff):
        show_difference(found)
    else:
        _show_runs(found)
    if exit_code and not found.equal:
        raise typer.Exit(FAILED)


def _name(store: "ObjectStore", text: str) -> str:
    """Return a name as the store takes it; ``_latest`` is looked up."""
    return (
        text
        if text.startswith("runstore://")
        else str(resolved(store, parse_ref(text), complete=True))
    )


def show_difference(found: "ObjectDiff") -> None:
    """Print what differs between two objects."""
    one, other = found.one, found.other
    if found.equal:
        say(f"{one.place} and {other.place} hold the same value")
    elif one.python_type != other.python_type:
        emit(f"type: {_kind(one)} → {_kind(other)}")
    if found.table is not None:
        _show_table(found.table)
    if found.beside:
        emit("what is kept beside the columns differs: attributes, labels or kind of index")
    if found.items is not None and found.items:
        emit(f"items: {found.items:,} differ")
    _show_changes(found.changes)
    if found.by == "digest" and not found.equal:
        emit("the stored values differ; nothing in them was compared")
        if one.pickled or other.pickled:
            say("one of them is a pickle, which is not loaded")
    if found.metadata:
        emit("metadata:")
        _show_changes(found.metadata, "  ")


def _kind(info: "ObjectInfo") -> str:
    """Return an object's type; of a plain file, which has none, its format."""
    return short_type(info.python_type) or f"{info.format} file"


def _show_table(found: "TableDiff") -> None:
    if found.rows[0] != found.rows[1]:
        emit(f"rows: {found.rows[0]:,} → {found.rows[1]:,}")
    if not found.same_order:
        emit("the columns are in another order")
    if found.differing:
        both = min(found.rows)
        emit(f"values: {found.differing:,} of {both:,} rows differ")
    if found.columns:
        head = ["column", "type", "rows that differ", "first"]
        table(
            [Column(title, title == "rows that differ") for title in head],
            [
                [
                    column.name,
                    _from_to(column.one, column.other),
                    "" if column.differing is None else f"{column.differing:,}",
                    ""
                    if column.first is None
                    else f"row {column.first[0]:,}: {column.first[1]} → {column.first[2]}",
                ]
                for column in found.columns
            ],
        )


def _from_to(one: str | None, other: str | None) -> str:
    if one is None:
        return f"added: {other}"
    if other is None:
        return f"removed: {one}"
    return one if one == other else f"{one} → {other}"


def _show_runs(found: "RunDiff") -> None:
    for part in ("input", "config", "code", "stages", "versions"):
        some = getattr(found, part)
        if some:
            emit(f"{part}:")
            _show_changes(some, "  ")
    if found.objects:
        emit("objects:")
        table(
            [Column("what"), Column("name"), Column("size")],
            [
                [
                    f"  {change.kind}",
                    change.name,
                    " → ".join(size(one.size) for one in (change.one, change.other) if one),
                ]
                for change in found.objects
            ],
            head=False,
        )
    same = counted(found.same, "object is", "objects are")
    other = counted(len(found.objects), "is", "are")
    say(f"{same} the same, {other} not")


def _show_changes(some: "Iterable[Change]", indent: str = "") -> None:
    for line in _lines(some):
        emit(indent + line)


def _lines(some: "Iterable[Change]") -> Iterator[str]:
    for change in some:
        at = change.path or "value"
        if change.kind == "added":
            yield f"{at}: added {_short(change.other)}"
        elif change.kind == "removed":
            yield f"{at}: removed {_short(change.one)}"
        else:
            yield f"{at}: {_short(change.one)} → {_short(change.other)}"


def _short(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _object_as_json(found: "ObjectDiff") -> dict[str, Any]:
    compared = None
    if found.table is not None:
        columns = [column._asdict() for column in found.table.columns]
        compared = found.table._asdict() | {"columns": columns}
    return {
        "equal": found.equal,
        "by": found.by,
        "one": describe_info(found.one),
        "other": describe_info(found.other),
        "table": compared,
        "beside": found.beside,
        "items": found.items,
        "changes": [change._asdict() for change in found.changes],
        "metadata": [change._asdict() for change in found.metadata],
    }


def _run_as_json(found: "RunDiff") -> dict[str, Any]:
    parts = {
        part: [change._asdict() for change in getattr(found, part)]
        for part in ("input", "config", "code", "stages", "versions")
    }
    objects = [
        {
            "name": change.name,
            "kind": change.kind,
            "one": None if change.one is None else describe_info(change.one),
            "other": None if change.other is None else describe_info(change.other),
        }
        for change in found.objects
    ]
    sides = {
        side: None if run is None else f"{run.namespace}/{run.name}"
        for side, run in (("one", found.one), ("other", found.other))
    }
    return {"equal": found.equal, **sides, **parts, "objects": objects, "same": found.same}

"""`audit`: what a store holds, by kind, without reading any value."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from runstore.arguments import check_choice
from runstore.cli._completion import complete_ref
from runstore.cli._exits import FAILED
from runstore.cli._options import DebugOption, JsonOption, StoreOption, open_store
from runstore.cli._output import Column, emit, emit_json, fields, say, size, table
from runstore.cli._refs import parse_ref, resolved
from runstore.cli._scopes import must_be_there
from runstore.cli._transfer import transfer
from runstore.errors import InvalidRequestError
from runstore.keys import SHARED

if TYPE_CHECKING:
    from runstore.store import Audit

__all__ = ["audit"]

_SHOWN = 20  # runs, and findings of each kind, unless all are asked for

_TOLD = {
    "pickle": "loading them unpickles something",
    "unsigned": "they have no signature",
    "foreign": "runstore did not write them",
    "newer": "they are of a newer format than this runstore reads",
    "unreadable": "what describes them cannot be read",
    "unsealed": "they have parts that no seal names",
}


def audit(
    ref: Annotated[
        str | None, typer.Argument(metavar="REF", help="NS or NS/RUN.", autocompletion=complete_ref)
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", "-a", help=f"Show all, not only {_SHOWN} of each kind.")
    ] = False,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-on",
            metavar="KIND",
            help=f"End with 1 if there is any of KIND: {', '.join(_TOLD)}; repeatable.",
        ),
    ] = None,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Show what is stored: pickles, unsigned objects, files of others, versions, sizes by run.

    No value is read. Of each object the end of the file is, which is one request.
    """
    for kind in fail_on or ():
        check_choice("audit", "--fail-on", kind, list(_TOLD))
    place = open_store(store)
    at = None if ref is None else resolved(place, parse_ref(ref), complete=True)
    if at is not None and (at.name or at.run == SHARED):
        raise InvalidRequestError(f"{ref!r}: an audit is of a namespace or a run", ref)
    with transfer("looking at what is stored"):
        found = place.audit() if at is None else place.audit(at.namespace, at.run)
    if at is not None and not found.objects and not found.records:
        must_be_there(place, at)
    if as_json:
        kinds = [one._asdict() for one in found.findings]
        runs = [{"ref": one.ref, **asdict(one)} for one in found.runs]
        emit_json(asdict(found) | {"findings": kinds, "runs": runs})
    else:
        _show(found, None if every else _SHOWN)
    if any(one.kind in (fail_on or ()) for one in found.findings):
        raise typer.Exit(FAILED)


def _show(found: "Audit", most: int | None) -> None:
    fields(
        {
            "objects": f"{found.objects:,} ({size(found.size)})",
            "run records": f"{found.records:,}",
            "pickled": f"{found.pickled:,}",
            "signed": f"{found.signed:,}",
            "formats": _counted(found.formats.items()) or None,
            **{
                f"written with {name}": _counted(versions.items())
                for name, versions in found.versions.items()
            },
        }
    )
    if found.runs:
        emit("")
        table(
            [Column("size", right=True), Column("objects", right=True), Column("ref")],
            [
                [
                    size(one.size),
                    f"{one.objects:,}",
                    one.ref + ("" if one.recorded or one.run is None else " (no record)"),
                ]
                for one in found.runs[:most]
            ],
        )
        _tell_rest(len(found.runs), most, "runs")
    for kind, meaning in _TOLD.items():
        some = [one for one in found.findings if one.kind == kind]
        if some:
            emit(f"\n{kind}: {len(some):,}, {meaning}")
            table(
                [Column("size", right=True), Column("ref"), Column("what")],
                [[size(one.size), one.ref, " ".join(one.detail.split())] for one in some[:most]],
                head=False,
            )
            _tell_rest(len(some), most, "such")


def _counted(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} ({count:,})" for name, count in counts)


def _tell_rest(count: int, most: int | None, what: str) -> None:
    if most is not None and count > most:
        say(f"and {count - most:,} more {what}: --all shows them")

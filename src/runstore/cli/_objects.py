"""`put` and `rm`: the commands that change the store."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runstore.cli._options import DebugOption, JsonOption, StoreOption, open_store
from runstore.cli._output import asked, describe_info, emit_json, say, size
from runstore.cli._refs import object_place, parse_ref, resolved
from runstore.errors import CorruptObjectError, InvalidRequestError, ObjectNotFoundError
from runstore.keys import SHARED

if TYPE_CHECKING:
    from runstore.cli._refs import Ref
    from runstore.store import ObjectInfo, ObjectStore

__all__ = ["put", "rm"]


def put(
    ref: Annotated[str, typer.Argument(metavar="REF", help="NS/RUN/NAME or NS/_shared/NAME.")],
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, readable=True, help="What to store."),
    ],
    if_absent: Annotated[
        bool, typer.Option("--if-absent", help="Fail if there is such an object.")
    ] = False,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Store the content of a file, read in the format of its extension.

    parquet, csv, arrow and feather are tables, json is plain data, npy an array,
    txt text; anything else is bytes.
    """
    from runstore.cli._files import read_value

    place = open_store(store)
    at = object_place(place, ref)
    view = place.at(namespace=at.namespace, run=at.run)
    info = view.put(at.name, read_value(file), scope=at.scope, if_absent=if_absent)
    if as_json:
        emit_json(describe_info(info))
    else:
        say(f"stored {at} ({size(info.size)})")


def rm(
    ref: Annotated[str, typer.Argument(metavar="REF", help="NS/RUN/NAME; with -r NS/RUN, too.")],
    recursive: Annotated[
        bool,
        typer.Option(
            "--recursive",
            "-r",
            help="Remove a whole run and its record, or an object and all below NAME/.",
        ),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask; needed where nobody can answer.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also a run that is still running.")
    ] = False,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Remove an object; with --recursive many, after a question."""
    place = open_store(store)
    at = parse_ref(ref)
    if not recursive:
        if at.run is not None and not at.name:
            raise InvalidRequestError(f"{ref!r} is more than one object: add --recursive", ref)
        one = object_place(place, ref)
        place.at(namespace=one.namespace, run=one.run).delete(one.name, scope=one.scope)
        _report([str(one)], as_json)
        return
    if at.run is None:
        raise InvalidRequestError(
            f"{ref!r} is a whole namespace: remove its runs and its {SHARED} one by one", ref
        )
    at = resolved(place, at)
    found = _below(place, at)
    whole = at.only_run is not None and not at.name
    recorded = whole and _state(place, at) is not None
    if not found and not recorded:
        raise ObjectNotFoundError(f"nothing is stored in {at} ({place.url})", str(at))
    if not yes and not _agreed(place, at, found):
        say("nothing was removed")
        return
    if whole and at.run is not None:
        place.delete_run(at.run, namespace=at.namespace, force=force)
    else:
        names = [info.name for info in found]
        at.view(place).delete_many(names, scope=at.scope, missing_ok=True)
    _report([str(info.place) for info in found] + ([str(at)] if recorded else []), as_json)


def _below(store: "ObjectStore", at: "Ref") -> "list[ObjectInfo]":
    """Return the object of that name and all in its folder; ``train`` is not ``training``."""
    name = at.name.rstrip("/")
    return [
        info
        for info in at.view(store).list(name, scope=at.scope)
        if not name or info.name == name or info.name.startswith(f"{name}/")
    ]


def _state(store: "ObjectStore", at: "Ref") -> str | None:
    if at.run is None:
        return None
    try:
        return store.read_run(at.run, namespace=at.namespace).state
    except ObjectNotFoundError:
        return None
    except CorruptObjectError:
        return "unreadable"  # it can be removed all the same


def _agreed(store: "ObjectStore", at: "Ref", found: "list[ObjectInfo]") -> bool:
    what = f"{len(found):,} objects ({size(sum(info.size for info in found))}) of {at}"
    state = _state(store, at) if not at.name else None
    if state is not None:
        what += " and its record"
    if not sys.stdin.isatty():
        raise InvalidRequestError(f"this would remove {what}: add --yes to do it", str(at))
    if state == "running":
        say("its record says that this run is not over")
    return asked(f"Remove {what}?")


def _report(refs: list[str], as_json: bool) -> None:
    if as_json:
        emit_json({"removed": refs})
    elif len(refs) == 1:
        say(f"removed {refs[0]}")
    else:
        say(f"removed {len(refs):,} objects and records")
